//! Why signatures are no good, as far as can be told from outside.

use std::time::SystemTime;

use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData};
use hickory_proto::op::Message;
use hickory_proto::rr::{RData, Record, RecordType, SerialNumber};

use super::price::Keyring;
use super::rrset::{RrSet, sets, signature};
use crate::Bogus;

/// The reason why `set`, signed by the zone of `keys`, does not validate, when there is one to
/// be seen; else its signature is wrong or the proof does not fit. `ring` is made of the keys.
pub(super) fn reason(
    set: &RrSet,
    keys: &Message,
    ring: &Keyring,
    now: SerialNumber,
) -> Option<Bogus> {
    if set.signatures.is_empty() {
        return Some(Bogus::SignaturesMissing);
    }
    if let Some(why) = untimely(&set.signatures, now) {
        return Some(why);
    }
    let own = sets(&keys.answers);
    let Some(own) = own.iter().find(|set| set.rtype == RecordType::DNSKEY) else {
        return Some(Bogus::KeyMissing);
    };
    if own.signatures.is_empty() {
        return Some(Bogus::SignaturesMissing);
    }
    let fits =
        |record: &&Record| signature(record).is_some_and(|rrsig| ring.price(rrsig).is_some());
    if !set.signatures.iter().any(|record| fits(&record)) {
        return Some(Bogus::KeyMissing);
    }
    if own.records.iter().filter_map(dnskey).all(|key| !key.zone_key()) {
        return Some(Bogus::NoZoneKey);
    }
    if let Some(why) = untimely(&own.signatures, now) {
        return Some(why);
    }
    // The keys do not even fit together: none is one that the parent vouches for.
    let by_own = own.signatures.iter().any(|record| fits(&record));
    (!by_own).then_some(Bogus::KeyMissing)
}

pub(super) fn dnskey(record: &Record) -> Option<&DNSKEY> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::DNSKEY(key)) => Some(key),
        _ => None,
    }
}

/// The time of a signature (RFC 4034, 3.1.5: seconds, as serial numbers).
pub(super) fn serial(at: SystemTime) -> SerialNumber {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SerialNumber::new(since.as_secs() as u32)
}

fn untimely(signatures: &[Record], now: SerialNumber) -> Option<Bogus> {
    let inputs = || signatures.iter().filter_map(signature).map(|rrsig| rrsig.input());
    if inputs().all(|input| input.sig_expiration < now) {
        return Some(Bogus::Expired);
    }
    inputs().all(|input| input.sig_inception > now).then_some(Bogus::NotYetValid)
}
