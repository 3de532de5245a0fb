//! Who gets what, for how long, and when an address is free again.

use super::*;

#[test]
fn a_lone_node_grants_every_address_for_the_full_time() {
    let now = Time::from_millis(1);
    let mut bench = Bench::new();
    bench.sides[0] = Side::new(config(Rank::Zero, false), BTreeMap::new(), now);
    assert_eq!(bench.may(0, EVEN, 1), Err(Refusal::NotServing), "not durable yet");
    bench.settle();
    assert_eq!(bench.states()[0], PairState::Standalone);
    assert_eq!(bench.leased(0, EVEN, 1, DAY), DAY);
    assert_eq!(bench.leased(0, ODD, 2, DAY), DAY);
    assert_eq!(bench.may(0, ODD, 3), Err(Refusal::InUse));
    bench.pass(DAY + Duration::from_secs(200));
    assert_eq!(bench.state_of(0, ODD), Some(BindingState::Free));
    assert_eq!(bench.may(0, ODD, 3), Ok(()));
}

#[test]
fn a_grant_in_normal_waits_for_the_partners_disk() {
    let mut bench = Bench::normal();
    bench.sides[1].holds_disk = true;
    let ticket = bench.grant(0, EVEN, 1, DAY);
    bench.pass(Duration::from_millis(200));
    assert_eq!(bench.outcome(0, ticket), None);
    bench.sides[1].holds_disk = false;
    bench.settle();
    assert_eq!(bench.outcome(0, ticket), Some(Outcome::Committed { lease: DAY }));
    let key = Binding::store_key(EVEN);
    assert!(bench.sides.iter().all(|side| side.disk.contains_key(&key)));
    assert!(bench.tables_are_equal());
}

#[test]
fn a_partner_that_does_not_confirm_in_time_costs_lease_time_not_service() {
    let mut bench = Bench::normal();
    bench.sides[1].holds_disk = true;
    let ticket = bench.grant(0, EVEN, 1, DAY);
    bench.pass(Duration::from_millis(301));
    assert_eq!(bench.outcome(0, ticket), Some(Outcome::Committed { lease: HOUR }));
    bench.sides[1].holds_disk = false;
    bench.settle();
    assert!(bench.tables_are_equal(), "the partner hears that it was cut short");
}

#[test]
fn a_link_lost_while_a_client_waits_settles_it_at_once() {
    let mut bench = Bench::normal();
    bench.sides[0].holds_frames = true;
    let ticket = bench.grant(0, EVEN, 1, DAY);
    assert_eq!(bench.outcome(0, ticket), None);
    bench.cut();
    assert_eq!(bench.outcome(0, ticket), Some(Outcome::Committed { lease: HOUR }));
}

#[test]
fn the_partners_half_is_not_granted_first() {
    let mut bench = Bench::normal();
    assert_eq!(bench.may(0, ODD, 1), Err(Refusal::PartnersHalf));
    let ticket = bench.grant(0, ODD, 1, DAY);
    assert_eq!(bench.outcome(0, ticket), Some(Outcome::Refused(Refusal::PartnersHalf)));
    bench.cut();
    assert_eq!(bench.may(0, ODD, 1), Err(Refusal::PartnersHalf));
    assert_eq!(bench.may(1, ODD, 1), Ok(()));
}

#[test]
fn a_lease_of_either_half_is_prolonged_in_full_while_both_know_of_it() {
    let mut bench = Bench::normal();
    assert_eq!(bench.leased(1, ODD, 1, DAY), DAY);
    bench.cut();
    // The partner knows of 36 h: after 12 h the full time is still safe.
    bench.pass(DAY / 2);
    assert_eq!(bench.leased(0, ODD, 1, DAY), DAY);
    // After 35 h what both know runs out, and the MCLT is what is left.
    bench.pass(HOUR * 23);
    assert_eq!(bench.leased(0, ODD, 1, DAY), HOUR * 2);
    bench.pass(HOUR * 2 - Duration::from_secs(60));
    assert_eq!(bench.leased(0, ODD, 1, DAY), HOUR);
}

#[test]
fn an_expired_address_is_free_when_the_partner_has_agreed() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, HOUR);
    bench.cut();
    bench.pass(HOUR + Duration::from_secs(61));
    assert_eq!(bench.state_of(0, EVEN), Some(BindingState::Expired));
    assert_eq!(bench.may(0, EVEN, 2), Err(Refusal::AwaitingPartner));
    assert_eq!(bench.may(0, EVEN, 1), Ok(()), "its own client may have it again");
    bench.link();
    assert_eq!(bench.state_of(0, EVEN), Some(BindingState::Free));
    assert_eq!(bench.may(0, EVEN, 2), Ok(()));
    assert!(bench.tables_are_equal());
}

#[test]
fn a_lease_prolonged_by_the_other_node_is_not_expired_by_this_one() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, HOUR);
    bench.cut();
    bench.pass(HOUR / 2);
    bench.leased(1, EVEN, 1, HOUR);
    bench.pass(HOUR / 2 + Duration::from_secs(61));
    assert_eq!(bench.state_of(0, EVEN), Some(BindingState::Expired));
    bench.link();
    assert_eq!(bench.state_of(0, EVEN), Some(BindingState::Active));
    assert!(bench.tables_are_equal());
}

#[test]
fn an_own_lease_the_partner_never_heard_of_is_free_by_itself() {
    let mut bench = Bench::interrupted();
    assert_eq!(bench.leased(0, EVEN, 1, DAY), HOUR);
    bench.pass(HOUR + Duration::from_secs(61));
    assert_eq!(bench.state_of(0, EVEN), Some(BindingState::Free));
    assert_eq!(bench.leased(0, EVEN, 2, DAY), HOUR);
    bench.link();
    assert!(bench.tables_are_equal());
}

#[test]
fn a_release_frees_the_address_on_both() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, DAY);
    let stranger = Change::Release { addr: EVEN, client: client(2).key };
    let ticket = bench.propose(1, stranger);
    assert_eq!(bench.outcome(1, ticket), Some(Outcome::Refused(Refusal::InUse)));
    bench.propose(1, Change::Release { addr: EVEN, client: client(1).key });
    assert_eq!(bench.state_of(0, EVEN), Some(BindingState::Free));
    assert_eq!(bench.may(0, EVEN, 2), Ok(()));
    assert!(bench.tables_are_equal());
}

#[test]
fn a_release_by_hand_keeps_the_address_for_who_still_uses_it() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, DAY);
    let now = bench.now;
    assert!(bench.a().release_by_hand(now, EVEN).is_some());
    bench.settle();
    assert_eq!(bench.state_of(1, EVEN), Some(BindingState::Free));
    assert_eq!(bench.may(0, EVEN, 2), Err(Refusal::Held));
    assert_eq!(bench.may(0, EVEN, 1), Ok(()));
    bench.pass(DAY + Duration::from_secs(61));
    assert_eq!(bench.may(0, EVEN, 2), Ok(()));
}

#[test]
fn a_declined_address_rests_and_comes_back() {
    let mut bench = Bench::normal();
    bench.propose(0, Change::Decline { addr: EVEN, hold: HOUR });
    assert_eq!(bench.may(0, EVEN, 1), Err(Refusal::Held));
    assert!(bench.tables_are_equal());
    bench.pass(HOUR + Duration::from_secs(1));
    assert_eq!(bench.may(0, EVEN, 1), Ok(()));
    assert!(bench.tables_are_equal());
}

#[test]
fn clients_are_shared_and_a_used_up_half_passes_its_own_on() {
    let mut bench = Bench::normal();
    let network: NetworkId = "lan".into();
    let pools = BTreeMap::from([(network.clone(), vec![EVEN..=Ipv4Addr::new(10, 0, 0, 103)])]);
    bench.a().set_pools(pools.clone());
    bench.b().set_pools(pools);
    bench.pass(Duration::from_secs(2));
    let answers = |bench: &Bench, at: usize, n: u8, bound| {
        let pair = &bench.sides[at].pair;
        pair.answering(bench.now, Asking::Discover, &network, &client(n).key, bound)
    };
    let of_a = (0..100).filter(|n| answers(&bench, 0, *n, None) == Answering::Yes).count();
    assert!((30..70).contains(&of_a), "{of_a} of 100");
    for n in 0..100 {
        assert_ne!(answers(&bench, 0, n, None), answers(&bench, 1, n, None));
        assert_eq!(answers(&bench, 1, n, Some(ODD)), Answering::Yes);
        assert_eq!(answers(&bench, 0, n, Some(ODD)), Answering::IfUnserved);
    }
    bench.leased(0, EVEN, 201, DAY);
    bench.leased(0, Ipv4Addr::new(10, 0, 0, 102), 202, DAY);
    bench.pass(Duration::from_secs(2));
    assert!((0..100).all(|n| answers(&bench, 1, n, None) == Answering::Yes));
    assert!((0..100).all(|n| answers(&bench, 0, n, None) == Answering::IfUnserved));
    bench.cut();
    assert!((0..100).all(|n| answers(&bench, 0, n, None) == Answering::Yes));
}

#[test]
fn a_confirmed_release_is_no_promise_for_the_next_lease() {
    let mut bench = Bench::normal();
    bench.leased(1, ODD, 1, DAY);
    bench.sides[0].holds_frames = true;
    bench.propose(1, Change::Release { addr: ODD, client: client(1).key });
    // Before the partner's word on the release is heard, the client is back.
    let ticket = bench.grant(1, ODD, 1, DAY);
    let confirmation = bench.sides[0].frames.pop_front().expect("the release is confirmed");
    let now = bench.now;
    bench.b().handle_frame(now, &confirmation);
    bench.settle();
    assert_eq!(bench.outcome(1, ticket), None);
    bench.cut();
    assert_eq!(bench.outcome(1, ticket), Some(Outcome::Committed { lease: HOUR }));
    assert_eq!(bench.leased(1, ODD, 1, DAY), HOUR, "the partner knows of no lease");
}

#[test]
fn a_new_lease_of_the_same_client_does_not_forget_what_the_partner_may_promise() {
    let mut bench = Bench::normal();
    bench.leased(1, ODD, 1, DAY);
    let known = bench.sides[0].pair.binding(ODD).map(Binding::common_potential);
    bench.cut();
    bench.propose(1, Change::Release { addr: ODD, client: client(1).key });
    bench.leased(1, ODD, 1, HOUR);
    let told = bench.sides[1].pair.binding(ODD).map(|binding| binding.sent_potential);
    assert!(told >= known, "{told:?} < {known:?}");
}

#[test]
fn a_renewal_is_no_change_of_leases_and_a_name_is_told_as_one() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, DAY);
    let changes = |bench: &mut Bench, client: Client| {
        bench.sides[0].leases_changed.clear();
        bench.pass(HOUR);
        bench.propose(0, Change::Grant { addr: EVEN, client, desired: DAY });
        std::mem::take(&mut bench.sides[0].leases_changed)
    };
    assert!(changes(&mut bench, client(1)).is_empty());
    let named = Client { hostname: Some("tv".into()), ..client(1) };
    assert_eq!(changes(&mut bench, named.clone()), [true]);
    assert!(changes(&mut bench, named.clone()).is_empty());
    bench.propose(0, Change::Release { addr: EVEN, client: named.key });
    assert_eq!(bench.sides[0].leases_changed, [true], "its name ends with it");
    bench.leased(0, Ipv4Addr::new(10, 0, 0, 110), 2, DAY);
    assert_eq!(bench.sides[0].leases_changed, [true, false]);
}

#[test]
fn a_confirmed_reservation_is_served_from_either_side_of_a_break() {
    let mut bench = Bench::normal();
    bench.reserve(&[(EVEN, 1), (ODD, 2)]);
    assert!(bench.sides.iter().all(|side| side.pair.staged_reservations().is_empty()));
    bench.cut();
    assert_eq!(bench.leased(1, EVEN, 1, DAY), HOUR, "of the other half, for its own client");
    assert_eq!(bench.leased(0, ODD, 2, DAY), HOUR);
    assert_eq!(bench.may(1, EVEN, 9), Err(Refusal::InUse));
    // The owner gives it to the same client: there is one holder, whoever is asked.
    assert_eq!(bench.leased(0, EVEN, 1, DAY), HOUR);
    bench.link();
    assert_eq!(bench.states(), [PairState::Normal; 2]);
    assert!(bench.tables_are_equal());
    assert!(!bench.sides[0].events.iter().any(|event| event.what == EventKind::Collision));
}

#[test]
fn a_reservation_made_during_a_break_waits_for_the_other_node() {
    let mut bench = Bench::interrupted();
    bench.reserve(&[(EVEN, 1)]);
    assert_eq!(bench.may(1, EVEN, 1), Err(Refusal::PartnersHalf));
    assert_eq!(bench.may(0, EVEN, 1), Ok(()), "its owner may");
    assert_eq!(bench.sides[1].pair.staged_reservations(), [EVEN]);
    bench.link();
    bench.pass(Duration::from_secs(2));
    bench.cut();
    assert_eq!(bench.may(1, EVEN, 1), Ok(()));
}

#[test]
fn a_reservation_of_an_address_somebody_has_waits_until_it_is_free() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 7, HOUR);
    bench.reserve(&[(EVEN, 1)]);
    assert_eq!(bench.sides[0].pair.staged_reservations(), [EVEN]);
    bench.pass(HOUR + Duration::from_secs(120));
    assert!(bench.sides[0].pair.staged_reservations().is_empty());
    bench.cut();
    assert_eq!(bench.may(1, EVEN, 1), Ok(()));
}

#[test]
fn a_reservation_taken_back_during_a_break_frees_the_address_when_both_agree() {
    let mut bench = Bench::normal();
    bench.reserve(&[(EVEN, 1)]);
    bench.cut();
    // The owner hears of the change; its partner does not, and serves the reserved client.
    bench.a().set_reservations([]);
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.may(0, EVEN, 9), Err(Refusal::AwaitingPartner));
    bench.leased(1, EVEN, 1, DAY);
    bench.link();
    assert_eq!(bench.may(0, EVEN, 9), Err(Refusal::InUse));
    bench.b().set_reservations([]);
    let released = bench.propose(1, Change::Release { addr: EVEN, client: client(1).key });
    assert!(matches!(bench.outcome(1, released), Some(Outcome::Committed { .. })));
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.may(0, EVEN, 9), Ok(()));
    assert!(bench.tables_are_equal());
}

#[test]
fn a_renewal_that_waits_is_not_acknowledged_once_its_client_gave_the_lease_back() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, DAY);
    bench.sides[1].holds_frames = true;
    let renewal = bench.grant(0, EVEN, 1, DAY);
    assert_eq!(bench.outcome(0, renewal), None, "it waits for the partner");
    bench.propose(0, Change::Release { addr: EVEN, client: client(1).key });
    assert_eq!(bench.outcome(0, renewal), Some(Outcome::Refused(Refusal::Overtaken)));
    // The client's next lease is not on the disk, so nothing of it may be said.
    bench.sides[0].holds_disk = true;
    let next = bench.grant(0, EVEN, 1, DAY);
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.outcome(0, next), None);
}
