//! Upstream servers behind TLS, HTTPS and QUIC.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use lanward_dns::{Order, UpstreamGroup, UpstreamServer, UpstreamState, Upstreams};

use crate::secure_upstream::{NAME, SecureUpstream, Speaks, Trust};
use crate::support::{House, Upstream, ask, ede, only_over_tcp, question};

const ALL: [Speaks; 3] = [Speaks::Tls, Speaks::Https, Speaks::Quic];

fn only(server: UpstreamServer) -> Upstreams {
    let group = UpstreamGroup { id: "all".into(), servers: vec![server], order: Order::Listed };
    Upstreams { groups: vec![group], ..Upstreams::default() }
}

async fn house(trust: &Trust, upstreams: Upstreams) -> House {
    let house = House::start(Upstreams::default()).await;
    house.shared.set_upstream_tls(&trust.client());
    house.shared.set_upstreams(upstreams);
    house
}

fn is_good(answer: &Message) -> bool {
    answer.metadata.response_code == ResponseCode::NoError && answer.answers.len() == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_misses_at_once_over_one_connection_are_all_answered() {
    for speaks in ALL {
        let trust = Trust::new();
        let upstream = SecureUpstream::start(speaks, &trust).await;
        let house = house(&trust, only(upstream.server(NAME))).await;
        let queries: Vec<_> =
            (0..500).map(|i| question(&format!("host{i}.example."), RecordType::A)).collect();
        let answers = join_all(queries.iter().map(|query| ask(house.addr, query))).await;
        let bad: Vec<_> =
            answers.iter().filter(|answer| !answer.as_ref().is_some_and(is_good)).collect();
        assert!(bad.is_empty(), "{speaks:?}: {} of 500: {:?}", bad.len(), bad[0]);
        assert!(upstream.connections() <= 3, "{speaks:?}: {}", upstream.connections());
        let status = house.shared.upstream_status().remove(0);
        assert_eq!((status.failed, status.in_flight), (0, 0), "{speaks:?}: {status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_padded_and_only_streams_need_no_id() {
    for speaks in ALL {
        let trust = Trust::new();
        let upstream = SecureUpstream::start(speaks, &trust).await;
        let house = house(&trust, only(upstream.server(NAME))).await;
        for text in ["a.example.", "a-much-longer-name-than-the-other.example."] {
            assert!(is_good(&house.ask(text, RecordType::A).await), "{speaks:?}");
        }
        let asked = upstream.seen.asked.lock().expect("lock").clone();
        assert!(asked.iter().all(|(_, len)| *len == 128), "{speaks:?}: {asked:?}");
        let no_id = asked.iter().all(|(id, _)| *id == 0);
        assert_eq!(no_id, speaks != Speaks::Tls, "{speaks:?}: {asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_prove_its_name_is_not_asked() {
    for speaks in ALL {
        let trust = Trust::new();
        let upstream = SecureUpstream::start(speaks, &trust).await;
        let house = house(&trust, only(upstream.server("other.upstream.example"))).await;
        let answer = house.ask("www.example.", RecordType::A).await;
        let told = "no upstream resolver could prove who it is".to_owned();
        assert_eq!(ede(&answer), Some((23, told)), "{speaks:?}");
        let status = house.shared.upstream_status().remove(0);
        assert_eq!(status.state, UpstreamState::Down);
        let reason = status.reason.expect("a reason");
        assert!(reason.starts_with("it could not prove who it is: "), "{speaks:?}: {reason}");
        assert_eq!(upstream.asked(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_closes_costs_no_question() {
    let trust = Trust::new();
    let upstream = SecureUpstream::start(Speaks::Tls, &trust).await;
    upstream.seen.close_after.store(2, Ordering::Relaxed);
    let house = house(&trust, only(upstream.server(NAME))).await;
    for index in 0..9 {
        let answer = house.ask(&format!("n{index}.example."), RecordType::A).await;
        assert!(is_good(&answer), "{index}: {answer:?}");
    }
    assert!(upstream.connections() >= 4, "{}", upstream.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_kept_on_the_way_is_as_old_as_that() {
    let trust = Trust::new();
    let upstream = SecureUpstream::start(Speaks::Https, &trust).await;
    let house = house(&trust, only(upstream.server(NAME))).await;
    for (age, ttl) in [(0, 300), (120, 180), (4000, 0)] {
        upstream.seen.age.store(age, Ordering::Relaxed);
        let answer = house.ask(&format!("n{age}.example."), RecordType::A).await;
        assert!(is_good(&answer));
        assert_eq!(answer.answers[0].ttl, ttl, "{age}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_breaks_off_its_answer_to_one_name_is_asked_for_others() {
    for speaks in ALL {
        let trust = Trust::new();
        let upstream = SecureUpstream::start(speaks, &trust).await;
        let house = house(&trust, only(upstream.server(NAME))).await;
        assert!(is_good(&house.ask("one.example.", RecordType::A).await), "{speaks:?}");
        let states = || house.shared.upstream_status().remove(0);
        for index in 0..5 {
            // No answer: the stream, or the connection, is closed instead.
            let answer = house.ask(&format!("shut.n{index}.example."), RecordType::A).await;
            let told = "the upstream resolver's reply was no answer".to_owned();
            assert_eq!(ede(&answer), Some((23, told)), "{speaks:?}");
            assert_ne!(states().state, UpstreamState::Down, "{speaks:?}: {:?}", states());
            assert!(is_good(&house.ask(&format!("n{index}.example."), RecordType::A).await));
        }
        assert_eq!(states().failed, 5, "{speaks:?}: {:?}", states());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_restarted_is_in_use_within_two_seconds() {
    for speaks in ALL {
        let trust = Trust::new();
        let mut upstream = SecureUpstream::start(speaks, &trust).await;
        let house = house(&trust, only(upstream.server(NAME))).await;
        assert!(is_good(&house.ask("one.example.", RecordType::A).await));
        upstream.stop().await;
        let addr = house.addr;
        let failing =
            tokio::spawn(async move { ask(addr, &question("two.example.", RecordType::A)).await });
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let _again = SecureUpstream::start_at(upstream.addr, speaks, &trust).await;
        let back = Instant::now();
        loop {
            if is_good(&house.ask("two.example.", RecordType::A).await) {
                break;
            }
            assert!(back.elapsed() < Duration::from_secs(2), "{speaks:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(back.elapsed() < Duration::from_secs(2), "{speaks:?}: {:?}", back.elapsed());
        let _ = failing.await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_known_by_name_is_found_through_the_bootstrap_servers() {
    let trust = Trust::new();
    // The test's server says that every name is at 192.0.2.1, where nobody is.
    let bootstrap = Upstream::start().await;
    let upstream = SecureUpstream::start(Speaks::Tls, &trust).await;
    let server = UpstreamServer { addresses: Vec::new(), ..upstream.server(NAME) };
    let house = house(&trust, only(server.clone())).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let status = house.shared.upstream_status().remove(0);
    let told = format!("its name {NAME} is not resolved: no bootstrap server is configured");
    assert!(status.reason.expect("a reason").starts_with(&told));
    let upstreams = Upstreams { bootstrap: vec![bootstrap.addr], ..only(server) };
    house.shared.set_upstreams(upstreams);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(bootstrap.asked() >= 2, "A and AAAA");
    // Found; that nobody answers there is another matter.
    let status = house.shared.upstream_status().remove(0);
    assert!(!status.reason.expect("a reason").contains("not resolved"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bootstrap_servers_are_asked_over_tcp_when_udp_is_blocked_or_too_small() {
    for truncating in [true, false] {
        let trust = Trust::new();
        let upstream = SecureUpstream::start(Speaks::Tls, &trust).await;
        let server = UpstreamServer { addresses: Vec::new(), ..upstream.server(NAME) };
        let bootstrap = vec![only_over_tcp(truncating).await];
        let house = house(&trust, Upstreams { bootstrap, ..only(server) }).await;
        let begun = Instant::now();
        loop {
            let status = house.shared.upstream_status().remove(0);
            if !status.reason.expect("a reason").contains("not resolved") {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(4), "truncating: {truncating}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The dates of a certificate for a clock that is slow, and for one that is fast.
const WRONG_YEARS: [(i32, i32); 2] = [(3000, 3001), (1999, 2000)];

#[tokio::test(flavor = "multi_thread")]
async fn time_servers_are_found_while_the_clock_is_too_wrong_for_certificates() {
    for speaks in ALL {
        for (from, to) in WRONG_YEARS {
            let (trust, plain) = (Trust::valid(from, to), Upstream::start().await);
            let mut upstream = SecureUpstream::start(speaks, &trust).await;
            let upstreams =
                Upstreams { bootstrap: vec![plain.addr], ..only(upstream.server(NAME)) };
            let house = house(&trust, upstreams).await;
            let answer = house.ask("2.debian.pool.ntp.org.", RecordType::A).await;
            assert!(is_good(&answer), "{speaks:?} {from}: {answer:?}");
            assert!(answer.answers[0].ttl <= 60, "asked again soon: {answer:?}");
            assert_eq!(plain.asked(), 1, "{speaks:?}");
            let other = house.ask("www.example.", RecordType::A).await;
            let (_, told) = ede(&other).expect("a reason");
            assert!(told.contains("this host's clock"), "{speaks:?} {from}: {told}");
            assert_eq!(plain.asked(), 1, "{speaks:?}: nobody else's name is asked in plain");
            let status = house.shared.upstream_status().remove(0);
            assert!(status.untimely, "{speaks:?} {from}: {status:?}");

            // The time is set: that is, the certificate is valid.
            upstream.stop().await;
            let good = Trust::new();
            house.shared.set_upstream_tls(&good.client());
            let _good = SecureUpstream::start_at(upstream.addr, speaks, &good).await;
            let set = Instant::now();
            while !is_good(&house.ask("www.example.", RecordType::A).await) {
                assert!(set.elapsed() < Duration::from_secs(3), "{speaks:?} {from}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert!(is_good(&house.ask("time.apple.com.", RecordType::A).await));
            assert_eq!(plain.asked(), 1, "{speaks:?}: they are asked like all others again");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_who_it_should_be_has_no_time_server_asked_in_plain() {
    let (trust, plain) = (Trust::new(), Upstream::start().await);
    let upstream = SecureUpstream::start(Speaks::Tls, &trust).await;
    let server = upstream.server("other.upstream.example");
    let house = house(&trust, Upstreams { bootstrap: vec![plain.addr], ..only(server) }).await;
    let answer = house.ask("0.pool.ntp.org.", RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(plain.asked(), 0);
}
