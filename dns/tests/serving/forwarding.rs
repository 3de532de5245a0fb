//! What is asked upstream, and what becomes of the answer.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use lanward_dns::{Answered, Upstreams};

use crate::support::{House, Upstream, answer, ask, ede, loopback, question, upstreams};

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_forwarded_once_and_then_cached() {
    let upstream = Upstream::start().await;
    let house = House::start(upstreams(&[upstream.addr])).await;
    for _ in 0..3 {
        let answer = house.ask("wWw.Example.", RecordType::A).await;
        assert_eq!(answer.answers.len(), 1);
        assert_eq!(answer.answers[0].data.to_string(), "192.0.2.1");
        assert_eq!(answer.answers[0].name.to_string(), "wWw.Example.");
        assert!(answer.edns.is_some());
    }
    assert_eq!(upstream.asked(), 1);
    let counters = house.shared.counters();
    assert_eq!(counters.answered(Answered::Forwarded), 1);
    assert_eq!(counters.answered(Answered::Cached), 2);
    assert_eq!(counters.upstream_queries, 1);
    assert!(counters.upstream_latency_max > Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_identical_questions_at_once_are_asked_once() {
    let upstream = Upstream::start().await;
    let house = House::start(upstreams(&[upstream.addr])).await;
    let query = question("slow.example.", RecordType::A);
    let answers = join_all((0..50).map(|_| ask(house.addr, &query))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_some_and(|a| a.answers.len() == 1)));
    assert_eq!(house.shared.counters().upstream_queries, 1);
    assert!(upstream.asked() <= 3, "retransmissions at most, not {}", upstream.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_different_misses_at_once_are_all_answered() {
    let upstream = Upstream::start().await;
    let house = House::start(upstreams(&[upstream.addr])).await;
    let queries: Vec<_> =
        (0..500).map(|i| question(&format!("host{i}.example."), RecordType::A)).collect();
    let answers = join_all(queries.iter().map(|query| ask(house.addr, query))).await;
    let good = |answer: &Option<hickory_proto::op::Message>| {
        answer.as_ref().is_some_and(|a| a.answers.len() == 1)
    };
    assert_eq!(answers.iter().filter(|answer| good(answer)).count(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_popular_answer_is_asked_for_again_before_it_expires() {
    let upstream = Upstream::start().await;
    let house = House::start(upstreams(&[upstream.addr])).await;
    house.ask("aging.example.", RecordType::A).await;
    tokio::time::sleep(Duration::from_millis(8200)).await;
    for _ in 0..5 {
        house.ask("aging.example.", RecordType::A).await;
    }
    // Past the first answer's life, within the second's.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(upstream.asked(), 2, "once at first, and once for the five");
    let answer = house.ask("aging.example.", RecordType::A).await;
    assert!(answer.answers[0].ttl > 5, "the second answer's: {}", answer.answers[0].ttl);
    assert_eq!(house.shared.counters().answered(Answered::Forwarded), 1, "only the first waited");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_into_a_blocked_name_is_blocked() {
    let upstream = Upstream::start().await;
    let house = House::start(upstreams(&[upstream.addr])).await;
    for _ in 0..2 {
        let answer = house.ask("cloaked.shop.example.", RecordType::A).await;
        assert_eq!(answer.answers[0].data.to_string(), "0.0.0.0");
        let told = "blocked by list ads, rule ads.example".to_owned();
        assert_eq!(ede(&answer), Some((15, told)));
    }
    assert_eq!(house.shared.counters().answered(Answered::Blocked), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_too_large_for_udp_is_fetched_over_tcp() {
    let upstream = Upstream::start().await;
    let house = House::start(upstreams(&[upstream.addr])).await;
    let answer = house.ask("big.example.", RecordType::TXT).await;
    assert!(answer.metadata.truncation, "to a UDP client");
    let mut stream = tokio::net::TcpStream::connect(house.addr).await.expect("connect");
    crate::support::send_tcp(&mut stream, &question("big.example.", RecordType::TXT)).await;
    let whole = crate::support::receive_tcp(&mut stream).await;
    assert_eq!(whole.answers.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_alias_to_a_public_name_is_completed_upstream() {
    let upstream = Upstream::start().await;
    let house = House::start(upstreams(&[upstream.addr])).await;
    for _ in 0..2 {
        let answer = house.ask("Search.home.arpa.", RecordType::A).await;
        let data: Vec<String> = answer.answers.iter().map(|r| r.data.to_string()).collect();
        assert_eq!(data, ["www.example.", "192.0.2.1"]);
    }
    assert_eq!(upstream.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_forwarders_the_reason_is_told_and_local_names_work() {
    let house = House::start(Upstreams::default()).await;
    let answer = house.ask("www.example.", RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    let told = "no upstream resolver is configured".to_owned();
    assert_eq!(ede(&answer), Some((22, told)));
    assert_eq!(house.ask("printer.home.arpa.", RecordType::A).await.answers.len(), 1);

    // Not remembered: once a forwarder is there, it is asked.
    let upstream = Upstream::start().await;
    house.shared.set_upstreams(upstreams(&[upstream.addr]));
    assert_eq!(house.ask("www.example.", RecordType::A).await.answers.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_forwarder_costs_a_moment_once_and_nothing_afterwards() {
    let mut dead = Upstream::start().await;
    dead.stop().await;
    let silent = tokio::net::UdpSocket::bind(dead.addr).await.expect("the port is free again");
    let alive = Upstream::start().await;
    let house = House::start(upstreams(&[dead.addr, alive.addr])).await;
    let start = Instant::now();
    assert_eq!(house.ask("one.example.", RecordType::A).await.answers.len(), 1);
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
    let start = Instant::now();
    assert_eq!(house.ask("two.example.", RecordType::A).await.answers.len(), 1);
    assert!(start.elapsed() < Duration::from_millis(250), "{:?}", start.elapsed());
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn servfail_from_all_forwarders_is_told_with_its_reason_and_remembered() {
    // Both answer SERVFAIL for this name: the failure is told, with its reason, and remembered.
    let (one, two) = (Upstream::start().await, Upstream::start().await);
    let house = House::start(upstreams(&[one.addr, two.addr])).await;
    let answer = house.ask("fail.example.", RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    let told = "the upstream resolver answered SERVFAIL".to_owned();
    assert_eq!(ede(&answer), Some((0, told)));
    assert_eq!((one.asked(), two.asked()), (1, 1));
    let again = house.ask("fail.example.", RecordType::A).await;
    assert_eq!(ede(&again).map(|(code, _)| code), Some(13), "from memory");
    assert_eq!((one.asked(), two.asked()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_negative_answer_without_soa_is_passed_on_but_not_kept() {
    let upstream = Upstream::start().await;
    let house = House::start(upstreams(&[upstream.addr])).await;
    for _ in 0..2 {
        let answer = house.ask("gone.example.", RecordType::A).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    }
    assert_eq!(upstream.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_answer_is_served_when_the_upstream_is_gone() {
    let mut upstream = Upstream::start().await;
    let house = House::start(Upstreams {
        timeout: Duration::from_secs(3),
        stale_after: Duration::from_millis(300),
        ..upstreams(&[upstream.addr])
    })
    .await;
    house.ask("brief.example.", RecordType::A).await;
    upstream.stop().await;
    let silent = crate::support::bind_again(upstream.addr).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let start = Instant::now();
    let answer = house.ask("brief.example.", RecordType::A).await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(answer.answers[0].ttl, 30);
    assert_eq!(ede(&answer), Some((3, String::new())));
    // Asking still goes on: the next client does not wait at all.
    let start = Instant::now();
    assert_eq!(ede(&house.ask("brief.example.", RecordType::A).await), Some((3, String::new())));
    assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_upstream_ends_in_servfail_in_time() {
    let upstream = Upstream::start().await;
    let timeout = Duration::from_millis(700);
    let house = House::start(Upstreams { timeout, ..upstreams(&[upstream.addr]) }).await;
    let start = Instant::now();
    let answer = house.ask("silent.example.", RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(ede(&answer).map(|(code, _)| code), Some(22));
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn more_questions_than_may_be_in_flight_fail_at_once_and_the_others_do_not() {
    let upstream = Upstream::start().await;
    let house = House::start(Upstreams { max_in_flight: 2, ..upstreams(&[upstream.addr]) }).await;
    let queries = ["slow.a.example.", "slow.b.example.", "slow.c.example."];
    let queries = queries.map(|text| question(text, RecordType::A));
    let answers = join_all(queries.iter().map(|query| ask(house.addr, query))).await;
    let good = answers.iter().flatten().filter(|answer| answer.answers.len() == 1).count();
    let refused = answers
        .iter()
        .flatten()
        .filter(|answer| answer.metadata.response_code == ResponseCode::ServFail)
        .count();
    assert_eq!((good, refused), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forwarder_that_does_not_know_edns_is_asked_without() {
    let upstream = Upstream::start().await;
    let house = House::start(upstreams(&[upstream.addr])).await;
    assert_eq!(house.ask("old.example.", RecordType::A).await.answers.len(), 1);
    assert_eq!(upstream.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forwarder_that_changes_the_questions_case_is_asked_over_tcp() {
    let upstream = Upstream::start().await;
    let house = House::start(upstreams(&[upstream.addr])).await;
    let text = "lower.abcdefghijklmnopqrstuvwxyz.example.";
    assert_eq!(house.ask(text, RecordType::A).await.answers.len(), 1);
    assert_eq!(upstream.asked(), 1, "once over UDP");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_must_not_leave_the_house_do_not() {
    let upstream = Upstream::start().await;
    let house = House::start(upstreams(&[upstream.addr])).await;
    for text in [
        "printer.local.",
        "x.test.",
        "x.onion.",
        "x.invalid.",
        "9.9.9.10.in-addr.arpa.",
        "a.home.arpa.",
    ] {
        let answer = house.ask(text, RecordType::A).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain, "{text}");
        assert_eq!(answer.authorities.len(), 1, "{text}");
    }
    let answer = house.ask("_dns.resolver.arpa.", RecordType::SVCB).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert_eq!(
        house.ask("localhost.", RecordType::A).await.answers[0].data.to_string(),
        "127.0.0.1"
    );
    assert_eq!(upstream.asked(), 0);
    // The parent's DS record is public, and what tells a validating client to expect no signatures.
    house.ask("home.arpa.", RecordType::DS).await;
    assert_eq!(upstream.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_remembered_for_those_who_ask_by_a_local_alias_too() {
    let upstream = Upstream::start().await;
    let timeout = Duration::from_millis(700);
    let house = House::start(Upstreams { timeout, ..upstreams(&[upstream.addr]) }).await;
    for name in ["quiet.home.arpa.", "silent.example."] {
        let answer = house.ask(name, RecordType::A).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::ServFail, "{name}");
        let (asked, begun) = (upstream.asked(), Instant::now());
        for _ in 0..3 {
            let answer = house.ask("quiet.home.arpa.", RecordType::A).await;
            assert_eq!(answer.metadata.response_code, ResponseCode::ServFail, "{name}");
        }
        assert!(begun.elapsed() < Duration::from_millis(500), "{name}: {:?}", begun.elapsed());
        // Probes may go on: they ask for something else.
        assert!(upstream.asked() <= asked + 1, "{name}");
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_keeps_no_capitals_and_has_no_tcp_is_asked_without_them() {
    let socket = tokio::net::UdpSocket::bind(loopback()).await.expect("a socket");
    let addr = socket.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        while let Ok((len, client)) = socket.recv_from(&mut buffer).await {
            let mut query = Message::from_vec(&buffer[..len]).expect("a query");
            query.queries[0].name = query.queries[0].name().to_lowercase();
            if let Some(answer) = answer(&query, 65535).await {
                let _ = socket.send_to(&answer, client).await;
            }
        }
    });
    let house = House::start(upstreams(&[addr])).await;
    for name in ["www.example.", "many-letters-in-this-one.example.", "fail.example."] {
        let begun = Instant::now();
        let answer = house.ask(name, RecordType::A).await;
        assert_eq!(answer.answers.len(), usize::from(!name.starts_with("fail")), "{name}");
        assert!(begun.elapsed() < Duration::from_secs(1), "{name}");
    }
    let status = house.shared.upstream_status().remove(0);
    assert_eq!(status.state, lanward_dns::UpstreamState::Up, "{status:?}");
}
