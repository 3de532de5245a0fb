//! Looks for another DHCP server on a network, as a client would.

use std::io::{self, Read as _};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::{CLIENT_PORT, SERVER_PORT, frame};
use crate::packet_socket::{ETHERTYPE_IPV4, PacketSocket};

/// How long an offer may take: servers ask the link about an address before they offer it.
const PATIENCE: Duration = Duration::from_millis(2500);
/// An offer is short.
const LONGEST: usize = 1600;
/// The least length of a BOOTP message some servers accept (RFC 1542 section 2.1).
const SHORTEST: usize = 300;

/// The server that offers an address to a client nobody knows, on the interface with index
/// `ifindex`; `None` when none does within [`PATIENCE`]. `xid` names the question, and the client.
pub async fn other_server(ifindex: u32, xid: u32) -> io::Result<Option<Ipv4Addr>> {
    let PacketSocket { socket, mac } =
        PacketSocket::open_elsewhere(ifindex, ETHERTYPE_IPV4).await?;
    let from = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT);
    let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER_PORT);
    socket.send(&frame::udp(mac, [0xff; 6], from, to, &discover(xid))?)?;
    // To wait for a packet, tokio asks no more of a descriptor than that it is one.
    let waiting = UdpSocket::from_std(socket.try_clone()?.into())?;
    let wait = async {
        loop {
            let mut buffer = [0; LONGEST];
            let received = waiting.async_io(Interest::READABLE, || (&*socket).read(&mut buffer));
            let len = received.await?;
            if let Some(server) = buffer.get(..len).and_then(|frame| offered_by(frame, xid)) {
                return Ok(Some(server));
            }
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or(Ok(None))
}

/// A DISCOVER of a client with an address of its own making, to be answered by broadcast.
fn discover(xid: u32) -> Vec<u8> {
    let mut message = vec![1, 1, 6, 0];
    message.extend_from_slice(&xid.to_be_bytes());
    message.extend_from_slice(&[0, 0, 0x80, 0]);
    message.extend_from_slice(&[0; 16]);
    let [a, b, c, d] = xid.to_be_bytes();
    message.extend_from_slice(&[2, 0x4c, a, b, c, d]);
    message.resize(236, 0);
    // The cookie, DHCPDISCOVER, and that a mask and a router are asked for.
    message.extend_from_slice(&[99, 130, 83, 99, 53, 1, 1, 55, 2, 1, 3, 255]);
    message.resize(SHORTEST, 0);
    message
}

/// Who sent a frame, if it is an answer to the question `xid`.
fn offered_by(frame: &[u8], xid: u32) -> Option<Ipv4Addr> {
    if frame.get(12..14)? != ETHERTYPE_IPV4.to_be_bytes() {
        return None;
    }
    let ip = frame.get(14..)?;
    let header = usize::from(ip.first()? & 0x0f) * 4;
    let udp = ip.get(header..)?;
    let is_reply = *ip.get(9)? == 17 && udp.get(2..4)? == CLIENT_PORT.to_be_bytes();
    let bootp = udp.get(8..)?;
    if !is_reply || bootp.first()? != &2 || bootp.get(4..8)? != xid.to_be_bytes() {
        return None;
    }
    let server: [u8; 4] = ip.get(12..16)?.try_into().ok()?;
    Some(Ipv4Addr::from(server))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

    fn offer(xid: u32, to_port: u16) -> Vec<u8> {
        let mut message = discover(xid);
        message[0] = 2;
        let from = SocketAddrV4::new(SERVER, SERVER_PORT);
        let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, to_port);
        frame::udp([2; 6], [0xff; 6], from, to, &message).expect("it is short")
    }

    #[test]
    fn an_offer_names_its_server() {
        assert_eq!(offered_by(&offer(7, CLIENT_PORT), 7), Some(SERVER));
    }

    #[test]
    fn other_peoples_packets_are_no_offers() {
        assert_eq!(offered_by(&offer(8, CLIENT_PORT), 7), None);
        assert_eq!(offered_by(&offer(7, 53), 7), None);
        let question = frame::udp(
            [2; 6],
            [0xff; 6],
            SocketAddrV4::new(SERVER, SERVER_PORT),
            SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT),
            &discover(7),
        );
        assert_eq!(offered_by(&question.expect("it is short"), 7), None);
        let whole = offer(7, CLIENT_PORT);
        for len in 0..50 {
            assert_eq!(offered_by(&whole[..len], 7), None);
        }
    }
}
