use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, SOA, TXT};
use hickory_proto::rr::{Name as HickoryName, RData, Record as HickoryRecord, RecordType as Type};

use super::*;

fn hickory(text: &str) -> HickoryName {
    HickoryName::from_ascii(text).expect(text)
}

fn sent(rtype: Type) -> Message {
    let mut message = Message::query();
    message.metadata.id = 0x0102;
    message.metadata.recursion_desired = true;
    message.queries.push(Query::query(hickory("wWw.Example."), rtype));
    message.edns = Some(Edns::new());
    message
}

fn answer(rtype: Type) -> Message {
    let mut message = Message::response(0x0102, hickory_proto::op::OpCode::Query);
    message.queries = sent(rtype).queries;
    message.edns = Some(Edns::new());
    message
}

fn address(owner: &str) -> HickoryRecord {
    HickoryRecord::from_rdata(hickory(owner), 300, RData::A(A([192, 0, 2, 1].into())))
}

fn alias(owner: &str, target: &str) -> HickoryRecord {
    HickoryRecord::from_rdata(hickory(owner), 200, RData::CNAME(CNAME(hickory(target))))
}

fn soa(owner: &str) -> HickoryRecord {
    let soa = SOA::new(hickory("ns.example."), hickory("x.example."), 1, 2, 3, 4, 60);
    HickoryRecord::from_rdata(hickory(owner), 900, RData::SOA(soa))
}

fn bytes(message: &Message) -> Vec<u8> {
    message.to_vec().expect("encodes")
}

fn reading(answer: &[u8]) -> Reading {
    read(&bytes(&sent(Type::A)), answer)
}

fn layout_of(message: &Message) -> Option<Layout> {
    match reading(&bytes(message)) {
        Reading::Answer(Form::Plain(layout)) => Some(layout),
        Reading::Answer(Form::Other(_)) => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_address_behind_aliases_is_taken_as_it_stands() {
    let mut message = answer(Type::A);
    message.answers = vec![
        alias("wWw.Example.", "a.cdn.example."),
        alias("a.cdn.example.", "b.other."),
        address("b.other."),
        address("b.other."),
    ];
    message.authorities = vec![soa("example.")];
    let layout = layout_of(&message).expect("plain");
    assert!(!layout.negative);
    assert_eq!((layout.answers, layout.authorities, layout.ttls.len()), (4, 0, 4));
    let targets: Vec<String> = layout.targets.iter().map(ToString::to_string).collect();
    assert_eq!(targets, ["a.cdn.example", "b.other"]);
}

#[test]
fn a_negative_answer_keeps_its_soa() {
    let mut message = answer(Type::A);
    message.metadata.response_code = ResponseCode::NXDomain;
    message.authorities = vec![soa("example.")];
    let layout = layout_of(&message).expect("plain");
    assert!(layout.negative);
    assert_eq!(layout.soa_minimum, Some(60));
    assert_eq!((layout.answers, layout.authorities), (0, 1));
    let mut message = answer(Type::A);
    message.answers = vec![alias("wWw.Example.", "gone.example.")];
    assert_eq!(layout_of(&message).expect("plain").soa_minimum, None);
}

#[test]
fn what_is_out_of_the_ordinary_goes_record_by_record() {
    let with = |answers: Vec<HickoryRecord>| {
        let mut message = answer(Type::A);
        message.answers = answers;
        layout_of(&message)
    };
    assert!(with(vec![address("other.example.")]).is_none(), "another's address");
    assert!(with(vec![address("wWw.Example."), address("evil.example.")]).is_none());
    assert!(
        with(vec![address("a.example."), alias("wWw.Example.", "a.example.")]).is_none(),
        "out of order"
    );
    let text = RData::TXT(TXT::new(vec!["x".to_owned()]));
    assert!(with(vec![HickoryRecord::from_rdata(hickory("wWw.Example."), 1, text)]).is_none());
    let mut two = answer(Type::A);
    two.authorities = vec![soa("example."), soa("example.")];
    assert!(layout_of(&two).is_none());
}

#[test]
fn whoever_only_names_others_refuses() {
    let delegation = || {
        let data = RData::NS(hickory_proto::rr::rdata::NS(hickory("ns.example.")));
        HickoryRecord::from_rdata(hickory("example."), 300, data)
    };
    let mut message = answer(Type::A);
    message.authorities = vec![delegation()];
    assert!(matches!(reading(&bytes(&message)), Reading::Error(Rcode::REFUSED)));
    // Of these it is known that there is nothing, or somebody has asked.
    let mut other = message.clone();
    other.authorities.push(soa("example."));
    assert!(matches!(reading(&bytes(&other)), Reading::Answer(_)), "RFC 2308, 2.2");
    let mut other = message.clone();
    other.metadata.recursion_available = true;
    assert!(matches!(reading(&bytes(&other)), Reading::Answer(_)));
    let mut other = message.clone();
    other.metadata.authoritative = true;
    assert!(matches!(reading(&bytes(&other)), Reading::Answer(_)));
    let mut other = message.clone();
    other.metadata.response_code = ResponseCode::NXDomain;
    assert!(matches!(reading(&bytes(&other)), Reading::Answer(_)));
    message.answers = vec![address("wWw.Example.")];
    assert!(matches!(reading(&bytes(&message)), Reading::Answer(_)));
}

#[test]
fn what_does_not_fit_the_question_is_not_ours() {
    let mut message = answer(Type::A);
    message.answers = vec![address("wWw.Example.")];
    let good = bytes(&message);
    assert!(matches!(reading(&good), Reading::Answer(_)));
    let changed = |change: fn(&mut Vec<u8>)| {
        let mut bad = good.clone();
        change(&mut bad);
        reading(&bad)
    };
    assert!(matches!(changed(|m| m[0] ^= 1), Reading::NotOurs), "id");
    assert!(matches!(changed(|m| m[2] &= 0x7f), Reading::NotOurs), "a question");
    assert!(matches!(changed(|m| m[2] |= 0x20), Reading::NotOurs), "another opcode");
    assert!(matches!(changed(|m| m[5] = 0), Reading::NotOurs), "no question");
    assert!(matches!(changed(|m| m[5] = 2), Reading::NotOurs), "two questions");
    assert!(matches!(changed(|m| m[13] = b'x'), Reading::NotOurs), "another name");
    assert!(matches!(changed(|m| m[13] ^= 0x20), Reading::OtherCase));
    assert!(matches!(changed(|m| m[26] = 28), Reading::NotOurs), "another type");
    assert!(matches!(changed(|m| m[28] = 3), Reading::NotOurs), "another class");
    assert!(matches!(changed(|m| m[7] = 9), Reading::Unreadable), "records that are not there");
    assert!(matches!(changed(|m| m.truncate(35)), Reading::Unreadable), "cut off");
    assert!(matches!(changed(|m| m.truncate(25)), Reading::NotOurs), "cut off in the question");
    assert!(matches!(changed(|m| m[2] |= flag::TC), Reading::Truncated));
    assert!(matches!(changed(|m| m[3] |= 2), Reading::Error(Rcode::SERV_FAIL)));
    assert!(matches!(changed(|m| m[3] |= 1), Reading::NoEdns));
    assert!(matches!(reading(b""), Reading::NotOurs));
    let header = [1, 2, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    assert!(matches!(reading(&header), Reading::NoEdns), "whoever cannot read it");
}

#[test]
fn aliases_that_go_round_are_not_taken_over_as_they_stand() {
    let plain = |answers: Vec<hickory_proto::rr::Record>| {
        let mut message = answer(Type::A);
        message.answers = answers;
        matches!(reading(&bytes(&message)), Reading::Answer(Form::Plain(_)))
    };
    assert!(plain(vec![alias("wWw.Example.", "a.example.")]));
    assert!(!plain(vec![alias("wWw.Example.", "www.example.")]));
    let round = [alias("wWw.Example.", "a.example."), alias("a.example.", "b.example.")];
    assert!(plain(round.to_vec()));
    assert!(!plain([&round[..], &[alias("b.example.", "a.example.")]].concat()));
}

#[test]
fn a_name_that_points_at_itself_ends() {
    let message = [&[0; HEADER][..], b"\x01a\xc0\x0c", b"\xc0\x10"].concat();
    assert_eq!(name(&message, HEADER), None);
    assert_eq!(name(&message, HEADER + 4), None);
    assert_eq!(
        name(b"\x01a\0", 0).map(|(name, end)| (name.to_string(), end)),
        Some(("a".into(), 3))
    );
}

proptest::proptest! {
    #[test]
    fn no_packet_makes_the_reader_panic(
        noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80),
        at in 0usize..60,
        byte in 0u8..,
    ) {
        let mut message = answer(Type::A);
        message.answers = vec![alias("wWw.Example.", "a.example."), address("a.example.")];
        message.authorities = vec![soa("example.")];
        let mut packet = bytes(&message);
        if let Some(place) = packet.get_mut(at) {
            *place = byte;
        }
        let _ = reading(&packet);
        let _ = reading(&[&packet[..29], &noise[..]].concat());
    }
}
