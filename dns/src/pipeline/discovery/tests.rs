use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType as HickoryType};

use crate::pipeline::tests::House;
use crate::{Answered, Discovery, Ports};

fn told(house: &House, name: &str) -> Vec<String> {
    let (how, answer) = house.ask(name, HickoryType::SVCB);
    assert_eq!(how, Answered::Special);
    let records = answer.answers.iter().map(|record| {
        let RData::SVCB(service) = &record.data else { panic!("{record:?}") };
        service.to_string()
    });
    records.collect()
}

fn house(ports: Ports) -> House {
    let house = House::new();
    house.shared.set_discovery(Discovery::new(&"dns.home.arpa".parse().expect("name"), ports));
    house
}

#[test]
fn all_transports_are_told_at_the_address_that_was_asked() {
    let all = Ports { tls: Some(853), https: Some(443), http3: Some(443), quic: Some(853) };
    let house = house(all);
    for name in ["_DNS.Resolver.arpa.", "_dns.dns.home.arpa."] {
        assert_eq!(told(&house, name).len(), 3, "{name}");
    }
    // As the decoder prints them, which does not know key 7 (dohpath, RFC 9461).
    let want = [
        "1 dns.home.arpa. alpn=dot, port=853 ipv4hint=10.0.30.2,",
        "2 dns.home.arpa. alpn=h2,h3, port=443 ipv4hint=10.0.30.2, unknown7=\"/dns-query{?dns}\",",
        "3 dns.home.arpa. alpn=doq, port=853 ipv4hint=10.0.30.2,",
    ];
    assert_eq!(told(&house, "_dns.resolver.arpa."), want);
}

#[test]
fn what_is_not_served_is_not_told() {
    let quic = house(Ports { quic: Some(8853), ..Ports::default() });
    let told_quic = told(&quic, "_dns.resolver.arpa.");
    assert!(told_quic.len() == 1 && told_quic[0].contains("doq"), "{told_quic:?}");
    assert!(told_quic[0].contains("8853"));
    let apart = house(Ports { https: Some(443), http3: Some(8443), ..Ports::default() });
    assert_eq!(told(&apart, "_dns.resolver.arpa.").len(), 2);
    let none = house(Ports::default());
    assert!(told(&none, "_dns.resolver.arpa.").is_empty());
}

#[test]
fn other_questions_about_the_resolver_are_answered_empty() {
    let house = house(Ports { tls: Some(853), ..Ports::default() });
    for (name, rtype) in [
        ("_dns.resolver.arpa.", HickoryType::A),
        ("resolver.arpa.", HickoryType::SVCB),
        ("_dns.dns.home.arpa.", HickoryType::A),
        ("_dns.dns.home.arpa.", HickoryType::HTTPS),
    ] {
        let (how, answer) = house.ask(name, rtype);
        assert_eq!((how, answer.answers.len()), (Answered::Special, 0), "{name} {rtype}");
        let got = (answer.metadata.response_code, answer.authorities.len());
        assert_eq!(got, (ResponseCode::NoError, 1), "{name} {rtype}");
    }
}
