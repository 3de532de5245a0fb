//! Pools: the addresses that may be lent.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use super::networks::hosts;
use super::{Effective, NetworkView};
use crate::settings::problem::{Place, Problem};
use crate::settings::records::{Dhcp, Network, Record};
use crate::settings::words::Range;

/// The addresses to lend: pools inside the subnet, less what is taken; ascending and disjoint.
pub(super) fn pools(
    dhcp: &Dhcp,
    view: &NetworkView,
    taken: &[Range],
    effective: &mut Effective,
) -> Vec<RangeInclusive<Ipv4Addr>> {
    let key = Network::key(&view.id);
    let (lowest, highest) = hosts(view.subnet);
    let mut free: Vec<Range> = Vec::new();
    for (i, pool) in dhcp.pools.iter().enumerate() {
        let place = Place::new(&key, format!("dhcp.pools[{i}]"));
        let stray = [pool.first, pool.last].into_iter().find(|addr| !view.subnet.contains(addr));
        if let Some(stray) = stray {
            effective.problems.push(
                Problem::error(
                    place,
                    format!("{stray} is outside *{}* {}.", view.id, view.subnet),
                    format!("Use addresses from {lowest} to {highest}."),
                )
                .with(Place::new(&key, "subnet")),
            );
            continue;
        }
        let earlier = dhcp.pools[..i]
            .iter()
            .position(|other| other.first <= pool.last && pool.first <= other.last);
        if let Some(j) = earlier {
            effective.problems.push(
                Problem::error(
                    place,
                    format!("The pool {pool} overlaps the pool {}.", dhcp.pools[j]),
                    "Leave the shared addresses in one of them.",
                )
                .with(Place::new(&key, format!("dhcp.pools[{j}]"))),
            );
            continue;
        }
        let (first, last) = (pool.first.max(lowest), pool.last.min(highest));
        if first <= last {
            free.push(Range { first, last });
        }
    }
    for hole in taken {
        free = free.into_iter().flat_map(|range| cut(range, *hole)).flatten().collect();
    }
    free.sort();
    free.into_iter().map(|range| range.first..=range.last).collect()
}

/// What is left of `range` without `hole`.
fn cut(range: Range, hole: Range) -> [Option<Range>; 2] {
    let (first, last) = (u32::from(range.first), u32::from(range.last));
    let (from, to) = (u32::from(hole.first), u32::from(hole.last));
    if to < first || last < from {
        return [Some(range), None];
    }
    let below = (first < from)
        .then(|| Range { first: range.first, last: Ipv4Addr::from(from.saturating_sub(1)) });
    let above = (to < last)
        .then(|| Range { first: Ipv4Addr::from(to.saturating_add(1)), last: range.last });
    [below, above]
}

impl Range {
    /// The range of one address.
    pub fn one(addr: Ipv4Addr) -> Range {
        Range { first: addr, last: addr }
    }
}
