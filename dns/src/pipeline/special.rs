//! Names that the DNS proper knows nothing of, so that asking it would only tell strangers about
//! this house.

use super::filtering::write_negative;
use super::{Asked, Cx, Outcome, Step};
use crate::name::suffixes;
use crate::wire::{Owner, Rcode, Reply};
use crate::{Answered, RecordType};

const TTL_SECS: u32 = 3600;

/// How a special name is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// The loopback addresses (RFC 6761, 6.3).
    Loopback,
    NxDomain,
    NoData,
}

/// Top-level names answered before anything local is asked, with all names below them.
const ALWAYS: [(&[u8], Rule); 3] = [
    (b"\x09localhost\0", Rule::Loopback),
    (b"\x07invalid\0", Rule::NxDomain), // RFC 6761, 6.4
    (b"\x05onion\0", Rule::NxDomain),   // RFC 7686, 2
];

/// Top-level names that may exist in this house and nowhere else.
const INSIDE: [&[u8]; 4] = [
    b"\x05local\0",    // RFC 6762, 22.1
    b"\x04test\0",     // RFC 6761, 6.2
    b"\x03alt\0",      // RFC 9476, 2
    b"\x08internal\0", // reserved by ICANN for private use
];

/// What a host asks itself to see whether its DNS server answers: a name that cannot exist.
pub const SELF_TEST: &[u8] = b"\x08selftest\x07lanward\x07invalid\0";

const ARPA: &[u8] = b"\x04arpa\0";
/// RFC 9462, 8.2: we have no encrypted resolver to offer.
const RESOLVER_ARPA: &[u8] = b"\x08resolver\x04arpa\0";
/// RFC 8375, 4.
const HOME_ARPA: &[u8] = b"\x04home\x04arpa\0";

pub(super) fn answer<'a>(_cx: &Cx<'a>, asked: &mut Asked<'a>, out: &mut Vec<u8>) -> Step {
    let name = asked.query.name();
    let top = top_label(name);
    let (zone, rule) = match ALWAYS.iter().find(|(zone, _)| *zone == top) {
        Some(&(zone, rule)) => (zone, rule),
        None if top == ARPA && suffixes(name).any(|suffix| suffix == RESOLVER_ARPA) => {
            (RESOLVER_ARPA, Rule::NoData)
        }
        None => return Step::Next,
    };
    let address: &[u8] = match (rule, asked.query.qtype) {
        (Rule::Loopback, RecordType::A) => &[127, 0, 0, 1],
        (Rule::Loopback, RecordType::AAAA) => &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        (Rule::Loopback | Rule::NoData, _) => {
            return negative(asked, Rcode::NO_ERROR, zone, out);
        }
        (Rule::NxDomain, _) => {
            let is_self_test = name == SELF_TEST;
            let step = negative(asked, Rcode::NX_DOMAIN, zone, out);
            return match is_self_test {
                true => Step::Done(Outcome::Answered(Answered::SelfTest)),
                false => step,
            };
        }
    };
    let mut reply = Reply::to(&asked.query, Rcode::NO_ERROR, out);
    reply.answer(Owner::Question, asked.query.qtype, TTL_SECS, address);
    reply.finish(asked.limit(), None);
    Step::Done(Outcome::Answered(Answered::Special))
}

/// Answers what the local names did not, where nobody else may be asked.
pub(super) fn keep_inside<'a>(_cx: &Cx<'a>, asked: &mut Asked<'a>, out: &mut Vec<u8>) -> Step {
    // Told to ask somebody for it, who is no stranger.
    if asked.zone.is_some() {
        return Step::Next;
    }
    let name = asked.query.name();
    let Some(zone) = stays_inside(name) else { return Step::Next };
    let at_apex = zone.len() == name.len();
    match asked.query.qtype {
        // The parent's, and public: by it a validating client learns that nothing below is signed
        // (RFC 8375, 4; RFC 6303, 7).
        RecordType::DS if at_apex => Step::Next,
        RecordType::DS => negative(asked, Rcode::NO_ERROR, zone, out),
        _ if at_apex => negative(asked, Rcode::NO_ERROR, zone, out),
        _ => negative(asked, Rcode::NX_DOMAIN, zone, out),
    }
}

fn negative(asked: &Asked<'_>, rcode: Rcode, zone: &[u8], out: &mut Vec<u8>) -> Step {
    write_negative(asked, rcode, zone.len(), TTL_SECS, None, out);
    Step::Done(Outcome::Answered(Answered::Special))
}

/// The zone that keeps a name inside the house.
pub(super) fn stays_inside(name: &[u8]) -> Option<&[u8]> {
    let top = top_label(name);
    if top != ARPA {
        return INSIDE.contains(&top).then_some(top);
    }
    if let Some(zone) = suffixes(name).find(|suffix| *suffix == HOME_ARPA) {
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
