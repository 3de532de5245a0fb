//! The end that dials: one address after the other, round after round.
#![allow(
    clippy::disallowed_methods,
    reason = "two nodes must not retry in step: the pause is random"
)]

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::info;

use super::connection::{self, Connection, tune};
use super::trouble::Kind;
use super::{LinkTimes, Peer, Shared, tls};

/// A connection that lasted this long was a good one: the next pause is short again.
const GOOD: Duration = Duration::from_secs(5);

pub(super) async fn run(shared: Shared) {
    let stop = shared.stop.clone();
    let mut pause = Pause::new(&shared.times);
    let mut last_good = None;
    while !stop.is_cancelled() {
        let found = tokio::select! {
            () = stop.cancelled() => return,
            found = search(&shared, last_good) => found,
        };
        if let Some((peer, peer_addr, stream)) = found {
            last_good = Some(peer_addr);
            let began = Instant::now();
            converse(&shared, peer, peer_addr, stream).await;
            if began.elapsed() >= GOOD {
                pause = Pause::new(&shared.times);
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(pause.next()) => {}
        }
    }
}

/// One round over the partner's addresses, the last good one first. Waits while there is no
/// partner.
async fn search(
    shared: &Shared,
    last_good: Option<SocketAddr>,
) -> Option<(Peer, SocketAddr, TlsStream<TcpStream>)> {
    let mut partner = shared.partner.clone();
    let peer = partner.wait_for(Option::is_some).await.ok()?.clone()?;
    let good = last_good.filter(|addr| peer.addresses.contains(addr));
    let others = peer.addresses.iter().copied().filter(|addr| Some(*addr) != good);
    for addr in good.into_iter().chain(others) {
        match attempt(shared, &peer, addr).await {
            Ok(stream) => return Some((peer, addr, stream)),
            Err((kind, sentence)) => shared.trouble.keep(kind, sentence),
        }
    }
    None
}

async fn attempt(
    shared: &Shared,
    peer: &Peer,
    addr: SocketAddr,
) -> Result<TlsStream<TcpStream>, (Kind, String)> {
    let name = &peer.name;
    let unreachable = |error: &dyn std::fmt::Display| {
        (Kind::Unreachable, format!("cannot reach {name} at {addr}: {error}"))
    };
    let socket = match timeout(shared.times.connect, TcpStream::connect(addr)).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => return Err(unreachable(&error)),
        Err(_) => return Err(unreachable(&"no answer")),
    };
    tune(&socket, shared.times.unanswered).map_err(|error| unreachable(&error))?;
    match timeout(shared.times.handshake, handshake(shared, peer, socket)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(judge(name, addr, &error)),
        Err(_) => Err((
            Kind::TooSlow,
            format!("{name} at {addr} accepts connections, but does not answer"),
        )),
    }
}

/// Both proofs: theirs by the handshake, and that ours was accepted by the empty frame the other
/// end sends first. Without waiting for that, a refusal would look like a link that came up.
async fn handshake(
    shared: &Shared,
    peer: &Peer,
    socket: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    let config = tls::client(&shared.identity, peer.key, tls::LINK).map_err(io::Error::other)?;
    let mut stream = TlsConnector::from(config).connect(tls::server_name(), socket).await?;
    let mut accepted = [0xff; 4];
    stream.read_exact(&mut accepted).await?;
    if accepted != [0; 4] {
        let error = "it does not speak the pair protocol";
        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
    }
    Ok(stream)
}

fn judge(name: &str, addr: SocketAddr, error: &io::Error) -> (Kind, String) {
    if let Some(key) = tls::wrong_key(error) {
        let sentence = format!(
            "what answers at {addr} is not {name}: it shows another key ({key}). If {name} was \
             installed anew, remove it on this node and pair the two again"
        );
        return (Kind::WrongKey, sentence);
    }
    if tls::refused_us(error) {
        let sentence = format!(
            "{name} at {addr} does not accept this node's key: it has another partner now. Pair the \
             two again if they belong together"
        );
        return (Kind::WrongKey, sentence);
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => {
            let sentence =
                format!("{name} at {addr} hangs up: it does not know this node as its partner");
            (Kind::NotInvited, sentence)
        }
        _ => (Kind::NotOurs, format!("what answers at {addr} is no lanward node: {error}")),
    }
}

async fn converse(
    shared: &Shared,
    peer: Peer,
    peer_addr: SocketAddr,
    stream: TlsStream<TcpStream>,
) {
    if !shared.is_partner(peer.key) {
        return;
    }
    info!("the link to {} is up ({peer_addr})", peer.name);
    shared.trouble.connected();
    let connection =
        Connection { stream, peer_addr, who: peer.name, events: shared.events.clone() };
    let (sender, running) = connection.split();
    connection::watch(sender, running, peer.key, shared).await;
}

/// The pause between rounds: doubles up to a limit, and is random within its upper half.
struct Pause {
    next: Duration,
    max: Duration,
}

impl Pause {
    fn new(times: &LinkTimes) -> Pause {
        Pause { next: times.backoff_min, max: times.backoff_max }
    }

    fn next(&mut self) -> Duration {
        let full = self.next;
        self.next = (full * 2).min(self.max);
        let mut byte = [0];
        // Without randomness the pause is merely not spread.
        let _ = getrandom::fill(&mut byte);
        full / 2 + full / 2 * u32::from(byte[0]) / 255
    }
}
