//! Getting, renewing and giving back a lease; the name that comes and goes with it.

use std::time::{Duration, SystemTime};

use lanward_tests::lab::daemon::DOMAIN;
use lanward_tests::lab::{Device, LEASE_SECS, Lab, Lease, Program, Side, Story, Vlan, dig, secs};

/// How soon after the ACK both hosts must know a device's name and address.
const NAMED_WITHIN: Duration = Duration::from_secs(1);

fn full_name(device: &Device) -> String {
    format!("{}.{DOMAIN}", device.name())
}

/// How long after its ACK the slower host knew the device's name and PTR.
fn named_on_both(lab: &Lab, device: &Device, lease: Lease) -> Duration {
    let name = full_name(device);
    let ask = |side| {
        let record = (name.as_str(), lease.address);
        dig::named_within(&lab.desk, Vlan::Home.host(side), record, (lease.at, NAMED_WITHIN))
    };
    std::thread::scope(|scope| {
        let on_b = scope.spawn(|| ask(Side::B));
        let on_a = ask(Side::A);
        on_a.max(on_b.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

#[test]
fn every_client_gets_renews_and_releases_a_lease_on_every_network() {
    let Some(story) = Story::begin("three clients on three networks") else { return };
    let mut lab = Lab::build("leases");
    lab.start_pair();
    story.step("A and B are a pair in NORMAL");

    let mut devices = Vec::new();
    let mut slowest = Duration::ZERO;
    for vlan in Vlan::ALL {
        for program in Program::ALL {
            let mut device =
                lab.device(&format!("{}-{}", program.name(), vlan.id()), program, vlan);
            device.switch_on();
            let lease = device.bound_within(secs(5));
            assert!(vlan.pool().0 <= lease.address && lease.address <= vlan.pool().1);
            assert!(Side::BOTH.map(|side| vlan.host(side)).contains(&lease.server));
            assert_eq!(lease.secs, LEASE_SECS, "{device}");
            let named = named_on_both(&lab, &device, lease);
            slowest = slowest.max(named);
            story.step(&format!(
                "{device} has {} from {}; A and PTR on both hosts {} ms after its ACK",
                lease.address,
                lease.server,
                named.as_millis()
            ));
            devices.push(device);
        }
    }
    story.step(&format!("slowest name: {} ms after the ACK", slowest.as_millis()));

    // dhclient cannot be told to renew: it does at T1, half its lease.
    let since = SystemTime::now();
    for device in &devices {
        device.ask_to_renew();
    }
    for device in &devices {
        device.renewed_since(since, secs(u64::from(LEASE_SECS / 2) + 5));
        device.kept_its_address();
    }
    story.step("all nine renewed and kept their address");
    lab.tables_equal_within(secs(5));

    for device in &mut devices {
        device.give_back();
    }
    let mut slowest = Duration::ZERO;
    for device in &devices {
        device.without_address_within(secs(5));
        for side in Side::BOTH {
            let server = Vlan::Home.host(side);
            let gone = dig::gone_within(&lab.desk, server, &full_name(device), secs(2));
            slowest = slowest.max(gone);
        }
    }
    story.step(&format!("all nine gave it back; slowest name to go: {} ms", slowest.as_millis()));

    lab.tables_equal_within(secs(5));
    let active: Vec<_> =
        lab.leases(Side::A).into_iter().filter(|(_, row)| row.state == "active").collect();
    assert!(active.is_empty(), "still leased: {active:?}");
}
