use lanward_dhcp::{Client, Config, HwAddr, Reservation, Time};

use super::*;
use crate::settings::effective::{NamedRecord, NetworkView, ReservedName, ServiceView};
use crate::settings::records::RecordData;

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

/// The pair's hosts; their addresses are of no interest here.
fn hosts() -> Vec<(String, Vec<IpAddr>)> {
    vec![("pi-a".into(), Vec::new()), ("pi-b".into(), Vec::new())]
}

fn all(leases: &[Lease], settings: &Effective, file: &str) -> Names {
    let (hosts, file) = (hosts(), HostsFile::parse(file));
    let others = Others { hosts: &hosts, file: Some(&file) };
    derive(leases.iter().cloned(), settings, others)
}

fn names(leases: &[Lease]) -> Vec<String> {
    shown(&all(leases, &settings(), ""))
}

fn shown(names: &Names) -> Vec<String> {
    names.hosts.iter().map(|n| format!("{} {}", n.name, n.addr)).collect()
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

/// A network as the settings show it, with its router and a service address.
fn view(id: &str, third: u8, domain: &str) -> NetworkView {
    NetworkView {
        id: id.into(),
        name: id.into(),
        vlan: None,
        subnet: ipnet::Ipv4Net::new_assert(Ipv4Addr::new(10, 0, third, 0), 24),
        prefixes6: Vec::new(),
        router: Some(Ipv4Addr::new(10, 0, third, 1)),
        own: None,
        partner: None,
        service_addresses: vec![ServiceView {
            addr: Ipv4Addr::new(10, 0, third, 2).into(),
            home: lanward_ha::Rank::Zero,
        }],
        dns_servers: Vec::new(),
        policy: "default".into(),
        domain: domain.into(),
        dhcp: true,
    }
}

#[test]
fn the_pair_and_the_routers_have_names() {
    let networks = vec![view("home", 20, "home.arpa"), view("iot", 30, "iot.home.arpa")];
    let settings = Effective { networks, ..settings() };
    assert_eq!(
        shown(&all(&[], &settings, ""))[1..],
        [
            "lanward.home.arpa 10.0.20.2",
            "lanward.home.arpa 10.0.30.2",
            "router.home.arpa 10.0.20.1",
            "router.iot.home.arpa 10.0.30.1",
        ]
    );
    let names = shown(&all(&[], &settings, "10.0.20.77 router\n10.0.20.1 fritzbox"));
    assert_eq!(
        names[1..5],
        [
            "router.home.arpa 10.0.20.77",
            "fritzbox.home.arpa 10.0.20.1",
            "lanward.home.arpa 10.0.20.2",
            "lanward.home.arpa 10.0.30.2",
        ],
        "a name that somebody chose stands before ours"
    );
}

#[test]
fn the_hosts_file_yields_to_the_settings_and_wins_over_leases() {
    let file = "10.0.20.5 nas nas.example\n10.0.20.6 printer\n10.0.20.7 pi-a";
    let lease = lease([10, 0, 20, 101], 1, "nas");
    let got = all(&[lease], &settings(), file);
    assert_eq!(shown(&got)[1..], ["nas.home.arpa 10.0.20.5", "nas.example 10.0.20.5"], "{got:?}");
    let refused: Vec<String> = got.refused.iter().map(ToString::to_string).collect();
    let given = "the settings or the hosts file give it to somebody";
    assert_eq!(
        refused,
        [
            format!("line 2 of the hosts file does not name 10.0.20.6 printer.home.arpa: {given}"),
            format!("line 3 of the hosts file does not name 10.0.20.7 pi-a.home.arpa: {given}"),
            format!("the device at 10.0.20.101 is not called nas.home.arpa: {given}"),
        ]
    );
}

/// Names that a device must not have, each in several disguises.
fn hostile() -> Vec<Vec<u8>> {
    let special = [
        "wpad",
        "isatap",
        "localhost",
        "localdomain",
        "broadcasthost",
        "teredo",
        "ip6-loopback",
        "lanward",
        "router",
        "pi-a",
        "pi-b",
        "printer",
        "nas",
        "tv",
        "autoconfig",
        "autodiscover",
        "mta-sts",
        "local",
        "invalid",
        "onion",
    ];
    let disguises: [fn(&str) -> Vec<u8>; 20] = [
        |name| name.into(),
        |name| name.to_uppercase().into(),
        |name| format!("{name}.").into(),
        |name| format!("{name}.home.arpa").into(),
        |name| format!("{name}.evil.example").into(),
        |name| format!("-{name}").into(),
        |name| format!("{name}-").into(),
        |name| format!("_{name}").into(),
        |name| format!(" {name} ").into(),
        |name| format!("{name}\0").into(),
        |name| format!("{name}\0.example").into(),
        |name| format!("{name}\n").into(),
        |name| format!("\t{name}\r\n").into(),
        |name| format!("{name}*").into(),
        |name| format!("*{name}").into(),
        |name| format!("{name}\\").into(),
        |name| format!("\"{name}\"").into(),
        |name| format!("<{name}>").into(),
        |name| [&[0xff], name.as_bytes()].concat(),
        |name| format!("{name}\u{200b}").into(),
    ];
    let mut all: Vec<Vec<u8>> =
        special.iter().flat_map(|name| disguises.iter().map(|of| of(name))).collect();
    let shapes = [
        "", ".", "..", "...", "-", "--", "*", "*.", "@", "_", "\0", "\0\0wpad", ".wpad", " ",
        "\u{feff}",
    ];
    all.extend(shapes.map(Vec::from));
    let scripts = [
        "<script>alert(1)</script>",
        "'; DROP TABLE leases;--",
        "$(reboot)",
        "`id`",
        "../../etc/passwd",
        "%00",
        "{{7*7}}",
        "a\nwpad 10.0.0.1",
        "x IN A 10.0.0.1",
        "a,b,c",
        "a/b",
        "a:b",
        "a;b",
    ];
    all.extend(scripts.map(Vec::from));
    // Every single byte, and runs of every length around the limit of a label.
    all.extend((0..=u8::MAX).filter(|byte| !byte.is_ascii_alphanumeric()).map(|byte| vec![byte]));
    all.extend((60..=70).map(|len| vec![b'a'; len]));
    all
}

#[test]
fn no_hostile_name_is_in_dns_and_each_is_told_once() {
    let networks = vec![view("home", 20, "home.arpa")];
    let records = vec![NamedRecord {
        name: "nas.home.arpa".into(),
        data: RecordData::A(Ipv4Addr::new(10, 0, 20, 5)),
        ttl_secs: 60,
        networks: Vec::new(),
    }];
    let settings = Effective { networks, records, ..settings() };
    let tv = lease([10, 0, 20, 99], 1, "tv");
    let clean = all(std::slice::from_ref(&tv), &settings, "");
    let corpus = hostile();
    assert!(corpus.len() >= 500, "{}", corpus.len());
    for raw in &corpus {
        let name = lanward_dhcp::host_name(raw);
        let mut claims = lease([10, 0, 20, 101], 2, "");
        claims.client.as_mut().expect("a client").hostname = name.clone();
        let got = all(&[tv.clone(), claims], &settings, "");
        let added: Vec<&HostName> =
            got.hosts.iter().filter(|host| !clean.hosts.contains(host)).collect();
        let shown = String::from_utf8_lossy(raw);
        let Some(name) = name else {
            assert!(added.is_empty() && got.refused.is_empty(), "{shown:?}");
            continue;
        };
        assert!(clean.hosts.iter().all(|host| got.hosts.contains(host)), "{shown:?}");
        match added[..] {
            // Told once, and nobody has it but who had it before.
            [] => assert_eq!(got.refused.len(), 1, "{shown:?}"),
            [one] => {
                assert_eq!(*one.name, *format!("{name}.home.arpa"));
                assert!(name.len() <= 63 && !name.starts_with('-') && !name.ends_with('-'));
                let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                assert!(name.chars().all(plain), "{shown:?} became {name}");
                assert!(!clean.hosts.iter().any(|host| host.name == one.name), "{shown:?}");
                assert!(!lanward_dhcp::is_reserved_name(&name), "{shown:?}");
                assert_eq!(got.refused, [], "{shown:?}");
            }
            _ => panic!("{shown:?} has several names"),
        }
    }
}
