//! What of an upstream's answer belongs to its question: the chain of aliases from the asked name on
//! with the records at its end, and the proofs. Nothing else is believed, nor kept.

use std::borrow::Cow;
use std::collections::HashSet;

use hickory_proto::op::Query as Asked;
use hickory_proto::rr::{DNSClass, Name as HickoryName, RData, Record, RecordType};
use hickory_proto::serialize::binary::BinEncodable;

use crate::name::Name;
use crate::protection::{is_private_v4, is_private_v6};
use crate::wire::{hints_inside, service_target};

/// Aliases followed inside one answer, ...
const MAX_CHAIN: usize = 16;

/// ... and looked at, DNAMEs included.
const MAX_ALIASES: usize = 32;

/// The records that the asked name leads to through its aliases, in order, the names they lead to
/// on the way, and the last of them. `None` when they lead nowhere: round in a circle, or on and on.
pub(super) fn chain(
    asked: &Asked,
    records: Vec<Record>,
    dnssec_ok: bool,
) -> Option<(Vec<Record>, Box<[Name]>, HickoryName)> {
    // Before any alias is followed: one of another class leads nowhere.
    let records: Vec<Record> =
        records.into_iter().filter(|r| r.dns_class == DNSClass::IN).collect();
    let is_alias = |r: &Record| matches!(r.data, RData::CNAME(_));
    let is_dname = |r: &Record| is_type(r, crate::RecordType::DNAME);
    if records.iter().filter(|r| is_alias(r) || is_dname(r)).count() > MAX_ALIASES {
        return None;
    }
    let mut names = vec![asked.name().clone()];
    let mut targets: Vec<Name> = Vec::new();
    // In whatever order they stand.
    let mut at = 0;
    while let Some(name) = names.get(at).cloned() {
        for record in &records {
            let RData::CNAME(target) = &record.data else { continue };
            if record.name == name && !names.contains(&target.0) && names.len() < MAX_CHAIN {
                names.push(target.0.clone());
                targets.extend(to_name(&target.0));
            }
        }
        at += 1;
    }
    let end = match asked.query_type() {
        RecordType::CNAME => asked.name(),
        _ => names.last()?,
    };
    if asked.query_type() != RecordType::CNAME
        && records.iter().any(|r| is_alias(r) && r.name == *end)
    {
        return None;
    }
    let end = end.clone();
    // There may be many records, with long names.
    let reached: HashSet<&HickoryName> = names.iter().collect();
    let kept: Vec<Record> = records
        .into_iter()
        .map(|mut record| {
            // The case of its letters may be the random one that was sent upstream; equal to the
            // question's, the encoder makes it a pointer to that.
            if record.name == *asked.name() {
                record.name = asked.name().clone();
            }
            record
        })
        .filter(|r| {
            // RFC 6672, 3.1: the DNAME that an alias was made from stands above the alias.
            let above = || names.iter().any(|name| r.name.zone_of(name));
            reached.contains(&r.name) || (is_dname(r) && above())
        })
        .filter(|r| dnssec_ok || !is_signature(r) || r.record_type() == asked.query_type())
        .collect();
    for record in &kept {
        if let Some(service) = service(record)
            && let Some(target) = service_target(&service)
        {
            targets.extend(Name::from_wire(&target));
        }
    }
    Some((kept, targets.into(), end))
}

pub(crate) fn to_name(name: &HickoryName) -> Option<Name> {
    let mut wire = Vec::with_capacity(name.len());
    for label in name {
        wire.push(u8::try_from(label.len()).ok()?);
        wire.extend_from_slice(label);
    }
    wire.push(0);
    Name::from_wire(&wire)
}

/// Whether a record holds a private address, or hints at one (RFC 9460, 7.3).
pub(super) fn leads_inside(record: &Record) -> bool {
    match &record.data {
        RData::A(a) => is_private_v4(a.0),
        RData::AAAA(aaaa) => is_private_v6(aaaa.0),
        _ => service(record).is_some_and(|service| hints_inside(&service)),
    }
}

/// The data of a record that names a service (RFC 9460).
fn service(record: &Record) -> Option<Cow<'_, [u8]>> {
    if !is_type(record, crate::RecordType::SVCB) && !is_type(record, crate::RecordType::HTTPS) {
        return None;
    }
    Some(match &record.data {
        RData::Unknown { rdata, .. } => Cow::from(&rdata.anything),
        data => Cow::from(data.to_bytes().unwrap_or_default()),
    })
}

/// Whether a record of the authority section is kept: the SOA that makes an answer negative (RFC
/// 2308), and the proofs that a validating client wants.
pub(super) fn belongs(record: &Record, negative: bool, dnssec_ok: bool) -> bool {
    let is_soa = matches!(record.data, RData::SOA(_));
    (negative && is_soa) || (dnssec_ok && (is_signature(record) || is_denial(record)))
}

fn is_signature(record: &Record) -> bool {
    is_type(record, crate::RecordType::RRSIG)
}

fn is_denial(record: &Record) -> bool {
    is_type(record, crate::RecordType::NSEC) || is_type(record, crate::RecordType::NSEC3)
}

fn is_type(record: &Record, rtype: crate::RecordType) -> bool {
    u16::from(record.record_type()) == rtype.0
}
