//! Groups of upstream servers: who is asked for what, and what becomes of it when they fail.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use lanward_dns::{
    ForwardZone, Order, UpstreamGroup, UpstreamServer, UpstreamState, UpstreamStatus, Upstreams,
};

use crate::support::{House, Upstream, ask, ede, policies, question, upstreams};

fn group(id: &str, servers: &[&Upstream]) -> UpstreamGroup {
    let servers = servers.iter().map(|server| UpstreamServer::plain(server.addr)).collect();
    UpstreamGroup { id: id.into(), servers, order: Order::Listed }
}

fn zone(name: &str, networks: &[&str], group: usize) -> ForwardZone {
    ForwardZone {
        zone: name.parse().expect("name"),
        networks: networks.iter().map(|net| net.parse().expect("network")).collect(),
        group,
    }
}

fn status(house: &House, server: &Upstream) -> UpstreamStatus {
    let label = server.addr.to_string();
    let mut all = house.shared.upstream_status().into_iter();
    all.find(|status| *status.server == label).expect("listed")
}

fn is_good(answer: &Message) -> bool {
    answer.metadata.response_code == ResponseCode::NoError && answer.answers.len() == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn each_policy_asks_its_own_group_and_shares_no_answer() {
    let (one, two) = (Upstream::start().await, Upstream::start().await);
    let groups = vec![group("all", &[&one]), group("kids", &[&two])];
    let house = House::start(Upstreams { groups, ..Upstreams::default() }).await;
    assert!(is_good(&house.ask("www.example.", RecordType::A).await));
    assert_eq!((one.asked(), two.asked()), (1, 0));
    let mut changed = policies();
    changed.policies[0].upstreams = Some("kids".into());
    house.shared.set_policies(changed);
    assert!(is_good(&house.ask("www.example.", RecordType::A).await));
    assert_eq!((one.asked(), two.asked()), (1, 1), "not from the other group's answers");
    house.shared.set_policies(policies());
    assert!(is_good(&house.ask("www.example.", RecordType::A).await));
    assert_eq!((one.asked(), two.asked()), (1, 1), "from its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_keeps_its_answers_while_another_is_edited() {
    let (one, two) = (Upstream::start().await, Upstream::start().await);
    let house = House::start(upstreams(&[one.addr])).await;
    house.ask("www.example.", RecordType::A).await;
    let mut edited = upstreams(&[one.addr]);
    edited.groups.push(group("kids", &[&two]));
    house.shared.set_upstreams(edited);
    house.ask("www.example.", RecordType::A).await;
    assert_eq!(one.asked(), 1);
    house.shared.set_upstreams(upstreams(&[two.addr]));
    house.ask("www.example.", RecordType::A).await;
    assert_eq!((one.asked(), two.asked()), (1, 1), "its own servers changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_zone_is_asked_of_its_own_servers() {
    let (public, office) = (Upstream::start().await, Upstream::start().await);
    let house = House::start(Upstreams {
        groups: vec![group("all", &[&public]), group("office", &[&office])],
        zones: vec![
            zone("corp.internal", &[], 1),
            zone("168.192.in-addr.arpa", &[], 1),
            zone("elsewhere.example", &["10.0.0.0/8"], 1),
            // As deep as the zone of the house: asked for what the house does not know.
            zone("home.arpa", &[], 1),
        ],
        ..Upstreams::default()
    })
    .await;
    for (asked, text) in [
        (1, "dc1.corp.internal."),
        (2, "a.b.corp.internal."),
        (3, "5.1.168.192.in-addr.arpa."),
        (4, "nas.home.arpa."),
        (4, "dc1.corp.internal."),
    ] {
        house.ask(text, RecordType::A).await;
        assert_eq!((public.asked(), office.asked()), (0, asked), "{text}");
    }
    let local = house.ask("printer.home.arpa.", RecordType::A).await;
    assert_eq!(local.answers[0].data.to_string(), "10.0.30.20", "what the house knows counts");
    for text in ["other.internal.", "1.1.1.10.in-addr.arpa."] {
        let answer = house.ask(text, RecordType::A).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain, "{text}");
    }
    house.ask("www.elsewhere.example.", RecordType::A).await;
    assert_eq!((public.asked(), office.asked()), (1, 4), "not for this client");
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_a_conditional_zone_is_signed_is_asked_of_those_above_it() {
    let (public, office) = (Upstream::start().await, Upstream::start().await);
    let zones = ["office.example", "lab.office.example", "corp.internal", "fd.home.arpa"];
    let mut zones: Vec<ForwardZone> = zones.map(|name| zone(name, &[], 1)).into();
    zones.push(zone("168.192.in-addr.arpa", &[], 1));
    zones.push(zone("5.10.in-addr.arpa", &[], 1));
    let groups = vec![group("all", &[&public]), group("office", &[&office])];
    let house = House::start(Upstreams { groups, zones, ..Upstreams::default() }).await;
    for (text, above) in [
        ("office.example.", true),
        ("www.office.example.", false),
        ("lab.office.example.", false),
        ("168.192.in-addr.arpa.", true),
        // Nobody outside has anything above these.
        ("corp.internal.", false),
        ("5.10.in-addr.arpa.", false),
        // Below the zone of the house.
        ("fd.home.arpa.", false),
    ] {
        let before = (public.asked(), office.asked());
        let answer = house.ask(text, RecordType::DS).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError, "{text}");
        let asked = (public.asked() - before.0, office.asked() - before.1);
        assert_eq!(asked, if above { (1, 0) } else { (0, 1) }, "{text}");
        // Everything else at the top is the zone's own.
        let before = (public.asked(), office.asked());
        house.ask(text, RecordType::SOA).await;
        assert_eq!((public.asked(), office.asked()), (before.0, before.1 + 1), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_nobody_answers_for_take_no_server_down_that_answers_probes() {
    let server = Upstream::start().await;
    server.delay(Duration::from_millis(100));
    let timeout = Duration::from_millis(700);
    let house = House::start(Upstreams { timeout, ..upstreams(&[server.addr]) }).await;
    let silent = async |at: u64| {
        tokio::time::sleep(Duration::from_millis(20 * at)).await;
        house.ask(&format!("silent.n{at}.example."), RecordType::A).await
    };
    let watching = async {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(1800) {
            let state = status(&house, &server).state;
            assert_ne!(state, UpstreamState::Down, "after {:?}", begun.elapsed());
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    };
    let asking = join_all((0..50).map(silent));
    let (answers, ()) = tokio::join!(asking, watching);
    let failed = |answer: &Message| answer.metadata.response_code == ResponseCode::ServFail;
    assert!(answers.iter().all(failed));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_of_two_servers_gone_no_question_fails() {
    let (mut one, two) = (Upstream::start().await, Upstream::start().await);
    let house = House::start(upstreams(&[one.addr, two.addr])).await;
    house.ask("warm.example.", RecordType::A).await;
    one.stop().await;
    let silent = tokio::net::UdpSocket::bind(one.addr).await.expect("the port is free again");
    let start = Instant::now();
    for round in 0..20 {
        let queries: Vec<_> = (0..20)
            .map(|index| question(&format!("n{round}-{index}.example."), RecordType::A))
            .collect();
        let answers = join_all(queries.iter().map(|query| ask(house.addr, query))).await;
        assert!(answers.iter().flatten().filter(|answer| is_good(answer)).count() == 20);
    }
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let status = status(&house, &one);
    assert_eq!(status.state, UpstreamState::Down);
    assert_eq!(status.reason.as_deref(), Some("it does not answer"));
    assert!(status.late >= 1 && status.lasting.is_some(), "{status:?}");
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_only_server_comes_back_it_is_in_use_within_two_seconds() {
    let mut only = Upstream::start().await;
    let house = House::start(Upstreams {
        stale_after: Duration::from_millis(300),
        ..upstreams(&[only.addr])
    })
    .await;
    house.ask("brief.example.", RecordType::A).await;
    only.stop().await;
    let silent = tokio::net::UdpSocket::bind(only.addr).await.expect("the port is free again");
    // Somebody waits all through the outage.
    let addr = house.addr;
    let waiting = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        ask(addr, &question("waits.example.", RecordType::A)).await
    });
    tokio::time::sleep(Duration::from_millis(1100)).await;
    // The first waits to see that nobody answers; then it is known.
    assert_eq!(ede(&house.ask("brief.example.", RecordType::A).await), Some((3, String::new())));
    tokio::time::sleep(Duration::from_millis(2500)).await;
    drop(silent);
    only.restart().await;
    let back = Instant::now();
    let waited = waiting.await.expect("joins").expect("an answer");
    assert!(is_good(&waited), "{waited:?}");
    assert!(back.elapsed() < Duration::from_secs(2), "{:?}", back.elapsed());
    let answer = house.ask("brief.example.", RecordType::A).await;
    assert!(is_good(&answer) && ede(&answer).is_none(), "{answer:?}");
    assert!(back.elapsed() < Duration::from_secs(2), "{:?}", back.elapsed());
    assert_eq!(status(&house, &only).state, UpstreamState::Up);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusing_server_is_passed_over() {
    let (mut gone, alive) = (Upstream::start().await, Upstream::start().await);
    gone.stop().await;
    let house = House::start(upstreams(&[gone.addr, alive.addr])).await;
    let start = Instant::now();
    assert!(is_good(&house.ask("one.example.", RecordType::A).await));
    assert!(start.elapsed() < Duration::from_millis(250), "{:?}", start.elapsed());
    assert_eq!(status(&house, &gone).state, UpstreamState::Down);
}

#[tokio::test(flavor = "multi_thread")]
async fn shuffled_servers_share_the_questions() {
    let (one, two) = (Upstream::start().await, Upstream::start().await);
    let mut shuffled = upstreams(&[one.addr, two.addr]);
    shuffled.groups[0].order = Order::Shuffled;
    let house = House::start(shuffled).await;
    for index in 0..60 {
        house.ask(&format!("n{index}.example."), RecordType::A).await;
    }
    assert!(one.asked() > 10 && two.asked() > 10, "{} {}", one.asked(), two.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fastest_server_is_preferred_once_it_is_known() {
    let (slow, fast) = (Upstream::start().await, Upstream::start().await);
    slow.delay(Duration::from_millis(60));
    let mut fastest = upstreams(&[slow.addr, fast.addr]);
    fastest.groups[0].order = Order::Fastest;
    let house = House::start(fastest).await;
    for index in 0..40 {
        house.ask(&format!("n{index}.example."), RecordType::A).await;
    }
    assert!(slow.asked() < 10 && fast.asked() > 30, "{} {}", slow.asked(), fast.asked());
}
