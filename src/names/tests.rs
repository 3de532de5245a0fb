use lanward_dhcp::{Client, Config, HwAddr, Reservation, Time};

use super::*;
use crate::settings::effective::ReservedName;

fn network(third: u8) -> Network {
    Network {
        subnet: (Ipv4Addr::new(10, 0, third, 0), 24),
        server_addr: None,
        pools: Vec::new(),
        use_client_id: true,
        lease_time: std::time::Duration::from_secs(3600),
        max_lease_time: std::time::Duration::from_secs(3600),
        authoritative: true,
        probe: true,
        options: BTreeMap::new(),
        domain: "home.arpa".into(),
        reservations: Vec::new(),
    }
}

fn settings() -> Effective {
    let mut home = network(20);
    home.reservations.push(Reservation {
        hw: Some(HwAddr::ethernet([2, 0, 0, 0, 0, 9])),
        client_id: None,
        addr: Ipv4Addr::new(10, 0, 20, 9),
        hostname: Some("printer".into()),
    });
    let networks = BTreeMap::from([("home".into(), home), ("iot".into(), network(30))]);
    Effective {
        dhcp: Config { networks },
        domain: "home.arpa".into(),
        reserved_names: vec![ReservedName {
            name: "printer.home.arpa".into(),
            addr: Ipv4Addr::new(10, 0, 20, 9),
        }],
        ..Effective::default()
    }
}

fn lease(addr: [u8; 4], mac: u8, hostname: &str) -> Lease {
    let hw = HwAddr::ethernet([2, 0, 0, 0, 0, mac]);
    Lease {
        addr: addr.into(),
        state: BindingState::Active,
        client: Some(Client {
            key: ClientKey::Hw(hw),
            hw,
            hostname: Some(hostname.into()),
            vendor_class: None,
            relay_info: None,
        }),
        cltt: Time::ZERO,
        expiry: Time::MAX,
    }
}

fn names(leases: &[Lease]) -> Vec<String> {
    let names = derive(leases.iter().cloned(), &settings(), &["pi-a", "pi-b"]);
    names.iter().map(|n| format!("{} {}", n.name, n.addr)).collect()
}

#[test]
fn an_active_lease_has_the_name_its_client_sent() {
    let got = names(&[lease([10, 0, 30, 101], 1, "Camera")]);
    assert_eq!(got, ["printer.home.arpa 10.0.20.9", "camera.home.arpa 10.0.30.101"]);
}

#[test]
fn a_lease_that_is_not_active_has_no_name() {
    for state in [BindingState::Free, BindingState::Expired, BindingState::Released] {
        let lease = Lease { state, ..lease([10, 0, 30, 101], 1, "camera") };
        assert_eq!(names(&[lease]), ["printer.home.arpa 10.0.20.9"]);
    }
}

#[test]
fn a_reserved_name_or_a_nodes_name_cannot_be_claimed_by_a_device() {
    for name in ["printer", "PRINTER", "pi-a"] {
        let got = names(&[lease([10, 0, 30, 101], 1, name)]);
        assert_eq!(got, ["printer.home.arpa 10.0.20.9"]);
    }
}

#[test]
fn of_two_devices_with_one_name_the_lower_address_has_it() {
    let got = names(&[lease([10, 0, 20, 101], 1, "tv"), lease([10, 0, 30, 101], 2, "tv")]);
    assert_eq!(got[1..], ["tv.home.arpa 10.0.20.101"]);
}

#[test]
fn one_client_with_two_leases_has_both_addresses_under_its_name() {
    let got = names(&[lease([10, 0, 20, 101], 1, "laptop"), lease([10, 0, 30, 101], 1, "laptop")]);
    assert_eq!(got[1..], ["laptop.home.arpa 10.0.20.101", "laptop.home.arpa 10.0.30.101"]);
}

#[test]
fn a_lease_outside_every_network_has_no_name() {
    assert_eq!(names(&[lease([10, 9, 9, 9], 1, "ghost")]), ["printer.home.arpa 10.0.20.9"]);
}
