//! Record sets with their signatures, no more of them than an honest zone needs.
//!
//! A hostile zone can make a validator check thousands of signatures against hundreds of keys
//! (KeyTrap, CVE-2023-50387). What is cut off here is never looked at.

use std::collections::HashMap;

use hickory_proto::dnssec::rdata::{DNSSECRData, RRSIG};
use hickory_proto::op::Message;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

/// Signatures of one set. A zone that changes key and algorithm at once has four.
pub(super) const MAX_SIGNATURES: usize = 8;

/// Keys of one zone, and delegation signers of one.
const MAX_KEYS: usize = 48;

/// Sets of the authority section: the longest proof has three records and a SOA, and each alias on
/// the way that came from a wildcard adds one.
const MAX_PROOFS: usize = 16;

/// RFC 9276, 3.2: beyond this many iterations nothing is proven, and hashing is a waste.
pub(super) const MAX_ITERATIONS: u16 = 500;

/// All records of a name and type, and what signs them.
#[derive(Clone, Debug)]
pub(super) struct RrSet {
    pub(super) name: Name,
    pub(super) rtype: RecordType,
    pub(super) records: Vec<Record>,
    pub(super) signatures: Vec<Record>,
}

impl RrSet {
    /// The zone that signs it.
    pub(super) fn signer(&self) -> Option<&Name> {
        self.signatures.first().and_then(signature).map(|rrsig| &rrsig.input().signer_name)
    }

    /// Records and signatures.
    pub(super) fn all(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().chain(&self.signatures)
    }

    /// Whether a signature says that it was made from a wildcard (RFC 4035, 5.3.4).
    pub(super) fn is_expanded(&self) -> bool {
        self.signatures.iter().filter_map(signature).any(|rrsig| {
            usize::from(rrsig.input().num_labels) < usize::from(self.name.num_labels())
        })
    }
}

pub(super) fn signature(record: &Record) -> Option<&RRSIG> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) => Some(rrsig),
        _ => None,
    }
}

/// Sorts a section into sets, in order of appearance. All signatures of a set are by one signer at
/// or above it: a set belongs to one zone.
pub(super) fn sets(records: &[Record]) -> Vec<RrSet> {
    let mut index: HashMap<(&Name, RecordType), usize> = HashMap::new();
    let mut sets: Vec<RrSet> = Vec::new();
    let of_class = || records.iter().filter(|record| record.dns_class == DNSClass::IN);
    for record in of_class().filter(|record| signature(record).is_none()) {
        let rtype = record.record_type();
        let at = *index.entry((&record.name, rtype)).or_insert_with(|| {
            let (name, records) = (record.name.clone(), Vec::new());
            sets.push(RrSet { name, rtype, records, signatures: Vec::new() });
            sets.len() - 1
        });
        sets[at].records.push(record.clone());
    }
    for record in of_class() {
        let Some(rrsig) = signature(record) else { continue };
        let input = rrsig.input();
        let Some(set) = index.get(&(&record.name, input.type_covered)).map(|at| &mut sets[*at])
        else {
            continue;
        };
        // RFC 4035, 5.3.1; a DS belongs to the zone above its name.
        let above = input.signer_name.zone_of(&set.name)
            && (set.rtype != RecordType::DS || input.signer_name != set.name);
        let agrees = set.signer().is_none_or(|signer| *signer == input.signer_name);
        if above && agrees && set.signatures.len() < MAX_SIGNATURES {
            set.signatures.push(record.clone());
        }
    }
    sets
}

/// The sets of the authority section that can prove something.
pub(super) fn proofs(records: &[Record]) -> Vec<RrSet> {
    let mut sets = sets(records);
    sets.retain(|set| match set.rtype {
        RecordType::SOA | RecordType::NSEC => true,
        RecordType::NSEC3 => set.records.iter().all(|record| match &record.data {
            RData::DNSSEC(DNSSECRData::NSEC3(nsec3)) => nsec3.iterations() <= MAX_ITERATIONS,
            _ => false,
        }),
        _ => false,
    });
    sets.truncate(MAX_PROOFS);
    sets
}

/// A message about keys with nothing in it but what is asked for or proves that it is not there.
pub(super) fn lean(mut message: Message, name: &Name, rtype: RecordType) -> Message {
    let mut answers = sets(&message.answers);
    answers
        .retain(|set| set.name == *name && (set.rtype == rtype || set.rtype == RecordType::CNAME));
    for set in &mut answers {
        set.records.truncate(MAX_KEYS);
    }
    let proofs = proofs(&message.authorities);
    message.answers = answers.iter().flat_map(RrSet::all).cloned().collect();
    message.authorities = proofs.iter().flat_map(RrSet::all).cloned().collect();
    message.additionals = Vec::new();
    message
}
