use super::*;

const NOW: u64 = 1_795_000_000_000;

fn change(n: u8, key: &str, before: Option<&str>, after: Option<&str>) -> SettingsChange {
    SettingsChange {
        change: ChangeId([n; 32]),
        undoes: None,
        at: Time::from_millis(NOW - 1000 * u64::from(n)),
        author: "owner".to_owned(),
        node: "pi-a".to_owned(),
        id: key.to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    }
}

fn records(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(key, json)| ((*key).to_owned(), (*json).to_owned())).collect()
}

fn now() -> Timestamp {
    date(Time::from_millis(NOW))
}

#[test]
fn a_change_shows_the_fields_that_differ_and_whether_it_can_be_undone() {
    let list = r#"{"url":"https://lists.example/a.txt","enabled":true,"policies":["kids"]}"#;
    let off = r#"{"url":"https://lists.example/a.txt","enabled":false,"policies":["kids"]}"#;
    let changes = [
        change(1, "list/ads", Some(list), Some(off)),
        change(2, "network/iot", None, Some(r#"{"dhcp":{"pools":["10.0.0.1-10.0.0.9"]}}"#)),
    ];
    let now_there = records(&[("list/ads", off), ("network/iot", "{}")]);
    let rows = rows(&changes, &now_there, now());
    let [first, second] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(first.records[0].what, "list ads");
    assert_eq!(first.records[0].deed, Deed::Changed);
    let field = &first.records[0].fields;
    assert_eq!(field.len(), 1);
    assert_eq!(field[0].field, "enabled");
    assert_eq!(
        (field[0].before.as_deref(), field[0].after.as_deref()),
        (Some("true"), Some("false"))
    );
    assert_eq!(first.cannot_undo, None);
    assert_eq!(second.records[0].deed, Deed::Added);
    assert_eq!(second.records[0].fields[0].field, "dhcp.pools");
    let why = second.cannot_undo.as_deref().expect("it was changed since");
    assert!(why.contains("network/iot was changed again since"), "{why}");
}

#[test]
fn a_change_that_was_undone_says_so() {
    let undo = SettingsChange {
        undoes: Some(ChangeId([2; 32])),
        ..change(1, "list/ads", Some("1"), None)
    };
    let changes = [undo, change(2, "list/ads", None, Some("1"))];
    let rows = rows(&changes, &records(&[]), now());
    assert_eq!(rows[0].undoes.as_deref(), Some("02".repeat(32).as_str()));
    assert_eq!(rows[0].cannot_undo, None, "the undo can be undone");
    assert_eq!(rows[1].cannot_undo.as_deref(), Some("It was undone."));
}

#[test]
fn passwords_are_neither_shown_nor_set_back_and_notes_and_old_changes_are_left_out() {
    let secret = r#"{"password":"$argon2id$secret"}"#;
    let old = SettingsChange {
        at: Time::from_millis(NOW - 31 * 24 * 3_600_000),
        ..change(4, "rule/old", None, Some("1"))
    };
    let changes = [
        change(1, "user/owner", None, Some(secret)),
        change(3, "declared/pi-a", None, Some("[]")),
        old,
    ];
    let there = records(&[("user/owner", secret), ("declared/pi-a", "[]"), ("rule/old", "1")]);
    let rows = rows(&changes, &there, now());
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].records[0].what, "the owner's password");
    assert!(!format!("{rows:?}").contains("argon2"));
    assert!(rows[0].cannot_undo.is_some());
}

#[test]
fn colliding_values_show_what_differs_first_and_no_secrets() {
    let value = |n: u8, key: &str, json: &str| CollidingValue {
        value: json.to_owned(),
        by: Some(change(n, key, None, Some(json))),
    };
    let row = collision(
        "list/ads",
        &[
            value(1, "list/ads", r#"{"enabled":true,"name":"A","url":"u"}"#),
            value(2, "list/ads", r#"{"enabled":true,"name":"B","url":"u"}"#),
        ],
    );
    assert_eq!(row.values[0].fields[0].field, "name");
    assert!(row.values[0].fields[0].differs && !row.values[0].fields[1].differs);
    assert_eq!(row.values[1].id, "02".repeat(32));
    let row = collision("user/owner", &[value(1, "user/owner", r#"{"password":"p1"}"#)]);
    assert!(row.values[0].fields.is_empty());
}

#[test]
fn a_change_is_named_by_the_first_digits_of_its_id() {
    let changes = [change(0xab, "a/b", None, None), change(0xac, "a/b", None, None)];
    assert_eq!(find("ABAB", &changes), Ok(ChangeId([0xab; 32])));
    assert_eq!(whole(&"ab".repeat(32)), Some(ChangeId([0xab; 32])));
    assert_eq!(whole("abab"), None);
    assert!(find("abcd", &changes).unwrap_err().contains("no change"));
    assert!(find("ab", &changes).unwrap_err().contains("four or more"));
    assert!(find("zzzz", &changes).unwrap_err().contains("four or more"));
}
