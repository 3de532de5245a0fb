//! What both hosts share beyond leases: the history of settings, pauses of blocking, logins.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lanward_tests::lab::{Cut, Lab, Side, Story, Vlan, dig, secs, wait_for};
use serde_json::Value;

/// How soon an edit must be in force on both hosts.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(1);
/// Blocked by the list of these scenarios.
const BLOCKED: &str = "ads.example.net";

/// Runs the command line, which must succeed; what it printed.
#[track_caller]
fn cli(lab: &Lab, side: Side, args: &[&str]) -> String {
    let said = lab.daemon(side).cli(args);
    assert!(said.status.success(), "{side}: lanward {}: {said:?}", args.join(" "));
    said.out
}

/// Adds a blocklist with [`BLOCKED`] in it.
#[track_caller]
fn add_list(lab: &Lab, side: Side) {
    let file = lab.daemon(side).write("ads.txt", &format!("{BLOCKED}\n"));
    // A file is read on each host: both have it at the same path.
    cli(lab, side, &["lists", "add", &file.display().to_string(), "--id", "ads"]);
}

fn is_blocked(lab: &Lab, side: Side, vlan: Vlan) -> Option<bool> {
    let answer = dig::ask(&lab.desk, vlan.host(side), BLOCKED, "A")?;
    Some(answer.values == ["0.0.0.0"])
}

/// Waits until a host does, or does not, block the name; how long that took.
#[track_caller]
fn blocks_within(lab: &Lab, side: Side, blocks: bool, limit: Duration) -> Duration {
    let began = Instant::now();
    let seen =
        wait_for(limit, || (is_blocked(lab, side, Vlan::Home) == Some(blocks)).then_some(()));
    assert!(seen.is_some(), "{side}: blocked is not {blocks} after {limit:?}");
    began.elapsed()
}

#[track_caller]
fn both_block(lab: &Lab, blocks: bool, limit: Duration) {
    for side in Side::BOTH {
        blocks_within(lab, side, blocks, limit);
    }
}

#[track_caller]
fn history(lab: &Lab, side: Side) -> Vec<Value> {
    lab.daemon(side).json(&["history"]).as_array().expect("a list").clone()
}

#[test]
fn a_change_made_on_one_host_is_undone_on_the_other() {
    let Some(story) = Story::begin("history and undo") else { return };
    let mut lab = Lab::build("history");
    lab.start_pair();
    add_list(&lab, Side::A);
    both_block(&lab, true, secs(5));
    story.step("a list added on host A blocks on both");

    // With the first list, what was in force by default is written down too.
    let wanted = |row: &Value| {
        row["records"].as_array().is_some_and(|all| all.iter().any(|r| r["what"] == "list ads"))
    };
    let row = wait_for(IN_FORCE_WITHIN, || history(&lab, Side::B).into_iter().find(wanted));
    let row = row.expect("host B knows the change");
    let node = lab.daemon(Side::A).status().expect("it answers")["pair"]["own"]["name"].clone();
    assert_eq!(row["host"], node);
    assert_eq!(row["author"], "owner");
    assert_eq!(row["cannot_undo"], Value::Null);
    let id = row["id"].as_str().expect("an id")[..8].to_owned();
    cli(&lab, Side::B, &["history", "undo", &id]);
    both_block(&lab, false, IN_FORCE_WITHIN);
    story.step("undone on host B, it is gone from both");

    for side in Side::BOTH {
        let rows = history(&lab, side);
        let undo = rows.first().expect("a change");
        assert_eq!(undo["undoes"], row["id"], "{side} knows what was undone");
    }
    let said = lab.daemon(Side::A).cli(&["history", "undo", &id]);
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    assert!(said.err.contains("changed again since"), "{said:?}");
    story.step("a second undo is refused, and says why");

    lab.daemon_mut(Side::B).kill();
    lab.start(Side::B);
    lab.normal_within(secs(15));
    assert_eq!(history(&lab, Side::B), history(&lab, Side::A));
    story.step("the history outlives a SIGKILL");
}

#[test]
fn edits_of_one_record_on_both_sides_of_a_break_are_shown_and_settled_once() {
    let Some(story) = Story::begin("a collision") else { return };
    let mut lab = Lab::build("collide");
    lab.start_pair();
    let reserve = |lab: &Lab, side: Side, last: u8| {
        let address = Vlan::Iot.address(last).to_string();
        cli(lab, side, &["leases", "reserve", &address, "--mac", "02:00:5e:10:00:07"]);
    };
    lab.household.cut(Cut::PairLink);
    for side in Side::BOTH {
        lab.state_within(side, "COMMUNICATIONS-INTERRUPTED", secs(10));
    }
    reserve(&lab, Side::A, 20);
    reserve(&lab, Side::B, 21);
    lab.household.heal();
    lab.normal_within(secs(15));

    let mut shown = Vec::new();
    for side in Side::BOTH {
        let found = wait_for(secs(2), || {
            let rows = lab.daemon(side).json(&["conflicts"]);
            rows.as_array().filter(|rows| !rows.is_empty()).cloned()
        });
        shown.push(found.unwrap_or_else(|| panic!("{side} shows no collision")));
    }
    assert_eq!(shown[0], shown[1], "both hosts show the same");
    let row = &shown[0][0];
    let values = row["values"].as_array().expect("values");
    assert_eq!(values.len(), 2, "nothing is lost: {row}");
    let key = row["key"].as_str().expect("a key").to_owned();
    story.step(&format!("after the heal both hosts show both values of {key}"));

    let second = values[1]["fields"].as_array().expect("fields");
    let address = second.iter().find(|field| field["field"] == "address").expect("an address");
    cli(&lab, Side::B, &["settle", &key, "--take", "2"]);
    for side in Side::BOTH {
        let settled = wait_for(secs(2), || {
            let none = lab.daemon(side).json(&["conflicts"]).as_array()?.is_empty();
            let rows = lab.daemon(side).json(&["leases"]);
            let row = rows.as_array()?.iter().find(|row| !row["reserved"].is_null())?.clone();
            (none && row["addr"] == address["value"]).then_some(())
        });
        assert!(settled.is_some(), "{side} has the value that was chosen");
    }
    story.step("settled on host B, both have the chosen value and no collision");
}

#[test]
fn a_pause_holds_on_both_hosts_survives_a_kill_and_ends_by_itself_on_both() {
    let Some(story) = Story::begin("a pause of blocking") else { return };
    let mut lab = Lab::build("pause");
    lab.start_pair();
    add_list(&lab, Side::A);
    both_block(&lab, true, secs(5));

    cli(&lab, Side::A, &["pause", "1h"]);
    let here = blocks_within(&lab, Side::A, false, IN_FORCE_WITHIN);
    let there = blocks_within(&lab, Side::B, false, IN_FORCE_WITHIN);
    story.step(&format!(
        "paused on host A: nothing is blocked there after {} ms, on host B {} ms later",
        here.as_millis(),
        there.as_millis()
    ));
    let why = cli(&lab, Side::B, &["why", BLOCKED]);
    assert!(why.contains("Blocking is paused for all devices"), "{why}");
    lab.daemon_mut(Side::B).kill();
    lab.start(Side::B);
    let first = wait_for(secs(10), || is_blocked(&lab, Side::B, Vlan::Home));
    assert_eq!(first, Some(false), "its first answer after a SIGKILL is not blocked");
    lab.normal_within(secs(15));
    story.step("the pause outlives a SIGKILL, from the first answer on");
    cli(&lab, Side::B, &["resume"]);
    both_block(&lab, true, IN_FORCE_WITHIN);
    story.step("resumed on host B, both block again");

    // The desk is at home: a pause of another network does nothing for it.
    cli(&lab, Side::A, &["pause", "1h", "--network", "iot"]);
    std::thread::sleep(Duration::from_millis(500));
    both_block(&lab, true, secs(1));
    cli(&lab, Side::A, &["pause", "1h", "--device", &Vlan::Home.address(9).to_string()]);
    both_block(&lab, false, IN_FORCE_WITHIN);
    cli(&lab, Side::B, &["resume"]);
    both_block(&lab, true, IN_FORCE_WITHIN);
    story.step("a network's pause is for that network, a device's for that device");

    // Made while the hosts cannot see each other, it reaches the other one with the heal.
    lab.household.cut(Cut::PairLink);
    lab.state_within(Side::A, "COMMUNICATIONS-INTERRUPTED", secs(10));
    let began = Instant::now();
    cli(&lab, Side::A, &["pause", "20s"]);
    blocks_within(&lab, Side::A, false, IN_FORCE_WITHIN);
    lab.household.heal();
    blocks_within(&lab, Side::B, false, secs(15));
    let a = blocks_within(&lab, Side::A, true, secs(30));
    let ended = began.elapsed();
    let b = blocks_within(&lab, Side::B, true, IN_FORCE_WITHIN);
    assert!(ended >= secs(19), "not before its time: {ended:?}, {a:?}");
    assert!(ended <= secs(23), "nor long after: {ended:?}");
    story.step(&format!(
        "a pause of 20 s made apart ended on host A after {:.1} s, on host B {} ms later",
        ended.as_secs_f32(),
        b.as_millis()
    ));
}

/// The owner's browser, as far as it matters: it sends its cookie to both hosts, as it does where
/// they are reached by one name or by a service address.
#[derive(Default)]
struct Browser {
    cookie: Option<String>,
}

impl Browser {
    /// Sends one request from the desk and gives the status and where it leads.
    fn ask(
        &mut self,
        lab: &Lab,
        side: Side,
        method: &str,
        path: &str,
        form: &str,
    ) -> (u16, String) {
        use std::net::SocketAddr;
        let to = SocketAddr::from((Vlan::Home.host(side), WEB_PORT));
        let cookie = self.cookie.as_ref().map(|cookie| format!("Cookie: {cookie}\r\n"));
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {to}\r\nOrigin: http://{to}\r\n{}\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{form}",
            cookie.unwrap_or_default(),
            form.len()
        );
        let answer = lab.desk.enter(move || {
            let mut stream = TcpStream::connect_timeout(&to, secs(5))?;
            stream.set_read_timeout(Some(secs(10)))?;
            stream.write_all(request.as_bytes())?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
        });
        let answer = answer.unwrap_or_else(|error| panic!("{side}: {method} {path}: {error}"));
        let head = answer.split("\r\n\r\n").next().unwrap_or_default();
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        if let Some(set) = header("set-cookie") {
            let pair = set.split(';').next().unwrap_or_default().to_owned();
            self.cookie = Some(pair).filter(|pair| !pair.ends_with('='));
        }
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        (status, header("location").unwrap_or_default())
    }

    /// Whether a host shows it what only the owner sees.
    fn is_in(&mut self, lab: &Lab, side: Side) -> bool {
        match self.ask(lab, side, "GET", "/leases", "") {
            (200, _) => true,
            (303, to) if to.starts_with("/login") => false,
            other => panic!("{side}: {other:?}"),
        }
    }

    fn log_in(&mut self, lab: &Lab, side: Side, password: &str) {
        let form = format!("password={password}");
        let (status, to) = self.ask(lab, side, "POST", "/login", &form);
        assert_eq!((status, to.as_str()), (303, "/"), "{side} lets the owner in");
    }
}

/// Where the pages are.
const WEB_PORT: u16 = 8053;

#[test]
fn a_login_on_one_host_is_good_on_the_other_and_ends_on_both() {
    let Some(story) = Story::begin("logins on both hosts") else { return };
    let mut lab = Lab::build("logins");
    lab.start_pair();
    let code = lab.daemon(Side::A).json(&["claim"])["code"].as_str().expect("a code").to_owned();
    let (mut laptop, mut phone) = (Browser::default(), Browser::default());
    let form = format!("code={code}&password=correct-horse&again=correct-horse");
    let (status, to) = laptop.ask(&lab, Side::A, "POST", "/setup", &form);
    assert_eq!((status, to.as_str()), (303, "/"), "the household is claimed");
    let both = |browser: &mut Browser, lab: &Lab, alive: bool| {
        for side in Side::BOTH {
            let seen =
                wait_for(IN_FORCE_WITHIN, || (browser.is_in(lab, side) == alive).then_some(()));
            assert!(seen.is_some(), "{side}: a login that is good: {alive}");
        }
    };
    both(&mut laptop, &lab, true);
    phone.log_in(&lab, Side::B, "correct-horse");
    both(&mut phone, &lab, true);
    story.step("a login on either host is good on both");

    lab.daemon_mut(Side::A).kill();
    assert!(laptop.is_in(&lab, Side::B), "the host it was made on is dead");
    lab.start(Side::A);
    assert!(laptop.is_in(&lab, Side::A), "and good there from the first page on");
    lab.normal_within(secs(15));
    story.step("it outlives the host it was made on, and that host's SIGKILL");

    let old = laptop.cookie.clone();
    laptop.ask(&lab, Side::B, "POST", "/logout", "");
    laptop.cookie = old;
    both(&mut laptop, &lab, false);
    both(&mut phone, &lab, true);
    story.step("a logout on host B ends it on both, and no other login");

    laptop.log_in(&lab, Side::A, "correct-horse");
    let old = laptop.cookie.clone();
    laptop.ask(&lab, Side::A, "POST", "/logout/everywhere", "");
    laptop.cookie = old;
    both(&mut laptop, &lab, false);
    both(&mut phone, &lab, false);
    phone.log_in(&lab, Side::B, "correct-horse");
    both(&mut phone, &lab, true);
    story.step("\"log out everywhere\" on host A ends those of host B too; a new login is good");

    // The pair's own port wants the partner's key, and no cookie opens it.
    let link = lab.desk.enter(|| knock(Vlan::Home.host(Side::A), &phone));
    assert!(link.is_empty(), "the link's port answers a browser: {link:?}");
    story.step("the pair's link answers no browser");
}

/// What the port of the pair's link says to a browser with a good cookie.
fn knock(host: std::net::Ipv4Addr, browser: &Browser) -> String {
    let mut stream = TcpStream::connect((host, LINK_PORT)).expect("the link listens");
    stream.set_read_timeout(Some(secs(3))).expect("a timeout can be set");
    let cookie = browser.cookie.clone().unwrap_or_default();
    let request = format!("GET /leases HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n");
    let mut answer = Vec::new();
    let _ = stream.write_all(request.as_bytes());
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    // A TLS alert is no answer.
    if text.contains("HTTP") || text.contains("lease") { text } else { String::new() }
}

/// Where the pair's link listens.
const LINK_PORT: u16 = 647;

/// A publisher of one list in the router's namespace; it counts who asks, and goes when dropped.
struct Publisher {
    asked: Arc<AtomicUsize>,
    gone: Arc<AtomicBool>,
}

impl Publisher {
    const PORT: u16 = 8088;

    fn open(lab: &Lab, names: u32) -> Publisher {
        let listener = lab.household.router().enter(|| TcpListener::bind(("0.0.0.0", Self::PORT)));
        let listener = listener.expect("the router has a free port");
        let publisher = Publisher { asked: Arc::default(), gone: Arc::default() };
        let (asked, gone) = (Arc::clone(&publisher.asked), Arc::clone(&publisher.gone));
        let list: String = (0..names).map(|n| format!("ads{n}.example.net\n")).collect();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                if gone.load(Ordering::Relaxed) {
                    return;
                }
                asked.fetch_add(1, Ordering::Relaxed);
                let _ = stream.set_read_timeout(Some(secs(2)));
                let _ = stream.read(&mut [0; 4096]);
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n",
                    list.len()
                );
                let _ = stream.write_all(head.as_bytes());
                let _ = stream.write_all(list.as_bytes());
            }
        });
        publisher
    }

    /// Answers nobody any more.
    fn close(&self, lab: &Lab) {
        self.gone.store(true, Ordering::Relaxed);
        // The one that is waited for; the port is closed after it.
        let _ = lab.desk.enter(|| TcpStream::connect((Vlan::Home.router(), Self::PORT)));
    }
}

#[test]
fn a_host_that_lost_its_disk_and_reaches_no_publisher_has_its_partners_lists() {
    let Some(story) = Story::begin("lists copied from the partner") else { return };
    let mut lab = Lab::build("copies");
    let names = 50_000;
    let publisher = Publisher::open(&lab, names);
    let url = format!("http://{}:{}/ads.txt", Vlan::Home.router(), Publisher::PORT);
    let list = format!("\n[[list]]\nid = \"ads\"\nurl = \"{url}\"\nallow_private = true\n");
    let household = lab.daemon(Side::A).read("household.toml") + &list;
    lab.daemon(Side::A).write("household.toml", &household);
    lab.start_pair();
    let last = format!("ads{}.example.net", names - 1);
    let blocks = |lab: &Lab, side: Side, limit: Duration| {
        let began = Instant::now();
        let seen = wait_for(limit, || {
            let answer = dig::ask(&lab.desk, Vlan::Home.host(side), &last, "A")?;
            (answer.values == ["0.0.0.0"]).then_some(())
        });
        assert!(seen.is_some(), "{side} does not block {last} after {limit:?}");
        began.elapsed()
    };
    for side in Side::BOTH {
        blocks(&lab, side, secs(20));
    }
    story.step(&format!("both hosts block {names} names"));

    publisher.close(&lab);
    let asked = publisher.asked.load(Ordering::Relaxed);
    lab.daemon_mut(Side::B).kill();
    let lists = lab.daemon(Side::B).data_dir().join("lists");
    std::fs::remove_dir_all(&lists).expect("host B has copies");
    lab.start(Side::B);
    let took = blocks(&lab, Side::B, secs(20));
    story.step(&format!(
        "without copies and without a publisher, host B blocks all of them again after {} ms",
        took.as_millis()
    ));
    let copy = |side: Side| std::fs::read(lab.daemon(side).data_dir().join("lists/ads.list"));
    assert_eq!(copy(Side::A).expect("A's copy"), copy(Side::B).expect("B's copy"));
    assert_eq!(publisher.asked.load(Ordering::Relaxed), asked, "nobody asked the publisher");
    let said = cli(&lab, Side::B, &["lists"]);
    assert!(said.contains(&names.to_string()), "{said}");
}
