//! Answers from the names of the house, as they are written.

use super::*;

fn record(owner: &str, data: RecordData) -> LocalRecord {
    LocalRecord { name: name(owner), ttl_secs: 60, data, networks: Vec::new() }
}

fn house() -> House {
    let mut b = LocalNames::builder();
    b.domain(&name("home.arpa")).zone(&LocalZone {
        apex: name("home.arpa"),
        name_servers: vec![name("pi-a.home.arpa"), name("pi-b.home.arpa")],
        serial: 7,
        negative_ttl_secs: 5,
    });
    for (owner, address) in [
        ("pi-a.home.arpa", "10.0.30.2"),
        ("pi-b.home.arpa", "10.0.30.3"),
        ("pi-b.home.arpa", "fd00::3"),
    ] {
        let addresses = vec![address.parse().expect(address)];
        b.host(&LocalHost { name: name(owner), addresses, ttl_secs: 60 }).expect(owner);
    }
    let srv = |weight, target: &str| RecordData::Srv {
        priority: 0,
        weight,
        port: 631,
        target: name(target),
    };
    let cname = |target: &str| RecordData::Cname(name(target));
    for (owner, data) in [
        ("_ipp._tcp.home.arpa", srv(1, "pi-b.home.arpa")),
        ("_ipp._tcp.home.arpa", srv(2, "pi-b.home.arpa")),
        ("_ipp._tcp.home.arpa", srv(3, "printer.example")),
        ("home.arpa", RecordData::Mx { preference: 10, exchange: name("pi-a.home.arpa") }),
        ("*.lab.home.arpa", cname("pi-a.home.arpa")),
        ("short.home.arpa", cname("elsewhere")),
        ("self.home.arpa", cname("localhost")),
        ("tor.home.arpa", cname("x.onion")),
        ("lan.home.arpa", cname("router.lan")),
        ("top.home.arpa", cname("internal")),
    ] {
        b.record(&record(owner, data)).expect(owner);
    }
    for index in 0..40 {
        let text = format!("{index:>200}").into_bytes();
        b.record(&record("big.home.arpa", RecordData::Txt(vec![text]))).expect("text");
    }
    let house = House::new();
    house.shared.set_local(b.build());
    house
}

fn additional(answer: &Message) -> Vec<String> {
    answer.additionals.iter().map(|r| format!("{} {}", r.name, r.data)).collect()
}

#[test]
fn the_addresses_of_servers_come_along() {
    let house = house();
    let (_, ns) = house.ask("home.arpa.", HickoryType::NS);
    assert_eq!(addresses(&ns), ["pi-a.home.arpa.", "pi-b.home.arpa."]);
    let both =
        ["pi-a.home.arpa. 10.0.30.2", "pi-b.home.arpa. 10.0.30.3", "pi-b.home.arpa. fd00::3"];
    assert_eq!(additional(&ns), both);
    assert!(ns.metadata.authoritative);
    let (_, mx) = house.ask("home.arpa.", HickoryType::MX);
    assert_eq!(additional(&mx), both[..1]);
    let (_, srv) = house.ask("_ipp._tcp.home.arpa.", HickoryType::SRV);
    assert_eq!(srv.answers.len(), 3);
    assert_eq!(additional(&srv), both[1..], "each host once, and nobody else's");
}

#[test]
fn addresses_that_do_not_fit_are_left_out_without_truncation() {
    let house = house();
    let long = |index: usize| format!("{index}{}.home.arpa", "x".repeat(50));
    let mut b = LocalNames::builder();
    for index in 0..5 {
        let addresses = (0..4).map(|last| [10, 0, index as u8, last].into()).collect();
        let host = LocalHost { name: name(&long(index)), addresses, ttl_secs: 60 };
        b.host(&host).expect("host");
        let data = RecordData::Mx { preference: 1, exchange: name(&long(index)) };
        b.record(&record("mail.example", data)).expect("mx");
    }
    house.shared.set_local(b.build());
    let (_, mx) = house.ask("mail.example.", HickoryType::MX);
    assert_eq!((mx.answers.len(), mx.additionals.len()), (5, 0));
    assert!(!mx.metadata.truncation);
    let mut message = house.packet("mail.example.", HickoryType::MX);
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    message.edns = Some(edns);
    let (_, mx) = house.send(&message);
    assert!(mx.edns.is_some());
    assert!(!mx.metadata.truncation);
}

#[test]
fn what_is_too_large_for_udp_is_truncated_and_whole_over_tcp() {
    let house = house();
    let (_, answer) = house.ask("big.home.arpa.", HickoryType::TXT);
    assert!(answer.metadata.truncation && answer.answers.is_empty());
    let packet = house.packet("big.home.arpa.", HickoryType::TXT).to_vec().expect("encodes");
    let source = "10.0.30.7:4000".parse().expect("source");
    let asker = Asker { source, local: LOCAL, transport: Transport::Tcp };
    let mut out = Vec::new();
    house.pipeline.handle(&house.shared, &packet, asker, house.now, &mut out);
    let answer = Message::from_vec(&out).expect("a message");
    assert_eq!((answer.answers.len(), answer.metadata.truncation), (40, false));
}

#[test]
fn a_wildcard_answers_under_the_asked_name() {
    let (_, answer) = house().ask("Web.Lab.home.arpa.", HickoryType::A);
    assert_eq!(answer.answers[0].name.to_ascii(), "Web.Lab.home.arpa.");
    assert_eq!(addresses(&answer), ["pi-a.home.arpa.", "10.0.30.2"]);
}

#[test]
fn a_plain_name_is_answered_as_it_was_asked() {
    let house = house();
    let (how, answer) = house.ask("PI-b.", HickoryType::AAAA);
    assert_eq!(how, Answered::Local);
    assert_eq!(answer.answers[0].name.to_ascii(), "PI-b.");
    assert_eq!(addresses(&answer), ["fd00::3"]);
    let (_, answer) = house.ask("pi-a.", HickoryType::AAAA);
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError, "it exists");
    assert!(answer.answers.is_empty());
    assert_eq!(answer.authorities[0].name.to_ascii(), "pi-a.", "no zone that it is not in");
}

#[test]
fn an_alias_to_what_must_not_be_asked_ends_in_the_house() {
    let house = house();
    let (there, gone) = (ResponseCode::NoError, ResponseCode::NXDomain);
    for (text, rtype, code, data, zone) in [
        ("short.home.arpa.", HickoryType::A, gone, 1, Some("elsewhere.")),
        ("tor.home.arpa.", HickoryType::A, gone, 1, Some("onion.")),
        ("lan.home.arpa.", HickoryType::A, gone, 1, Some("lan.")),
        ("lan.home.arpa.", HickoryType::TXT, gone, 1, Some("lan.")),
        ("top.home.arpa.", HickoryType::TXT, there, 1, Some("internal.")),
        ("self.home.arpa.", HickoryType::A, there, 2, None),
        ("self.home.arpa.", HickoryType::AAAA, there, 2, None),
        ("self.home.arpa.", HickoryType::MX, there, 1, Some("localhost.")),
    ] {
        let (how, answer) = house.ask(text, rtype);
        assert_eq!(how, Answered::Local, "{text} {rtype}");
        assert_eq!(answer.metadata.response_code, code, "{text} {rtype}");
        assert_eq!(answer.answers.len(), data, "{text} {rtype}: {:?}", answer.answers);
        let authority = answer.authorities.first().map(|soa| soa.name.to_ascii());
        assert_eq!(authority.as_deref(), zone, "{text} {rtype}: negative answers can be kept");
    }
}

#[test]
fn what_a_name_out_of_the_house_does_not_have_can_be_kept() {
    let house = house();
    let mut b = LocalNames::builder();
    let a = RecordData::A([10, 0, 30, 9].into());
    b.record(&record("shop.example", a)).expect("a");
    b.record(&record("also.example", RecordData::Cname(name("shop.example")))).expect("alias");
    house.shared.set_local(b.build());
    for text in ["shop.example.", "also.example."] {
        for rtype in [HickoryType::AAAA, HickoryType::HTTPS, HickoryType::SVCB] {
            let (how, answer) = house.ask(text, rtype);
            let got = (how, answer.metadata.response_code);
            assert_eq!(got, (Answered::Local, ResponseCode::NoError), "{text} {rtype}");
            let [soa] = answer.authorities.as_slice() else { panic!("{text} {rtype}: no SOA") };
            assert_eq!((soa.name.to_ascii().as_str(), soa.ttl), ("shop.example.", 10));
            assert!(matches!(&soa.data, RData::SOA(soa) if soa.minimum == 10));
        }
    }
}

#[test]
fn zones_are_not_given_away_whole() {
    let house = house();
    for rtype in [HickoryType::AXFR, HickoryType::IXFR] {
        let (how, answer) = house.ask("home.arpa.", rtype);
        let got = (how, answer.metadata.response_code, answer.answers.len());
        assert_eq!(got, (Answered::Refused, ResponseCode::Refused, 0));
    }
    let (_, any) = house.ask("home.arpa.", HickoryType::ANY);
    assert_eq!(any.answers.len(), 1, "RFC 8482");
}

/// A house whose filtered clients are behind a NAT64, with names of every sort.
fn behind_nat64(prefix: &str) -> House {
    let mut b = LocalNames::builder();
    let zone = LocalZone {
        apex: name("home.arpa"),
        name_servers: vec![name("pi-a.home.arpa")],
        serial: 7,
        negative_ttl_secs: 5,
    };
    b.domain(&name("home.arpa")).zone(&zone).reverse("10.0.30.0/24".parse().expect("net"), &zone);
    for (owner, addresses) in [
        ("camera.home.arpa", &["10.0.30.20", "10.0.30.21"][..]),
        ("both.home.arpa", &["10.0.30.22", "fd00::22"]),
        ("public.home.arpa", &["198.51.100.7", "127.0.0.1"]),
        ("lab.example", &["10.0.30.23"]),
    ] {
        let addresses = addresses.iter().map(|addr| addr.parse().expect("address")).collect();
        b.host(&LocalHost { name: name(owner), addresses, ttl_secs: 60 }).expect(owner);
    }
    let cname = |target: &str| RecordData::Cname(name(target));
    b.record(&record("door.home.arpa", cname("camera.home.arpa"))).expect("alias");
    b.record(&record("text.home.arpa", RecordData::Txt(vec![b"x".to_vec()]))).expect("text");
    let house = House::new();
    house.shared.set_local(b.build());
    let mut policies = policies(BlockMode::Null);
    policies.policies[0].dns64 = Some(prefix.parse().expect("a prefix"));
    house.shared.set_policies(policies);
    house
}

#[test]
fn names_of_the_house_reach_clients_behind_a_nat64_of_its_own() {
    let house = behind_nat64("fd00:64::/96");
    let (how, answer) = house.ask("Camera.home.arpa.", HickoryType::AAAA);
    assert_eq!(how, Answered::Local);
    assert_eq!(addresses(&answer), ["fd00:64::a00:1e14", "fd00:64::a00:1e15"]);
    assert_eq!(answer.answers[0].name.to_ascii(), "Camera.home.arpa.");
    assert_eq!(answer.answers[0].ttl, 5, "no longer than there is no other");
    assert!(answer.authorities.is_empty() && answer.metadata.authoritative);
    for (asked, expected) in [
        ("camera.", &["fd00:64::a00:1e14", "fd00:64::a00:1e15"][..]),
        ("door.home.arpa.", &["camera.home.arpa.", "fd00:64::a00:1e14", "fd00:64::a00:1e15"]),
        ("lab.example.", &["fd00:64::a00:1e17"]),
        ("both.home.arpa.", &["fd00::22"]),
        ("public.home.arpa.", &["fd00:64::c633:6407"]),
        ("text.home.arpa.", &[]),
    ] {
        let (how, answer) = house.ask(asked, HickoryType::AAAA);
        assert_eq!(how, Answered::Local, "{asked}");
        assert_eq!(addresses(&answer), expected, "{asked}");
    }
    assert_eq!(house.ask("nobody.home.arpa.", HickoryType::AAAA).1.answers, []);
    let (_, four) = house.ask("camera.home.arpa.", HickoryType::A);
    assert_eq!(addresses(&four), ["10.0.30.20", "10.0.30.21"]);
}

#[test]
fn it_is_told_that_an_address_was_made_and_who_checks_by_himself_gets_none() {
    let house = behind_nat64("fd00:64::/96");
    let mut message = with_edns(house.packet("camera.home.arpa.", HickoryType::AAAA));
    assert_eq!(ede(&house.send(&message).1).map(|(code, _)| code), Some(29));
    message.edns.as_mut().expect("EDNS").set_dnssec_ok(true);
    assert_eq!(house.send(&message).1.answers.len(), 2);
    message.metadata.checking_disabled = true;
    let (_, answer) = house.send(&message);
    assert_eq!((answer.answers.len(), answer.authorities.len(), ede(&answer)), (0, 1, None));
}

#[test]
fn private_addresses_do_not_stand_behind_the_well_known_prefix() {
    let house = behind_nat64("64:ff9b::/96");
    let (_, answer) = house.ask("camera.home.arpa.", HickoryType::AAAA);
    assert_eq!((answer.answers.len(), answer.authorities.len()), (0, 1));
    let (_, answer) = house.ask("public.home.arpa.", HickoryType::AAAA);
    assert_eq!(addresses(&answer), ["64:ff9b::c633:6407"]);
}

#[test]
fn a_made_address_of_the_house_has_the_name_of_what_it_was_made_of() {
    let reverse = |v6: &str| Name::reverse_of(v6.parse().expect(v6)).to_string();
    let house = behind_nat64("fd00:64::/96");
    let asked = reverse("fd00:64::a00:1e14");
    let (how, answer) = house.ask(&asked, HickoryType::PTR);
    assert_eq!(how, Answered::Local);
    assert_eq!(addresses(&answer), ["20.30.0.10.in-addr.arpa.", "camera.home.arpa."]);
    assert_eq!(answer.answers[1].name.to_ascii(), "20.30.0.10.in-addr.arpa.");
    assert!(house.is_miss(&reverse("fd00:64::5db8:d822"), HickoryType::PTR), "public: asked");
    let (_, answer) = house.ask(&reverse("fd00:64::a00:1e63"), HickoryType::PTR);
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    let house = behind_nat64("64:ff9b::/96");
    let (_, answer) = house.ask(&reverse("64:ff9b::a00:1e14"), HickoryType::PTR);
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
}

#[test]
fn nothing_is_made_for_those_who_are_behind_no_nat64() {
    let house = behind_nat64("fd00:64::/96");
    let packet = house.packet("camera.home.arpa.", HickoryType::AAAA).to_vec().expect("encodes");
    let (_, answer) = house.send_from("10.0.99.7:4000", &packet);
    let answer = Message::from_vec(&answer).expect("a message");
    assert_eq!((answer.answers.len(), answer.authorities.len()), (0, 1));
}
