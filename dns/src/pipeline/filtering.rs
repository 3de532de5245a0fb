//! The filter's verdict on the question, and on the names that an answer leads to.

use std::sync::Arc;

use super::{Asked, Cx, Decided, LedTo, Outcome, Step};
use crate::cache::Entry;
use crate::name::{last_labels, push_text};
use crate::wire::{Ede, Owner, Rcode, Reply};
use crate::{Answered, BlockMode, Policy, RecordType, RuleRef, Verdict};

/// MNAME and RNAME of negative answers that no zone of ours gives; they are not meant to be found.
const SOA_NAMES: &[u8; 33] = b"\x07lanward\x07invalid\0\x06nobody\x07invalid\0";

pub(super) fn judge<'a>(cx: &Cx<'a>, asked: &mut Asked<'a>, out: &mut Vec<u8>) -> Step {
    let Some(policy) = asked.filtering else { return Step::Next };
    let name = asked.query.name();
    match cx.snapshot.filter.verdict(name, asked.policy_id) {
        Verdict::Blocked(rule) => {
            write(cx, asked, policy, rule, name, out);
            asked.decided = Some(Decided { rule, allowed: false, led_to: None });
            Step::Done(Outcome::Answered(Answered::Blocked))
        }
        Verdict::Allowed(rule) => {
            asked.decided = Some(Decided { rule, allowed: true, led_to: None });
            Step::Next
        }
        Verdict::NoMatch => Step::Next,
    }
}

/// Whether a rule allows the question's own name, for a question that was judged when it came.
pub(super) fn excuse(cx: &Cx<'_>, asked: &mut Asked<'_>) {
    if asked.filtering.is_some()
        && let Verdict::Allowed(rule) =
            cx.snapshot.filter.verdict(asked.query.name(), asked.policy_id)
    {
        asked.decided = Some(Decided { rule, allowed: true, led_to: None });
    }
}

/// Judges where an alias of the house leads, as if that had been asked; an exception for the alias
/// goes before.
pub(super) fn judge_alias<'a>(
    cx: &Cx<'a>,
    asked: &mut Asked<'a>,
    target: &'a [u8],
    out: &mut Vec<u8>,
) -> Step {
    let Some(policy) = asked.filtering else { return Step::Next };
    excuse(cx, asked);
    if asked.decided.is_some() {
        return Step::Next;
    }
    let led_to = Some(LedTo::Alias(target));
    match cx.snapshot.filter.verdict(target, asked.policy_id) {
        Verdict::Blocked(rule) => {
            write(cx, asked, policy, rule, target, out);
            asked.decided = Some(Decided { rule, allowed: false, led_to });
            return Step::Done(Outcome::Answered(Answered::Blocked));
        }
        Verdict::Allowed(rule) => {
            asked.decided = Some(Decided { rule, allowed: true, led_to });
        }
        Verdict::NoMatch => {}
    }
    Step::Next
}

/// Judges where an answer leads (CNAME cloaking): a name that is allowed by a rule of its own keeps
/// whatever it leads to.
pub(super) fn judge_targets(
    cx: &Cx<'_>,
    asked: &mut Asked<'_>,
    entry: &Arc<Entry>,
    out: &mut Vec<u8>,
) -> Step {
    let (Some(policy), [_, ..]) = (asked.filtering, entry.targets()) else { return Step::Next };
    if asked.decided.as_ref().is_some_and(|decided| decided.allowed) {
        return Step::Next;
    }
    let filter = &cx.snapshot.filter;
    for (at, target) in entry.targets().iter().enumerate() {
        match filter.verdict(target.as_wire(), asked.policy_id) {
            Verdict::Blocked(rule) => {
                write(cx, asked, policy, rule, target.as_wire(), out);
                let led_to = Some(LedTo::Answer(entry.clone(), at));
                asked.decided = Some(Decided { rule, allowed: false, led_to });
                return Step::Done(Outcome::Answered(Answered::Blocked));
            }
            Verdict::NoMatch | Verdict::Allowed(_) => {}
        }
    }
    Step::Next
}

/// Writes the answer to a blocked question; `name` is what the rule matched.
fn write(
    cx: &Cx<'_>,
    asked: &Asked<'_>,
    policy: &Policy,
    rule: RuleRef,
    name: &[u8],
    out: &mut Vec<u8>,
) {
    let text = |out: &mut Vec<u8>| {
        out.extend_from_slice(b"blocked by list ");
        out.extend_from_slice(cx.snapshot.filter.list_name(rule.list).as_bytes());
        out.extend_from_slice(b", rule ");
        push_text(out, last_labels(name, rule.labels));
    };
    let ede = Some(Ede { code: Ede::BLOCKED, text: &text });
    let ttl = policy.blocked_ttl_secs;
    let (v4, v6) = match policy.block_mode {
        BlockMode::Null => ([0; 4], [0; 16]),
        BlockMode::Address(v4, v6) => (v4.octets(), v6.octets()),
        BlockMode::NoData => {
            return write_negative(asked, Rcode::NO_ERROR, asked.query.name().len(), ttl, ede, out);
        }
        BlockMode::NxDomain => {
            return write_negative(
                asked,
                Rcode::NX_DOMAIN,
                asked.query.name().len(),
                ttl,
                ede,
                out,
            );
        }
    };
    let rdata: &[u8] = match asked.query.qtype {
        RecordType::A => &v4,
        RecordType::AAAA => &v6,
        _ => {
            return write_negative(asked, Rcode::NO_ERROR, asked.query.name().len(), ttl, ede, out);
        }
    };
    let mut reply = Reply::to(&asked.query, Rcode::NO_ERROR, out);
    reply.answer(Owner::Question, asked.query.qtype, ttl, rdata);
    reply.finish(asked.limit(), ede);
}

/// Writes an answer without records, with the SOA that lets a client keep it for `ttl` seconds (RFC
/// 2308, 3). Its zone is the last `zone` bytes of the asked name.
pub(super) fn write_negative(
    asked: &Asked<'_>,
    rcode: Rcode,
    zone: usize,
    ttl: u32,
    ede: Option<Ede<'_>>,
    out: &mut Vec<u8>,
) {
    let mut reply = Reply::to(&asked.query, rcode, out);
    reply.authority(Owner::Suffix(zone), RecordType::SOA, ttl, &soa(ttl));
    reply.finish(asked.limit(), ede);
}

/// The data of that SOA.
pub(super) fn soa(ttl: u32) -> [u8; SOA_NAMES.len() + 20] {
    let mut soa = [0; SOA_NAMES.len() + 20];
    let (names, numbers) = soa.split_at_mut(SOA_NAMES.len());
    names.copy_from_slice(SOA_NAMES);
    for (slot, number) in numbers.chunks_exact_mut(4).zip([1, 3600, 900, 604_800, ttl]) {
        slot.copy_from_slice(&u32::to_be_bytes(number));
    }
    soa
}
