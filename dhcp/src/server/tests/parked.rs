//! Replies wait until the book has settled the change.

use super::bench::*;
use crate::{Change, Dropped, Ticket};

#[test]
fn nothing_is_acked_before_the_book_settles() {
    let mut bench = Bench::new();
    let offer = bench.talk(at(0), &Msg::new(DISCOVER, 1)).one();
    let came = bench.hand(at(1), &Msg::new(REQUEST, 1).select(SERVER, offer.yiaddr));
    assert!(came.replies.is_empty() && came.drops.is_empty(), "{came:?}");
    assert_eq!(bench.settle(at(2)).one().kind, ACK);
}

#[test]
fn a_repetition_is_not_proposed_again_and_answered_once() {
    let mut bench = Bench::new();
    let offer = bench.talk(at(0), &Msg::new(DISCOVER, 1)).one();
    let request = Msg::new(REQUEST, 1).select(SERVER, offer.yiaddr);
    bench.hand(at(1), &request);
    bench.hand(at(1), &request).silent(Dropped::Repeated);
    bench.hand(at(2), &request).silent(Dropped::Repeated);
    assert_eq!(bench.book.proposed.len(), 1);
    bench.settle(at(2)).one();
    // After the ACK (which may have been lost) it is answered again.
    assert_eq!(bench.talk(at(3), &request).one().kind, ACK);
}

#[test]
fn an_outcome_nobody_waits_for_is_harmless() {
    let mut bench = Bench::new();
    let outcome = crate::Outcome::Committed { lease: std::time::Duration::from_secs(60) };
    bench.server.handle_outcome(at(0), Ticket(99), outcome);
    assert_eq!(bench.server.poll_output(), None);
}

#[test]
fn a_reply_is_given_up_when_the_book_does_not_settle() {
    let mut bench = Bench::new();
    let offer = bench.talk(at(0), &Msg::new(DISCOVER, 1)).one();
    let request = Msg::new(REQUEST, 1).select(SERVER, offer.yiaddr);
    bench.hand(at(1), &request);
    let (when, why) = bench.server.poll_timeout().expect("a wake-up");
    assert_eq!((when, why), (at(31), "a parked reply is overdue"));
    assert_eq!(bench.timeout(when).drops, [Dropped::NotSettled]);
    // Settled at last: the client is told nothing about a transaction it has given up.
    assert!(bench.settle(at(40)).replies.is_empty());
    assert_eq!(bench.talk(at(41), &request).one().kind, ACK);
}

#[test]
fn an_overdue_reply_is_given_up_though_a_newer_one_was_parked_first() {
    let mut bench = Bench::new();
    let renewal = |n: u8| Msg::new(REQUEST, n).having(home(100 + n));
    bench.hand(at(0), &renewal(1));
    // The shell hands in a packet before it gets around to the timeout.
    bench.hand(at(40), &renewal(2));
    assert_eq!(bench.timeout(at(40)).drops, [Dropped::NotSettled]);
    bench.book.proposed.clear();
    bench.hand(at(41), &renewal(1));
    assert_eq!(bench.book.proposed.len(), 1, "not taken for a repetition");
}

#[test]
fn the_network_may_vanish_while_a_reply_waits() {
    let mut bench = Bench::new();
    let offer = bench.talk(at(0), &Msg::new(DISCOVER, 1)).one();
    bench.hand(at(1), &Msg::new(REQUEST, 1).select(SERVER, offer.yiaddr));
    bench.reconfigure(|config| {
        config.networks.remove(HOME);
    });
    bench.settle(at(2)).silent(Dropped::NoNetwork);
}

#[test]
fn only_so_many_replies_wait() {
    let mut bench = Bench::with(|config| {
        let home = config.networks.get_mut(HOME).unwrap();
        home.subnet = ([10, 0, 0, 0].into(), 16);
        home.pools = vec![[10, 0, 64, 0].into()..=[10, 0, 127, 255].into()];
    });
    for n in 0..4200u16 {
        let mut msg = Msg::new(REQUEST, 1).having([10, 0, 64 + (n >> 8) as u8, n as u8].into());
        msg.hw = crate::HwAddr::new(1, &[2, 0, 0, 0, (n >> 8) as u8, n as u8]).unwrap();
        let came = bench.hand(at(0), &msg);
        assert_eq!(came.drops.len(), usize::from(n >= 4096));
    }
    let grants = |change: &&(Ticket, Change)| matches!(change.1, Change::Grant { .. });
    assert_eq!(bench.book.proposed.iter().filter(grants).count(), 4096);
}
