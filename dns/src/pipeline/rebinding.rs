//! Public names have no private addresses (DNS rebinding). Judged on every use, like the filter's
//! verdict: what is allowed differs from time to time. Zones with servers of their own are the house's
//! or a friend's.

use super::{Asked, Cx};
use crate::cache::Entry;

/// What to answer with instead of `entry`, when that holds addresses which are to be withheld.
pub(super) fn judge<'e>(cx: &Cx<'_>, asked: &Asked<'_>, entry: &'e Entry) -> Option<&'e Entry> {
    if asked.zone.is_some() {
        return None;
    }
    let public = entry.without_private()?;
    let rebinding = cx.snapshot.protection.rebinding.as_ref()?;
    (!rebinding.allows(asked.query.name())).then_some(public)
}
