//! What validated NSEC and NSEC3 records say of one name.
//!
//! The records given here carry valid signatures already.

use hickory_proto::dnssec::Proof;
use hickory_proto::dnssec::rdata::{DNSSECRData, NSEC, NSEC3};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// RFC 9276, 3.2: with more iterations, a zone's denials count as those of an unsigned zone. Other
/// validators draw the line here since CVE-2023-50868.
pub(super) const TRUSTED_ITERATIONS: u16 = 50;

/// What is proven of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denial {
    /// An unsigned zone begins at it.
    InsecureDelegation,
    /// It exists, or names below it do, and no zone begins at it.
    NoDelegation,
    /// It does not exist.
    Absent,
    /// It may be the name of an unsigned zone or not exist (RFC 5155, 6), or more hashing would be
    /// needed to tell than is worth it.
    OptedOut,
}

/// What the secure ones among `records` prove of the delegation at `name`.
pub(super) fn of_delegation(name: &Name, records: &[Record]) -> Option<Denial> {
    let secure = || records.iter().filter(|record| record.proof == Proof::Secure);
    let nsecs = secure().filter_map(|record| match &record.data {
        RData::DNSSEC(DNSSECRData::NSEC(nsec)) => Some((&record.name, nsec)),
        _ => None,
    });
    let nsec3s = secure().filter_map(|record| match &record.data {
        RData::DNSSEC(DNSSECRData::NSEC3(nsec3)) => Some((&record.name, nsec3)),
        _ => None,
    });
    let by_nsec = nsecs.filter_map(|(owner, nsec)| by_nsec(name, owner, nsec));
    by_nsec.chain(by_nsec3(name, nsec3s)).next()
}

fn by_types(has: impl Fn(RecordType) -> bool) -> Option<Denial> {
    // RFC 6840, 4.4. The SOA's bit is that of the zone below, which cannot deny its own DS.
    match (has(RecordType::NS), has(RecordType::DS) || has(RecordType::SOA)) {
        (_, true) => None,
        (true, false) => Some(Denial::InsecureDelegation),
        (false, false) => Some(Denial::NoDelegation),
    }
}

fn by_nsec(name: &Name, owner: &Name, nsec: &NSEC) -> Option<Denial> {
    if owner == name {
        return by_types(|rtype| nsec.type_set().contains(rtype));
    }
    if !nsec_covers(name, owner, nsec) {
        return None;
    }
    // RFC 4592, 2.2.2: names below it exist.
    let empty = name.zone_of(nsec.next_domain_name());
    Some(if empty { Denial::NoDelegation } else { Denial::Absent })
}

/// Whether the record says that nothing stands at `name` (RFC 4034, 4.1.1; RFC 6840, 4.1).
pub(super) fn nsec_covers(name: &Name, owner: &Name, nsec: &NSEC) -> bool {
    let next = nsec.next_domain_name();
    let above_cut = nsec.is_ancestor_delegation() && owner.zone_of(name);
    let in_gap = name > owner && (name < next || (next <= owner && next.zone_of(name)));
    in_gap && !above_cut
}

fn by_nsec3<'a>(
    name: &Name,
    nsec3s: impl Iterator<Item = (&'a Name, &'a NSEC3)>,
) -> impl Iterator<Item = Denial> {
    nsec3s.filter_map(move |(owner, nsec3)| {
        if !owner.base_name().zone_of(name) {
            return None;
        }
        if nsec3.iterations() > TRUSTED_ITERATIONS {
            return Some(Denial::OptedOut);
        }
        match nsec3_place(name, owner, nsec3)? {
            Place::At => by_types(|rtype| nsec3.type_set().contains(rtype)),
            Place::Between if nsec3.opt_out() => Some(Denial::OptedOut),
            Place::Between => Some(Denial::Absent),
        }
    })
}

/// Where a name's hash stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At the record.
    At,
    /// Between it and the next.
    Between,
}

/// Where `name`'s hash stands in relation to the record.
pub(super) fn nsec3_place(name: &Name, owner: &Name, nsec3: &NSEC3) -> Option<Place> {
    let hash = nsec3.hash_algorithm().hash(nsec3.salt(), name, nsec3.iterations()).ok()?;
    let hash = hash.as_ref();
    let label = owner.iter().next()?.to_ascii_lowercase();
    let from = data_encoding::BASE32_DNSSEC.decode(&label).ok()?;
    let next = nsec3.next_hashed_owner_name();
    if hash == from {
        return Some(Place::At);
    }
    let (after, before) = (hash > from.as_slice(), hash < next);
    // The last record's next is the first.
    let between = if from.as_slice() < next { after && before } else { after || before };
    between.then_some(Place::Between)
}

/// Whether the secure ones among `records` prove that no name between `name` and the wildcard that
/// it was made from exists: the wildcard was rightly used (RFC 4035, 5.3.4; RFC 5155, 8.8).
/// `labels` are those of the wildcard without its asterisk. `None` when it is not proven; whether
/// it is for certain otherwise, which opt-out leaves open.
pub(super) fn of_closer_names(name: &Name, labels: u8, records: &[Record]) -> Option<bool> {
    let next_closer = name.trim_to(usize::from(labels) + 1);
    records.iter().filter(|record| record.proof == Proof::Secure).find_map(|record| {
        match &record.data {
            RData::DNSSEC(DNSSECRData::NSEC(nsec)) => {
                (nsec_covers(&next_closer, &record.name, nsec)
                    && !next_closer.zone_of(nsec.next_domain_name()))
                .then_some(true)
            }
            RData::DNSSEC(DNSSECRData::NSEC3(nsec3)) => {
                if !record.name.base_name().zone_of(name) {
                    None
                } else if nsec3.iterations() > TRUSTED_ITERATIONS {
                    Some(false)
                } else {
                    (nsec3_place(&next_closer, &record.name, nsec3) == Some(Place::Between))
                        .then_some(!nsec3.opt_out())
                }
            }
            _ => None,
        }
    })
}

/// Whether the root says that it has no DS, as is right.
pub(super) fn is_bare_root(records: &[Record]) -> bool {
    records.iter().any(|record| match &record.data {
        RData::DNSSEC(DNSSECRData::NSEC(nsec)) => {
            record.proof == Proof::Secure
                && record.name.is_root()
                && !nsec.type_set().contains(RecordType::DS)
        }
        _ => false,
    })
}

/// Whether a denial of `name` rests on a record that leaves unsigned delegations out (RFC 5155,
/// 9.2: such an answer is not authenticated).
pub(super) fn rests_on_opt_out(name: &Name, nxdomain: bool, records: &[Record]) -> bool {
    let nsec3s = || {
        records.iter().filter_map(|record| match &record.data {
            RData::DNSSEC(DNSSECRData::NSEC3(nsec3)) => Some((&record.name, nsec3)),
            _ => None,
        })
    };
    if !nsec3s().any(|(_, nsec3)| nsec3.opt_out()) {
        return false;
    }
    let at = |(owner, nsec3)| nsec3_place(name, owner, nsec3) == Some(Place::At);
    nxdomain || !nsec3s().any(at)
}
