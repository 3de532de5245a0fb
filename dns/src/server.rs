//! The listeners and the threads and tasks behind them.
#![allow(clippy::disallowed_methods, reason = "owns the threads and the clock of the data plane")]

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::cache::FailureKind;
use crate::counters::Tally;
use crate::forward::{Forwarding, Job};
use crate::history::Way;
use crate::pipeline::Result as Ended;
use crate::{DropReason, Now, Outcome, Pipeline, Shared};

mod bind;
pub(crate) mod tcp;
pub(crate) mod udp;

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
    pipeline: Arc<Pipeline>,
    udp: Vec<udp::Worker>,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Binds every address, for UDP and TCP, and starts to serve. On an error nothing is left
    /// bound. Needs a tokio runtime; the UDP workers are threads of their own.
    pub async fn start(config: Config, shared: Arc<Shared>) -> Result<Self, StartError> {
        let listeners = bind::bind_all(&config)?;
        let clock = shared.clock;
        let pipeline = Arc::new(Pipeline::new(config.cache_bytes));
        let (queue, waiting) = mpsc::channel(config.queue.get());
        let handler = Handler { pipeline, shared, clock, queue };
        // From here on dropping `server` stops whatever has been started.
        let mut server = Self {
            listening: listeners.iter().map(|bound| bound.addr).collect(),
            pipeline: handler.pipeline.clone(),
            udp: Vec::new(),
            tasks: Vec::new(),
        };
        let gate = Arc::new(tcp::Gate::new(config.tcp));
        for bound in listeners {
            let listen = |source| StartError::Bind { addr: bound.addr, protocol: "tcp", source };
            let listener = tokio::net::TcpListener::from_std(bound.tcp).map_err(listen)?;
            let task = tcp::serve(listener, gate.clone(), handler.clone());
            server.tasks.push(tokio::spawn(task));
            for socket in bound.udp {
                let worker = udp::Worker::start(socket, bound.addr, handler.clone());
                server.udp.push(worker.map_err(StartError::Thread)?);
            }
        }
        let Handler { pipeline, shared, clock, .. } = handler;
        let forwarding = Forwarding::new(pipeline, shared, clock);
        server.tasks.push(tokio::spawn(forwarding.run(waiting)));
        Ok(server)
    }

    /// The addresses that are served, with the ports in place of 0.
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// Forgets all cached answers.
    pub fn flush_cache(&self) {
        self.pipeline.cache.clear();
    }

    /// How many answers the cache holds, and the bytes they take.
    pub fn cache_held(&self) -> (usize, u64) {
        self.pipeline.cache.held()
    }

    /// Stops, and waits until every thread and task has ended and every socket is closed.
    pub async fn shutdown(mut self) {
        self.stop();
        for task in self.tasks.drain(..) {
            // Aborted: that is what was asked for.
            let _ = task.await;
        }
        let workers = std::mem::take(&mut self.udp);
        let joined =
            tokio::task::spawn_blocking(|| workers.into_iter().for_each(udp::Worker::join));
        let _ = joined.await;
    }

    fn stop(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.udp.iter().for_each(udp::Worker::stop);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a listener needs to answer packets.
#[derive(Clone, Debug)]
struct Handler {
    pipeline: Arc<Pipeline>,
    shared: Arc<Shared>,
    clock: Clock,
    queue: mpsc::Sender<Job>,
}

/// The one clock of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    pub(crate) fn now(self) -> Now {
        Now(self.origin.elapsed())
    }
}

/// Where a late answer goes.
#[derive(Debug)]
pub(crate) enum ReplyTo {
    /// To the same source, from the same socket and address.
    Udp(Arc<udp::Endpoint>, udp::Peer),
    /// Back over the connection.
    Tcp(tcp::Slot),
}

impl ReplyTo {
    pub(crate) fn send(self, answer: &[u8], tally: &Tally) {
        let sent = match self {
            Self::Udp(endpoint, peer) => endpoint.send(answer, &peer).is_ok(),
            Self::Tcp(slot) => slot.send(answer),
        };
        if !sent {
            tally.dropped(DropReason::Send);
        }
    }
}

impl Handler {
    /// Hands a miss to the forwarding side; when that cannot take any more, answers at once, stale
    /// or SERVFAIL, into `out`.
    fn forward(&self, job: Job, out: &mut Vec<u8>, tally: &Tally) {
        let Err(error) = self.queue.try_send(job) else { return };
        let job = error.into_inner();
        let snapshot = self.shared.snapshot.load();
        let failed = Ended::Failed(FailureKind::Overload);
        let now = self.clock.now();
        let Job { packet, asker, received, reply } = job;
        let way = Way { received, ..Way::default() };
        let history = &mut self.shared.history();
        match self.pipeline.finish(&snapshot, &packet, asker, &failed, way, now, out, history) {
            Some(Outcome::Answered(how)) => {
                tally.answered(how);
                reply.send(out, tally);
            }
            Some(Outcome::Dropped(reason)) => tally.dropped(reason),
            Some(Outcome::Miss) | None => {}
        }
    }
}
