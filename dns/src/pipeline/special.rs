//! Names that the DNS proper knows nothing of, so that asking it would only tell strangers about
//! this house. The whole table, with what each is answered, is in the tests of this file.

use std::net::IpAddr;

use super::filtering::{soa, write_negative};
use super::{Asked, Cx, Outcome, Step};
use crate::local::is_plain;
use crate::name::suffixes;
use crate::wire::{Owner, Rcode, Reply, flag};
use crate::{Answered, Name, RecordType};

pub(super) const TTL_SECS: u32 = 3600;
/// A device of that name may get its lease now.
const PLAIN_TTL_SECS: u32 = 10;

/// How a special name is answered, whatever else is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// The loopback addresses (RFC 6761, 6.3).
    Loopback,
    /// The name of a loopback address.
    LoopbackName,
    NxDomain,
    NoData,
    /// The addresses by which a client finds the prefix of a NAT64 (RFC 8880). Only they are fixed:
    /// AAAA is a matter of whoever does the NAT64, and goes on.
    Ipv4Only,
    /// The name of those.
    Ipv4OnlyName,
}

/// Top-level names answered before anything local is asked, with all names below them.
const ALWAYS: [(&[u8], Rule); 3] = [
    (b"\x09localhost\0", Rule::Loopback),
    (b"\x07invalid\0", Rule::NxDomain), // RFC 6761, 6.4
    (b"\x05onion\0", Rule::NxDomain),   // RFC 7686, 2
];

/// The same below `arpa`, where `true` with all names below them.
const ALWAYS_ARPA: [(&[u8], Rule, bool); 6] = [
    // RFC 9462, 8.2: what there is to find is answered before.
    (b"\x08resolver\x04arpa\0", Rule::NoData, true),
    (b"\x08ipv4only\x04arpa\0", Rule::Ipv4Only, false),
    (b"\x03170\x010\x010\x03192\x07in-addr\x04arpa\0", Rule::Ipv4OnlyName, false),
    (b"\x03171\x010\x010\x03192\x07in-addr\x04arpa\0", Rule::Ipv4OnlyName, false),
    (b"\x011\x010\x010\x03127\x07in-addr\x04arpa\0", Rule::LoopbackName, false),
    (LOOPBACK_V6, Rule::LoopbackName, false),
];

const LOOPBACK_V6: &[u8] = b"\x011\x010\x010\x010\x010\x010\x010\x010\
    \x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\x010\
    \x010\x010\x010\x010\x010\x010\x010\x010\x03ip6\x04arpa\0";

/// Top-level names that may exist in this house and nowhere else.
const INSIDE: [&[u8]; 11] = [
    b"\x05local\0",    // RFC 6762, 22.1
    b"\x04test\0",     // RFC 6761, 6.2
    b"\x03alt\0",      // RFC 9476, 2
    b"\x08internal\0", // reserved by ICANN for private use
    // In use inside houses (RFC 6762, appendix G), so that ICANN does not delegate them.
    b"\x03lan\0",
    b"\x04home\0",
    b"\x04corp\0",
    b"\x07private\0",
    b"\x08intranet\0",
    b"\x0blocaldomain\0",
    b"\x07homenet\0",
];

/// The same below `arpa`.
const INSIDE_ARPA: [&[u8]; 5] = [
    b"\x04home\x04arpa\0",     // RFC 8375, 4
    b"\x07service\x04arpa\0",  // RFC 9665
    b"\x066tisch\x04arpa\0",   // RFC 9031
    b"\x03eap\x04arpa\0",      // RFC 9965
    b"\x08eap-noob\x04arpa\0", // RFC 9140
];

/// What a host asks itself to see whether its DNS server answers: a name that cannot exist.
pub const SELF_TEST: &[u8] = b"\x08selftest\x07lanward\x07invalid\0";

const ARPA: &[u8] = b"\x04arpa\0";

/// What is said of a name that nobody outside is asked for.
pub(super) enum Said<'n> {
    /// Data of records of the asked type.
    Data(&'static [&'static [u8]]),
    /// No record, by the SOA of `zone`.
    Nothing { rcode: Rcode, zone: &'n [u8], ttl_secs: u32 },
}

pub(super) fn answer<'a>(_cx: &Cx<'a>, asked: &mut Asked<'a>, out: &mut Vec<u8>) -> Step {
    let name = asked.query.name();
    match ruled(name, asked.query.qtype) {
        None => return Step::Next,
        Some(Said::Nothing { rcode: Rcode::NO_ERROR, zone, .. }) => {
            return exists(asked, zone, out);
        }
        Some(Said::Nothing { rcode, zone, .. }) => {
            let is_self_test = name == SELF_TEST;
            let step = negative(asked, rcode, zone, out);
            return match is_self_test {
                true => Step::Done(Outcome::Answered(Answered::SelfTest)),
                false => step,
            };
        }
        Some(Said::Data(records)) => {
            let mut reply = Reply::to(&asked.query, Rcode::NO_ERROR, out);
            reply.authoritative();
            for data in records {
                reply.answer(Owner::Question, asked.query.qtype, TTL_SECS, data);
            }
            reply.finish(asked.limit(), None);
        }
    }
    Step::Done(Outcome::Answered(Answered::Special))
}

/// What is said of a name whatever else is known of it; `None` when it has no rule, or what its rule
/// leaves to whoever does the NAT64.
fn ruled(name: &[u8], qtype: RecordType) -> Option<Said<'_>> {
    let (zone, rule) = rule_of(name)?;
    let nothing = |rcode, zone| Said::Nothing { rcode, zone, ttl_secs: TTL_SECS };
    Some(match (rule, qtype) {
        (Rule::Loopback, RecordType::A) => Said::Data(&[&[127, 0, 0, 1]]),
        (Rule::Loopback, RecordType::AAAA) => {
            Said::Data(&[&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]])
        }
        (Rule::LoopbackName, RecordType::PTR) => Said::Data(&[b"\x09localhost\0"]),
        (Rule::Ipv4Only, RecordType::A) => Said::Data(&[&[192, 0, 0, 170], &[192, 0, 0, 171]]),
        (Rule::Ipv4OnlyName, RecordType::PTR) => Said::Data(&[b"\x08ipv4only\x04arpa\0"]),
        (Rule::Ipv4Only | Rule::Ipv4OnlyName, _) => return None,
        (Rule::LoopbackName, _) => nothing(Rcode::NO_ERROR, stays_inside(name).unwrap_or(zone)),
        (Rule::Loopback | Rule::NoData, _) => nothing(Rcode::NO_ERROR, zone),
        (Rule::NxDomain, _) => nothing(Rcode::NX_DOMAIN, zone),
    })
}

/// What is said of a name of which no local record is known, and which nobody outside is asked for:
/// for whoever was led there by an alias.
pub(super) fn said_of<'n>(
    cx: &Cx<'_>,
    asker: IpAddr,
    name: &'n [u8],
    qtype: RecordType,
) -> Option<Said<'n>> {
    ruled(name, qtype).or_else(|| inside(cx, asker, name, qtype))
}

/// The same, where it is no rule that keeps the name inside.
fn inside<'n>(cx: &Cx<'_>, asker: IpAddr, name: &'n [u8], qtype: RecordType) -> Option<Said<'n>> {
    let Some(zone) = stays_inside(name) else {
        // A device that is not here now; its name is nobody's business outside.
        let plain = is_plain(name, qtype);
        let (rcode, zone, ttl_secs) = (Rcode::NX_DOMAIN, name, PLAIN_TTL_SECS);
        return plain.then_some(Said::Nothing { rcode, zone, ttl_secs });
    };
    // Above a zone of ours, or at the apex of one and asked for the zone around it (RFC 8020).
    let there = zone.len() == name.len() || cx.snapshot.local.exists(name, asker);
    let rcode = if there { Rcode::NO_ERROR } else { Rcode::NX_DOMAIN };
    Some(Said::Nothing { rcode, zone, ttl_secs: TTL_SECS })
}

/// The rule of a name and the zone it is of.
fn rule_of(name: &[u8]) -> Option<(&'static [u8], Rule)> {
    let top = top_label(name);
    if top != ARPA {
        return ALWAYS.iter().find(|(zone, _)| *zone == top).copied();
    }
    let meant = |zone: &[u8], below| match below {
        true => suffixes(name).any(|suffix| suffix == zone),
        false => name == zone,
    };
    ALWAYS_ARPA
        .iter()
        .find(|(zone, _, below)| meant(zone, *below))
        .map(|(zone, rule, _)| (*zone, *rule))
}

/// Whether a name is answered as its standard says, whatever records anybody has of it: `localhost`,
/// `onion`, `invalid` and names below them, and a few below `arpa`.
pub fn has_fixed_answer(name: &Name) -> bool {
    rule_of(name.as_wire()).is_some()
}

/// Whether a question must not be asked of anybody outside.
pub(super) fn never_asked(name: &[u8], qtype: RecordType) -> bool {
    let public = |rule| matches!(rule, Rule::Ipv4Only | Rule::Ipv4OnlyName);
    stays_inside(name).is_some()
        || is_plain(name, qtype)
        || rule_of(name).is_some_and(|(_, rule)| !public(rule))
}

/// Answers what the local names did not, where nobody else may be asked.
pub(super) fn keep_inside<'a>(cx: &Cx<'a>, asked: &mut Asked<'a>, out: &mut Vec<u8>) -> Step {
    // Told to ask somebody for it, who is no stranger.
    if asked.zone.is_some() {
        return Step::Next;
    }
    let (name, qtype) = (asked.query.name(), asked.query.qtype);
    let Some(Said::Nothing { rcode, zone, ttl_secs }) =
        inside(cx, asked.asker.source.ip(), name, qtype)
    else {
        return Step::Next;
    };
    let at_apex = zone.len() == name.len();
    match qtype {
        // The parent's, and public: by it a validating client learns that nothing below is signed
        // (RFC 8375, 4; RFC 6303, 7). The root says of the others that they do not exist, which is
        // of no use to whoever has them.
        RecordType::DS if at_apex && zone.ends_with(ARPA) => Step::Next,
        _ if rcode == Rcode::NO_ERROR => exists(asked, zone, out),
        _ if is_plain(name, qtype) => {
            write_negative(asked, rcode, zone.len(), ttl_secs, None, out);
            Step::Done(Outcome::Answered(Answered::Special))
        }
        _ => negative(asked, rcode, zone, out),
    }
}

/// Answers for a name that exists and has nothing but, at the top of its zone, SOA and NS (RFC
/// 6303, 3).
fn exists(asked: &Asked<'_>, zone: &[u8], out: &mut Vec<u8>) -> Step {
    let qtype = asked.query.qtype;
    let soa = soa(TTL_SECS);
    let data: &[u8] = match qtype {
        RecordType::SOA if asked.query.name() == zone => &soa,
        RecordType::NS if asked.query.name() == zone => zone,
        _ => return negative(asked, Rcode::NO_ERROR, zone, out),
    };
    let mut reply = Reply::to(&asked.query, Rcode::NO_ERROR, out);
    reply.authoritative();
    reply.answer(Owner::Question, qtype, TTL_SECS, data);
    reply.finish(asked.limit(), None);
    Step::Done(Outcome::Answered(Answered::Special))
}

fn negative(asked: &Asked<'_>, rcode: Rcode, zone: &[u8], out: &mut Vec<u8>) -> Step {
    write_negative(asked, rcode, zone.len(), TTL_SECS, None, out);
    // Zones served here are ours (RFC 6303, 3).
    out[2] |= flag::AA;
    Step::Done(Outcome::Answered(Answered::Special))
}

/// The zone that keeps a name inside the house.
pub(crate) fn stays_inside(name: &[u8]) -> Option<&[u8]> {
    let top = top_label(name);
    if top != ARPA {
        return INSIDE.contains(&top).then_some(top);
    }
    if let Some(zone) = suffixes(name).find(|suffix| INSIDE_ARPA.contains(suffix)) {
        return Some(zone);
    }
    let labels = Labels::of(name);
    let depth = match labels.text(1)? {
        b"in-addr" => private_v4([2, 3, 4, 5].map(|at| labels.octet(at)))?,
        b"ip6" => private_v6(&labels)?,
        _ => return None,
    };
    labels.suffix(2 + depth)
}

/// How many octets the private reverse zone has that these octets lie in (RFC 6303, 4; RFC 7793 for
/// the shared address space).
fn private_v4(octets: [Option<u8>; 4]) -> Option<usize> {
    Some(match octets.map(|octet| octet.map_or(-1, i16::from)) {
        [0 | 10 | 127, ..] => 1,
        [100, 64..=127, ..] | [169, 254, ..] | [172, 16..=31, ..] | [192, 168, ..] => 2,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => 3,
        [255, 255, 255, 255] => 4,
        _ => return None,
    })
}

/// The same in nibbles: unspecified, loopback, link-local, unique local, documentation.
fn private_v6(labels: &Labels<'_>) -> Option<usize> {
    let is = |zone: &[u8]| (2..).zip(zone).all(|(at, nibble)| labels.text(at) == Some(&[*nibble]));
    const ZERO: &[u8; 31] = &[b'0'; 31];
    let zones: [&[u8]; 6] = [b"fd", b"fe8", b"fe9", b"fea", b"feb", b"20010db8"];
    zones.iter().find(|zone| is(zone)).map(|zone| zone.len()).or_else(|| {
        let last = labels.text(2 + ZERO.len());
        (is(ZERO) && matches!(last, Some(b"0" | b"1"))).then_some(ZERO.len() + 1)
    })
}

/// A name's labels, counted from the right.
struct Labels<'a> {
    name: &'a [u8],
    count: usize,
}

impl<'a> Labels<'a> {
    fn of(name: &'a [u8]) -> Self {
        Self { name, count: suffixes(name).count() - 1 }
    }

    /// The last `labels` labels.
    fn suffix(&self, labels: usize) -> Option<&'a [u8]> {
        suffixes(self.name).nth(self.count.checked_sub(labels)?)
    }

    fn text(&self, at: usize) -> Option<&'a [u8]> {
        let suffix = self.suffix(at + 1)?;
        suffix.get(1..1 + usize::from(*suffix.first()?))
    }

    fn octet(&self, at: usize) -> Option<u8> {
        std::str::from_utf8(self.text(at)?).ok()?.parse().ok()
    }
}

/// The last label with the root.
fn top_label(name: &[u8]) -> &[u8] {
    let mut top = name;
    for suffix in suffixes(name) {
        if suffix.len() > 1 {
            top = suffix;
        }
    }
    top
}

#[cfg(test)]
mod tests;
