//! The end that dials: all addresses of the partner, on every network the two hosts share, round
//! after round.
//!
//! A round does not wait for an address that swallows packets: the next one is tried a moment
//! later, beside it, so that the loss of one network costs no more than that moment. Keys are
//! proved on one connection at a time, because the other end takes each proved connection for the
//! newest.
#![allow(
    clippy::disallowed_methods,
    reason = "two nodes must not retry in step: the pause is random"
)]

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::info;

use super::connection::{self, Connection, tune};
use super::trouble::Kind;
use super::{LinkTimes, Peer, Shared, tls};

/// A connection that lasted this long was a good one: the next pause is short again.
const GOOD: Duration = Duration::from_secs(5);
/// An address that has not answered after this long gets company. On a household's network a
/// connection takes a millisecond, so usually one address is tried and no other.
const STAGGER: Duration = Duration::from_millis(100);

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
    let order: Vec<SocketAddr> = good.into_iter().chain(others).collect();
    let mut left = order.into_iter().peekable();
    let mut reaching = JoinSet::new();
    let mut next_at = Instant::now();
    let mut failed = Failed::default();
    loop {
        tokio::select! {
            biased;
            Some(reached) = reaching.join_next() => {
                let Ok((addr, reached)) = reached else { continue };
                match prove(shared, &peer, addr, reached).await {
                    Ok(stream) => return Some((peer, addr, stream)),
                    Err(why) => failed.add(addr, why),
                }
                next_at = Instant::now();
            }
            () = sleep_until(next_at), if left.peek().is_some() => {
                let Some(addr) = left.next() else { continue };
                let limit = shared.times.connect;
                reaching.spawn(async move { (addr, connect(addr, limit).await) });
                next_at = Instant::now() + STAGGER;
            }
            else => break,
        }
    }
    failed.tell(shared, &peer.name);
    None
}

/// What came of the addresses of one round.
#[derive(Default)]
struct Failed {
    unreachable: Vec<String>,
    /// Somebody answered, and it was no partner of ours: worth more than silence elsewhere.
    answered: Option<(Kind, String)>,
}

impl Failed {
    fn add(&mut self, addr: SocketAddr, why: NoLink) {
        match why {
            NoLink::Unreachable(why) => self.unreachable.push(format!("{addr} ({why})")),
            NoLink::Answered(kind, sentence) => self.answered = Some((kind, sentence)),
        }
    }

    fn tell(self, shared: &Shared, name: &str) {
        if let Some((kind, sentence)) = self.answered {
            shared.trouble.keep(kind, sentence);
        } else if !self.unreachable.is_empty() {
            let sentence = format!("cannot reach {name} at {}", self.unreachable.join(", "));
            shared.trouble.keep(Kind::Unreachable, sentence);
        }
    }
}

/// Why there is no link by an address.
enum NoLink {
    /// Nobody answered there.
    Unreachable(String),
    /// Somebody did; the sentence says who.
    Answered(Kind, String),
}

async fn connect(addr: SocketAddr, limit: Duration) -> Result<TcpStream, String> {
    match timeout(limit, TcpStream::connect(addr)).await {
        Ok(Ok(socket)) => Ok(socket),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer".to_owned()),
    }
}

async fn prove(
    shared: &Shared,
    peer: &Peer,
    addr: SocketAddr,
    reached: Result<TcpStream, String>,
) -> Result<TlsStream<TcpStream>, NoLink> {
    let name = &peer.name;
    let socket = reached.map_err(NoLink::Unreachable)?;
    tune(&socket, shared.times.unanswered).map_err(|e| NoLink::Unreachable(e.to_string()))?;
    let (kind, sentence) = match timeout(shared.times.proof, handshake(shared, peer, socket)).await
    {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(error)) => judge(name, addr, &error),
        Err(_) => {
            let sentence = format!("{name} at {addr} accepts connections, but does not answer");
            (Kind::TooSlow, sentence)
        }
    };
    Err(NoLink::Answered(kind, sentence))
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
