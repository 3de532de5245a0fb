//! Disks, frames and records that fail.

use super::*;
use crate::record::{Remembered, STATE_KEY};
use crate::wire::Body;

fn updates(frames: &VecDeque<Vec<u8>>) -> usize {
    let is_update =
        |frame: &&Vec<u8>| matches!(Body::from_frame(frame), Ok(Some(Body::Updates(_))));
    frames.iter().filter(is_update).count()
}

#[test]
fn nothing_is_told_to_anybody_before_it_is_on_the_disk() {
    let mut bench = Bench::normal();
    bench.sides[0].holds_disk = true;
    bench.sides[0].holds_frames = true;
    let ticket = bench.grant(0, EVEN, 1, DAY);
    bench.pass(Duration::from_secs(1));
    assert_eq!(updates(&bench.sides[0].frames), 0);
    assert_eq!(bench.outcome(0, ticket), None, "not even by the MCLT rule");
    bench.sides[0].holds_disk = false;
    bench.settle();
    assert_eq!(updates(&bench.sides[0].frames), 1);
}

#[test]
fn a_partners_lease_is_confirmed_when_it_is_on_the_disk() {
    let mut bench = Bench::normal();
    bench.sides[1].holds_disk = true;
    bench.sides[1].holds_frames = true;
    bench.grant(0, EVEN, 1, DAY);
    let acks = |bench: &Bench| {
        let is_ack = |frame: &&Vec<u8>| matches!(Body::from_frame(frame), Ok(Some(Body::Acks(_))));
        bench.sides[1].frames.iter().filter(is_ack).count()
    };
    assert_eq!(acks(&bench), 0);
    bench.sides[1].holds_disk = false;
    bench.settle();
    assert_eq!(acks(&bench), 1);
}

#[test]
fn a_state_is_on_the_disk_before_it_takes_effect() {
    let mut bench = Bench::new();
    bench.sides[0].holds_disk = true;
    bench.link();
    assert_eq!(bench.states(), [PairState::Startup; 2]);
    bench.sides[0].holds_disk = false;
    bench.settle();
    assert_eq!(bench.states(), [PairState::Normal; 2]);
    let stored = Remembered::decode(&bench.sides[0].disk[STATE_KEY]).expect("a state");
    assert_eq!(stored.state, PairState::Normal);
}

#[test]
fn a_failed_store_ends_all_promises_and_says_so() {
    let mut bench = Bench::normal();
    bench.sides[0].holds_disk = true;
    let ticket = bench.grant(0, EVEN, 1, DAY);
    let now = bench.now;
    bench.a().handle_store_failed(now, "No space left on device");
    bench.settle();
    assert_eq!(bench.outcome(0, ticket), Some(Outcome::Refused(Refusal::NotDurable)));
    let later = bench.grant(0, EVEN, 2, DAY);
    assert_eq!(bench.outcome(0, later), Some(Outcome::Refused(Refusal::NotDurable)));
    let status = bench.sides[0].pair.status();
    assert!(!status.serving && status.unfit.is_some());
    // The partner hears of it with the next word, and answers everybody.
    bench.pass(Duration::from_secs(1));
    let network: NetworkId = "lan".into();
    for n in 0..50 {
        let answers =
            bench.b().answering(now, Asking::Discover, &network, &client(n).key, Some(EVEN));
        assert_eq!(answers, Answering::Yes);
    }
}

#[test]
fn a_damaged_record_is_held_back_and_refilled_by_the_partner() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, DAY);
    let now = bench.now;
    let mut entries: Vec<_> = bench.sides[0].disk.clone().into_iter().collect();
    entries.retain(|(key, _)| *key != Binding::store_key(EVEN));
    let restored =
        Restored { entries, damaged: vec![Binding::store_key(EVEN)], ..Restored::default() };
    bench.cut();
    bench.sides[0].pair = Pair::new(config(Rank::Zero, true), &restored, now);
    bench.pass(Duration::from_secs(11));
    assert_eq!(bench.states()[0], PairState::CommunicationsInterrupted);
    assert_eq!(bench.may(0, EVEN, 2), Err(Refusal::Held));
    bench.link();
    assert_eq!(bench.states(), [PairState::Normal; 2]);
    assert_eq!(bench.may(0, EVEN, 2), Err(Refusal::Held), "on top of what the partner knows");
    assert_eq!(bench.may(0, EVEN, 1), Ok(()));
    assert!(bench.tables_are_equal());
    // What the damaged record had promised, the partner relies on: it is known again.
    let [kept, again] = [1, 0].map(|at| bench.sides[at].pair.binding(EVEN).cloned());
    let relied_on = kept.expect("it has the lease").common_potential();
    let known = again.expect("it has it again").latest_promise();
    assert!(relied_on > bench.now + DAY && known + Duration::from_secs(5) > relied_on);
}

#[test]
fn a_lost_confirmation_is_made_up_for_after_the_break() {
    let mut bench = Bench::normal();
    bench.sides[1].holds_frames = true;
    bench.grant(0, EVEN, 1, DAY);
    bench.sides[1].frames.clear();
    bench.sides[1].holds_frames = false;
    bench.cut();
    assert_eq!(bench.sides[0].pair.status().unsynced, 1);
    bench.link();
    assert_eq!(bench.sides[0].pair.status().unsynced, 0);
    assert!(bench.tables_are_equal());
}

#[test]
fn a_restart_brings_back_what_was_stored() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, DAY);
    bench.pass(Duration::from_secs(1));
    let before = bench.sides[0].pair.binding(EVEN).cloned().expect("leased");
    bench.restart(0);
    let after = bench.sides[0].pair.binding(EVEN).cloned().expect("restored");
    assert_eq!(Binding { written: 0, ..before }, after);
}

#[test]
fn a_confirmation_costs_no_write_of_its_own() {
    let mut bench = Bench::normal();
    let stored = |bench: &Bench| {
        let value = &bench.sides[0].disk[&Binding::store_key(EVEN)];
        Binding::from_store(&Binding::store_key(EVEN), value).expect("a record")
    };
    bench.leased(0, EVEN, 1, DAY);
    let known = bench.sides[0].pair.binding(EVEN).cloned().expect("leased");
    assert!(!known.dirty && known.acked_potential > bench.now + DAY);
    assert!(stored(&bench).dirty && stored(&bench).acked_potential == Time::ZERO);
    // It goes with what is written next,
    bench.leased(0, Ipv4Addr::new(10, 0, 0, 102), 2, DAY);
    assert_eq!(stored(&bench), Binding { written: 0, ..known });
    // and with the next CONTACT where nothing is.
    bench.leased(0, EVEN, 1, DAY);
    assert!(stored(&bench).dirty);
    bench.pass(Duration::from_secs(1));
    assert!(!stored(&bench).dirty);
}

#[test]
fn a_crash_that_forgets_a_confirmation_promises_less_and_tells_again() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, DAY);
    let promised = bench.sides[0].pair.binding(EVEN).cloned().expect("leased").client_expiry;
    bench.restart(0);
    let after = bench.sides[0].pair.binding(EVEN).cloned().expect("restored");
    assert!(after.dirty && after.client_expiry == promised);
    assert_eq!(after.acked_potential, Time::ZERO, "forgotten");
    // Cut off, it counts on nothing the partner may have.
    bench.pass(Duration::from_secs(11));
    assert_eq!(bench.states()[0], PairState::CommunicationsInterrupted);
    assert_eq!(bench.leased(0, EVEN, 1, DAY), HOUR);
    bench.link();
    assert_eq!(bench.states(), [PairState::Normal; 2]);
    assert!(bench.tables_are_equal());
    assert_eq!(bench.sides[0].pair.status().unsynced, 0);
    assert_eq!(bench.leased(0, EVEN, 1, DAY), DAY);
}

#[test]
fn a_crash_that_forgets_that_an_end_was_agreed_asks_again() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, HOUR);
    bench.pass(Duration::from_secs(1));
    let released = Change::Release { addr: EVEN, client: client(1).key };
    bench.propose(0, released);
    assert_eq!(bench.state_of(0, EVEN), Some(BindingState::Free));
    bench.restart(0);
    assert_eq!(bench.state_of(0, EVEN), Some(BindingState::Released), "forgotten");
    bench.pass(Duration::from_secs(11));
    assert_eq!(bench.may(0, EVEN, 2), Err(Refusal::AwaitingPartner));
    bench.link();
    assert_eq!(bench.state_of(0, EVEN), Some(BindingState::Free));
    assert!(bench.tables_are_equal());
}

#[test]
fn frames_that_are_not_frames_end_the_link_without_a_panic() {
    let mut samples = vec![vec![0xff; 40], b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0x0a, 0x7f]];
    let mut bench = Bench::normal();
    bench.sides[0].holds_frames = true;
    bench.grant(0, EVEN, 1, DAY);
    bench.pass(Duration::from_secs(1));
    let real: Vec<Vec<u8>> = bench.sides[0].frames.iter().cloned().collect();
    for frame in &real {
        for at in 0..frame.len() {
            let mut bent = frame.clone();
            bent[at] ^= 0x55;
            samples.push(bent);
            samples.push(frame[..at].to_vec());
        }
    }
    for sample in samples {
        let mut bench = Bench::normal();
        let now = bench.now;
        bench.b().handle_frame(now, &sample);
        bench.settle();
    }
    let mut bench = Bench::normal();
    let now = bench.now;
    bench.b().handle_frame(now, &[0xff; 40]);
    bench.settle();
    assert_eq!(bench.sides[1].closed.len(), 1);
    assert_eq!(bench.states()[1], PairState::CommunicationsInterrupted);
}

#[test]
fn a_frame_of_a_later_version_is_skipped() {
    let mut bench = Bench::normal();
    let now = bench.now;
    // Field 99, of two bytes: a kind of frame this version does not know.
    bench.b().handle_frame(now, &[0x9a, 0x06, 0x02, 0x08, 0x01]);
    bench.settle();
    assert_eq!(bench.states(), [PairState::Normal; 2]);
}

#[test]
fn bindings_before_a_hello_are_refused() {
    let mut bench = Bench::interrupted();
    let now = bench.now;
    bench.b().handle_link_up(now);
    let early = Body::UpdatesDone(crate::wire::Empty {}).into_frame();
    bench.b().handle_frame(now, &early);
    bench.settle();
    assert_eq!(bench.sides[1].closed.len(), 1);
}

#[test]
fn ten_thousand_bindings_cost_little_each() {
    let mut bench = Bench::interrupted();
    for n in 0..10_000_u32 {
        let addr = Ipv4Addr::from(0x0a00_0000 + 2 * n);
        let hw = HwAddr::new(1, &n.to_be_bytes()).expect("4 bytes");
        let client = Client { key: ClientKey::Hw(hw), hw, ..client(0) };
        bench.propose(0, Change::Grant { addr, client, desired: DAY });
    }
    bench.link();
    assert_eq!(bench.states(), [PairState::Normal; 2]);
    assert!(bench.tables_are_equal());
}

#[test]
fn a_lease_prolonged_unseen_whose_record_is_damaged_is_not_given_to_another() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, HOUR);
    bench.cut();
    bench.pass(Duration::from_secs(1800));
    bench.leased(0, EVEN, 1, DAY);
    let promised = bench.now + HOUR;
    let mut entries: Vec<_> = bench.sides[0].disk.clone().into_iter().collect();
    entries.retain(|(key, _)| *key != Binding::store_key(EVEN));
    let damaged = vec![Binding::store_key(EVEN)];
    let restored = Restored { entries, damaged, ..Restored::default() };
    bench.sides[0].pair = Pair::new(config(Rank::Zero, true), &restored, bench.now);
    bench.settle();
    bench.link();
    assert_eq!(bench.states(), [PairState::Normal; 2]);
    while bench.now < promised {
        bench.pass(Duration::from_secs(300));
        assert_ne!(bench.may(0, EVEN, 2), Ok(()));
    }
}

#[test]
fn frames_that_waited_while_the_host_stood_still_are_not_believed() {
    let mut bench = Bench::normal();
    bench.sides[0].holds_frames = true;
    bench.grant(0, EVEN, 1, DAY);
    let frames: Vec<_> = bench.sides[0].frames.drain(..).collect();
    let later = bench.now + Duration::from_secs(70);
    for frame in &frames {
        bench.b().handle_frame(later, frame);
    }
    bench.sides[1].drain(later);
    assert_eq!(bench.state_of(1, EVEN), None);
    assert!(bench.sides[1].closed.iter().any(|why| why.contains("for too long")));
}

#[test]
fn a_host_introduces_itself_when_all_it_says_is_on_the_disk() {
    let mut bench = Bench::normal();
    bench.sides[0].holds_disk = true;
    bench.cut();
    assert_eq!(bench.states()[0], PairState::Normal, "the next state is not written down yet");
    bench.sides[0].holds_frames = true;
    bench.link();
    assert!(bench.sides[0].frames.is_empty(), "it would say that it is in NORMAL");
    bench.sides[0].holds_disk = false;
    bench.settle();
    let first = bench.sides[0].frames.front().map(|frame| Body::from_frame(frame));
    let Some(Ok(Some(Body::Hello(hello)))) = first else { panic!("no HELLO but {first:?}") };
    let interrupted = PairState::CommunicationsInterrupted;
    assert_eq!(crate::wire::pair_state_from(hello.state).ok(), Some(interrupted));
    bench.sides[0].holds_frames = false;
    bench.settle();
    assert_eq!(bench.states(), [PairState::Normal; 2]);
}

#[test]
fn a_host_whose_disk_failed_tells_nobody_what_it_could_not_write_down() {
    let mut bench = Bench::normal();
    let now = bench.now;
    bench.a().handle_store_failed(now, "input/output error");
    bench.cut();
    bench.link();
    assert!(bench.sides[0].frames.is_empty());
    assert_eq!(bench.states()[1], PairState::CommunicationsInterrupted);
}

/// The partner's record of the lease has run out, the client's has not: this node prolonged it by
/// what the partner's disk allowed, unseen, and cannot read its own record.
#[test]
fn a_damaged_record_is_held_back_for_as_long_as_the_partner_let_it_be_prolonged() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, DAY);
    let potential = bench.now + DAY + DAY / 2;
    bench.cut();
    bench.pass(DAY - HOUR / 2);
    let lease = bench.leased(0, EVEN, 1, DAY);
    let promised = bench.now + lease;
    assert!(lease > HOUR * 12 && promised <= potential + HOUR);
    let entries = bench.sides[0].disk.clone().into_iter();
    let entries = entries.filter(|(key, _)| *key != Binding::store_key(EVEN)).collect();
    let damaged = vec![Binding::store_key(EVEN)];
    bench.pass(HOUR);
    assert_eq!(bench.state_of(1, EVEN), Some(BindingState::Expired));
    let restored = Restored { entries, damaged, ..Restored::default() };
    bench.sides[0].pair = Pair::new(config(Rank::Zero, true), &restored, bench.now);
    bench.settle();
    bench.link();
    assert_eq!(bench.states(), [PairState::Normal; 2]);
    while bench.now < promised {
        assert_ne!(bench.may(0, EVEN, 2), Ok(()));
        bench.pass(HOUR);
    }
}

#[test]
fn a_host_that_served_alone_says_so_though_its_disk_fails_at_the_start() {
    let mut bench = Bench::interrupted();
    let now = bench.now;
    assert_eq!(bench.a().partner_is_off(now, "ann"), Ok(()));
    bench.settle();
    bench.restart(0);
    let disk = bench.sides[0].disk.clone();
    bench.sides[0] = Side::new(config(Rank::Zero, true), disk, now);
    bench.sides[0].holds_disk = true;
    bench.a().handle_store_failed(now, "input/output error");
    bench.restart(1);
    bench.link();
    assert_eq!(bench.states()[1], PairState::Recover, "it learns first");
}
