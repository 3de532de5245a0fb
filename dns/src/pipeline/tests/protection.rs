//! Rebinding, and clients that ask too much.

use hickory_proto::rr::rdata::svcb::{IpHint, SvcParamKey, SvcParamValue};
use hickory_proto::rr::rdata::{AAAA, HTTPS};

use super::*;
use crate::{RateLimit, Rebinding};

const V4: [&str; 14] = [
    "0.0.0.0",
    "0.255.0.1",
    "10.0.0.1",
    "10.255.255.254",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.0.1",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.0.1",
    "192.168.255.254",
    "255.255.255.255",
];

const V6: [&str; 18] = [
    "::",
    "::1",
    "::a00:1",
    "::7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:192.168.1.1",
    "::ffff:0.0.0.0",
    "64:ff9b::a00:1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "2002:a00:1::1",
    "2002:7f00:1::1",
    "fc00::1",
    "fd00:1234::1",
    "fe80::1",
    "febf::1",
    "fec0::1",
];

fn address(owner: &str, text: &str) -> Record {
    let data = match text.parse().expect(text) {
        std::net::IpAddr::V4(v4) => RData::A(A(v4)),
        std::net::IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
    };
    Record::from_rdata(hickory(owner), 300, data)
}

fn type_of(text: &str) -> HickoryType {
    if text.contains(':') { HickoryType::AAAA } else { HickoryType::A }
}

fn hinting(owner: &str, text: &str) -> Record {
    let (key, hint) = match text.parse().expect(text) {
        std::net::IpAddr::V4(v4) => {
            (SvcParamKey::Ipv4Hint, SvcParamValue::Ipv4Hint(IpHint(vec![A(v4)])))
        }
        std::net::IpAddr::V6(v6) => {
            (SvcParamKey::Ipv6Hint, SvcParamValue::Ipv6Hint(IpHint(vec![AAAA(v6)])))
        }
    };
    let service = SVCB::new(1, hickory("."), vec![(key, hint)]);
    Record::from_rdata(hickory(owner), 300, RData::HTTPS(HTTPS(service)))
}

/// Asked in all the ways in which an answer is served: out of the cache, and as it comes.
fn served(house: &House, owner: &str, rtype: HickoryType) -> Vec<(Answered, Message)> {
    let message = house.packet(owner, rtype);
    let packet = message.to_vec().expect("encodes");
    let query = Query::parse(&packet).expect("a question");
    let entry = house
        .pipeline
        .fresh(&crate::routes::Route::default().key(query.name(), &query), house.now)
        .expect("learned");
    let source = "10.0.30.7:4000".parse().expect("source");
    let asker = Asker { source, local: LOCAL, transport: Transport::Udp };
    let (finished, out) = house.finish(&packet, asker, &Result::Answer(entry));
    let Some(Outcome::Answered(how)) = finished else { panic!("{finished:?}") };
    let arrived = (how, Message::from_vec(&out).expect("a message"));
    let (outcome, out) = house.send_from("10.0.30.7:4000", &packet);
    let Outcome::Answered(how) = outcome else { panic!("{outcome:?}") };
    vec![arrived, (how, Message::from_vec(&out).expect("a message"))]
}

#[test]
fn no_private_address_of_a_public_name_gets_through_in_any_way() {
    for (index, text) in V4.into_iter().chain(V6).enumerate() {
        let house = House::new();
        let plain = format!("a{index}.example.");
        let alias = format!("b{index}.example.");
        let service = format!("c{index}.example.");
        house.learn(&plain, type_of(text), vec![address(&plain, text)]);
        let records =
            vec![cname(&alias, "target.example.net."), address("target.example.net.", text)];
        house.learn(&alias, type_of(text), records);
        house.learn(&service, HickoryType::HTTPS, vec![hinting(&service, text)]);
        for (owner, rtype, left) in [
            (&plain, type_of(text), 0),
            (&alias, type_of(text), 1),
            (&service, HickoryType::HTTPS, 0),
        ] {
            for (how, answer) in served(&house, owner, rtype) {
                assert_eq!(how, Answered::Withheld, "{text} of {owner}");
                assert_eq!(answer.answers.len(), left, "{text} of {owner}: {:?}", answer.answers);
                assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
            }
        }
    }
}

#[test]
fn public_addresses_beside_private_ones_stay() {
    let house = House::new();
    let owner = "mixed.example.";
    let records = vec![address(owner, "192.0.2.7"), address(owner, "192.168.1.1")];
    house.learn(owner, HickoryType::A, records);
    for (how, answer) in served(&house, owner, HickoryType::A) {
        assert_eq!((how, addresses(&answer)), (Answered::Withheld, vec!["192.0.2.7".to_owned()]));
    }
    let (_, told) = house.send(&with_edns(house.packet(owner, HickoryType::A)));
    let (code, text) = ede(&told).expect("an extended error");
    assert!(code == 15 && text.contains("withheld"), "{code} {text}");
}

#[test]
fn allowed_names_and_names_of_the_house_have_their_addresses() {
    let house = House::new();
    let owner = "192-168-1-5.hash.plex.direct.";
    house.learn(owner, HickoryType::A, vec![address(owner, "192.168.1.5")]);
    assert_eq!(house.ask(owner, HickoryType::A).0, Answered::Withheld);
    let rebinding = Some(Rebinding::allowing([name("plex.direct")]));
    house.shared.set_protection(Protection { rebinding, ..Protection::OFF });
    for (_, answer) in served(&house, owner, HickoryType::A) {
        assert_eq!(addresses(&answer), ["192.168.1.5"]);
    }
    assert_eq!(house.ask("printer.home.arpa.", HickoryType::A).0, Answered::Local);
    let other = "router.example.";
    house.learn(other, HickoryType::A, vec![address(other, "192.168.1.1")]);
    assert_eq!(house.ask(other, HickoryType::A).0, Answered::Withheld);
    house.shared.set_protection(Protection::OFF);
    assert_eq!(addresses(&house.ask(other, HickoryType::A).1), ["192.168.1.1"]);
}

#[test]
fn a_client_over_its_limit_is_sent_to_tcp_or_not_answered_and_the_others_are() {
    let house = House::new();
    let rate_limit = Some(RateLimit { per_second: 10, burst: 20 });
    house.shared.set_protection(Protection { rate_limit, ..Protection::OFF });
    let mut outcomes = std::collections::BTreeMap::new();
    for id in 0..220 {
        let mut message = house.packet("printer.home.arpa.", HickoryType::A);
        message.metadata.id = id;
        let packet = message.to_vec().expect("encodes");
        let (outcome, out) = house.send_from("10.0.30.7:4000", &packet);
        *outcomes.entry(format!("{outcome:?}")).or_insert(0) += 1;
        if outcome == Outcome::Answered(Answered::Limited) {
            let answer = Message::from_vec(&out).expect("a message");
            assert!(answer.metadata.truncation && answer.answers.is_empty());
            assert_eq!(out.len(), packet.len(), "no larger than the question");
        }
        let (outcome, _) = house.send_from(
            "10.0.30.8:4000",
            &house.packet("printer.home.arpa.", HickoryType::A).to_vec().expect("encodes"),
        );
        if id < 20 {
            assert_eq!(outcome, Outcome::Answered(Answered::Local));
        }
    }
    let told: Vec<(String, i32)> = outcomes.into_iter().collect();
    let expected =
        [("Answered(Limited)", 20), ("Answered(Local)", 20), ("Dropped(RateLimit)", 180)];
    assert_eq!(told, expected.map(|(what, times)| (what.to_owned(), times)));
    let over = house.shared.over_limit();
    assert_eq!(
        (over.len(), over[0].client.to_string().as_str(), over[0].refused),
        (2, "10.0.30.7", 200)
    );
}

#[test]
fn malformed_questions_count_too() {
    let house = House::new();
    let rate_limit = Some(RateLimit { per_second: 1, burst: 3 });
    house.shared.set_protection(Protection { rate_limit, ..Protection::OFF });
    let mut packet = house.packet("printer.home.arpa.", HickoryType::A).to_vec().expect("encodes");
    packet.push(0);
    let answered = |source: &str| {
        (0..10)
            .filter(|_| matches!(house.send_from(source, &packet).0, Outcome::Answered(_)))
            .count()
    };
    assert_eq!(answered("10.0.30.9:4000"), 3);
}
