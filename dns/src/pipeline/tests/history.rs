//! What the history hears of a question.

use super::*;
use crate::{Decision, EmptyFilter, Event, RecordType};

impl House {
    /// The only event since the last time.
    fn event(reader: &mut crate::HistoryReader) -> Event {
        let mut events = reader.drain();
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }
}

fn heard() -> (House, crate::HistoryReader) {
    let house = House::new();
    let reader = house.shared.record_history(1 << 16).expect("the only reader");
    (house, reader)
}

#[test]
fn each_answer_is_told_once_with_who_asked_and_who_knew() {
    let (house, mut reader) = heard();
    house.learn("www.example.", HickoryType::A, vec![a("www.example.", 60, 1)]);
    for (asked, how, rcode) in [
        ("printer.home.arpa.", Answered::Local, 0),
        ("nobody.home.arpa.", Answered::Local, 3),
        ("localhost.", Answered::Special, 0),
        ("x.ads.example.", Answered::Blocked, 0),
        ("www.example.", Answered::Cached, 0),
    ] {
        house.ask(asked, HickoryType::A);
        let event = House::event(&mut reader);
        assert_eq!((event.how, event.rcode), (how, rcode), "{asked}");
        assert_eq!(event.name, name(asked.trim_end_matches('.')));
        assert_eq!(event.client.to_string(), "10.0.30.7");
        assert_eq!((event.at, event.took), (house.now, None));
        assert_eq!((event.transport, event.qtype), (Transport::Udp, RecordType::A));
        assert_eq!(&*event.policy, "filtered");
    }
}

#[test]
fn a_block_is_told_with_its_list_and_rule_and_an_exception_with_its_own() {
    let (house, mut reader) = heard();
    house.ask("x.y.ads.example.", HickoryType::A);
    let decision = House::event(&mut reader).decision.expect("a rule decided");
    let expected = Decision {
        allowed: false,
        list: Arc::from("ads"),
        rule: name("ads.example"),
        target: None,
    };
    assert_eq!(decision, expected);

    house.learn("x.good.ads.example.", HickoryType::A, vec![a("x.good.ads.example.", 60, 1)]);
    house.ask("x.good.ads.example.", HickoryType::A);
    let event = House::event(&mut reader);
    assert_eq!(event.how, Answered::Cached);
    let rule = name("good.ads.example");
    assert_eq!(event.decision, Some(Decision { allowed: true, rule, ..expected }));
}

#[test]
fn a_cloaked_name_is_told_with_the_name_it_led_to() {
    let (house, mut reader) = heard();
    let records = vec![cname("shop.example.", "t.ads.example."), a("t.ads.example.", 60, 9)];
    house.learn("shop.example.", HickoryType::A, records);
    house.ask("shop.example.", HickoryType::A);
    let event = House::event(&mut reader);
    assert_eq!((event.how, &event.name), (Answered::Blocked, &name("shop.example")));
    let decision = event.decision.expect("a rule decided");
    assert_eq!(decision.rule, name("ads.example"));
    assert_eq!(decision.target, Some(name("t.ads.example")));
}

#[test]
fn an_answer_from_elsewhere_is_told_with_its_upstream_and_its_time() {
    let (house, mut reader) = heard();
    house.learn("www.example.", HickoryType::A, vec![a("www.example.", 60, 1)]);
    let packet = house.packet("www.example.", HickoryType::A).to_vec().expect("encodes");
    let query = Query::parse(&packet).expect("valid");
    let entry = house
        .pipeline
        .fresh(&crate::routes::Route::default().key(query.name(), &query), house.now)
        .expect("learned");
    let asker = Asker {
        source: "10.0.30.7:4000".parse().expect("source"),
        local: LOCAL,
        transport: Transport::Tls,
    };
    for (result, how) in [
        (Result::Answer(entry.clone()), Answered::Forwarded),
        (Result::Known(entry), Answered::Cached),
    ] {
        house.finish(&packet, asker, &result);
        let event = House::event(&mut reader);
        assert_eq!(event.how, how);
        assert_eq!(event.took, Some(Duration::from_millis(500)));
        assert_eq!(event.at.0 + Duration::from_millis(500), house.now.0);
        assert_eq!((event.upstream, event.dnssec), (Some(UpstreamId(3)), DnssecOutcome::Secure));
        assert_eq!(event.transport, Transport::Tls);
    }
    house.finish(&packet, asker, &Result::Failed(FailureKind::Timeout));
    assert_eq!(House::event(&mut reader).how, Answered::Cached, "the answer is in the cache");
}

#[test]
fn what_is_refused_is_told_too_where_a_name_could_be_read() {
    let (house, mut reader) = heard();
    let good = with_edns(house.packet("Printer.home.arpa.", HickoryType::TXT));
    let mut chaos = house.packet("version.bind.", HickoryType::TXT);
    chaos.queries[0].set_query_class(DNSClass::CH);
    let mut later = good.clone();
    later.edns.as_mut().expect("EDNS").set_version(1);
    let with_rest = |message: &Message| {
        let mut packet = message.to_vec().expect("encodes");
        packet.push(0);
        packet
    };
    let wire = |message: &Message| message.to_vec().expect("encodes");
    for (packet, asked, qtype, rcode) in [
        (wire(&house.packet("home.arpa.", HickoryType::AXFR)), "home.arpa", 252, 5),
        (wire(&chaos), "version.bind", 16, 5),
        (wire(&later), "printer.home.arpa", 16, 16),
        (with_rest(&good), "printer.home.arpa", 16, 1),
    ] {
        assert_eq!(
            house.send_from("10.0.30.7:4000", &packet).0,
            Outcome::Answered(Answered::Refused)
        );
        let event = House::event(&mut reader);
        assert_eq!((event.how, event.rcode), (Answered::Refused, rcode), "{asked}");
        assert_eq!((event.name, event.qtype), (name(asked), RecordType(qtype)));
        assert_eq!((event.at, event.took, event.decision), (house.now, None, None));
        assert_eq!(event.client.to_string(), "10.0.30.7");
    }
    // Nothing to tell: no question, and one that ends within its name.
    let mut packet = wire(&good);
    packet[5] = 0;
    for packet in [&packet[..], &wire(&good)[..20]] {
        let (outcome, _) = house.send_from("10.0.30.7:4000", packet);
        assert_eq!(outcome, Outcome::Answered(Answered::Refused));
    }
    // Strangers, and who wants none kept.
    house.send_from("203.0.113.1:4000", &with_rest(&good));
    let mut quiet = policies(BlockMode::Null);
    quiet.policies[0].history = false;
    house.shared.set_policies(quiet);
    house.send_from("10.0.30.7:4000", &with_rest(&good));
    assert_eq!(reader.drain(), []);
}

#[test]
fn what_a_policy_keeps_to_itself_is_never_told() {
    let (house, mut reader) = heard();
    let mut quiet = policies(BlockMode::Null);
    quiet.policies[0].history = false;
    house.shared.set_policies(quiet);
    house.learn("www.example.", HickoryType::A, vec![a("www.example.", 60, 1)]);
    for asked in ["printer.home.arpa.", "x.ads.example.", "www.example."] {
        house.ask(asked, HickoryType::A);
    }
    assert_eq!(reader.drain(), []);
    house.shared.set_policies(policies(BlockMode::Null));
    house.ask("printer.home.arpa.", HickoryType::A);
    House::event(&mut reader);
}

#[test]
fn neither_a_strangers_question_nor_the_hosts_own_test_is_told() {
    let (house, mut reader) = heard();
    let packet = house.packet("printer.home.arpa.", HickoryType::A).to_vec().expect("encodes");
    house.send_from("203.0.113.1:4000", &packet);
    house.ask("selftest.lanward.invalid.", HickoryType::A);
    assert_eq!(reader.drain(), []);
}

#[test]
fn an_event_keeps_the_names_that_were_in_force_when_it_happened() {
    let (house, mut reader) = heard();
    house.ask("x.ads.example.", HickoryType::A);
    let mut renamed = policies(BlockMode::Null);
    renamed.policies[0].name = "other".into();
    house.shared.set_filtering(Arc::new(EmptyFilter), renamed);
    house.ask("printer.home.arpa.", HickoryType::A);
    let events = reader.drain();
    assert_eq!(
        events.iter().map(|event| &*event.policy).collect::<Vec<_>>(),
        ["filtered", "other"]
    );
    assert_eq!(&*events[0].decision.as_ref().expect("a rule decided").list, "ads");
}
