//! Zones whose names are asked of servers of their own. They are exempt, for exactly these names, from
//! what keeps names inside the house.

use super::{Asked, Cx, Step};

pub(super) fn choose<'a>(cx: &Cx<'a>, asked: &mut Asked<'a>, _out: &mut Vec<u8>) -> Step {
    asked.zone = cx.snapshot.routes.of_zone(asked.query.name(), asked.asker.source.ip());
    Step::Next
}
