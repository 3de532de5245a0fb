//! The history of questions on the command line.

use super::*;

#[test]
fn questions_are_lines_with_who_what_and_why_and_nothing_that_steers_a_terminal() {
    let house =
        Household { hostile_name: "cam\u{1b}[2J\u{202e}era".into(), ..Household::in_order() };
    let ran = ask(&house, &["queries", "--blocked", "--device", "camera", "--not", "type=PTR"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.out.contains('\u{1b}') && !ran.out.contains('\u{202e}'), "{:?}", ran.out);
    let line = ran.out.lines().next().expect("a line");
    assert!(
        line.ends_with("pi-a  cam[2Jera  x.ads.example A  blocked by Advertising (ads.example)"),
        "{line}"
    );
    assert!(ran.out.contains("There is more: --before 77"));
    let asked = house.done.lock().expect("unpoisoned").join(" ");
    for term in [r#"("device", "camera")"#, r#"("verdict", "blocked")"#, r#"("type", "PTR")"#] {
        assert!(asked.contains(term), "{term} in {asked}");
    }
    let json = ask(&house, &["queries", "--json"]).json();
    assert_eq!(json["queries"][0]["rule"]["list"], "Advertising");
}

#[test]
fn a_host_that_is_missing_is_said() {
    let house = Household { partner_up: false, ..Household::in_order() };
    let ran = ask(&house, &["queries"]);
    assert!(ran.out.contains("pi-b is missing: no link to it since 14:03"), "{ran:?}");
    assert_eq!(ask(&house, &["forget", "--everything"]).code, 3, "not everywhere");
}

#[test]
fn a_follower_begins_with_what_comes_next() {
    let house = Household::in_order();
    let ran = ask(&house, &["tail", "--json", "--seconds", "1"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let first: Value = serde_json::from_str(ran.out.lines().next().expect("a line")).expect("JSON");
    assert_eq!(first["name"], "x.ads.example");
    let asked = house.done.lock().expect("unpoisoned").clone();
    assert!(asked[0].contains("after: None") && asked[1].contains("after: Some(\"pi-a:78\")"));
}

#[test]
fn statistics_and_forgetting_are_sentences() {
    let house = Household::in_order();
    let ran = ask(&house, &["stats"]);
    assert!(ran.out.contains("41203 questions in 24 hours, 7416 blocked (18.0 %)."), "{ran:?}");
    assert!(ran.out.contains("half took at most 15 ms, 9 of 10 50 ms, 99 of 100 -."), "{ran:?}");
    let ran = ask(&house, &["forget", "--domain", "ads.example"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "12 questions are forgotten.\n"));
    let noon = "2026-11-27T12:00:00Z";
    let ran = ask(&house, &["forget", "--everything", "--from", noon, "--to", noon]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let asked = house.done.lock().expect("unpoisoned").last().cloned();
    let noon_ms = "Some(1795780800000)";
    assert_eq!(asked, Some(format!("forget Everything {noon_ms} {noon_ms}")));
    assert_eq!(ask(&house, &["forget", "--everything", "--from", "tea"]).code, 1);
    assert_eq!(ask(&house, &["forget"]).code, 2, "what?");
    assert_eq!(ask(&house, &["forget", "--from", "2h"]).code, 2, "whose?");
    assert_eq!(ask(&house, &["queries", "--not", "tv"]).code, 1);
}
