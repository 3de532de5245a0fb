//! Discovery of designated resolvers (RFC 9462): whoever asks for the encrypted transports of the
//! resolver it uses is told ours, at the very address that it asked.

use std::net::IpAddr;

use super::filtering::write_negative;
use super::{Asked, Cx, Outcome, Step};
use crate::discovery::Resolver;
use crate::name::MAX_WIRE;
use crate::wire::{Owner, Rcode, Reply};
use crate::{Answered, RecordType};

const TTL_SECS: u32 = 300;

/// Where a client asks that knows no more than the address (RFC 9462, 4).
const DNS_RESOLVER_ARPA: &[u8] = b"\x04_dns\x08resolver\x04arpa\0";

/// SvcParamKeys of the hints.
const IPV4HINT: u16 = 4;
const IPV6HINT: u16 = 6;

/// Priority, name, and the longest parameters, with room to spare.
const MAX_RDATA: usize = 2 + MAX_WIRE + 128;

pub(super) fn answer<'a>(cx: &Cx<'a>, asked: &mut Asked<'a>, out: &mut Vec<u8>) -> Step {
    let Some(resolver) = &cx.snapshot.discovery.resolver else { return Step::Next };
    let name = asked.query.name();
    let by_name = resolver.service_name.as_ref().is_some_and(|own| own.as_wire() == name);
    if !by_name && name != DNS_RESOLVER_ARPA {
        return Step::Next;
    }
    if asked.query.qtype != RecordType::SVCB {
        // It exists (RFC 8020): who keeps that it does not would not find the SVCB record either. The
        // other name is below one that exists with all below it.
        if by_name && !cx.snapshot.local.exists(name, asked.asker.source.ip()) {
            write_negative(asked, Rcode::NO_ERROR, name.len(), TTL_SECS, None, out);
            return Step::Done(Outcome::Answered(Answered::Special));
        }
        return Step::Next;
    }
    let mut reply = Reply::to(&asked.query, Rcode::NO_ERROR, out);
    for priority in 1..=resolver.services.len() {
        let mut rdata = Rdata::new();
        if write(resolver, priority, asked.asker.local, &mut rdata).is_some() {
            reply.answer(Owner::Question, RecordType::SVCB, TTL_SECS, rdata.bytes());
        }
    }
    reply.finish(asked.limit(), None);
    Step::Done(Outcome::Answered(Answered::Special))
}

fn write(resolver: &Resolver, priority: usize, local: IpAddr, rdata: &mut Rdata) -> Option<()> {
    let service = resolver.services.get(priority - 1)?;
    rdata.put(&u16::try_from(priority).ok()?.to_be_bytes())?;
    rdata.put(resolver.name.as_wire())?;
    rdata.put(&service.before_hints)?;
    match local.to_canonical() {
        // The transport could not tell; the name leads here as well.
        unknown if unknown.is_unspecified() => {}
        IpAddr::V4(v4) => {
            rdata.put(&IPV4HINT.to_be_bytes())?;
            rdata.put(&[0, 4])?;
            rdata.put(&v4.octets())?;
        }
        IpAddr::V6(v6) => {
            rdata.put(&IPV6HINT.to_be_bytes())?;
            rdata.put(&[0, 16])?;
            rdata.put(&v6.octets())?;
        }
    }
    rdata.put(&service.after_hints)
}

/// A record's data, on the stack.
struct Rdata {
    bytes: [u8; MAX_RDATA],
    len: usize,
}

impl Rdata {
    fn new() -> Self {
        Self { bytes: [0; MAX_RDATA], len: 0 }
    }

    fn put(&mut self, piece: &[u8]) -> Option<()> {
        let end = self.len + piece.len();
        self.bytes.get_mut(self.len..end)?.copy_from_slice(piece);
        self.len = end;
        Some(())
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests;
