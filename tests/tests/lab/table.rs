//! The table of faults (docs/faults.md), as far as it concerns leases: one scenario for each row
//! that no other file has.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant, SystemTime};

use lanward_tests::lab::daemon::DOMAIN;
use lanward_tests::lab::{
    Crowd, Cut, Grant, HostClock, Lab, Place, Program, Side, Story, Vlan, dig, secs, shared,
    wait_for,
};
use nix::sys::signal::Signal;

/// How soon after the end of a fault everything must be as before.
pub(crate) const HEALED_WITHIN: Duration = Duration::from_secs(5);

const APART: &str = "COMMUNICATIONS-INTERRUPTED";

/// A day.
const DAY: i64 = 86_400;

/// All of a crowd are granted an address nobody else has.
#[track_caller]
pub(crate) fn all_arrive(crowd: &mut Crowd, count: u16, limit: Duration) -> Vec<Grant> {
    let grants = crowd.arrive(limit);
    assert_eq!(grants.len(), usize::from(count), "not everybody is served within {limit:?}");
    assert!(shared(&grants).is_empty(), "{:#?}", shared(&grants));
    grants
}

/// All of a crowd restart and keep the addresses they had.
#[track_caller]
pub(crate) fn all_keep(crowd: &mut Crowd, had: &[Grant], limit: Duration) -> Vec<Grant> {
    let before = crowd.refusals();
    let grants = crowd.reboot(limit);
    assert_eq!(crowd.refusals(), before, "somebody is refused");
    let addresses =
        |grants: &[Grant]| -> Vec<Ipv4Addr> { grants.iter().map(|grant| grant.address).collect() };
    assert_eq!(addresses(&grants), addresses(had), "somebody has another address");
    grants
}

fn signal(lab: &Lab, side: Side, signal: Signal) {
    lab.daemon(side).process().expect("it runs").signal(signal);
}

#[test]
fn a_host_that_hangs_is_stood_in_for_and_comes_back() {
    let Some(story) = Story::begin("host A hangs") else { return };
    let mut lab = Lab::build("hang");
    lab.start_pair();
    let mut old = lab.crowd(20, Vlan::Home, Place::Middle);
    let had = all_arrive(&mut old, 20, secs(10));

    signal(&lab, Side::A, Signal::SIGSTOP);
    let began = Instant::now();
    let mut new = lab.crowd(20, Vlan::Iot, Place::Middle);
    let grants = all_arrive(&mut new, 20, secs(10));
    story.step(&format!("A hangs; 20 newcomers served in {} ms", began.elapsed().as_millis()));
    assert!(grants.iter().all(|grant| Side::B.has(grant.server)));
    all_keep(&mut old, &had, secs(10));
    lab.state_within(Side::B, APART, secs(5));

    signal(&lab, Side::A, Signal::SIGCONT);
    let healed = lab.healed_within(HEALED_WITHIN);
    all_keep(&mut new, &grants, secs(5));
    story.step(&format!("A goes on; tables equal after {} ms", healed.as_millis()));
}

#[test]
fn a_link_that_only_one_end_believes_in_is_made_anew() {
    let Some(story) = Story::begin("a half-open link") else { return };
    let mut lab = Lab::build("halfopen");
    lab.start_pair();
    for side in Side::BOTH {
        // Nobody hears of the end of A: its last packets are lost, and B's end stays open.
        lab.household.cut(Cut::PairLink);
        lab.daemon_mut(side).kill();
        lab.household.heal();
        lab.start(side);
        let healed = lab.healed_within(HEALED_WITHIN);
        story.step(&format!(
            "{side} dies unheard and comes back at once; tables equal after {} ms",
            healed.as_millis()
        ));
    }
}

#[test]
fn a_link_cut_in_one_direction_is_noticed_by_both_and_mended_without_help() {
    let Some(story) = Story::begin("the link is cut in one direction") else { return };
    let mut lab = Lab::build("oneway");
    lab.start_pair();
    let mut crowd = lab.crowd(20, Vlan::Home, Place::Middle);
    let mut had: Vec<Grant> = Vec::new();
    for from in Side::BOTH {
        lab.household.cut(Cut::PairLinkFrom(from));
        let began = Instant::now();
        for side in Side::BOTH {
            lab.state_within(side, APART, secs(10));
        }
        let noticed = began.elapsed();
        let mut new = lab.crowd(10, Vlan::Iot, Place::Middle);
        all_arrive(&mut new, 10, secs(10));
        had = match had.is_empty() {
            true => all_arrive(&mut crowd, 20, secs(10)),
            false => all_keep(&mut crowd, &had, secs(10)),
        };
        lab.household.heal();
        let healed = lab.healed_within(HEALED_WITHIN);
        story.step(&format!(
            "nothing from {from} arrives: both notice within {} ms; mended: equal after {} ms",
            noticed.as_millis(),
            healed.as_millis()
        ));
    }
}

#[test]
fn an_interface_that_goes_down_and_up_is_served_again_at_once() {
    let Some(story) = Story::begin("the interfaces of A go down and up") else { return };
    let mut lab = Lab::build("flap");
    lab.start_pair();
    let mut tv = lab.device("tv", Program::Udhcpc, Vlan::Home);
    tv.switch_on();
    let address = tv.bound_within(secs(5)).address;
    let mut old = lab.crowd(20, Vlan::Home, Place::Middle);
    let had = all_arrive(&mut old, 20, secs(10));
    let name = format!("tv.{DOMAIN}");

    lab.household.plug_host(Side::A, false);
    lab.state_within(Side::B, APART, secs(10));
    let mut new = lab.crowd(20, Vlan::Iot, Place::Middle);
    let grants = all_arrive(&mut new, 20, secs(10));
    assert!(grants.iter().all(|grant| Side::B.has(grant.server)));
    lab.household.plug_host(Side::A, true);
    let up = SystemTime::now();
    let server = Vlan::Home.host(Side::A);
    let named = dig::named_within(&lab.desk, server, (&name, address), (up, secs(2)));
    let healed = lab.healed_within(HEALED_WITHIN);
    story.step(&format!("up again: names after {named:?}, equal after {} ms", healed.as_millis()));

    // A is asked for its own again, by those whose address it gave.
    let again = all_keep(&mut old, &had, secs(10));
    assert!(again.iter().any(|grant| Side::A.has(grant.server)), "A answers nobody");

    let host = lab.household.host(Side::A);
    let (before, after) = (Vlan::Home.host(Side::A), Vlan::Home.address(12));
    host.ip(&format!("addr del {before}/24 dev home"));
    host.ip(&format!("addr add {after}/24 dev home"));
    host.ip(&format!("route replace default via {}", Vlan::Home.router()));
    let moved = SystemTime::now();
    let named = dig::named_within(&lab.desk, after, (&name, address), (moved, secs(2)));
    let healed = lab.healed_within(secs(10));
    let by_new = wait_for(secs(10), || {
        let grants = all_keep(&mut old, &had, secs(5));
        grants.iter().any(|grant| grant.server == after).then_some(())
    });
    assert!(by_new.is_some(), "A does not serve from its new address");
    story.step(&format!(
        "A has another address: names after {named:?}, equal after {} ms, leases from there",
        healed.as_millis()
    ));
}

#[test]
fn no_step_of_a_wall_clock_costs_a_lease() {
    let Some(story) = Story::begin_on_disks("the clock of A is wrong and jumps") else { return };
    let mut lab = Lab::build("clock");
    let mut clock = HostClock::new(lab.dir());
    clock.set_to_1970();
    lab.daemon_mut(Side::A).set_clock(clock);
    lab.daemon(Side::A).declare(600, "");
    lab.start_pair();
    story.step("A begins in 1970; the two are a pair");
    let mut crowd = lab.crowd(20, Vlan::Home, Place::Middle);
    let had = all_arrive(&mut crowd, 20, secs(10));
    let by_a = had.iter().filter(|grant| Side::A.has(grant.server)).count();
    assert!(by_a > 0, "A gives no leases");
    assert!(had.iter().all(|grant| grant.secs == 600));
    lab.tables_equal_within(HEALED_WITHIN);

    for (what, ahead) in
        [("the right date", 0), ("a day ahead", DAY), ("a day back", -DAY), ("1970", i64::MIN)]
    {
        match ahead {
            i64::MIN => lab.daemon_mut(Side::A).clock().set_to_1970(),
            ahead => lab.daemon_mut(Side::A).clock().set_ahead(ahead),
        }
        // Long enough for a silence to be noticed, if the jump made one.
        std::thread::sleep(secs(1));
        lab.healed_within(Duration::from_millis(500));
        let again = all_keep(&mut crowd, &had, secs(5));
        assert!(again.iter().all(|grant| grant.secs == 600));
        story.step(&format!("A's clock jumps to {what}: NORMAL, tables equal, leases kept"));
    }

    // And the same over reboots of A, when all it has is what it stored.
    for (what, ahead) in [("a day ahead", DAY), ("1970", i64::MIN)] {
        lab.daemon_mut(Side::A).kill();
        let clock = lab.daemon_mut(Side::A).clock();
        match ahead {
            i64::MIN => clock.set_to_1970(),
            ahead => clock.set_ahead(ahead),
        }
        clock.reboot();
        lab.start(Side::A);
        let healed = lab.normal_within(HEALED_WITHIN);
        let again = all_keep(&mut crowd, &had, secs(5));
        assert!(again.iter().all(|grant| grant.secs == 600));
        story.step(&format!(
            "A reboots and believes {what}: NORMAL after {} ms, leases kept",
            healed.as_millis()
        ));
    }
    lab.daemon_mut(Side::A).clock().set_ahead(0);
}
