use super::*;

fn at(level: Level) -> Kept {
    Kept::with(TempDir::new().expect("a folder"), |config| config.settings.level = level)
}

fn cloaked() -> Event {
    let mut event = blocked("10.0.20.7", "shop.example", "ads.example");
    if let Some(decision) = &mut event.decision {
        decision.target = Some("t.ads.example".parse().expect("a name"));
    }
    event
}

/// Whether the files hold the client, and any of the names.
fn told(kept: &Kept) -> (bool, bool) {
    kept.flush();
    let names = ["shop.example", "ads.example", "t.ads.example", "news.example.org"];
    (kept.holds("10.0.20.7"), names.iter().any(|name| kept.holds(name)))
}

/// An hour ago, so that its sums are written too.
fn take(kept: &mut Kept) {
    kept.take(&[
        (-3_600_000, cloaked()),
        (-3_599_999, forwarded("10.0.20.7", "news.example.org", 3)),
    ]);
}

#[test]
fn each_level_keeps_no_more_than_it_says() {
    for (level, clients, names) in [
        (Level::Everything, true, true),
        (Level::NoClients, false, true),
        (Level::NoNames, true, false),
        (Level::Numbers, false, false),
        (Level::Off, false, false),
    ] {
        let mut kept = at(level);
        take(&mut kept);
        assert_eq!(told(&kept), (clients, names), "{level:?}");
        let rows = kept.page(&Filter::default()).rows.len();
        assert_eq!(rows, if level == Level::Off { 0 } else { 2 });
        assert_eq!(kept.sums().all(), rows as u64);
        assert_eq!((level.clients(), level.names()), (clients, names));
    }
}

#[test]
fn a_stricter_level_is_in_force_at_once_for_what_waits_too() {
    let mut kept = at(Level::Everything);
    take(&mut kept);
    kept.history.set_settings(HistorySettings { level: Level::Numbers, ..Default::default() });
    assert_eq!(told(&kept), (false, false));
    assert_eq!(kept.page(&Filter::default()).rows.len(), 2);
    take(&mut kept);
    assert_eq!(told(&kept), (false, false));
    kept.history.set_settings(HistorySettings { level: Level::Off, ..Default::default() });
    take(&mut kept);
    kept.flush();
    assert_eq!(kept.page(&Filter::default()).rows.len(), 4, "what was kept before stays");
}

#[test]
fn a_row_without_a_name_meets_no_filter_about_names() {
    let mut kept = at(Level::NoNames);
    take(&mut kept);
    let shop = || vec![Term::Name("shop".into())];
    for _ in 0..2 {
        assert_eq!(kept.names(&Filter { include: shop(), ..Filter::default() }).len(), 0);
        assert_eq!(kept.names(&Filter { exclude: shop(), ..Filter::default() }).len(), 2);
        kept.flush();
    }
}

#[test]
fn what_is_forgotten_is_in_no_file_and_in_no_sum() {
    for flushed in [false, true] {
        let mut kept = at(Level::Everything);
        kept.take(&[
            (-DAY_MS, event("10.0.20.7", "news.example.org")),
            (-3_600_000, event("10.0.20.7", "old.example")),
            (0, cloaked()),
            (1, event("10.0.20.8", "deep.ads.example")),
            (2, event("10.0.20.8", "news.example.org")),
        ]);
        if flushed {
            kept.flush();
        }
        let forget = |what| kept.history.forget(what, Span::ALL).expect("forgotten");
        assert_eq!(forget(Forget::Domain("ads.example".into())), 1);
        assert_eq!(told(&kept), (true, true));
        assert!(!kept.holds("ads.example"), "nor as a rule or a target: flushed {flushed}");
        assert_eq!(forget(Forget::Clients(vec![ip("10.0.20.7")])), 3);
        assert!(!kept.holds("10.0.20.7"));
        assert_eq!(kept.names(&Filter::default()), ["news.example.org"]);
        assert_eq!(kept.sums().top_clients(9).len(), 1);
        assert_eq!(forget(Forget::Everything), 1);
        assert_eq!(told(&kept), (false, false));
        assert_eq!(kept.names(&Filter::default()).len(), 0);
        assert_eq!(kept.sums().all(), 0);
        assert_eq!(kept.history.statistics(24).expect("readable").minutes, []);
    }
}
