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
        let (name, networks) = (name(owner), Vec::new());
        b.host(&LocalHost { name, addresses, ttl_secs: 60, networks }).expect(owner);
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
        let host =
            LocalHost { name: name(&long(index)), addresses, ttl_secs: 60, networks: Vec::new() };
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
}

#[test]
fn an_alias_to_what_must_not_be_asked_ends_in_the_house() {
    let house = house();
    for text in ["short.home.arpa.", "self.home.arpa.", "tor.home.arpa."] {
        let (how, answer) = house.ask(text, HickoryType::A);
        assert_eq!(how, Answered::Local, "{text}");
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain, "{text}");
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
