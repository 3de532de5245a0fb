//! What other pairs of resolvers are known not to do, one scenario each.
//!
//! Pi-hole's draft of a second host documents ten limits: DHCP is taken over after half a minute;
//! a host that returns serves from its own stale lease file; static leases and ranges do not
//! travel; there is one range only, so no VLANs; a pause does not travel, and dies with a
//! restart; the newest whole settings document wins; after a list edit a host blocks nothing
//! until its rebuild ends; the two sides of a split house serve one range; joining cannot be
//! undone. Here each of them is green.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lanward_tests::lab::upstream::INTERNET;
use lanward_tests::lab::{
    Crowd, Cut, Grant, Lab, Place, Program, Side, Story, Vlan, dig, secs, shared, wait_for,
};

const APART: &str = "COMMUNICATIONS-INTERRUPTED";

/// Lets a crowd arrive, all of it.
#[track_caller]
fn arrive(crowd: &mut Crowd, count: u16, limit: Duration) -> Vec<Grant> {
    let grants = crowd.arrive(limit);
    assert_eq!(grants.len(), usize::from(count), "everybody is served within {limit:?}");
    grants
}

fn addresses(grants: &[Grant]) -> BTreeSet<Ipv4Addr> {
    grants.iter().map(|grant| grant.address).collect()
}

#[track_caller]
fn apart(lab: &Lab) {
    for side in Side::BOTH {
        lab.state_within(side, APART, secs(10));
    }
}

#[track_caller]
fn together(lab: &Lab) {
    lab.normal_within(secs(20));
    lab.tables_equal_within(secs(5));
}

/// Runs a host's command line; it must succeed.
#[track_caller]
fn order(lab: &Lab, side: Side, args: &[&str]) -> String {
    let said = lab.daemon(side).cli(args);
    assert!(said.status.success(), "{side}: lanward {}: {said:?}", args.join(" "));
    said.out
}

/// Adds a list of names to block on a host.
#[track_caller]
fn add_list(lab: &Lab, side: Side, id: &str, names: &str) {
    let file = lab.daemon(side).write(&format!("{id}.txt"), names);
    order(lab, side, &["lists", "add", &file.display().to_string(), "--id", id]);
}

fn is_blocked(lab: &Lab, side: Side, name: &str) -> bool {
    let answer = dig::ask(&lab.desk, Vlan::Home.host(side), name, "A");
    answer.is_some_and(|answer| answer.values == ["0.0.0.0"])
}

#[track_caller]
fn blocked_within(lab: &Lab, side: Side, name: &str, limit: Duration) {
    let blocked = wait_for(limit, || is_blocked(lab, side, name).then_some(()));
    assert!(blocked.is_some(), "{side} does not block {name} after {limit:?}");
}

#[test]
fn dhcp_is_not_taken_over_after_half_a_minute_only() {
    let Some(story) = Story::begin("limit 1: DHCP is taken over at once") else { return };
    let mut lab = Lab::build("limit1");
    lab.start_pair();
    // Whichever host would have answered a device: each hash and each network is among them.
    let mut crowds = Vlan::ALL.map(|vlan| lab.crowd(8, vlan, Place::Middle));
    lab.daemon_mut(Side::A).kill();
    let killed = Instant::now();
    for crowd in &mut crowds {
        arrive(crowd, 8, secs(4));
    }
    let took = killed.elapsed();
    assert!(took < secs(5), "24 newcomers on three networks are served only after {took:?}");
    story.step(&format!("24 newcomers have addresses {} ms after the kill", took.as_millis()));
}

#[test]
fn a_returning_host_does_not_serve_from_a_stale_lease_file() {
    let Some(story) = Story::begin("limit 2: nothing is served from a stale table") else { return };
    let mut lab = Lab::build("limit2");
    lab.start_pair();
    let mut before = lab.crowd(10, Vlan::Home, Place::Middle);
    let mut with_b = lab.crowd(30, Vlan::Home, Place::SideOf(Side::B));
    let mut with_a = lab.crowd(30, Vlan::Home, Place::SideOf(Side::A));
    arrive(&mut before, 10, secs(5));
    lab.daemon_mut(Side::A).kill();
    let given_by_b = arrive(&mut with_b, 30, secs(10));
    story.step("A is dead; B gave 30 addresses A has never heard of");

    // The worst case: A returns and cannot ask B.
    lab.household.cut(Cut::House);
    lab.start(Side::A);
    lab.state_within(Side::A, APART, secs(20));
    let given_by_a = arrive(&mut with_a, 30, secs(10));
    let twice = addresses(&given_by_b).intersection(&addresses(&given_by_a)).count();
    assert_eq!(twice, 0, "addresses B had given while A was dead");
    story.step("A is back, alone with its old table: 30 newcomers, no address of B's among theirs");

    lab.household.heal();
    together(&lab);
    for (crowd, grants) in [(&mut with_a, given_by_a), (&mut with_b, given_by_b)] {
        let again = crowd.reboot(secs(10));
        assert_eq!(addresses(&again), addresses(&grants), "everybody keeps its address");
        assert_eq!(crowd.refusals(), 0, "nobody is refused");
    }
    story.step("mended: all 60 restarted and kept their addresses");
}

#[test]
fn static_leases_and_ranges_travel() {
    let Some(story) = Story::begin("limit 3: reservations and ranges travel") else { return };
    let mut lab = Lab::build("limit3");
    lab.start_pair();
    let mut printer = lab.device("printer", Program::Udhcpc, Vlan::Home);
    let fixed = Vlan::Home.address(20);
    order(
        &lab,
        Side::B,
        &["leases", "reserve", &fixed.to_string(), "--mac", printer.mac(), "--name", "printer"],
    );
    let reserved = wait_for(secs(2), || {
        order(&lab, Side::A, &["export"]).contains(&fixed.to_string()).then_some(())
    });
    assert!(reserved.is_some(), "A does not know the reservation made on B");
    // The ranges of this household are declared in a file of A's.
    let (first, last) = Vlan::Home.pool();
    let range = format!("{first}-{last}");
    let shifted = format!("{}-{}", Vlan::Home.address(200), Vlan::Home.address(230));
    let settings = order(&lab, Side::A, &["export"]);
    assert!(settings.contains(&range), "{settings}");
    lab.daemon(Side::A).write("household.toml", &settings.replace(&range, &shifted));
    lab.daemon_mut(Side::A).kill();
    lab.start(Side::A);
    together(&lab);
    let ranged =
        wait_for(secs(2), || order(&lab, Side::B, &["export"]).contains(&shifted).then_some(()));
    assert!(ranged.is_some(), "B does not know the range: {}", order(&lab, Side::B, &["export"]));
    story.step("a reservation made on B is A's too, and a range changed on A is B's too");

    for dead in [Side::A, Side::B] {
        lab.daemon_mut(dead).kill();
        printer.switch_on();
        assert_eq!(printer.bound_within(secs(5)).address, fixed);
        let mut newcomers = lab.crowd(6, Vlan::Home, Place::Middle);
        for grant in arrive(&mut newcomers, 6, secs(5)) {
            assert!((200..=230).contains(&grant.address.octets()[3]), "{grant:?}");
        }
        printer.pull_the_plug();
        lab.start(dead);
        together(&lab);
    }
    story.step("either host alone gives the printer its address, and newcomers some of the range");
}

#[test]
fn there_is_more_than_one_range_and_vlan() {
    let Some(story) = Story::begin("limit 4: three networks, each with its range") else { return };
    let mut lab = Lab::build("limit4");
    lab.start_pair();
    let mut nobody = None;
    for host in [None, Some(Side::A), Some(Side::B)] {
        // Both hosts, then each of them alone.
        if let Some(dead) = host {
            if let Some(back) = nobody.replace(dead) {
                lab.start(back);
                together(&lab);
            }
            lab.daemon_mut(dead).kill();
        }
        for vlan in Vlan::ALL {
            let (first, last) = vlan.pool();
            for grant in arrive(&mut lab.crowd(4, vlan, Place::Middle), 4, secs(5)) {
                assert!((first..=last).contains(&grant.address), "{vlan:?}: {grant:?}");
            }
        }
        let who = host.map_or("both hosts".to_owned(), |dead| format!("{} alone", dead.other()));
        story.step(&format!("{who}: newcomers on two VLANs and behind a relay agent are served"));
    }
}

/// A list with one name in it, blocked by both hosts.
#[track_caller]
fn block_one_name(lab: &Lab) -> &'static str {
    const AD: &str = "ads.example.net";
    add_list(lab, Side::A, "ads", &format!("{AD}\n"));
    for side in Side::BOTH {
        blocked_within(lab, side, AD, secs(3));
    }
    AD
}

#[track_caller]
fn open_within(lab: &Lab, side: Side, name: &str, limit: Duration) {
    let open = wait_for(limit, || {
        let answer = dig::ask(&lab.desk, Vlan::Home.host(side), name, "A")?;
        (answer.values == [INTERNET.to_string()]).then_some(())
    });
    assert!(open.is_some(), "{side} still blocks {name} after {limit:?}");
}

#[test]
fn a_pause_travels_to_the_other_host() {
    let Some(story) = Story::begin("limit 5: a pause holds on both hosts") else { return };
    let mut lab = Lab::build("limit5");
    lab.start_pair();
    let ad = block_one_name(&lab);
    for side in Side::BOTH {
        order(&lab, side, &["pause", "10m"]);
        for host in Side::BOTH {
            open_within(&lab, host, ad, secs(2));
        }
        order(&lab, side.other(), &["resume"]);
        for host in Side::BOTH {
            blocked_within(&lab, host, ad, secs(2));
        }
        story.step(&format!("paused on {side}, on again by {}: both hosts obey", side.other()));
    }
}

#[test]
fn a_pause_does_not_die_with_a_restart_and_ends_in_time() {
    let Some(story) = Story::begin("limit 6: a pause survives a restart") else { return };
    let mut lab = Lab::build("limit6");
    lab.start_pair();
    let ad = block_one_name(&lab);
    const LENGTH: Duration = secs(15);
    order(&lab, Side::A, &["pause", "15s"]);
    let paused = Instant::now();
    open_within(&lab, Side::B, ad, secs(2));
    for side in Side::BOTH {
        lab.daemon_mut(side).kill();
    }
    for side in Side::BOTH {
        lab.start(side);
        open_within(&lab, side, ad, secs(3));
    }
    assert!(paused.elapsed() < LENGTH, "the machine is too slow for this");
    story.step("both hosts were killed during the pause; it goes on");
    for side in Side::BOTH {
        blocked_within(&lab, side, ad, LENGTH + secs(3));
    }
    let held = paused.elapsed();
    assert!(held >= LENGTH - secs(1), "the pause ended after {held:?} already");
    assert!(held <= LENGTH + secs(3), "the pause ended only after {held:?}");
    story.step(&format!("it ended {:.1} s after it began, on both", held.as_secs_f64()));
}

#[test]
fn concurrent_edits_merge_record_by_record() {
    let Some(story) = Story::begin("limit 7: no edit of either host is lost") else { return };
    let mut lab = Lab::build("limit7");
    lab.start_pair();
    lab.household.cut(Cut::PairLink);
    apart(&lab);
    let edits = [(Side::A, 21, "of-a"), (Side::B, 22, "of-b"), (Side::A, 23, "late-of-a")];
    for (side, last, id) in edits {
        let (address, mac) = (Vlan::Iot.address(last), format!("02:00:5e:10:00:{last}"));
        let address = address.to_string();
        order(&lab, side, &["leases", "reserve", &address, "--mac", &mac, "--name", id]);
        add_list(&lab, side, id, &format!("{id}.example.net\n"));
    }
    lab.household.heal();
    together(&lab);
    for side in Side::BOTH {
        for (_, last, id) in edits {
            blocked_within(&lab, side, &format!("{id}.example.net"), secs(3));
            let settings = order(&lab, side, &["export"]);
            let address = Vlan::Iot.address(last).to_string();
            assert!(settings.contains(&address), "{side} lost {address}: {settings}");
        }
    }
    story.step("two hosts, six edits while apart: both have all six");
}

#[test]
fn after_a_list_edit_a_host_never_stops_blocking() {
    let Some(story) = Story::begin("limit 8: blocking never pauses for an edit") else { return };
    let mut lab = Lab::build("limit8");
    lab.start_pair();
    let ad = block_one_name(&lab);
    let stop = AtomicBool::new(false);
    let watched = std::thread::scope(|scope| {
        let watchers = Side::BOTH.map(|side| {
            let (lab, stop) = (&lab, &stop);
            scope.spawn(move || watch_blocked(lab, side, ad, stop))
        });
        // A hundred thousand rules come, are switched off and on, and go.
        let rules: Vec<String> =
            (0..100_000).map(|n| format!("tracker-{n}.example.org\n")).collect();
        add_list(&lab, Side::B, "large", &rules.concat());
        for side in Side::BOTH {
            blocked_within(&lab, side, "tracker-99999.example.org", secs(10));
        }
        for word in ["disable", "enable", "remove"] {
            order(&lab, Side::A, &["lists", word, "large"]);
            std::thread::sleep(Duration::from_millis(700));
        }
        stop.store(true, Ordering::Relaxed);
        watchers.map(|watcher| watcher.join().expect("the watcher does not panic"))
    });
    for (side, (asked, answered_otherwise)) in Side::BOTH.into_iter().zip(watched) {
        assert!(asked > 100, "{side} answered {asked} times only");
        assert_eq!(answered_otherwise, 0, "answers of {side} that did not block, of {asked}");
        story.step(&format!("{side}: {asked} answers during the edits, all of them blocked"));
    }
}

/// Asks for `name` every few milliseconds; how many answers came, and how many of them did not
/// hold `0.0.0.0` alone.
fn watch_blocked(lab: &Lab, side: Side, name: &str, stop: &AtomicBool) -> (u32, u32) {
    let socket = lab.desk.enter(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket can be opened");
    socket.set_read_timeout(Some(secs(1))).expect("a time limit can be set");
    let mut query = vec![0x4c, 0x57, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).expect("a short label"));
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    let (mut asked, mut wrong) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let _ = socket.send_to(&query, (Vlan::Home.host(side), 53));
        let mut answer = [0; 512];
        if let Ok(len) = socket.recv(&mut answer) {
            asked += 1;
            // One record in the answer section, and at its end the address.
            let blocked = answer[6..8] == [0, 1] && answer[..len].ends_with(&[0, 4, 0, 0, 0, 0]);
            wrong += u32::from(!blocked);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    (asked, wrong)
}

#[test]
fn a_partition_never_serves_one_address_twice() {
    let Some(story) = Story::begin("limit 9: the two sides share no address") else { return };
    let mut lab = Lab::build("limit9");
    lab.start_pair();
    let mut crowds = Side::BOTH.map(|side| lab.crowd(60, Vlan::Guests, Place::SideOf(side)));
    let mut at_home = Side::BOTH.map(|side| lab.crowd(60, Vlan::Home, Place::SideOf(side)));
    lab.household.cut(Cut::House);
    apart(&lab);
    let mut all = Vec::new();
    for crowd in &mut at_home {
        all.extend(arrive(crowd, 60, secs(15)));
    }
    // The relay agent stands in the middle and reaches both.
    for crowd in &mut crowds {
        all.extend(arrive(crowd, 60, secs(15)));
    }
    assert!(shared(&all).is_empty(), "{:#?}", shared(&all));
    lab.household.heal();
    together(&lab);
    story.step(&format!("{} newcomers in a split house, no address twice", all.len()));
}

#[test]
fn joining_can_be_undone() {
    let Some(story) = Story::begin("limit 10: a pair is two hosts again, and a pair again") else {
        return;
    };
    let mut lab = Lab::build("limit10");
    lab.start_pair();
    let mut residents = lab.crowd(10, Vlan::Home, Place::Middle);
    let had = addresses(&arrive(&mut residents, 10, secs(5)));
    order(&lab, Side::A, &["pair", "remove", "--yes"]);
    lab.state_within(Side::A, "STANDALONE", secs(10));
    // A goes on alone with everything; B, which was told, keeps quiet.
    let again = residents.reboot(secs(8));
    assert_eq!(addresses(&again), had, "everybody keeps its address");
    let newcomers = arrive(&mut lab.crowd(10, Vlan::Iot, Place::Middle), 10, secs(8));
    let by_b = newcomers.iter().chain(&again).filter(|it| it.server != Vlan::Home.host(Side::A));
    let by_b: Vec<_> = by_b.filter(|it| it.server != Vlan::Iot.host(Side::A)).collect();
    assert!(by_b.is_empty(), "served by the host that was removed: {by_b:?}");
    story.step("B is removed: A has every lease and serves alone");

    let invite = lab.invite(Side::A);
    order(&lab, Side::B, &["pair", "join", &invite]);
    together(&lab);
    assert_eq!(addresses(&residents.reboot(secs(8))), had, "everybody keeps its address");
    story.step("B joined again: the tables are equal");
}
