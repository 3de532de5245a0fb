//! Settings edited on either host.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lanward_tests::lab::upstream::INTERNET;
use lanward_tests::lab::{Cut, Lab, Side, Story, Vlan, dig, secs, wait_for};

/// How soon an edit must be in force on both hosts.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(1);

/// Adds a blocklist with one name on a host, as its owner would.
#[track_caller]
fn add_list(lab: &Lab, side: Side, id: &str, blocked: &str) {
    let daemon = lab.daemon(side);
    let file = daemon.write(&format!("{id}.txt"), &format!("{blocked}\n"));
    let file = file.display().to_string();
    let said = daemon.cli(&["lists", "add", &file, "--id", id]);
    assert!(said.status.success(), "{side}: {said:?}");
}

/// Waits until a host resolves a name, asking again as a stub resolver does: what a machine under
/// load loses of single datagrams is not this test's matter.
#[track_caller]
fn resolves_within(lab: &Lab, side: Side, name: &str, limit: Duration) {
    let mut last = None;
    let resolved = wait_for(limit, || {
        last = dig::ask(&lab.desk, Vlan::Home.host(side), name, "A");
        last.as_ref().is_some_and(|answer| answer.values == [INTERNET.to_string()]).then_some(())
    });
    assert!(resolved.is_some(), "{side} does not resolve {name} after {limit:?}: {last:?}");
}

/// Waits until a host blocks a name; how long that took.
#[track_caller]
fn blocked_within(lab: &Lab, side: Side, name: &str, limit: Duration) -> Duration {
    let began = Instant::now();
    let mut last = None;
    let blocked = wait_for(limit, || {
        last = dig::ask(&lab.desk, Vlan::Home.host(side), name, "A");
        let zero = last.as_ref().is_some_and(|answer| answer.values == ["0.0.0.0"]);
        zero.then_some(())
    });
    assert!(blocked.is_some(), "{side} does not block {name} after {limit:?}: {last:?}");
    began.elapsed()
}

/// Reserves an address with a name on a host.
#[track_caller]
fn reserve(lab: &Lab, side: Side, address: Ipv4Addr, mac: &str, name: &str) {
    let address = address.to_string();
    let order = ["leases", "reserve", &address, "--mac", mac, "--name", name];
    let said = lab.daemon(side).cli(&order);
    assert!(said.status.success(), "{side}: {said:?}");
}

/// Waits until a host's settings have the reservation.
#[track_caller]
fn reserved_within(lab: &Lab, side: Side, address: Ipv4Addr, limit: Duration) -> Duration {
    let began = Instant::now();
    let found = wait_for(limit, || {
        let rows = lab.daemon(side).json(&["leases"]);
        let rows = rows.as_array()?;
        let row = rows.iter().find(|row| row["addr"] == address.to_string().as_str())?;
        (!row["reserved"].is_null()).then_some(())
    });
    assert!(found.is_some(), "{side} does not know that {address} is reserved after {limit:?}");
    began.elapsed()
}

#[test]
fn edits_on_either_host_are_in_force_on_both_and_survive_a_break() {
    let Some(story) = Story::begin("edits on either host") else { return };
    let mut lab = Lab::build("edits");
    lab.start_pair();

    for side in Side::BOTH {
        let (id, name) =
            (format!("from-{}", side.letter()), format!("ads-{}.example.net", side.letter()));
        for host in Side::BOTH {
            resolves_within(&lab, host, &name, secs(5));
        }
        add_list(&lab, side, &id, &name);
        let here = blocked_within(&lab, side, &name, IN_FORCE_WITHIN);
        let there = blocked_within(&lab, side.other(), &name, IN_FORCE_WITHIN);
        story.step(&format!(
            "a list added on {side} blocks there after {} ms, on {} {} ms later",
            here.as_millis(),
            side.other(),
            there.as_millis()
        ));
        let address = Vlan::Iot.address(if side == Side::A { 20 } else { 21 });
        let mac = format!("02:00:5e:10:00:{}", address.octets()[3]);
        reserve(&lab, side, address, &mac, &format!("camera-{}", side.letter()));
        reserved_within(&lab, side, address, IN_FORCE_WITHIN);
        let there = reserved_within(&lab, side.other(), address, IN_FORCE_WITHIN);
        story.step(&format!(
            "a reservation made on {side} is known to {} after {} ms",
            side.other(),
            there.as_millis()
        ));
    }

    lab.household.cut(Cut::PairLink);
    for side in Side::BOTH {
        lab.state_within(side, "COMMUNICATIONS-INTERRUPTED", secs(10));
    }
    let parted = [(Side::A, 22, "parted-a"), (Side::B, 23, "parted-b")];
    for (side, last, id) in parted {
        let name = format!("{id}.example.net");
        add_list(&lab, side, id, &name);
        blocked_within(&lab, side, &name, IN_FORCE_WITHIN);
        let mac = format!("02:00:5e:10:00:{last}");
        reserve(&lab, side, Vlan::Iot.address(last), &mac, id);
    }
    story.step("parted, both hosts were edited");

    lab.household.heal();
    lab.normal_within(secs(15));
    for (_, last, id) in parted {
        for side in Side::BOTH {
            blocked_within(&lab, side, &format!("{id}.example.net"), secs(2));
            reserved_within(&lab, side, Vlan::Iot.address(last), secs(2));
        }
    }
    story.step("together again: both edits are in force on both");

    lab.daemon_mut(Side::A).kill();
    lab.start(Side::A);
    for (_, _, id) in parted {
        blocked_within(&lab, Side::A, &format!("{id}.example.net"), secs(5));
    }
    story.step("and they outlive a SIGKILL");
}
