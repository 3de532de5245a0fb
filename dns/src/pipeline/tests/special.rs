//! The table of special names: no question about one leaves the house, whether or not the house has
//! names of its own there, and each gets the code its RFC asks for.

use super::*;

/// What is said of a zone's names when the house has none in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zone {
    /// The zone itself has no data; nothing exists below it. What the house has there is answered.
    Inside,
    /// The same; whether the zone is signed may be asked (RFC 8375, 4; RFC 6303, 7).
    InsideArpa,
    /// Neither it nor anything below exists, whatever the house says.
    Never,
    /// It and everything below are this device.
    Loopback,
    /// It and everything below exist, without data.
    Empty,
}

/// The registries "Special-Use Domain Names" and "Locally-Served DNS Zones" of IANA as of 2026, and
/// the names that houses have given themselves.
const TABLE: [(&str, Zone); 54] = [
    ("localhost", Zone::Loopback), // RFC 6761, 6.3
    ("invalid", Zone::Never),      // RFC 6761, 6.4
    ("onion", Zone::Never),        // RFC 7686, 2
    ("test", Zone::Inside),        // RFC 6761, 6.2
    ("local", Zone::Inside),       // RFC 6762, 22.1
    ("alt", Zone::Inside),         // RFC 9476, 2
    ("internal", Zone::Inside),    // ICANN, 2024
    ("lan", Zone::Inside),         // RFC 6762, appendix G, here and below
    ("home", Zone::Inside),
    ("corp", Zone::Inside),
    ("private", Zone::Inside),
    ("intranet", Zone::Inside),
    ("localdomain", Zone::Inside),
    ("homenet", Zone::Inside),
    ("resolver.arpa", Zone::Empty),       // RFC 9462, 8.2
    ("home.arpa", Zone::InsideArpa),      // RFC 8375, 4
    ("service.arpa", Zone::InsideArpa),   // RFC 9665
    ("6tisch.arpa", Zone::InsideArpa),    // RFC 9031
    ("eap.arpa", Zone::InsideArpa),       // RFC 9965
    ("eap-noob.arpa", Zone::InsideArpa),  // RFC 9140
    ("0.in-addr.arpa", Zone::InsideArpa), // RFC 6303, 4, here and below
    ("10.in-addr.arpa", Zone::InsideArpa),
    ("127.in-addr.arpa", Zone::InsideArpa),
    ("254.169.in-addr.arpa", Zone::InsideArpa),
    ("2.0.192.in-addr.arpa", Zone::InsideArpa),
    ("100.51.198.in-addr.arpa", Zone::InsideArpa),
    ("113.0.203.in-addr.arpa", Zone::InsideArpa),
    ("255.255.255.255.in-addr.arpa", Zone::InsideArpa),
    ("168.192.in-addr.arpa", Zone::InsideArpa),
    ("16.172.in-addr.arpa", Zone::InsideArpa),
    ("17.172.in-addr.arpa", Zone::InsideArpa),
    ("18.172.in-addr.arpa", Zone::InsideArpa),
    ("19.172.in-addr.arpa", Zone::InsideArpa),
    ("20.172.in-addr.arpa", Zone::InsideArpa),
    ("21.172.in-addr.arpa", Zone::InsideArpa),
    ("22.172.in-addr.arpa", Zone::InsideArpa),
    ("23.172.in-addr.arpa", Zone::InsideArpa),
    ("24.172.in-addr.arpa", Zone::InsideArpa),
    ("25.172.in-addr.arpa", Zone::InsideArpa),
    ("26.172.in-addr.arpa", Zone::InsideArpa),
    ("27.172.in-addr.arpa", Zone::InsideArpa),
    ("28.172.in-addr.arpa", Zone::InsideArpa),
    ("29.172.in-addr.arpa", Zone::InsideArpa),
    ("30.172.in-addr.arpa", Zone::InsideArpa),
    ("31.172.in-addr.arpa", Zone::InsideArpa),
    ("64.100.in-addr.arpa", Zone::InsideArpa), // RFC 7793, 2.1, the first and the last
    ("127.100.in-addr.arpa", Zone::InsideArpa),
    ("d.f.ip6.arpa", Zone::InsideArpa),
    ("8.e.f.ip6.arpa", Zone::InsideArpa),
    ("9.e.f.ip6.arpa", Zone::InsideArpa),
    ("a.e.f.ip6.arpa", Zone::InsideArpa),
    ("b.e.f.ip6.arpa", Zone::InsideArpa),
    ("8.b.d.0.1.0.0.2.ip6.arpa", Zone::InsideArpa),
    ("0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa", Zone::InsideArpa),
];

const TYPES: [HickoryType; 18] = [
    HickoryType::A,
    HickoryType::AAAA,
    HickoryType::NS,
    HickoryType::SOA,
    HickoryType::CNAME,
    HickoryType::PTR,
    HickoryType::MX,
    HickoryType::TXT,
    HickoryType::SRV,
    HickoryType::NAPTR,
    HickoryType::HTTPS,
    HickoryType::SVCB,
    HickoryType::DS,
    HickoryType::DNSKEY,
    HickoryType::CAA,
    HickoryType::TLSA,
    HickoryType::ANY,
    HickoryType::Unknown(65_280),
];

/// A house whose domain is none of the special ones.
fn house(names: &[String]) -> House {
    let mut b = LocalNames::builder();
    b.zone(&LocalZone {
        apex: name("house.example"),
        name_servers: vec![name("a.house.example")],
        serial: 1,
        negative_ttl_secs: 5,
    });
    for text in names {
        let txt = RecordData::Txt(vec![b"ours".to_vec()]);
        let (name, networks) = (name(text), Vec::new());
        b.record(&LocalRecord { name, ttl_secs: 60, data: txt, networks }).expect(text);
    }
    let house = House::new();
    house.shared.set_local(b.build());
    house.shared.set_protection(crate::Protection::OFF);
    house
}

#[test]
fn no_question_about_a_special_name_leaves_the_house() {
    let house = house(&[]);
    for (zone, kind) in TABLE {
        for (text, at_apex) in
            [(zone.to_owned(), true), (format!("x.{zone}"), false), (format!("a.b.{zone}"), false)]
        {
            for rtype in TYPES {
                let shown = format!("{text} {rtype}");
                if rtype == HickoryType::DS && at_apex && kind == Zone::InsideArpa {
                    assert!(house.is_miss(&text, rtype), "{shown}");
                    continue;
                }
                let (how, answer) = house.ask(&text, rtype);
                assert_eq!(how, Answered::Special, "{shown}");
                let (code, data) = match kind {
                    Zone::Never => (ResponseCode::NXDomain, 0),
                    Zone::Loopback if matches!(rtype, HickoryType::A | HickoryType::AAAA) => {
                        (ResponseCode::NoError, 1)
                    }
                    Zone::Loopback | Zone::Inside | Zone::InsideArpa | Zone::Empty
                        if at_apex && matches!(rtype, HickoryType::SOA | HickoryType::NS) =>
                    {
                        (ResponseCode::NoError, 1)
                    }
                    Zone::Inside | Zone::InsideArpa if !at_apex => (ResponseCode::NXDomain, 0),
                    _ => (ResponseCode::NoError, 0),
                };
                assert_eq!(answer.metadata.response_code, code, "{shown}");
                assert_eq!(answer.answers.len(), data, "{shown}");
                let soa = usize::from(data == 0);
                assert_eq!(answer.authorities.len(), soa, "{shown}: negative answers can be kept");
                assert!(answer.metadata.authoritative, "{shown}");
            }
        }
    }
}

#[test]
fn what_the_house_has_in_a_special_zone_is_answered_and_its_neighbours_stay_inside() {
    let own: Vec<String> = TABLE.iter().map(|(zone, _)| format!("nas.room.{zone}")).collect();
    let house = house(&own);
    for (zone, kind) in TABLE {
        if matches!(kind, Zone::Never | Zone::Loopback | Zone::Empty) {
            let (how, _) = house.ask(&format!("nas.room.{zone}"), HickoryType::TXT);
            assert_eq!(how, Answered::Special, "{zone}");
            continue;
        }
        let own = format!("nas.room.{zone}");
        for (text, rtype, code, data) in [
            (own.as_str(), HickoryType::TXT, ResponseCode::NoError, 1),
            (&own, HickoryType::A, ResponseCode::NoError, 0),
            (&format!("room.{zone}"), HickoryType::A, ResponseCode::NoError, 0),
            (&format!("tv.room.{zone}"), HickoryType::A, ResponseCode::NXDomain, 0),
            (&format!("tv.{zone}"), HickoryType::TXT, ResponseCode::NXDomain, 0),
            (zone, HickoryType::A, ResponseCode::NoError, 0),
        ] {
            let (how, answer) = house.ask(text, rtype);
            let got = (how, answer.metadata.response_code, answer.answers.len());
            assert_eq!(got, (Answered::Local, code, data), "{text} {rtype}");
        }
    }
}

#[test]
fn names_above_a_zone_of_the_house_exist_and_are_not_signed() {
    let mut b = LocalNames::builder();
    for apex in ["home.arpa", "guests.home.arpa", "iot.far.lan", "30.0.10.in-addr.arpa"] {
        b.zone(&LocalZone {
            apex: name(apex),
            name_servers: vec![name("a.home.arpa")],
            serial: 1,
            negative_ttl_secs: 5,
        });
    }
    let house = House::new();
    house.shared.set_local(b.build());
    let (gone, there) = (ResponseCode::NXDomain, ResponseCode::NoError);
    for (text, rtype, code, zone) in [
        // RFC 4035, 3.1.4.1.
        ("guests.home.arpa", HickoryType::DS, there, "home.arpa"),
        ("iot.far.lan", HickoryType::DS, there, "lan"),
        ("30.0.10.in-addr.arpa", HickoryType::DS, there, "10.in-addr.arpa"),
        ("31.0.10.in-addr.arpa", HickoryType::DS, gone, "10.in-addr.arpa"),
        // RFC 8020: else nothing below them would exist either.
        ("far.lan", HickoryType::A, there, "lan"),
        ("0.10.in-addr.arpa", HickoryType::PTR, there, "10.in-addr.arpa"),
        ("near.lan", HickoryType::A, gone, "lan"),
        ("1.10.in-addr.arpa", HickoryType::PTR, gone, "10.in-addr.arpa"),
    ] {
        let (_, answer) = house.ask(text, rtype);
        assert_eq!(answer.metadata.response_code, code, "{text} {rtype}");
        assert_eq!(answer.authorities[0].name, hickory(&format!("{zone}.")), "{text} {rtype}");
        assert!(answer.answers.is_empty() && answer.metadata.authoritative, "{text} {rtype}");
    }
}

#[test]
fn names_of_fixed_data_are_answered_here() {
    let house = house(&[]);
    let loopback = Name::reverse_of("::1".parse().expect("v6")).to_string();
    for (text, rtype, data) in [
        ("localhost", HickoryType::A, vec!["127.0.0.1"]),
        ("x.localhost", HickoryType::AAAA, vec!["::1"]),
        ("1.0.0.127.in-addr.arpa", HickoryType::PTR, vec!["localhost."]),
        (&loopback, HickoryType::PTR, vec!["localhost."]),
        ("ipv4only.arpa", HickoryType::A, vec!["192.0.0.170", "192.0.0.171"]),
        ("170.0.0.192.in-addr.arpa", HickoryType::PTR, vec!["ipv4only.arpa."]),
        ("171.0.0.192.in-addr.arpa", HickoryType::PTR, vec!["ipv4only.arpa."]),
    ] {
        let (how, answer) = house.ask(text, rtype);
        assert_eq!(how, Answered::Special, "{text}");
        assert_eq!(addresses(&answer), data, "{text}");
    }
    // Public: what it says is a matter of who translates.
    assert!(house.is_miss("ipv4only.arpa", HickoryType::AAAA));
}

#[test]
fn examples_are_ordinary_names() {
    // RFC 6761, 6.5: caches do not treat them as special.
    let house = house(&[]);
    for text in ["example", "www.example", "example.com", "www.example.net", "example.org"] {
        assert!(house.is_miss(text, HickoryType::TXT), "{text}");
    }
}

#[test]
fn the_address_of_a_plain_name_is_never_asked_outside() {
    let house = House::new();
    for rtype in [HickoryType::A, HickoryType::AAAA, HickoryType::HTTPS, HickoryType::SVCB] {
        let (how, answer) = house.ask("tablet", rtype);
        let got = (how, answer.metadata.response_code);
        assert_eq!(got, (Answered::Special, ResponseCode::NXDomain), "{rtype}");
    }
    // What is asked of a top-level domain.
    for rtype in [HickoryType::NS, HickoryType::SOA, HickoryType::DS, HickoryType::DNSKEY] {
        assert!(house.is_miss("com", rtype), "{rtype}");
    }
    assert!(house.is_miss(".", HickoryType::NS));
    assert!(house.is_miss(".", HickoryType::A));
}

#[test]
fn other_classes_are_refused() {
    // `version.bind` and `id.server` (RFC 4892) among them: a home tells nobody what it runs.
    let house = House::new();
    for (text, class) in [
        ("version.bind", DNSClass::CH),
        ("version.server", DNSClass::CH),
        ("hostname.bind", DNSClass::CH),
        ("id.server", DNSClass::CH),
        ("printer.home.arpa", DNSClass::CH),
        ("printer.home.arpa", DNSClass::HS),
        ("printer.home.arpa", DNSClass::ANY),
    ] {
        let mut message = house.packet(text, HickoryType::TXT);
        message.queries[0].set_query_class(class);
        let (how, answer) = house.send(&message);
        let got = (how, answer.metadata.response_code, answer.answers.len());
        assert_eq!(got, (Answered::Refused, ResponseCode::Refused, 0), "{text} {class}");
    }
}
