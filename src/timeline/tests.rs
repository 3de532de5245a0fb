use super::*;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + secs).unwrap()
}

fn texts(timeline: &Timeline) -> Vec<String> {
    let latest = timeline.latest(usize::MAX);
    latest.iter().map(|entry| format!("{}: {} {}", entry.node, entry.who, entry.what)).collect()
}

#[test]
fn both_nodes_tell_the_whole_story() {
    let (mut a, mut b) = (Timeline::new("pi-a", []), Timeline::new("pi-b", []));
    a.record(at(0), "pi-a", "entered NORMAL", "in step");
    b.record(at(1), "pi-b", "lost the link", "a cable was pulled");
    b.record(at(9), "pi-b", "entered COMMUNICATIONS-INTERRUPTED", "the link is lost");
    a.record(at(9), "pi-a", "entered COMMUNICATIONS-INTERRUPTED", "the link is lost");
    let of_b: Vec<Entry> = b.own_after(a.highest("pi-b")).cloned().collect();
    assert_eq!(of_b.len(), 2);
    for entry in &of_b {
        assert!(a.take_in(entry.clone()).is_some());
        assert!(a.take_in(entry.clone()).is_none(), "known by now");
    }
    for entry in a.own_after(b.highest("pi-a")).cloned().collect::<Vec<_>>() {
        b.take_in(entry);
    }
    assert_eq!(texts(&a), texts(&b));
    assert_eq!(texts(&a).len(), 4);
    assert_eq!(b.own_after(a.highest("pi-b")).count(), 0, "nothing is left to send");
}

#[test]
fn numbers_rise_whatever_the_clock_does() {
    let mut timeline = Timeline::new("pi-a", []);
    let first = timeline.record(at(0), "pi-a", "a", "");
    let second = timeline.record(at(-86_400), "pi-a", "b", "");
    let in_1970 = timeline.record(Timestamp::from_second(-5).unwrap(), "pi-a", "c", "");
    assert!(first.seq < second.seq && second.seq < in_1970.seq);
}

#[test]
fn a_lost_folder_does_not_hide_new_events_from_the_partner() {
    let mut before = Timeline::new("pi-b", []);
    let mut a = Timeline::new("pi-a", []);
    a.take_in(before.record(at(0), "pi-b", "started", ""));
    let mut after = Timeline::new("pi-b", []);
    after.record(at(60), "pi-b", "started", "");
    assert_eq!(after.own_after(a.highest("pi-b")).count(), 1);
}

#[test]
fn what_is_kept_is_bounded_in_number_and_age() {
    let mut timeline = Timeline::new("pi-a", []);
    for n in 0..1500 {
        timeline.record(at(n), "pi-a", "x", "");
    }
    assert_eq!(timeline.all().count(), KEPT);
    assert_eq!(timeline.all().next().unwrap().at, at(500));
    timeline.record(at(91 * 86_400), "pi-a", "much later", "");
    assert_eq!(timeline.all().count(), KEPT_ALWAYS);
    for n in 0..10 {
        let entry = Entry { node: format!("host-{n}"), ..timeline.all().next().unwrap().clone() };
        timeline.take_in(entry);
    }
    assert!(timeline.nodes.len() <= 4);
    assert!(timeline.nodes.contains_key("pi-a"));
}

#[test]
fn what_the_partner_says_itself_is_not_told_twice() {
    let mut a = Timeline::new("pi-a", []);
    a.record(at(0), "pi-b", "entered NORMAL", "it said so");
    assert_eq!(a.latest(10).len(), 1, "a partner of an earlier version sends no timeline");
    let mut b = Timeline::new("pi-b", []);
    a.take_in(b.record(at(1), "pi-b", "entered NORMAL", "in step"));
    assert_eq!(a.latest(10).len(), 1);
    assert_eq!(a.latest(10)[0].why, "in step");
    a.record(at(4000), "pi-b", "entered NORMAL", "it said so again");
    assert_eq!(a.latest(10).len(), 2);
}

#[test]
fn a_partner_writes_no_events_in_this_nodes_name_and_no_novels() {
    let mut a = Timeline::new("pi-a", []);
    let mut forged = Timeline::new("pi-a", []);
    assert!(a.take_in(forged.record(at(0), "pi-a", "x", "")).is_none());
    let mut b = Timeline::new("pi-b", []);
    let long = b.record(at(0), "pi-b", "x", &"very \u{7}long ".repeat(1000));
    let taken = a.take_in(long).unwrap();
    assert_eq!(taken.why.chars().count(), TEXT);
    assert!(!taken.why.contains('\u{7}'));
}
