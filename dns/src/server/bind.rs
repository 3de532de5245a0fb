//! Binding the listeners.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo, RcvBufForce};
use socket2::{Domain, Protocol, Socket, Type};

use super::Config;

/// Room for a burst, in bytes of a socket's buffer.
const BUFFER: usize = 1 << 20;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address could not be bound.
    #[error("{protocol} {addr}: {cause}", addr = .addr, cause = describe(.source))]
    Bind {
        /// The address and port from the configuration.
        addr: SocketAddr,
        /// `udp` or `tcp`.
        protocol: &'static str,
        /// What the system said: `AddrInUse`, `PermissionDenied`, ...
        #[source]
        source: io::Error,
    },
    /// A worker thread could not be started.
    #[error("a DNS worker thread could not be started: {0}")]
    Thread(#[source] io::Error),
}

impl StartError {
    /// Somebody else has the port.
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse)
    }

    /// Ports below 1024 need root or CAP_NET_BIND_SERVICE.
    pub fn is_not_permitted(&self) -> bool {
        matches!(self, Self::Bind { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program already listens there".to_owned(),
        io::ErrorKind::PermissionDenied => "not permitted to listen there".to_owned(),
        _ => error.to_string(),
    }
}

/// One address, bound: a UDP socket for each worker and a TCP listener.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) addr: SocketAddr,
    pub(super) udp: Vec<UdpSocket>,
    pub(super) tcp: TcpListener,
}

/// A UDP socket for QUIC, which shares its port with nobody.
pub(super) fn quic(addr: SocketAddr) -> Result<UdpSocket, StartError> {
    let bound = || {
        let socket = udp(addr, false)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    bound().map_err(|source| StartError::Bind { addr, protocol: "udp", source })
}

/// A TCP listener for an encrypted transport.
pub(super) fn listener(addr: SocketAddr) -> Result<TcpListener, StartError> {
    tcp(addr).map_err(|source| StartError::Bind { addr, protocol: "tcp", source })
}

pub(super) fn bind_all(config: &Config) -> Result<Vec<Bound>, StartError> {
    config.listen.iter().map(|&addr| bind(addr, config.udp_workers.get())).collect()
}

fn bind(asked: SocketAddr, workers: usize) -> Result<Bound, StartError> {
    // Port 0: a port that is free for UDP may be taken for TCP, so try a few.
    let mut tries = if asked.port() == 0 { 20 } else { 1 };
    loop {
        let err = |protocol| move |source| StartError::Bind { addr: asked, protocol, source };
        // TCP comes first, and without SO_REUSEPORT: a second server of the same user would
        // otherwise bind beside us unnoticed and take half of the questions.
        let tcp = tcp(asked).map_err(err("tcp"))?;
        let addr = tcp.local_addr().map_err(err("tcp"))?;
        match udp_group(addr, workers) {
            Ok(udp) => return Ok(Bound { addr, udp, tcp }),
            Err(source) if tries > 1 && source.kind() == io::ErrorKind::AddrInUse => tries -= 1,
            Err(source) => return Err(err("udp")(source)),
        }
    }
}

fn udp_group(addr: SocketAddr, workers: usize) -> io::Result<Vec<UdpSocket>> {
    // A plain bind first: SO_REUSEPORT would succeed beside another program of the same user that
    // also set it.
    drop(udp(addr, false)?);
    (0..workers).map(|_| udp(addr, true)).collect()
}

fn udp(addr: SocketAddr, reuse_port: bool) -> io::Result<UdpSocket> {
    let socket = socket(addr, Type::DGRAM, Protocol::UDP)?;
    socket.set_reuse_port(reuse_port)?;
    // The system grants no more than its default to who may not force it; a flood fills that within
    // milliseconds, and then others' questions are lost.
    if setsockopt(&socket, RcvBufForce, &BUFFER).is_err() {
        socket.set_recv_buffer_size(BUFFER)?;
    }
    socket.set_send_buffer_size(BUFFER)?;
    if addr.ip().is_unspecified() {
        match addr {
            SocketAddr::V4(_) => setsockopt(&socket, Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(&socket, Ipv6RecvPacketInfo, &true)?,
        }
    }
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

fn tcp(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(addr, Type::STREAM, Protocol::TCP)?;
    // Only lets a restart bind while old connections linger.
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(128)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn socket(addr: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), kind, Some(protocol))?;
    // FREEBIND: at boot the address may not be there yet.
    match addr {
        SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
        SocketAddr::V6(_) => {
            socket.set_only_v6(true)?;
            socket.set_freebind_v6(true)?;
        }
    }
    Ok(socket)
}
