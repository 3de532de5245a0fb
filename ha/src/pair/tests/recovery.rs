//! Lost disks, older copies, and nodes that served without their partner.

use super::*;
use PairState::{
    CommunicationsInterrupted as Interrupted, Conflict, Normal, PartnerDown, Recover, RecoverWait,
    Startup,
};

const GUARD: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
const EVEN_2: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 102);
const ODD_2: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 103);

/// Node a in PARTNER-DOWN since an hour and more, because somebody said that b is off.
fn partner_down() -> Bench {
    let mut bench = Bench::interrupted();
    let now = bench.now;
    bench.a().partner_is_off(now, "ann").expect("b is not connected");
    bench.settle();
    assert_eq!(bench.states()[0], PartnerDown);
    bench
}

#[test]
fn a_lost_disk_is_refilled_and_its_old_promises_are_waited_for() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, DAY);
    bench.leased(1, ODD, 2, DAY);
    bench.lose_disk(1);
    let started = bench.now;
    bench.pass(SECOND);
    bench.link();
    assert_eq!(bench.states(), [PartnerDown, RecoverWait]);
    assert!(bench.knows(0, EventKind::PartnerLostDisk));
    assert!(bench.tables_are_equal(), "all was learned at once");
    let status = bench.sides[1].pair.status();
    assert!(!status.serving);
    assert_eq!(status.wait_until, Some(started + HOUR + GUARD));
    // The survivor serves everybody meanwhile, for the full time.
    assert_eq!(bench.leased(0, EVEN_2, 3, DAY), DAY);
    assert_eq!(bench.leased(0, ODD, 2, DAY), DAY);
    // What b may have granted before is held back.
    assert_eq!(bench.may(0, ODD_2, 4), Err(Refusal::PartnersHalf));
    bench.pass(HOUR + GUARD);
    assert_eq!(bench.states(), [Normal; 2]);
    assert!(bench.tables_are_equal());
    assert_eq!(bench.may(1, ODD_2, 4), Ok(()));
}

#[test]
fn an_address_the_lost_node_may_have_prolonged_is_held_back() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, HOUR);
    bench.cut();
    bench.pass(Duration::from_secs(1800));
    // b prolongs the lease unseen, up to the MCLT beyond what a knows, and loses its disk.
    bench.leased(1, EVEN, 1, DAY);
    bench.lose_disk(1);
    bench.link();
    let held = bench.sides[0].pair.binding(EVEN).map(|binding| binding.hold_until);
    assert!(held.is_some_and(|held| held >= bench.now + HOUR + GUARD));
    bench.pass(HOUR * 2);
    assert_ne!(bench.may(0, EVEN, 9), Ok(()), "somebody may use it still");
    bench.pass(HOUR);
    assert_eq!(bench.may(0, EVEN, 9), Ok(()));
}

#[test]
fn a_wait_goes_on_after_a_restart_and_a_cut() {
    let mut bench = Bench::normal();
    bench.lose_disk(1);
    bench.link();
    bench.pass(Duration::from_secs(1800));
    // The new store keeps its name, as a real one does.
    let disk = bench.sides[1].disk.clone();
    let config = PairConfig { store: StoreId([77; 16]), ..config(Rank::One, true) };
    bench.cut();
    bench.sides[1] = Side::new(config, disk, bench.now);
    bench.settle();
    assert_eq!(bench.states(), [PartnerDown, Recover]);
    bench.link();
    assert_eq!(bench.states(), [PartnerDown, RecoverWait]);
    bench.pass(Duration::from_secs(1700));
    bench.cut();
    bench.pass(Duration::from_secs(300));
    assert_eq!(bench.states(), [PartnerDown, RecoverWait], "it cannot serve by itself");
    bench.link();
    assert_eq!(bench.states(), [Normal; 2]);
}

#[test]
fn an_older_copy_of_the_store_is_noticed_before_it_serves() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, DAY);
    let copy = bench.sides[0].disk.clone();
    let granted: Vec<_> = (0..4).map(|n| Ipv4Addr::new(10, 0, 0, 110 + 2 * n)).collect();
    for (n, addr) in (10..).zip(&granted) {
        bench.leased(0, *addr, n, DAY);
    }
    bench.restart(0);
    bench.link();
    assert_eq!(bench.states(), [Normal; 2]);
    bench.pass(SECOND);
    bench.put_back(0, copy);
    bench.link();
    assert!(bench.knows(0, EventKind::RolledBack));
    assert!(!bench.sides[0].pair.status().serving);
    bench.cut();
    bench.link();
    assert_eq!(bench.states(), [RecoverWait, PartnerDown]);
    assert!(bench.tables_are_equal());
    for addr in &granted {
        assert_eq!(bench.state_of(0, *addr), Some(BindingState::Active));
    }
    bench.pass(HOUR + GUARD + SECOND);
    assert_eq!(bench.states(), [Normal; 2]);
}

#[test]
fn an_older_copy_is_noticed_by_what_a_host_tells_whose_disk_has_failed() {
    let mut bench = Bench::normal();
    bench.pass(SECOND);
    let copy = bench.sides[0].disk.clone();
    bench.leased(0, EVEN, 1, DAY);
    let entries = bench.sides[1].disk.clone().into_iter().collect();
    let restored = Restored { entries, downtime_unknown: true, ..Restored::default() };
    bench.cut();
    let now = bench.now;
    bench.sides[1].pair = Pair::new(config(Rank::One, true), &restored, now);
    bench.b().handle_store_failed(now, "no space left on device");
    bench.put_back(0, copy);
    bench.link();
    assert!(bench.knows(0, EventKind::RolledBack));
    bench.pass(HOUR);
    assert!(!bench.sides[0].pair.status().serving);
}

#[test]
fn a_copy_made_in_partner_down_does_not_win_when_it_is_put_back() {
    let mut bench = partner_down();
    bench.pass(HOUR * 2);
    let copy = bench.sides[0].disk.clone();
    bench.restart(1);
    bench.link();
    assert_eq!(bench.states(), [Normal; 2]);
    bench.pass(HOUR);
    bench.leased(1, ODD, 2, DAY);
    bench.put_back(0, copy);
    bench.link();
    assert!(bench.knows(0, EventKind::RolledBack));
    assert_ne!(bench.states()[1], Conflict);
    assert!(bench.sides[1].pair.status().serving, "the one that knows goes on");
    bench.cut();
    bench.link();
    assert_eq!(bench.states(), [RecoverWait, PartnerDown]);
    assert_eq!(bench.state_of(0, ODD), Some(BindingState::Active));
}

#[test]
fn a_store_that_fell_back_to_an_older_generation_counts_as_a_lost_disk() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, DAY);
    bench.leased(0, EVEN_2, 2, DAY);
    let mut entries: Vec<_> = bench.sides[0].disk.clone().into_iter().collect();
    entries.retain(|(key, _)| *key != Binding::store_key(EVEN_2));
    let restored = Restored { entries, rolled_back: true, ..Restored::default() };
    bench.cut();
    bench.sides[0].pair = Pair::new(config(Rank::Zero, true), &restored, bench.now);
    bench.link();
    assert_eq!(bench.states(), [RecoverWait, PartnerDown]);
    assert_eq!(bench.state_of(0, EVEN_2), Some(BindingState::Active));
    assert!(bench.tables_are_equal());
}

#[test]
fn what_was_pledged_is_held_when_the_partner_that_may_have_granted_it_lost_its_disk() {
    let mut bench = Bench::normal();
    bench.reserve(&[(EVEN, 1)]);
    bench.cut();
    assert_eq!(bench.leased(1, EVEN, 1, DAY), HOUR, "by the pledge");
    bench.lose_disk(1);
    bench.link();
    assert_eq!(bench.states(), [PartnerDown, RecoverWait]);
    assert_eq!(bench.may(0, EVEN, 1), Ok(()), "nobody else can have it");
    bench.reserve(&[]);
    assert_eq!(bench.may(0, EVEN, 2), Err(Refusal::Held));
    bench.pass(HOUR + GUARD + SECOND);
    assert_eq!(bench.may(0, EVEN, 2), Ok(()));
}

#[test]
fn a_healthy_restart_is_not_taken_for_an_older_copy() {
    let mut bench = Bench::normal();
    for n in 0..20 {
        bench.leased(0, Ipv4Addr::new(10, 0, 0, 2 * n), n, DAY);
        bench.leased(1, Ipv4Addr::new(10, 0, 0, 2 * n + 1), 100 + n, DAY);
    }
    for at in [0, 1, 0, 1] {
        bench.restart(at);
        bench.link();
        assert_eq!(bench.states(), [Normal; 2]);
        assert!(!bench.knows(0, EventKind::RolledBack) && !bench.knows(1, EventKind::RolledBack));
    }
}

#[test]
fn the_other_half_is_granted_when_all_its_owner_may_have_promised_is_over() {
    let mut bench = partner_down();
    assert_eq!(bench.leased(0, EVEN, 1, DAY), DAY, "no cap: the partner cannot serve");
    assert_eq!(bench.may(0, ODD, 2), Err(Refusal::PartnersHalf));
    bench.pass(HOUR + GUARD);
    assert_eq!(bench.may(0, ODD, 2), Err(Refusal::PartnersHalf));
    bench.pass(SECOND);
    assert_eq!(bench.leased(0, ODD, 2, DAY), DAY);
}

#[test]
fn who_was_taken_for_off_learns_before_it_serves() {
    let mut bench = partner_down();
    bench.pass(HOUR * 2);
    bench.leased(0, ODD, 2, DAY);
    bench.restart(1);
    assert_eq!(bench.states()[1], Startup);
    for side in &mut bench.sides {
        side.holds_frames = true;
    }
    bench.link();
    // Whatever step is seen, b does not serve before a has left PARTNER-DOWN for good.
    let mut seen = std::collections::BTreeSet::new();
    while bench.states() != [Normal; 2] {
        let at = usize::from(bench.sides[0].frames.is_empty());
        let frame = bench.sides[at].frames.pop_front().expect("the two have something to say");
        let now = bench.now;
        bench.sides[1 - at].pair.handle_frame(now, &frame);
        bench.settle();
        let [a, b] = bench.states();
        assert!(a != PartnerDown || !bench.sides[1].pair.status().serving, "{a} and {b}");
        seen.insert((a, b));
    }
    assert!(seen.contains(&(Normal, PairState::RecoverDone)), "{seen:?}");
    assert_eq!(bench.may(1, ODD, 3), Err(Refusal::InUse));
    assert!(bench.tables_are_equal());
}

#[test]
fn partner_down_outlives_a_restart_with_its_old_beginning() {
    let mut bench = partner_down();
    let since = bench.now;
    bench.pass(HOUR);
    bench.restart(0);
    bench.pass(Duration::from_secs(11));
    let status = bench.sides[0].pair.status();
    assert_eq!((status.state, status.partner_down_since), (PartnerDown, Some(since)));
}

#[test]
fn a_cut_recovery_begins_anew() {
    let mut bench = partner_down();
    bench.restart(1);
    bench.sides[0].holds_disk = true;
    bench.link();
    assert_eq!(bench.states()[1], PairState::RecoverDone);
    bench.cut();
    bench.sides[0].holds_disk = false;
    bench.settle();
    assert_eq!(bench.states(), [Interrupted, Recover]);
    bench.link();
    assert_eq!(bench.states(), [Normal; 2]);
}

#[test]
fn two_that_served_as_if_the_other_was_down_merge() {
    let mut bench = partner_down();
    let now = bench.now;
    bench.b().partner_is_off(now, "bob").expect("a is not connected");
    bench.settle();
    bench.leased(0, EVEN, 1, DAY);
    bench.leased(1, ODD, 2, DAY);
    for side in &mut bench.sides {
        side.holds_frames = true;
    }
    bench.link();
    for _ in 0..2 {
        let heard = [0, 1].map(|at| bench.sides[at].frames.pop_front().expect("a HELLO"));
        let now = bench.now;
        bench.a().handle_frame(now, &heard[1]);
        bench.b().handle_frame(now, &heard[0]);
        bench.settle();
        if bench.states() == [Conflict; 2] {
            break;
        }
    }
    assert_eq!(bench.states(), [Conflict; 2]);
    assert_eq!(bench.may(0, EVEN, 1), Ok(()), "leases are prolonged");
    assert_ne!(bench.may(0, EVEN_2, 9), Ok(()), "nobody new");
    for side in &mut bench.sides {
        side.holds_frames = false;
    }
    bench.settle();
    assert_eq!(bench.states(), [Normal; 2]);
    assert!(bench.tables_are_equal());
}

#[test]
fn a_conflict_that_is_cut_is_an_interruption() {
    let mut bench = partner_down();
    let now = bench.now;
    bench.b().partner_is_off(now, "bob").expect("a is not connected");
    bench.settle();
    bench.sides[1].holds_disk = true;
    bench.link();
    assert_eq!(bench.states()[0], Conflict);
    bench.cut();
    assert_eq!(bench.states()[0], Interrupted);
    bench.sides[1].holds_disk = false;
    bench.settle();
    bench.link();
    assert_eq!(bench.states(), [Normal; 2]);
}

#[test]
fn who_stopped_in_order_and_finds_nobody_serves_alone_in_the_end() {
    let mut bench = Bench::normal();
    bench.leased(1, ODD, 2, DAY);
    bench.stop_b("SIGTERM");
    bench.restart(1);
    bench.pass(Duration::from_secs(119));
    assert_eq!(bench.states()[1], Recover, "a may have served since");
    bench.pass(SECOND * 2);
    let status = bench.sides[1].pair.status();
    assert_eq!((status.state, status.solo, status.serving), (Interrupted, true, true));
    assert!(bench.sides[1].pair.probes_everything());
    assert!(bench.knows(1, EventKind::Solo));
    // a was there all the time: both served.
    bench.link();
    assert_eq!(bench.states(), [Normal; 2]);
    assert!(!bench.sides[1].pair.status().solo);
}

#[test]
fn what_the_partner_promised_before_a_downtime_nobody_counted_allows_nothing() {
    for (downtime_unknown, expected) in [(false, DAY), (true, HOUR)] {
        let mut bench = Bench::normal();
        bench.leased(0, EVEN, 1, DAY);
        bench.leased(1, ODD, 2, DAY);
        bench.cut();
        let entries = bench.sides[0].disk.clone().into_iter().collect();
        let restored = Restored { entries, downtime_unknown, ..Restored::default() };
        bench.sides[0].pair = Pair::new(config(Rank::Zero, true), &restored, bench.now);
        bench.sides[0].outcomes.clear();
        bench.pass(SECOND * 11);
        assert_eq!(bench.states()[0], Interrupted);
        for (addr, client) in [(EVEN, 1), (ODD, 2)] {
            let lease = bench.leased(0, addr, client, DAY);
            assert!(lease <= expected && lease + SECOND * 20 >= expected, "{addr}: {lease:?}");
            // Both devices go on, and the addresses are nobody else's.
            assert_ne!(bench.may(0, addr, 9), Ok(()));
        }
    }
}

#[test]
fn a_partner_that_returns_while_it_is_being_taken_for_off_learns_first() {
    let mut bench = Bench::interrupted();
    bench.restart(1);
    bench.sides[0].holds_disk = true;
    let now = bench.now;
    bench.a().partner_is_off(now, "ann").expect("b is not connected");
    bench.settle();
    bench.link();
    assert_ne!(bench.states()[1], Normal);
    bench.sides[0].holds_disk = false;
    bench.settle();
    assert!(!bench.knows(0, EventKind::Entered(Conflict)));
    assert_eq!(bench.states(), [Normal; 2]);
}

/// Without its own state, a node does not know how often its store has changed its name: the next
/// one may be a name that its partner knows already.
#[test]
fn a_store_that_lost_its_state_twice_is_noticed_twice() {
    let mut bench = Bench::normal();
    bench.leased(1, ODD, 1, DAY);
    for rolled_back in [false, true] {
        bench.cut();
        let mut entries: Vec<_> = bench.sides[1].disk.clone().into_iter().collect();
        entries.retain(|(key, _)| key != crate::record::STATE_KEY);
        let damaged = vec![crate::record::STATE_KEY.to_owned()];
        let restored = Restored { entries, damaged, rolled_back, ..Restored::default() };
        bench.sides[1].unsynced.clear();
        bench.sides[1].pair = Pair::new(config(Rank::One, true), &restored, bench.now);
        bench.settle();
        for _ in 0..3 {
            bench.link();
            bench.cut();
        }
        bench.link();
        bench.pass(HOUR + Duration::from_secs(100));
        assert_eq!(bench.states(), [PairState::Normal; 2], "fallen back: {rolled_back}");
        assert!(bench.tables_are_equal());
    }
}

/// The copy was made in the last meeting that both remember, and its clock goes on where that of
/// the store it replaces did: only the name of its start tells that it lacks what was confirmed.
#[test]
fn a_copy_that_starts_as_the_store_it_replaces_did_is_told_everything() {
    let mut bench = Bench::normal();
    let copy = bench.sides[0].disk.clone();
    let begun = bench.now;
    bench.restart(0);
    bench.a().set_life(1);
    bench.link();
    bench.leased(1, ODD, 1, DAY);
    bench.propose(1, Change::Release { addr: ODD, client: client(1).key });
    assert!(bench.tables_are_equal());
    bench.cut();
    bench.now = begun;
    bench.put_back(0, copy);
    bench.a().set_life(2);
    for _ in 0..3 {
        bench.link();
        bench.cut();
    }
    bench.link();
    bench.pass(HOUR + Duration::from_secs(100));
    assert_eq!(bench.states(), [PairState::Normal; 2]);
    assert!(bench.tables_are_equal());
}

#[test]
fn entering_partner_down_again_does_not_give_the_other_half_back() {
    let mut bench = Bench::normal();
    bench.stop_b("an update");
    assert_eq!(bench.may(0, ODD, 5), Ok(()));
    bench.lose_disk(1);
    bench.sides[0].holds_disk = true;
    bench.link();
    assert!(bench.knows(0, EventKind::PartnerLostDisk));
    assert_eq!(bench.may(0, ODD, 5), Ok(()), "nobody but a can have given it away");
}

#[test]
fn what_was_released_by_hand_is_not_adopted_by_another_before_its_time_is_over() {
    let mut bench = partner_down();
    bench.leased(0, EVEN, 1, HOUR);
    let now = bench.now;
    bench.a().release_by_hand(now, EVEN).expect("there is a lease");
    bench.settle();
    let may = |bench: &Bench, n: u8| bench.sides[0].pair.may_adopt(bench.now, EVEN, &client(n).key);
    assert!(!may(&bench, 2), "client 1 was not told that it is over");
    bench.pass(HOUR + GUARD + SECOND);
    assert!(may(&bench, 2));
}
