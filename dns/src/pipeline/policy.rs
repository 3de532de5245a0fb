//! The policy of the client: whether its questions are filtered, and who is asked.

use super::{Asked, Cx, Step};

pub(super) fn choose<'a>(cx: &Cx<'a>, asked: &mut Asked<'a>, _out: &mut Vec<u8>) -> Step {
    let policies = &cx.snapshot.policies.policies;
    asked.filtering = policies
        .get(usize::from(asked.policy_id.0))
        .filter(|policy| policy.filtering && !cx.snapshot.pauses.cover(asked.asker.source.ip()));
    let of_policy = || cx.snapshot.routes.of_policy(asked.policy_id);
    let in_zone = |(zone, _)| cx.snapshot.routes.in_zone(zone, asked.policy_id);
    asked.route = asked.zone.map_or_else(of_policy, in_zone);
    Step::Next
}
