#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::net::{Ipv4Addr, UdpSocket};

use lanward_dhcp::HwAddr;

use super::*;
use crate::io::test_namespace;

fn loopback(last: u8, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(127, 0, 67, last), port)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(std::time::Duration::from_secs(5), what).await.expect("in time")
}

#[test]
fn a_datagram_tells_interface_sender_and_target() {
    runtime().block_on(async {
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let server = DhcpSocket::open(any, CLIENT_PORT).unwrap();
        let client = UdpSocket::bind(loopback(9, 0)).unwrap();
        client.send_to(b"hello", loopback(2, server.port())).unwrap();
        let got = within(server.receive()).await.unwrap();
        let loopback_index = nix::net::if_::if_nametoindex("lo").unwrap();
        assert_eq!(got.ifindex, loopback_index);
        assert_eq!(SocketAddr::V4(got.src), client.local_addr().unwrap());
        assert_eq!((got.dst, &got.payload[..]), (*loopback(2, 0).ip(), &b"hello"[..]));
    });
}

#[test]
fn a_reply_leaves_from_the_address_it_is_told() {
    runtime().block_on(async {
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let relay = UdpSocket::bind(loopback(9, 0)).unwrap();
        let port = relay.local_addr().unwrap().port();
        relay.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        let server = DhcpSocket::open(any, port).unwrap();
        let mut transmit = Transmit {
            network: None,
            destination: Destination::Relay { addr: *loopback(9, 0).ip(), port: Some(port) },
            source: *loopback(3, 0).ip(),
            payload: vec![7; 300],
        };
        let mut buffer = [0; 400];
        for destination in [transmit.destination, Destination::Unicast(*loopback(9, 0).ip())] {
            transmit.destination = destination;
            server.send(&transmit, None).unwrap();
            let (len, from) = relay.recv_from(&mut buffer).unwrap();
            assert_eq!((len, from), (300, SocketAddr::V4(loopback(3, server.port()))));
        }
    });
}

#[test]
fn what_is_too_long_is_dropped_and_counted() {
    runtime().block_on(async {
        let server = DhcpSocket::open(loopback(4, 0), CLIENT_PORT).unwrap();
        let client = UdpSocket::bind(loopback(9, 0)).unwrap();
        client.send_to(&vec![1; 5000], loopback(4, server.port())).unwrap();
        client.send_to(&vec![2; 4096], loopback(4, server.port())).unwrap();
        assert_eq!(within(server.receive()).await.unwrap().payload, vec![2; 4096]);
        assert_eq!(server.counters().too_long, 1);
    });
}

#[test]
fn a_taken_port_is_named() {
    runtime().block_on(async {
        let first = DhcpSocket::open(loopback(5, 0), CLIENT_PORT).unwrap();
        let error = DhcpSocket::open(loopback(5, first.port()), CLIENT_PORT).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("port {} of 127.0.67.5 is in use", first.port())), "{text}");
    });
}

#[test]
fn what_needs_an_interface_is_refused_without_one() {
    runtime().block_on(async {
        let server = DhcpSocket::open(loopback(6, 0), CLIENT_PORT).unwrap();
        let link = Destination::Link {
            hw: HwAddr::ethernet([2, 0, 0x5e, 0x10, 0, 1]),
            addr: Ipv4Addr::new(10, 0, 20, 100),
        };
        for destination in [link, Destination::Broadcast] {
            let transmit = Transmit {
                network: None,
                destination,
                source: *loopback(6, 0).ip(),
                payload: vec![7; 300],
            };
            assert!(server.send(&transmit, None).is_err());
        }
    });
}

/// What needs interfaces of its own runs in a network namespace, in a second process of this
/// test binary.
#[test]
fn frames_and_broadcasts_leave_by_the_interface_they_are_told() {
    test_namespace::run_ignored("io::dhcp_socket::tests::in_a_namespace");
}

#[test]
#[ignore = "run in a network namespace by the test above"]
fn in_a_namespace() {
    for command in [
        "link set lo up",
        "link add near type veth peer name far",
        "addr add 10.0.20.2/24 dev near",
        "link set near up",
        "link set far up",
    ] {
        let status = std::process::Command::new("ip").args(command.split(' ')).status().unwrap();
        assert!(status.success(), "ip {command}");
    }
    runtime().block_on(async {
        let index = nix::net::if_::if_nametoindex("near").unwrap();
        let far_index = nix::net::if_::if_nametoindex("far").unwrap();
        let far =
            PacketSocket::open(far_index, Some(crate::packet_socket::ETHERTYPE_IPV4)).unwrap();
        let near_mac = PacketSocket::open(index, None).unwrap().mac;
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, SERVER_PORT);
        let server = DhcpSocket::open(any, CLIENT_PORT).unwrap();

        // In: a broadcast of a client without address.
        let nowhere = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT);
        let everywhere = SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER_PORT);
        let discover = frame::udp(far.mac, [0xff; 6], nowhere, everywhere, b"discover").unwrap();
        far.socket.send(&discover).unwrap();
        let got = within(server.receive()).await.unwrap();
        assert_eq!((got.ifindex, got.src, got.dst), (index, nowhere, Ipv4Addr::BROADCAST));

        // In: a broadcast to the subnet; out of it no own address may be read.
        let subnet = SocketAddrV4::new(Ipv4Addr::new(10, 0, 20, 255), SERVER_PORT);
        let client = SocketAddrV4::new(Ipv4Addr::new(10, 0, 20, 77), CLIENT_PORT);
        let request = frame::udp(far.mac, [0xff; 6], client, subnet, b"request").unwrap();
        far.socket.send(&request).unwrap();
        assert_eq!(within(server.receive()).await.unwrap().dst, Ipv4Addr::BROADCAST);

        // Out: a frame to an address nobody has yet, and a broadcast without any route.
        let source = Ipv4Addr::new(10, 0, 20, 2);
        let to = Ipv4Addr::new(10, 0, 20, 100);
        let hw = HwAddr::ethernet([2, 0, 0x5e, 0x10, 0, 1]);
        let link = Destination::Link { hw, addr: to };
        for (destination, mac, ip) in [
            (link, [2, 0, 0x5e, 0x10, 0, 1], to),
            (Destination::Broadcast, [0xff; 6], Ipv4Addr::BROADCAST),
        ] {
            let network = Some("home".into());
            let payload = vec![7; 300];
            let transmit = Transmit { network, destination, source, payload };
            server.send(&transmit, Some(index)).unwrap();
            let frame = next_udp(&far.socket);
            assert_eq!((&frame[..6], &frame[6..12]), (&mac[..], &near_mac[..]));
            assert_eq!((&frame[26..30], &frame[30..34]), (&source.octets()[..], &ip.octets()[..]));
            assert_eq!(&frame[34..38], [0, 67, 0, 68]);
            assert_eq!(frame[42..], [7; 300]);
        }
        assert_eq!(server.counters().broadcast_instead, 0);

        // The interface goes and another one comes: nothing is kept of the first.
        for command in ["link del near", "link add near type veth peer name far"] {
            std::process::Command::new("ip").args(command.split(' ')).status().unwrap();
        }
        let transmit = Transmit { network: None, destination: link, source, payload: vec![7; 300] };
        assert!(server.send(&transmit, Some(index)).is_err(), "a dead interface");
        for command in ["addr add 10.0.20.2/24 dev near", "link set near up", "link set far up"] {
            std::process::Command::new("ip").args(command.split(' ')).status().unwrap();
        }
        let index = nix::net::if_::if_nametoindex("near").unwrap();
        let far_index = nix::net::if_::if_nametoindex("far").unwrap();
        let far =
            PacketSocket::open(far_index, Some(crate::packet_socket::ETHERTYPE_IPV4)).unwrap();
        server.send(&transmit, Some(index)).unwrap();
        assert_eq!(next_udp(&far.socket)[..6], [2, 0, 0x5e, 0x10, 0, 1]);
        far.socket.send(&discover).unwrap();
        assert_eq!(within(server.receive()).await.unwrap().ifindex, index);
    });
}

/// The next frame with a UDP packet from the server port.
fn next_udp(socket: &Socket) -> Vec<u8> {
    use std::io::Read as _;
    for _ in 0..500 {
        let mut buffer = [0; 2048];
        let mut reader = socket;
        match reader.read(&mut buffer) {
            Ok(len) if buffer[23] == 17 && buffer[34..36] == [0, 67] => {
                return buffer[..len].to_vec();
            }
            Ok(_) => {}
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(10)),
        }
    }
    panic!("no frame");
}
