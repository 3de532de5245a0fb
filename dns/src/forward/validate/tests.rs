use std::sync::Arc;
use std::sync::atomic::Ordering;

use hickory_proto::dnssec::rdata::{DNSSECRData, RRSIG};
use hickory_proto::op::{Query as Asked, ResponseCode};
use hickory_proto::rr::RData;

use super::*;
use crate::forward::world::{Denies, World, Zone as Signed, name};
use crate::{Bogus, TrustAnchors};

mod costly;
mod root_keys;
mod serving;

const NSEC3: Denies = Denies::Nsec3 { opt_out: false, iterations: 0 };
const OPT_OUT: Denies = Denies::Nsec3 { opt_out: true, iterations: 0 };

/// Data that the library would refuse a whole message for.
const ODD: [(&str, u16, &[u8]); 4] = [
    ("empty.good.test.", 65_280, b""),
    ("service.good.test.", 65, b"\0\x01\0\0\x03\0\x02\x01\xbb\0\x01\0\x03\x02h2"),
    ("hyphen.good.test.", 257, b"\0\x03a-bx"),
    ("key.good.test.", 60, b"\x01\x01\x02\x0f\0"),
];

/// root -> test. -> good.test. and others, some broken.
fn world() -> World {
    let mut good = Signed::new("good.test.", Denies::Nsec)
        .a("good.test.")
        .a("www.good.test.")
        .a("a.b.good.test.")
        .a("*.wild.good.test.")
        .a("x.y.wild.good.test.")
        .alias("alias.good.test.", "www.good.test.")
        .alias("out.good.test.", "www.plain.test.")
        .alias("hashed.good.test.", "www.nsec3.test.")
        .alias("nowhere.good.test.", "nothing.nsec3.test.")
        .alias("bad.good.test.", "www.expired.test.")
        .alias("*.aliases.good.test.", "www.nsec3.test.")
        .alias("loop1.good.test.", "loop2.good.test.")
        .alias("loop2.good.test.", "loop1.good.test.")
        .dname("old.good.test.", "nsec3.test.");
    // Nor may a key of another protocol spoil those beside it (RFC 4034, 2.1.2).
    for (owner, rtype, bytes) in ODD.into_iter().chain([("good.test.", 48, ODD[3].2)]) {
        let mut rdata = hickory_proto::rr::rdata::NULL::new();
        rdata.anything = bytes.to_vec();
        good.put(&name(owner), RData::Unknown { code: rtype.into(), rdata });
    }
    let nsec3 = Signed::new("nsec3.test.", NSEC3)
        .a("nsec3.test.")
        .a("www.nsec3.test.")
        .a("a.b.nsec3.test.")
        .a("*.wild.nsec3.test.");
    let many = Signed::new("many.test.", Denies::Nsec3 { opt_out: false, iterations: 150 })
        .a("www.many.test.");
    let plain = Signed::new("plain.test.", Denies::Nsec)
        .unsigned()
        .a("www.plain.test.")
        .alias("to.plain.test.", "www.good.test.");
    let below = Signed::new("below.plain.test.", Denies::Nsec).a("www.below.plain.test.");
    let lone = Signed::new("lone.test.", Denies::Nsec).a("www.lone.test.");
    let expired = Signed::new("expired.test.", Denies::Nsec).a("www.expired.test.").valid(-90, -30);
    let future = Signed::new("future.test.", Denies::Nsec).a("www.future.test.").valid(600, 900);
    let other = Signed::new("other.test.", Denies::Nsec).a("www.other.test.");
    let stranger = Signed::new("other.test.", Denies::Nsec);
    let opted = Signed::new("opted.", OPT_OUT);
    let inner = Signed::new("inner.opted.", Denies::Nsec).unsigned().a("www.inner.opted.");
    let signed = Signed::new("signed.opted.", Denies::Nsec).a("www.signed.opted.");
    let opted = opted.delegates(&inner).delegates(&signed);
    let test = Signed::new("test.", Denies::Nsec)
        .delegates(&good)
        .delegates(&nsec3)
        .delegates(&many)
        .delegates(&plain)
        .delegates(&expired)
        .delegates(&future)
        .delegates(&stranger);
    let mut test = test;
    test.put(&name("lone.test."), RData::NS(hickory_proto::rr::rdata::NS(lone.server())));
    let root = Signed::new(".", Denies::Nsec).delegates(&test).delegates(&opted);
    World::new(vec![
        root, test, good, nsec3, many, plain, below, lone, expired, future, other, opted, inner,
        signed,
    ])
}

fn anchors(world: &World) -> TrustAnchors {
    let key = data_encoding::BASE64.encode(hickory_proto::dnssec::PublicKey::public_bytes(
        world.zone(".").dnskey.public_key(),
    ));
    TrustAnchors::parse(&format!(". IN DNSKEY 257 3 15 {key}")).expect("an anchor")
}

fn validator(world: &Arc<World>) -> Validator {
    let settings = Dnssec { anchors: anchors(world), ..Dnssec::default() };
    Validator::new(world.clone(), Arc::new(settings), false)
}

fn plain(text: &str, rtype: RecordType) -> Lookup {
    Lookup { name: name(text), rtype, dnssec_ok: false, cd: false }
}

async fn verdict(validator: &Validator, text: &str, rtype: RecordType) -> Validation {
    match validator.resolve(plain(text, rtype)).await {
        Ok(checked) => {
            assert_eq!(
                checked.message.metadata.authentic_data,
                checked.validation == Validation::Secure
            );
            checked.validation
        }
        Err(FailureKind::Bogus(why)) => Validation::Bogus(why),
        Err(why) => panic!("{text} {rtype}: {why:?}"),
    }
}

#[tokio::test]
async fn records_that_the_library_refuses_are_proven_as_bytes() {
    let world = Arc::new(world());
    let validator = validator(&world);
    for (owner, rtype, bytes) in ODD {
        let found = validator.resolve(plain(owner, rtype.into())).await.expect(owner);
        assert_eq!(found.validation, Validation::Secure, "{owner}");
        let data = &found.message.answers[0].data;
        assert!(matches!(data, RData::Unknown { rdata, .. } if rdata.anything == bytes), "{owner}");
    }
    world.tamper(|_, message| {
        for record in &mut message.answers {
            if let RData::Unknown { rdata, .. } = &mut record.data {
                rdata.anything.push(b'x');
            }
        }
    });
    let validator = super::tests::validator(&world);
    for (owner, rtype, _) in ODD {
        let found = verdict(&validator, owner, rtype.into()).await;
        assert!(matches!(found, Validation::Bogus(_)), "{owner}: {found:?}");
    }
}

async fn expect(table: &[(&str, RecordType, Validation)]) {
    let world = Arc::new(world());
    let validator = validator(&world);
    let mut wrong = Vec::new();
    for (name, rtype, expected) in table {
        let found = verdict(&validator, name, *rtype).await;
        if found != *expected {
            wrong.push(format!("{name} {rtype}: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

use RecordType::{A, AAAA, CNAME, DNSKEY, DS, MX, NS, SOA};
use Validation::{Bogus as Bad, Insecure, Secure};

#[tokio::test]
async fn what_is_signed_is_secure() {
    expect(&[
        ("www.good.test.", A, Secure),
        ("WWW.Good.test.", A, Secure),
        ("good.test.", SOA, Secure),
        ("good.test.", DNSKEY, Secure),
        ("good.test.", DS, Secure),
        ("good.test.", NS, Secure),
        ("test.", NS, Secure),
        (".", DNSKEY, Secure),
        (".", NS, Secure),
        ("www.nsec3.test.", A, Secure),
        ("www.signed.opted.", A, Secure),
        ("signed.opted.", DS, Secure),
    ])
    .await;
}

#[tokio::test]
async fn aliases_are_proven_each_in_its_own_zone() {
    expect(&[
        ("alias.good.test.", A, Secure),
        ("alias.good.test.", CNAME, Secure),
        ("alias.good.test.", AAAA, Secure),
        ("hashed.good.test.", A, Secure),
        ("hashed.good.test.", AAAA, Secure),
        ("nowhere.good.test.", A, Secure),
        ("out.good.test.", A, Insecure),
        ("out.good.test.", AAAA, Insecure),
        ("to.plain.test.", A, Insecure),
        ("bad.good.test.", A, Bad(Bogus::Expired)),
        ("some.aliases.good.test.", A, Secure),
        ("some.aliases.good.test.", MX, Secure),
        ("www.old.good.test.", A, Secure),
        ("www.old.good.test.", AAAA, Secure),
        ("not.old.good.test.", A, Secure),
    ])
    .await;
}

#[tokio::test]
async fn what_does_not_exist_is_secure_when_proven() {
    expect(&[
        ("www.good.test.", AAAA, Secure),
        ("none.good.test.", A, Secure),
        ("b.good.test.", A, Secure), // no records, but names below
        ("a.none.b.good.test.", A, Secure),
        ("www.good.test.", DS, Secure),
        ("www.nsec3.test.", AAAA, Secure),
        ("none.nsec3.test.", A, Secure),
        ("b.nsec3.test.", A, Secure),
        ("a.none.b.nsec3.test.", A, Secure),
        ("nsec3.test.", MX, Secure),
        ("www.nsec3.test.", DS, Secure),
        ("none.test.", A, Secure),
        ("none.", A, Secure),
        ("plain.test.", DS, Secure),
        (".", DS, Secure),
    ])
    .await;
}

#[tokio::test]
async fn wildcards_are_proven_to_be_the_closest() {
    expect(&[
        ("any.wild.good.test.", A, Secure),
        ("more.any.wild.good.test.", A, Secure),
        ("any.wild.good.test.", AAAA, Secure),
        ("any.wild.nsec3.test.", A, Secure),
        ("more.any.wild.nsec3.test.", A, Secure),
        ("any.wild.nsec3.test.", AAAA, Secure),
        ("*.wild.good.test.", A, Secure),
        ("y.wild.good.test.", A, Secure),
        ("z.y.wild.good.test.", A, Secure),
    ])
    .await;
}

#[tokio::test]
async fn unsigned_zones_are_insecure_when_their_parent_says_so() {
    expect(&[
        ("www.plain.test.", A, Insecure),
        ("www.plain.test.", AAAA, Insecure),
        ("none.plain.test.", A, Insecure),
        ("plain.test.", SOA, Insecure),
        // Signed, but nobody vouches for its keys.
        ("www.below.plain.test.", A, Insecure),
        ("www.lone.test.", A, Insecure),
        ("none.lone.test.", A, Insecure),
        // RFC 5155, 6: opted out.
        ("www.inner.opted.", A, Insecure),
        ("none.inner.opted.", A, Insecure),
        ("none.opted.", A, Insecure),
        // RFC 9276, 3.2.
        ("none.many.test.", A, Insecure),
        ("www.many.test.", A, Secure),
    ])
    .await;
}

#[tokio::test]
async fn a_bogus_answer_has_its_reason() {
    expect(&[
        ("www.expired.test.", A, Bad(Bogus::Expired)),
        ("none.expired.test.", A, Bad(Bogus::Expired)),
        ("www.future.test.", A, Bad(Bogus::NotYetValid)),
        // The parent vouches for other keys than the zone has.
        ("www.other.test.", A, Bad(Bogus::Signature)),
    ])
    .await;
}

/// What becomes of `text` when answers to it are changed on their way.
async fn tampered(
    text: &'static str,
    rtype: RecordType,
    with: impl Fn(&mut Message) + Send + Sync + 'static,
) -> Validation {
    let world = Arc::new(world());
    let validator = validator(&world);
    assert_eq!(verdict(&validator, "www.nsec3.test.", A).await, Secure, "the chain is known");
    world.tamper(move |lookup, message| {
        if lookup.name == name(text) {
            with(message);
        }
    });
    verdict(&validator, text, rtype).await
}

fn strip(message: &mut Message) {
    message.answers.retain(|record| signature(record).is_none());
    message.authorities.retain(|record| {
        !matches!(record.record_type(), RecordType::RRSIG | RecordType::NSEC | RecordType::NSEC3)
    });
}

fn forged() -> RData {
    RData::A(std::net::Ipv4Addr::new(203, 0, 113, 66).into())
}

#[tokio::test]
async fn a_forged_record_is_bogus() {
    let forge = |message: &mut Message| message.answers[0].data = forged();
    assert_eq!(tampered("www.good.test.", A, forge).await, Bad(Bogus::Signature));
    let add = |message: &mut Message| {
        let mut record = message.answers[0].clone();
        record.data = forged();
        message.answers.push(record);
    };
    assert_eq!(tampered("www.good.test.", A, add).await, Bad(Bogus::Signature));
    assert_eq!(tampered("www.good.test.", A, strip).await, Bad(Bogus::SignaturesMissing));
}

#[tokio::test]
async fn a_forged_denial_is_bogus() {
    // Nothing at all, although there is something.
    let nothing = |message: &mut Message| {
        message.answers.clear();
        message.metadata.response_code = ResponseCode::NXDomain;
    };
    assert_eq!(tampered("www.good.test.", A, nothing).await, Bad(Bogus::ProofMissing));
    // With the proof that some other name does not exist.
    let other = |with: &'static str, rcode: ResponseCode| {
        move |message: &mut Message| {
            *message = world_of(with);
            message.queries[0] = Asked::query(name("www.good.test."), A);
            message.metadata.response_code = rcode;
        }
    };
    for rcode in [ResponseCode::NXDomain, ResponseCode::NoError] {
        let found = tampered("www.good.test.", A, other("none.good.test.", rcode)).await;
        assert!(matches!(found, Bad(_)), "{rcode}: {found:?}");
    }
    assert_eq!(tampered("none.good.test.", A, strip).await, Bad(Bogus::ProofMissing));
    assert_eq!(tampered("none.nsec3.test.", A, strip).await, Bad(Bogus::ProofMissing));
    // NXDOMAIN for a name that only lacks the type.
    let gone = |message: &mut Message| message.metadata.response_code = ResponseCode::NXDomain;
    assert!(matches!(tampered("www.good.test.", AAAA, gone).await, Bad(_)));
    assert!(matches!(tampered("www.nsec3.test.", AAAA, gone).await, Bad(_)));
}

/// The answer of another world, whose keys are others.
fn world_of(text: &str) -> Message {
    world().answer(&name(text), A)
}

#[tokio::test]
async fn a_delegation_cannot_be_stripped() {
    // The DS is denied without proof, and the answer comes unsigned.
    let world = Arc::new(world());
    let validator = validator(&world);
    world.tamper(|lookup, message| {
        if lookup.rtype == DS && lookup.name == name("good.test.") {
            message.answers.clear();
        }
        if lookup.name == name("www.good.test.") {
            strip(message);
            message.answers[0].data = forged();
        }
    });
    assert_eq!(verdict(&validator, "www.good.test.", A).await, Bad(Bogus::SignaturesMissing));
    // With the true denial of another's.
    let lent = world.answer(&name("plain.test."), DS);
    world.tamper(move |lookup, message| {
        if lookup.rtype == DS && lookup.name == name("nsec3.test.") {
            message.answers.clear();
            message.authorities = lent.authorities.clone();
        }
        if lookup.name == name("www.nsec3.test.") {
            strip(message);
        }
    });
    assert_eq!(verdict(&validator, "www.nsec3.test.", A).await, Bad(Bogus::ProofMissing));
}

#[tokio::test]
async fn keys_that_are_missing_are_named_as_the_reason() {
    type Change = fn(&mut Message);
    let cases: [(Change, Bogus); 3] = [
        (|message| message.answers.clear(), Bogus::KeyMissing),
        (strip, Bogus::SignaturesMissing),
        (
            |message| {
                let stranger = Signed::new("good.test.", Denies::Nsec);
                let data = RData::DNSSEC(DNSSECRData::DNSKEY(stranger.dnskey.clone()));
                let key = Record::from_rdata(name("good.test."), 300, data);
                let rrsig = stranger.sign(&key.name, DNSKEY, std::slice::from_ref(&key));
                let rrsig = RData::DNSSEC(DNSSECRData::RRSIG(rrsig));
                let rrsig = Record::from_rdata(name("good.test."), 300, rrsig);
                message.answers = vec![key, rrsig];
            },
            Bogus::KeyMissing,
        ),
    ];
    for (change, why) in cases {
        let world = Arc::new(world());
        world.tamper(move |lookup, message| {
            if lookup.rtype == DNSKEY && lookup.name == name("good.test.") {
                change(message);
            }
        });
        assert_eq!(verdict(&validator(&world), "www.good.test.", A).await, Bad(why));
    }
}

#[tokio::test]
async fn a_zone_recovers_as_soon_as_it_is_repaired() {
    let world = Arc::new(world());
    let validator = validator(&world);
    world.tamper(|lookup, message| {
        if lookup.rtype == DNSKEY && lookup.name == name("good.test.") {
            strip(message);
        }
    });
    assert!(matches!(verdict(&validator, "www.good.test.", A).await, Bad(_)));
    world.heal();
    assert_eq!(verdict(&validator, "www.good.test.", A).await, Secure);
}

#[tokio::test]
async fn records_that_nobody_asked_for_are_not_vouched_for() {
    let world = Arc::new(world());
    let validator = validator(&world);
    world.tamper(|lookup, message| {
        if lookup.name == name("www.good.test.") && lookup.rtype == A {
            let mut text = message.answers[0].clone();
            text.data = RData::TXT(hickory_proto::rr::rdata::TXT::new(vec!["no".to_owned()]));
            message.answers.push(text.clone());
            message.authorities.push(text);
        }
    });
    let checked = validator.resolve(plain("www.good.test.", A)).await.expect("an answer");
    assert_eq!(checked.validation, Secure);
    let mut all = checked.message.answers.iter().chain(&checked.message.authorities);
    assert!(all.all(|record| record.record_type() != RecordType::TXT));
}

#[tokio::test]
async fn aliases_in_a_circle_are_an_error() {
    let world = Arc::new(world());
    let found = validator(&world).resolve(plain("loop1.good.test.", A)).await;
    assert_eq!(found.err(), Some(FailureKind::Circle));
}

#[tokio::test]
async fn an_unchecked_question_is_not_checked() {
    let world = Arc::new(world());
    let lookup = Lookup { cd: true, ..plain("www.expired.test.", A) };
    let checked = validator(&world).resolve(lookup).await.expect("the answer as it is");
    assert_eq!(checked.validation, Validation::Unchecked);
    assert!(!checked.message.metadata.authentic_data);
    assert_eq!(world.asked(), ["www.expired.test. A"]);
    let settings = Dnssec { mode: DnssecMode::Off, anchors: anchors(&world), ..Dnssec::default() };
    let off = Validator::new(world.clone(), Arc::new(settings), false);
    assert_eq!(off.state(), DnssecState::Off);
    assert_eq!(verdict(&off, "www.expired.test.", A).await, Validation::Unchecked);
}

#[tokio::test]
async fn a_negative_anchor_exempts_a_name_and_aliases_into_it() {
    let world = Arc::new(world());
    let negative = crate::NegativeAnchor { name: "expired.test".parse().expect(""), until: None };
    let negative = vec![negative];
    let settings = Dnssec { anchors: anchors(&world), negative, ..Dnssec::default() };
    let validator = Validator::new(world.clone(), Arc::new(settings), false);
    assert_eq!(verdict(&validator, "www.expired.test.", A).await, Validation::Unchecked);
    assert_eq!(verdict(&validator, "bad.good.test.", A).await, Insecure);
    assert_eq!(verdict(&validator, "www.future.test.", A).await, Bad(Bogus::NotYetValid));
}

#[tokio::test]
async fn a_cold_name_costs_few_questions_and_a_warm_one_none() {
    let world = Arc::new(world());
    let validator = validator(&world);
    verdict(&validator, "www.nsec3.test.", A).await;
    world.asked();
    verdict(&validator, "www.good.test.", A).await;
    assert_eq!(world.asked(), ["www.good.test. A", "good.test. DS", "good.test. DNSKEY"]);
    verdict(&validator, "a.b.good.test.", A).await;
    assert_eq!(world.asked(), ["a.b.good.test. A"]);
    verdict(&validator, "www.plain.test.", A).await;
    assert_eq!(world.asked(), ["www.plain.test. A", "plain.test. DS"]);
    verdict(&validator, "x.y.z.plain.test.", A).await;
    assert_eq!(world.asked(), ["x.y.z.plain.test. A"]);
}

#[tokio::test]
async fn the_keys_for_many_names_at_once_are_asked_once() {
    let world = Arc::new(world());
    let validator = validator(&world);
    let names: Vec<String> = (0..50).map(|at| format!("n{at}.wild.good.test.")).collect();
    let all = names.iter().map(|text| verdict(&validator, text, A));
    let found = futures_util::future::join_all(all).await;
    assert!(found.iter().all(|verdict| *verdict == Secure));
    let mut asked = world.asked();
    asked.retain(|what| !what.contains("wild"));
    asked.sort();
    let once = [". DNSKEY", "good.test. DNSKEY", "good.test. DS", "test. DNSKEY", "test. DS"];
    assert_eq!(asked, once);
}

#[tokio::test]
async fn an_upstream_without_signatures_suspends_validation_until_it_has_some() {
    let world = Arc::new(world());
    let validator = validator(&world);
    world.tamper(|_, message| strip(message));
    assert_eq!(validator.state(), DnssecState::Untried);
    assert_eq!(verdict(&validator, "www.good.test.", A).await, Validation::Unchecked);
    assert_eq!(validator.state(), DnssecState::Suspended(Suspended::Stripped));
    assert!(!validator.is_proven());
    world.heal();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(verdict(&validator, "www.good.test.", A).await, Secure);
    assert_eq!(validator.state(), DnssecState::Validating);
    assert!(validator.is_proven());
}

#[tokio::test]
async fn an_upstream_that_had_signatures_is_held_to_it() {
    let world = Arc::new(world());
    let settings = Arc::new(Dnssec { anchors: anchors(&world), ..Dnssec::default() });
    let proven = Validator::new(world.clone(), settings.clone(), true);
    let strict = Dnssec { mode: DnssecMode::Strict, ..Dnssec::clone(&settings) };
    let strict = Validator::new(world.clone(), Arc::new(strict), false);
    world.tamper(|_, message| strip(message));
    for validator in [proven, strict] {
        let found = verdict(&validator, "www.good.test.", A).await;
        assert_eq!(found, Bad(Bogus::SignaturesMissing));
    }
}

#[tokio::test]
async fn a_clock_before_its_time_suspends_validation() {
    let world = Arc::new(world());
    let settings = Arc::new(Dnssec { anchors: anchors(&world), ..Dnssec::default() });
    let boot = || SystemTime::UNIX_EPOCH + Duration::from_secs(100);
    let validator = Validator::with_clock(world.clone(), settings, false, boot);
    let checked = validator.resolve(plain("www.good.test.", A)).await.expect("an answer");
    assert_eq!(checked.validation, Validation::Unchecked);
    assert_eq!(validator.state(), DnssecState::Suspended(Suspended::Clock));
    assert!(checked.message.answers.iter().all(|record| record.ttl <= UNTIMED_TTL));
}

#[tokio::test]
async fn a_root_signed_in_the_future_shows_that_the_clock_is_slow() {
    let mut early = world();
    early.zones[0].valid = (3600, 7200);
    let early = Arc::new(early);
    let validator = validator(&early);
    assert_eq!(verdict(&validator, "www.good.test.", A).await, Validation::Unchecked);
    assert_eq!(validator.state(), DnssecState::Suspended(Suspended::Clock));
    // Only a trusted key's word counts.
    let stranger = Arc::new(world());
    let settings = Dnssec { anchors: anchors(&stranger), ..Dnssec::default() };
    let validator = Validator::new(early, Arc::new(settings), false);
    assert!(matches!(verdict(&validator, "www.good.test.", A).await, Bad(_)));
}

#[tokio::test]
async fn an_expired_root_refuses_everything() {
    let mut late = world();
    late.zones[0].valid = (-7200, -3600);
    let late = Arc::new(late);
    let validator = validator(&late);
    assert_eq!(verdict(&validator, "www.good.test.", A).await, Bad(Bogus::Expired));
    assert_eq!(validator.state(), DnssecState::Refusing);
}

#[tokio::test]
async fn what_upstreams_fail_to_answer_is_no_forgery() {
    let world = Arc::new(world());
    let validator = validator(&world);
    verdict(&validator, "www.nsec3.test.", A).await;
    world.fail(DNSKEY, FailureKind::Timeout);
    let found = validator.resolve(plain("www.good.test.", A)).await;
    assert_eq!(found.err(), Some(FailureKind::Timeout));
    world.heal();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    assert_eq!(verdict(&validator, "www.good.test.", A).await, Secure);
}

/// KeyTrap (CVE-2023-50387): hundreds of keys with the tag of hundreds of signatures.
#[tokio::test]
async fn a_zone_of_colliding_keys_and_signatures_costs_little() {
    let world = Arc::new(world());
    let validator = validator(&world);
    verdict(&validator, "www.nsec3.test.", A).await;
    let tag = world.zone("good.test.").dnskey.calculate_key_tag().expect("a tag");
    world.tamper(move |lookup, message| {
        if lookup.name == name("good.test.") && lookup.rtype == DNSKEY {
            let real = message.answers.clone();
            message.answers.clear();
            for at in 0..60_u16 {
                message.answers.push(colliding(tag, at));
            }
            message.answers.extend(real);
        } else if lookup.name == name("www.good.test.") {
            let rrsigs: Vec<Record> = (0..60).map(|at| wrong(&message.answers, at)).collect();
            message.answers.retain(|record| signature(record).is_none());
            message.answers.extend(rrsigs);
        }
    });
    let before = validator.checks.load(Ordering::Relaxed);
    assert!(matches!(verdict(&validator, "www.good.test.", A).await, Bad(_)));
    assert!(validator.checks.load(Ordering::Relaxed) - before <= 4);
}

/// A key with the same tag as another (RFC 4034, appendix B: a checksum).
fn colliding(tag: u16, at: u16) -> Record {
    use hickory_proto::dnssec::{Algorithm, PublicKeyBuf};
    let mut bytes = vec![0; 32];
    bytes[..2].copy_from_slice(&at.to_be_bytes());
    let key = |bytes: &[u8]| {
        let key = PublicKeyBuf::new(bytes.to_vec(), Algorithm::ED25519);
        hickory_proto::dnssec::rdata::DNSKEY::new(true, true, false, key)
    };
    for fill in 0..=u16::MAX {
        bytes[30..].copy_from_slice(&fill.to_be_bytes());
        if key(&bytes).calculate_key_tag().is_ok_and(|found| found == tag) {
            break;
        }
    }
    let data = RData::DNSSEC(DNSSECRData::DNSKEY(key(&bytes)));
    Record::from_rdata(name("good.test."), 300, data)
}

fn wrong(answers: &[Record], at: u16) -> Record {
    let mut record = answers.iter().find(|r| signature(r).is_some()).expect("an RRSIG").clone();
    let rrsig = signature(&record).expect("an RRSIG");
    let mut bytes = rrsig.sig().to_vec();
    bytes[..2].copy_from_slice(&at.to_be_bytes());
    let rrsig = RRSIG::from_sig(rrsig.input().clone(), bytes);
    record.data = RData::DNSSEC(DNSSECRData::RRSIG(rrsig));
    record
}
