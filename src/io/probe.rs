//! Asks a network whether an address is in use.

#![allow(clippy::disallowed_methods, reason = "a shell: sockets and timeouts")]

use std::io::{self, Read as _};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use lanward_dhcp::{HwAddr, ProbeHow, ProbeResult};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::packet_socket::{ETHERTYPE_ARP, PacketSocket};

/// How long an answer may take. A host on the link answers within a few milliseconds; a phone
/// in power save wakes up for a beacon every 0.1 to 0.3 s.
pub const PATIENCE: Duration = Duration::from_millis(400);
/// An answer is short; what is longer is cut, and not looked at there.
const LONGEST: usize = 1536;

/// Why a probe cannot be done on this host.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The system does not allow the socket.
    #[error(
        "{what} probes are not permitted: they need CAP_NET_RAW; addresses are granted without \
         asking whether they are in use"
    )]
    NotPermitted {
        /// Which probes.
        what: &'static str,
    },
    /// No interface of this host is on the network.
    #[error("no interface of this host is on that network")]
    NoInterface,
    /// The system refused for another reason.
    #[error("{what} probe failed: {error}")]
    Io {
        /// Which probe.
        what: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

/// Asks whether `addr` is in use, on the interface with index `ifindex` (ARP) or wherever the
/// routes lead (ICMP). Takes [`PATIENCE`] when nobody answers. Never yields
/// [`ProbeResult::Unavailable`]; the error says why.
pub async fn probe(
    how: ProbeHow,
    ifindex: Option<u32>,
    addr: Ipv4Addr,
) -> Result<ProbeResult, Unavailable> {
    let (what, asked) = match how {
        ProbeHow::Arp => ("ARP", arp(ifindex.ok_or(Unavailable::NoInterface)?, addr).await),
        ProbeHow::Icmp => ("ICMP", icmp(addr).await),
    };
    asked.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => Unavailable::NotPermitted { what },
        _ => Unavailable::Io { what, error },
    })
}

/// One ARP probe: a request whose sender address is empty, so that nobody's table changes
/// (RFC 5227 section 2.1.1).
async fn arp(ifindex: u32, addr: Ipv4Addr) -> io::Result<ProbeResult> {
    let PacketSocket { socket, mac } = PacketSocket::open_elsewhere(ifindex, ETHERTYPE_ARP).await?;
    socket.send(&arp_probe(mac, addr))?;
    let answer = first_answer(&socket, |frame| arp_sender(frame, mac, addr)).await?;
    Ok(answer.map_or(ProbeResult::Silent, |hw| ProbeResult::Answered(Some(hw))))
}

/// One ICMP echo request (RFC 792).
async fn icmp(addr: Ipv4Addr) -> io::Result<ProbeResult> {
    // A "ping socket" needs no privilege where the system is set up for it.
    let (socket, is_raw) = match icmp_socket(Type::DGRAM) {
        Ok(socket) => (socket, false),
        Err(_) => (icmp_socket(Type::RAW)?, true),
    };
    // Only this address is heard then.
    let sent = socket
        .connect(&SocketAddrV4::new(addr, 0).into())
        .and_then(|()| socket.send(&echo_request()));
    match sent {
        Ok(_) => {}
        // No way there: nobody the client could meet either.
        Err(error) if is_unreachable(&error) => return Ok(ProbeResult::Silent),
        Err(error) => return Err(error),
    }
    let answer =
        first_answer(&socket, |packet| is_echo_reply(packet, is_raw).then_some(())).await?;
    Ok(answer.map_or(ProbeResult::Silent, |()| ProbeResult::Answered(None)))
}

/// The first packet `read` makes something of, within [`PATIENCE`].
async fn first_answer<T>(
    mut socket: &Socket,
    mut read: impl FnMut(&[u8]) -> Option<T>,
) -> io::Result<Option<T>> {
    // To wait for a packet, tokio asks no more of a descriptor than that it is one.
    let waiting = UdpSocket::from_std(socket.try_clone()?.into())?;
    let wait = async {
        loop {
            let mut buffer = [0; LONGEST];
            let received = waiting.async_io(Interest::READABLE, || socket.read(&mut buffer));
            match received.await {
                Ok(len) => {
                    if let Some(answer) = read(buffer.get(..len).unwrap_or(&buffer)) {
                        return Ok(Some(answer));
                    }
                }
                Err(error) if is_unreachable(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or(Ok(None))
}

fn icmp_socket(kind: Type) -> io::Result<Socket> {
    Socket::new(Domain::IPV4, kind.nonblocking().cloexec(), Some(Protocol::ICMPV4))
}

fn is_unreachable(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
}

/// The frame of an ARP probe for `addr`.
fn arp_probe(mac: [u8; 6], addr: Ipv4Addr) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend_from_slice(&mac);
    frame.extend_from_slice(&ETHERTYPE_ARP.to_be_bytes());
    // Ethernet, IPv4, lengths of their addresses, request.
    frame.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend_from_slice(&mac);
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(&[0; 6]);
    frame.extend_from_slice(&addr.octets());
    frame
}

/// Who says in an ARP packet, request or reply, that it has `addr` (RFC 5227 section 2.1.1);
/// not this host itself.
fn arp_sender(frame: &[u8], own: [u8; 6], addr: Ipv4Addr) -> Option<HwAddr> {
    let arp = frame.get(14..42)?;
    let (kind, sender) = (arp.get(..6)?, arp.get(8..14)?);
    let is_ethernet_ipv4 = kind == [0, 1, 8, 0, 6, 4];
    if !is_ethernet_ipv4 || arp.get(14..18)? != addr.octets() || sender == own {
        return None;
    }
    HwAddr::new(1, sender)
}

/// An echo request. The identifier is the kernel's for a ping socket; for a raw one the sender
/// of the answer, which `connect` holds to one address, says enough.
fn echo_request() -> Vec<u8> {
    let mut packet = vec![8, 0, 0, 0, 0x4c, 0x57, 0, 1];
    packet.extend_from_slice(b"is this address in use?!");
    let words = packet.chunks_exact(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    packet[2..4].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    packet
}

/// Whether a packet is an echo reply. A raw socket delivers the IP header as well.
fn is_echo_reply(packet: &[u8], has_ip_header: bool) -> bool {
    let header = match packet.first() {
        Some(first) if has_ip_header => usize::from(first & 0x0f) * 4,
        _ => 0,
    };
    packet.get(header) == Some(&0)
}

#[cfg(test)]
mod tests;
