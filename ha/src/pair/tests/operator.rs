//! What people tell a node.

use super::*;
use PairState::{
    CommunicationsInterrupted as Interrupted, Normal, PartnerDown, Recover, Shutdown, Standalone,
};

const SECOND: Duration = Duration::from_secs(1);
const GUARD: Duration = Duration::from_secs(60);

#[test]
fn a_partner_that_is_connected_is_not_off() {
    let mut bench = Bench::normal();
    let now = bench.now;
    let refusal = bench.a().partner_is_off(now, "ann").expect_err("it is connected");
    assert_eq!(refusal.to_string(), "b is connected: it is not off");
    bench.settle();
    assert_eq!(bench.states(), [Normal; 2]);
}

#[test]
fn a_partner_that_was_never_met_cannot_be_taken_for_off() {
    let mut bench = Bench::new();
    let now = bench.now;
    let refusal = bench.a().partner_is_off(now, "ann");
    assert!(matches!(refusal, Err(PartnerOffRefusal::TooOld(_))));
}

#[test]
fn a_planned_stop_leaves_everything_to_the_partner_at_once() {
    let mut bench = Bench::normal();
    bench.leased(1, ODD, 2, DAY);
    bench.stop_b("SIGTERM");
    let status = bench.sides[0].pair.status();
    assert_eq!(status.partner_down_since, Some(Time::ZERO));
    // The whole pool and the full time, without a wait.
    let odd = Ipv4Addr::new(10, 0, 0, 105);
    assert_eq!(bench.leased(0, odd, 3, DAY), DAY);
    assert_eq!(bench.leased(0, ODD, 2, DAY), DAY);
    bench.restart(1);
    bench.link();
    assert_eq!(bench.states(), [Normal; 2]);
    assert!(bench.tables_are_equal());
}

#[test]
fn a_stopping_node_answers_until_its_partner_answers_for_it() {
    let mut bench = Bench::normal();
    let network: NetworkId = "lan".into();
    bench.sides[0].holds_frames = true;
    let now = bench.now;
    bench.b().stop(now, "SIGTERM");
    bench.settle();
    let answers = |bench: &Bench, at: usize, n: u8| {
        let pair = &bench.sides[at].pair;
        pair.answering(bench.now, Asking::Discover, &network, &client(n).key, None)
    };
    let mine = (0..50).find(|n| answers(&bench, 1, *n) == Answering::Yes).expect("half of them");
    assert_eq!(answers(&bench, 0, mine), Answering::Yes, "a knows, and answers everybody");
    bench.sides[0].holds_frames = false;
    bench.settle();
    bench.pass(SECOND / 10);
    assert_eq!(answers(&bench, 1, mine), Answering::No);
    bench.pass(SECOND);
    assert_eq!(bench.sides[1].stopped, Some(true));
}

#[test]
fn a_stopping_node_brings_to_its_end_what_it_has_begun() {
    let mut bench = Bench::normal();
    let network: NetworkId = "lan".into();
    let now = bench.now;
    bench.b().stop(now, "SIGTERM");
    bench.settle();
    // A conflict probe was under way, and the client takes the offer that follows it.
    bench.pass(SECOND * 45 / 100);
    assert_eq!(bench.sides[1].stopped, None);
    let asked = |bench: &Bench, asking| {
        bench.sides[1].pair.answering(bench.now, asking, &network, &client(2).key, None)
    };
    assert_eq!(asked(&bench, Asking::Discover), Answering::No, "the partner answers this one");
    assert_eq!(asked(&bench, Asking::Addressed), Answering::Yes);
    bench.leased(1, ODD, 2, DAY);
    bench.pass(SECOND);
    assert_eq!(bench.sides[1].stopped, Some(true));
    assert_eq!(bench.leased(0, ODD, 2, DAY), DAY, "the partner has it");
}

#[test]
fn a_stop_without_a_partner_is_over_at_once() {
    let mut bench = Bench::interrupted();
    let now = bench.now;
    bench.b().stop(now, "SIGTERM");
    bench.settle();
    assert_eq!(bench.sides[1].stopped, Some(false));
    assert!(!bench.sides[1].pair.status().serving);
    bench.restart(1);
    bench.pass(Duration::from_secs(11));
    assert_eq!(bench.states()[1], Interrupted);
}

#[test]
fn a_stop_goes_on_when_the_host_becomes_one_of_a_pair_meanwhile() {
    for rank in [Rank::Zero, Rank::One] {
        let mut bench = Bench::new();
        bench.sides[0] = Side::new(config(Rank::Zero, false), BTreeMap::new(), bench.now);
        bench.settle();
        bench.leased(0, EVEN, 1, DAY);
        bench.sides[0].holds_disk = true;
        bench.grant(0, EVEN, 1, DAY);
        let now = bench.now;
        bench.a().stop(now, "a planned stop");
        assert_eq!(bench.sides[0].stopped, None, "it waits for its disk");
        bench.a().handle_paired(now, config(rank, true));
        bench.pass(SECOND * 4);
        assert_eq!(bench.sides[0].stopped, Some(false));
    }
}

#[test]
fn a_stop_whose_partner_hangs_ends_within_three_seconds() {
    let mut bench = Bench::normal();
    bench.sides[0].holds_disk = true;
    bench.sides[0].holds_frames = true;
    let now = bench.now;
    bench.b().stop(now, "SIGTERM");
    bench.pass(Duration::from_millis(3_100));
    assert_eq!(bench.sides[1].stopped, Some(false));
}

#[test]
fn maintenance_ends_with_both_serving() {
    let mut bench = Bench::normal();
    bench.stop_b("maintenance");
    bench.leased(0, EVEN, 7, DAY);
    bench.pass(HOUR);
    let now = bench.now;
    bench.b().resume(now);
    bench.link();
    assert_eq!(bench.states(), [Normal; 2]);
    assert!(bench.sides[1].pair.status().serving && bench.tables_are_equal());
}

/// a was stopped while it heard of b's stop, and acts on it when it goes on: at that moment b, which
/// goes on too, must not take what a last said for word that it may serve.
#[test]
fn two_hosts_in_maintenance_that_go_on_at_once_do_not_serve_beside_partner_down() {
    let mut bench = Bench::normal();
    let now = bench.now;
    bench.b().stop(now, "maintenance");
    bench.pass(Duration::from_millis(500));
    let now = bench.now;
    bench.a().stop(now, "maintenance");
    bench.pass(SECOND * 4);
    assert_eq!(bench.states()[1], Shutdown);
    assert!(bench.sides.iter().all(|side| side.stopped.is_some()));
    let told = [0, 1].map(|side: usize| bench.sides[side].closed.len());
    let now = bench.now;
    bench.sides[0].holds_frames = true;
    bench.a().resume(now);
    bench.b().resume(now);
    bench.settle();
    assert_eq!(bench.sides[1].closed.len(), told[1] + 1, "b introduces itself anew");
    assert_eq!(bench.states()[1], Recover);
    bench.sides[0].holds_frames = false;
    bench.link();
    assert_eq!(bench.states(), [Normal; 2]);
}

#[test]
fn a_host_in_maintenance_lets_its_recovered_partner_serve() {
    let mut bench = Bench::interrupted();
    let now = bench.now;
    assert_eq!(bench.a().partner_is_off(now, "ann"), Ok(()));
    bench.settle();
    bench.a().stop(now, "maintenance");
    bench.pass(SECOND);
    assert_eq!((bench.states()[0], bench.sides[0].stopped), (PartnerDown, Some(false)));
    bench.restart(1);
    bench.link();
    assert_eq!(bench.states(), [Normal; 2]);
    let serving = [0, 1].map(|side: usize| bench.sides[side].pair.status().serving);
    assert_eq!(serving, [false, true]);
    // Whoever counts a meeting more often than its partner is believed about the partner's store.
    let met = [0, 1].map(|side: usize| bench.sides[side].pair.remembered.meetings);
    assert_eq!(met, [2, 2]);
}

#[test]
fn of_two_that_stopped_for_each_other_the_first_to_go_on_takes_over() {
    let mut bench = Bench::normal();
    let now = bench.now;
    bench.a().stop(now, "maintenance");
    bench.b().stop(now, "maintenance");
    bench.pass(SECOND * 4);
    assert_eq!(bench.states(), [Shutdown; 2]);
    let now = bench.now;
    bench.b().resume(now);
    bench.link();
    assert_eq!(bench.states(), [Shutdown, PartnerDown]);
    bench.leased(1, EVEN, 7, DAY);
    let now = bench.now;
    bench.a().resume(now);
    bench.link();
    assert_eq!(bench.states(), [Normal; 2]);
    assert!(bench.tables_are_equal());
}

#[test]
fn who_had_an_address_last_does_not_get_it_from_the_successor_of_a_removed_partner() {
    // b gives the address, unheard, to another; a takes it out of the pair and holds it back.
    let mut bench = Bench::normal();
    bench.leased(1, ODD, 1, HOUR);
    bench.pass(SECOND * 2);
    bench.propose(1, lanward_dhcp::Change::Release { addr: ODD, client: client(1).key });
    bench.pass(HOUR + SECOND * 2);
    bench.cut();
    bench.leased(1, ODD, 2, HOUR);
    let now = bench.now;
    bench.a().handle_unpaired(now, PairConfig { partner: None, ..config(Rank::Zero, false) });
    bench.settle();
    // Another host takes its place, and learns from a.
    bench.a().handle_paired(now, config(Rank::Zero, true));
    let new = PairConfig { store: StoreId([78; 16]), ..config(Rank::One, true) };
    bench.sides[1] = Side::new(new, BTreeMap::new(), now);
    bench.settle();
    bench.link();
    assert_eq!(bench.states(), [Normal; 2]);
    for n in [1, 3] {
        assert_eq!(bench.may(1, ODD, n), Err(Refusal::Held), "client 2 has it");
    }
}

/// The partner was removed, and its lease of this node's half with it, while the disk failed.
#[test]
fn a_removal_that_was_not_written_down_holds_back_what_the_partner_may_have_promised() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, DAY);
    bench.cut();
    bench.leased(1, EVEN, 1, DAY);
    let disk = bench.sides[0].disk.clone();
    let alone = PairConfig { partner: None, ..config(Rank::Zero, false) };
    bench.sides[0] = Side::new(alone, disk.clone(), bench.now);
    bench.settle();
    assert_eq!(bench.states()[0], Standalone);
    let held = |bench: &Bench| bench.sides[0].pair.binding(EVEN).map(|binding| binding.hold_until);
    assert!(held(&bench) > Some(bench.now + DAY + HOUR));
    assert_eq!(bench.may(0, ODD, 2), Err(Refusal::Held));
    let own = Ipv4Addr::new(10, 0, 0, 102);
    assert_eq!(bench.may(0, own, 2), Ok(()), "b cannot have granted it");

    // The same where it has another partner by the time its disk works.
    let mut other = config(Rank::Zero, true);
    other.partner.as_mut().expect("it has a partner").cluster = ClusterId([1; 16]);
    bench.sides[0] = Side::new(other, disk, bench.now);
    bench.settle();
    assert!(held(&bench) > Some(bench.now + DAY + HOUR));
}

#[test]
fn a_removed_partner_stops_and_nothing_is_held_back() {
    let mut bench = Bench::normal();
    let now = bench.now;
    assert!(bench.a().remove_partner(now, "ann"));
    bench.settle();
    bench.pass(SECOND);
    assert_eq!(bench.states(), [PartnerDown, Shutdown]);
    let now = bench.now;
    bench.a().handle_unpaired(now, PairConfig { partner: None, ..config(Rank::Zero, false) });
    bench.settle();
    assert_eq!(bench.states()[0], Standalone);
    assert_eq!(bench.leased(0, ODD, 2, DAY), DAY);
}

#[test]
fn what_a_dead_partner_may_have_promised_is_held_back_after_its_removal() {
    let mut bench = Bench::normal();
    bench.leased(1, ODD, 2, DAY);
    bench.cut();
    let now = bench.now;
    bench.a().handle_unpaired(now, PairConfig { partner: None, ..config(Rank::Zero, false) });
    bench.settle();
    assert_eq!(bench.states()[0], Standalone);
    let odd = Ipv4Addr::new(10, 0, 0, 105);
    assert_eq!(bench.may(0, odd, 3), Err(Refusal::Held));
    assert_eq!(bench.may(0, ODD, 2), Ok(()));
    assert_eq!(bench.may(0, EVEN, 4), Ok(()));
    // A new host joins, and learns of the hold too.
    let cluster = ClusterId([8; 16]);
    let joined = |rank| {
        let mut config = config(rank, true);
        config.partner.as_mut().expect("a partner").cluster = cluster;
        config
    };
    let now = bench.now;
    bench.a().handle_paired(now, joined(Rank::Zero));
    let new = PairConfig { store: StoreId([5; 16]), ..joined(Rank::One) };
    bench.sides[1] = Side::new(new, BTreeMap::new(), now);
    bench.link();
    assert_eq!(bench.states(), [Normal; 2]);
    assert_eq!(bench.may(1, odd, 3), Err(Refusal::Held));
    bench.pass(HOUR + GUARD + SECOND);
    assert_eq!(bench.may(1, odd, 3), Ok(()));
}

#[test]
fn a_host_that_was_stopped_and_taken_out_of_the_pair_can_join_it_again() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, DAY);
    bench.stop_b("a took this host out of the pair");
    bench.cut();
    let lone = PairConfig { partner: None, ..config(Rank::Zero, true) };
    let now = bench.now;
    bench.a().handle_unpaired(now, lone);
    bench.settle();
    bench.a().handle_paired(now, config(Rank::Zero, true));
    bench.b().handle_paired(now, config(Rank::One, true));
    bench.link();
    assert_eq!(bench.states(), [Normal; 2]);
    assert!(bench.tables_are_equal());
}

#[test]
fn a_stop_without_a_partner_brings_to_its_end_what_was_begun() {
    let mut bench = Bench::interrupted();
    bench.sides[1].holds_disk = true;
    let ticket = bench.grant(1, ODD, 1, DAY);
    let now = bench.now;
    bench.b().stop(now, "SIGTERM");
    bench.settle();
    assert_eq!((bench.outcome(1, ticket), bench.sides[1].stopped), (None, None));
    bench.sides[1].holds_disk = false;
    bench.settle();
    assert!(matches!(bench.outcome(1, ticket), Some(Outcome::Committed { .. })));
    assert_eq!(bench.sides[1].stopped, Some(false));
}

#[test]
fn who_had_an_address_last_does_not_get_it_back_from_a_removed_partners_half() {
    let mut bench = Bench::normal();
    bench.leased(1, ODD, 2, HOUR);
    bench.propose(1, Change::Release { addr: ODD, client: client(2).key });
    bench.cut();
    // Unseen, b gives it to somebody else, and dies.
    bench.leased(1, ODD, 3, HOUR);
    let now = bench.now;
    bench.a().handle_unpaired(now, PairConfig { partner: None, ..config(Rank::Zero, false) });
    bench.settle();
    assert_eq!(bench.may(0, ODD, 2), Err(Refusal::Held));
}

#[test]
fn a_lead_time_raised_while_apart_does_not_lengthen_leases() {
    let mut bench = Bench::interrupted();
    let now = bench.now;
    bench.a().set_mclt(now, HOUR * 4);
    assert_eq!(bench.leased(0, EVEN, 1, DAY), HOUR, "b counts on the one both knew");
}
