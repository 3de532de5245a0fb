//! The hosts lose each other while both live and newcomers arrive on either side.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use lanward_tests::lab::{Cut, Grant, Lab, Place, Side, Story, Vlan, secs, shared};

/// Newcomers on either side of a break.
const NEWCOMERS: u16 = 40;

const APART: &str = "COMMUNICATIONS-INTERRUPTED";

/// Everybody of both crowds has an address that nobody else has.
#[track_caller]
fn each_has_its_own(ours: &[Grant], theirs: &[Grant]) -> BTreeSet<Ipv4Addr> {
    assert_eq!(ours.len(), usize::from(NEWCOMERS), "everybody on A's side is served");
    assert_eq!(theirs.len(), usize::from(NEWCOMERS), "everybody on B's side is served");
    let all = [ours, theirs].concat();
    let twice = shared(&all);
    assert!(twice.is_empty(), "addresses with two holders: {twice:#?}");
    all.iter().map(|grant| grant.address).collect()
}

/// Both hosts know all of them, and say the same.
#[track_caller]
fn both_know(lab: &Lab, addresses: &BTreeSet<Ipv4Addr>) {
    for side in Side::BOTH {
        let table = lab.leases(side);
        let missing: Vec<_> = addresses.iter().filter(|it| !table.contains_key(it)).collect();
        assert!(missing.is_empty(), "{side} does not know {missing:?}");
    }
}

#[test]
fn a_split_house_shares_no_address_and_heals() {
    let Some(story) = Story::begin("the house falls in two") else { return };
    let mut lab = Lab::build("split");
    lab.start_pair();
    let mut with_a = lab.crowd(NEWCOMERS, Vlan::Home, Place::SideOf(Side::A));
    let mut with_b = lab.crowd(NEWCOMERS, Vlan::Home, Place::SideOf(Side::B));

    lab.household.cut(Cut::House);
    for side in Side::BOTH {
        lab.state_within(side, APART, secs(10));
    }
    story.step("nothing passes between the sides; both hosts have noticed");

    let (ours, theirs) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| with_b.arrive(secs(15)));
        (with_a.arrive(secs(15)), theirs.join().expect("the crowd does not panic"))
    });
    assert!(ours.iter().all(|grant| grant.server == Vlan::Home.host(Side::A)));
    assert!(theirs.iter().all(|grant| grant.server == Vlan::Home.host(Side::B)));
    let addresses = each_has_its_own(&ours, &theirs);
    story.step(&format!("{} newcomers, {} addresses, 0 shared", 2 * NEWCOMERS, addresses.len()));

    lab.household.heal();
    let normal = lab.normal_within(secs(15));
    let equal = lab.tables_equal_within(secs(5));
    both_know(&lab, &addresses);
    story.step(&format!(
        "mended: NORMAL after {} ms, tables equal {} ms later",
        normal.as_millis(),
        equal.as_millis()
    ));

    let (again, theirs_again) = (with_a.reboot(secs(15)), with_b.reboot(secs(15)));
    assert_eq!((with_a.refusals(), with_b.refusals()), (0, 0), "nobody is refused");
    assert_eq!(each_has_its_own(&again, &theirs_again), addresses, "everybody kept its address");
    story.step("all restarted and kept their addresses");
}

#[test]
fn a_cut_pair_link_shares_no_address_although_every_device_hears_both_hosts() {
    let Some(story) = Story::begin("only the pair's link is cut") else { return };
    let mut lab = Lab::build("link");
    lab.start_pair();
    let mut with_a = lab.crowd(NEWCOMERS, Vlan::Iot, Place::SideOf(Side::A));
    let mut behind_relay = lab.crowd(NEWCOMERS, Vlan::Guests, Place::Middle);

    lab.household.cut(Cut::PairLink);
    for side in Side::BOTH {
        lab.state_within(side, APART, secs(10));
    }
    story.step("the hosts do not hear each other; devices hear both");
    let (ours, theirs) = (with_a.arrive(secs(15)), behind_relay.arrive(secs(15)));
    let addresses = each_has_its_own(&ours, &theirs);
    story.step(&format!("{} newcomers, {} addresses, 0 shared", 2 * NEWCOMERS, addresses.len()));

    lab.household.heal();
    let normal = lab.normal_within(secs(15));
    let equal = lab.tables_equal_within(secs(5));
    both_know(&lab, &addresses);
    story.step(&format!(
        "mended: NORMAL after {} ms, tables equal {} ms later",
        normal.as_millis(),
        equal.as_millis()
    ));

    // One direction only: A is heard by nobody, and hears all.
    lab.household.cut(Cut::PairLinkFrom(Side::A));
    for side in Side::BOTH {
        lab.state_within(side, APART, secs(10));
    }
    story.step("cut in one direction: both hosts notice");
    let before = with_a.refusals() + behind_relay.refusals();
    let (ours, theirs) = (with_a.reboot(secs(15)), behind_relay.reboot(secs(15)));
    assert_eq!(with_a.refusals() + behind_relay.refusals(), before, "nobody is refused");
    assert_eq!(each_has_its_own(&ours, &theirs), addresses, "everybody kept its address");
    lab.household.heal();
    lab.normal_within(secs(15));
    lab.tables_equal_within(secs(5));
    story.step("all restarted meanwhile and kept their addresses; the tables are equal");
}
