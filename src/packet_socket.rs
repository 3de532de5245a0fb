//! Packet sockets (AF_PACKET) on one interface, without unsafe code: the address to bind to is
//! one that the system itself listed.

#![allow(clippy::disallowed_methods, reason = "a shell: sockets")]

use std::io;
use std::os::fd::AsRawFd;

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{LinkAddr, bind};
use socket2::{Domain, Protocol, Socket, Type};

/// EtherType of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// ARP hardware type of Ethernet.
const ARPHRD_ETHER: u16 = 1;

/// A packet socket bound to one Ethernet interface. It sends whole frames, and receives those
/// of the one EtherType it was opened for.
#[derive(Debug)]
pub struct PacketSocket {
    /// The socket, not blocking.
    pub socket: Socket,
    /// The interface's own hardware address.
    pub mac: [u8; 6],
}

impl PacketSocket {
    /// Opens a socket on the interface with this index. `receive`: the EtherType to receive, if
    /// any.
    pub fn open(ifindex: u32, receive: Option<u16>) -> io::Result<PacketSocket> {
        // Zero receives nothing; anything else is in network order.
        let protocol = i32::from(receive.unwrap_or(0).to_be());
        let kind = Type::RAW.nonblocking().cloexec();
        let socket = Socket::new(Domain::PACKET, kind, Some(Protocol::from(protocol)))?;
        let link = link_addr(ifindex)?;
        let mac = link.addr().filter(|_| link.hatype() == ARPHRD_ETHER && link.halen() == 6);
        let mac = mac.ok_or_else(|| io::Error::other("the interface is no Ethernet"))?;
        // The listed address has no protocol, which leaves the socket's own.
        bind(socket.as_raw_fd(), &link)?;
        Ok(PacketSocket { socket, mac })
    }
}

fn link_addr(ifindex: u32) -> io::Result<LinkAddr> {
    let links = getifaddrs()?.filter_map(|interface| interface.address?.as_link_addr().copied());
    let found = links.into_iter().find(|link| u32::try_from(link.ifindex()) == Ok(ifindex));
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such interface"))
}
