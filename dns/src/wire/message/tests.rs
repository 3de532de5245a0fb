use hickory_proto::rr::rdata::{A, CAA, CNAME, HTTPS, MX, SOA, SRV, SVCB, TXT};
use hickory_proto::serialize::binary::BinEncodable;

use super::*;

fn hickory(text: &str) -> Name {
    Name::from_ascii(text).expect(text)
}

/// A message with a question for `www.example` and these records: section (0 answer, 1 authority),
/// owner, type, data. The name `example` stands at 16.
fn raw(records: &[(usize, &[u8], u16, &[u8])]) -> Vec<u8> {
    let mut wire = vec![1, 2, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    wire.extend_from_slice(b"\x03www\x07example\0\0\x01\0\x01");
    for section in 0..2 {
        for (_, owner, rtype, rdata) in records.iter().filter(|record| record.0 == section) {
            wire.extend_from_slice(owner);
            wire.extend_from_slice(&rtype.to_be_bytes());
            wire.extend_from_slice(&[0, 1, 0, 0, 1, 44]);
            wire.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
            wire.extend_from_slice(rdata);
            wire[7 + 2 * section] += 1;
        }
    }
    wire
}

const ASKED: &[u8] = b"\xc0\x0c";

/// The data of the only answer.
fn read_one(rtype: u16, rdata: &[u8]) -> Option<Vec<u8>> {
    let message = to_message(&raw(&[(0, ASKED, rtype, rdata)]))?;
    let record = message.answers.first()?;
    assert_eq!((record.name.to_string(), record.ttl), ("www.example.".into(), 300));
    assert_eq!(u16::from(record.record_type()), rtype);
    Some(record.data.to_bytes().expect("encodes"))
}

#[test]
fn ordinary_records_are_read_as_the_library_reads_them() {
    let mut message = Message::response(7, hickory_proto::op::OpCode::Query);
    let own = hickory("www.example.");
    message.queries.push(Query::query(own.clone(), HickoryType::A));
    let service = SVCB::new(1, hickory("svc.example."), vec![]);
    let data = [
        RData::A(A([192, 0, 2, 1].into())),
        RData::CNAME(CNAME(hickory("a.b.example."))),
        RData::MX(MX::new(10, hickory("mx.example."))),
        RData::SRV(SRV::new(1, 2, 3, hickory("srv.example."))),
        RData::TXT(TXT::new(vec!["one".into(), String::new()])),
        RData::CAA(CAA::new_issue(true, Some(hickory("ca.example.")), vec![])),
        RData::HTTPS(HTTPS(service)),
    ];
    message.answers = data.map(|data| HickoryRecord::from_rdata(own.clone(), 60, data)).into();
    let soa = SOA::new(hickory("ns.example."), hickory("me.example."), 1, 2, 3, 4, 5);
    message.authorities = vec![HickoryRecord::from_rdata(hickory("example."), 90, RData::SOA(soa))];
    let wire = message.to_vec().expect("encodes");
    let read = to_message(&wire).expect("a message");
    assert_eq!(read.to_vec().expect("encodes"), wire);
    assert_eq!(read.metadata, message.metadata);
    assert!(matches!(read.answers[0].data, RData::A(_)), "what has a meaning keeps it");
    assert!(matches!(read.answers[4].data, RData::Unknown { .. }), "what has none is bytes");
}

#[test]
fn names_that_may_be_compressed_are_written_out() {
    let www = b"\x03www\x07example\0";
    // To `Www.example` in capitals, which are not signed.
    for (rtype, before, names, after) in [
        (3, &[][..], 1, &[][..]),
        (8, &[], 1, &[]),
        (14, &[], 2, &[]),
        (17, &[], 2, &[]),
        (18, &[0, 1], 1, &[]),
        (21, &[0, 1], 1, &[]),
        (24, &[0; 18], 1, b"signature"),
        (26, &[0, 1], 2, &[]),
        (30, &[], 1, b"bitmap"),
        (35, b"\0\x01\0\x02\x01!\0\x02ab", 1, &[]),
        (36, &[0, 1], 1, &[]),
        (39, &[], 1, &[]),
    ] {
        let one = b"\x03WWW\xc0\x10";
        let rdata = [before, &one.repeat(names), after].concat();
        let whole = [before, &www.repeat(names), after].concat();
        assert_eq!(read_one(rtype, &rdata), Some(whole), "{rtype}");
        let cut = rdata.len() - after.len() - 1;
        assert_eq!(read_one(rtype, &rdata[..cut]), None, "{rtype} cut off");
        if after.is_empty() {
            assert_eq!(read_one(rtype, &[&rdata[..], b"x"].concat()), None, "{rtype}: more");
        }
    }
    // Signed as it is written.
    let service = read_one(65, b"\0\x01\x03WWW\xc0\x10\0\x01\0\x03\x02h2");
    assert_eq!(service.as_deref(), Some(&b"\0\x01\x03WWW\x07example\0\0\x01\0\x03\x02h2"[..]));
}

#[test]
fn a_name_in_a_record_borrows_nothing_of_the_next() {
    // Its last label is said to be as long as what follows.
    let wire = raw(&[(0, ASKED, 17, b"\x01a\0\x05"), (0, ASKED, 16, b"\x01x")]);
    assert!(to_message(&wire).is_none());
    let wire = raw(&[(0, ASKED, 65, b"\0\x01\x05"), (0, ASKED, 16, b"\x01x")]);
    let read = to_message(&wire).expect("a message");
    assert_eq!(read.answers.len(), 1, "the service is left out");
}

#[test]
fn what_must_be_understood_and_cannot_be_makes_the_answer_none() {
    for (rtype, rdata) in [
        (1, &b"\xc0\0\x02"[..]),
        (1, b""),
        (28, b"\x20\x01"),
        (5, b""),
        (5, b"\xc0\x40"),
        (5, b"\x01a\0x"),
        (2, b"\x05"),
        (6, b"\0\0\0"),
        (15, b"\0\x01"),
        (33, b"\0\x01\0\0\0\x35"),
        (39, b"\x01a"),
    ] {
        assert_eq!(read_one(rtype, rdata), None, "{rtype} {rdata:?}");
        // Nobody looks for an answer in the authority section.
        let read = to_message(&raw(&[(0, ASKED, 16, b"\x01x"), (1, ASKED, rtype, rdata)]));
        let read = read.expect("a message");
        assert_eq!((read.answers.len(), read.authorities.len()), (1, 0), "{rtype} {rdata:?}");
    }
}

#[test]
fn signatures_and_proofs_that_cannot_be_read_are_none_and_keys_stay_bytes() {
    for (rtype, rdata) in [(46, &b"\0\x01"[..]), (46, b""), (47, b"\x05")] {
        assert_eq!(read_one(rtype, rdata), None, "{rtype}");
        let read = to_message(&raw(&[(0, ASKED, rtype, rdata), (0, ASKED, 16, b"\x01x")]));
        assert_eq!(read.map(|read| read.answers.len()), Some(1), "{rtype}");
    }
    for (rtype, rdata) in [(43, &b"\0\x01"[..]), (48, b"\x01\x01\x02\x0d"), (50, b"\x09\xff\0\0")] {
        assert_eq!(read_one(rtype, rdata).as_deref(), Some(rdata));
    }
}

#[test]
fn only_data_of_the_internet_is_taken_and_no_options() {
    let mut wire = raw(&[(0, ASKED, 16, b"\x01x"), (0, b"\0", 41, b""), (0, ASKED, 250, b"")]);
    assert_eq!(to_message(&wire).map(|read| read.answers.len()), Some(1));
    let place = wire.windows(4).position(|part| part == [0, 16, 0, 1]).expect("a class");
    wire[place + 3] = 3;
    assert_eq!(to_message(&wire).map(|read| read.answers.len()), Some(0));
    wire[5] = 2;
    assert!(to_message(&wire).is_none(), "one question");
}

#[test]
fn so_many_records_are_read_and_no_more() {
    let text = (0, ASKED, 16, &b"\x01x"[..]);
    let mut wire = raw(&[text; 255]);
    let record = wire[wire.len() - 14..].to_vec();
    for _ in 255..MAX_RECORDS {
        wire.extend_from_slice(&record);
    }
    wire[6..8].copy_from_slice(&(MAX_RECORDS as u16).to_be_bytes());
    assert_eq!(to_message(&wire).map(|read| read.answers.len()), Some(MAX_RECORDS));
    wire.extend_from_slice(&record);
    wire[9] = 1;
    assert!(to_message(&wire).is_none());
}

#[test]
fn owners_with_equal_bytes_are_one_name_and_others_are_not() {
    let wire = raw(&[
        (0, ASKED, 16, b"\x01a"),
        (0, ASKED, 16, b"\x01b"),
        (0, b"\xc0\x10", 16, b"\x01c"),
        (0, b"\x01x\xc0\x10", 16, b"\x01d"),
        (0, ASKED, 16, b"\x01e"),
    ]);
    let read = to_message(&wire).expect("a message");
    let owners: Vec<String> = read.answers.iter().map(|record| record.name.to_string()).collect();
    assert_eq!(owners, ["www.example.", "www.example.", "example.", "x.example.", "www.example."]);
    let broken = raw(&[(0, b"\xc0\x40", 16, b"\x01a")]);
    assert!(to_message(&broken).is_none());
}

proptest::proptest! {
    #[test]
    fn no_packet_makes_it_panic_and_what_it_reads_it_reads_again(
        noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60),
        rtype in 0u16..270,
        section in 0usize..2,
    ) {
        let wire = raw(&[(section, ASKED, rtype, &noise), (0, ASKED, 16, b"\x01x")]);
        if let Some(read) = to_message(&wire) {
            let again = to_message(&read.to_vec().expect("encodes")).expect("read before");
            proptest::prop_assert_eq!(read, again);
        }
        let _ = to_message(&[&wire[..29], &noise[..]].concat());
    }
}
