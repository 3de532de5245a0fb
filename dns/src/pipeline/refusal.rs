//! What is no question that the stages take: another opcode, class or version of EDNS, a transfer of
//! a zone, or what cannot be read. Whoever is served and within the limit is told so.

use super::{Asker, Cx, Outcome, access, limit, tell};
use crate::history::{DnssecOutcome, Draft, Recording};
use crate::limiter::Admission;
use crate::name::MAX_WIRE;
use crate::wire::{Refusal, Reply, u16_at};
use crate::{Answered, DropReason, PolicyId, RecordType};

pub(super) fn answer(
    cx: &Cx<'_>,
    asker: Asker,
    refusal: &Refusal<'_>,
    out: &mut Vec<u8>,
    history: &mut impl Recording,
) -> Outcome {
    let policy = match access::policy_of(cx, asker) {
        Ok(policy) => policy,
        Err(reason) => return Outcome::Dropped(reason),
    };
    if limit::admit(cx, asker) != Admission::Admitted {
        return Outcome::Dropped(DropReason::RateLimit);
    }
    Reply::refuse(refusal, out);
    record(cx, asker, policy, refusal, history);
    Outcome::Answered(Answered::Refused)
}

/// Without a name that could be read there is nothing to tell; the counters have it.
fn record(
    cx: &Cx<'_>,
    asker: Asker,
    policy: PolicyId,
    refusal: &Refusal<'_>,
    history: &mut impl Recording,
) {
    let Some((sent, rest)) =
        refusal.question.len().checked_sub(4).and_then(|at| refusal.question.split_at_checked(at))
    else {
        return;
    };
    let mut name = [0; MAX_WIRE];
    let (Some(name), Some(qtype)) = (name.get_mut(..sent.len()), u16_at(rest, 0)) else { return };
    name.copy_from_slice(sent);
    name.make_ascii_lowercase();
    let draft = Draft {
        at: cx.now,
        took: None,
        client: asker.source.ip(),
        transport: asker.transport,
        name,
        qtype: RecordType(qtype),
        how: Answered::Refused,
        // BADVERS is larger than what fits into the header.
        rcode: refusal.rcode.0 as u8,
        generation: cx.snapshot.labels.generation,
        policy,
        rule: None,
        upstream: None,
        dnssec: DnssecOutcome::Unchecked,
    };
    tell(cx, &draft, history);
}
