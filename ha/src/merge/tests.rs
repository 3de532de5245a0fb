use std::net::Ipv4Addr;

use lanward_dhcp::{Client, ClientKey, HwAddr};
use proptest::prelude::*;

use super::*;
use crate::Versions;

const NOW: Time = Time::from_millis(1_000_000);
const GUARD: Duration = Duration::from_secs(60);

fn client(n: u8) -> Client {
    let hw = HwAddr::ethernet([2, 0, 0, 0, 0, n]);
    Client { key: ClientKey::Hw(hw), hw, hostname: None, vendor_class: None, relay_info: None }
}

fn around(rank: Rank) -> Circumstances {
    let (partner_recovers, recovers) = (false, false);
    Circumstances { now: NOW, guard: GUARD, rank, partner_recovers, recovers }
}

fn binding(state: BindingState, n: u8, expiry: u64, versions: [u64; 2]) -> Binding {
    Binding {
        state,
        client: Some(client(n)),
        client_expiry: Time::from_millis(expiry),
        sent_potential: Time::from_millis(expiry + 500),
        versions: Versions(versions),
        granted: Versions(versions),
        dirty: true,
        partner_knows: true,
        ..Binding::untouched(Ipv4Addr::new(10, 0, 0, 2))
    }
}

/// What `told` becomes on its way: the sender's promise is the receiver's to remember.
fn travelled(told: &Binding) -> Binding {
    Binding {
        recv_potential: told.told_potential(),
        sent_potential: Time::ZERO,
        acked_potential: Time::ZERO,
        ..told.clone()
    }
}

/// What a node has that had something new when it heard something new.
#[track_caller]
fn joined(mine: &Binding, theirs: &Binding, rank: Rank) -> Binding {
    match merge(mine, travelled(theirs), around(rank)) {
        Merged::Joined { binding, .. } => binding,
        other => panic!("{other:?}"),
    }
}

/// Both tell each other at once, again and again, until neither has anything to say.
fn exchanged(mut sides: [Binding; 2]) -> [Binding; 2] {
    let mut tells = [true, true];
    for _ in 0..10 {
        if tells == [false, false] {
            return sides;
        }
        let told = [0, 1].map(|at| tells[at].then(|| travelled(&sides[at])));
        tells = [false, false];
        let mut confirmed = [None, None];
        for (at, rank) in [(0, Rank::Zero), (1, Rank::One)] {
            let Some(theirs) = told[1 - at].clone() else { continue };
            let versions = theirs.versions;
            let accepted = match merge(&sides[at], theirs, around(rank)) {
                Merged::Known => true,
                Merged::Taken(binding) => {
                    sides[at] = binding;
                    true
                }
                Merged::Kept => {
                    tells[at] = true;
                    false
                }
                Merged::Joined { binding, accepted, .. } => {
                    sides[at] = binding;
                    tells[at] = true;
                    accepted
                }
            };
            confirmed[1 - at] = accepted.then_some(versions);
        }
        for at in 0..2 {
            // As `Pair` does with a confirmation of the version it still has.
            if confirmed[at] == Some(sides[at].versions)
                && matches!(sides[at].state, BindingState::Expired | BindingState::Released)
            {
                free(&mut sides[at]);
            }
        }
    }
    panic!("the two do not come to an end: {sides:?}");
}

fn any_state() -> impl Strategy<Value = BindingState> {
    prop_oneof![
        Just(BindingState::Free),
        Just(BindingState::Active),
        Just(BindingState::Expired),
        Just(BindingState::Released),
        Just(BindingState::Declined),
    ]
}

proptest! {
    #[test]
    fn two_histories_become_one(
        states in [any_state(), any_state()],
        clients in [1_u8..3, 1_u8..3],
        expiries in [990_000_u64..1_010_000, 990_000_u64..1_010_000],
        versions in [[0_u64..3, 0_u64..3], [0_u64..3, 0_u64..3]],
    ) {
        let sides = [0, 1].map(|at| binding(states[at], clients[at], expiries[at], versions[at]));
        let [a, b] = exchanged(sides);
        prop_assert_eq!(a.state, b.state);
        prop_assert_eq!(a.versions, b.versions);
        if a.state == BindingState::Active {
            prop_assert_eq!(&a.client, &b.client);
            prop_assert_eq!(a.client_expiry, b.client_expiry);
        }
    }

    #[test]
    fn a_running_lease_is_never_lost_to_an_idle_address(
        idle in any_state().prop_filter("idle", |state| *state != BindingState::Active),
        runs_at_a in any::<bool>(),
    ) {
        let runs = binding(BindingState::Active, 1, 2_000_000, if runs_at_a { [2, 1] } else { [1, 2] });
        let rests = binding(idle, 2, 900_000, if runs_at_a { [1, 2] } else { [2, 1] });
        let sides = if runs_at_a { [runs, rests] } else { [rests, runs] };
        for side in exchanged(sides) {
            prop_assert_eq!(side.state, BindingState::Active);
            prop_assert!(side.is_of(&client(1).key));
        }
    }
}

#[test]
fn the_longer_of_two_promises_to_one_client_counts() {
    let a = binding(BindingState::Active, 1, 2_000_000, [2, 1]);
    let b = binding(BindingState::Active, 1, 3_000_000, [1, 2]);
    for side in exchanged([a, b]) {
        assert_eq!(side.client_expiry, Time::from_millis(3_000_000));
        assert_eq!(side.versions, Versions([2, 2]));
    }
}

#[test]
fn of_two_clients_the_one_whose_lease_is_over_loses_and_the_address_is_frozen() {
    let over = binding(BindingState::Active, 1, 900_000, [2, 1]);
    let runs = binding(BindingState::Active, 2, 2_000_000, [1, 2]);
    for side in exchanged([over, runs]) {
        assert!(side.is_of(&client(2).key));
        assert_eq!(side.hold_until, Time::from_millis(2_000_000) + GUARD);
    }
}

#[test]
fn what_a_recovering_node_said_yields() {
    let mine = binding(BindingState::Active, 1, 900_000, [1, 2]);
    let theirs = binding(BindingState::Active, 2, 2_000_000, [2, 1]);
    let circumstances = Circumstances { partner_recovers: true, ..around(Rank::One) };
    let merged = merge(&mine, theirs, circumstances);
    let Merged::Joined { binding, accepted, collision } = merged else { panic!("{merged:?}") };
    assert!(binding.is_of(&client(1).key) && !accepted);
    assert!(!collision, "what an old copy held is no promise to warn of");
}

#[test]
fn what_a_recovering_node_said_does_not_undo_a_release_by_hand() {
    // Client 1 was not told of the release, and holds the address until its time is over.
    let mut ended = binding(BindingState::Released, 1, 1_500_000, [5, 1]);
    ended.hold_until = Time::from_millis(1_560_000);
    let old = binding(BindingState::Active, 2, 2_000_000, [0, 2]);
    let giving = Circumstances { partner_recovers: true, ..around(Rank::Zero) };
    let recovering = Circumstances { recovers: true, ..around(Rank::One) };
    for merged in
        [merge(&ended, travelled(&old), giving), merge(&old, travelled(&ended), recovering)]
    {
        let Merged::Joined { binding, .. } = merged else { panic!("{merged:?}") };
        assert!(binding.is_of(&client(1).key) && binding.state != BindingState::Active);
        assert_eq!(binding.hold_until, ended.hold_until);
    }
}

#[test]
fn taking_an_ended_lease_is_the_agreement_that_frees_it() {
    let mine = binding(BindingState::Active, 1, 2_000_000, [1, 1]);
    let theirs = binding(BindingState::Released, 1, 2_000_000, [1, 2]);
    let merged = merge(&mine, theirs, around(Rank::Zero));
    let Merged::Taken(binding) = merged else { panic!("{merged:?}") };
    assert_eq!(binding.state, BindingState::Free);
    assert_eq!(binding.common_potential(), Time::ZERO);
}

#[test]
fn what_was_agreed_for_one_client_is_not_carried_over_to_the_next() {
    let mut mine = binding(BindingState::Active, 1, 2_000_000, [1, 1]);
    mine.acked_potential = Time::from_millis(9_000_000);
    let theirs = travelled(&binding(BindingState::Active, 2, 2_000_000, [1, 2]));
    let merged = merge(&mine, theirs, around(Rank::Zero));
    let Merged::Taken(binding) = merged else { panic!("{merged:?}") };
    assert_eq!(binding.common_potential(), Time::from_millis(2_000_500));
}

#[test]
fn what_the_partner_told_of_an_earlier_lease_is_not_what_it_knows_of_the_next() {
    let mut mine = binding(BindingState::Active, 1, 2_000_000, [1, 1]);
    mine.recv_potential = Time::from_millis(9_000_000);
    let theirs = travelled(&binding(BindingState::Active, 1, 2_000_000, [3, 1]));
    let merged = merge(&mine, theirs, around(Rank::One));
    let Merged::Taken(binding) = merged else { panic!("{merged:?}") };
    assert_eq!(binding.recv_potential, Time::from_millis(2_000_500));
}

#[test]
fn a_lease_cut_short_while_it_expires_elsewhere_ends_alike_on_both() {
    // The owner of the address ended the lease; the partner had just prolonged it, and then cut
    // it short. The owner hears of both after it spoke.
    let expired = binding(BindingState::Expired, 1, 900_000, [2, 1]);
    let long = binding(BindingState::Active, 1, 2_000_000, [1, 2]);
    let short =
        Binding { granted: long.granted, ..binding(BindingState::Active, 1, 1_500_000, [1, 3]) };
    let owner = joined(&joined(&expired, &long, Rank::Zero), &short, Rank::Zero);
    let partner = joined(&short, &expired, Rank::One);
    let [owner, partner] = exchanged([owner, partner]);
    assert_eq!(owner.versions, partner.versions);
    assert_eq!(owner.client_expiry, partner.client_expiry);
}

#[test]
fn a_lease_given_back_while_it_expires_elsewhere_ends_alike_on_both() {
    // The owner ended the lease; the partner had just prolonged it, and then its client gave it
    // back. Each hears of the other's words after it spoke.
    let expired = binding(BindingState::Expired, 1, 900_000, [2, 1]);
    let long = binding(BindingState::Active, 1, 2_000_000, [1, 2]);
    let back = binding(BindingState::Released, 1, 2_000_000, [1, 3]);
    let owner = joined(&joined(&expired, &long, Rank::Zero), &back, Rank::Zero);
    let partner = joined(&back, &expired, Rank::One);
    assert_eq!([owner.state, partner.state], [BindingState::Free; 2]);
    assert_eq!(owner.versions, partner.versions);
}

#[test]
fn an_end_that_overtook_what_it_ends_is_its_end_all_the_same() {
    // Both ended the lease by themselves; the one had prolonged it before, unheard.
    let mine = binding(BindingState::Expired, 1, 900_000, [1, 2]);
    let long = binding(BindingState::Active, 1, 950_000, [3, 1]);
    let end =
        Binding { granted: long.granted, ..binding(BindingState::Expired, 1, 950_000, [4, 1]) };
    let heard_both = {
        let running = joined(&mine, &long, Rank::One);
        assert_eq!(running.state, BindingState::Active, "it may run");
        joined(&running, &end, Rank::One)
    };
    let heard_the_end = joined(&mine, &end, Rank::One);
    for binding in [heard_both, heard_the_end] {
        assert_eq!((binding.state, binding.versions), (BindingState::Free, Versions([4, 2])));
    }
}

#[test]
fn what_was_told_of_a_lease_is_known_until_both_agree_to_its_end() {
    // This node ended the lease, and the partner, which did not agree, prolongs it: up to the
    // MCLT beyond what this node told.
    let mine = binding(BindingState::Expired, 1, 900_000, [2, 1]);
    let theirs = travelled(&binding(BindingState::Active, 1, 800_000, [2, 2]));
    let merged = merge(&mine, theirs, around(Rank::Zero));
    let Merged::Taken(binding) = merged else { panic!("{merged:?}") };
    assert_eq!(binding.sent_potential, mine.sent_potential);
    assert_eq!(binding.acked_potential, Time::ZERO);
}
