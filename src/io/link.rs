//! The link to the partner: one TLS 1.3 connection, both ends known by their pinned keys, that
//! carries whole frames in order.
//!
//! Rank 1 dials, rank 0 listens. Nothing of a connection reaches the node before both ends have
//! proved their keys; a new connection that has proved its key replaces the old one, so a partner
//! that restarted is never kept out by what is left of its last life. The listener's port is also
//! where a new node asks to join, while an invite is open, and then for that one question only.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::identity::{Fingerprint, Identity};

mod connection;
mod dial;
mod join;
mod listen;
#[cfg(test)]
mod tests;
mod tls;
mod trouble;

pub use connection::LinkSender;
pub use join::{AskError, JoinDesk, ask_to_join};
pub use trouble::LinkStats;

use trouble::Trouble;

/// The longest frame, in bytes, either way.
pub const MAX_FRAME_BYTES: usize = 1024 * 1024;

/// The node at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name, for people.
    pub name: String,
    /// Its key.
    pub key: Fingerprint,
    /// Where its pair port may be reached.
    pub addresses: Vec<SocketAddr>,
}

/// Which end of the link this node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Listens: rank 0, and a lone node while an invite is open. An address the host has not got
    /// yet is tried again until it has.
    Listen(Vec<SocketAddr>),
    /// Dials the partner's addresses until one answers: rank 1.
    Dial,
}

/// How long things may take. [`LinkTimes::default`] is for households, the rest for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkTimes {
    /// For a TCP connection to one address.
    pub connect: Duration,
    /// For everything between the TCP connection and the proof of both keys, at the end that
    /// listens.
    pub handshake: Duration,
    /// The same at the end that dials, which has other addresses to try.
    pub proof: Duration,
    /// The first pause between rounds of dialling.
    pub backoff_min: Duration,
    /// The longest one.
    pub backoff_max: Duration,
    /// A peer that acknowledges nothing for this long is gone.
    pub unanswered: Duration,
}

impl Default for LinkTimes {
    fn default() -> LinkTimes {
        LinkTimes {
            connect: Duration::from_secs(1),
            handshake: Duration::from_secs(5),
            proof: Duration::from_secs(3),
            backoff_min: Duration::from_millis(200),
            backoff_max: Duration::from_secs(2),
            unanswered: Duration::from_secs(10),
        }
    }
}

/// What a link is made from.
pub struct LinkConfig {
    /// This node's key.
    pub identity: Arc<Identity>,
    /// Which end this node is.
    pub end: End,
    /// The other node; `None` before there is one.
    pub partner: Option<Peer>,
    /// Who answers new nodes that ask to join; `None` where nobody may. Unused at a dialling end.
    pub desk: Option<Arc<dyn JoinDesk>>,
    /// How long things may take.
    pub times: LinkTimes,
}

impl fmt::Debug for LinkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkConfig")
            .field("identity", &self.identity)
            .field("end", &self.end)
            .field("partner", &self.partner)
            .finish_non_exhaustive()
    }
}

/// What happens on the link. Strictly `Up`, then frames, then `Down`, then the next `Up`.
#[derive(Debug)]
pub enum LinkEvent {
    /// Both ends have proved their keys.
    Up {
        /// Where the partner is.
        peer_addr: SocketAddr,
        /// Sends on this connection and no other: what is sent after its end goes nowhere.
        sender: LinkSender,
    },
    /// One frame from the partner, never empty.
    Frame(Vec<u8>),
    /// The connection ended.
    Down {
        /// Why: one sentence for people.
        reason: String,
    },
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The port is taken, or may not be used.
    #[error("cannot listen for the partner on {addr}: {error}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The key does not work for TLS.
    #[error("cannot use the node's key: {0}")]
    Key(#[from] rustls::Error),
}

/// The running link. Dropping it ends the connection and the listener at once;
/// [`Link::stop`] lets what was sent go out first.
#[derive(Debug)]
pub struct Link {
    partner: watch::Sender<Option<Peer>>,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
    trouble: Arc<Trouble>,
    listening: Vec<SocketAddr>,
}

impl Link {
    /// Starts listening or dialling. `events` should hold a few dozen: while it is full, the link
    /// reads nothing, which slows the partner down. Must be called within a tokio runtime.
    pub fn start(config: LinkConfig, events: mpsc::Sender<LinkEvent>) -> Result<Link, LinkError> {
        let (partner, watched) = watch::channel(config.partner);
        let stop = CancellationToken::new();
        let trouble = Arc::new(Trouble::default());
        let shared = Shared {
            identity: config.identity,
            partner: watched,
            times: config.times,
            events,
            stop: stop.clone(),
            trouble: Arc::clone(&trouble),
        };
        // A key that TLS cannot use shows here, not at the first connection.
        tls::client(&shared.identity, shared.identity.fingerprint(), tls::LINK)?;
        let (task, listening) = match config.end {
            End::Dial => (tokio::spawn(dial::run(shared)), Vec::new()),
            End::Listen(addresses) => {
                let sockets = listen::bind(&addresses)?;
                let listening = sockets.addresses();
                (tokio::spawn(listen::run(shared, sockets, config.desk)), listening)
            }
        };
        Ok(Link { partner, stop, task: AbortOnDropHandle::new(task), trouble, listening })
    }

    /// The addresses that are listened on from the start, with the port the system chose where
    /// port 0 was asked for. Empty at a dialling end.
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// Says who the partner is from now on. Another key ends the connection; other addresses are
    /// used at the next dial.
    pub fn set_partner(&self, partner: Option<Peer>) {
        self.partner.send_replace(partner);
    }

    /// Why there is no connection, as of the last attempt; `None` while there is one, or before
    /// anything was tried. One sentence for people.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.last()
    }

    /// What has happened so far.
    pub fn stats(&self) -> LinkStats {
        self.trouble.stats()
    }

    /// Ends the connection after what was sent has gone out, for at most a second, and the
    /// listener with it.
    pub async fn stop(self) {
        self.stop.cancel();
        drop(tokio::time::timeout(Duration::from_secs(2), self.task).await);
    }
}

/// What both kinds of ends work with.
#[derive(Clone)]
struct Shared {
    identity: Arc<Identity>,
    partner: watch::Receiver<Option<Peer>>,
    times: LinkTimes,
    events: mpsc::Sender<LinkEvent>,
    stop: CancellationToken,
    trouble: Arc<Trouble>,
}

impl Shared {
    fn peer(&self) -> Option<Peer> {
        self.partner.borrow().clone()
    }

    /// Whether this is still the partner's key.
    fn is_partner(&self, key: Fingerprint) -> bool {
        self.partner.borrow().as_ref().is_some_and(|peer| peer.key == key)
    }
}
