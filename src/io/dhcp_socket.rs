//! The DHCP server's socket: one UDP socket for all interfaces, and packet sockets for clients
//! that have no address yet.
//!
//! Which interface a packet came in on is read from its control message, so an interface may
//! vanish and come back without anything here noticing.

#![allow(clippy::disallowed_methods, reason = "a shell: sockets")]

use std::collections::BTreeMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use lanward_dhcp::{Destination, Transmit};
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::packet_socket::PacketSocket;

mod frame;
mod search;

pub use search::other_server;

/// The server port (RFC 2131 section 4.1).
pub const SERVER_PORT: u16 = 67;
/// The client port (RFC 2131 section 4.1).
pub const CLIENT_PORT: u16 = 68;
/// Longer datagrams are dropped: no client sends them, and no decoder sees them.
const LONGEST: usize = 4096;
/// Room in the kernel for a burst, such as a whole house after a power cut.
const RECEIVE_BUFFER: usize = 1 << 20;

/// A datagram as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The interface it came in on.
    pub ifindex: u32,
    /// Who sent it.
    pub src: SocketAddrV4,
    /// The own address it was sent to; 255.255.255.255 for every kind of broadcast.
    pub dst: Ipv4Addr,
    /// The UDP payload.
    pub payload: Vec<u8>,
}

/// What the socket counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketCounters {
    /// Datagrams that were too long.
    pub too_long: u64,
    /// Replies meant as frames that were broadcast, because the host allows no packet sockets
    /// or the interface is no Ethernet.
    pub broadcast_instead: u64,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The port is taken.
    #[error(
        "UDP port {port} of {addr} is in use by another program, likely another DHCP server; \
         `ss -ulpn 'sport = {port}'` shows which"
    )]
    InUse {
        /// The address.
        addr: Ipv4Addr,
        /// The port.
        port: u16,
    },
    /// The system does not allow the port to this user.
    #[error(
        "UDP port {port} may not be opened without privileges; run as a service with \
         CAP_NET_BIND_SERVICE and CAP_NET_RAW, or choose a port of 1024 or more"
    )]
    NotPermitted {
        /// The port.
        port: u16,
    },
    /// The system refused for another reason.
    #[error("UDP port {port} of {addr} cannot be opened: {error}")]
    Io {
        /// The address.
        addr: Ipv4Addr,
        /// The port.
        port: u16,
        /// What the system said.
        error: io::Error,
    },
}

/// The socket of the DHCP server.
#[derive(Debug)]
pub struct DhcpSocket {
    udp: UdpSocket,
    server_port: u16,
    client_port: u16,
    /// One for each interface a frame was sent on.
    packet: Mutex<BTreeMap<u32, PacketSocket>>,
    too_long: AtomicU64,
    broadcast_instead: AtomicU64,
}

impl DhcpSocket {
    /// Opens the socket on `listen`, normally 0.0.0.0:67; clients are answered at `client_port`,
    /// normally 68, and relay agents at the port of `listen`. Needs a tokio runtime.
    pub fn open(listen: SocketAddrV4, client_port: u16) -> Result<DhcpSocket, OpenError> {
        let (addr, port) = (*listen.ip(), listen.port());
        let udp = open_udp(listen).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => OpenError::InUse { addr, port },
            io::ErrorKind::PermissionDenied => OpenError::NotPermitted { port },
            _ => OpenError::Io { addr, port, error },
        })?;
        let server_port = match udp.local_addr() {
            Ok(SocketAddr::V4(local)) => local.port(),
            _ => port,
        };
        Ok(DhcpSocket {
            udp,
            server_port,
            client_port,
            packet: Mutex::default(),
            too_long: AtomicU64::new(0),
            broadcast_instead: AtomicU64::new(0),
        })
    }

    /// The port the socket listens on.
    pub fn port(&self) -> u16 {
        self.server_port
    }

    /// What the socket counted since it was opened.
    pub fn counters(&self) -> SocketCounters {
        SocketCounters {
            too_long: self.too_long.load(Ordering::Relaxed),
            broadcast_instead: self.broadcast_instead.load(Ordering::Relaxed),
        }
    }

    /// Waits for the next datagram. May be cancelled at any time without losing one.
    pub async fn receive(&self) -> io::Result<Datagram> {
        loop {
            let received = self.udp.async_io(Interest::READABLE, || receive_one(&self.udp)).await?;
            match received {
                Some(datagram) => return Ok(datagram),
                None => _ = self.too_long.fetch_add(1, Ordering::Relaxed),
            }
        }
    }

    /// Sends a packet. `ifindex` is the interface of [`Transmit::network`]; without one the
    /// host's routes decide. Never waits: a full send buffer is an error like any other, for the
    /// client asks again.
    pub fn send(&self, transmit: &Transmit, ifindex: Option<u32>) -> io::Result<()> {
        let (source, payload) = (transmit.source, &transmit.payload);
        let to_client = |addr| SocketAddrV4::new(addr, self.client_port);
        match transmit.destination {
            Destination::Relay { addr, port } => {
                let to = SocketAddrV4::new(addr, port.unwrap_or(self.server_port));
                self.send_udp(to, source, None, payload)
            }
            Destination::Unicast(addr) => self.send_udp(to_client(addr), source, ifindex, payload),
            Destination::Broadcast => self.send_broadcast(source, ifindex, payload),
            Destination::Link { hw, addr } => {
                let ifindex = ifindex.ok_or_else(no_interface)?;
                let mac = <[u8; 6]>::try_from(hw.bytes());
                let sent = match mac {
                    Ok(mac) => self.send_frame(ifindex, mac, source, to_client(addr), payload),
                    Err(_) => Err(io::Error::other("the client is not on Ethernet")),
                };
                sent.or_else(|_| {
                    self.broadcast_instead.fetch_add(1, Ordering::Relaxed);
                    self.send_broadcast(source, Some(ifindex), payload)
                })
            }
        }
    }

    fn send_broadcast(
        &self,
        source: Ipv4Addr,
        ifindex: Option<u32>,
        payload: &[u8],
    ) -> io::Result<()> {
        let ifindex = ifindex.ok_or_else(no_interface)?;
        let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, self.client_port);
        self.send_udp(to, source, Some(ifindex), payload)
    }

    fn send_udp(
        &self,
        to: SocketAddrV4,
        source: Ipv4Addr,
        ifindex: Option<u32>,
        payload: &[u8],
    ) -> io::Result<()> {
        let info = libc::in_pktinfo {
            ipi_ifindex: ifindex.and_then(|index| i32::try_from(index).ok()).unwrap_or(0),
            ipi_spec_dst: libc::in_addr { s_addr: u32::from(source).to_be() },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        sendmsg(
            self.udp.as_raw_fd(),
            &[IoSlice::new(payload)],
            &[ControlMessage::Ipv4PacketInfo(&info)],
            MsgFlags::MSG_DONTWAIT,
            Some(&SockaddrIn::from(to)),
        )?;
        Ok(())
    }

    fn send_frame(
        &self,
        ifindex: u32,
        to_mac: [u8; 6],
        source: Ipv4Addr,
        to: SocketAddrV4,
        payload: &[u8],
    ) -> io::Result<()> {
        let mut sockets = self.packet.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(open) = sockets.get(&ifindex) {
            let from = SocketAddrV4::new(source, self.server_port);
            let frame = frame::udp(open.mac, to_mac, from, to, payload)?;
            if open.socket.send(&frame).is_ok() {
                return Ok(());
            }
            // The interface went away, or lost its hardware address; look at it anew.
            sockets.remove(&ifindex);
        }
        let open = PacketSocket::open(ifindex, None)?;
        let from = SocketAddrV4::new(source, self.server_port);
        open.socket.send(&frame::udp(open.mac, to_mac, from, to, payload)?)?;
        sockets.insert(ifindex, open);
        Ok(())
    }
}

fn no_interface() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "no interface of this host is on that network")
}

fn open_udp(listen: SocketAddrV4) -> io::Result<UdpSocket> {
    // No SO_REUSEADDR: two servers on one port would each get half of the packets.
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::IPV4, kind, Some(Protocol::UDP))?;
    socket.set_broadcast(true)?;
    setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
    // The system may grant less to who may not force it; a smaller buffer only loses packets
    // sooner.
    if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    }
    socket.bind(&listen.into())?;
    UdpSocket::from_std(socket.into())
}

/// Reads one datagram; `None` for one that is too long.
fn receive_one(socket: &UdpSocket) -> io::Result<Option<Datagram>> {
    let mut payload = vec![0; LONGEST];
    let mut control = nix::cmsg_space!(libc::in_pktinfo);
    let mut slices = [IoSliceMut::new(&mut payload)];
    let message = recvmsg::<SockaddrIn>(
        socket.as_raw_fd(),
        &mut slices,
        Some(&mut control),
        MsgFlags::MSG_DONTWAIT,
    )?;
    let info = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(info),
        _ => None,
    });
    let (len, truncated) = (message.bytes, message.flags.contains(MsgFlags::MSG_TRUNC));
    let (Some(info), Some(src)) = (info, message.address) else {
        return Err(io::Error::other("the system did not say where a packet came from"));
    };
    if truncated {
        return Ok(None);
    }
    let addr = |addr: libc::in_addr| Ipv4Addr::from(u32::from_be(addr.s_addr));
    // For a broadcast of any kind the two differ: the second is what to answer from.
    let (dst, own) = (addr(info.ipi_addr), addr(info.ipi_spec_dst));
    payload.truncate(len);
    Ok(Some(Datagram {
        ifindex: u32::try_from(info.ipi_ifindex).unwrap_or(0),
        src: SocketAddrV4::from(src),
        dst: if dst == own { dst } else { Ipv4Addr::BROADCAST },
        payload,
    }))
}

#[cfg(test)]
mod tests;
