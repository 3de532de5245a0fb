//! The host's own addresses, and word of their changes.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::libc;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

#[cfg(test)]
mod tests;

/// Changes come in bursts (a link comes up, then its addresses): one report for all of them.
const SETTLE: Duration = Duration::from_millis(100);
/// How often the addresses are read where the kernel cannot tell of changes.
const POLL: Duration = Duration::from_secs(2);
/// How often they are read anyway, should the kernel's word have been lost.
const RECHECK: Duration = Duration::from_secs(30);

/// One address of this host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnAddress {
    /// The interface's name, such as `eth0.30`.
    pub interface: String,
    /// The interface's index, as sockets want it.
    pub index: u32,
    /// The address with its prefix.
    pub net: IpNet,
    /// Whether the interface is up and has a carrier.
    pub running: bool,
}

impl OwnAddress {
    /// The address alone.
    pub fn addr(&self) -> IpAddr {
        self.net.addr()
    }
}

/// All IPv4 and IPv6 addresses of this host, in the order the system lists them.
pub fn own_addresses() -> io::Result<Vec<OwnAddress>> {
    Ok(getifaddrs()?.filter_map(own_address).collect())
}

fn own_address(found: InterfaceAddress) -> Option<OwnAddress> {
    let address = ip_of(found.address.as_ref()?)?;
    let mask = found.netmask.as_ref().and_then(ip_of);
    let net = match mask {
        Some(mask) => IpNet::with_netmask(address, mask).ok()?,
        None => IpNet::from(address),
    };
    let index = if_nametoindex(found.interface_name.as_str()).ok()?;
    let running = found.flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING);
    Some(OwnAddress { interface: found.interface_name, index, net, running })
}

fn ip_of(address: &nix::sys::socket::SockaddrStorage) -> Option<IpAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(IpAddr::V4(v4.ip()));
    }
    address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()))
}

/// The addresses without those that stand alone (a prefix of 32 or 128 bits) inside a subnet of
/// their own interface. That is what an address looks like that moves from host to host, this
/// pair's or another program's: it must not be taken for this host's own.
pub fn without_aliases(addresses: &[OwnAddress]) -> Vec<OwnAddress> {
    let alone = |own: &OwnAddress| own.net.prefix_len() == own.net.max_prefix_len();
    let around = |own: &OwnAddress| {
        addresses.iter().any(|other| {
            other.index == own.index && !alone(other) && other.net.contains(&own.addr())
        })
    };
    addresses.iter().filter(|own| !alone(own) || !around(own)).cloned().collect()
}

/// The addresses others on the network can use: neither loopback nor link-local.
pub fn reachable(addresses: &[OwnAddress]) -> Vec<IpAddr> {
    let link_local = |addr: IpAddr| match addr {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let all = addresses.iter().map(OwnAddress::addr);
    all.filter(|addr| !addr.is_loopback() && !link_local(*addr)).collect()
}

/// The own address inside a network's subnet, by which its interface is known. Where there are
/// several, one on a running interface goes first, then the lowest address.
pub fn attached(addresses: &[OwnAddress], subnet: Ipv4Net) -> Option<(&OwnAddress, Ipv4Addr)> {
    let inside = addresses.iter().filter_map(|own| match own.addr() {
        IpAddr::V4(v4) if subnet.contains(&v4) => Some((own, v4)),
        _ => None,
    });
    inside.min_by_key(|(own, v4)| (!own.running, *v4))
}

/// Watches the addresses until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    _task: AbortOnDropHandle<()>,
    from_kernel: bool,
}

impl Watcher {
    /// Reports all addresses to `changes` at once, and again whenever they differ: by the
    /// kernel's word (an rtnetlink socket), within [`SETTLE`]; where there is no such socket, by
    /// reading them every two seconds. Must be called within a tokio runtime.
    pub fn start(changes: mpsc::Sender<Vec<OwnAddress>>) -> Watcher {
        let kernel = subscribe();
        if let Err(error) = &kernel {
            warn!("the kernel cannot tell of address changes ({error}): reading them every 2 s");
        }
        let kernel = kernel.ok();
        let from_kernel = kernel.is_some();
        let task = tokio::spawn(watch(kernel, changes));
        Watcher { _task: AbortOnDropHandle::new(task), from_kernel }
    }

    /// Whether the kernel tells of changes; else the addresses are read every two seconds.
    pub fn from_kernel(&self) -> bool {
        self.from_kernel
    }
}

async fn watch(kernel: Option<AsyncFd<OwnedFd>>, changes: mpsc::Sender<Vec<OwnAddress>>) {
    let mut known = None;
    loop {
        match own_addresses() {
            Ok(now) if known.as_ref() != Some(&now) => {
                debug!("own addresses: {}", list(&now));
                if changes.send(now.clone()).await.is_err() {
                    return;
                }
                known = Some(now);
            }
            Ok(_) => {}
            Err(error) => warn!("cannot read the host's addresses: {error}"),
        }
        tokio::select! {
            () = changes.closed() => return,
            () = next_change(kernel.as_ref()) => {}
        }
    }
}

/// Returns when the addresses may have changed.
async fn next_change(kernel: Option<&AsyncFd<OwnedFd>>) {
    let Some(kernel) = kernel else {
        return tokio::time::sleep(POLL).await;
    };
    let told = tokio::time::timeout(RECHECK, kernel.readable()).await;
    if let Ok(ready) = told {
        tokio::time::sleep(SETTLE).await;
        match ready {
            Ok(mut ready) => {
                drain(kernel.get_ref());
                ready.clear_ready();
            }
            Err(error) => {
                debug!("rtnetlink: {error}");
                tokio::time::sleep(POLL).await;
            }
        }
    }
}

/// A socket on which the kernel tells of changes of links and addresses.
#[allow(
    deprecated,
    reason = "deprecated for types whose descriptor can change; an OwnedFd's cannot, and the new \
              name is an unsafe function"
)]
fn subscribe() -> io::Result<AsyncFd<OwnedFd>> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
    let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups.unsigned_abs()))?;
    AsyncFd::new(fd)
}

/// Reads what there is. The messages are not looked at: their only use is that they came. An
/// overrun (ENOBUFS) means the same, more so.
fn drain(fd: &OwnedFd) {
    let mut buffer = [0; 8192];
    for _ in 0..1024 {
        match recv(fd.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(_) | Err(nix::errno::Errno::ENOBUFS | nix::errno::Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

fn list(addresses: &[OwnAddress]) -> String {
    let texts: Vec<String> =
        addresses.iter().map(|own| format!("{} ({})", own.net, own.interface)).collect();
    texts.join(", ")
}
