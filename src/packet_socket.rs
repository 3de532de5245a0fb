//! Packet sockets (AF_PACKET) on one interface, without unsafe code: the address to bind to is
//! one that the system itself listed.
//!
//! The system takes a packet socket that receives from its interface only when no processor can be
//! using it any more (an RCU grace period), and whoever binds or closes it waits for that: some
//! milliseconds, and under load up to seconds. So it is opened and closed on threads that may wait,
//! and never on those that serve.

#![allow(clippy::disallowed_methods, reason = "a shell: sockets")]

use std::io;
use std::ops::Deref;
use std::os::fd::{AsRawFd, RawFd};

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{LinkAddr, bind};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

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
    pub socket: Unhurried,
    /// The interface's own hardware address.
    pub mac: [u8; 6],
}

impl PacketSocket {
    /// Opens a socket on the interface with this index. `receive`: the EtherType to receive, if
    /// any; with one, this may block for long.
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
        Ok(PacketSocket { socket: socket.into(), mac })
    }

    /// The same on a thread that may wait. Must be called within a tokio runtime.
    pub async fn open_elsewhere(ifindex: u32, receive: u16) -> io::Result<PacketSocket> {
        let open = spawn_blocking(move || PacketSocket::open(ifindex, Some(receive)));
        open.await.map_err(io::Error::other)?
    }
}

/// A socket that is closed on a thread that may wait.
#[derive(Debug)]
pub struct Unhurried(Option<Socket>);

impl From<Socket> for Unhurried {
    fn from(socket: Socket) -> Unhurried {
        Unhurried(Some(socket))
    }
}

impl Deref for Unhurried {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl AsRawFd for Unhurried {
    fn as_raw_fd(&self) -> RawFd {
        self.deref().as_raw_fd()
    }
}

impl Drop for Unhurried {
    fn drop(&mut self) {
        let socket = self.0.take();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn_blocking(move || drop(socket));
        }
    }
}

fn link_addr(ifindex: u32) -> io::Result<LinkAddr> {
    let links = getifaddrs()?.filter_map(|interface| interface.address?.as_link_addr().copied());
    let found = links.into_iter().find(|link| u32::try_from(link.ifindex()) == Ok(ifindex));
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such interface"))
}
