//! The policy of the client: whether its questions are filtered.

use super::{Asked, Cx, Step};

pub(super) fn choose<'a>(cx: &Cx<'a>, asked: &mut Asked<'a>, _out: &mut Vec<u8>) -> Step {
    let policies = &cx.snapshot.policies.policies;
    asked.filtering = policies
        .get(usize::from(asked.policy_id.0))
        .filter(|policy| policy.filtering && !cx.snapshot.pauses.cover(asked.asker.source.ip()));
    Step::Next
}
