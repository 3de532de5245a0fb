//! Nothing on the way of a question that is answered at once takes memory from the heap: the
//! allocator is a lock that all threads share, and the only thing on that way whose time has no
//! bound.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::svcb::{IpHint, SvcParamKey, SvcParamValue};
use hickory_proto::rr::rdata::{A, CNAME, HTTPS, SOA, SVCB};
use hickory_proto::rr::{DNSClass, Name as HickoryName, RData, Record, RecordType as Type};
use lanward_dns::{
    Answered, Asker, BlockMode, ClientNetwork, Discovery, DropReason, Filter, ListId, LocalHost,
    LocalNames, LocalRecord, LocalZone, Name, Now, Outcome, Pipeline, Policies, Policy, PolicyId,
    Ports, RecordData, Recorder, RuleRef, Shared, Transport, Verdict,
};

/// The system's allocator, which counts what each thread asks it for.
struct Counting;

thread_local! {
    static ASKED_FOR: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends may free and take memory after its own variables are gone.
    let _ = ASKED_FOR.try_with(|asked_for| asked_for.set(asked_for.get() + 1));
}

#[allow(
    unsafe_code,
    reason = "an allocator is unsafe by its signature; all is left to the system's"
)]
// SAFETY: each call is passed on unchanged, and counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the same.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `work` takes memory from the heap, or gives some back.
fn counted<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = ASKED_FOR.with(Cell::get);
    let done = work();
    (done, ASKED_FOR.with(Cell::get) - before)
}

/// Blocks everything below `ads.example`, and allows `good.ads.example`.
struct Ads(Arc<str>);

impl Filter for Ads {
    fn verdict(&self, name: &[u8], _policy: PolicyId) -> Verdict {
        if name.ends_with(b"\x04good\x03ads\x07example\0") {
            return Verdict::Allowed(RuleRef { list: ListId(0), labels: 3 });
        }
        if name.ends_with(b"\x03ads\x07example\0") {
            return Verdict::Blocked(RuleRef { list: ListId(0), labels: 2 });
        }
        Verdict::NoMatch
    }

    fn list_name(&self, _list: ListId) -> &str {
        &self.0
    }

    fn list_names(&self) -> Vec<(ListId, Arc<str>)> {
        vec![(ListId(0), self.0.clone())]
    }
}

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

fn hickory(text: &str) -> HickoryName {
    HickoryName::from_ascii(text).expect(text)
}

const NOW: Now = Now(Duration::from_secs(1000));

fn local() -> LocalNames {
    let zone = |apex: &str| LocalZone {
        apex: name(apex),
        name_servers: vec![name("pi-a.home.arpa"), name("pi-b.home.arpa")],
        serial: 7,
        negative_ttl_secs: 5,
    };
    let mut b = LocalNames::builder();
    b.network(["10.0.3.0/24".parse().expect("net")], Some(&name("iot.home.arpa")));
    b.domain(&name("home.arpa"));
    b.zone(&zone("home.arpa")).zone(&zone("iot.home.arpa"));
    b.reverse("10.0.0.0/8".parse().expect("net"), &zone("home.arpa"));
    for (owner, last) in [("pi-a.home.arpa", 2), ("pi-b.home.arpa", 3), ("tv.home.arpa", 9)] {
        let addresses = vec![[10, 0, 3, last].into(), [10, 0, 4, last].into()];
        b.host(&LocalHost { name: name(owner), addresses, ttl_secs: 60 }).expect(owner);
    }
    let srv = RecordData::Srv { priority: 0, weight: 0, port: 80, target: name("tv.home.arpa") };
    for (owner, data) in [
        ("_http._tcp.home.arpa", srv),
        ("also.home.arpa", RecordData::Cname(name("tv.home.arpa"))),
        ("stats.home.arpa", RecordData::Cname(name("x.ads.example"))),
        ("out.home.arpa", RecordData::Cname(name("www.example"))),
        ("round.home.arpa", RecordData::Cname(name("round.home.arpa"))),
        ("tor.home.arpa", RecordData::Cname(name("x.onion"))),
        ("*.lab.home.arpa", RecordData::A([10, 0, 3, 8].into())),
    ] {
        let networks = Vec::new();
        let record = LocalRecord { name: name(owner), ttl_secs: 60, data, networks };
        b.record(&record).expect(owner);
    }
    b.build()
}

/// Policies of three networks, each with another way to block; the first is behind a NAT64.
fn policies() -> Policies {
    let modes = [BlockMode::Null, BlockMode::NxDomain, BlockMode::NoData];
    let policy = |(at, block_mode): (usize, BlockMode)| Policy {
        name: format!("policy {at}"),
        filtering: true,
        block_mode,
        blocked_ttl_secs: 10,
        dnssec: true,
        dns64: (at == 0).then(|| "fd00:64::/96".parse().expect("a prefix")),
        history: true,
        upstreams: None,
    };
    Policies {
        policies: modes.into_iter().enumerate().map(policy).collect(),
        networks: (0..3u16)
            .map(|at| ClientNetwork {
                subnet: format!("10.0.{}.0/24", 3 + at).parse().expect("subnet"),
                policy: PolicyId(at),
            })
            .collect(),
    }
}

struct House {
    shared: Arc<Shared>,
    pipeline: Pipeline,
}

impl House {
    fn new() -> Self {
        let shared = Shared::new();
        shared.set_filtering(Arc::new(Ads(Arc::from("ads"))), policies());
        shared.set_local(local());
        let ports = Ports { tls: Some(853), https: Some(443), http3: Some(443), quic: Some(853) };
        shared.set_discovery(Discovery::new(&name("lanward.home.arpa"), ports));
        let house = Self { shared, pipeline: Pipeline::new(1 << 20) };
        house.fill();
        house
    }

    /// Puts answers of each kind into the cache.
    fn fill(&self) {
        let a = |owner: &str, address: [u8; 4]| {
            Record::from_rdata(hickory(owner), 300, RData::A(A(address.into())))
        };
        let cname = |owner: &str, target: &str| {
            Record::from_rdata(hickory(owner), 300, RData::CNAME(CNAME(hickory(target))))
        };
        let hint = SvcParamValue::Ipv4Hint(IpHint(vec![A([192, 0, 2, 1].into())]));
        let service = SVCB::new(1, hickory("edge.example."), vec![(SvcParamKey::Ipv4Hint, hint)]);
        let https = RData::HTTPS(HTTPS(service));
        let chain = |target: &str| {
            vec![
                cname("www.example.", target),
                a(target, [192, 0, 2, 1]),
                a(target, [192, 0, 2, 2]),
            ]
        };
        let rename = |records: Vec<Record>, owner: &str| {
            let mut records = records;
            records[0].name = hickory(owner);
            records
        };
        for (owner, rtype, records) in [
            ("one.example.", Type::A, vec![a("one.example.", [192, 0, 2, 1])]),
            ("many.example.", Type::A, rename(chain("far.example."), "many.example.")),
            ("shop.example.", Type::A, rename(chain("t.ads.example."), "shop.example.")),
            ("x.good.ads.example.", Type::A, vec![a("x.good.ads.example.", [192, 0, 2, 1])]),
            ("inside.example.", Type::A, vec![a("inside.example.", [192, 168, 1, 1])]),
            (
                "one.example.",
                Type::HTTPS,
                vec![Record::from_rdata(hickory("one.example."), 300, https)],
            ),
        ] {
            self.learn(owner, rtype, ResponseCode::NoError, records, Vec::new());
        }
        let soa = SOA::new(hickory("ns.example."), hickory("h.example."), 1, 2, 3, 4, 60);
        let soa = vec![Record::from_rdata(hickory("example."), 900, RData::SOA(soa))];
        self.learn("nobody.example.", Type::A, ResponseCode::NXDomain, Vec::new(), soa);
    }

    fn learn(
        &self,
        owner: &str,
        rtype: Type,
        code: ResponseCode,
        answers: Vec<Record>,
        authorities: Vec<Record>,
    ) {
        let mut message = Message::response(1, OpCode::Query);
        message.metadata.response_code = code;
        message.queries.push(Query::query(hickory(owner), rtype));
        message.edns = Some(Edns::new());
        (message.answers, message.authorities) = (answers, authorities);
        assert!(self.pipeline.learn(&message.to_vec().expect("encodes"), NOW), "{owner}");
    }

    /// What becomes of a packet, and how often memory was taken for it.
    fn send(
        &self,
        source: &str,
        packet: &[u8],
        out: &mut Vec<u8>,
        recorder: &mut Recorder,
    ) -> (Outcome, u64) {
        let source = source.parse().expect(source);
        let local = IpAddr::from([10, 0, 3, 2]);
        let asker = Asker { source, local, transport: Transport::Udp };
        counted(|| self.pipeline.handle_recorded(&self.shared, packet, asker, NOW, out, recorder))
    }
}

fn question(owner: &str, rtype: Type) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.queries.push(Query::query(hickory(owner), rtype));
    message.edns = Some(Edns::new());
    message
}

/// What is not a question that the stages take, and what comes of it.
fn odd_packets() -> Vec<(&'static str, Vec<u8>, Outcome)> {
    let wire = |message: &Message| message.to_vec().expect("encodes");
    let good = question("one.example.", Type::A);
    let mut alone = question("other.example.", Type::A);
    alone.metadata.recursion_desired = false;
    let mut chaos = question("version.bind.", Type::TXT);
    chaos.queries[0].set_query_class(DNSClass::CH);
    let refused = Outcome::Answered(Answered::Refused);
    let mut response = wire(&good);
    response[2] |= 0x80;
    let mut update = wire(&good);
    update[2] |= 5 << 3;
    vec![
        ("without RD", wire(&alone), refused),
        ("a transfer", wire(&question("home.arpa.", Type::AXFR)), refused),
        ("another class", wire(&chaos), refused),
        ("another opcode", update, refused),
        ("something behind it", [&wire(&good)[..], &[0]].concat(), refused),
        ("an answer", response, Outcome::Dropped(DropReason::Response)),
        ("half a header", wire(&good)[..7].to_vec(), Outcome::Dropped(DropReason::Short)),
    ]
}

#[test]
fn the_allocator_counts() {
    let (kept, times) = counted(|| vec![1, 2, 3]);
    assert_eq!((kept.len(), times), (3, 1));
    assert_eq!(counted(|| drop(kept)).1, 1);
    assert_eq!(counted(|| std::hint::black_box(1 + 1)).1, 0);
}

#[test]
fn a_question_that_is_answered_at_once_takes_no_memory() {
    let house = House::new();
    let mut reader = house.shared.record_history(1 << 20).expect("the only reader");
    let mut recorder = house.shared.recorder();
    let mut out = Vec::with_capacity(4096);
    let from = |network: u8| format!("10.0.{network}.7:4000");
    let wire = |owner: &str, rtype| question(owner, rtype).to_vec().expect("encodes");
    // What a thread and a client need once.
    for network in 3..6 {
        let packet = wire("first.home.arpa.", Type::A);
        house.send(&from(network), &packet, &mut out, &mut recorder);
    }
    let (blocked, special) = (Answered::Blocked, Answered::Special);
    let mut questions = 3;
    let mut judge = |shown: &str, source: &str, packet: &[u8], expected: Outcome| {
        let (outcome, times) = house.send(source, packet, &mut out, &mut recorder);
        assert_eq!(outcome, expected, "{shown}");
        assert_eq!(times, 0, "{shown}: memory was taken so often");
        questions += 1;
    };
    for (owner, rtype, how) in [
        ("one.example.", Type::A, Answered::Cached),
        ("One.Example.", Type::HTTPS, Answered::Cached),
        ("many.example.", Type::A, Answered::Cached),
        ("nobody.example.", Type::A, Answered::Cached),
        ("x.good.ads.example.", Type::A, Answered::Cached),
        ("inside.example.", Type::A, Answered::Withheld),
        ("ads.example.", Type::A, blocked),
        ("a.b.ads.example.", Type::AAAA, blocked),
        ("a.b.ads.example.", Type::HTTPS, blocked),
        ("shop.example.", Type::A, blocked),
        ("stats.home.arpa.", Type::A, blocked),
        ("tv.home.arpa.", Type::A, Answered::Local),
        ("tv.home.arpa.", Type::AAAA, Answered::Local),
        ("tv.home.arpa.", Type::MX, Answered::Local),
        ("tv.", Type::A, Answered::Local),
        ("nobody.home.arpa.", Type::A, Answered::Local),
        ("web.lab.home.arpa.", Type::A, Answered::Local),
        ("also.home.arpa.", Type::A, Answered::Local),
        ("also.home.arpa.", Type::AAAA, Answered::Local),
        ("round.home.arpa.", Type::A, Answered::Local),
        ("tor.home.arpa.", Type::A, Answered::Local),
        ("_http._tcp.home.arpa.", Type::SRV, Answered::Local),
        ("home.arpa.", Type::SOA, Answered::Local),
        ("home.arpa.", Type::NS, Answered::Local),
        ("iot.home.arpa.", Type::DS, Answered::Local),
        ("tv.home.arpa.", Type::ANY, Answered::Local),
        ("9.3.0.10.in-addr.arpa.", Type::PTR, Answered::Local),
        ("localhost.", Type::A, special),
        ("x.onion.", Type::A, special),
        ("nobody.", Type::A, special),
        ("router.lan.", Type::A, special),
        ("1.168.192.in-addr.arpa.", Type::PTR, special),
        ("_dns.resolver.arpa.", Type::SVCB, special),
        ("use-application-dns.net.", Type::A, special),
        ("www.example.", Type::ANY, Answered::Refused),
    ] {
        for network in 3..6 {
            let shown = format!("{owner} {rtype} from network {network}");
            judge(&shown, &from(network), &wire(owner, rtype), Outcome::Answered(how));
        }
    }
    for (shown, packet, outcome) in odd_packets() {
        judge(shown, &from(3), &packet, outcome);
    }
    // What must be asked elsewhere: up to there.
    for owner in ["other.example.", "out.home.arpa."] {
        judge(owner, &from(3), &wire(owner, Type::A), Outcome::Miss);
    }
    let packet = wire("one.example.", Type::A);
    judge("a stranger", "192.0.2.7:4000", &packet, Outcome::Dropped(DropReason::Source));
    judge("an echo", "10.0.3.7:7", &packet, Outcome::Dropped(DropReason::SourcePort));
    // The history heard of all of it that was answered and had a name.
    let untold = 1 + 2 + 2 + 2;
    assert_eq!(reader.drain().len(), questions - untold);
}

#[test]
fn a_client_over_its_limit_costs_no_memory() {
    let house = House::new();
    let mut recorder = house.shared.recorder();
    let mut out = Vec::with_capacity(4096);
    let packet = question("tv.home.arpa.", Type::A).to_vec().expect("encodes");
    let (mut limited, mut dropped, mut taking) = (0, 0, 0);
    for _ in 0..3000 {
        let (outcome, times) = house.send("10.0.3.7:4000", &packet, &mut out, &mut recorder);
        match outcome {
            Outcome::Answered(Answered::Limited) => limited += 1,
            Outcome::Dropped(DropReason::RateLimit) => dropped += 1,
            _ => {}
        }
        taking += u32::from(times > 0);
    }
    assert!(
        taking <= 2,
        "{taking}: the places where a client and what it has too much are counted"
    );
    assert!(limited > 0 && dropped > 0, "{limited} {dropped}");
}
