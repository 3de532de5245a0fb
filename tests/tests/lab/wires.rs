//! The lab proves itself first: wires carry, cuts cut, and nothing is left behind.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use lanward_tests::lab::{Cut, Lab, Netns, Side, Story, Vlan, secs};

/// Whether a ping gets through and back.
fn reaches(from: &Netns, to: Ipv4Addr) -> bool {
    let out = from.run(secs(3), &["busybox", "ping", "-c", "1", "-W", "1", &to.to_string()]);
    out.expect("ping can be started").status.success()
}

/// Whether a TCP connection to a port where nobody listens is refused (rather than lost).
fn tcp_reaches(from: &Netns, to: Ipv4Addr) -> bool {
    let connect = || {
        let to = std::net::SocketAddr::from((to, 4));
        std::net::TcpStream::connect_timeout(&to, Duration::from_millis(500))
    };
    let result = from.enter(connect);
    matches!(result, Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused)
}

#[test]
fn wires_carry_cuts_cut_and_nothing_is_left_behind() {
    let Some(story) = Story::begin_without_daemon("the lab itself") else { return };
    let lab = Lab::build("wires");
    let (a, b) = (lab.household.host(Side::A), lab.household.host(Side::B));
    let host_b = Vlan::Home.host(Side::B);

    story.step("everybody reaches everybody; guests are behind the router");
    assert!(reaches(a, host_b) && reaches(b, Vlan::Iot.host(Side::A)));
    assert!(reaches(&lab.desk, Vlan::Guests.router()));
    assert!(tcp_reaches(a, host_b));

    story.step("the pair's link is cut: TCP between the hosts, and nothing else");
    lab.household.cut(Cut::PairLink);
    assert!(!tcp_reaches(a, host_b) && !tcp_reaches(b, Vlan::Iot.host(Side::A)));
    assert!(reaches(a, host_b), "a cut link leaves the network alone");
    assert!(tcp_reaches(&lab.desk, host_b), "devices still reach the hosts");

    story.step("the house is split");
    lab.household.cut(Cut::House);
    assert!(!reaches(a, host_b) && !reaches(b, Vlan::Iot.host(Side::A)));
    assert!(reaches(&lab.desk, host_b) && reaches(&lab.desk, Vlan::Home.host(Side::A)));

    story.step("all is mended");
    lab.household.heal();
    assert!(reaches(a, host_b) && tcp_reaches(a, host_b));

    story.step("nothing is left behind");
    drop(lab);
    let left = Command::new("ip").args(["netns", "list"]).output().expect("ip can be started");
    let left = String::from_utf8_lossy(&left.stdout).into_owned();
    let ours = format!("lw{}-wires", std::process::id());
    assert!(!left.contains(&ours), "{left}");
}
