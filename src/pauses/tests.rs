use std::sync::Arc;

use lanward_dhcp::{Client, ClientKey, Time};

use super::*;
use crate::settings::words::{Id, Mac};
use crate::settings::{HostView, derive};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn moment(wall: &str, steady_secs: u64) -> Moment {
    Moment { wall: at(wall), steady: Duration::from_secs(steady_secs) }
}

/// From 18:00 for five minutes.
fn five_minutes() -> PauseSpec {
    PauseSpec {
        scope: PauseScope::All,
        from: at("2026-11-20T18:00:00Z"),
        until: Some(at("2026-11-20T18:05:00Z")),
    }
}

#[test]
fn a_pause_ends_at_its_moment_and_is_looked_at_before() {
    let mut watch = PauseWatch::default();
    let pauses = [five_minutes()];
    let now = watch.judge(&pauses, moment("2026-11-20T18:00:00Z", 10));
    assert_eq!((now.pauses.len(), now.again), (1, Some(LOOK)));
    let last = watch.judge(&pauses, moment("2026-11-20T18:04:59.75Z", 309));
    assert_eq!((last.pauses.len(), last.again), (1, Some(Duration::from_millis(250))));
    let over = watch.judge(&pauses, moment("2026-11-20T18:05:00Z", 310));
    assert_eq!(over, InForce::default());
}

#[test]
fn a_pause_outlives_a_restart_by_what_is_left_of_it() {
    let pauses = [five_minutes()];
    let now = PauseWatch::default().judge(&pauses, moment("2026-11-20T18:04:00Z", 0));
    assert_eq!(now.pauses.len(), 1);
    let late = PauseWatch::default().judge(&pauses, moment("2026-11-21T09:00:00Z", 0));
    assert_eq!(late.pauses.len(), 0);
}

#[test]
fn a_clock_far_behind_does_not_make_a_pause_longer() {
    let mut watch = PauseWatch::default();
    let pauses = [five_minutes()];
    for (wall, steady, in_force) in [
        ("1970-01-01T00:00:05Z", 5, true),
        ("1970-01-01T00:05:04Z", 304, true),
        ("1970-01-01T00:05:05Z", 305, false),
        // The clock is set right, and the pause is not over by it: it was long enough already.
        ("2026-11-20T18:02:00Z", 306, false),
    ] {
        let now = watch.judge(&pauses, moment(wall, steady));
        assert_eq!(!now.pauses.is_empty(), in_force, "{wall}");
    }
    // A new pause is another one.
    let again = [PauseSpec { from: at("2026-11-20T18:02:00Z"), ..five_minutes() }];
    let now = watch.judge(&again, moment("2026-11-20T18:02:10Z", 316));
    assert_eq!(now.pauses.len(), 1);
}

#[test]
fn a_pause_without_an_end_stays_until_it_is_taken_away() {
    let mut watch = PauseWatch::default();
    let pauses = [PauseSpec { until: None, ..five_minutes() }];
    let now = watch.judge(&pauses, moment("2027-11-20T18:00:00Z", 0));
    assert_eq!((now.pauses.len(), now.again), (1, None));
    assert_eq!(watch.judge(&[], moment("2027-11-20T18:00:01Z", 1)), InForce::default());
}

fn settings() -> Effective {
    let network = |subnet: &str| {
        format!(
            "{{\"subnet\":\"{subnet}.0/24\",\"prefixes6\":[\"fd00:{}::/64\"],\
             \"dhcp\":{{\"pools\":[\"{subnet}.100-{subnet}.199\"]}}}}",
            subnet.rsplit('.').next().unwrap_or_default()
        )
    };
    let reservation = "{\"network\":\"iot\",\"mac\":\"02:00:5e:10:00:01\",\
                       \"address\":\"10.0.30.20\"}";
    let records = [
        ("network/home".to_owned(), network("10.0.10")),
        ("network/iot".to_owned(), network("10.0.30")),
        ("reservation/camera".to_owned(), reservation.to_owned()),
    ];
    let host = HostView { addresses: vec!["10.0.30.2".parse().unwrap()], ..HostView::default() };
    derive(&records.into(), &host)
}

fn lease(addr: [u8; 4], hw: HwAddr, state: BindingState) -> Lease {
    let client = Client {
        key: ClientKey::Id(Arc::from([1, 2, 3])),
        hw,
        hostname: None,
        vendor_class: None,
        relay_info: None,
    };
    Lease { addr: addr.into(), state, client: Some(client), cltt: Time::ZERO, expiry: Time::ZERO }
}

#[test]
fn a_device_is_covered_under_every_address_it_has_and_a_network_by_its_prefixes() {
    let settings = settings();
    assert!(settings.problems.is_empty(), "{:?}", settings.problems);
    let mac = Mac([2, 0, 0x5e, 0x10, 0, 1]);
    let hw = HwAddr::ethernet(mac.0);
    let other = HwAddr::ethernet([2, 0, 0x5e, 0x10, 0, 2]);
    let leases = || {
        vec![
            lease([10, 0, 10, 100], hw, BindingState::Active),
            lease([10, 0, 10, 101], hw, BindingState::Expired),
            lease([10, 0, 10, 102], other, BindingState::Active),
        ]
        .into_iter()
    };
    let of = |scope| covered(&[PauseSpec { scope, ..five_minutes() }], &settings, leases());
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();

    let device = of(PauseScope::Device(mac));
    for (addr, paused) in [
        ("10.0.10.100", true),
        ("10.0.30.20", true),
        ("10.0.10.101", false),
        ("10.0.10.102", false),
        ("fd00:30::9", false),
    ] {
        assert_eq!(device.cover(ip(addr)), paused, "{addr}");
    }
    let network = of(PauseScope::Network(Id::parse("iot").unwrap()));
    for (addr, paused) in [("10.0.30.77", true), ("fd00:30::9", true), ("10.0.10.100", false)] {
        assert_eq!(network.cover(ip(addr)), paused, "{addr}");
    }
    assert!(of(PauseScope::All).cover(ip("127.0.0.1")));
    assert!(of(PauseScope::Address(ip("10.0.10.7"))).cover(ip("10.0.10.7")));
}
