use hickory_proto::op::Message;
use hickory_proto::rr::RecordType as HickoryType;

use super::*;

fn question() -> Question {
    Question {
        name: "www.example".parse().expect("name"),
        qtype: RecordType::AAAA,
        dnssec_ok: true,
        cd: true,
    }
}

#[test]
fn a_question_is_what_hickory_reads() {
    let bytes = question().message(0x1234, None, Shape { edns: true, padded: false });
    let read = Message::from_vec(&bytes).expect("a message");
    assert_eq!(read.metadata.id, 0x1234);
    assert!(read.metadata.recursion_desired && read.metadata.checking_disabled);
    assert_eq!(read.queries[0].name().to_string(), "www.example.");
    assert_eq!(read.queries[0].query_type(), HickoryType::AAAA);
    let edns = read.edns.expect("EDNS");
    assert!(edns.flags().dnssec_ok);
    assert_eq!(edns.max_payload(), UDP_PAYLOAD);
    let bytes = question().message(1, None, Shape::default());
    assert!(Message::from_vec(&bytes).expect("a message").edns.is_none());
}

#[test]
fn dice_change_the_case_and_nothing_else() {
    let plain = question().message(7, None, Shape::default());
    let mixed: Vec<Vec<u8>> =
        (0..20).map(|_| question().message(7, Some(&Dice::throw()), Shape::default())).collect();
    assert!(mixed.iter().all(|message| message.to_ascii_lowercase() == plain));
    assert!(mixed.iter().any(|message| *message != plain));
    assert!(mixed.iter().any(|message| *message != mixed[0]));
}

#[test]
fn padded_questions_are_all_of_one_length() {
    for labels in 1..4 {
        let name = vec!["abcdefghij"; labels].join(".").parse().expect("name");
        let question = Question { name, ..question() };
        let bytes = question.message(0, None, Shape { edns: true, padded: true });
        assert_eq!(bytes.len(), PADDED_TO);
        assert!(Message::from_vec(&bytes).is_ok());
    }
}
