//! What people do to a pair: stop a host in order, hand it over for maintenance, say that the
//! other is off.

use std::sync::Arc;
use std::time::Instant;

use lanward_tests::faults::{AckLog, Load, PATIENT};
use lanward_tests::lab::{Cut, Grant, Lab, Place, Side, Story, Vlan, secs, shared};
use nix::sys::signal::Signal;

use super::table::{HEALED_WITHIN, all_arrive, all_keep};

const DOWN: &str = "PARTNER-DOWN";

#[test]
fn a_planned_stop_leaves_no_first_try_unanswered() {
    let Some(story) = Story::begin("hosts are stopped in order, under load") else { return };
    let mut lab = Lab::build("stop");
    lab.start_pair();
    let log: Arc<AckLog> = Arc::default();
    let mut loads = Vec::new();
    for (number, vlan) in (1..).zip([Vlan::Home, Vlan::Iot]) {
        let netns = lab.household.plug_in(&format!("load{number}"), vlan, Place::Middle);
        loads.push(Load::start(netns, (number, 20), PATIENT, &log));
    }
    std::thread::sleep(secs(3));
    let none = Vec::<String>::new();
    assert_eq!(log.unanswered_tries(), none, "before anything happened");

    for side in Side::BOTH {
        let other = side.other();
        lab.daemon(side).process().expect("it runs").signal(Signal::SIGTERM);
        let began = Instant::now();
        let ended = lab.daemon_mut(side).ended_within(secs(6));
        assert!(ended.is_some_and(|status| status.success()), "{side} does not end: {ended:?}");
        let took = began.elapsed();
        lab.state_within(other, DOWN, secs(2));
        std::thread::sleep(secs(1));
        lab.start(side);
        let healed = lab.normal_within(HEALED_WITHIN);
        story.step(&format!(
            "{side} ends within {} ms, {other} has the whole pool; started again, NORMAL after {} ms",
            took.as_millis(),
            healed.as_millis()
        ));
        // What was begun under the last state ends before the next stop begins.
        std::thread::sleep(secs(1));
    }

    let said = lab.daemon(Side::A).cli(&["pair", "maintenance"]);
    assert!(said.status.success(), "{said:?}");
    lab.state_within(Side::B, DOWN, secs(5));
    std::thread::sleep(secs(1));
    let said = lab.daemon(Side::A).cli(&["pair", "maintenance", "--off"]);
    assert!(said.status.success(), "{said:?}");
    let healed = lab.normal_within(HEALED_WITHIN);
    // Whoever has waited in vain has said so by then.
    std::thread::sleep(PATIENT + secs(1));
    assert_eq!(log.unanswered_tries(), none);
    story.step(&format!("maintenance of A and back: NORMAL after {} ms", healed.as_millis()));

    drop(loads);
    lab.tables_equal_within(HEALED_WITHIN);
    let (acknowledged, _) = log.counts();
    assert!(acknowledged > 500, "too little load to show anything: {acknowledged}");
    assert_eq!((log.shared(), log.refusals()), (none, 0));
    story.step(&format!("{acknowledged} requests answered at the first try, 0 not; tables equal"));
}

#[test]
fn the_other_node_is_off_is_refused_while_it_can_be_heard() {
    let Some(story) = Story::begin("somebody says that A is off") else { return };
    let mut lab = Lab::build("off");
    lab.daemon(Side::A).declare(600, "mclt = \"5s\"");
    lab.start_pair();
    let mut old = lab.crowd(20, Vlan::Home, Place::Middle);
    let had = all_arrive(&mut old, 20, secs(10));
    let refused = |lab: &Lab, when: &str| {
        let said = lab.daemon(Side::B).cli(&["pair", "down", "--yes"]);
        assert!(!said.status.success(), "accepted {when}: {said:?}");
        assert!(!said.err.contains("panicked") && said.err.contains("pi-a"), "{said:?}");
        story.step(&format!("refused {when}: {}", said.err.trim().replace('\n', " / ")));
    };
    refused(&lab, "while both are in NORMAL");
    lab.household.cut(Cut::PairLink);
    lab.state_within(Side::B, "COMMUNICATIONS-INTERRUPTED", secs(10));
    refused(&lab, "while only their link is cut");
    lab.household.heal();
    lab.healed_within(HEALED_WITHIN);

    lab.daemon_mut(Side::A).kill();
    lab.household.plug_host(Side::A, false);
    lab.state_within(Side::B, "COMMUNICATIONS-INTERRUPTED", secs(10));
    let said = lab.daemon(Side::B).cli(&["pair", "down", "--yes"]);
    assert!(said.status.success(), "refused although A is off: {said:?}");
    lab.state_within(Side::B, DOWN, secs(5));
    story.step(&format!("A is off: {}", said.out.trim().replace('\n', " / ")));
    let mut new = lab.crowd(20, Vlan::Iot, Place::Middle);
    let had_new = all_arrive(&mut new, 20, secs(10));
    all_keep(&mut old, &had, secs(10));

    lab.household.plug_host(Side::A, true);
    lab.start(Side::A);
    let healed = lab.healed_within(HEALED_WITHIN);
    all_keep(&mut old, &had, secs(10));
    all_keep(&mut new, &had_new, secs(10));
    story.step(&format!("A is back: tables equal after {} ms, nobody moved", healed.as_millis()));
}

/// Neither lied: each host was off when the other was told so. But neither heard of it.
#[test]
fn two_hosts_that_were_each_told_the_other_is_off_merge_by_themselves() {
    let Some(story) = Story::begin("each host was told that the other is off") else { return };
    let mut lab = Lab::build("conflict");
    lab.daemon(Side::A).declare(600, "mclt = \"5s\"");
    lab.start_pair();
    let mut old = lab.crowd(20, Vlan::Home, Place::Middle);
    let had = all_arrive(&mut old, 20, secs(10));
    let mut newcomers = Vec::new();
    // B serves alone while A is off; then it is the other way round.
    for (off, on) in [(Side::A, Side::B), (Side::B, Side::A)] {
        lab.daemon_mut(off).kill();
        lab.household.plug_host(off, false);
        if on == Side::A {
            lab.household.plug_host(on, true);
            lab.start(on);
        }
        lab.state_within(on, "COMMUNICATIONS-INTERRUPTED", secs(15));
        let said = lab.daemon(on).cli(&["pair", "down", "--yes"]);
        assert!(said.status.success(), "refused although {off} is off: {said:?}");
        lab.state_within(on, DOWN, secs(5));
        let mut crowd = lab.crowd(20, Vlan::Iot, Place::Middle);
        let grants = all_arrive(&mut crowd, 20, secs(10));
        all_keep(&mut old, &had, secs(10));
        story.step(&format!("{on} is in {DOWN} and serves everybody"));
        newcomers.push((crowd, grants));
    }
    lab.household.plug_host(Side::B, true);
    lab.start(Side::B);
    let healed = lab.healed_within(HEALED_WITHIN);
    for side in Side::BOTH {
        let log = lab.daemon(side).log_text();
        assert!(
            log.contains("CONFLICT"),
            "{side} did not notice: {}",
            lab.daemon(side).log_tail(9)
        );
    }
    let all: Vec<Grant> = newcomers.iter().flat_map(|(_, grants)| grants.clone()).collect();
    assert!(shared(&all).is_empty(), "{:#?}", shared(&all));
    all_keep(&mut old, &had, secs(10));
    for (crowd, grants) in &mut newcomers {
        all_keep(crowd, grants, secs(10));
    }
    story.step(&format!("B is back: merged, tables equal after {} ms", healed.as_millis()));
}
