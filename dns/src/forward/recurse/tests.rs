use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;

use hickory_proto::rr::rdata::NS;

use super::*;
use crate::forward::validate::Validator;
use crate::forward::world::{Denies, Servers, World, Zone, name};
use crate::{Bogus, Dnssec, TrustAnchors, Validation};

fn world() -> World {
    let good = Zone::new("good.test.", Denies::Nsec)
        .a("www.good.test.")
        .a("*.wild.good.test.")
        .alias("alias.good.test.", "www.other.test.")
        .alias("starry.good.test.", "any.wild.other.test.")
        .alias("ping.good.test.", "pong.other.test.")
        .alias("chain0.good.test.", "chain1.other.test.");
    let other = Zone::new("other.test.", Denies::Nsec3 { opt_out: false, iterations: 0 })
        .a("www.other.test.")
        .a("*.wild.other.test.")
        .alias("pong.other.test.", "ping.good.test.");
    let (good, other) = (1..20).fold((good, other), |(good, other), at| {
        let (of, to) = if at % 2 == 0 { ("good", "other") } else { ("other", "good") };
        let alias = (format!("chain{at}.{of}.test."), format!("chain{}.{to}.test.", at + 1));
        if at % 2 == 0 {
            (good.alias(&alias.0, &alias.1), other)
        } else {
            (good, other.alias(&alias.0, &alias.1))
        }
    });
    let good = good.a("chain20.good.test.");
    let plain = Zone::new("plain.test.", Denies::Nsec).unsigned().a("www.plain.test.");
    let test = Zone::new("test.", Denies::Nsec);
    let test = test.delegates(&good).delegates(&other).delegates(&plain);
    let root = Zone::new(".", Denies::Nsec).delegates(&test);
    World::new(vec![root, test, good, other, plain])
}

struct Lab {
    world: Arc<World>,
    servers: Servers,
    recursion: Recursion,
}

impl Lab {
    async fn new(
        world: World,
        change: impl Fn(&str, &mut Message) -> bool + Clone + Send + Sync + 'static,
    ) -> Self {
        let world = Arc::new(world);
        let servers = Servers::start(&world, change).await;
        let detours = servers.ports.clone();
        Self { recursion: by_detours(&world, detours), servers, world }
    }

    async fn ask(&self, text: &str, rtype: RecordType) -> Result<Message, FailureKind> {
        let lookup = Lookup { name: name(text), rtype, dnssec_ok: true, cd: true };
        Recursion::bounded(self.recursion.ask(lookup)).await
    }

    fn validator(&self) -> Validator {
        use hickory_proto::dnssec::PublicKey;
        let key = self.world.zone(".").dnskey.public_key();
        let key = data_encoding::BASE64.encode(key.public_bytes());
        let anchors = TrustAnchors::parse(&format!(". DNSKEY 257 3 15 {key}")).expect("an anchor");
        let settings = Dnssec { anchors, ..Dnssec::default() };
        Validator::new(Arc::new(self.recursion.clone()), Arc::new(settings), false)
    }
}

fn by_detours(world: &World, detours: HashMap<IpAddr, SocketAddr>) -> Recursion {
    let provider = Provider { detours: Arc::new(detours), ..Provider::default() };
    Recursion::by(&[IpAddr::V4(world.zone(".").address())], provider).expect("roots")
}

fn types(message: &Message) -> Vec<RecordType> {
    let of = message.answers.iter().map(Record::record_type);
    of.filter(|rtype| *rtype != RecordType::RRSIG).collect()
}

const A: RecordType = RecordType::A;
const AAAA: RecordType = RecordType::AAAA;
const CNAME: RecordType = RecordType::CNAME;

#[tokio::test]
async fn a_name_is_found_from_the_root_down_and_servers_see_no_more_than_they_need() {
    let lab = Lab::new(world(), |_, _| true).await;
    let found = lab.ask("www.good.test.", A).await.expect("an answer");
    assert_eq!(types(&found), [A]);
    assert_eq!(lab.servers.asked_of("."), ["test. NS"]);
    assert_eq!(lab.servers.asked_of("test."), ["good.test. NS"]);
    assert!(lab.servers.asked_of("good.test.").contains(&"www.good.test. A".to_owned()));
    assert!(lab.servers.count() <= 4);
}

#[tokio::test]
async fn aliases_keep_their_own_records_and_proofs() {
    let lab = Lab::new(world(), |_, _| true).await;
    let found = lab.ask("alias.good.test.", A).await.expect("an answer");
    assert_eq!(types(&found), [CNAME, A]);
    let found = lab.ask("alias.good.test.", AAAA).await.expect("an answer");
    assert_eq!(types(&found), [CNAME]);
    let found = lab.ask("none.good.test.", AAAA).await.expect("an answer");
    assert_eq!(found.metadata.response_code, ResponseCode::NXDomain);
    assert!(found.authorities.iter().any(|record| record.record_type() == RecordType::SOA));
}

#[tokio::test]
async fn what_recursion_finds_validates() {
    let lab = Lab::new(world(), |_, _| true).await;
    let validator = lab.validator();
    for (text, rtype, expected) in [
        ("www.good.test.", A, Validation::Secure),
        ("www.good.test.", AAAA, Validation::Secure),
        ("none.good.test.", A, Validation::Secure),
        ("alias.good.test.", A, Validation::Secure),
        ("alias.good.test.", AAAA, Validation::Secure),
        ("starry.good.test.", A, Validation::Secure),
        ("any.wild.good.test.", A, Validation::Secure),
        ("none.other.test.", A, Validation::Secure),
        ("www.plain.test.", A, Validation::Insecure),
        ("good.test.", RecordType::DS, Validation::Secure),
        ("good.test.", RecordType::DNSKEY, Validation::Secure),
    ] {
        let lookup = Lookup { name: name(text), rtype, dnssec_ok: false, cd: false };
        let checked = validator.resolve(lookup).await;
        assert_eq!(checked.map(|checked| checked.validation), Ok(expected), "{text} {rtype}");
    }
}

#[tokio::test]
async fn a_forged_answer_of_a_zones_server_is_bogus() {
    let lab = Lab::new(world(), |zone, message| {
        if zone == "good.test." {
            message.answers.retain(|record| record.record_type() != RecordType::RRSIG);
        }
        true
    });
    let lab = lab.await;
    let lookup = Lookup { name: name("www.good.test."), rtype: A, dnssec_ok: false, cd: false };
    let found = lab.validator().resolve(lookup).await;
    assert_eq!(found.err(), Some(FailureKind::Bogus(Bogus::SignaturesMissing)));
}

#[tokio::test]
async fn aliases_in_a_circle_and_chains_too_long_are_given_up_at_once() {
    let lab = Lab::new(world(), |_, _| true).await;
    for text in ["ping.good.test.", "chain0.good.test."] {
        let found = lab.ask(text, A).await;
        assert_eq!(found.err(), Some(FailureKind::Circle), "{text}");
    }
    assert!(lab.servers.count() <= 2 * MAX_SENDS as usize);
    // One of a length that happens.
    let found = lab.ask("chain12.good.test.", A).await.expect("an answer");
    assert_eq!(types(&found).len(), 9);
}

/// NXNSAttack (CVE-2020-12662): a delegation to many servers whose names stand in a victim's zone.
#[tokio::test]
async fn a_delegation_to_many_servers_without_address_costs_a_bounded_number_of_questions() {
    let mut world = world();
    for at in 0..300 {
        let server = name(&format!("ns{at}.sub{at}.good.test."));
        world.zones[1].put(&name("evil.test."), RData::NS(NS(server)));
    }
    let lab = Lab::new(world, |_, _| true).await;
    let found = lab.ask("www.evil.test.", A).await;
    assert!(matches!(found, Err(FailureKind::Lame | FailureKind::TooMuch)), "{found:?}");
    assert!(lab.servers.count() <= 2 * MAX_SENDS as usize, "{}", lab.servers.count());
}

#[tokio::test]
async fn a_server_that_fails_is_passed_over_for_the_zones_next() {
    let mut world = world();
    // Both zones' servers are said to serve good.test; the other one refuses it.
    let lame = world.zone("other.test.").server();
    world.zones[1].put(&name("good.test."), RData::NS(NS(lame)));
    let lab = Lab::new(world, |_, _| true).await;
    for text in ["www.good.test.", "any.wild.good.test.", "none.good.test."] {
        assert!(lab.ask(text, A).await.is_ok(), "{text}");
    }
}

#[tokio::test]
async fn a_private_address_is_never_asked() {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let lab = Lab::new(world(), |_, message| {
        for record in message.additionals.iter_mut().chain(&mut message.answers) {
            if record.name == name("ns.good.test.") && record.record_type() == A {
                record.data = RData::A(Ipv4Addr::new(192, 168, 1, 1).into());
            }
        }
        true
    });
    let lab = lab.await;
    // Somebody listens there.
    let inside = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let mut detours = lab.servers.ports.clone();
    let at = inside.local_addr().expect("its address");
    detours.insert(IpAddr::V4(Ipv4Addr::new(192, 168, 1, 1)), at);
    let seen = asked.clone();
    let listening = tokio::spawn(async move {
        let mut buf = [0; 512];
        if inside.recv_from(&mut buf).await.is_ok() {
            seen.lock().expect("a lock").push("asked".to_owned());
        }
    });
    let recursion = by_detours(&lab.world, detours);
    let lookup = Lookup { name: name("www.good.test."), rtype: A, dnssec_ok: true, cd: true };
    let found = Recursion::bounded(recursion.ask(lookup)).await;
    assert_eq!(found.err(), Some(FailureKind::Lame));
    assert!(asked.lock().expect("a lock").is_empty());
    listening.abort();
}

#[tokio::test]
async fn what_is_remembered_is_bounded_in_bytes() {
    let lab = Lab::new(world(), |_, _| true).await;
    let asked = async |text: &str| {
        let before = lab.servers.count();
        lab.ask(text, A).await.expect("an answer");
        lab.servers.count() - before
    };
    assert!(asked("www.good.test.").await > 1);
    assert_eq!(asked("www.good.test.").await, 0, "it is remembered");
    let taken = lab.recursion.provider.taken.load(std::sync::atomic::Ordering::Relaxed);
    assert!(taken > 1000, "a few answers with signatures: {taken}");
    lab.recursion.bound_memory(taken);
    assert_eq!(asked("www.good.test.").await, 0, "not too much yet");
    lab.recursion.bound_memory(taken - 1);
    assert!(asked("www.good.test.").await > 1, "all is forgotten");
    lab.recursion.bound_memory(2 * taken);
    assert_eq!(asked("www.good.test.").await, 0);
}

#[test]
fn the_roots_are_those_that_iana_lists() {
    assert_eq!(ROOT_SERVERS.iter().filter(|ip| ip.is_ipv4()).count(), 13);
    assert!(Recursion::new(&ROOT_SERVERS).is_some());
    assert!(Recursion::new(&[]).is_none());
}
