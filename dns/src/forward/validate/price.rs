//! What it costs to look at signatures and denials, and which of them are worth it.
//!
//! Prices are in units of about a tenth of a millisecond of one core: what one check of Ed25519,
//! P-256 or RSA with 2048 bits takes at most.

use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, RRSIG};
use hickory_proto::dnssec::{Algorithm, PublicKey};
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, Record, SerialNumber};

use super::denial::TRUSTED_ITERATIONS;
use super::reason::dnskey;
use super::rrset::{RrSet, signature};
use crate::cache::FailureKind;

/// Signatures of one set that are checked, of those that fit one of the zone's keys.
const MAX_CHECKED: usize = 4;

/// What those may cost in all; the first is checked whatever it costs.
const BUDGET: u32 = 8;

/// The same for a zone's keys, which have a signature for each key that the parent vouches for.
const KEYS_BUDGET: u32 = 12;

/// Keys with one tag and algorithm. Honest zones have one; two can happen to those that do not look.
const MAX_COLLIDING: usize = 2;

/// What the signatures of all sets of one denial may cost: they are checked in one go, wrong or not.
/// Three records and a SOA, each signed with P-384, cost 24.
const PROOF_BUDGET: u32 = 48;

/// Records that are encoded, sorted and hashed for the price of one.
const RECORDS: usize = 100;

/// Blocks of SHA-1 for the price of one.
const BLOCKS: u32 = 1400;

/// How often hickory hashes each name on the way from a name to its zone.
const PASSES: u32 = 3;

/// What the hashes of one denial may cost.
const MAX_HASHING: u32 = 8;

/// The keys of a zone, as far as signatures name them, and what a check with each costs.
pub(super) struct Keyring(Vec<(u16, Algorithm, Option<u32>)>);

impl Keyring {
    pub(super) fn of(keys: &Message) -> Self {
        let keys = keys.answers.iter().filter_map(dnskey).filter_map(|key| {
            Some((key.calculate_key_tag().ok()?, key.public_key().algorithm(), of_key(key)))
        });
        Self(keys.collect())
    }

    /// What it costs at most to see that this signature of one record is wrong, or `None` when there is
    /// no key for it that is used here.
    pub(super) fn price(&self, rrsig: &RRSIG) -> Option<u32> {
        self.check(rrsig, 0)
    }

    fn check(&self, rrsig: &RRSIG, size: u32) -> Option<u32> {
        let input = rrsig.input();
        let fitting = self
            .0
            .iter()
            .filter(|(tag, algorithm, _)| *tag == input.key_tag && *algorithm == input.algorithm);
        let prices: Vec<u32> = fitting.map(|(_, _, price)| *price).collect::<Option<_>>()?;
        // Which of a crowd is meant would have to be found out by trying (CVE-2023-50387).
        let few = (1..=MAX_COLLIDING).contains(&prices.len());
        few.then(|| prices.iter().map(|price| price + size).sum())
    }
}

/// What one check with this key costs, or `None` when it is not used: RSA keys end at 4096 bits
/// (RFC 3110, 2).
fn of_key(key: &DNSKEY) -> Option<u32> {
    let key = key.public_key();
    match key.algorithm() {
        Algorithm::ECDSAP384SHA384 => Some(6),
        Algorithm::RSASHA256 | Algorithm::RSASHA512 => of_modulus(key.public_bytes()),
        #[allow(deprecated, reason = "still checked")]
        Algorithm::RSASHA1 | Algorithm::RSASHA1NSEC3SHA1 => of_modulus(key.public_bytes()),
        // Cheap, or not checked at all.
        _ => Some(1),
    }
}

/// The same by the length of the modulus, which stands behind the exponent and its length
/// (RFC 3110, 2).
fn of_modulus(key: &[u8]) -> Option<u32> {
    let exponent = match *key {
        [0, high, low, ..] => 3 + usize::from(u16::from_be_bytes([high, low])),
        [len, ..] => 1 + usize::from(len),
        [] => 0,
    };
    match key.len().saturating_sub(exponent) {
        0..=256 => Some(1),
        257..=384 => Some(2),
        385..=512 => Some(3),
        _ => None,
    }
}

/// Leaves those signatures of a set that are worth a check, the cheapest first, and tells what that
/// costs at most. Where there are none it is 0, and all are left: they show what is wrong.
pub(super) fn afford(set: &mut RrSet, ring: &Keyring, now: SerialNumber) -> u32 {
    choose(set, ring, now, BUDGET, |_| true)
}

/// The same for a zone's own keys, of which only those sign that its parent has a DS for, if it is
/// known which.
pub(super) fn afford_keys(
    set: &mut RrSet,
    ring: &Keyring,
    now: SerialNumber,
    vouched: Option<&[(u16, Algorithm)]>,
) -> u32 {
    choose(set, ring, now, KEYS_BUDGET, |rrsig| {
        let by = (rrsig.input().key_tag, rrsig.input().algorithm);
        vouched.is_none_or(|vouched| vouched.contains(&by))
    })
}

fn choose(
    set: &mut RrSet,
    ring: &Keyring,
    now: SerialNumber,
    budget: u32,
    meant: impl Fn(&RRSIG) -> bool,
) -> u32 {
    let size = (set.records.len() / RECORDS) as u32;
    let priced = set.signatures.iter().filter_map(|record| {
        let rrsig = signature(record).filter(|rrsig| meant(rrsig))?;
        let input = rrsig.input();
        let timely = input.sig_inception <= now && now <= input.sig_expiration;
        Some((ring.check(rrsig, size).filter(|_| timely)?, record.clone()))
    });
    let mut priced: Vec<(u32, Record)> = priced.collect();
    if priced.is_empty() {
        return 0;
    }
    priced.sort_by_key(|(price, _)| *price);
    let mut spent = 0;
    let affordable = priced.into_iter().take(MAX_CHECKED).take_while(|(price, _)| {
        let first = spent == 0;
        spent += price;
        first || spent <= budget
    });
    let (prices, signatures): (Vec<u32>, Vec<Record>) = affordable.unzip();
    set.signatures = signatures;
    prices.iter().sum()
}

/// The keys that a zone's parent vouches for, when it has said so.
pub(super) fn vouched(delegation: &Message) -> Option<Vec<(u16, Algorithm)>> {
    let signers = delegation.answers.iter().filter_map(|record| match &record.data {
        RData::DNSSEC(DNSSECRData::DS(ds)) => Some((ds.key_tag(), ds.algorithm())),
        _ => None,
    });
    Some(signers.collect()).filter(|signers: &Vec<_>| !signers.is_empty())
}

/// What the signatures of a denial cost whose sets cost so much, or that it is too much.
pub(super) fn of_proof(sets: &[u32]) -> Result<u32, FailureKind> {
    let all = sets.iter().sum();
    if all > PROOF_BUDGET { Err(FailureKind::TooMuch) } else { Ok(all) }
}

/// What it costs to look for `name` and the names between it and its zone among these records, or
/// that nobody should (CVE-2023-50868).
pub(super) fn of_denial<'a>(
    name: &Name,
    zone: &Name,
    records: impl Iterator<Item = &'a Record>,
) -> Result<u32, FailureKind> {
    let names = 2 + u32::from(name.num_labels().saturating_sub(zone.num_labels()));
    let price = names * PASSES * records.map(blocks).max().unwrap_or(0) / BLOCKS;
    if price > MAX_HASHING { Err(FailureKind::TooMuch) } else { Ok(price) }
}

/// What it costs to hash one name as each of these records wants it.
pub(super) fn of_hashes(records: &[Record]) -> u32 {
    records.iter().map(blocks).sum::<u32>() / BLOCKS
}

/// Blocks of SHA-1 that are computed to hash a name as this record wants it (RFC 5155, 5).
fn blocks(record: &Record) -> u32 {
    match &record.data {
        RData::DNSSEC(DNSSECRData::NSEC3(nsec3)) if nsec3.iterations() <= TRUSTED_ITERATIONS => {
            // The hash before, the salt, and at least nine bytes of padding.
            let each = (20 + nsec3.salt().len() as u32 + 9).div_ceil(64);
            (u32::from(nsec3.iterations()) + 1) * each
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
