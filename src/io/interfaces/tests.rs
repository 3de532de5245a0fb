use super::*;
use crate::io::test_namespace;

fn own(interface: &str, index: u32, net: &str, running: bool) -> OwnAddress {
    OwnAddress { interface: interface.to_owned(), index, net: net.parse().unwrap(), running }
}

#[test]
fn the_host_has_its_loopback_address() {
    let addresses = own_addresses().unwrap();
    let loopback = addresses.iter().find(|own| own.addr() == IpAddr::V4(Ipv4Addr::LOCALHOST));
    let loopback = loopback.expect("every Linux host has 127.0.0.1");
    assert_eq!((loopback.interface.as_str(), loopback.index), ("lo", 1));
    assert_eq!(loopback.net.prefix_len(), 8);
    assert!(!reachable(&addresses).contains(&loopback.addr()));
}

#[test]
fn a_network_is_on_the_interface_with_an_address_inside_its_subnet() {
    let addresses = [
        own("lo", 1, "127.0.0.1/8", true),
        own("eth0", 2, "192.168.1.2/24", true),
        own("eth0.30", 4, "10.0.30.2/24", true),
        own("eth0", 2, "fe80::1/64", true),
    ];
    let found =
        |net: &str| attached(&addresses, net.parse().unwrap()).map(|(own, addr)| (own.index, addr));
    assert_eq!(found("10.0.30.0/24"), Some((4, Ipv4Addr::new(10, 0, 30, 2))));
    assert_eq!(found("192.168.1.0/24"), Some((2, Ipv4Addr::new(192, 168, 1, 2))));
    assert_eq!(found("10.0.40.0/24"), None);
    assert_eq!(reachable(&addresses).len(), 2);
}

#[test]
fn a_running_interface_goes_before_one_without_carrier() {
    let addresses = [own("eth0", 2, "10.0.0.2/24", false), own("wlan0", 3, "10.0.0.3/24", true)];
    let (found, addr) = attached(&addresses, "10.0.0.0/24".parse().unwrap()).unwrap();
    assert_eq!((found.index, addr), (3, Ipv4Addr::new(10, 0, 0, 3)));
}

#[tokio::test]
async fn the_watcher_reports_the_addresses_at_once_and_stops_when_dropped() {
    let (sender, mut changes) = mpsc::channel(4);
    let watcher = Watcher::start(sender);
    let first = tokio::time::timeout(Duration::from_secs(5), changes.recv()).await.unwrap();
    assert_eq!(first, Some(own_addresses().unwrap()));
    drop(watcher);
    let end = tokio::time::timeout(Duration::from_secs(5), changes.recv()).await.unwrap();
    assert_eq!(end, None);
}

#[test]
fn an_address_that_comes_and_goes_is_reported_within_a_second() {
    test_namespace::run_ignored("io::interfaces::tests::in_a_namespace");
}

#[tokio::test]
#[ignore = "run in a network namespace by the test above"]
async fn in_a_namespace() {
    let (sender, mut changes) = mpsc::channel(4);
    let watcher = Watcher::start(sender);
    assert!(watcher.from_kernel());
    let has = |addresses: &[OwnAddress]| {
        addresses.iter().any(|own| own.net.to_string() == "10.99.0.1/24")
    };
    assert!(!has(&changes.recv().await.unwrap()));
    for (verb, expected) in [("add", true), ("del", false)] {
        let ip = ["addr", verb, "10.99.0.1/24", "dev", "lo"];
        assert!(std::process::Command::new("ip").args(ip).status().unwrap().success());
        let told = tokio::time::timeout(Duration::from_secs(1), changes.recv()).await;
        assert_eq!(told.ok().flatten().map(|now| has(&now)), Some(expected));
    }
}
