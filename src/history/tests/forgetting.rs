use super::*;

const MINUTE: i64 = 60_000;

/// From half past ten until just after noon, on a day that goes on.
fn morning(flushed: bool) -> Kept {
    let mut kept = Kept::new();
    kept.take(&[
        (-90 * MINUTE, event("10.0.20.7", "half-past-ten.example")),
        (-40 * MINUTE, event("10.0.20.7", "early.example")),
        (-40 * MINUTE + 59_999, blocked("10.0.20.8", "x.ads.example", "ads.example")),
        (-20 * MINUTE, event("10.0.20.8", "later.example")),
        (-MINUTE, event("10.0.20.7", "before-noon.example")),
        (30_000, event("10.0.20.7", "noon.example")),
    ]);
    if flushed {
        kept.flush();
    }
    kept
}

fn between(from: i64, to: i64) -> Span {
    Span::around(Some(NOON + from), Some(NOON + to))
}

fn minutes(kept: &Kept) -> Vec<i64> {
    let all = kept.history.statistics(24).expect("readable").minutes;
    let noon = NOON / MINUTE;
    all.iter().filter(|m| m.counts().next().is_some()).map(|m| m.minute - noon).collect()
}

#[test]
fn what_is_of_a_time_is_forgotten_to_the_minute_and_the_rest_is_counted_as_before() {
    for flushed in [false, true] {
        let kept = morning(flushed);
        assert_eq!(minutes(&kept), [-90, -40, -20, -1, 0]);
        let span = between(-40 * MINUTE + 10_000, -20 * MINUTE);
        assert_eq!(kept.history.forget(Forget::Everything, span), Ok(2), "the minute is whole");
        let kept = check(kept);
        // Nor is it back, or counted twice, after a restart.
        check(kept.again());
    }
    fn check(kept: Kept) -> Kept {
        let names =
            ["noon.example", "before-noon.example", "later.example", "half-past-ten.example"];
        assert_eq!(kept.names(&Filter::default()), names);
        assert_eq!(minutes(&kept), [-90, -20, -1, 0]);
        let sums = kept.sums();
        assert_eq!((sums.all(), sums.latency.all(), sums.lists.len()), (4, 4, 0));
        assert_eq!(sums.clients[&ip("10.0.20.7")], Count { all: 3, blocked: 0 });
        assert_eq!(sums.clients[&ip("10.0.20.8")], Count { all: 1, blocked: 0 });
        for name in ["early.example", "ads.example"] {
            assert!(!kept.holds(name), "{name}");
        }
        kept
    }
}

#[test]
fn a_device_is_forgotten_for_a_time_only() {
    for flushed in [false, true] {
        let kept = morning(flushed);
        let of_device = Forget::Clients(vec![ip("10.0.20.7")]);
        assert_eq!(kept.history.forget(of_device, between(-50 * MINUTE, 0)), Ok(2));
        let names = ["noon.example", "later.example", "x.ads.example", "half-past-ten.example"];
        assert_eq!(kept.names(&Filter::default()), names);
        assert_eq!(kept.sums().clients[&ip("10.0.20.7")], Count { all: 2, blocked: 0 });
        assert_eq!(kept.sums().all(), 4);
        assert!(kept.holds("10.0.20.7"), "what it asked at other times stays");
        assert_eq!(minutes(&kept), [-90, -40, -20, -1, 0], "a minute does not tell whose it is");
    }
}

#[test]
fn a_domain_is_forgotten_for_a_time_only_as_a_rule_too() {
    let mut kept = Kept::new();
    kept.take(&[
        (-31 * MINUTE, blocked("10.0.20.8", "x.ads.example", "ads.example")),
        (-30 * MINUTE, blocked("10.0.20.8", "shop.example", "ads.example")),
        (40_000, blocked("10.0.20.8", "shop.example", "ads.example")),
    ]);
    kept.flush();
    let of_domain = Forget::Domain("ads.example".into());
    assert_eq!(kept.history.forget(of_domain.clone(), between(-50 * MINUTE, 0)), Ok(1));
    let rule = |row: &Row| row.answer.rule.as_ref().and_then(|rule| rule.rule.clone());
    let shops: Vec<_> =
        kept.page(&Filter::default()).rows.iter().filter(|r| r.is_blocked()).map(rule).collect();
    assert_eq!(shops, [Some("ads.example".into()), None]);
    assert!(!kept.holds("x.ads.example") && kept.holds("ads.example"));
    assert_eq!(kept.history.forget(of_domain, between(0, MINUTE)), Ok(0));
    assert!(!kept.holds("ads.example"), "now no row has it");
}

#[test]
fn a_domain_is_forgotten_as_a_rule_in_what_no_disk_has_taken_too() {
    let mut kept = Kept::new();
    kept.take(&[(0, blocked("10.0.20.8", "shop.example", "ads.example"))]);
    let of_domain = Forget::Domain("ads.example".into());
    assert_eq!(kept.history.core.lock().forget(&of_domain, Span::ALL), 0);
    kept.flush();
    assert!(kept.holds("shop.example") && !kept.holds("ads.example"));
}

#[test]
fn of_an_hour_whose_questions_are_gone_all_is_forgotten() {
    let mut kept = Kept::new();
    let ago = |days: i64, hour: i64| -days * DAY_MS + hour * 60 * MINUTE;
    kept.take(&[
        (ago(3, 0) + 5 * MINUTE, event("10.0.20.7", "a.example")),
        (ago(3, 0) + 50 * MINUTE, event("10.0.20.8", "b.example")),
        (ago(3, 1), event("10.0.20.8", "c.example")),
    ]);
    kept.flush();
    let files = std::fs::read_dir(kept.dir.path().join("history")).expect("a folder");
    let of_day = files.map(|file| file.expect("a file").path());
    let of_day = of_day.filter(|path| path.display().to_string().contains("2026-11-24.db"));
    of_day.for_each(|path| std::fs::remove_file(path).expect("removed"));
    let names = |kept: &Kept| {
        let sums = kept.history.statistics(24 * 7).expect("readable").sums;
        let names = sums.top_names(9);
        names.into_iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&kept), ["a.example", "b.example", "c.example"]);
    let span = between(ago(3, 0) + 40 * MINUTE, ago(3, 1));
    assert_eq!(kept.history.forget(Forget::Everything, span), Ok(0));
    assert_eq!(names(&kept), ["c.example"]);
}
