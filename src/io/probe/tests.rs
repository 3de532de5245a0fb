#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use super::*;
use crate::io::test_namespace;

#[test]
fn an_arp_probe_claims_nothing() {
    let frame = arp_probe([2, 0, 0, 0, 0, 1], Ipv4Addr::new(10, 0, 20, 100));
    assert_eq!(frame.len(), 42);
    assert_eq!(frame[28..32], [0; 4], "an empty sender address");
    assert_eq!(frame[38..42], [10, 0, 20, 100]);
    // Heard back from a bridge, it is no answer.
    assert_eq!(arp_sender(&frame, [2, 0, 0, 0, 0, 1], Ipv4Addr::new(10, 0, 20, 100)), None);
}

#[test]
fn whoever_says_it_has_the_address_answers() {
    let addr = Ipv4Addr::new(10, 0, 20, 100);
    let mut frame = arp_probe([2, 0, 0, 0, 0, 9], Ipv4Addr::new(10, 0, 20, 1));
    frame[28..32].copy_from_slice(&addr.octets());
    let sender = HwAddr::ethernet([2, 0, 0, 0, 0, 9]);
    assert_eq!(arp_sender(&frame, [2; 6], addr), Some(sender));
    assert_eq!(arp_sender(&frame, [2; 6], Ipv4Addr::new(10, 0, 20, 101)), None);
    assert_eq!(arp_sender(&frame[..41], [2; 6], addr), None);
    assert_eq!(arp_sender(&[], [2; 6], addr), None);
}

#[test]
fn only_an_echo_reply_is_an_answer() {
    assert!(is_echo_reply(&[0, 0, 1, 2], false));
    assert!(!is_echo_reply(&[8, 0, 1, 2], false));
    let mut with_header = vec![0x46; 24];
    with_header.extend_from_slice(&[0, 0]);
    assert!(is_echo_reply(&with_header, true));
    assert!(!is_echo_reply(&with_header[..24], true));
    assert!(!is_echo_reply(&[], true));
}

#[test]
fn an_echo_finds_a_host() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let found = runtime.block_on(probe(ProbeHow::Icmp, None, Ipv4Addr::LOCALHOST));
    match found {
        Ok(result) => assert_eq!(result, ProbeResult::Answered(None)),
        Err(Unavailable::NotPermitted { what }) => {
            test_namespace::skip(&format!("{what} is not permitted to this user"));
        }
        Err(error) => panic!("{error}"),
    }
}

/// What needs interfaces of its own runs in a network namespace, in a second process of this
/// test binary.
#[test]
fn an_arp_probe_finds_hosts_on_the_link() {
    test_namespace::run_ignored("io::probe::tests::in_a_namespace");
}

#[test]
#[ignore = "run in a network namespace by the test above"]
fn in_a_namespace() {
    for command in [
        "link add near type veth peer name far",
        "addr add 10.0.20.2/24 dev near",
        "addr add 10.0.30.9/24 dev far",
        "link set near up",
        "link set far address 02:00:5e:10:00:09",
        "link set far up",
    ] {
        let status = std::process::Command::new("ip").args(command.split(' ')).status().unwrap();
        assert!(status.success(), "ip {command}");
    }
    let index = nix::net::if_::if_nametoindex("near").ok();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let started = tokio::time::Instant::now();
        let found = probe(ProbeHow::Arp, index, Ipv4Addr::new(10, 0, 30, 9)).await.unwrap();
        let far = HwAddr::ethernet([2, 0, 0x5e, 0x10, 0, 9]);
        assert_eq!(found, ProbeResult::Answered(Some(far)));
        assert!(started.elapsed() < PATIENCE / 2, "the answer ends the wait");

        let started = tokio::time::Instant::now();
        let nobody = Ipv4Addr::new(10, 0, 20, 77);
        assert_eq!(probe(ProbeHow::Arp, index, nobody).await.unwrap(), ProbeResult::Silent);
        assert!((PATIENCE..PATIENCE * 2).contains(&started.elapsed()));

        // No route leads there: nobody is there either.
        let far_away = Ipv4Addr::new(192, 0, 2, 1);
        assert_eq!(probe(ProbeHow::Icmp, None, far_away).await.unwrap(), ProbeResult::Silent);

        let gone = probe(ProbeHow::Arp, Some(9999), nobody).await.unwrap_err();
        assert!(matches!(gone, Unavailable::Io { .. }), "{gone}");
        let none = probe(ProbeHow::Arp, None, nobody).await.unwrap_err();
        assert!(matches!(none, Unavailable::NoInterface), "{none}");
    });
}
