use super::*;

const HOUR: i64 = 3_600_000;

fn three_hours() -> Vec<(i64, Event)> {
    let mut events = Vec::new();
    for hour in -2..=0 {
        for n in 0..10 {
            events.push((hour * HOUR + n, event("10.0.20.7", "www.example")));
        }
        events.push((hour * HOUR + 20, blocked("10.0.20.7", "x.ads.example", "ads.example")));
        events.push((hour * HOUR + 21, forwarded("10.0.30.9", "news.example.org", 12)));
    }
    events
}

fn check(sums: &Sums) {
    assert_eq!(sums.all(), 36);
    assert_eq!(sums.how[&Answered::Cached], 30);
    assert_eq!(sums.how[&Answered::Blocked], 3);
    let www: Arc<str> = "www.example".into();
    assert_eq!(sums.top_names(1), [(www, 30)]);
    assert_eq!(sums.top_blocked(9), [("x.ads.example".into(), 3)]);
    let clients = sums.top_clients(9);
    assert_eq!(clients[0], (ip("10.0.20.7"), Count { all: 33, blocked: 3 }));
    assert_eq!(clients[1], (ip("10.0.30.9"), Count { all: 3, blocked: 0 }));
    assert_eq!(sums.lists[&Arc::from("ads")], 3);
    assert_eq!(sums.types[&1], 36);
    assert_eq!(sums.latency.all(), 36);
    assert_eq!(sums.latency.percentile_us(0.5), Some(15_000));
    assert_eq!(sums.upstreams[&Arc::from("upstream 1")].all(), 3);
}

#[test]
fn hours_add_up_from_memory_from_the_file_and_after_a_restart() {
    let mut kept = Kept::new();
    kept.take(&three_hours());
    check(&kept.sums());
    kept.flush();
    assert_eq!(kept.history.core.lock().hours.len(), 1, "two hours are over");
    check(&kept.sums());
    let kept = kept.again();
    check(&kept.sums());
    let kept = kept.again();
    check(&kept.sums());
}

#[test]
fn an_hour_that_a_crash_has_cost_is_counted_again() {
    let mut kept = Kept::new();
    kept.take(&three_hours());
    kept.flush();
    // The running hour stands in no file of sums, nor do those after the crash.
    let mut kept = kept.killed();
    check(&kept.sums());
    kept.take(&[(30, event("10.0.20.7", "www.example"))]);
    assert_eq!(kept.sums().all(), 37);
}

#[test]
fn minutes_are_kept_over_a_restart() {
    let mut kept = Kept::new();
    kept.take(&three_hours());
    let minutes = |kept: &Kept| kept.history.statistics(24).expect("readable").minutes;
    let before = minutes(&kept);
    assert_eq!(before.len(), 3);
    assert_eq!(before[0].of(Answered::Cached), 10);
    assert_eq!(before[0].minute, (NOON - 2 * HOUR) / 60_000);
    let kept = kept.again();
    assert_eq!(minutes(&kept), before);
}

#[test]
fn only_the_hours_asked_for_are_summed() {
    let mut kept = Kept::new();
    kept.take(&three_hours());
    kept.flush();
    assert_eq!(kept.history.statistics(1).expect("readable").sums.all(), 12);
    assert_eq!(kept.history.statistics(2).expect("readable").sums.all(), 24);
    assert_eq!(kept.history.statistics(2).expect("readable").from_ms, NOON - HOUR);
}

#[test]
fn an_hour_keeps_its_most_frequent_names_only() {
    let mut kept = Kept::new();
    for n in 0..300 {
        let name = format!("n{n}.example");
        for again in 0..=n % 3 {
            kept.take(&[(-HOUR + n * 10 + again, event("10.0.20.7", &name))]);
        }
    }
    kept.flush();
    let sums = kept.sums();
    assert_eq!(sums.all(), 600, "all are counted");
    assert_eq!(sums.names.len(), 100);
    assert!(sums.names.values().all(|count| count.all == 3));
}

#[test]
fn another_hosts_sums_are_added() {
    let (mut here, mut there) = (Kept::new(), Kept::new());
    here.take(&three_hours()[..12]);
    there.take(&three_hours()[12..]);
    let mut sums = here.sums();
    sums.merge(&there.sums());
    check(&sums);
}
