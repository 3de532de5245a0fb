//! Host A dies by SIGKILL while devices renew, and comes back.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant, SystemTime};

use lanward_tests::dhcp_client::Mac;
use lanward_tests::lab::daemon::DOMAIN;
use lanward_tests::lab::{
    Device, Grant, LEASE_SECS, Lab, Place, Program, Side, Story, Vlan, dig, secs, shared, wait_for,
};

use super::everybody;

#[test]
fn a_killed_host_costs_no_lease_and_no_address() {
    let Some(story) = Story::begin("host A is killed while devices renew") else { return };
    let mut lab = Lab::build("kill");
    lab.start_pair();
    let devices = everybody(&mut lab);
    let mut addresses = BTreeMap::new();
    for device in &devices {
        addresses.insert(device.name().to_owned(), device.bound_within(secs(5)).address);
    }
    let of_a = devices.iter().filter_map(Device::lease);
    let of_a = of_a.filter(|lease| is_host(lease.server, Side::A)).count();
    story.step(&format!("nine devices have leases, {of_a} of them from A"));

    // The renewals are on their way when A dies.
    let killed = SystemTime::now();
    for device in &devices {
        device.ask_to_renew();
    }
    lab.daemon_mut(Side::A).kill();
    story.step("A is dead");

    for vlan in Vlan::ALL {
        let since = Instant::now();
        let mut new = lab.device(&format!("newcomer-{}", vlan.id()), Program::Udhcpc, vlan);
        new.switch_on();
        let lease = new.bound_within(secs(5));
        assert!(is_host(lease.server, Side::B), "{lease:?}");
        story.step(&format!("{new} has an address after {} ms", since.elapsed().as_millis()));
        new.give_back();
    }

    // Whoever asks A directly hears nothing and asks everybody when 7/8 of its lease is over.
    for device in &devices {
        let by_b = wait_for(secs(u64::from(LEASE_SECS)), || {
            device.renewed_by(|server| is_host(server, Side::B), killed)
        });
        let Some(lease) = by_b else { panic!("B did not renew {device}: {:#?}", device.events()) };
        let waited = lease.at.duration_since(killed).unwrap_or_default();
        story.step(&format!("B renewed {device} {:.1} s after A's death", waited.as_secs_f64()));
        assert_eq!(device.kept_its_address(), addresses[device.name()]);
    }
    story.step("B has renewed the leases of all nine; none lost its address");

    let restarted = Instant::now();
    lab.launch(Side::A);
    let first = first_answer(&lab, &format!("{}.{DOMAIN}", devices[0].name()));
    assert_eq!(first.values, [addresses[devices[0].name()].to_string()], "{first:?}");
    story.step(&format!("A's first answer, right, after {} ms", restarted.elapsed().as_millis()));
    lab.normal_within(secs(5));
    lab.tables_equal_within(secs(5));
    assert!(restarted.elapsed() <= secs(5), "equal only after {:?}", restarted.elapsed());
    story.step(&format!("A is back; tables equal after {} ms", restarted.elapsed().as_millis()));

    let since = SystemTime::now();
    for device in devices.iter().filter(|device| device.program() != Program::Dhclient) {
        device.ask_to_renew();
        device.renewed_since(since, secs(5));
    }
    for device in &devices {
        assert_eq!(device.kept_its_address(), addresses[device.name()]);
    }
    story.step("nobody's address has changed");

    let leaked: Vec<String> = lab.upstream.asked();
    let leaked: Vec<&String> = leaked.iter().filter(|name| name.contains(DOMAIN)).collect();
    assert!(leaked.is_empty(), "names of the house were asked upstream: {leaked:?}");
}

#[test]
fn leases_granted_while_hosts_die_are_kept() {
    let Some(story) = Story::begin("hosts die while a crowd arrives") else { return };
    let mut lab = Lab::build("storm");
    lab.start_pair();

    let mut calm = lab.crowd(40, Vlan::Iot, Place::Middle);
    let grants = calm.arrive(secs(10));
    let by_a = grants.iter().filter(|grant| is_host(grant.server, Side::A)).count();
    assert_eq!(grants.len(), 40);
    assert!((8..=32).contains(&by_a), "the two share the newcomers, but A had {by_a} of 40");
    story.step(&format!("in NORMAL, A served {by_a} of 40 newcomers and B the others"));

    let mut storm = lab.crowd(60, Vlan::Home, Place::Middle);
    // A dies at its fifth ACK, with many conversations under way.
    let mut by_a = 0;
    let grants = storm.arrive_and(secs(20), |grant| {
        by_a += u32::from(is_host(grant.server, Side::A));
        if by_a == 5 {
            lab.daemon_mut(Side::A).kill();
        }
    });
    let by_b = grants.iter().filter(|grant| is_host(grant.server, Side::B)).count();
    story.step(&format!("A died among 60 newcomers: {by_a} have its word, {by_b} that of B"));
    assert_eq!(grants.len(), 60, "everybody has an address in the end");
    assert!(shared(&grants).is_empty(), "{:#?}", shared(&grants));

    lab.start(Side::A);
    lab.normal_within(secs(5));
    lab.tables_equal_within(secs(5));
    let known = lab.leases(Side::A);
    assert!(grants.iter().all(|grant| known.contains_key(&grant.address)), "a lease is lost");
    story.step("A is back, and both know all of them");

    for side in Side::BOTH {
        lab.daemon_mut(side).kill();
    }
    for side in Side::BOTH {
        lab.start(side);
    }
    lab.normal_within(secs(15));
    lab.tables_equal_within(secs(5));
    let again = storm.reboot(secs(10));
    assert_eq!(storm.refusals(), 0, "nobody is refused");
    let of = |grants: &[Grant]| -> BTreeMap<Mac, Ipv4Addr> {
        grants.iter().map(|grant| (grant.mac, grant.address)).collect()
    };
    assert_eq!(of(&again), of(&grants), "everybody keeps its address");
    story.step("both were killed and came back; all 60 devices restarted and kept their address");
}

#[test]
fn a_restarted_host_knows_its_names_from_its_first_answer_on() {
    let Some(story) = Story::begin("a host restarts and is asked all the while") else { return };
    let mut lab = Lab::build("restart");
    // One device asks as fast as it can.
    lab.daemon(Side::A).declare(LEASE_SECS, "rate_limit = 0");
    lab.start_pair();
    let mut device = lab.device("tv", Program::Udhcpc, Vlan::Home);
    device.switch_on();
    let address = device.bound_within(secs(5)).address;
    let name = format!("tv.{DOMAIN}");
    let record = (name.as_str(), address);
    let server = Vlan::Home.host(Side::A);
    dig::named_within(&lab.desk, server, record, (SystemTime::now(), secs(1)));

    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        lab.daemon_mut(Side::A).kill();
        let launched = Instant::now();
        lab.launch(Side::A);
        let (first, answers) = answers_of_a_second(&lab, &name);
        let first = first.expect("A answers within two seconds").duration_since(launched);
        slowest = slowest.max(first);
        let right = address.octets();
        let wrong = answers.iter().filter(|answer| !answer.ends_with(&right)).count();
        assert_eq!(wrong, 0, "of {} answers after a restart", answers.len());
    }
    story.step(&format!("5 restarts, 0 wrong answers; the slowest first after {slowest:?}"));
    let leaked = lab.upstream.asked();
    assert!(leaked.is_empty(), "names of the house were asked upstream: {leaked:?}");
}

/// Asks A for an address every five milliseconds, until a second after its first answer; when
/// that came, and all answers.
fn answers_of_a_second(lab: &Lab, name: &str) -> (Option<Instant>, Vec<Vec<u8>>) {
    let socket = lab.desk.enter(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket can be opened");
    let patience = Some(Duration::from_millis(5));
    socket.set_read_timeout(patience).expect("a time limit can be set");
    let mut query = vec![0x4c, 0x57, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).expect("a short label"));
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);

    let (began, mut first) = (Instant::now(), None);
    let mut answers = Vec::new();
    while first.unwrap_or(began + secs(1)).elapsed() < secs(1) {
        // Until A is up the port is closed, and the system may say so here.
        let _ = socket.send_to(&query, (Vlan::Home.host(Side::A), 53));
        let mut answer = [0; 512];
        if let Ok(len) = socket.recv(&mut answer) {
            first.get_or_insert_with(Instant::now);
            answers.push(answer[..len].to_vec());
        }
    }
    (first, answers)
}

/// What A answers as soon as it answers at all.
#[track_caller]
fn first_answer(lab: &Lab, name: &str) -> dig::Answer {
    let server = Vlan::Home.host(Side::A);
    let patience = Duration::from_millis(300);
    let first = wait_for(secs(5), || dig::ask_for(patience, &lab.desk, server, name, "A"));
    first.expect("A answers within five seconds")
}

/// Whether this is an address of the host.
fn is_host(server: Ipv4Addr, side: Side) -> bool {
    Vlan::ALL.iter().any(|vlan| vlan.host(side) == server)
}
