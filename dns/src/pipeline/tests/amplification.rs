//! What a forged source could be made to receive, and packets that must never be answered.

use std::net::SocketAddr;

use super::*;

const TYPES: [HickoryType; 24] = [
    HickoryType::A,
    HickoryType::AAAA,
    HickoryType::ANY,
    HickoryType::CAA,
    HickoryType::CDNSKEY,
    HickoryType::CDS,
    HickoryType::CNAME,
    HickoryType::DNSKEY,
    HickoryType::DS,
    HickoryType::HINFO,
    HickoryType::HTTPS,
    HickoryType::MX,
    HickoryType::NAPTR,
    HickoryType::NS,
    HickoryType::NSEC,
    HickoryType::NULL,
    HickoryType::PTR,
    HickoryType::RRSIG,
    HickoryType::SOA,
    HickoryType::SRV,
    HickoryType::SSHFP,
    HickoryType::SVCB,
    HickoryType::TLSA,
    HickoryType::TXT,
];

/// The sizes that a client says it takes: none, and in EDNS.
const SIZES: [Option<u16>; 6] = [None, Some(0), Some(512), Some(1232), Some(4096), Some(65_535)];

fn questions(house: &House, name: &str, rtype: HickoryType) -> Vec<Vec<u8>> {
    let of = |size: &Option<u16>| {
        let mut message = house.packet(name, rtype);
        if let Some(size) = *size {
            let mut edns = Edns::new();
            edns.set_max_payload(size);
            edns.set_dnssec_ok(true);
            message.edns = Some(edns);
        }
        // Without the writer's own idea of the smallest size.
        let mut packet = message.to_vec().expect("encodes");
        if let Some(size) = *size {
            let at = packet.len() - 8;
            packet[at..at + 2].copy_from_slice(&size.to_be_bytes());
        }
        packet
    };
    SIZES.iter().map(of).collect()
}

/// A house with two hosts, as every pair has, and some services.
fn house() -> House {
    let zone = LocalZone {
        apex: name("home.arpa"),
        name_servers: vec![name("pi-a.home.arpa"), name("pi-b.home.arpa")],
        serial: 7,
        negative_ttl_secs: 5,
    };
    let mut b = LocalNames::builder();
    b.zone(&zone).reverse("10.0.30.0/24".parse().expect("net"), &zone);
    for (owner, last) in [("pi-a.home.arpa", 2), ("pi-b.home.arpa", 3), ("tv.home.arpa", 9)] {
        let addresses = vec![[10, 0, 30, last].into(), "fd00::3".parse().expect("v6")];
        b.host(&LocalHost { name: name(owner), addresses, ttl_secs: 60 }).expect(owner);
    }
    let mut add = |owner: &str, data| {
        let (name, networks) = (name(owner), Vec::new());
        b.record(&LocalRecord { name, ttl_secs: 60, data, networks }).expect(owner);
    };
    let target = || name("pi-a.home.arpa");
    add("home.arpa", RecordData::Mx { preference: 1, exchange: target() });
    add("tv.home.arpa", RecordData::Txt(vec![b"v=spf1 -all".to_vec()]));
    add("tv.home.arpa", RecordData::Srv { priority: 0, weight: 0, port: 80, target: target() });
    let text = RecordData::from_text;
    let rare = |rtype, data| text(rtype, data).expect("data");
    add("tv.home.arpa", rare(crate::RecordType::CAA, "0 issue \"ca.example\""));
    add("tv.home.arpa", rare(crate::RecordType::HTTPS, "1 . alpn=h2 ipv4hint=10.0.30.9"));
    add("also.home.arpa", RecordData::Cname(name("tv.home.arpa")));
    let house = House::new();
    house.shared.set_local(b.build());
    house
}

#[test]
fn what_this_house_says_is_at_most_ten_times_the_question() {
    let house = house();
    let names = [
        "home.arpa.",
        "tv.home.arpa.",
        "also.home.arpa.",
        "nobody.home.arpa.",
        "9.30.0.10.in-addr.arpa.",
        "77.30.0.10.in-addr.arpa.",
        "localhost.",
        "1.0.0.127.in-addr.arpa.",
        "a.invalid.",
        "a.lan.",
        "lan.",
        "ipv4only.arpa.",
        "_dns.resolver.arpa.",
        "use-application-dns.net.",
        "x.ads.example.",
        "ads.example.",
        "plain.",
        "www.example.",
        ".",
    ];
    let (mut answered, mut worst) = (0, 0);
    for name in names {
        for rtype in TYPES {
            for packet in questions(&house, name, rtype) {
                let (outcome, out) = house.send_from("10.0.30.7:4000", &packet);
                if let Outcome::Answered(how) = outcome {
                    assert!(
                        out.len() <= 10 * packet.len(),
                        "{name} {rtype}, {how:?}: {} bytes for {}",
                        out.len(),
                        packet.len()
                    );
                    answered += 1;
                    worst = worst.max(10 * out.len() / packet.len());
                }
            }
        }
    }
    assert!(answered > 2000, "{answered} answers");
    assert!(worst > 20, "the largest is {worst} tenths: nothing was measured");
}

#[test]
fn a_large_answer_from_elsewhere_is_cut_at_what_a_network_carries() {
    let house = house();
    for rtype in TYPES.into_iter().filter(|rtype| *rtype != HickoryType::ANY) {
        for (owner, bytes) in [("some.example.", 900), ("much.example.", 4000)] {
            // One record or many, the size is what counts; a name's own would need names as data.
            let mut rdata = vec![0; bytes];
            if matches!(rtype, HickoryType::HTTPS | HickoryType::SVCB) {
                // What cannot be read is withheld: a service of this name, and one private parameter.
                let [high, low] = (bytes as u16 - 7).to_be_bytes();
                rdata[..7].copy_from_slice(&[0, 1, 0, 0xff, 0, high, low]);
            }
            let data = RData::Unknown { code: rtype, rdata: NULL::with(rdata) };
            let mut message = Message::response(1, OpCode::Query);
            message.queries.push(Asked::query(hickory(owner), rtype));
            message.answers.push(Record::from_rdata(hickory(owner), 300, data));
            for (dnssec_ok, tag) in [(false, 0), (true, 0)] {
                let owner = name(owner);
                let rtype = crate::RecordType(rtype.into());
                let key = Key::new(owner.as_wire(), tag, rtype, dnssec_ok, false);
                let entry = Entry::from_answer(message.clone(), &key, house.now);
                house.pipeline.cache.insert(&entry.expect("an answer"));
            }
            for (packet, size) in questions(&house, owner, rtype).into_iter().zip(SIZES) {
                let (outcome, out) = house.send_from("10.0.30.7:4000", &packet);
                assert_eq!(outcome, Outcome::Answered(Answered::Cached), "{owner} {rtype}");
                let limit = usize::from(size.unwrap_or(512).clamp(512, 1232));
                assert!(out.len() <= limit, "{owner} {rtype}: {} bytes", out.len());
                let cut = out[2] & crate::wire::flag::TC != 0;
                assert_eq!(cut, bytes + 60 > limit, "{owner} {rtype} {size:?}");
                if cut {
                    assert!(out.len() <= packet.len(), "no more than was asked");
                }
            }
        }
    }
}

#[test]
fn what_could_go_on_for_ever_is_not_answered() {
    let house = house();
    let question = house.packet("tv.home.arpa.", HickoryType::A).to_vec().expect("encodes");
    let malformed = [&question[..], &[0]].concat();
    let with_opcode = |opcode: u8| {
        let mut packet = question.clone();
        packet[2] = opcode << 3;
        packet
    };
    let (_, answer) = house.send_from("10.0.30.7:4000", &question);
    let (_, refusal) = house.send_from("10.0.30.7:4000", &malformed);
    let (_, not_implemented) = house.send_from("10.0.30.7:4000", &with_opcode(4));
    for transport in [Transport::Udp, Transport::Tcp] {
        let send = |source: SocketAddr, packet: &[u8]| {
            let mut out = Vec::new();
            let asker = Asker { source, local: LOCAL, transport };
            house.pipeline.handle(&house.shared, packet, asker, house.now, &mut out)
        };
        let from = |text: &str| text.parse().expect("a source");
        // Our own answers, sent back, and whatever else says that it is an answer.
        for answer in [&answer, &refusal, &not_implemented] {
            assert_eq!(
                send(from("10.0.30.7:4000"), answer),
                Outcome::Dropped(DropReason::Response)
            );
        }
        for opcode in 0..16 {
            let packet = with_opcode(opcode | 0x10);
            let outcome = send(from("10.0.30.7:4000"), &packet);
            assert_eq!(outcome, Outcome::Dropped(DropReason::Response), "opcode {opcode}");
        }
        // Ports that answer whatever they get, of a client, of this host's own address and of
        // itself: what is good, what is not, and what we do not implement.
        for address in ["10.0.30.7", "10.0.30.2", "127.0.0.1", "[::1]", "[::ffff:10.0.30.7]"] {
            for port in [0, 7, 13, 17, 19, 37, 53] {
                let source = from(&format!("{address}:{port}"));
                for packet in [&question, &malformed, &with_opcode(4)] {
                    let outcome = send(source, packet);
                    assert_eq!(outcome, Outcome::Dropped(DropReason::SourcePort), "{source}");
                }
            }
        }
        // The host asks itself, too, but from other ports.
        let outcome = send(SocketAddr::new(LOCAL, 40_000), &question);
        assert_eq!(outcome, Outcome::Answered(Answered::Local));
    }
}
