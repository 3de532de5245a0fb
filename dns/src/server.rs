//! The listeners and the threads and tasks behind them.
#![allow(clippy::disallowed_methods, reason = "owns the threads and the clock of the data plane")]

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::cache::{DamagedCache, FailureKind};
use crate::counters::Tally;
use crate::forward::{Forwarding, Job};
use crate::history::Way;
use crate::pipeline::{self, Result as Ended};
use crate::{Asker, DropReason, Name, Now, Outcome, Pipeline, Shared};

mod accept;
mod bind;
mod doq;
mod encrypted;
mod gate;
mod http2;
mod http3;
mod https;
mod options;
mod quic;
pub(crate) mod stream;
mod tls;
pub(crate) mod udp;

pub use bind::StartError;
pub use encrypted::Encrypted;
use options::Wants;
pub(crate) use tls::InForce;
pub use tls::{Certificate, CertificateError};

/// How long the end of a server waits for its QUIC clients to hear of it.
const GOODBYE: Duration = Duration::from_millis(300);

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
    /// Bounds of everything that has connections: TCP, TLS, HTTPS and QUIC together.
    pub connections: ConnectionLimits,
    /// Questions waiting for upstream servers; more are answered stale or SERVFAIL.
    pub waiting: WaitingLimits,
    /// Of those, how many may wait to be looked at.
    pub queue: NonZeroUsize,
}

/// What keeps clients with connections from using everything up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at once, in all; less when the process may not open twice as many files.
    pub connections: usize,
    /// Connections at once of one client (an address).
    pub connections_per_client: usize,
    /// Connections at once of one IPv6 network (/64), half of all at most.
    pub connections_per_network: usize,
    /// A TCP connection without a question for so long is closed (RFC 7766, 6.2.3). Also how long
    /// one question may take to come in whole, and one answer to be taken.
    pub idle: Duration,
    /// The same for an encrypted connection, which is more costly to open anew.
    pub encrypted_idle: Duration,
    /// Questions of one connection answered at the same time (RFC 7766, 6.2.1.1).
    pub pipelined: usize,
}

/// What keeps clients from waiting in such numbers that nobody else can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingLimits {
    /// Questions at once, of all clients.
    pub in_all: usize,
    /// Questions at once of one client (an address), and a tenth of that while half of all places
    /// are taken.
    pub per_client: usize,
}

impl Default for WaitingLimits {
    /// 2,000 in all, as many as distinct questions are asked at once, and 500 of one client.
    fn default() -> Self {
        Self { in_all: 2000, per_client: 500 }
    }
}

impl Default for Config {
    /// No listener; one UDP worker for each core; 32 MiB of cache.
    fn default() -> Self {
        let one = NonZeroUsize::MIN;
        Self {
            listen: Vec::new(),
            udp_workers: std::thread::available_parallelism().unwrap_or(one),
            cache_bytes: 32 << 20,
            connections: ConnectionLimits::default(),
            waiting: WaitingLimits::default(),
            queue: NonZeroUsize::new(4096).unwrap_or(one),
        }
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 256,
            connections_per_client: 16,
            connections_per_network: 128,
            idle: Duration::from_secs(10),
            encrypted_idle: Duration::from_secs(30),
            pipelined: 32,
        }
    }
}

/// A running DNS server. Dropping it stops it, without waiting.
#[derive(Debug)]
pub struct Server {
    listening: Vec<SocketAddr>,
    udp: Vec<udp::Worker>,
    tasks: Vec<JoinHandle<()>>,
    quic: Vec<quinn::Endpoint>,
    handler: Handler,
    gate: Arc<gate::Gate>,
}

impl Server {
    /// Binds every address, for UDP and TCP, and starts to serve. On an error nothing is left
    /// bound. Needs a tokio runtime; the UDP workers are threads of their own.
    pub async fn start(config: Config, shared: Arc<Shared>) -> Result<Self, StartError> {
        let listeners = bind::bind_all(&config)?;
        let clock = shared.clock;
        let pipeline = Arc::new(Pipeline::new(config.cache_bytes));
        let (queue, waiting) = mpsc::channel(config.queue.get());
        let handler = Handler { pipeline, shared, clock, queue, waiting: config.waiting };
        let gate = Arc::new(gate::Gate::new(config.connections));
        // From here on dropping `server` stops whatever has been started.
        let mut server = Self {
            listening: listeners.iter().map(|bound| bound.addr).collect(),
            udp: Vec::new(),
            tasks: Vec::new(),
            quic: Vec::new(),
            handler: handler.clone(),
            gate: gate.clone(),
        };
        for bound in listeners {
            let listen = |source| StartError::Bind { addr: bound.addr, protocol: "tcp", source };
            let listener = tokio::net::TcpListener::from_std(bound.tcp).map_err(listen)?;
            let speaks = accept::Speaks::Tcp;
            let task = accept::serve(listener, speaks, gate.clone(), handler.clone());
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

    /// The cache of answers, for whoever keeps, shows or empties it.
    pub fn cache(&self) -> AnswerCache {
        AnswerCache { pipeline: self.handler.pipeline.clone(), clock: self.handler.clock }
    }

    /// Stops, and waits until every thread and task has ended and every socket is closed.
    pub async fn shutdown(mut self) {
        self.stop();
        for task in self.tasks.drain(..) {
            // Aborted: that is what was asked for.
            let _ = task.await;
        }
        // Tells the clients; whoever does not hear it finds out.
        let quic = std::mem::take(&mut self.quic);
        let told = futures_util::future::join_all(quic.iter().map(quinn::Endpoint::wait_idle));
        let _ = tokio::time::timeout(GOODBYE, told).await;
        drop(quic);
        let workers = std::mem::take(&mut self.udp);
        let joined =
            tokio::task::spawn_blocking(|| workers.into_iter().for_each(udp::Worker::join));
        let _ = joined.await;
    }

    fn stop(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.udp.iter().for_each(udp::Worker::stop);
        self.quic.iter().for_each(|endpoint| endpoint.close(0u8.into(), &[]));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The cached answers of a server; clones are the same cache. It may outlive the server.
#[derive(Clone, Debug)]
pub struct AnswerCache {
    pipeline: Arc<Pipeline>,
    clock: Clock,
}

impl AnswerCache {
    /// Forgets everything.
    pub fn clear(&self) {
        self.pipeline.cache.clear();
    }

    /// Forgets the answers to questions for `name`, of any type, and to those that an alias led
    /// there; with `below`, for all names below it too. How many answers that were.
    pub fn forget(&self, name: &Name, below: bool) -> usize {
        self.pipeline.cache.forget(name, below)
    }

    /// How many answers there are, and the bytes they take.
    pub fn held(&self) -> (usize, u64) {
        self.pipeline.cache.held()
    }

    /// The answers as bytes for a file. `date`: seconds since 1970.
    pub fn save(&self, date: u64) -> Vec<u8> {
        self.pipeline.cache.save(self.clock.now(), date)
    }

    /// Takes back the answers that [`AnswerCache::save`] gave; how many are of use still. When the
    /// clock shows an earlier `date` than then, they serve only while no upstream answers.
    pub fn restore(&self, saved: &[u8], date: u64) -> Result<usize, DamagedCache> {
        self.pipeline.cache.restore(saved, self.clock.now(), date)
    }
}

/// What a listener needs to answer packets.
#[derive(Clone, Debug)]
struct Handler {
    pipeline: Arc<Pipeline>,
    shared: Arc<Shared>,
    clock: Clock,
    queue: mpsc::Sender<Job>,
    waiting: WaitingLimits,
}

/// The one clock of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

/// What the clock shows at the start: answers of an earlier process can be older than this one, by
/// at most as long as any answer is of use.
const FIRST: Duration = Duration::from_secs(3 * 24 * 3600);

impl Clock {
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    pub(crate) fn now(self) -> Now {
        Now(FIRST + self.origin.elapsed())
    }
}

/// Where a late answer goes.
#[derive(Debug)]
pub(crate) enum ReplyTo {
    /// To the same source, from the same socket and address.
    Udp(Arc<udp::Endpoint>, udp::Peer),
    /// Nowhere: the cache is to have it.
    Nobody,
    /// Back over the connection, past others that take longer.
    Stream(stream::Slot),
    /// To whoever waits for this answer alone: a stream of QUIC or HTTP.
    Alone(oneshot::Sender<Vec<u8>>),
}

impl ReplyTo {
    pub(crate) fn is_nobody(&self) -> bool {
        matches!(self, Self::Nobody)
    }

    pub(crate) fn send(self, answer: &[u8], tally: &Tally) {
        let sent = match self {
            Self::Udp(endpoint, peer) => endpoint.send(answer, &peer).is_ok(),
            Self::Nobody => true,
            Self::Stream(slot) => slot.send(answer),
            Self::Alone(waits) => waits.send(answer.to_vec()).is_ok(),
        };
        if !sent {
            tally.dropped(DropReason::Send);
        }
    }
}

impl Handler {
    /// Has a cached answer asked for again before it expires ([`Outcome::Aging`]). When there is too
    /// much to do for that, the answer just expires.
    fn refresh(&self, packet: &[u8], asker: Asker, received: Now) {
        let (packet, reply) = (packet.into(), ReplyTo::Nobody);
        let _ = self.queue.try_send(Job { packet, asker, received, reply, waits: None });
    }

    /// Waits for the turn of a question that came over a connection; when it is looked at.
    async fn turn(&self, asker: Asker) -> Result<Now, DropReason> {
        let now = self.clock.now();
        let wait = pipeline::pace(&self.shared.snapshot.load(), asker, now)?;
        if wait.is_zero() {
            return Ok(now);
        }
        tokio::time::sleep(wait).await;
        Ok(self.clock.now())
    }

    /// Whether connections from there are taken at all.
    fn serves(&self, source: SocketAddr) -> bool {
        self.shared.snapshot.load().policies.of(source.ip()).is_some()
    }

    /// Answers one question of a transport that has a stream for each, or says why it gets no
    /// answer; that is not counted yet.
    async fn answer(
        &self,
        packet: &[u8],
        asker: Asker,
        tally: &Tally,
    ) -> Result<Vec<u8>, DropReason> {
        let mut out = Vec::new();
        let now = self.turn(asker).await?;
        match self.pipeline.handle(&self.shared, packet, asker, now, &mut out) {
            Outcome::Answered(how) => tally.answered(how),
            Outcome::Aging(how) => {
                tally.answered(how);
                self.refresh(packet, asker, now);
            }
            Outcome::Dropped(reason) => return Err(reason),
            Outcome::Miss => {
                let (reply, answer) = oneshot::channel();
                let reply = ReplyTo::Alone(reply);
                let job = Job { packet: packet.into(), asker, received: now, reply, waits: None };
                self.forward(job, &mut out, tally);
                out = answer.await.map_err(|_| DropReason::Send)?;
            }
        }
        let wants = Wants::of(packet, asker.transport);
        wants.add_to(&mut out, Duration::ZERO);
        Ok(out)
    }

    /// Hands a miss to the forwarding side; when that cannot take any more, answers at once, stale
    /// or SERVFAIL, into `out`.
    fn forward(&self, mut job: Job, out: &mut Vec<u8>, tally: &Tally) {
        let now = self.clock.now();
        job.waits = self.shared.waiting.begin(job.asker.source.ip(), self.waiting, now);
        let (job, why) = match job.waits {
            None => (job, FailureKind::Crowded),
            Some(_) => match self.queue.try_send(job) {
                Ok(()) => return,
                Err(error) => (error.into_inner(), FailureKind::Overload),
            },
        };
        self.shared.upstream_tally().crowded();
        let snapshot = self.shared.snapshot.load();
        let failed = Ended::Failed(why);
        let Job { packet, asker, received, reply, .. } = job;
        let way = Way { received, ..Way::default() };
        let history = &mut self.shared.history();
        match self.pipeline.finish(&snapshot, &packet, asker, &failed, way, now, out, history) {
            Some(Outcome::Answered(how)) => {
                tally.answered(how);
                reply.send(out, tally);
            }
            Some(Outcome::Dropped(reason)) => tally.dropped(reason),
            Some(Outcome::Miss | Outcome::Aging(_)) | None => {}
        }
    }
}
