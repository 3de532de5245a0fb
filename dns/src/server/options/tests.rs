use proptest::prelude::*;

use super::*;

const IDLE: Duration = Duration::from_secs(10);

/// A message with a question, OPT and these options.
fn message(options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut wire = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    wire.extend_from_slice(b"\x03www\x07example\0\0\x01\0\x01");
    wire.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    let start = wire.len();
    for (code, data) in options {
        push(&mut wire, *code, data);
    }
    let len = (wire.len() - start) as u16;
    wire[start - 2..start].copy_from_slice(&len.to_be_bytes());
    wire
}

fn answered(options: &[(u16, &[u8])], transport: Transport) -> Vec<u8> {
    let mut answer = message(&[(15, b"\0\x0fblocked")]);
    Wants::of(&message(options), transport).add_to(&mut answer, IDLE);
    hickory_proto::op::Message::from_vec(&answer).expect("still a message");
    answer
}

#[test]
fn encrypted_answers_fill_whole_blocks_when_the_client_padded() {
    for transport in [Transport::Tls, Transport::Https, Transport::Quic] {
        let answer = answered(&[(12, &[0; 20])], transport);
        assert_eq!(answer.len(), 468, "{transport:?}");
        assert!(has(&answer, 12) && has(&answer, 15));
        assert!(!has(&answered(&[], transport), 12), "not unasked");
    }
    for transport in [Transport::Udp, Transport::Tcp] {
        assert!(!has(&answered(&[(12, &[])], transport), 12), "{transport:?}");
    }
}

#[test]
fn tcp_and_tls_tell_how_long_a_connection_may_be_idle() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let answer = answered(&[(11, &[])], transport);
        assert_eq!(answer[answer.len() - 6..], [0, 11, 0, 2, 0, 100], "{transport:?}");
    }
    for transport in [Transport::Udp, Transport::Https, Transport::Quic] {
        assert!(!has(&answered(&[(11, &[])], transport), 11), "{transport:?}");
    }
    let both = answered(&[(11, &[]), (12, &[])], Transport::Tls);
    assert!(both.len() == 468 && has(&both, 11) && has(&both, 12));
}

#[test]
fn an_answer_of_full_size_is_left_as_it_is() {
    let wants = Wants::of(&message(&[(12, &[])]), Transport::Tls);
    for spare in 0..6 {
        let len = 65535 - message(&[]).len() - 4 - spare;
        let mut answer = message(&[(65001, &vec![0; len])]);
        wants.add_to(&mut answer, IDLE);
        assert!(answer.len() <= 65535, "{spare}");
        hickory_proto::op::Message::from_vec(&answer).expect("still a message");
    }
}

proptest! {
    #[test]
    fn no_message_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut answer = bytes.clone();
        Wants { padding: true, keepalive: true }.add_to(&mut answer, IDLE);
        prop_assert!(answer.len() >= bytes.len());
        has(&bytes, PADDING);
    }
}
