//! The command line as a user meets it: the built program, its output and its exit codes.

mod fake;
mod first_start;
mod queries;
mod wrong_clock;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use fake::Household;
use serde_json::Value;

/// What the program did.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e} in {}", self.out))
    }
}

fn lanward(args: &[&str]) -> Ran {
    lanward_told(args, "")
}

/// Runs the program with `input` on its standard input.
fn lanward_told(args: &[&str], input: &str) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lanward"))
        .args(args)
        .env_remove("LANWARD_SOCKET")
        .env_remove("LANWARD_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("stdin");
    // It may well not read what it is told.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("the program ends");
    Ran {
        code: output.status.code().expect("an exit code"),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// Runs the program against `household`.
fn ask(household: &Household, args: &[&str]) -> Ran {
    told(household, args, "")
}

fn told(household: &Household, args: &[&str], input: &str) -> Ran {
    let folder = tempfile::tempdir().expect("folder");
    let socket = household.serve(folder.path());
    let socket = socket.to_str().expect("UTF-8");
    lanward_told(&[args, &["--socket", socket]].concat(), input)
}

#[test]
fn cached_answers_are_forgotten() {
    let household = Household::in_order();
    for (args, said) in [
        (&["flush"][..], "7 answers are forgotten on this host."),
        (
            &["flush", "cdn.example.com"],
            "One answer is forgotten for cdn.example.com on this host.",
        ),
        (&["flush", "cdn.example.com", "--below"], "3 answers are forgotten"),
        (&["flush", "other.example"], "No answer was cached for other.example on this host."),
    ] {
        let ran = ask(&household, args);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.contains(said), "{ran:?}");
    }
    assert_eq!(ask(&household, &["flush", "--below"]).code, 2);
    let ran = ask(&household, &["flush", "--json"]);
    assert!(ran.out.contains("\"forgotten\""), "{ran:?}");
}

#[test]
fn the_certificate_authority_is_printed_for_people_and_for_a_file() {
    let household = Household::in_order();
    let ran = ask(&household, &["ca"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for said in ["0B:0B", "2036-11-25", "dns.home.arpa", "-----END CERTIFICATE-----\n"] {
        assert!(ran.out.contains(said), "{said} in {ran:?}");
    }
    let ran = ask(&household, &["ca", "--pem"]);
    let pem = "-----BEGIN CERTIFICATE-----\nTUFERSBVUA==\n-----END CERTIFICATE-----\n";
    assert_eq!((ran.code, ran.out.as_str()), (0, pem));
    assert_eq!(ask(&household, &["ca", "--json"]).json()["name"], "dns.home.arpa");
}

#[test]
fn without_a_daemon_it_says_so_and_what_to_do() {
    let folder = tempfile::tempdir().expect("folder");
    let socket = folder.path().join("admin.sock");
    let socket = socket.to_str().expect("UTF-8");
    for verb in [&["status"][..], &["leases"], &["lists"], &["why", "a.example"], &["claim"]] {
        let ran = lanward(&[verb, &["--socket", socket]].concat());
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("no Lanward runs here"), "{ran:?}");
        assert!(ran.err.contains("lanward run") && ran.err.contains("--socket"), "{ran:?}");
        let ran = lanward(&[verb, &["--json", "--socket", socket]].concat());
        assert_eq!(ran.code, 1);
        assert!(ran.json()["error"].as_str().is_some_and(|e| e.contains("no Lanward")), "{ran:?}");
    }
}

#[test]
fn wrong_usage_is_exit_code_2_and_help_is_0() {
    for args in [&["dance"][..], &[], &["leases", "release", "10.0.0.300"], &["why"]] {
        let ran = lanward(args);
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(ran.out.is_empty(), "{ran:?}");
    }
    let ran = lanward(&["--help"]);
    assert_eq!(ran.code, 0);
    assert!(ran.out.lines().all(|line| line.chars().count() <= 80), "{}", ran.out);
    assert_eq!(lanward(&["--version"]).code, 0);
}

#[test]
fn status_tells_the_pair_and_exits_3_when_the_partner_is_down() {
    let ran = ask(&Household::in_order(), &["status"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("Both hosts up"), "{ran:?}");
    assert!(ran.out.contains("100 queries, 18 blocked"), "{ran:?}");
    let down = Household { partner_up: false, ..Household::in_order() };
    for args in [&["status"][..], &["pair", "status"], &["pair"]] {
        let ran = ask(&down, args);
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(ran.out.contains("pi-b down"), "{ran:?}");
        assert!(ran.out.contains("12 changes wait"), "{ran:?}");
        assert!(ran.out.lines().all(|line| line.chars().count() <= 80), "{}", ran.out);
    }
    let ran = ask(&down, &["status", "--json"]);
    assert_eq!(ran.code, 3);
    assert_eq!(ran.json()["pair"]["condition"], "partner_down");
    assert_eq!(ran.json()["severity"], "warning");
}

#[test]
fn status_tells_who_holds_which_service_address() {
    let down = Household { partner_up: false, ..Household::in_order() };
    let ran = ask(&down, &["status"]);
    let row = ran.out.lines().find(|line| line.starts_with("10.0.10.54 ")).unwrap_or_default();
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words, ["10.0.10.54", "home", "pi-a"], "{}", ran.out);
    let why = "10.0.10.54: pi-b does not answer, so pi-a holds it.";
    assert!(ran.out.contains(why), "{}", ran.out);
}

#[test]
fn health_is_an_exit_code() {
    let ran = ask(&Household::in_order(), &["health"]);
    assert_eq!((ran.code, &*ran.out), (0, "This host answers DNS.\n"), "{ran:?}");
    let silent = Household { partner_up: false, ..Household::in_order() };
    let ran = ask(&silent, &["health", "--json"]);
    assert_eq!((ran.code, &ran.json()["well"]), (1, &Value::from(false)), "{ran:?}");
    let nobody = lanward(&["--socket", "/nonexistent/admin.sock", "health"]);
    assert_eq!(nobody.code, 1, "{nobody:?}");
}

#[test]
fn leases_fit_80_columns_sort_by_number_and_carry_no_control_characters() {
    let household = Household {
        hostile_name: format!("<img src=x>\u{1b}[2J\u{202e}{}", "x".repeat(200)),
        ..Household::in_order()
    };
    let ran = ask(&household, &["leases"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.lines().all(|line| line.chars().count() <= 80), "{}", ran.out);
    assert!(!ran.out.contains('\u{1b}') && !ran.out.contains('\u{202e}'), "{:?}", ran.out);
    let at = |text: &str| ran.out.find(text).unwrap_or_else(|| panic!("{text}: {}", ran.out));
    assert!(at("10.0.10.100") < at("10.0.30.20") && at("10.0.30.20 ") < at("10.0.30.100"));
    assert!(ran.out.contains("in 3 h 12 min"), "{}", ran.out);
    let ran = ask(&household, &["leases", "list", "--network", "home", "--json"]);
    let rows = ran.json();
    assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
    assert_eq!(rows[0]["addr"], "10.0.10.100");
}

#[test]
fn names_tell_where_they_come_from_and_what_is_wrong() {
    let household = Household::in_order();
    let ran = ask(&household, &["names"]);
    assert_eq!(ran.code, 3, "a line of the hosts file is wrong: {ran:?}");
    let table = ran.out.lines().filter(|line| !line.ends_with('.'));
    assert!(table.clone().count() > 3, "{}", ran.out);
    assert!(table.clone().all(|line| line.chars().count() <= 80), "{}", ran.out);
    assert!(!ran.out.contains('\u{1b}'), "{:?}", ran.out);
    for text in ["hosts file:3", "Line 4 of the hosts file: x", "wpad.home.arpa is not the name of"]
    {
        assert!(ran.out.contains(text), "{text}: {}", ran.out);
    }
    let ran = ask(&household, &["names", "10.0.30"]);
    assert!(ran.out.contains("camera") && !ran.out.contains("nas."), "{}", ran.out);
    let ran = ask(&household, &["names", "--json"]);
    assert_eq!(ran.json()["names"][1]["source"], "hosts_file");
}

#[test]
fn an_address_is_reserved_for_whoever_has_it_in_the_network_it_lies_in() {
    let household = Household::in_order();
    let ran = ask(&household, &["leases", "reserve", "10.0.30.20", "--name", "plug"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(household.done(), ["reserve iot 02:00:5e:10:00:01 10.0.30.20 plug"]);
    assert!(ran.out.contains("In force on both hosts."), "{ran:?}");
    // Nobody has it, a wrong MAC, a taken address, no network: each is told.
    let args = |rest: &[&'static str]| [&["leases", "reserve"][..], rest].concat();
    for (args, told) in [
        (args(&["10.0.30.99"]), "nobody has 10.0.30.99"),
        (args(&["10.0.30.99", "--mac", "xx"]), "xx is not a MAC address"),
        (args(&["10.0.30.21", "--mac", "020000000001"]), "is reserved for *plug*"),
        (args(&["192.0.2.1", "--mac", "020000000001"]), "192.0.2.1 is in none of the networks"),
    ] {
        let ran = ask(&household, &args);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains(told), "{ran:?}");
    }
    assert_eq!(household.done().len(), 1, "nothing else was done");
}

#[test]
fn edits_say_where_they_are_in_force() {
    let household = Household { partner_up: false, ..Household::in_order() };
    let ran = ask(&household, &["leases", "release", "10.0.30.20"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("pi-b gets it when it is back"), "{ran:?}");
    let ran = ask(&household, &["leases", "unreserve", "10.0.30.20", "--json"]);
    assert_eq!(ran.json()["in_force"], "partner_later");
    let ran = ask(&household, &["leases", "unreserve", "10.0.30.21"]);
    assert!(ran.code == 1 && ran.err.contains("is not reserved"), "{ran:?}");
    let ran = ask(&household, &["leases", "release", "10.0.10.1"]);
    assert!(ran.code == 1 && ran.err.contains("not there any more"), "{ran:?}");
    assert_eq!(household.done(), ["release 10.0.30.20", "unreserve r1"]);
}

#[test]
fn lists_are_told_with_their_trouble_and_edited() {
    let failing = Household { list_error: Some("404 Not Found".into()), ..Household::in_order() };
    let ran = ask(&failing, &["lists"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.out.contains("failing") && ran.out.contains("ads: 404 Not Found"), "{ran:?}");
    let household = Household::in_order();
    let ran = ask(&household, &["lists"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("123456") && ran.out.contains("2 h 1 min ago"), "{ran:?}");
    for args in [
        &["lists", "add", "https://lists.example/x"][..],
        &["lists", "add", "/srv/ok.txt", "--allow", "--policy", "strict"],
        &["lists", "update", "ads"],
        &["lists", "disable", "ads"],
    ] {
        let ran = ask(&household, args);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    assert_eq!(
        household.done(),
        [
            "add https://lists.example/x Block family+strict",
            "add /srv/ok.txt Allow strict",
            "update Some(\"ads\")",
            "enable ads false",
        ]
    );
    let ran = ask(&household, &["lists", "remove", "ads"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("declared in /etc/lanward/household.toml"), "{ran:?}");
}

#[test]
fn why_names_list_and_rule_for_the_policy_a_client_has() {
    let household = Household::in_order();
    let ran = ask(&household, &["why", "https://ads.example/x?y"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for part in [
        "ads.example is blocked under policy family",
        "policy strict",
        "||ads.example^",
        "ads (Advertising)",
        "decides",
    ] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    let ran = ask(&household, &["why", "ads.example", "--client", "10.0.30.7", "--json"]);
    let policies = &ran.json()["policies"];
    assert_eq!(policies.as_array().map(Vec::len), Some(1), "{policies}");
    assert_eq!(policies[0]["policy"], "strict");
    let ran = ask(&household, &["why", "ads.example", "--client", "192.0.2.7"]);
    assert!(ran.code == 1 && ran.err.contains("in none of the networks"), "{ran:?}");
    let ran = ask(&household, &["why", "ads.example", "--policy", "strickt"]);
    assert!(ran.code == 1 && ran.err.contains("There are: family, strict."), "{ran:?}");
    let ran = ask(&household, &["why", "ads..example"]);
    assert!(ran.code == 1 && ran.err.contains("is not a domain name"), "{ran:?}");
}

#[test]
fn blocking_is_paused_for_whom_and_as_long_as_one_says() {
    let household = Household::in_order();
    for (args, done, said) in [
        (&["pause", "5m"][..], "pause all for 300 s", "paused for all devices for 5 min."),
        (&["pause"], "pause all until resumed", "until `lanward resume`."),
        (&["pause", "tomorrow"], "pause all until a time", "07:00."),
        (
            &["pause", "1h", "--network", "iot"],
            "pause network/iot for 3600 s",
            "network iot for 1 h.",
        ),
        (
            &["pause", "1h30m", "--device", "10.0.30.7"],
            "pause device/10.0.30.7 for 5400 s",
            "10.0.30.7 for 1 h 30 min.",
        ),
        (&["resume"], "resume everybody", "Blocking is on for all devices."),
        (&["resume", "--network", "iot"], "resume network/iot", "Blocking is on for network iot."),
    ] {
        let ran = ask(&household, args);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.contains(said) && ran.out.contains("In force on both hosts."), "{ran:?}");
        assert_eq!(household.done().last().map(String::as_str), Some(done));
    }
    for args in [&["pause", "soon"][..], &["pause", "5m", "--network", "a", "--device", "b"]] {
        assert_eq!(ask(&household, args).code, 2, "{args:?}");
    }
    assert_eq!(ask(&household, &["pause", "5m", "--device", ""]).code, 1);
}

#[test]
fn the_history_is_told_and_a_change_is_undone_by_the_first_digits_of_its_id() {
    let household =
        Household { hostile_name: "pi\u{1b}[31m-a".to_owned(), ..Household::in_order() };
    let ran = ask(&household, &["history"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for said in [
        "abababab  5 min ago  owner on",
        "list ads changed",
        "enabled: true -> false",
        "It was undone.",
    ] {
        assert!(ran.out.contains(said), "{said}: {ran:?}");
    }
    assert!(!ran.out.contains('\u{1b}'), "{ran:?}");
    assert_eq!(
        ask(&household, &["history", "-n", "1", "--json"]).json().as_array().map(Vec::len),
        Some(1)
    );
    let ran = ask(&household, &["history", "undo", "abababab"]);
    assert!(ran.out.starts_with("Undone. In force on both hosts."), "{ran:?}");
    assert_eq!(household.done(), ["undo abababab"]);
    let ran = ask(&household, &["history", "undo", "cdcdcdcd"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("changed again since"), "{ran:?}");
}

#[test]
fn what_was_edited_on_both_hosts_is_shown_and_settled_by_its_number() {
    let none = ask(&Household::in_order(), &["conflicts"]);
    assert_eq!((none.code, none.out.starts_with("No setting")), (0, true), "{none:?}");
    let household = Household { list_error: Some("404".to_owned()), ..Household::in_order() };
    let ran = ask(&household, &["conflicts"]);
    assert_eq!(ran.code, 3, "somebody has to choose: {ran:?}");
    for said in
        ["reservation/camera", "1  owner on pi-a", "name front", "2  owner on pi-b", "name garden"]
    {
        assert!(ran.out.contains(said), "{said}: {ran:?}");
    }
    assert!(!ran.out.contains("network iot"), "what they agree on helps nobody: {ran:?}");
    let ran = ask(&household, &["settle", "reservation/camera", "--take", "2"]);
    assert!(ran.out.contains("owner made it on pi-b. In force on both hosts."), "{ran:?}");
    assert_eq!(household.done(), ["settle reservation/camera b2"]);
    for args in [["settle", "reservation/camera", "--take", "3"], ["settle", "x/y", "--take", "1"]]
    {
        assert_eq!(ask(&household, &args).code, 1, "{args:?}");
    }
}

#[test]
fn a_password_travels_only_as_its_hash() {
    use argon2::Argon2;
    use argon2::password_hash::PasswordVerifier;
    use argon2::password_hash::phc::PasswordHash;
    let household = Household::in_order();
    let ran = told(&household, &["passwd"], "correct horse\n");
    assert_eq!(ran.code, 0, "{ran:?}");
    let done = household.done();
    let hash = PasswordHash::new(&done[0]).expect("a PHC string");
    assert!(done[0].starts_with("$argon2id$"), "{done:?}");
    assert!(Argon2::default().verify_password(b"correct horse", &hash).is_ok());
    let ran = told(&household, &["passwd"], "short\n");
    assert!(ran.code == 1 && ran.err.contains("8 letters or more"), "{ran:?}");
    assert_eq!(household.done().len(), 1);
}

#[test]
fn an_invite_and_a_claim_say_what_to_do_with_them() {
    let household = Household::in_order();
    let ran = ask(&household, &["pair", "invite"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("lanward pair join lw1-abc"), "{ran:?}");
    assert!(ran.out.contains("within 10 min"), "{ran:?}");
    let ran = ask(&household, &["claim"]);
    assert!(ran.out.contains("7K2M-9QXA") && ran.out.contains("http://"), "{ran:?}");
}

#[test]
fn a_household_is_exported_and_applied_as_a_whole() {
    let household = Household::in_order();
    let ran = ask(&household, &["export"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("[[list]]") && ran.out.contains("id = \"ads\""), "{ran:?}");
    assert!(!ran.out.contains("secret"), "users are no settings: {ran:?}");
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("h.toml");
    let rule = "[[rule]]\nid = \"new\"\nkind = \"deny\"\nname = \"new.example\"\n";
    let text = format!("domain = \"home.arpa\"\n[[list]]\nid = \"ads\"\nbuiltin = true\n{rule}");
    std::fs::write(&file, &text).expect("write");
    let file = file.to_str().expect("UTF-8");
    let ran = ask(&household, &["apply", file, "--dry-run"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("+ rule/new ") && ran.out.contains("- rule/old "), "{ran:?}");
    assert_eq!(household.done(), [""; 0]);
    let ran = ask(&household, &["apply", file]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let done = household.done().join("");
    assert!(done.contains("rule/new={") && done.contains("rule/old gone"), "{done}");
    assert!(!done.contains("user/") && !done.contains("setting/domain"), "{done}");
    std::fs::write(file, text.replace("deny", "dney")).expect("write");
    let ran = ask(&household, &["apply", file]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("Did you mean \"deny\"?"), "{ran:?}");
    assert_eq!(household.done().len(), 1, "nothing was changed");
}

/// The samples as they would be installed, with the household declared.
fn installed(folder: &Path) -> (String, String) {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let read = |name: &str| std::fs::read_to_string(samples.join(name)).expect("a sample");
    let host = read("lanward.toml").replace("#household =", "household =");
    let (at, household) = (folder.join("lanward.toml"), folder.join("household.toml"));
    std::fs::write(&at, host).expect("write");
    std::fs::write(&household, read("household.toml")).expect("write");
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    (text(&at), text(&household))
}

#[test]
fn the_shipped_samples_pass() {
    let folder = tempfile::tempdir().expect("folder");
    let (host, household) = installed(folder.path());
    for file in [&host, &household] {
        let ran = lanward(&["check-config", file]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.err.contains("no mistakes"), "{ran:?}");
    }
    let ran = lanward(&["check-config", &host, "--print-effective", "--json"]);
    let told = ran.json();
    assert_eq!(told["ok"], true);
    assert_eq!(told["files"].as_array().map(Vec::len), Some(2), "{told}");
    let effective = &told["effective"];
    assert_eq!(effective["host"]["dhcp"]["server_port"], 67, "defaults are written out");
    assert_eq!(effective["household"]["network/guests"]["dhcp"]["lease_time"], "2h");
    assert_eq!(effective["household"]["network/guests"]["dhcp"]["authoritative"], true);
}

#[test]
fn a_broken_file_is_shown_with_place_cause_and_fix_and_nothing_is_started() {
    let folder = tempfile::tempdir().expect("folder");
    let (host, household) = installed(folder.path());
    let broken = std::fs::read_to_string(&household)
        .expect("read")
        .replace("\"10.0.30.100-10.0.30.199\"", "\"10.0.30.100-10.0.31.199\"")
        .replace("lease_time = \"2h\"", "lease_tiem = \"2h\"");
    let line = broken.lines().position(|line| line.contains("10.0.31.199")).expect("it is there");
    let (line, place) = (line + 1, format!("household.toml:{}:10", line + 1));
    std::fs::write(&household, broken).expect("write");
    for args in
        [&["check-config", &host][..], &["check-config", &household], &["run", "--config", &host]]
    {
        let ran = lanward(args);
        assert_eq!(ran.code, 1, "{ran:?}");
        for part in [
            "10.0.31.199 is outside *iot*",
            "10.0.30.0/24",
            "Use addresses from",
            "Unknown key `lease_tiem`.",
            "Did you mean `lease_time`?",
            &place,
        ] {
            assert!(ran.err.contains(part), "{part} is not in\n{}", ran.err);
        }
        assert!(!ran.err.contains('\u{1b}'), "no colours into a pipe: {:?}", ran.err);
    }
    let ran = lanward(&["check-config", &host, "--json"]);
    assert_eq!(ran.code, 1);
    let findings = &ran.json()["findings"];
    assert_eq!(findings.as_array().map(Vec::len), Some(2), "{findings}");
    assert_eq!(findings[0]["line"], line, "{findings}");
    assert_eq!(findings[0]["severity"], "error");
    let ran = lanward(&["check-config", folder.path().join("none").to_str().expect("UTF-8")]);
    assert!(ran.code == 1 && ran.err.contains("cannot be read"), "{ran:?}");
}
