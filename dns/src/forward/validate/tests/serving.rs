//! Validation as clients see it: a server before a forwarder of a signed name space.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::process::Stdio;

use hickory_proto::dnssec::PublicKey;
use hickory_proto::op::Edns;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use tokio::net::UdpSocket;

use super::*;
use crate::{
    ClientNetwork, Config, Policies, Policy, PolicyId, Prefix64, Server, Shared, Upstreams,
};

/// Names ending in `test.` never leave the house, so these end otherwise.
fn world() -> World {
    let good = Signed::new("good.zone.", Denies::Nsec)
        .a("www.good.zone.")
        .a("*.wild.good.zone.")
        .alias("alias.good.zone.", "www.nsec3.zone.")
        .alias("out.good.zone.", "www.plain.zone.");
    let nsec3 = Signed::new("nsec3.zone.", NSEC3).a("www.nsec3.zone.");
    let plain = Signed::new("plain.zone.", Denies::Nsec).unsigned().a("www.plain.zone.");
    let expired = Signed::new("expired.zone.", Denies::Nsec).a("www.expired.zone.").valid(-90, -30);
    let zone = Signed::new("zone.", NSEC3).delegates(&good).delegates(&nsec3);
    let zone = zone.delegates(&plain).delegates(&expired);
    let root = Signed::new(".", Denies::Nsec).delegates(&zone);
    World::new(vec![root, zone, good, nsec3, plain, expired])
}

struct House {
    addr: SocketAddr,
    upstream: SocketAddr,
    shared: Arc<Shared>,
    key: String,
    _server: Server,
    _forwarders: tokio::task::JoinSet<()>,
}

impl House {
    async fn start() -> Self {
        Self::before(&[Forwarder::default()]).await
    }

    /// Before these forwarders of one world.
    async fn before(all: &[Forwarder]) -> Self {
        let world = Arc::new(world());
        let mut forwarders = tokio::task::JoinSet::new();
        let mut upstreams = Vec::new();
        for forwarder in all {
            upstreams.push(forwarder.start(world.clone(), &mut forwarders).await);
        }
        let shared = Shared::new();
        let policy = Policy {
            name: "all".into(),
            filtering: false,
            block_mode: crate::BlockMode::Null,
            blocked_ttl_secs: 10,
            dnssec: true,
            dns64: None,
            upstreams: None,
            history: true,
        };
        let behind = Policy { dns64: Some(Prefix64::WELL_KNOWN), ..policy.clone() };
        let trusting = Policy { dnssec: false, ..policy.clone() };
        let subnets = ["127.0.0.0/8", "127.0.0.64/32", "127.0.0.2/32"];
        let networks = subnets.iter().zip(0..).map(|(subnet, index)| ClientNetwork {
            subnet: subnet.parse().expect("a network"),
            policy: PolicyId(index),
        });
        let networks = networks.collect();
        shared.set_policies(Policies { policies: vec![policy, behind, trusting], networks });
        shared.set_upstreams(Upstreams::plain(upstreams.iter().copied()));
        shared.set_dnssec(Dnssec { anchors: anchors(&world), ..Dnssec::default() });
        let config = Config {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            udp_workers: NonZeroUsize::MIN,
            ..Config::default()
        };
        let server = Server::start(config, shared.clone()).await.expect("it starts");
        let key = world.zone(".").dnskey.public_key().public_bytes().to_vec();
        let key = data_encoding::BASE64.encode(&key);
        let addr = server.listening()[0];
        Self { addr, upstream: upstreams[0], shared, key, _server: server, _forwarders: forwarders }
    }

    async fn ask(&self, text: &str, dnssec_ok: bool, cd: bool) -> Message {
        self.ask_from([127, 0, 0, 1], text, A, dnssec_ok, cd).await
    }

    async fn ask_from(
        &self,
        client: [u8; 4],
        text: &str,
        rtype: RecordType,
        dnssec_ok: bool,
        cd: bool,
    ) -> Message {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.metadata.authentic_data = true;
        message.metadata.checking_disabled = cd;
        message.queries.push(Asked::query(name(text), rtype));
        let mut edns = Edns::new();
        edns.set_dnssec_ok(dnssec_ok);
        edns.set_max_payload(1232);
        message.edns = Some(edns);
        let socket = UdpSocket::bind((Ipv4Addr::from(client), 0)).await.expect("a port");
        let bytes = message.to_vec().expect("bytes");
        socket.send_to(&bytes, self.addr).await.expect("sent");
        let mut buf = [0; 4096];
        let answer = tokio::time::timeout(Duration::from_secs(10), socket.recv(&mut buf)).await;
        let len = answer.expect("in time").expect("an answer");
        Message::from_vec(&buf[..len]).expect("a message")
    }
}

/// A forwarder, which may lie.
#[derive(Clone, Default)]
struct Forwarder {
    lie: Arc<Mutex<Option<Lie>>>,
    asked: Arc<AtomicU64>,
}

type Lie = fn(&Lookup, &mut Message);

impl Forwarder {
    fn tell(&self, lie: Option<Lie>) {
        *self.lie.lock().expect("a lock") = lie;
    }

    async fn start(&self, world: Arc<World>, tasks: &mut tokio::task::JoinSet<()>) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let addr = socket.local_addr().expect("its address");
        let this = self.clone();
        tasks.spawn(async move {
            let mut buf = [0; 4096];
            while let Ok((len, from)) = socket.recv_from(&mut buf).await {
                let Ok(query) = Message::from_vec(&buf[..len]) else { continue };
                this.asked.fetch_add(1, Ordering::Relaxed);
                let question = query.queries[0].clone();
                let name = question.name().to_lowercase();
                let mut answer = world.answer(&name, question.query_type());
                let lie = *this.lie.lock().expect("a lock");
                if let Some(lie) = lie {
                    lie(&plain(&name.to_string(), question.query_type()), &mut answer);
                }
                answer.metadata.id = query.metadata.id;
                answer.queries = vec![question];
                let _ = socket.send_to(&answer.to_vec().expect("bytes"), from).await;
            }
        });
        addr
    }
}

/// The INFO-CODE of the extended error.
fn ede(message: &Message) -> Option<u16> {
    match message.edns.as_ref()?.options().get(EdnsCode::Unknown(15))? {
        EdnsOption::Unknown(_, data) => Some(u16::from_be_bytes(data.get(..2)?.try_into().ok()?)),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_see_the_verdict() {
    let house = House::start().await;
    let signed = |message: &Message| message.answers.iter().any(|r| signature(r).is_some());
    let secure = house.ask("www.good.zone.", false, false).await;
    assert!(secure.metadata.authentic_data && !signed(&secure));
    let secure = house.ask("www.good.zone.", true, false).await;
    assert!(secure.metadata.authentic_data && signed(&secure));
    let plain = house.ask("www.plain.zone.", true, false).await;
    assert!(!plain.metadata.authentic_data && plain.answers.len() == 1);
    for _ in 0..2 {
        // The second comes from memory, with the same reason.
        let bogus = house.ask("www.expired.zone.", true, false).await;
        assert_eq!(bogus.metadata.response_code, ResponseCode::ServFail);
        assert_eq!(ede(&bogus), Some(7));
    }
    let unchecked = house.ask("www.expired.zone.", true, true).await;
    assert!(!unchecked.metadata.authentic_data && signed(&unchecked));
    let counters = house.shared.counters().validated;
    assert_eq!((counters.secure, counters.insecure), (2, 1));
    assert_eq!((counters.bogus, counters.unchecked), (1, 1));
    let state: Vec<DnssecState> =
        house.shared.dnssec_state().into_iter().map(|(_, state)| state).collect();
    assert_eq!(state, [DnssecState::Validating]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_server_is_found_although_signatures_have_expired_by_a_clock_that_is_fast() {
    let house = House::start().await;
    let bogus = house.ask("www.expired.zone.", false, false).await;
    assert_eq!(bogus.metadata.response_code, ResponseCode::ServFail);
    house.shared.set_upstreams(Upstreams {
        time_names: vec!["expired.zone".parse().expect("a name")],
        ..Upstreams::plain([house.upstream])
    });
    // The failure is remembered for a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let found = house.ask("www.expired.zone.", true, false).await;
    assert_eq!((found.metadata.response_code, found.answers.len()), (ResponseCode::NoError, 2));
    assert!(!found.metadata.authentic_data);
    assert!(found.answers.iter().all(|record| record.ttl <= 60), "asked again soon");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_made_for_a_nat64_is_made_of_proven_answers_only() {
    let house = House::start().await;
    let ask = async |text, dnssec_ok, cd| {
        house.ask_from([127, 0, 0, 64], text, RecordType::AAAA, dnssec_ok, cd).await
    };
    let made =
        |message: &Message| message.answers.iter().any(|r| r.record_type() == RecordType::AAAA);
    for dnssec_ok in [false, true] {
        let secure = ask("www.good.zone.", dnssec_ok, false).await;
        assert!(made(&secure) && secure.metadata.authentic_data, "{secure:?}");
        let alias = ask("alias.good.zone.", dnssec_ok, false).await;
        assert!(made(&alias) && alias.metadata.authentic_data, "{alias:?}");
        let plain = ask("www.plain.zone.", dnssec_ok, false).await;
        assert!(made(&plain) && !plain.metadata.authentic_data, "{plain:?}");
        let bogus = ask("www.expired.zone.", dnssec_ok, false).await;
        assert_eq!(bogus.metadata.response_code, ResponseCode::ServFail);
    }
    // Who validates by itself sees the proof that there is nothing.
    let proof = ask("www.good.zone.", true, true).await;
    assert!(!made(&proof) && proof.authorities.iter().any(|r| signature(r).is_some()));
    let unchecked = ask("www.expired.zone.", false, true).await;
    assert!(made(&unchecked) && !unchecked.metadata.authentic_data);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_may_do_without_validation_and_others_do_not_get_its_answers() {
    let house = House::start().await;
    for _ in 0..2 {
        let believed = house.ask_from([127, 0, 0, 2], "www.expired.zone.", A, false, false).await;
        assert_eq!(believed.answers.len(), 1, "{believed:?}");
        assert!(!believed.metadata.authentic_data);
        let refused = house.ask("www.expired.zone.", false, false).await;
        assert_eq!(refused.metadata.response_code, ResponseCode::ServFail);
        let secure = house.ask_from([127, 0, 0, 2], "www.good.zone.", A, false, false).await;
        assert!(!secure.metadata.authentic_data, "nobody has checked it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_server_forges_is_asked_of_another() {
    let lies: [Lie; 3] = [
        // An address, with the signature of the true one.
        |lookup, message| {
            if lookup.rtype == A {
                message.answers[0].data = RData::A(std::net::Ipv4Addr::new(6, 6, 6, 6).into());
            }
        },
        // The zone is not signed, says who cannot prove it.
        |lookup, message| {
            if lookup.name == name("good.zone.") {
                message.answers.clear();
                message.authorities.clear();
            } else {
                message.answers.retain(|record| signature(record).is_none());
            }
        },
        // Other keys.
        |lookup, message| {
            if lookup.name == name("good.zone.") && lookup.rtype == DNSKEY {
                let mut other = colliding(1, 1);
                other.name = lookup.name.clone();
                message.answers = vec![other];
            }
        },
    ];
    for (index, lie) in lies.into_iter().enumerate() {
        let (liar, honest) = (Forwarder::default(), Forwarder::default());
        let house = House::before(&[liar.clone(), honest.clone()]).await;
        // It has been honest about the root, and is believed to deliver signatures.
        let before = house.ask("www.nsec3.zone.", true, false).await;
        assert!(before.metadata.authentic_data, "{index}");
        liar.tell(Some(lie));
        let asked = liar.asked.load(Ordering::Relaxed);
        let answer = house.ask("www.good.zone.", true, false).await;
        assert!(answer.metadata.authentic_data, "{index}: {answer:?}");
        assert!(liar.asked.load(Ordering::Relaxed) > asked, "{index}: it was asked first");
        let counters = house.shared.counters().validated;
        assert_eq!((counters.secure, counters.bogus), (2, 0), "{index}");
        // Two that lie are one too many.
        let house = House::before(&[liar.clone(), honest.clone()]).await;
        liar.tell(None);
        assert!(house.ask("www.nsec3.zone.", true, false).await.metadata.authentic_data, "{index}");
        liar.tell(Some(lie));
        honest.tell(Some(lie));
        let bogus = house.ask("www.good.zone.", true, false).await;
        assert_eq!(bogus.metadata.response_code, ResponseCode::ServFail, "{index}: {bogus:?}");
    }
}

/// BIND's validating stub, with the test's root key as its only anchor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validating_stub_sees_correct_chains_through_us() {
    let house = House::start().await;
    let file = std::env::temp_dir().join(format!("lanward-delv-{}", std::process::id()));
    let anchor = format!("trust-anchors {{ . static-key 257 3 15 \"{}\"; }};\n", house.key);
    std::fs::write(&file, anchor).expect("a file");
    for (text, rtype, said) in [
        ("www.good.zone", "A", "; fully validated"),
        ("any.wild.good.zone", "A", "; fully validated"),
        ("alias.good.zone", "A", "; fully validated"),
        ("www.good.zone", "AAAA", "; negative response, fully validated"),
        ("none.good.zone", "A", "; negative response, fully validated"),
        ("none.nsec3.zone", "A", "; negative response, fully validated"),
        ("good.zone", "DNSKEY", "; fully validated"),
        ("www.plain.zone", "A", "; unsigned answer"),
    ] {
        let mut delv = tokio::process::Command::new("delv");
        let server = format!("@{}", house.addr.ip());
        let port = house.addr.port().to_string();
        delv.args([&server, "-p", &port, "-a"]).arg(&file).args(["+root=.", "-t", rtype, text]);
        let Ok(output) = delv.stdin(Stdio::null()).output().await else {
            return skip("there is no delv (bind9-dnsutils)");
        };
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(said), "{text} {rtype}: {told}{errors}");
    }
    std::fs::remove_file(&file).expect("removed");
}

#[allow(clippy::print_stderr, reason = "a test that is skipped must be seen")]
fn skip(why: &str) {
    let required = std::env::var("LANWARD_REQUIRE_LAB").is_ok_and(|value| value == "1");
    assert!(!required, "needed here: {why}");
    eprintln!("LOUD SKIP: {why}");
}
