//! Getting, renewing and giving back a lease; the name that comes and goes with it.

use std::time::{Duration, SystemTime};

use lanward_tests::lab::daemon::DOMAIN;
use lanward_tests::lab::{
    Device, LEASE_SECS, Lab, Lease, Place, Program, Side, Story, Vlan, dig, secs, shared,
};

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

    // Half a lease has passed since the others were told to renew: they would do so by themselves
    // just now, and a renewal that a relay agent repeats after the RELEASE takes the address anew.
    let since = SystemTime::now();
    for device in devices.iter().filter(|device| device.program() != Program::Dhclient) {
        device.ask_to_renew();
        device.renewed_since(since, secs(5));
    }
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

#[test]
fn a_reservation_made_on_either_host_is_what_the_device_gets() {
    let Some(story) = Story::begin("reservations on both hosts' addresses") else { return };
    let mut lab = Lab::build("reserved");
    lab.start_pair();
    // Even addresses are A's to give, odd ones B's.
    for (side, last) in [(Side::A, 20), (Side::A, 21), (Side::B, 22), (Side::B, 23)] {
        let mut device = lab.device(&format!("anonymous-{last}"), Program::Udhcpc, Vlan::Iot);
        let (address, name) = (Vlan::Iot.address(last), format!("camera-{last}"));
        let text = address.to_string();
        let order = ["leases", "reserve", &text, "--mac", device.mac(), "--name", &name];
        let said = lab.daemon(side).cli(&order);
        assert!(said.status.success(), "{side}: {said:?}");
        device.switch_on();
        let lease = device.bound_within(secs(5));
        assert_eq!(lease.address, address, "reserved on {side}; granted by {}", lease.server);
        let record = (format!("{name}.{DOMAIN}"), address);
        for server in Side::BOTH.map(|side| Vlan::Home.host(side)) {
            let record = (record.0.as_str(), record.1);
            dig::named_within(&lab.desk, server, record, (lease.at, NAMED_WITHIN));
        }
        story.step(&format!("{address}, reserved on {side}, granted by {}", lease.server));
    }
}

#[test]
fn an_address_somebody_uses_already_is_not_given_out() {
    let Some(story) = Story::begin("half of the pool is used by others") else { return };
    let mut lab = Lab::build("squatter");
    lab.start_pair();
    let squatter = lab.household.plug_in("squatter", Vlan::Iot, Place::Middle);
    let (first, _) = Vlan::Iot.pool();
    let [net @ .., first] = first.octets();
    let net = net.map(|byte| byte.to_string()).join(".");
    let last = 149;
    squatter
        .sh(&format!("for i in $(seq {first} {last}); do ip addr add {net}.$i/24 dev eth0; done"));
    story.step(&format!("somebody uses {net}.{first} to {net}.{last}, and answers ARP"));

    let mut crowd = lab.crowd(20, Vlan::Iot, Place::Middle);
    let grants = crowd.arrive(secs(20));
    assert_eq!(grants.len(), 20);
    let used: Vec<_> = grants.iter().filter(|grant| grant.address.octets()[3] <= last).collect();
    assert!(used.is_empty(), "given out although in use: {used:#?}");
    assert!(shared(&grants).is_empty());
    story.step("20 newcomers got addresses that nobody uses");
}
