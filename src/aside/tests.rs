use std::time::Duration;

use lanward_dhcp::Time;
use lanward_ha::{
    ClusterId, Pair, PairConfig, PairOutput, Partner, Rank, Restored, StoreId, Times,
};

use super::*;

fn about() -> Aside {
    let at = Timestamp::from_second(1_800_000_000).unwrap();
    let about = About { version: "0.1.0".to_owned(), wall: at, started: at, has: 7, history: true };
    Aside { about: Some(about), ..Aside::default() }
}

#[test]
fn a_message_arrives_as_it_was_sent() {
    let read = Aside::from_frame(&about().into_frame()).unwrap().unwrap();
    assert_eq!(read, about());
}

/// A daemon that knows no asides hands them to its pair.
#[test]
fn a_node_that_knows_nothing_of_it_takes_it_for_an_empty_frame() {
    let partner = Partner { name: "pi-b".into(), cluster: ClusterId([1; 16]), rank: Rank::Zero };
    let times = Times::with_mclt(Duration::from_secs(3600)).unwrap();
    let config =
        PairConfig { node: "pi-a".into(), store: StoreId([2; 16]), partner: Some(partner), times };
    let now = Time::from_millis(1_000_000);
    let mut pair = Pair::new(config, &Restored::default(), now);
    pair.handle_link_up(now);
    pair.handle_frame(now, &about().into_frame());
    let closes = std::iter::from_fn(|| pair.poll_output())
        .any(|output| matches!(output, PairOutput::CloseLink { .. }));
    assert!(!closes);
}

#[test]
fn the_pairs_own_frames_are_left_to_it() {
    // Protobuf fields 1 and 20 with two bytes each.
    assert!(Aside::from_frame(&[0x0a, 2, 8, 1]).is_none());
    assert!(Aside::from_frame(&[0xa2, 1, 2, 8, 1]).is_none());
    assert!(Aside::from_frame(&[]).is_none());
}

#[test]
fn what_a_later_version_says_besides_is_skipped_and_nonsense_is_an_error() {
    let message = |json: &[u8]| {
        let mut frame = varint(u64::from(KEY));
        frame.extend(varint(json.len() as u64));
        frame.extend_from_slice(json);
        Aside::from_frame(&frame).unwrap()
    };
    let later = br#"{"about":{"version":"9","wall":"2027-01-15T08:00:00Z","started":
        "2027-01-15T08:00:00Z","has":1,"mood":"good"},"later":1}"#;
    assert_eq!(message(later).unwrap().about.unwrap().version, "9");
    assert!(message(b"{").is_err());
    assert!(message(&[0xff; 300]).is_err());
}
