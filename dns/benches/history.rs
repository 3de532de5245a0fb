//! What the history costs a question: the same answers with and without it.
#![allow(missing_docs, clippy::disallowed_methods, reason = "a program that measures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::{Name, RecordType};
use lanward_dns::{
    Answered, Asker, BlockMode, ClientNetwork, LocalHost, LocalNames, LocalZone, Now, Outcome,
    Pipeline, Policies, Policy, PolicyId, Shared, Transport,
};

/// Questions between two drainings: the ring never fills up.
const BATCH: u64 = 100;

fn house(shared: &Shared, history: bool) {
    shared.set_policies(Policies {
        policies: vec![Policy {
            name: "household".into(),
            filtering: false,
            block_mode: BlockMode::Null,
            blocked_ttl_secs: 10,
            dnssec: true,
            dns64: None,
            history,
            upstreams: None,
        }],
        networks: vec![ClientNetwork {
            subnet: "10.0.0.0/16".parse().expect("subnet"),
            policy: PolicyId(0),
        }],
    });
    let zone = LocalZone {
        apex: "home.arpa".parse().expect("name"),
        name_servers: vec!["lanward.home.arpa".parse().expect("name")],
        serial: 1,
        negative_ttl_secs: 5,
    };
    let mut local = LocalNames::builder();
    local.zone(&zone);
    let host = LocalHost {
        name: "printer.living-room.home.arpa".parse().expect("name"),
        addresses: vec!["10.0.0.7".parse().expect("v4")],
        ttl_secs: 60,
    };
    local.host(&host).expect("host");
    shared.set_local(local.build());
}

fn history(c: &mut Criterion) {
    let mut message = Message::query();
    let name = Name::from_ascii("printer.living-room.home.arpa.").expect("name");
    message.queries.push(Query::query(name, RecordType::A));
    message.edns = Some(Edns::new());
    let packet = message.to_vec().expect("encodes");
    let source = "10.0.3.7:40000".parse().expect("source");
    let asker = Asker { source, local: [10, 0, 0, 2].into(), transport: Transport::Udp };
    let now = Now(Duration::from_secs(60));
    let pipeline = Pipeline::new(1 << 20);
    for (label, reads, kept) in
        [("nobody reads", false, true), ("policy off", true, false), ("kept", true, true)]
    {
        let shared = Shared::new();
        house(&shared, kept);
        let mut reader = reads.then(|| shared.record_history(256 << 10).expect("one reader"));
        let mut recorder = shared.recorder();
        let mut out = Vec::with_capacity(4096);
        c.bench_function(&format!("local answer, history: {label}"), |b| {
            b.iter_custom(|rounds| {
                let (mut left, mut took) = (rounds, Duration::ZERO);
                while left > 0 {
                    let batch = left.min(BATCH);
                    let start = Instant::now();
                    for _ in 0..batch {
                        let outcome = pipeline.handle_recorded(
                            &shared,
                            black_box(&packet),
                            asker,
                            now,
                            &mut out,
                            &mut recorder,
                        );
                        assert_eq!(outcome, Outcome::Answered(Answered::Local));
                    }
                    took += start.elapsed();
                    left -= batch;
                    if let Some(reader) = &mut reader {
                        let events = reader.drain().len() as u64;
                        assert_eq!(events, if kept { batch } else { 0 });
                    }
                }
                took
            });
        });
    }
    c.bench_function("one reading of the clock", |b| b.iter(|| black_box(Instant::now())));
}

criterion_group!(benches, history);
criterion_main!(benches);
