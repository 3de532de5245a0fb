//! Records whose data is unusual, unknown or wrong: handed on where they do no harm, and never a
//! reason to think that a server is gone.

use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use lanward_dns::{Order, UpstreamGroup, UpstreamServer, UpstreamState, Upstreams};

use crate::secure_upstream::{NAME, SecureUpstream, Speaks, Trust};
use crate::support::{House, Upstream, ask_raw, ede, question, upstreams};

/// What the library for messages refuses, though a resolver has no business to judge it.
const HARMLESS: [(&str, u16, &str); 17] = [
    ("nothing, of a type nobody knows", 65_280, ""),
    ("an empty list of addresses", 42, ""),
    ("an empty text", 16, ""),
    ("a text cut off", 16, "0561"),
    ("parameters out of order", 65, "0001000003000201bb000100030268 32"),
    ("a parameter twice", 65, "000100000300020050000300020051"),
    ("a parameter of an unexpected length", 64, "000100000300010a"),
    ("a property with a long tag", 257, "0010 6162636465666768696a6b6c6d6e6f70 78"),
    ("a property with a hyphen", 257, "0003 612d62 78"),
    ("a key of another protocol", 48, "0101 02 0d 00"),
    ("an old key with reserved flags", 25, "2cf0 03 05 00"),
    ("a copy of a key for another protocol", 60, "0101 02 0d 00"),
    ("a digest cut off", 43, "0001"),
    ("parameters of a hash nobody knows", 51, "09 00 0001 00"),
    ("synchronisation flags of the future", 62, "00000001 fffc 000140"),
    ("a rule with flags of the future", 35, "0001 0001 0121 00 00 00"),
    ("a host's kind cut off", 13, "0561"),
];

/// What the server says under that name to a question for its type.
fn odd(rdata: &str) -> (String, Vec<u8>) {
    let digits: String = rdata.split_whitespace().collect();
    let labels: String = digits
        .as_bytes()
        .chunks(60)
        .map(|part| format!(".{}", String::from_utf8_lossy(part)))
        .collect();
    let bytes = (0..digits.len() / 2)
        .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("hex"));
    (format!("odd{labels}.example."), bytes.collect())
}

/// Code, number of records and the message: the test's client must not judge it either.
async fn ask_odd(house: &House, name: &str, rtype: u16) -> (u8, u8, Vec<u8>) {
    let query = question(name, RecordType::from(rtype)).to_vec().expect("encodes");
    let answer = ask_raw(house.addr, &query, Duration::from_secs(6)).await.expect("an answer");
    (answer[3] & 15, answer[7], answer)
}

/// One server for each way to ask one.
async fn each_way() -> Vec<(House, Box<dyn Send>)> {
    let plain = Upstream::start().await;
    let mut all: Vec<(House, Box<dyn Send>)> =
        vec![(House::start(upstreams(&[plain.addr])).await, Box::new(plain))];
    for speaks in [Speaks::Tls, Speaks::Https, Speaks::Quic] {
        let trust = Trust::new();
        let upstream = SecureUpstream::start(speaks, &trust).await;
        let house = House::start(Upstreams::default()).await;
        house.shared.set_upstream_tls(&trust.client());
        let servers: Vec<UpstreamServer> = vec![upstream.server(NAME)];
        let group = UpstreamGroup { id: "all".into(), servers, order: Order::Listed };
        house.shared.set_upstreams(Upstreams { groups: vec![group], ..Upstreams::default() });
        all.push((house, Box::new(upstream)));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_a_resolver_need_not_understand_are_handed_on_as_they_are() {
    for (house, _server) in each_way().await {
        let server = house.shared.upstream_status().remove(0).server;
        for (what, rtype, rdata) in HARMLESS {
            let (name, rdata) = odd(rdata);
            // The second time from memory.
            for _ in 0..2 {
                let (code, records, answer) = ask_odd(&house, &name, rtype).await;
                assert_eq!((code, records), (0, 1), "{server}: {what}");
                let record = [&(rdata.len() as u16).to_be_bytes()[..], &rdata].concat();
                let handed_on = answer.windows(record.len()).any(|part| part == record);
                assert!(handed_on, "{server}: {what}: {answer:02x?}");
            }
        }
        let status = house.shared.upstream_status().remove(0);
        assert_eq!((status.asked, status.failed), (HARMLESS.len() as u64, 0), "{server}");
        assert_eq!(status.state, UpstreamState::Up, "{server}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_read_costs_its_own_question_and_no_other() {
    for (house, _server) in each_way().await {
        let server = house.shared.upstream_status().remove(0).server;
        let broken =
            [("of three bytes", 1, "c00002"), ("of none", 28, ""), ("a far name", 2, "05")];
        for (what, rtype, rdata) in broken {
            let (name, _) = odd(rdata);
            let begun = Instant::now();
            let answer = house.ask(&name, RecordType::from(rtype)).await;
            assert_eq!(answer.metadata.response_code, ResponseCode::ServFail, "{server}: {what}");
            let told = "the upstream resolver's answer could not be read".to_owned();
            assert_eq!(ede(&answer), Some((23, told)), "{server}: {what}");
            assert!(begun.elapsed() < Duration::from_secs(2), "{server}: {what}");
            let again = ede(&house.ask(&name, RecordType::from(rtype)).await);
            assert_eq!(again.map(|(code, _)| code), Some(13), "{server}: {what}: remembered");
            let status = house.shared.upstream_status().remove(0);
            assert_eq!((status.state, status.late), (UpstreamState::Up, 0), "{server}: {what}");
            let other = house.ask("www.example.", RecordType::A).await;
            assert_eq!(other.answers.len(), 1, "{server}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_nobody_can_read_leads_nobody_into_the_house() {
    let upstream = Upstream::start().await;
    let house = House::start(upstreams(&[upstream.addr])).await;
    for (what, rdata, records) in [
        (
            "a hint before its turn",
            "0001 00 0006 0010 20010db8000000000000000000000001 0004 0004 c0a80101",
            0,
        ),
        ("a second hint", "0001 00 0004 0004 c0000201 0004 0004 0a000001", 0),
        ("a hint cut off", "0001 00 0004 0006 c0a80101 c0a8", 0),
        ("a target cut off", "0001 05 61", 0),
        (
            "a public hint before its turn",
            "0001 00 0006 0010 20010db8000000000000000000000001 0004 0004 c0000201",
            1,
        ),
    ] {
        let (name, _) = odd(rdata);
        let (code, count, answer) = ask_odd(&house, &name, 65).await;
        assert_eq!((code, count), (0, records), "{what}: {answer:02x?}");
    }
    // The target is one of a list, whatever comes after it.
    let (name, _) = odd("0001 03616473 076578616d706c65 00 0003 0002 01bb 0001 0003 026832");
    let (_, count, _) = ask_odd(&house, &name, 65).await;
    assert_eq!(count, 0, "blocked");
}
