//! Clients behind a NAT64 (RFC 6147).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, PTR, SOA};
use hickory_proto::rr::{RData, Record, RecordType};
use lanward_dns::{ClientNetwork, Policies, PolicyId, Prefix64};
use tokio::net::UdpSocket;

use crate::support::{House, ede, loopback, name, policies, question, upstreams};

/// A forwarder of names that have what their first label says.
struct World {
    addr: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl World {
    async fn start() -> Self {
        let socket = UdpSocket::bind(loopback()).await.expect("a socket");
        let addr = socket.local_addr().expect("bound");
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((len, client)) = socket.recv_from(&mut buffer).await {
                count.fetch_add(1, Ordering::Relaxed);
                let query = Message::from_vec(&buffer[..len]).expect("a query");
                let answer = answer(&query).to_vec().expect("encodes");
                socket.send_to(&answer, client).await.expect("sent");
            }
        });
        Self { addr, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(query: &Message) -> Message {
    let asked = query.queries[0].clone();
    let own = asked.name().clone();
    let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
    answer.queries.push(asked.clone());
    let v4 = |owner: &str, text: &str| {
        let address = text.parse().expect(text);
        Record::from_rdata(name(owner), 300, RData::A(A(address)))
    };
    let v6 = |text: &str| {
        let address = text.parse().expect(text);
        Record::from_rdata(own.clone(), 300, RData::AAAA(AAAA(address)))
    };
    let text = own.to_lowercase().to_string();
    let six = asked.query_type() == RecordType::AAAA;
    let answers = match (text.as_str(), asked.query_type()) {
        ("both.example.", RecordType::AAAA) => vec![v6("2001:db8::1")],
        ("mapped.example.", RecordType::AAAA) => vec![v6("::ffff:93.184.216.34")],
        ("some-mapped.example.", RecordType::AAAA) => {
            vec![v6("::ffff:93.184.216.34"), v6("2001:db8::2")]
        }
        ("private.example.", RecordType::A) => vec![v4("private.example.", "10.0.0.1")],
        ("mixed.example.", RecordType::A) => {
            vec![v4("mixed.example.", "192.168.1.1"), v4("mixed.example.", "93.184.216.34")]
        }
        ("alias.example.", _) => {
            let target = RData::CNAME(CNAME(name("v4.example.")));
            let mut all = vec![Record::from_rdata(own.clone(), 200, target)];
            all.extend((!six).then(|| v4("v4.example.", "93.184.216.34")));
            all
        }
        ("34.216.184.93.in-addr.arpa.", RecordType::PTR) => {
            vec![Record::from_rdata(own.clone(), 120, RData::PTR(PTR(name("v4.example."))))]
        }
        ("broken.example.", RecordType::AAAA) => {
            answer.metadata.response_code = ResponseCode::ServFail;
            return answer;
        }
        ("gone.example.", _) | (_, RecordType::PTR) => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            vec![]
        }
        (_, RecordType::A) if text != "empty.example." => vec![v4(&text, "93.184.216.34")],
        _ => vec![],
    };
    if !answers.iter().any(|record| record.record_type() == asked.query_type()) {
        let soa = SOA::new(name("ns.example."), name("x.example."), 1, 2, 3, 4, 50);
        answer.authorities.push(Record::from_rdata(name("example."), 100, RData::SOA(soa)));
    }
    answer.answers = answers;
    answer
}

/// Clients at 127.0.0.64 are behind a NAT64.
async fn house(world: &World, prefix: Prefix64) -> House {
    let house = House::start(upstreams(&[world.addr])).await;
    let Policies { mut policies, mut networks } = policies();
    policies.push(lanward_dns::Policy { dns64: Some(prefix), ..policies[0].clone() });
    let subnet = "127.0.0.64/32".parse().expect("a network");
    networks.push(ClientNetwork { subnet, policy: PolicyId(1) });
    house.shared.set_policies(Policies { policies, networks });
    house
}

async fn from(client: [u8; 4], house: &House, query: &Message) -> Message {
    let socket = UdpSocket::bind((Ipv4Addr::from(client), 0)).await.expect("a socket");
    socket.send_to(&query.to_vec().expect("encodes"), house.addr).await.expect("sent");
    let mut buffer = vec![0; 4096];
    let receive = socket.recv(&mut buffer);
    let received = tokio::time::timeout(std::time::Duration::from_secs(6), receive).await;
    let len = received.expect("in time").expect("an answer");
    Message::from_vec(&buffer[..len]).expect("a message")
}

const BEHIND: [u8; 4] = [127, 0, 0, 64];

fn addresses(answer: &Message) -> Vec<(String, u32)> {
    let all = answer.answers.iter().filter_map(|record| match &record.data {
        RData::AAAA(aaaa) => Some((aaaa.0.to_string(), record.ttl)),
        _ => None,
    });
    all.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_without_ipv6_gets_addresses_made_from_ipv4() {
    let world = World::start().await;
    let house = house(&world, Prefix64::WELL_KNOWN).await;
    let made = |ttl| vec![("64:ff9b::5db8:d822".to_owned(), ttl)];
    for (text, expected) in [
        // The SOA's MINIMUM bounds what is made; without one, ten minutes do.
        ("v4.example.", made(50)),
        ("alias.example.", made(50)),
        ("mapped.example.", made(300)),
        ("broken.example.", made(300)),
        ("mixed.example.", made(50)),
        ("both.example.", vec![("2001:db8::1".to_owned(), 300)]),
        ("some-mapped.example.", vec![("2001:db8::2".to_owned(), 300)]),
        ("private.example.", vec![]),
        ("empty.example.", vec![]),
        ("gone.example.", vec![]),
    ] {
        let answer = from(BEHIND, &house, &question(text, RecordType::AAAA)).await;
        assert_eq!(addresses(&answer), expected, "{text}");
        let code = match text {
            "gone.example." => ResponseCode::NXDomain,
            _ => ResponseCode::NoError,
        };
        assert_eq!(answer.metadata.response_code, code, "{text}");
        let told = expected.first().is_some_and(|(address, _)| address.starts_with("64:"));
        assert_eq!(ede(&answer).is_some_and(|(code, _)| code == 29), told, "{text}");
        // From memory it is the same.
        let asked = world.asked();
        let again = from(BEHIND, &house, &question(text, RecordType::AAAA)).await;
        assert_eq!(addresses(&again).len(), expected.len(), "{text}");
        assert_eq!(world.asked(), asked, "{text}");
    }
    let answer = from(BEHIND, &house, &question("alias.example.", RecordType::AAAA)).await;
    assert_eq!(answer.answers[0].record_type(), RecordType::CNAME);
    assert_eq!(answer.answers[1].name, name("v4.example."));
}

#[tokio::test(flavor = "multi_thread")]
async fn others_get_what_there_is_and_a_validating_client_what_the_zone_says() {
    let world = World::start().await;
    let house = house(&world, Prefix64::WELL_KNOWN).await;
    let mut query = question("v4.example.", RecordType::AAAA);
    assert_eq!(addresses(&from(BEHIND, &house, &query).await).len(), 1);
    assert_eq!(addresses(&from([127, 0, 0, 1], &house, &query).await), []);
    let edns = query.edns.as_mut().expect("EDNS");
    edns.set_dnssec_ok(true);
    assert_eq!(addresses(&from(BEHIND, &house, &query).await).len(), 1, "DO: we validate");
    query.metadata.checking_disabled = true;
    assert_eq!(addresses(&from(BEHIND, &house, &query).await), [], "DO and CD: it does");
    // Other types are as everywhere.
    let four = from(BEHIND, &house, &question("v4.example.", RecordType::A)).await;
    assert!(matches!(four.answers[0].data, RData::A(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_a_private_prefix_are_no_rebinding() {
    let world = World::start().await;
    let house = house(&world, "fd00:64::/96".parse().expect("a prefix")).await;
    let answer = from(BEHIND, &house, &question("v4.example.", RecordType::AAAA)).await;
    assert_eq!(addresses(&answer), [("fd00:64::5db8:d822".to_owned(), 50)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_made_address_is_that_of_the_ipv4_address() {
    let world = World::start().await;
    let house = house(&world, Prefix64::WELL_KNOWN).await;
    let of = |text: &str| {
        let address: Ipv6Addr = text.parse().expect(text);
        question(
            &format!("{}.", lanward_dns::Name::reverse_of(IpAddr::V6(address))),
            RecordType::PTR,
        )
    };
    let answer = from(BEHIND, &house, &of("64:ff9b::93.184.216.34")).await;
    let data: Vec<&RData> = answer.answers.iter().map(|record| &record.data).collect();
    let target = name("34.216.184.93.in-addr.arpa.");
    assert_eq!(
        data,
        [&RData::CNAME(CNAME(target)), &RData::PTR(PTR(name("v4.example.")))],
        "{answer:?}"
    );
    let answer = from(BEHIND, &house, &of("64:ff9b::93.184.216.35")).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(answer.answers.len(), 1, "the alias");
    let asked = world.asked();
    let answer = from(BEHIND, &house, &of("64:ff9b::10.0.0.1")).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(world.asked(), asked, "a private address is nobody's business outside");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_behind_a_private_prefix_whose_names_stay_in_the_house() {
    let world = World::start().await;
    let house = house(&world, "fd00:64::/96".parse().expect("a prefix")).await;
    let of = |address: &str| {
        let address: Ipv6Addr = address.parse().expect(address);
        let name = lanward_dns::Name::reverse_of(IpAddr::V6(address));
        question(&format!("{name}."), RecordType::PTR)
    };
    for _ in 0..2 {
        let answer = from(BEHIND, &house, &of("fd00:64::93.184.216.34")).await;
        let data: Vec<&RData> = answer.answers.iter().map(|record| &record.data).collect();
        let target = name("34.216.184.93.in-addr.arpa.");
        assert_eq!(data, [&RData::CNAME(CNAME(target)), &RData::PTR(PTR(name("v4.example.")))]);
        assert_eq!(world.asked(), 1, "once, then from the cache");
    }
    let answer = from(BEHIND, &house, &of("fd00:65::93.184.216.34")).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(world.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_prefix_is_found_by_ipv4only_arpa() {
    let world = World::start().await;
    let house = house(&world, "2001:db8:122:344::/64".parse().expect("a prefix")).await;
    let answer = from(BEHIND, &house, &question("ipv4only.arpa.", RecordType::AAAA)).await;
    let found: Vec<String> = addresses(&answer).into_iter().map(|(address, _)| address).collect();
    assert_eq!(found, ["2001:db8:122:344:c0:0:aa00:0", "2001:db8:122:344:c0:0:ab00:0"]);
    assert_eq!(world.asked(), 0);
}

/// As somebody sees it who looks from outside.
#[tokio::test(flavor = "multi_thread")]
async fn dig_sees_the_made_address() {
    let world = World::start().await;
    let house = house(&world, Prefix64::WELL_KNOWN).await;
    let port = house.addr.port().to_string();
    let dig = async |args: &[&str]| {
        let mut dig = tokio::process::Command::new("dig");
        dig.args(["@127.0.0.1", "-p", &port, "-b", "127.0.0.64", "+short", "+tries=1"]);
        let output = dig.args(args).stdin(Stdio::null()).output().await.ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(made) = dig(&["alias.example", "AAAA"]).await else {
        let required = std::env::var("LANWARD_REQUIRE_LAB").is_ok_and(|value| value == "1");
        assert!(!required, "needed here: dig (bind9-dnsutils)");
        return;
    };
    assert_eq!(made, "v4.example.\n64:ff9b::5db8:d822");
    let renamed = dig(&["-x", "64:ff9b::5db8:d822"]).await.expect("dig");
    assert_eq!(renamed, "34.216.184.93.in-addr.arpa.\nv4.example.");
    let tcp = dig(&["+tcp", "v4.example", "AAAA"]).await.expect("dig");
    assert_eq!(tcp, "64:ff9b::5db8:d822");
}
