//! An answer taken apart: each alias on the way is one link, and what stands at the end is the last.
//!
//! Each link can be in another zone, signed or not, and has to be proven by itself; hickory's
//! validator looks at a message as if all of it belonged to the name that was asked.

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, RecordType};

use super::rrset::{RrSet, sets};

/// Aliases followed in one answer.
const MAX_CHAIN: usize = 16;

/// One part of an answer.
#[derive(Debug)]
pub(super) enum Link {
    /// Records.
    Set(RrSet),
    /// An alias that a DNAME above its name stands for; the alias itself is not signed (RFC 6672,
    /// 5.3.1).
    Renamed { by: RrSet, alias: RrSet },
    /// There is no such name, or no such type.
    Nothing(Name),
}

/// The links from the asked name on, or `None` when they lead nowhere or in a circle.
pub(super) fn links(name: &Name, rtype: RecordType, message: &Message) -> Option<Vec<Link>> {
    let mut sets = sets(&message.answers);
    let mut links = Vec::new();
    let mut owner = name.clone();
    let mut seen = vec![owner.clone()];
    loop {
        let take = |sets: &mut Vec<RrSet>, wanted: &dyn Fn(&RrSet) -> bool| {
            sets.iter().position(wanted).map(|at| sets.swap_remove(at))
        };
        if let Some(set) = take(&mut sets, &|set| set.name == owner && set.rtype == rtype) {
            links.push(Link::Set(set));
            return Some(links);
        }
        let is_alias = |set: &RrSet| set.name == owner && set.rtype == RecordType::CNAME;
        let Some(alias) = take(&mut sets, &is_alias) else {
            links.push(Link::Nothing(owner));
            return Some(links);
        };
        let [record] = alias.records.as_slice() else { return None };
        let RData::CNAME(target) = &record.data else { return None };
        let target = target.0.clone();
        if seen.contains(&target) || seen.len() > MAX_CHAIN {
            return None;
        }
        seen.push(target.clone());
        // One DNAME can stand for several aliases of a chain, so it is left where it is.
        let by = sets.iter().find(|set| stands_for(set, &owner, &target)).cloned();
        links.push(match by {
            Some(by) if alias.signatures.is_empty() => Link::Renamed { by, alias },
            _ => Link::Set(alias),
        });
        owner = target;
    }
}

/// Whether a DNAME makes `target` of `owner` (RFC 6672, 2.2).
fn stands_for(set: &RrSet, owner: &Name, target: &Name) -> bool {
    if set.rtype != RecordType::DNAME || set.name == *owner || !set.name.zone_of(owner) {
        return false;
    }
    let [record] = set.records.as_slice() else { return false };
    let Some(to) = dname_target(&record.data) else { return false };
    let kept = owner.iter().len() - set.name.iter().len();
    let Ok(front) = Name::from_labels(owner.iter().take(kept)) else { return false };
    front.append_name(&to).is_ok_and(|made| made == *target)
}

/// hickory has no type of its own for it: RDATA is one name, not compressed.
fn dname_target(data: &RData) -> Option<Name> {
    use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
    match data {
        RData::Unknown { rdata, .. } => Name::read(&mut BinDecoder::new(&rdata.anything)).ok(),
        _ => None,
    }
}
