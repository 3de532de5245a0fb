//! What clients behind a NAT64 ask of its prefix, and nobody outside knows.

use std::net::Ipv4Addr;

use super::filtering::write_negative;
use super::special::never_asked;
use super::{Asked, Cx, Outcome, Step};
use crate::dns64::reverse_of;
use crate::wire::{Owner, Rcode, Reply};
use crate::{Answered, RecordType};

const TTL_SECS: u32 = 3600;

/// By its addresses a client finds the prefix (RFC 7050), which whoever does the DNS64 must tell by
/// itself (RFC 8880, 7.1).
const IPV4_ONLY: &[u8] = b"\x08ipv4only\x04arpa\0";
const IPV4_ONLY_ADDRESSES: [Ipv4Addr; 2] =
    [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];

pub(super) fn answer<'a>(_cx: &Cx<'a>, asked: &mut Asked<'a>, out: &mut Vec<u8>) -> Step {
    let Some(prefix) = asked.route.dns64 else { return Step::Next };
    let name = asked.query.name();
    match asked.query.qtype {
        RecordType::AAAA if name == IPV4_ONLY => {
            let mut reply = Reply::to(&asked.query, Rcode::NO_ERROR, out);
            for v4 in IPV4_ONLY_ADDRESSES {
                let address = prefix.embed(v4).octets();
                reply.answer(Owner::Question, RecordType::AAAA, TTL_SECS, &address);
            }
            reply.finish(asked.limit(), None);
        }
        // No address of this house is ever made into another.
        RecordType::PTR
            if prefix
                .extract_name(name)
                .is_some_and(|v4| never_asked(reverse_of(v4).as_wire(), RecordType::PTR)) =>
        {
            write_negative(asked, Rcode::NX_DOMAIN, name.len(), TTL_SECS, None, out);
        }
        _ => return Step::Next,
    }
    Step::Done(Outcome::Answered(Answered::Special))
}
