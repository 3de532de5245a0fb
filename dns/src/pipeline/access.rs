//! Only clients of the configured networks are served. Everybody else gets nothing, not even an
//! error: an open resolver is a tool for amplification.

use super::{Asked, Asker, Cx, Outcome, Step};
use crate::{DropReason, PolicyId};

/// Ports whose owners answer whatever they get (echo, daytime, quote of the day, chargen, time), or
/// are name servers: a forged question from there makes us talk to them for ever.
const REFLECTING: [u16; 7] = [0, 7, 13, 17, 19, 37, 53];

pub(super) fn judge<'a>(cx: &Cx<'a>, asked: &mut Asked<'a>, _out: &mut Vec<u8>) -> Step {
    match policy_of(cx, asked.asker) {
        Ok(policy) => {
            asked.policy_id = policy;
            Step::Next
        }
        Err(reason) => Step::Done(Outcome::Dropped(reason)),
    }
}

pub(super) fn policy_of(cx: &Cx<'_>, asker: Asker) -> Result<PolicyId, DropReason> {
    if REFLECTING.contains(&asker.source.port()) {
        return Err(DropReason::SourcePort);
    }
    cx.snapshot.policies.of(asker.source.ip()).ok_or(DropReason::Source)
}
