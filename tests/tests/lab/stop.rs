//! A host is stopped in order and started again: nobody's first try goes unanswered, and the other
//! host gives full leases meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lanward_tests::lab::{Crowd, Grant, Lab, Place, Side, Story, Vlan, secs};
use nix::sys::signal::Signal;

/// Longer than the maximum client lead time of an hour: a host that only may not know better gives
/// an hour.
const DAY: u32 = 86_400;
/// A device asks again after three seconds at the earliest (RFC 2131 section 4.1: four, give or
/// take one).
const FIRST_TRY: Duration = Duration::from_secs(3);

/// A pair that gives leases of a day.
fn pair_with_long_leases(label: &str) -> Lab {
    let mut lab = Lab::build(label);
    let file = lab.dir().join("host-a/household.toml");
    let text = std::fs::read_to_string(&file).expect("the household is declared");
    let long = text.replace("lease_time = \"60s\"", "lease_time = \"24h\"");
    assert_ne!(text, long, "the lab's leases are short");
    std::fs::write(&file, long).expect("the lab's folder is writable");
    lab.start_pair();
    lab
}

/// Devices come and go, and known ones restart, until `over`. Returns what was granted.
fn traffic(known: &mut Crowd, new: &mut Crowd, over: &AtomicBool) -> Vec<Grant> {
    let mut granted = Vec::new();
    while !over.load(Ordering::Relaxed) {
        new.are_replaced();
        granted.extend(new.arrive(secs(8)));
        granted.extend(known.reboot(secs(8)));
    }
    granted
}

/// What had to be asked twice.
fn unanswered(crowds: &[(Crowd, Crowd)]) -> Vec<String> {
    crowds.iter().flat_map(|(known, new)| [known.unanswered(), new.unanswered()].concat()).collect()
}

fn a_planned_stop_of(side: Side, label: &str) {
    let title = format!("{side} is stopped in order and started again under traffic");
    let Some(story) = Story::begin(&title) else { return };
    let mut lab = pair_with_long_leases(label);
    let mut crowds: Vec<(Crowd, Crowd)> = [Vlan::Home, Vlan::Guests]
        .map(|vlan| (lab.crowd(6, vlan, Place::Middle), lab.crowd(3, vlan, Place::Middle)))
        .into();
    for (known, new) in &mut crowds {
        known.be_patient(FIRST_TRY);
        new.be_patient(FIRST_TRY);
        assert_eq!(known.arrive(secs(15)).len(), 6);
    }
    assert_eq!(unanswered(&crowds), [""; 0], "nothing happens, and everybody is answered at once");
    lab.tables_equal_within(secs(5));
    story.step("devices have leases, by broadcast and by relay");

    let over = AtomicBool::new(false);
    let granted = std::thread::scope(|scope| {
        let over = &over;
        let crowds = &mut crowds;
        let served: Vec<_> = crowds
            .iter_mut()
            .map(|(known, new)| scope.spawn(move || traffic(known, new, over)))
            .collect();
        std::thread::sleep(secs(1));
        let process = lab.daemon(side).process().expect("it runs");
        process.signal(Signal::SIGTERM);
        let ended = lab.daemon_mut(side).ended_within(secs(5));
        assert!(ended.is_some_and(|status| status.success()), "{side} ended with {ended:?}");
        story.step("it has ended by itself");
        lab.state_within(side.other(), "PARTNER-DOWN", secs(2));
        std::thread::sleep(secs(3));
        lab.start(side);
        lab.normal_within(secs(15));
        story.step("it is back in NORMAL");
        std::thread::sleep(secs(2));
        over.store(true, Ordering::Relaxed);
        let granted = served.into_iter().flat_map(|crowd| crowd.join().expect("a crowd"));
        granted.collect::<Vec<_>>()
    });
    let late = unanswered(&crowds);
    let refused: u32 = crowds.iter().map(|(known, new)| known.refusals() + new.refusals()).sum();
    let short = granted.iter().filter(|grant| grant.secs != DAY).count();
    story.step(&format!(
        "{} grants and confirmations, {} unanswered first tries, {refused} refusals, {short} \
         shorter than a day",
        granted.len(),
        late.len()
    ));
    assert!(granted.len() > 30, "there was traffic all the while");
    assert_eq!(late, [""; 0], "each first try is answered");
    assert_eq!((refused, short), (0, 0));
    lab.tables_equal_within(secs(5));
    let log = lab.daemon(side.other()).cli(&["pair", "log"]);
    assert!(log.out.contains("entered PARTNER-DOWN"), "{log:?}");
    assert!(log.out.contains("was asked to stop"), "the stopped host's own words: {log:?}");
}

#[test]
fn a_planned_stop_of_a_goes_unnoticed() {
    a_planned_stop_of(Side::A, "stopa");
}

#[test]
fn a_planned_stop_of_b_goes_unnoticed() {
    a_planned_stop_of(Side::B, "stopb");
}
