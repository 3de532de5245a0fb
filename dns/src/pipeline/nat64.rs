//! What clients behind a NAT64 ask of its prefix, and nobody outside knows.

use std::net::Ipv4Addr;

use super::filtering::write_negative;
use super::special::never_asked;
use super::{Asked, Cx, Outcome, Step};
use crate::dns64::reverse_of;
use crate::local::{Found, Rrset};
use crate::wire::{Ede, Owner, Rcode, Reply};
use crate::{Answered, RecordType};

const TTL_SECS: u32 = 3600;
/// Short: a device may get the address now.
const NEGATIVE_TTL_SECS: u32 = 10;

/// By its addresses a client finds the prefix (RFC 7050), which whoever does the DNS64 must tell by
/// itself (RFC 8880, 7.1).
const IPV4_ONLY: &[u8] = b"\x08ipv4only\x04arpa\0";
const IPV4_ONLY_ADDRESSES: [Ipv4Addr; 2] =
    [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];

pub(super) fn answer<'a>(cx: &Cx<'a>, asked: &mut Asked<'a>, out: &mut Vec<u8>) -> Step {
    let query = &asked.query;
    if !matches!(query.qtype, RecordType::AAAA | RecordType::PTR) {
        return Step::Next;
    }
    let route = cx.snapshot.routes.of_policy(asked.policy_id);
    let Some(prefix) = route.dns64 else { return Step::Next };
    let name = query.name();
    match query.qtype {
        RecordType::AAAA if name == IPV4_ONLY => {
            let mut reply = Reply::to(query, Rcode::NO_ERROR, out);
            for v4 in IPV4_ONLY_ADDRESSES {
                let address = prefix.embed(v4).octets();
                reply.answer(Owner::Question, RecordType::AAAA, TTL_SECS, &address);
            }
            reply.finish(asked.limit(), None);
        }
        RecordType::PTR => {
            let Some(v4) = prefix.extract_name(name) else { return Step::Next };
            let target = reverse_of(v4);
            let made = prefix.concerns(name, query.qtype, query.dnssec_ok(), query.cd());
            if made
                && prefix.may_carry(v4)
                && let Some(names) = names_of(cx, asked, target.as_wire())
            {
                renamed(asked, target.as_wire(), names, out);
                return Step::Done(Outcome::Answered(Answered::Local));
            }
            // Nothing else of this house stands behind the prefix.
            if !never_asked(target.as_wire(), RecordType::PTR) {
                if made {
                    // Even behind a private prefix, whose other names stay in the house: it is the
                    // name of the IPv4 address that is asked.
                    asked.zone.get_or_insert((route, usize::MAX));
                }
                return Step::Next;
            }
            write_negative(asked, Rcode::NX_DOMAIN, name.len(), NEGATIVE_TTL_SECS, None, out);
        }
        _ => return Step::Next,
    }
    Step::Done(Outcome::Answered(Answered::Special))
}

/// The names in the house of the address whose reverse name this is.
fn names_of<'a>(cx: &Cx<'a>, asked: &Asked<'_>, reverse: &[u8]) -> Option<Rrset<'a>> {
    match cx.snapshot.local.find(reverse, RecordType::PTR, asked.asker.source.ip()) {
        Found::Records(names) => Some(names),
        _ => None,
    }
}

/// Writes an alias to the reverse name of the IPv4 address, and the names there (RFC 6147, 5.3.1).
fn renamed(asked: &Asked<'_>, reverse: &[u8], names: Rrset<'_>, out: &mut Vec<u8>) {
    let mut reply = Reply::to(&asked.query, Rcode::NO_ERROR, out);
    let ttls = names.records().map(|record| record.ttl_secs);
    let ttl_secs = ttls.min().unwrap_or(TTL_SECS);
    reply.answer(Owner::Question, RecordType::CNAME, ttl_secs, reverse);
    for record in names.records() {
        reply.answer(Owner::Name(reverse), record.rtype, record.ttl_secs, &record.rdata);
    }
    reply.finish(asked.limit(), Some(Ede::made()));
}
