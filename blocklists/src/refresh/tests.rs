use super::*;

const HOUR: u64 = 3600;
const NOW: UnixSecs = UnixSecs(1_800_000_000);

fn ago(secs: u64) -> Option<UnixSecs> {
    Some(UnixSecs(NOW.0 - secs))
}

fn is_due(past: Past) -> bool {
    plan(NOW, &Pace::default(), 1, [("a", past)]).due == [0]
}

#[test]
fn a_list_never_fetched_is_due_at_once() {
    assert!(is_due(Past::default()));
}

#[test]
fn a_fetched_list_is_due_within_the_last_tenth_of_its_interval() {
    for seed in 0..200 {
        let past = Past { last_success: Some(NOW), last_attempt: Some(NOW), failures: 0 };
        let due = due_at(NOW, &Pace::default(), seed, "a", &past).0 - NOW.0;
        assert!((24 * HOUR * 9 / 10..=24 * HOUR).contains(&due), "{due}");
    }
}

#[test]
fn lists_and_installations_do_not_come_due_together() {
    let past = Past { last_success: Some(NOW), last_attempt: Some(NOW), failures: 0 };
    let due: std::collections::BTreeSet<_> = (0..20)
        .flat_map(|seed| ["a", "b"].map(|id| due_at(NOW, &Pace::default(), seed, id, &past)))
        .collect();
    assert!(due.len() > 30, "{}", due.len());
}

#[test]
fn failures_wait_longer_each_time_up_to_a_bound() {
    let waits: Vec<u64> = (1..13)
        .map(|failures| {
            let past = Past { last_success: None, last_attempt: Some(NOW), failures };
            due_at(NOW, &Pace::default(), 1, "a", &past).0 - NOW.0
        })
        .collect();
    assert!((27..=30).contains(&waits[0]), "{waits:?}");
    assert!((54..=60).contains(&waits[1]), "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= 6 * HOUR));
    assert!(waits[11] >= 6 * HOUR * 9 / 10, "{waits:?}");
}

#[test]
fn an_old_success_is_not_retried_at_once_after_a_failed_attempt() {
    assert!(!is_due(Past { last_success: ago(50 * HOUR), last_attempt: ago(20), failures: 1 }));
    assert!(is_due(Past { last_success: ago(50 * HOUR), last_attempt: ago(31), failures: 1 }));
}

#[test]
fn times_in_the_future_count_as_unknown() {
    let future = Some(UnixSecs(NOW.0 + 1000 * HOUR));
    assert!(is_due(Past { last_success: future, last_attempt: future, failures: 0 }));
    assert!(is_due(Past { last_success: future, last_attempt: future, failures: 3 }));
}

#[test]
fn the_plan_names_what_is_due_and_the_next_wake_up() {
    let old = Past { last_success: ago(25 * HOUR), last_attempt: ago(25 * HOUR), failures: 0 };
    let new = Past { last_success: ago(HOUR), last_attempt: ago(HOUR), failures: 0 };
    let plan = plan(NOW, &Pace::default(), 1, [("a", new), ("b", old), ("c", new)]);
    assert_eq!(plan.due, [1]);
    let next = plan.next.unwrap().0 - NOW.0;
    assert!((20 * HOUR..=23 * HOUR).contains(&next), "{next}");
    assert_eq!(super::plan(NOW, &Pace::default(), 1, []), Plan::default());
}

fn verdict(text: &str, before: Option<u64>) -> Result<(), Held> {
    judge(text.as_bytes(), &crate::inspect(text.as_bytes()).unwrap(), before, false)
}

#[test]
fn what_is_no_list_is_held() {
    assert_eq!(verdict("", Some(3)), Err(Held::Empty));
    assert_eq!(verdict(" \r\n \n", None), Err(Held::Empty));
    assert_eq!(verdict("\n<!DOCTYPE HTML><html>a.example</html>", None), Err(Held::Html));
    assert_eq!(verdict("<html>\na.example\n", None), Err(Held::Html));
    assert_eq!(verdict("{\"message\": \"not found\"}", None), Err(Held::NoDomainAtTheStart));
    assert_eq!(verdict("# only\n# comments\n", None), Err(Held::NoRules));
    assert_eq!(verdict("a.example\n", None), Ok(()));
}

#[test]
fn a_list_that_lost_more_than_half_is_held_until_someone_agrees() {
    let text = "a.example\nb.example\nc.example\nd.example\ne.example\n";
    assert_eq!(verdict(text, Some(10)), Ok(()));
    assert_eq!(verdict(text, Some(11)), Err(Held::Shrunk { before: 11, after: 5 }));
    let report = crate::inspect(text.as_bytes()).unwrap();
    assert_eq!(judge(text.as_bytes(), &report, Some(11), true), Ok(()));
    assert_eq!(verdict(text, None), Ok(()));
}
