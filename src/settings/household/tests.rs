use super::*;

const SAMPLE: &str = include_str!("../../../packaging/household.toml");

/// Every mistake of a broken file, one line each.
fn mistakes(text: &str) -> Vec<String> {
    match Declared::parse("household.toml", text.to_owned()) {
        Ok(declared) => declared.warnings.findings().iter().map(ToString::to_string).collect(),
        Err(report) => report.findings().iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_sample_has_no_mistakes_and_says_what_its_comments_say() {
    let declared = Declared::parse("household.toml", SAMPLE.to_owned()).expect("no mistakes");
    assert_eq!(declared.warnings.findings(), []);
    let host = HostView {
        node: "pi-a".into(),
        addresses: vec!["10.0.10.12".parse().expect("address")],
        partner_addresses: vec!["10.0.10.13".parse().expect("address")],
        ..HostView::default()
    };
    let effective = derive(&declared.records, &host);
    assert_eq!(effective.problems, []);
    assert_eq!(effective.dhcp.networks.len(), 4);
    assert_eq!(effective.policies.policies.len(), 4, "three and the default");
    let names: Vec<&str> = effective.reserved_names.iter().map(|name| &*name.name).collect();
    assert_eq!(names, ["printer.home.arpa", "camera.home.arpa"]);
    let home = &effective.dhcp.networks["home"];
    assert_eq!(home.server_addr, Some([10, 0, 10, 12].into()));
    assert_eq!(home.pools.len(), 3, "two holes");
    assert_eq!(effective.upstreams.groups[0].servers.len(), 2);
    assert_eq!(effective.upstreams.groups.len(), 3);
    assert_eq!(effective.upstreams.zones.len(), 2);
    assert_eq!(effective.mclt.as_secs(), 3600);
}

#[test]
fn every_mistake_is_told_at_once_with_line_column_cause_and_fix() {
    let text = r#"domian = "home.arpa"

[[network]]
id = "iot"
subnet = "10.0.20.1/24"
policy = "strikt"

[network.dhcp]
pools = ["10.0.30.5-10.0.30.9", "10.0.20.300-10.0.20.9", "10.0.20.9-10.0.20.5"]
lease_time = 24

[[policy]]
id = "strict"
blocking = "yes"

[[reservation]]
network = "iot"
address = "10.0.20.5"
"#;
    assert_eq!(
        mistakes(text),
        [
            "household.toml:1:1: error: Unknown key `domian`. Did you mean `domain`?",
            "household.toml:5:10: error: 10.0.20.1 is an address inside 10.0.20.0/24, not the \
             subnet. Write 10.0.20.0/24.",
            "household.toml:9:33: error: 10.0.20.300 is not an IPv4 address: each part goes to \
             255. Write an address such as 10.0.20.5.",
            "household.toml:9:58: error: End of range is before the start. Write \
             10.0.20.5-10.0.20.9.",
            "household.toml:10:14: error: 24 is not a length of time. Write a number and a unit \
             in quotes: \"10s\", \"90m\", \"24h\" or \"7d\".",
            "household.toml:14:12: error: yes is neither true nor false. Write true or false, \
             without quotes.",
            "household.toml:16:1: error: The reservation does not say whose it is. Add mac = \
             \"02:00:5e:10:00:01\", or client_id.",
        ]
    );
}

#[test]
fn what_does_not_fit_together_points_at_both_places() {
    let text = r#"[[network]]
id = "home"
subnet = "10.0.0.0/16"

[[network]]
id = "iot"
subnet = "10.0.30.0/24"

[[network]]
id = "work"
subnet = "10.1.0.0/24"
policy = "famly"
[network.dhcp]
pools = ["10.0.30.5-10.1.0.9", "10.1.0.20-10.1.0.40", "10.1.0.30-10.1.0.50"]

[[policy]]
id = "family"
lists = ["adds"]

[[list]]
id = "ads"
builtin = true

[[reservation]]
network = "work"
mac = "02:00:5e:10:00:01"
address = "10.1.0.77"
name = "camera"

[[reservation]]
network = "work"
mac = "02:00:5e:10:00:02"
address = "10.1.0.77"

[[reservation]]
network = "wrok"
mac = "02:00:5e:10:00:02"
address = "10.1.0.78"
"#;
    assert_eq!(
        mistakes(text),
        [
            "household.toml:7:10: error: 10.0.30.0/24 of *iot* overlaps 10.0.0.0/16 of *home*. \
             Give each network a subnet of its own. (see household.toml:3:10)",
            "household.toml:12:10: error: There is no policy *famly*. Did you mean `family`?",
            "household.toml:14:10: error: 10.0.30.5 is outside *work* 10.1.0.0/24. Use addresses \
             from 10.1.0.1 to 10.1.0.254. (see household.toml:11:10)",
            "household.toml:14:55: error: The pool 10.1.0.30-10.1.0.50 overlaps the pool \
             10.1.0.20-10.1.0.40. Leave the shared addresses in one of them. (see \
             household.toml:14:32)",
            "household.toml:18:10: error: There is no list *adds*. Did you mean `ads`?",
            "household.toml:33:11: error: 10.1.0.77 is reserved for *camera* \
             (02:00:5e:10:00:01). Keep one of the two reservations, or change this one. (see \
             household.toml:27:11)",
            "household.toml:36:11: error: There is no network *wrok*. Did you mean `work`?",
        ]
    );
}

#[test]
fn a_circle_of_aliases_points_at_each_and_the_next() {
    let record = |name: &str, value: &str| {
        format!("[[record]]\nname = \"{name}\"\ntype = \"CNAME\"\nvalue = \"{value}\"\n")
    };
    let told = mistakes(&(record("a", "b") + &record("b", "a")));
    let expected = [
        "household.toml:4:9: error: a.home.arpa leads back to itself: a.home.arpa, b.home.arpa, \
         a.home.arpa. Have one of these CNAME records lead to a host. (see household.toml:8:9)",
        "household.toml:8:9: error: b.home.arpa leads back to itself: b.home.arpa, a.home.arpa, \
         b.home.arpa. Have one of these CNAME records lead to a host. (see household.toml:4:9)",
    ];
    assert_eq!(told, expected);
}

#[test]
fn broken_syntax_is_told_alone_and_all_of_it() {
    let told = mistakes("domain = \nupstreams = [\"9.9.9.9\"\n[[network]\nid = \"a\"\n");
    assert!(told.len() >= 2, "{told:#?}");
    assert!(told[0].starts_with("household.toml:1:"), "{told:#?}");
    assert!(told.iter().all(|line| line.contains("error")), "{told:#?}");
}

#[test]
fn a_record_given_twice_is_told_with_the_first() {
    let text = "[[rule]]\nkind = \"deny\"\nname = \"ads.example\"\n\n\
                [[rule]]\nkind = \"deny\"\nname = \"ADS.example.\"\n";
    assert_eq!(
        mistakes(text),
        ["household.toml:5:1: error: There is a rule *deny-ads.example* already. Give each its \
          own id, or leave one of them out. (see household.toml:1:1)"]
    );
}

#[test]
fn a_table_with_one_bracket_too_few_is_told_as_that() {
    assert_eq!(
        mistakes("[network]\nid = \"a\"\n"),
        [
            "household.toml:1:2: error: There may be several of `network`. Write its header with two \
          brackets: [[network]]"
        ]
    );
}

#[test]
fn a_short_lease_is_in_force_with_a_warning_and_one_too_short_is_refused() {
    let of = |time: &str| {
        format!("[[network]]\nid = \"a\"\nsubnet = \"10.0.0.0/24\"\ndhcp.lease_time = \"{time}\"\n")
    };
    let declared = Declared::parse("household.toml", of("20s")).expect("a warning only");
    assert_eq!(declared.warnings.findings().len(), 1);
    let effective = derive(&declared.records, &HostView::default());
    assert_eq!(effective.dhcp.networks["a"].lease_time.as_secs(), 20);
    assert!(mistakes(&of("5s"))[0].contains("4:19: error: A lease of 5s is too short"));
}

#[test]
fn one_mistake_is_not_told_again_as_its_consequence() {
    let text = "[[list]]\nid = \"ads\"\nurl = \"lists.example\"\n\n\
                [[policy]]\nid = \"family\"\nlists = [\"ads\"]\n";
    assert_eq!(
        mistakes(text),
        ["household.toml:3:7: error: lists.example is not a web address. Write it such as \
          https://lists.example/ads.txt."]
    );
}

#[test]
fn a_place_in_a_list_with_an_unreadable_element_is_not_guessed() {
    let text = "[[network]]\nid = \"a\"\nsubnet = \"10.0.0.0/24\"\npolicy = \"none\"\n\
                dhcp.pools = [\"x\", \"10.0.1.5\"]\n";
    assert_eq!(
        mistakes(text),
        [
            "household.toml:4:10: error: There is no policy *none*. There are: default.",
            "household.toml:5:15: error: x is not an IPv4 address: it has four numbers with dots \
             between them. Write an address such as 10.0.20.5.",
        ]
    );
}

#[test]
fn the_report_shows_the_lines_and_a_caret() {
    let text = "[[network]]\nid = \"a\"\nsubnet = \"10.0.0.0/33\"\n";
    let report = Declared::parse("household.toml", text.to_owned()).expect_err("a mistake");
    let shown = report.render(false);
    for part in [
        "/33 is not a prefix length: it goes from 0 to 32.",
        "household.toml:3:10",
        "subnet = \"10.0.0.0/33\"",
        "────",
        "help: Write it such as 10.0.0.0/24.",
    ] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
}

#[test]
fn several_records_of_a_name_are_kept_in_order() {
    let text = "[[record]]\nname = \"nas\"\ntype = \"A\"\nvalue = \"10.0.0.1\"\n\
                [[record]]\nname = \"nas\"\ntype = \"a\"\nvalue = \"10.0.0.2\"\n";
    let declared = Declared::parse("household.toml", text.to_owned()).expect("no mistakes");
    let keys: Vec<&String> = declared.records.keys().collect();
    assert_eq!(keys, ["record/a-nas", "record/a-nas-2"]);
}

#[test]
fn only_what_differs_is_written_and_what_is_no_longer_declared_is_removed() {
    let text = "domain = \"home.arpa\"\n[[rule]]\nkind = \"deny\"\nname = \"a.example\"\n";
    let declared = Declared::parse("household.toml", text.to_owned()).expect("no mistakes");
    let mut document = declared.records.clone();
    document.insert("rule/deny-old.example".into(), "{}".into());
    document.insert("rule/mine".into(), "{}".into());
    document.insert("setting/domain".into(), "\"lan\"".into());
    // The same JSON in other words is no difference.
    let rule = &declared.records["rule/deny-a.example"];
    document.insert("rule/deny-a.example".into(), format!(" {rule} "));
    document.insert("declared/pi-a".into(), r#"["rule/deny-old.example","list/gone"]"#.into());
    document.insert("declared/pi-b".into(), r#"["rule/mine"]"#.into());
    let note = r#"["rule/deny-a.example","setting/domain"]"#;
    let writes = declared.writes("pi-a", &document);
    assert_eq!(
        writes,
        [
            ("declared/pi-a".to_owned(), Some(note.to_owned())),
            ("setting/domain".to_owned(), Some("\"home.arpa\"".to_owned())),
            ("rule/deny-old.example".to_owned(), None),
        ]
    );
    for (key, value) in writes {
        match value {
            Some(value) => document.insert(key, value),
            None => document.remove(&key),
        };
    }
    assert_eq!(declared.writes("pi-a", &document), [], "nothing is left to do");
    assert_eq!(declared_by(&document, "setting/domain"), Some("pi-a"));
    assert_eq!(declared_by(&document, "rule/mine"), Some("pi-b"));
    assert_eq!(declared_by(&document, "rule/other"), None);
}

#[test]
fn cut_and_twisted_samples_never_panic() {
    let letters: Vec<char> = SAMPLE.chars().collect();
    for cut in (0..letters.len()).step_by(37) {
        let text: String = letters[..cut].iter().collect();
        let _ = Declared::parse("household.toml", text);
        let mut twisted = letters.clone();
        twisted.swap(cut, letters.len() - 1 - cut);
        let _ = Declared::parse("household.toml", twisted.into_iter().collect());
    }
}
