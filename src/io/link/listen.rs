//! The end that listens: it lets a few strangers knock, for a few seconds each, and only the
//! partner in.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::Acceptor;
use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::AbortOnDropHandle;
use tracing::info;

use super::connection::{self, Connection, LinkSender, tune};
use super::join::{self, JoinDesk};
use super::tls::{self, Accepted};
use super::trouble::Kind;
use super::{LinkError, Shared};
use crate::identity::Fingerprint;

/// Connections that have not proved a key yet. One more drops the oldest, not the newest: who
/// fills them cannot keep the partner out, which needs its place for milliseconds only.
const MAX_HALF_OPEN: usize = 32;
/// Connections the kernel keeps for us.
const BACKLOG: u32 = 64;
/// How often an address that is not there yet is tried.
const RETRY: Duration = Duration::from_secs(1);
/// How long to wait when the system has no descriptor left.
const EXHAUSTED: Duration = Duration::from_millis(200);

/// Sockets that are bound, and addresses the host has not got yet.
pub(super) struct Sockets {
    bound: Vec<TcpListener>,
    missing: Vec<SocketAddr>,
}

impl Sockets {
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.bound.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }
}

/// Binds what is there.
pub(super) fn bind(addresses: &[SocketAddr]) -> Result<Sockets, LinkError> {
    let mut sockets = Sockets { bound: Vec::new(), missing: Vec::new() };
    for addr in addresses {
        match bind_one(*addr) {
            Ok(socket) => sockets.bound.push(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                info!(
                    "{addr} is not on this host yet: will listen there for the partner when it is"
                );
                sockets.missing.push(*addr);
            }
            Err(error) => return Err(LinkError::Listen { addr: *addr, error }),
        }
    }
    Ok(sockets)
}

fn bind_one(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    if addr.is_ipv6() {
        // `[::]` must not take the IPv4 port that `0.0.0.0` is about to.
        SockRef::from(&socket).set_only_v6(true)?;
    }
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// A connection that has proved the partner's key.
struct Proved {
    stream: TlsStream<TcpStream>,
    peer_addr: SocketAddr,
    key: Fingerprint,
}

pub(super) async fn run(shared: Shared, sockets: Sockets, desk: Option<Arc<dyn JoinDesk>>) {
    let (knocking, mut knocks) = mpsc::channel(1);
    let mut doors = JoinSet::new();
    for socket in sockets.bound {
        doors.spawn(accept(socket, knocking.clone(), shared.clone()));
    }
    for addr in sockets.missing {
        doors.spawn(accept_when_there(addr, knocking.clone(), shared.clone()));
    }
    let mut half_open = HalfOpen::default();
    let mut current: Option<(LinkSender, AbortOnDropHandle<()>)> = None;
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => break,
            Some((socket, peer_addr)) = knocks.recv() => {
                half_open.add(&shared, shake(shared.clone(), desk.clone(), socket, peer_addr));
            }
            Some(proved) = half_open.next() => {
                if let Some((sender, running)) = current.take() {
                    sender.close("the partner has connected anew");
                    drop(running.await);
                }
                current = start(&shared, proved);
            }
        }
    }
    // Who stops the link may listen on the same port a moment later.
    doors.shutdown().await;
    if let Some((_, running)) = current {
        drop(running.await);
    }
}

async fn accept(
    socket: TcpListener,
    knocking: mpsc::Sender<(TcpStream, SocketAddr)>,
    shared: Shared,
) {
    loop {
        match socket.accept().await {
            Ok(knock) => {
                if knocking.send(knock).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                let sentence = format!("cannot accept the partner's connection: {error}");
                shared.trouble.note(Kind::Listener, &sentence);
                sleep(EXHAUSTED).await;
            }
        }
    }
}

async fn accept_when_there(
    addr: SocketAddr,
    knocking: mpsc::Sender<(TcpStream, SocketAddr)>,
    shared: Shared,
) {
    loop {
        sleep(RETRY).await;
        match bind_one(addr) {
            Ok(socket) => {
                info!("listening for the partner on {addr}");
                return accept(socket, knocking, shared).await;
            }
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {}
            Err(error) => {
                let sentence = LinkError::Listen { addr, error }.to_string();
                shared.trouble.keep(Kind::Listener, sentence);
            }
        }
    }
}

/// The handshakes that go on.
#[derive(Default)]
struct HalfOpen {
    tasks: JoinSet<Option<Proved>>,
    oldest_first: VecDeque<AbortHandle>,
}

impl HalfOpen {
    fn add(
        &mut self,
        shared: &Shared,
        handshake: impl Future<Output = Option<Proved>> + Send + 'static,
    ) {
        self.oldest_first.retain(|task| !task.is_finished());
        if self.oldest_first.len() >= MAX_HALF_OPEN
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            oldest.abort();
            let sentence = format!(
                "more than {MAX_HALF_OPEN} connections to the pair port have not proved a key: \
                 dropped the oldest"
            );
            shared.trouble.note(Kind::CrowdedOut, &sentence);
        }
        self.oldest_first.push_back(self.tasks.spawn(handshake));
    }

    /// The next one that proved the partner's key; never, if there is none.
    async fn next(&mut self) -> Option<Proved> {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(Some(proved))) => return Some(proved),
                Some(Ok(None) | Err(_)) => {}
                None => return std::future::pending().await,
            }
        }
    }
}

/// Finds out what a connection wants, and whether it may.
async fn shake(
    shared: Shared,
    desk: Option<Arc<dyn JoinDesk>>,
    socket: TcpStream,
    peer_addr: SocketAddr,
) -> Option<Proved> {
    tune(&socket, shared.times.unanswered).ok()?;
    let desk = desk.filter(|desk| desk.is_open());
    let wanted = match timeout(shared.times.handshake, open(&shared, desk.is_some(), socket)).await
    {
        Ok(Ok(wanted)) => wanted,
        Ok(Err(Refused { kind, why })) => {
            let sentence = format!("refused a connection from {peer_addr}: {why}");
            match kind {
                Kind::WrongKey => shared.trouble.keep(kind, sentence),
                _ => shared.trouble.note(kind, &sentence),
            }
            return None;
        }
        Err(_) => {
            let sentence = format!("{peer_addr} connected and proved no key in time");
            shared.trouble.note(Kind::TooSlow, &sentence);
            return None;
        }
    };
    match (wanted, desk) {
        (Wanted::Link(stream, key), _) => Some(Proved { stream, peer_addr, key }),
        (Wanted::Join(stream, key), Some(desk)) => {
            shared.trouble.join_request();
            join::serve(stream, peer_addr, key, desk, shared.times.handshake).await;
            None
        }
        (Wanted::Join(..), None) => None,
    }
}

enum Wanted {
    Link(TlsStream<TcpStream>, Fingerprint),
    Join(TlsStream<TcpStream>, Fingerprint),
}

struct Refused {
    kind: Kind,
    why: String,
}

async fn open(shared: &Shared, may_join: bool, socket: TcpStream) -> Result<Wanted, Refused> {
    let refused = |kind, why: String| Refused { kind, why };
    let not_ours =
        |error: io::Error| refused(Kind::NotOurs, format!("it is no lanward node ({error})"));
    let hello = LazyConfigAcceptor::new(Acceptor::default(), socket).await.map_err(not_ours)?;
    let offered: Vec<Vec<u8>> = match hello.client_hello().alpn() {
        Some(protocols) => protocols.map(<[u8]>::to_vec).collect(),
        None => Vec::new(),
    };
    let offers = |protocol: &[u8]| offered.iter().any(|offer| offer == protocol);
    let peer = shared.peer();
    let (accepted, protocol) = match &peer {
        Some(peer) if offers(tls::LINK) => (Accepted::Only(peer.key), tls::LINK),
        _ if offers(tls::JOIN) && may_join => (Accepted::Any, tls::JOIN),
        _ if offers(tls::JOIN) => {
            let why = "it wants to join, but no invite is open".to_owned();
            return Err(refused(Kind::NotInvited, why));
        }
        None if offers(tls::LINK) => {
            let why = "it wants to be the partner, but this node has none".to_owned();
            return Err(refused(Kind::NotInvited, why));
        }
        _ => {
            let why = "it speaks TLS, but not the pair's protocol".to_owned();
            return Err(refused(Kind::NotOurs, why));
        }
    };
    let config = tls::server(&shared.identity, accepted, protocol)
        .map_err(|error| not_ours(io::Error::other(error)))?;
    let stream = hello.into_stream(config).await.map_err(|error| match tls::wrong_key(&error) {
        Some(key) => {
            let name = peer.as_ref().map_or("the partner", |peer| peer.name.as_str());
            refused(Kind::WrongKey, format!("its key ({key}) is not {name}'s"))
        }
        None if tls::refused_us(&error) => {
            refused(Kind::WrongKey, format!("it does not accept this node's key ({error})"))
        }
        None => not_ours(error),
    })?;
    let key = tls::key_of(stream.get_ref().1.peer_certificates());
    let key = key.ok_or_else(|| refused(Kind::NotOurs, "it showed no key".to_owned()))?;
    if protocol == tls::JOIN {
        return Ok(Wanted::Join(stream, key));
    }
    // An empty frame tells the other end that its key was accepted.
    let mut stream = stream;
    stream.write_all(&[0; 4]).await.map_err(not_ours)?;
    stream.flush().await.map_err(not_ours)?;
    Ok(Wanted::Link(stream, key))
}

fn start(shared: &Shared, proved: Proved) -> Option<(LinkSender, AbortOnDropHandle<()>)> {
    let Proved { stream, peer_addr, key } = proved;
    // The partner may have been changed during the handshake.
    let peer = shared.peer().filter(|peer| peer.key == key)?;
    info!("the link to {} is up ({peer_addr})", peer.name);
    shared.trouble.connected();
    let connection =
        Connection { stream, peer_addr, who: peer.name, events: shared.events.clone() };
    let (sender, running) = connection.split();
    let (handle, shared) = (sender.clone(), shared.clone());
    let task = tokio::spawn(async move {
        connection::watch(sender, running, key, &shared).await;
    });
    Some((handle, AbortOnDropHandle::new(task)))
}
