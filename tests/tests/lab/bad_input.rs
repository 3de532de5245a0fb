//! What others send, type or occupy by mistake.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::SystemTime;

use lanward_tests::dhcp_client::{Kind, Message};
use lanward_tests::lab::{Lab, Netns, Program, Side, Story, Vlan, dig, secs, wait_for};

/// Bytes without meaning, the same in every run (xorshift).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// Garbage for a DHCP server: noise, cut messages, and messages with one wrong byte; among them
/// every hardware address length.
fn dhcp_garbage(noise: &mut Noise) -> Vec<Vec<u8>> {
    let mac = [2, 0x4c, 0x57, 0xff, 0, 1];
    let whole = Message::new(Kind::Discover, mac, 1).hostname("garbage").option(55, [1, 3, 6]);
    let whole = whole.to_bytes();
    let mut all: Vec<Vec<u8>> = (0..300).map(|len| noise.bytes(len * 5)).collect();
    all.extend((0..whole.len()).step_by(3).map(|len| whole[..len].to_vec()));
    for hlen in 0..=255 {
        let mut bytes = whole.clone();
        bytes[2] = hlen;
        all.push(bytes);
    }
    for at in 236..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] = noise.next().to_le_bytes()[0];
        all.push(bytes);
    }
    all
}

/// Garbage for a DNS server: noise, cut queries, queries with one wrong byte, pointer loops.
fn dns_garbage(noise: &mut Noise) -> Vec<Vec<u8>> {
    let mut whole = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    whole.extend_from_slice(b"\x02tv\x04home\x04arpa\x00\x00\x01\x00\x01");
    let mut all: Vec<Vec<u8>> = (0..300).map(|len| noise.bytes(len * 4)).collect();
    all.extend((0..whole.len()).map(|len| whole[..len].to_vec()));
    for at in 2..whole.len() {
        for _ in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] = noise.next().to_le_bytes()[0];
            all.push(bytes);
        }
    }
    all.push([&whole[..12], &[0xc0, 12, 0, 1, 0, 1]].concat());
    all
}

/// Sends all of it from a device to one port of a host.
fn throw(from: &Netns, to: Ipv4Addr, port: u16, garbage: &[Vec<u8>]) {
    let socket = from.enter(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket can be opened");
    for bytes in garbage {
        // What does not fit a datagram, or a full queue, is not the point here.
        let _ = socket.send_to(bytes, (to, port));
    }
}

#[test]
fn garbage_on_53_and_67_disturbs_nobody() {
    let Some(story) = Story::begin("garbage on 53 and 67") else { return };
    let mut lab = Lab::build("garbage");
    lab.start_pair();
    let mut noise = Noise(0x1a2b_3c4d_5e6f);
    let (dhcp, dns) = (dhcp_garbage(&mut noise), dns_garbage(&mut noise));
    let mut first = lab.device("first", Program::Udhcpc, Vlan::Iot);
    first.switch_on();
    let lease = first.bound_within(secs(5));

    for side in Side::BOTH {
        throw(&lab.desk, Vlan::Home.host(side), 67, &dhcp);
        throw(first.netns(), Vlan::Iot.host(side), 67, &dhcp);
        throw(&lab.desk, Vlan::Home.host(side), 53, &dns);
    }
    story.step(&format!("threw {} datagrams at each host", 2 * dhcp.len() + dns.len()));

    for side in Side::BOTH {
        assert!(lab.daemon_mut(side).is_running(), "{side} died");
        let log = lab.daemon(side).log_text();
        assert!(!log.contains("panicked"), "{side} panicked");
        let record = ("first.home.arpa", lease.address);
        let server = Vlan::Home.host(side);
        dig::named_within(&lab.desk, server, record, (SystemTime::now(), secs(1)));
    }
    for vlan in Vlan::ALL {
        let mut device = lab.device(&format!("after-{}", vlan.id()), Program::Udhcpc, vlan);
        device.switch_on();
        device.bound_within(secs(5));
    }
    lab.normal_within(secs(1));
    story.step("names and leases as before, both still in NORMAL");
}

#[test]
fn a_host_with_a_wrong_invite_is_refused_with_a_clear_message() {
    let Some(story) = Story::begin("a wrong invite") else { return };
    let mut lab = Lab::build("invite");
    lab.start(Side::A);
    lab.start(Side::B);
    let invite = lab.invite(Side::A);

    let (wrong, garbage) = (altered(&invite), "not-an-invite".to_owned());
    for bad in [&wrong, &garbage, &invite[..invite.len() / 2].to_owned()] {
        let said = lab.daemon(Side::B).cli(&["pair", "join", bad]);
        assert!(!said.status.success(), "joined with {bad}: {said:?}");
        assert!(said.err.contains("invite"), "the message speaks of the invite: {said:?}");
        assert!(!said.err.contains("panicked"), "{said:?}");
        story.step(&format!("refused: {}", said.err.trim().replace('\n', " / ")));
    }

    // Invites live in memory: after a restart A does not know the secret any more.
    lab.daemon_mut(Side::A).kill();
    lab.start(Side::A);
    let said = lab.daemon(Side::B).cli(&["pair", "join", &invite]);
    assert!(!said.status.success() && said.err.contains("make a new one"), "{said:?}");
    story.step(&format!("a secret A does not know: {}", said.err.trim().replace('\n', " / ")));

    for side in Side::BOTH {
        lab.state_within(side, "STANDALONE", secs(1));
    }
    let mut device = lab.device("tablet", Program::Udhcpc, Vlan::Home);
    device.switch_on();
    assert_eq!(device.bound_within(secs(5)).server, Vlan::Home.host(Side::A));
    story.step("A serves all the while");

    let invite = lab.invite(Side::A);
    let said = lab.daemon(Side::B).cli(&["pair", "join", &invite]);
    assert!(said.status.success(), "a right invite works: {said:?}");
    lab.normal_within(secs(20));
    story.step("a right invite still makes them a pair");

    let said = lab.daemon(Side::B).cli(&["pair", "join", &invite]);
    assert!(!said.status.success(), "a pair takes no third: {said:?}");
}

/// The invite with one character in its middle changed.
fn altered(invite: &str) -> String {
    let middle = invite.len() / 2;
    let change = |(at, c): (usize, char)| match (at == middle, c) {
        (true, 'a' | 'A') => 'B',
        (true, _) => 'A',
        (false, c) => c,
    };
    invite.char_indices().map(change).collect()
}

#[test]
fn a_port_in_use_is_told_with_what_to_do() {
    let Some(story) = Story::begin("port 53 is taken") else { return };
    let mut lab = Lab::build("port");
    let host = lab.household.host(Side::A);
    let taken = host.enter(|| UdpSocket::bind("0.0.0.0:53")).expect("the port is free");
    lab.launch(Side::A);
    let ended = lab.daemon_mut(Side::A).ended_within(secs(5)).expect("it gives up");
    let told = lab.daemon(Side::A).log_text();
    assert!(!ended.success());
    let own_pid = std::process::id().to_string();
    for word in ["0.0.0.0:53", "udp port 53", own_pid.as_str(), "[dns] listen"] {
        assert!(told.contains(word), "the message names {word}: {told}");
    }
    assert!(!told.contains("panicked"));
    story.step(&told.trim().replace('\n', " / "));

    drop(taken);
    lab.start(Side::A);
    let answer = wait_for(secs(2), || {
        dig::ask(&lab.desk, Vlan::Home.host(Side::A), "nobody.home.arpa", "A")
    });
    assert_eq!(answer.expect("an answer").status, "NXDOMAIN");
    story.step("the port is free again and served");
}

#[test]
fn broken_settings_and_an_unreachable_list_change_nothing() {
    let Some(story) = Story::begin("broken settings, an unreachable list") else { return };
    let mut lab = Lab::build("settings");
    lab.start_pair();

    let daemon = lab.daemon(Side::A);
    let before = daemon.log_text().len();
    daemon.write(
        "household.toml",
        "domain = \"home.arpa\"\n\n[[network]]\nid = \"home\"\nsubmet = 7\n",
    );
    let complaint = wait_for(secs(5), || {
        let log = daemon.log_text().split_off(before);
        (log.contains("submet") && log.contains("subnet")).then_some(log)
    });
    let complaint = complaint.unwrap_or_else(|| panic!("silent: {}", daemon.log_tail(20)));
    story.step(&format!("a broken household.toml: {}", complaint.lines().next().unwrap_or("")));

    let said = daemon.cli(&["lists", "add", "http://10.77.10.99/ads.txt", "--id", "nowhere"]);
    assert!(said.status.success(), "it may come up later: {said:?}");
    let error = wait_for(secs(20), || {
        let lists = daemon.json(&["lists"]);
        let list = lists.as_array()?.iter().find(|list| list["id"] == "nowhere")?.clone();
        (!list["error"].is_null()).then_some(list["error"].clone())
    });
    let error = error.unwrap_or_else(|| panic!("no error: {}", daemon.json(&["lists"])));
    story.step(&format!("an unreachable list: {error}"));

    for side in Side::BOTH {
        assert!(lab.daemon_mut(side).is_running(), "{side} died");
        assert!(!lab.daemon(side).log_text().contains("panicked"), "{side} panicked");
    }
    for vlan in Vlan::ALL {
        let mut device = lab.device(&format!("after-{}", vlan.id()), Program::Udhcpc, vlan);
        device.switch_on();
        device.bound_within(secs(5));
    }
    story.step("all three networks are served as before");
}
