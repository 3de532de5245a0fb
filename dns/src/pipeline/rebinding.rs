//! Public names have no private addresses (DNS rebinding). Judged on every use, like the filter's
//! verdict: what is allowed differs from time to time. Zones with servers of their own are the house's
//! or a friend's.

use super::{Asked, Cx};
use crate::cache::Entry;

/// What to answer with instead of `entry`, when that holds addresses which are to be withheld. It
/// answers `name`: the asked one, or where an alias of the house leads, which alone says whose word
/// the addresses are.
pub(super) fn judge<'e>(
    cx: &Cx<'_>,
    asked: &Asked<'_>,
    name: &[u8],
    entry: &'e Entry,
) -> Option<&'e Entry> {
    let public = entry.without_private()?;
    let rebinding = cx.snapshot.protection.rebinding.as_ref()?;
    let known_to_others = || cx.snapshot.routes.of_zone(name, asked.asker.source.ip()).is_some();
    (!rebinding.allows(name) && !known_to_others()).then_some(public)
}
