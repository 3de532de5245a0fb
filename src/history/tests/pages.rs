use super::*;

fn some() -> Kept {
    let mut kept = Kept::new();
    kept.take_all([
        event("10.0.20.7", "www.example"),
        blocked("10.0.20.7", "x.ads.example", "ads.example"),
        forwarded("10.0.30.9", "news.example.org", 12),
        event("fd00:30::9", "example"),
        blocked("10.0.30.9", "y.ads.example", "ads.example"),
    ]);
    kept
}

fn include(terms: impl Into<Vec<Term>>) -> Filter {
    Filter { include: terms.into(), ..Filter::default() }
}

fn exclude(terms: impl Into<Vec<Term>>) -> Filter {
    Filter { exclude: terms.into(), ..Filter::default() }
}

fn verdict(word: &str) -> Term {
    Term::Verdict(word.into())
}

#[test]
fn filters_mean_the_same_in_memory_and_in_the_file() {
    let kept = some();
    let all = ["y.ads.example", "example", "news.example.org", "x.ads.example", "www.example"];
    let phone = Term::Device(vec![ip("10.0.30.9"), ip("fd00:30::9")]);
    for flushed in [false, true] {
        if flushed {
            kept.flush();
            assert_eq!(kept.history.status().waiting, 0);
        }
        for (filter, expected) in [
            (Filter::default(), &all[..]),
            (include([verdict("blocked")]), &[all[0], all[3]]),
            (include([verdict("blocked"), verdict("forwarded")]), &[all[0], all[2], all[3]]),
            (exclude([verdict("blocked")]), &[all[1], all[2], all[4]]),
            (include([phone.clone()]), &all[..3]),
            (include([phone.clone(), verdict("blocked")]), &all[..1]),
            (include([Term::Network("10.0.20.0/24".parse().expect("net"))]), &all[3..]),
            (include([Term::Name("ADS".into())]), &[all[0], all[3]]),
            (include([Term::Suffix("example.".into())]), &[all[0], all[1], all[3], all[4]]),
            (include([Term::Suffix("ample".into())]), &[]),
            (include([Term::List("ads".into())]), &[all[0], all[3]]),
            (include([Term::List("Ads".into())]), &[]),
            (include([Term::Upstream("upstream 1".into())]), &all[2..3]),
            (include([Term::Type(28)]), &[]),
            (include([Term::Dnssec("secure".into())]), &all[2..3]),
            (exclude([Term::Suffix("ads.example".into()), phone.clone()]), &all[4..]),
            (Filter { from_ms: Some(NOON + 3), ..Filter::default() }, &all[..2]),
            (Filter { to_ms: Some(NOON + 1), ..Filter::default() }, &all[4..]),
        ] {
            assert_eq!(kept.names(&filter), expected, "{filter:?}, flushed: {flushed}");
        }
    }
}

#[test]
fn a_row_comes_back_from_the_file_as_it_went_in() {
    let kept = some();
    let before = kept.page(&Filter::default());
    kept.flush();
    assert_eq!(kept.page(&Filter::default()), before);
    let kept = kept.again();
    assert_eq!(kept.page(&Filter::default()), before);
    let rule = before.rows[0].answer.rule.clone().expect("a rule");
    assert_eq!((rule.list.as_ref(), rule.rule.as_deref()), ("ads", Some("ads.example")));
    let asked = &before.rows[2];
    assert_eq!(
        (asked.took_us, asked.answer.upstream.as_deref()),
        (Some(12_000), Some("upstream 1"))
    );
    assert_eq!(asked.seq.at(), Timestamp::from_millisecond(NOON + 2).expect("a moment"));
}

#[test]
fn pages_follow_each_other_without_a_gap_or_a_double() {
    let mut kept = Kept::new();
    let names: Vec<String> = (0..250).map(|n| format!("n{n}.example")).collect();
    kept.take_all(names[..90].iter().map(|name| event("10.0.20.7", name)));
    kept.flush();
    // Another day, and some that are not written yet.
    kept.take(&[(DAY_MS, event("10.0.20.7", &names[90]))]);
    kept.flush();
    for (at, name) in names.iter().enumerate().skip(91) {
        kept.take(&[(DAY_MS + at as i64, event("10.0.20.7", name))]);
    }
    for (filter, step) in [(Filter::default(), 1), (include([Term::Name("0.".into())]), 10)] {
        for limit in [1, 7, 30, 1000] {
            let (mut got, mut before) = (Vec::new(), None);
            loop {
                let page = kept.history.page(&filter, None, before, limit).expect("readable");
                got.extend(page.rows.iter().map(|row| row.name.clone().expect("a name")));
                assert!(page.rows.len() <= limit);
                before = page.next;
                if before.is_none() {
                    break;
                }
            }
            let expected: Vec<&String> = names.iter().step_by(step).rev().collect();
            assert_eq!(got.iter().map(|n| &**n).collect::<Vec<_>>(), expected, "pages of {limit}");
        }
    }
}

#[test]
fn rows_of_one_millisecond_have_an_order() {
    let mut kept = Kept::new();
    for name in ["a.example", "b.example", "c.example"] {
        kept.take(&[(0, event("10.0.20.7", name))]);
    }
    // The clock was set back: time stands still.
    kept.take(&[(-500, event("10.0.20.7", "d.example"))]);
    kept.flush();
    assert_eq!(
        kept.names(&Filter::default()),
        ["d.example", "c.example", "b.example", "a.example"]
    );
}

#[test]
fn what_came_after_a_row_is_told_for_whoever_follows() {
    let kept = some();
    let all = kept.page(&Filter::default());
    for flushed in [false, true] {
        if flushed {
            kept.flush();
        }
        let newer = kept.history.page(&Filter::default(), Some(all.rows[2].seq), None, 10);
        assert_eq!(newer.expect("readable").rows, all.rows[..2]);
        let none = kept.history.page(&Filter::default(), Some(all.rows[0].seq), None, 10);
        assert_eq!(none.expect("readable"), Page::default());
    }
}
