//! Names by which a device asks whether it may go round this resolver. NXDOMAIN says no; said only
//! to clients whose questions are filtered.

use super::filtering::write_negative;
use super::{Asked, Cx, Outcome, Step};
use crate::Answered;
use crate::wire::Rcode;

/// Firefox's DNS over HTTPS, and Apple's Private Relay.
const CANARIES: [&[u8]; 3] = [
    b"\x13use-application-dns\x03net\0",
    b"\x04mask\x06icloud\x03com\0",
    b"\x07mask-h2\x06icloud\x03com\0",
];

pub(super) fn answer<'a>(_cx: &Cx<'a>, asked: &mut Asked<'a>, out: &mut Vec<u8>) -> Step {
    let Some(policy) = asked.filtering else { return Step::Next };
    let name = asked.query.name();
    if !CANARIES.contains(&name) {
        return Step::Next;
    }
    let zone = name.len();
    write_negative(asked, Rcode::NX_DOMAIN, zone, policy.blocked_ttl_secs, None, out);
    Step::Done(Outcome::Answered(Answered::Special))
}
