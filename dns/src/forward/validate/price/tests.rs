use hickory_proto::dnssec::PublicKeyBuf;
use hickory_proto::dnssec::rdata::{NSEC3, sig::SigInput};
use hickory_proto::rr::RecordType;

use super::*;
use crate::forward::world::name;

fn now() -> SerialNumber {
    SerialNumber::new(1_000_000)
}

fn key(algorithm: Algorithm, bytes: &[u8]) -> DNSKEY {
    DNSKEY::new(true, false, false, PublicKeyBuf::new(bytes.to_vec(), algorithm))
}

fn rsa(modulus: usize) -> DNSKEY {
    let bytes = [&[3, 1, 0, 1][..], &vec![0xff; modulus]].concat();
    key(Algorithm::RSASHA256, &bytes)
}

fn message(keys: &[DNSKEY]) -> Message {
    let mut message = Message::query();
    let record = |key: &DNSKEY| {
        let data = RData::DNSSEC(DNSSECRData::DNSKEY(key.clone()));
        Record::from_rdata(name("zone."), 300, data)
    };
    message.answers = keys.iter().map(record).collect();
    message
}

/// By this key, as if made and ending so many seconds from now.
fn rrsig(by: &DNSKEY, made: i32, ends: i32) -> RRSIG {
    let at = |offset: i32| SerialNumber::new(1_000_000_u32.wrapping_add_signed(offset));
    let input = SigInput {
        type_covered: RecordType::A,
        algorithm: by.public_key().algorithm(),
        num_labels: 2,
        original_ttl: 300,
        sig_expiration: at(ends),
        sig_inception: at(made),
        key_tag: by.calculate_key_tag().expect("a tag"),
        signer_name: name("zone."),
    };
    RRSIG::from_sig(input, vec![1; 64])
}

/// So many records with these signatures.
fn set(records: usize, signatures: &[RRSIG]) -> RrSet {
    let address = |at| RData::A(std::net::Ipv4Addr::from_bits(at as u32).into());
    let own = name("www.zone.");
    let signed = |rrsig: &RRSIG| {
        let data = RData::DNSSEC(DNSSECRData::RRSIG(rrsig.clone()));
        Record::from_rdata(own.clone(), 300, data)
    };
    RrSet {
        name: own.clone(),
        rtype: RecordType::A,
        records: (0..records).map(|at| Record::from_rdata(own.clone(), 300, address(at))).collect(),
        signatures: signatures.iter().map(signed).collect(),
    }
}

fn by(set: &RrSet) -> Vec<Algorithm> {
    set.signatures.iter().filter_map(signature).map(|rrsig| rrsig.input().algorithm).collect()
}

fn ed25519(seed: u8) -> DNSKEY {
    key(Algorithm::ED25519, &[seed; 32])
}

fn p384(seed: u8) -> DNSKEY {
    key(Algorithm::ECDSAP384SHA384, &[seed; 96])
}

#[test]
fn keys_cost_by_their_algorithm_and_length() {
    for (key, price) in [
        (ed25519(1), Some(1)),
        (key(Algorithm::ECDSAP256SHA256, &[1; 64]), Some(1)),
        (p384(1), Some(6)),
        (rsa(128), Some(1)),
        (rsa(256), Some(1)),
        (rsa(384), Some(2)),
        (rsa(512), Some(3)),
        (rsa(513), None),
        (rsa(1024), None),
        // An exponent whose length takes three bytes; one that is cut off; nothing.
        (key(Algorithm::RSASHA512, &[&[0, 1, 0][..], &[1; 256], &[0xff; 512]].concat()), Some(3)),
        (key(Algorithm::RSASHA512, &[0, 9, 9, 1]), Some(1)),
        (key(Algorithm::RSASHA512, &[]), Some(1)),
    ] {
        let ring = Keyring::of(&message(std::slice::from_ref(&key)));
        assert_eq!(ring.price(&rrsig(&key, -1, 1)), price, "{key:?}");
    }
}

#[test]
fn of_a_crowd_of_keys_with_one_tag_none_is_tried() {
    // Equal keys have equal tags.
    for (keys, price) in [(0, None), (1, Some(6)), (2, Some(12)), (3, None), (40, None)] {
        let ring = Keyring::of(&message(&vec![p384(1); keys]));
        assert_eq!(ring.price(&rrsig(&p384(1), -1, 1)), price, "{keys}");
    }
    let ring = Keyring::of(&message(&[vec![p384(1); 3], vec![ed25519(1)]].concat()));
    let mut mixed = set(1, &[rrsig(&p384(1), -1, 1), rrsig(&ed25519(1), -1, 1)]);
    assert_eq!(afford(&mut mixed, &ring, now()), 1, "others sign as ever");
    assert_eq!(by(&mixed), [Algorithm::ED25519]);
}

#[test]
fn dear_signatures_are_fewer_and_cheap_ones_come_first() {
    let keys: Vec<DNSKEY> = (1..=6).map(ed25519).chain((1..=6).map(p384)).collect();
    let ring = Keyring::of(&message(&keys));
    let all: Vec<RRSIG> = keys.iter().rev().map(|key| rrsig(key, -1, 1)).collect();
    let mut cheap = set(1, &all);
    assert_eq!(afford(&mut cheap, &ring, now()), 4);
    assert_eq!(by(&cheap), [Algorithm::ED25519; MAX_CHECKED]);
    let mut dear = set(1, &all[..6]);
    assert_eq!(afford(&mut dear, &ring, now()), 6);
    assert_eq!(by(&dear), [Algorithm::ECDSAP384SHA384]);
    // A large set is encoded for each check.
    let mut large = set(2000, &all);
    assert_eq!(afford(&mut large, &ring, now()), 21);
    assert_eq!(by(&large), [Algorithm::ED25519]);
}

#[test]
fn signatures_out_of_their_time_take_no_ones_place() {
    let ring = Keyring::of(&message(&[p384(1)]));
    let expired = rrsig(&p384(1), -9, -1);
    let mut resigned = set(1, &[expired.clone(), rrsig(&p384(1), 1, 9), rrsig(&p384(1), -1, 9)]);
    assert_eq!(afford(&mut resigned, &ring, now()), 6);
    let left = resigned.signatures.iter().filter_map(signature);
    assert!(left.map(|rrsig| rrsig.input()).all(|input| input.sig_expiration > now()));
    // Nothing is left to be checked; what there is shows why.
    let mut late = set(1, &[expired]);
    assert_eq!((afford(&mut late, &ring, now()), late.signatures.len()), (0, 1));
}

#[test]
fn of_the_signatures_of_keys_only_those_count_that_the_parent_vouches_for() {
    let keys: Vec<DNSKEY> = (1..=8).map(p384).collect();
    let ring = Keyring::of(&message(&keys));
    let all: Vec<RRSIG> = keys.iter().map(|key| rrsig(key, -1, 1)).collect();
    let last = (keys[7].calculate_key_tag().expect("a tag"), Algorithm::ECDSAP384SHA384);
    let mut own = set(8, &all);
    assert_eq!(afford_keys(&mut own, &ring, now(), Some(&[last])), 6);
    let left = own.signatures.first().and_then(signature).expect("a signature");
    assert_eq!(left.input().key_tag, last.0, "although it came last");
    let mut any = set(8, &all);
    assert_eq!(afford_keys(&mut any, &ring, now(), None), KEYS_BUDGET);
    let mut none = set(8, &all);
    assert_eq!(afford_keys(&mut none, &ring, now(), Some(&[(1, Algorithm::ED25519)])), 0);
}

#[test]
fn the_sets_of_a_denial_are_paid_for_together() {
    assert_eq!(of_proof(&[6, 6, 6, 6]), Ok(24));
    assert_eq!(of_proof(&[1; 16]), Ok(16));
    assert_eq!(of_proof(&[8; 16]), Err(FailureKind::TooMuch));
}

#[test]
fn hashing_costs_by_iterations_salt_and_the_names_to_be_hashed() {
    let nsec3 = |iterations, salt| {
        let next = vec![1; 20];
        let data = NSEC3::new(
            hickory_proto::dnssec::Nsec3HashAlgorithm::SHA1,
            false,
            iterations,
            vec![7; salt],
            next,
            [RecordType::A],
        );
        let owner = name("00000000000000000000000000000000.zone.");
        Record::from_rdata(owner, 300, RData::DNSSEC(DNSSECRData::NSEC3(data)))
    };
    let deep = |labels| name(&format!("{}zone.", "a.".repeat(labels)));
    let price = |labels, iterations, salt| {
        of_denial(&deep(labels), &name("zone."), [nsec3(iterations, salt)].iter())
    };
    assert_eq!(price(1, 0, 0), Ok(0));
    assert_eq!(price(120, 0, 255), Ok(1));
    // The reverse name of an IPv6 address, hashed as often as is believed.
    assert_eq!(price(34, TRUSTED_ITERATIONS, 8), Ok(3));
    assert_eq!(price(34, TRUSTED_ITERATIONS, 255), Err(FailureKind::TooMuch));
    assert_eq!(price(120, TRUSTED_ITERATIONS, 0), Err(FailureKind::TooMuch));
    // What is hashed more often is not hashed at all.
    assert_eq!(price(120, TRUSTED_ITERATIONS + 1, 255), Ok(0));
    assert_eq!(of_hashes(&vec![nsec3(TRUSTED_ITERATIONS, 255); 16]), 51 * 5 * 16 / BLOCKS);
}
