//! One question through the pipeline, wire bytes in and wire bytes out.
#![allow(missing_docs, reason = "a program")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use hickory_proto::op::{Edns, Message, OpCode, Query};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use lanward_dns::{
    Answered, Asker, BlockMode, ClientNetwork, Filter, ListId, LocalHost, LocalNames, LocalZone,
    Now, Outcome, Pipeline, Policies, Policy, PolicyId, Protection, RateLimit, Recorder, RuleRef,
    Shared, Transport, Verdict,
};

/// The address that is asked.
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 3, 2));

/// Who asks.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 3, 7));

/// The cheapest filter that blocks something: what is measured is the pipeline.
struct Ads;

impl Filter for Ads {
    fn verdict(&self, name: &[u8], _policy: PolicyId) -> Verdict {
        if name.ends_with(b"\x03ads\x07example\0") {
            return Verdict::Blocked(RuleRef { list: ListId(0), labels: 2 });
        }
        Verdict::NoMatch
    }

    fn list_name(&self, _list: ListId) -> &str {
        "ads"
    }

    fn list_names(&self) -> Vec<(ListId, Arc<str>)> {
        vec![(ListId(0), Arc::from("ads"))]
    }
}

fn house() -> Arc<Shared> {
    let shared = Shared::new();
    shared.set_filter(Arc::new(Ads));
    shared.set_policies(Policies {
        policies: vec![Policy {
            name: "household".into(),
            filtering: true,
            block_mode: BlockMode::Null,
            blocked_ttl_secs: 10,
            dnssec: true,
            dns64: None,
            history: true,
            upstreams: None,
        }],
        networks: (0..5)
            .map(|vlan| ClientNetwork {
                subnet: format!("10.0.{vlan}.0/24").parse().expect("subnet"),
                policy: PolicyId(0),
            })
            .collect(),
    });
    let zone = LocalZone {
        apex: "home.arpa".parse().expect("name"),
        name_servers: vec!["lanward.home.arpa".parse().expect("name")],
        serial: 1,
        negative_ttl_secs: 5,
    };
    let mut local = LocalNames::builder();
    local.zone(&zone).reverse("10.0.0.0/8".parse().expect("net"), &zone);
    for index in 0..10_000u32 {
        let host = LocalHost {
            name: format!("host{index}.home.arpa").parse().expect("name"),
            addresses: vec![std::net::Ipv4Addr::from_bits(0x0a00_0000 + index).into()],
            ttl_secs: 60,
        };
        local.host(&host).expect("host");
    }
    shared.set_local(local.build());
    shared
}

fn question(name: &str) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.queries.push(Query::query(Name::from_ascii(name).expect("name"), RecordType::A));
    message.edns = Some(Edns::new());
    message
}

/// What is asked in each way, and who knows it.
const WAYS: [(&str, &str, Answered); 3] = [
    ("cached", "www77.example.com.", Answered::Cached),
    ("blocked", "tracker.ads.example.", Answered::Blocked),
    ("local", "host77.home.arpa.", Answered::Local),
];

/// A house, 10,000 answers in its cache, and room for an answer.
struct Asking {
    shared: Arc<Shared>,
    pipeline: Pipeline,
    history: Recorder,
    out: Vec<u8>,
}

impl Asking {
    fn new() -> Self {
        let shared = house();
        // Counted, and never too much.
        let rate_limit = Some(RateLimit { per_second: 1_000_000, burst: u32::MAX });
        shared.set_protection(Protection { rate_limit, ..Protection::default() });
        let pipeline = Pipeline::new(8 << 20);
        let start = Now(Duration::from_secs(1));
        for index in 0..10_000 {
            let name = Name::from_ascii(format!("www{index}.example.com.")).expect("name");
            let mut answer = Message::response(1, OpCode::Query);
            answer.queries.push(Query::query(name.clone(), RecordType::A));
            answer.answers.push(Record::from_rdata(name, 300, RData::A(A([192, 0, 2, 1].into()))));
            assert!(pipeline.learn(&answer.to_vec().expect("encodes"), start));
        }
        let history = shared.recorder();
        Self { shared, pipeline, history, out: Vec::with_capacity(4096) }
    }

    fn ask(&mut self, packet: &[u8], how: Answered) {
        let source = SocketAddr::new(CLIENT, 40_000);
        let asker = Asker { source, local: LOCAL, transport: Transport::Udp };
        let now = Now(Duration::from_secs(60));
        let Self { shared, pipeline, history, out } = self;
        let outcome = pipeline.handle_recorded(shared, black_box(packet), asker, now, out, history);
        assert_eq!(outcome, Outcome::Answered(how));
    }
}

fn pipeline(c: &mut Criterion) {
    let mut asking = Asking::new();
    for (label, name, how) in WAYS {
        let packet = question(name).to_vec().expect("encodes");
        c.bench_function(label, |b| b.iter(|| asking.ask(&packet, how)));
    }
}

/// Asks so often in one way, and nothing else: the difference between two such runs is what a question
/// takes, for a program that counts instructions (valgrind).
fn repeat(way: &str, times: usize) {
    let mut asking = Asking::new();
    let (_, name, how) = WAYS.into_iter().find(|(label, ..)| *label == way).expect("a way");
    let packet = question(name).to_vec().expect("encodes");
    (0..times).for_each(|_| asking.ask(&packet, how));
}

fn main() {
    let told = std::env::var("LANWARD_REPEAT").ok();
    if let Some((way, times)) = told.as_deref().and_then(|told| told.split_once(' ')) {
        return repeat(way, times.parse().expect("how often"));
    }
    pipeline(&mut Criterion::default().configure_from_args());
}
