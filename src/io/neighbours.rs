//! What is said of addresses on one Ethernet: questions whether somebody has one, and
//! announcements, by ARP (RFC 5227) and by IPv6 neighbour discovery (RFC 4861).

#![allow(clippy::disallowed_methods, reason = "a shell: sockets")]

mod frame;

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use nix::net::if_::if_indextoname;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use crate::packet_socket::{ETHERTYPE_ARP, PacketSocket, Unhurried};
use crate::service_addresses::{Mac, Word};

/// Longest packet looked at; what is longer is cut.
const LONGEST: usize = 1536;

/// Something that was said of an address one listens for, not by this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The address.
    pub addr: IpAddr,
    /// Who said it; zero where that cannot be told.
    pub mac: Mac,
    /// What.
    pub word: Word,
}

/// One Ethernet, listened to until this is dropped.
#[derive(Debug)]
pub struct Neighbours {
    socket: Arc<AsyncFd<Unhurried>>,
    mac: Mac,
    _listening: Vec<AbortOnDropHandle<()>>,
}

impl Neighbours {
    /// Listens on the interface with index `ifindex` for what is said of `addresses`. Needs
    /// CAP_NET_RAW, and a tokio runtime.
    pub fn open(
        ifindex: u32,
        addresses: BTreeSet<IpAddr>,
        heard: &mpsc::Sender<Heard>,
    ) -> io::Result<Neighbours> {
        let PacketSocket { socket, mac } = PacketSocket::open(ifindex, Some(ETHERTYPE_ARP))?;
        let socket = Arc::new(watched(socket)?);
        let wanted = Arc::new(addresses);
        let read = {
            let wanted = Arc::clone(&wanted);
            move |packet: &[u8], _| {
                frame::read_arp(packet, mac).filter(|it| wanted.contains(&it.addr))
            }
        };
        let arp = tokio::spawn(listen(Arc::clone(&socket), read, heard.clone()));
        let mut listening = vec![AbortOnDropHandle::new(arp)];
        if wanted.iter().any(IpAddr::is_ipv6) {
            let socket = Arc::new(watched(icmpv6(ifindex)?.into())?);
            let read = move |packet: &[u8], from| {
                frame::read_icmpv6(packet, from, mac).filter(|it| wanted.contains(&it.addr))
            };
            let nd = tokio::spawn(listen(socket, read, heard.clone()));
            listening.push(AbortOnDropHandle::new(nd));
        }
        Ok(Neighbours { socket, mac, _listening: listening })
    }

    /// The hardware address of the interface.
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// Asks who has `addr`, in a way that changes nobody's table.
    pub fn probe(&self, addr: IpAddr) -> io::Result<()> {
        self.send(&match addr {
            IpAddr::V4(v4) => frame::arp_probe(self.mac, v4),
            IpAddr::V6(v6) => frame::neighbour_probe(self.mac, v6),
        })
    }

    /// Tells everybody that `addr` is here.
    pub fn announce(&self, addr: IpAddr) -> io::Result<()> {
        self.send(&match addr {
            IpAddr::V4(v4) => frame::arp_announcement(self.mac, v4),
            IpAddr::V6(v6) => frame::neighbour_announcement(self.mac, v6),
        })
    }

    fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.get_ref().send(frame).map(drop)
    }
}

#[allow(
    deprecated,
    reason = "deprecated for types whose descriptor can change; a Socket's cannot, and the new \
              name is an unsafe function"
)]
fn watched(socket: Unhurried) -> io::Result<AsyncFd<Unhurried>> {
    AsyncFd::new(socket)
}

/// A socket that hears the neighbour discovery of one interface.
fn icmpv6(ifindex: u32) -> io::Result<Socket> {
    let kind = Type::RAW.nonblocking().cloexec();
    let socket = Socket::new(Domain::IPV6, kind, Some(Protocol::ICMPV6))?;
    let name = if_indextoname(ifindex)?;
    socket.bind_device(Some(name.as_bytes()))?;
    Ok(socket)
}

/// Reads packets until nobody listens for them any more.
async fn listen(
    socket: Arc<AsyncFd<Unhurried>>,
    read: impl Fn(&[u8], Option<IpAddr>) -> Option<Heard>,
    to: mpsc::Sender<Heard>,
) {
    loop {
        let Ok(mut ready) = socket.readable().await else { return };
        let mut buffer = [0_u8; LONGEST];
        let received = ready.try_io(|socket| receive(socket.get_ref(), &mut buffer));
        match received {
            Ok(Ok((len, from))) => {
                let heard = read(buffer.get(..len).unwrap_or_default(), from);
                if let Some(heard) = heard
                    && to.send(heard).await.is_err()
                {
                    return;
                }
            }
            Ok(Err(error)) => {
                // The interface is down; it says so again when it is up.
                debug!("listening to the neighbours: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
            Err(_would_block) => {}
        }
    }
}

fn receive(socket: &Socket, buffer: &mut [u8]) -> io::Result<(usize, Option<IpAddr>)> {
    use std::os::fd::AsRawFd;
    let received =
        nix::sys::socket::recvfrom::<nix::sys::socket::SockaddrStorage>(socket.as_raw_fd(), buffer);
    let (len, from) = received?;
    let from = from.and_then(|from| from.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())));
    Ok((len, from))
}
