//! The UDP workers: threads that do nothing but receive, answer and send.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use nix::cmsg_space;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvfrom, recvmsg, sendmsg,
    sendto,
};
use socket2::SockRef;

use super::{Handler, ReplyTo};
use crate::forward::Job;
use crate::shared::Snapshot;
use crate::{Asker, DropReason, Now, Outcome, Transport};

mod floods;

use floods::Floods;

/// Room for a question. RFC 6891 allows more, but no question with all its options comes near;
/// what is longer is cut, does not add up any more, and is FORMERR.
const RECEIVE: usize = 4096;

/// Pause after an unexpected error of the socket, so that one that stays does not eat a core.
const PAUSE: Duration = Duration::from_millis(20);

/// Of a client that floods, so many times what it may ask a second come through to be counted, and at
/// least so many packets.
const PASS: u32 = 4;
const PASS_AT_LEAST: u64 = 1000;

/// A UDP socket that answers from the address that was asked.
#[derive(Debug)]
pub(crate) struct Endpoint {
    socket: UdpSocket,
    /// What it is bound to. Of a wildcard, the address that was asked comes with each packet.
    bound: IpAddr,
    stopping: AtomicBool,
}

/// Where a packet came from and where to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) source: SocketAddr,
    asked: Option<AskedAddress>,
}

#[derive(Clone, Copy, Debug)]
enum AskedAddress {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

/// One thread and its socket.
#[derive(Debug)]
pub(super) struct Worker {
    endpoint: Arc<Endpoint>,
    thread: JoinHandle<()>,
}

impl Worker {
    pub(super) fn start(socket: UdpSocket, addr: SocketAddr, handler: Handler) -> io::Result<Self> {
        let endpoint =
            Arc::new(Endpoint { socket, bound: addr.ip(), stopping: AtomicBool::new(false) });
        let own = endpoint.clone();
        let thread = Builder::new().name("dns-udp".into()).spawn(move || run(&own, &handler))?;
        Ok(Self { endpoint, thread })
    }

    /// Makes the thread end soon.
    pub(super) fn stop(&self) {
        self.endpoint.stopping.store(true, Ordering::Release);
        // On Linux this wakes a blocked receive and makes every later one return at once, also on
        // a socket without a peer, although it then says that it is not connected.
        let _ = SockRef::from(&self.endpoint.socket).shutdown(Shutdown::Read);
    }

    pub(super) fn join(self) {
        // A panic has been reported already; there is nothing to add.
        let _ = self.thread.join();
    }
}

fn run(endpoint: &Arc<Endpoint>, handler: &Handler) {
    let tally = handler.shared.tally();
    let mut history = handler.shared.recorder();
    let mut snapshot = arc_swap::Cache::new(&handler.shared.snapshot);
    let mut buffer = vec![0; RECEIVE];
    let mut control = cmsg_space!(in6_pktinfo);
    let mut out = Vec::with_capacity(RECEIVE);
    let mut floods = Floods::default();
    loop {
        let received = endpoint.receive(&mut buffer, &mut control, !floods.is_behind());
        if endpoint.stopping.load(Ordering::Acquire) {
            return;
        }
        let (len, peer) = match received {
            Ok(received) => received,
            Err(error) => {
                if error.kind() == ErrorKind::WouldBlock && floods.is_behind() {
                    floods.caught_up(handler.clock.now());
                } else if error.kind() == ErrorKind::WouldBlock {
                    endpoint.review(&mut floods, snapshot.load(), handler.clock.now());
                } else if error.kind() != ErrorKind::Interrupted {
                    tracing::debug!(%error, "receiving a DNS question");
                    std::thread::sleep(PAUSE);
                }
                continue;
            }
        };
        let packet = buffer.get(..len).unwrap_or_default();
        let asker =
            Asker { source: peer.source, local: endpoint.asked(&peer), transport: Transport::Udp };
        let now = handler.clock.now();
        let pipeline = &handler.pipeline;
        match pipeline.handle_with(snapshot.load(), packet, asker, now, &mut out, &mut history) {
            outcome @ (Outcome::Answered(how) | Outcome::Aging(how)) => {
                tally.answered(how);
                if endpoint.send(&out, &peer).is_err() {
                    tally.dropped(crate::DropReason::Send);
                }
                history.wake();
                if matches!(outcome, Outcome::Aging(_)) {
                    handler.refresh(packet, asker, now);
                }
            }
            Outcome::Dropped(reason) => {
                tally.dropped(reason);
                if matches!(reason, DropReason::RateLimit | DropReason::Source) {
                    floods.watch(peer.source.ip(), now);
                }
            }
            Outcome::Miss => {
                let reply = ReplyTo::Udp(endpoint.clone(), peer);
                let job = Job { packet: packet.into(), asker, received: now, reply, waits: None };
                handler.forward(job, &mut out, &tally);
            }
        }
        if !floods.is_empty() {
            let others = floods.passed(peer.source.ip(), now);
            if others > 0 {
                tally.dropped_unseen(others);
                snapshot.load().limiter.over.note_more(peer.source.ip(), others);
            }
            endpoint.review(&mut floods, snapshot.load(), now);
        }
    }
}

impl Endpoint {
    /// Has the kernel thin out who floods, and as soon as nobody does any more, no one.
    fn review(&self, floods: &mut Floods, snapshot: &Snapshot, now: Now) {
        let allowed = snapshot.protection.rate_limit.map_or(0, |limit| limit.per_second);
        let target = u64::from(allowed.saturating_mul(PASS)).max(PASS_AT_LEAST);
        if !floods.review(target, now) {
            return;
        }
        let socket = SockRef::from(&self.socket);
        // A receive that waits for ever would leave the filter where it is.
        let changed = match floods.any_thinned() {
            true => socket
                .attach_filter(&floods.filter())
                .and_then(|()| socket.set_read_timeout(Some(floods::INTERVAL))),
            false => socket.detach_filter().and_then(|()| socket.set_read_timeout(None)),
        };
        if let Err(error) = changed {
            tracing::debug!(%error, "filtering the DNS socket of a client that floods");
        }
    }

    fn receive(
        &self,
        buffer: &mut [u8],
        control: &mut [u8],
        wait: bool,
    ) -> io::Result<(usize, Peer)> {
        let fd = self.socket.as_raw_fd();
        // Not `UdpSocket::recv_from`: that panics when a socket that was shut down wakes it without
        // an address.
        if wait && !self.bound.is_unspecified() {
            let (len, source) = recvfrom::<SockaddrStorage>(fd, buffer)?;
            let source = source.as_ref().and_then(to_std);
            let source = source.ok_or_else(|| io::Error::from(ErrorKind::AddrNotAvailable))?;
            return Ok((len, Peer { source, asked: None }));
        }
        let flags = if wait { MsgFlags::empty() } else { MsgFlags::MSG_DONTWAIT };
        let mut into = [IoSliceMut::new(buffer)];
        let message = recvmsg::<SockaddrStorage>(fd, &mut into, Some(control), flags)?;
        let asked = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(AskedAddress::V4(info)),
            ControlMessageOwned::Ipv6PacketInfo(info) => Some(AskedAddress::V6(info)),
            _ => None,
        });
        let source = message.address.as_ref().and_then(to_std);
        let source = source.ok_or_else(|| io::Error::from(ErrorKind::AddrNotAvailable))?;
        Ok((message.bytes, Peer { source, asked }))
    }

    /// The own address that a packet came to.
    fn asked(&self, peer: &Peer) -> IpAddr {
        match peer.asked {
            None => self.bound,
            Some(AskedAddress::V4(info)) => {
                Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into()
            }
            Some(AskedAddress::V6(info)) => Ipv6Addr::from(info.ipi6_addr.s6_addr).into(),
        }
    }

    /// Sends an answer; never waits for room in the socket's buffer.
    pub(crate) fn send(&self, answer: &[u8], peer: &Peer) -> io::Result<()> {
        let fd = self.socket.as_raw_fd();
        let to = SockaddrStorage::from(peer.source);
        let from = match peer.asked {
            None => return Ok(sendto(fd, answer, &to, MsgFlags::MSG_DONTWAIT).map(drop)?),
            // The kernel finds the way out by itself.
            Some(AskedAddress::V4(info)) => AskedAddress::V4(in_pktinfo {
                ipi_ifindex: 0,
                ipi_addr: nix::libc::in_addr { s_addr: 0 },
                ..info
            }),
            // A link-local address means nothing without its interface.
            Some(AskedAddress::V6(info)) => AskedAddress::V6(info),
        };
        let control = match &from {
            AskedAddress::V4(info) => ControlMessage::Ipv4PacketInfo(info),
            AskedAddress::V6(info) => ControlMessage::Ipv6PacketInfo(info),
        };
        sendmsg(fd, &[IoSlice::new(answer)], &[control], MsgFlags::MSG_DONTWAIT, Some(&to))?;
        Ok(())
    }
}

fn to_std(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}
