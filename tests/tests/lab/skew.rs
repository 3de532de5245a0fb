//! A pair of the previous release and this one: hosts are upgraded one after the other, and every
//! promise holds on the way.
//!
//! `LANWARD_PREVIOUS_BIN` names the previous release's binary; `.ci/run` builds it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use lanward_tests::lab::{Crowd, Cut, Grant, Lab, Place, Side, Story, Vlan, secs, shared};

/// Begins a scenario that needs the previous release as well.
fn begin(title: &str) -> Option<(Story, PathBuf)> {
    let previous = std::env::var_os("LANWARD_PREVIOUS_BIN").map(PathBuf::from);
    let story = Story::begin(title)?;
    match previous {
        Some(binary) if binary.is_file() => Some((story, binary)),
        other => {
            let required = std::env::var("LANWARD_REQUIRE_LAB").is_ok_and(|value| value == "1");
            assert!(!required, "LANWARD_PREVIOUS_BIN must name the previous release: {other:?}");
            story.step("LOUD SKIP: LANWARD_PREVIOUS_BIN does not name the previous release");
            None
        }
    }
}

/// Devices of the house that have an address, to be checked again and again.
struct Residents {
    crowds: Vec<(Crowd, BTreeSet<Ipv4Addr>)>,
}

impl Residents {
    fn new() -> Residents {
        Residents { crowds: Vec::new() }
    }

    /// `count` newcomers get an address each, none of them anybody else's.
    #[track_caller]
    fn welcome(&mut self, lab: &mut Lab, count: u16, vlan: Vlan) {
        let mut crowd = lab.crowd(count, vlan, Place::Middle);
        let grants = crowd.arrive(secs(8));
        assert_eq!(grants.len(), usize::from(count), "every newcomer is served");
        let addresses = distinct(&grants);
        let before = self.crowds.iter().flat_map(|(_, had)| had);
        let taken: Vec<_> = before.filter(|had| addresses.contains(had)).collect();
        assert!(taken.is_empty(), "given twice: {taken:?}");
        self.crowds.push((crowd, addresses));
    }

    /// All of them restart, are not refused, and have the same addresses as before.
    #[track_caller]
    fn restart(&mut self) {
        for (crowd, addresses) in &mut self.crowds {
            let grants = crowd.reboot(secs(10));
            assert_eq!(crowd.refusals(), 0, "nobody is refused");
            assert_eq!(distinct(&grants), *addresses, "everybody keeps its address");
        }
    }
}

#[track_caller]
fn distinct(grants: &[Grant]) -> BTreeSet<Ipv4Addr> {
    assert!(shared(grants).is_empty(), "{:?}", shared(grants));
    grants.iter().map(|grant| grant.address).collect()
}

#[track_caller]
fn in_step(lab: &Lab) {
    lab.normal_within(secs(20));
    lab.tables_equal_within(secs(5));
}

/// What the pair promises, whoever runs what: leases are shared, either host may die, and the two
/// may lose each other.
#[track_caller]
fn promises_hold(lab: &mut Lab, residents: &mut Residents, story: &Story) {
    residents.welcome(lab, 6, Vlan::Home);
    lab.tables_equal_within(secs(5));
    for side in Side::BOTH {
        lab.daemon_mut(side).kill();
        residents.welcome(lab, 4, Vlan::Guests);
        residents.restart();
        lab.start(side);
        in_step(lab);
    }
    lab.household.cut(Cut::PairLink);
    for side in Side::BOTH {
        lab.state_within(side, "COMMUNICATIONS-INTERRUPTED", secs(10));
    }
    residents.welcome(lab, 4, Vlan::Iot);
    lab.household.heal();
    in_step(lab);
    residents.restart();
    story.step("newcomers are shared, either host may die, the link may break: every promise kept");
}

/// Stops a host by SIGKILL and starts it again from another binary, in place.
fn exchange(lab: &mut Lab, side: Side, binary: &std::path::Path) {
    let daemon = lab.daemon_mut(side);
    daemon.kill();
    daemon.use_binary(binary);
    lab.start(side);
}

fn rolling_upgrade(first: Side, label: &str) {
    let title = format!("a pair of the previous release is upgraded, {first} first");
    let Some((story, previous)) = begin(&title) else { return };
    let mut lab = Lab::build(label);
    let present = lab.daemon(Side::A).binary().to_owned();
    for side in Side::BOTH {
        lab.daemon_mut(side).use_binary(&previous);
    }
    lab.start_pair();
    let mut residents = Residents::new();
    residents.welcome(&mut lab, 10, Vlan::Home);
    story.step("both hosts run the previous release");

    exchange(&mut lab, first, &present);
    residents.welcome(&mut lab, 4, Vlan::Home);
    in_step(&lab);
    residents.restart();
    story.step(&format!("{first} runs this release, {} the previous one", first.other()));
    promises_hold(&mut lab, &mut residents, &story);

    exchange(&mut lab, first.other(), &present);
    in_step(&lab);
    residents.restart();
    residents.welcome(&mut lab, 4, Vlan::Home);
    in_step(&lab);
    story.step("both hosts run this release; every device has kept its address");

    for binary in [&previous, &present] {
        exchange(&mut lab, first, binary);
        in_step(&lab);
        residents.restart();
        residents.welcome(&mut lab, 2, Vlan::Iot);
        in_step(&lab);
    }
    story.step(&format!("{first} went back a release, and forward again: nothing was lost"));
}

#[test]
fn a_pair_of_the_previous_release_is_upgraded_host_by_host() {
    rolling_upgrade(Side::A, "skew-a");
}

#[test]
fn a_pair_of_the_previous_release_is_upgraded_in_the_other_order() {
    rolling_upgrade(Side::B, "skew-b");
}

#[test]
fn hosts_of_two_releases_become_a_pair() {
    for new in Side::BOTH {
        let title = format!("a new pair, {new} on this release, {} on the one before", new.other());
        let Some((story, previous)) = begin(&title) else { return };
        let mut lab = Lab::build(&format!("skew-join-{}", new.letter()));
        lab.daemon_mut(new.other()).use_binary(&previous);
        lab.start_pair();
        let mut residents = Residents::new();
        residents.welcome(&mut lab, 6, Vlan::Home);
        lab.tables_equal_within(secs(5));
        lab.daemon_mut(new).kill();
        residents.restart();
        story.step("joined, shared, and one of them dead: the other serves everybody");
    }
}
