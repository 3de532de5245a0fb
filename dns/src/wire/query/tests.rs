use proptest::prelude::*;

use super::*;

const QUESTION: &[u8] = b"\x03wWw\x07example\0\x00\x01\x00\x01";

/// A query with these counts and whatever follows the question.
fn packet(flags: [u8; 2], counts: [u8; 4], question: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut out = vec![0xab, 0xcd, flags[0], flags[1]];
    out.extend(counts.into_iter().flat_map(|count| [0, count]));
    out.extend_from_slice(question);
    out.extend_from_slice(rest);
    out
}

fn simple(question: &[u8]) -> Vec<u8> {
    packet([1, 0], [1, 0, 0, 0], question, &[])
}

fn opt(version: u8, do_bit: u8, options: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, 41, 0x10, 0, 0, version, do_bit, 0, 0, options.len() as u8];
    out.extend_from_slice(options);
    out
}

fn with_opt(rest: &[u8]) -> Vec<u8> {
    packet([1, 0], [1, 0, 0, 1], QUESTION, rest)
}

fn rcode(packet: &[u8]) -> Option<Rcode> {
    match Query::parse(packet) {
        Err(Malformed::Answer(refusal)) => Some(refusal.rcode),
        Err(Malformed::Drop(reason)) => panic!("dropped: {reason:?}"),
        Ok(_) => None,
    }
}

#[test]
fn a_question_is_read_with_its_case_kept_and_its_name_lowered() {
    let packet = simple(QUESTION);
    let query = Query::parse(&packet).expect("valid");
    assert_eq!(query.head.id, [0xab, 0xcd]);
    assert_eq!(query.question, QUESTION);
    assert_eq!(query.name(), b"\x03www\x07example\0");
    assert_eq!(query.qtype, RecordType::A);
    assert!(query.rd() && !query.cd() && query.edns.is_none());
}

#[test]
fn short_packets_and_responses_get_no_answer() {
    let whole = simple(QUESTION);
    for len in 0..HEADER {
        let drop = Query::parse(&whole[..len]).expect_err("short");
        assert_eq!(drop, Malformed::Drop(DropReason::Short));
    }
    let response = packet([0x81, 0x80], [1, 0, 0, 0], QUESTION, &[]);
    assert_eq!(Query::parse(&response).err(), Some(Malformed::Drop(DropReason::Response)));
}

#[test]
fn a_packet_cut_anywhere_is_form_err() {
    let whole = with_opt(&opt(0, 0, &[]));
    for len in HEADER..whole.len() {
        assert_eq!(rcode(&whole[..len]), Some(Rcode::FORM_ERR), "cut at {len}");
    }
    assert_eq!(rcode(&whole), None);
}

#[test]
fn odd_questions_are_refused_by_kind() {
    let class = |class: u8| [&b"\x01a\0\x00\x01\x00"[..], &[class]].concat();
    let qtype = |qtype: u8| [&b"\x01a\0\x00"[..], &[qtype], &b"\x00\x01"[..]].concat();
    assert_eq!(rcode(&simple(&class(3))), Some(Rcode::REFUSED), "CH");
    assert_eq!(rcode(&simple(&class(255))), Some(Rcode::REFUSED), "class ANY");
    assert_eq!(rcode(&simple(&qtype(252))), Some(Rcode::REFUSED), "AXFR");
    assert_eq!(rcode(&simple(&qtype(41))), Some(Rcode::FORM_ERR), "OPT");
    assert_eq!(rcode(&simple(&qtype(0))), Some(Rcode::FORM_ERR), "type 0");
    assert_eq!(rcode(&simple(&qtype(249))), Some(Rcode::NOT_IMP), "TKEY");
    assert_eq!(rcode(&simple(&qtype(255))), None, "ANY is answered, minimally");
    for opcode in 1..16u8 {
        let packet = packet([opcode << 3, 0], [1, 0, 0, 0], QUESTION, &[]);
        assert_eq!(rcode(&packet), Some(Rcode::NOT_IMP), "opcode {opcode}");
    }
}

#[test]
fn names_that_are_none_are_form_err() {
    let compressed = simple(b"\xc0\x0c\x00\x01\x00\x01");
    assert_eq!(rcode(&compressed), Some(Rcode::FORM_ERR));
    let reserved = simple(b"\x41a\0\x00\x01\x00\x01");
    assert_eq!(rcode(&reserved), Some(Rcode::FORM_ERR));
    let labels = |count: usize| [b"\x01a".repeat(count), b"\0\x00\x01\x00\x01".to_vec()].concat();
    assert_eq!(rcode(&simple(&labels(127))), None, "255 bytes");
    assert_eq!(rcode(&simple(&labels(128))), Some(Rcode::FORM_ERR), "257 bytes");
    assert_eq!(rcode(&packet([1, 0], [0, 0, 0, 0], &[], &[])), Some(Rcode::FORM_ERR));
    let two = [QUESTION, QUESTION].concat();
    assert_eq!(rcode(&packet([1, 0], [2, 0, 0, 0], &two, &[])), Some(Rcode::FORM_ERR));
    assert_eq!(rcode(&packet([1, 0], [1, 0, 0, 0], QUESTION, b"x")), Some(Rcode::FORM_ERR));
}

#[test]
fn edns_is_read_and_its_faults_told_apart() {
    let good = with_opt(&opt(0, 0x80, b"\xff\xfe\x00\x02hi"));
    let query = Query::parse(&good).expect("unknown option");
    assert_eq!(query.edns, Some(Edns { udp_size: 4096, dnssec_ok: true }));
    assert_eq!(rcode(&with_opt(&opt(1, 0, &[]))), Some(Rcode::BAD_VERS));
    // A later version may have another shape inside.
    assert_eq!(rcode(&with_opt(&opt(9, 0, b"x"))), Some(Rcode::BAD_VERS));
    assert_eq!(rcode(&with_opt(&opt(0, 0, b"\x00\x0a\x00\x09x"))), Some(Rcode::FORM_ERR));
    let twice = [opt(0, 0, &[]), opt(0, 0, &[])].concat();
    assert_eq!(rcode(&packet([1, 0], [1, 0, 0, 2], QUESTION, &twice)), Some(Rcode::FORM_ERR));
    let answer = packet([1, 0], [1, 1, 0, 0], QUESTION, &opt(0, 0, &[]));
    assert_eq!(rcode(&answer), Some(Rcode::FORM_ERR), "OPT in the answer section");
    let named = [b"\x01a".to_vec(), opt(0, 0, &[])].concat();
    assert_eq!(rcode(&with_opt(&named)), Some(Rcode::FORM_ERR), "OPT not at the root");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Query::parse(&bytes);
    }

    #[test]
    fn almost_good_packets_never_panic(
        at in 0usize..60,
        byte in any::<u8>(),
        options in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = with_opt(&opt(0, 0, &options));
        if let Some(slot) = bytes.get_mut(at) {
            *slot = byte;
        }
        let _ = Query::parse(&bytes);
    }
}
