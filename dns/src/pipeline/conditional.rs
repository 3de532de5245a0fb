//! Zones whose names are asked of servers of their own. They are exempt, for exactly these names, from
//! what keeps names inside the house.

use std::net::IpAddr;

use super::special::stays_inside;
use super::{Asked, Cx, Step};
use crate::RecordType;
use crate::local::Found;
use crate::name::suffixes;
use crate::routes::Route;
use crate::shared::Snapshot;

pub(super) fn choose<'a>(cx: &Cx<'a>, asked: &mut Asked<'a>, _out: &mut Vec<u8>) -> Step {
    let (query, source) = (&asked.query, asked.asker.source.ip());
    asked.zone = zone_of(cx.snapshot, query.name(), query.qtype, source);
    Step::Next
}

/// The group of the zone that holds the records of this name and type, and how many labels it has.
pub(super) fn zone_of(
    snapshot: &Snapshot,
    name: &[u8],
    qtype: RecordType,
    source: IpAddr,
) -> Option<(Route, usize)> {
    let found = snapshot.routes.of_zone(name, source)?;
    if qtype != RecordType::DS {
        return Some(found);
    }
    let (at_apex, parent) = (suffixes(name).count() - 1 == found.1, suffixes(name).nth(1));
    let Some(parent) = parent.filter(|_| at_apex) else { return Some(found) };
    // A DS belongs to the zone above (RFC 4035, 3.1.4.1), whose servers are asked for it, ...
    // ... unless that is a zone of this house, or one that nobody outside has.
    let inside = stays_inside(name).is_some_and(|zone| zone.len() < name.len() || !in_arpa(zone));
    let ours = !matches!(snapshot.local.find(name, qtype, source), Found::Elsewhere);
    if inside || ours { Some(found) } else { snapshot.routes.of_zone(parent, source) }
}

fn in_arpa(zone: &[u8]) -> bool {
    zone.ends_with(b"\x04arpa\0")
}
