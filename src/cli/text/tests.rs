use super::*;

fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

#[test]
fn a_table_stays_within_80_columns_and_cuts_only_the_widest_column() {
    let long = "x".repeat(200);
    let lines = table(&["ADDRESS", "NAME", "STATE"], &[row(&["10.0.20.5", &long, "active"])]);
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:?}");
    assert!(lines[1].starts_with("10.0.20.5  xxx"), "{}", lines[1]);
    assert!(lines[1].ends_with("x…  active"), "{}", lines[1]);
}

#[test]
fn names_cannot_steer_the_terminal_or_turn_the_line_around() {
    assert_eq!(clean("a\u{1b}[31mred\u{7}\r\n\u{202e}b"), "a[31mredb");
    let lines = table(&["NAME"], &[row(&["evil\u{1b}]0;title\u{7}"])]);
    assert_eq!(lines[1], "evil]0;title");
}

#[test]
fn lengths_of_time_have_at_most_two_units() {
    let of = |secs| for_long(secs);
    assert_eq!(of(0), "0 s");
    assert_eq!(of(59), "59 s");
    assert_eq!(of(61), "1 min");
    assert_eq!(of(3600), "1 h");
    assert_eq!(of(3600 * 3 + 60 * 12), "3 h 12 min");
    assert_eq!(of(86_400), "1 d");
    assert_eq!(of(86_400 * 2 + 3601), "2 d 1 h");
}

#[test]
fn a_time_that_is_none_is_a_dash() {
    assert_eq!(from_now(None), "-");
    assert_eq!(from_now(Some("yesterday")), "-");
    assert!(from_now(Some("2000-01-01T00:00:00Z")).ends_with(" ago"));
    assert!(from_now(Some("2300-01-01T00:00:00Z")).starts_with("in "));
}
