//! The partner is responsible: answer only clients it leaves unserved.

use super::bench::*;
use crate::{Answering, Dropped};

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.book.answering = Answering::IfUnserved;
    bench
}

#[test]
fn the_first_message_is_left_to_the_partner() {
    let mut bench = bench();
    bench.hand(at(0), &Msg::new(DISCOVER, 1)).silent(Dropped::LeftToPartner);
    bench.hand(at(2), &Msg::new(DISCOVER, 1)).silent(Dropped::LeftToPartner);
}

#[test]
fn a_client_that_retries_after_three_seconds_is_answered_though_it_counts_no_secs() {
    let mut bench = bench();
    bench.hand(at(0), &Msg::new(DISCOVER, 1)).silent(Dropped::LeftToPartner);
    // Another transaction id: some clients take a new one for each try.
    assert_eq!(bench.talk(at(3), &Msg::new(DISCOVER, 1).xid(9)).one().kind, OFFER);
    assert_eq!(bench.server.counters().stepped_in, 1);
    // Another client's first try is still the partner's.
    bench.hand(at(3), &Msg::new(DISCOVER, 2)).silent(Dropped::LeftToPartner);
}

#[test]
fn four_secs_are_enough_in_either_byte_order() {
    for (secs, answered) in [(4, true), (3, false), (0x0400, true), (0x0300, false), (300, true)] {
        let mut bench = bench();
        let came = bench.talk(at(0), &Msg::new(DISCOVER, 1).secs(secs));
        assert_eq!(came.replies.len(), usize::from(answered), "secs {secs:#06x}");
    }
}

#[test]
fn a_message_a_minute_later_is_a_new_attempt() {
    let mut bench = bench();
    bench.hand(at(0), &Msg::new(DISCOVER, 1)).silent(Dropped::LeftToPartner);
    bench.hand(at(60), &Msg::new(DISCOVER, 1)).silent(Dropped::LeftToPartner);
}

#[test]
fn a_client_served_by_the_partner_is_forgotten() {
    let mut bench = bench();
    bench.hand(at(0), &Msg::new(DISCOVER, 1)).silent(Dropped::LeftToPartner);
    bench
        .hand(at(1), &Msg::new(REQUEST, 1).select(PARTNER, home(101)))
        .silent(Dropped::ForAnotherServer);
    bench.hand(at(5), &Msg::new(DISCOVER, 1)).silent(Dropped::LeftToPartner);
}

#[test]
fn a_client_the_partner_has_answered_since_begins_anew() {
    // A relay agent that copies unicast renewals to both nodes: with short leases one renewal
    // follows the other within a minute, and none of them is a repetition.
    let mut bench = bench();
    bench.has(at(0), home(101), hw_key(1), mac(1));
    let renew = Msg::new(REQUEST, 1).having(home(101));
    bench.hand(at(10), &renew).silent(Dropped::LeftToPartner);
    bench.has(at(10), home(101), hw_key(1), mac(1));
    bench.hand(at(40), &renew).silent(Dropped::LeftToPartner);
    // Nobody answered this one.
    assert_eq!(bench.talk(at(44), &renew).one().kind, ACK);
}

#[test]
fn different_messages_are_no_repetition_of_each_other() {
    let mut bench = bench();
    bench.has(at(0), home(101), hw_key(1), mac(1));
    bench.hand(at(0), &Msg::new(DISCOVER, 1)).silent(Dropped::LeftToPartner);
    let reboot = Msg::new(REQUEST, 1).asking_for(home(101));
    bench.hand(at(4), &reboot).silent(Dropped::LeftToPartner);
    assert_eq!(bench.talk(at(8), &reboot).one().kind, ACK);
}

#[test]
fn a_flood_of_strangers_does_not_grow_the_memory_of_who_asked() {
    let mut bench = bench();
    for n in 0..10_000u32 {
        let mut msg = Msg::new(DISCOVER, 1);
        msg.hw =
            crate::HwAddr::new(1, &[2, 0, n.to_be_bytes()[1], 0, n as u8, (n >> 8) as u8]).unwrap();
        bench.hand(at(0), &msg).silent(Dropped::LeftToPartner);
    }
    let text = format!("{:?}", bench.server);
    assert!(text.matches("02:00:00:00").count() < 3 * 4096);
}
