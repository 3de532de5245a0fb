//! One upstream server: its transport, its health, its counters.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use hickory_proto::op::Message;
use tokio::time::{Instant, sleep, timeout};

use super::bootstrap;
use super::connection::{Endpoint, Pool, Replied};
use super::groups::Common;
use super::health::{Health, UpstreamState};
use super::question::Question;
use super::recurse::Recursion;
use super::udp::{self, Ended, Sockets, Way};
use super::validate::Ask;
use crate::cache::FailureKind;
use crate::history::UpstreamId;
use crate::wire::{Form, Rcode, to_message};
use crate::{NameError, UpstreamServer, UpstreamTransport};

/// How often a server that is not up is probed, ...
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// ... and how long it has to answer, connecting included.
const PROBE_WAITS: Duration = Duration::from_millis(1500);

/// Upper bounds of the latency histogram's buckets, milliseconds; the last bucket has none.
pub(crate) const LATENCY_BUCKETS_MS: [u64; 7] = [5, 10, 25, 50, 100, 300, 1000];

/// Why a server gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) kind: FailureKind,
    /// For people: `it ...`.
    pub(crate) text: String,
}

impl Failed {
    pub(crate) fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

/// An answer that fits its question, NOERROR or NXDOMAIN.
#[derive(Debug)]
pub(crate) struct Received {
    /// The message.
    pub(crate) wire: Vec<u8>,
    /// What it says.
    pub(crate) form: Form,
}

impl Received {
    /// The message, record by record.
    pub(super) fn into_message(self) -> Result<Message, FailureKind> {
        match self.form {
            Form::Other(message) => Ok(*message),
            Form::Plain(_) => to_message(&self.wire).ok_or(FailureKind::Garbled),
        }
    }
}

/// What is counted of a server.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) asked: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) ignored: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    pub(crate) latency_sum_micros: AtomicU64,
    pub(crate) latency: [AtomicU64; LATENCY_BUCKETS_MS.len() + 1],
}

impl Tally {
    pub(super) fn ignored(&self) {
        self.ignored.fetch_add(1, Ordering::Relaxed);
    }

    fn took(&self, latency: Duration) {
        let micros = latency.as_micros() as u64;
        self.latency_sum_micros.fetch_add(micros, Ordering::Relaxed);
        let bucket = LATENCY_BUCKETS_MS.iter().position(|most| micros <= most * 1000);
        self.latency[bucket.unwrap_or(LATENCY_BUCKETS_MS.len())].fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts a question as in flight while it lives.
struct InFlight<'a>(&'a Tally);

impl<'a> InFlight<'a> {
    fn new(tally: &'a Tally) -> Self {
        tally.asked.fetch_add(1, Ordering::Relaxed);
        tally.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(tally)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A server of some settings snapshot; kept, with its connections, for as long as snapshots name it.
#[derive(Debug)]
pub(crate) struct Server {
    /// Tells it from others, for the history.
    pub(super) id: UpstreamId,
    pub(super) config: UpstreamServer,
    endpoint: Arc<Endpoint>,
    sockets: Sockets,
    connections: Pool,
    recursion: Option<Recursion>,
    health: Mutex<Health>,
    /// Until when the addresses that its name has are good; `None` before they are known.
    resolved_until: Mutex<Option<Instant>>,
    /// Somebody is probing it, or should.
    probed: AtomicBool,
    pub(super) tally: Arc<Tally>,
    common: Arc<Common>,
    started: Instant,
}

impl Server {
    pub(super) fn new(config: UpstreamServer, common: Arc<Common>) -> Self {
        let addresses = config.addresses.iter().map(|ip| SocketAddr::new(*ip, config.port));
        let (transport, addresses) = (config.transport.clone(), addresses.collect());
        let endpoint = Arc::new(Endpoint::new(transport, addresses, common.clone()));
        let mut health = Health::default();
        if config.addresses.is_empty() {
            let text = "its name has not been resolved yet".to_owned();
            health.failed(FailureKind::Unreachable, text, Duration::ZERO);
        }
        let tally = Arc::new(Tally::default());
        Self {
            id: common.next_server(),
            connections: Pool::new(endpoint.clone(), tally.clone()),
            recursion: match config.transport {
                UpstreamTransport::Recursion => Recursion::new(&config.addresses),
                _ => None,
            },
            endpoint,
            sockets: Sockets::default(),
            health: Mutex::new(health),
            resolved_until: Mutex::default(),
            probed: AtomicBool::new(false),
            tally,
            common,
            started: Instant::now(),
            config,
        }
    }

    /// Asks it, without a bound in time. `fresh` for a second try: not over a connection that may
    /// be dead. `heard` is called when it has said something, of use or not: whatever comes of that,
    /// it is not silent.
    pub(super) async fn ask(
        &self,
        question: &Question,
        fresh: bool,
        heard: &(impl Fn() + Sync),
    ) -> Result<Received, Failed> {
        let recursing = self.config.transport == UpstreamTransport::Recursion;
        // It has tries of its own; a second one beside the first finds nothing else.
        if recursing && fresh && *question != Question::probe() {
            return Err(Failed::new(FailureKind::Lame, "it is at it"));
        }
        let _in_flight = InFlight::new(&self.tally);
        let started = Instant::now();
        let result = match self.config.transport {
            UpstreamTransport::Plain => self.ask_plain(question, fresh, heard).await,
            UpstreamTransport::Recursion => self.recurse(question).await,
            _ if self.endpoint.address().is_none() => {
                let text = self.reason().map(|(reason, _)| reason).unwrap_or_default();
                Err(Failed::new(FailureKind::Unreachable, text))
            }
            _ => self.ask_connected(question, true, fresh).await,
        };
        match &result {
            Ok(_) => self.answered(started.elapsed()),
            // It is there, whatever it has to say to this question.
            Err(Failed { kind: FailureKind::Answered(_) | FailureKind::Garbled, .. }) => {
                self.tally.failed.fetch_add(1, Ordering::Relaxed);
                self.answered(started.elapsed());
            }
            // One zone's servers are not all there is.
            Err(_) if recursing => {
                self.tally.failed.fetch_add(1, Ordering::Relaxed);
            }
            Err(why) if *question == Question::probe() => {
                self.tally.failed.fetch_add(1, Ordering::Relaxed);
                self.down(why.clone());
            }
            Err(why) => self.failed(why.clone()),
        }
        result
    }

    async fn recurse(&self, question: &Question) -> Result<Received, Failed> {
        let garbled = || Failed::new(FailureKind::Garbled, "its answer cannot be written");
        let (Some(recursion), Some(lookup)) = (&self.recursion, question.lookup()) else {
            return Err(Failed::new(FailureKind::NoForwarder, "it has no root servers"));
        };
        let asked = recursion.ask(lookup).await;
        let message = asked.map_err(|kind| Failed::new(kind, "it found no answer"))?;
        let wire = message.to_vec().map_err(|_| garbled())?;
        Ok(Received { wire, form: Form::Other(Box::new(message)) })
    }

    async fn ask_plain(
        &self,
        question: &Question,
        fresh: bool,
        heard: &(impl Fn() + Sync),
    ) -> Result<Received, Failed> {
        let Some(addr) = self.endpoint.address() else {
            return Err(Failed::new(FailureKind::Unreachable, "it has no address"));
        };
        let mut way = Way::FIRST;
        loop {
            let ignored = |by_server| {
                self.tally.ignored();
                if by_server {
                    heard();
                }
            };
            let ended = udp::exchange(&self.sockets, addr, question, way, ignored).await?;
            match ended {
                Ended::Answer(wire, form) => return Ok(Received { wire, form }),
                Ended::NoEdns if way.edns => way.edns = false,
                Ended::NoEdns => return Err(Failed::answered(Rcode::FORM_ERR)),
                Ended::Error(rcode) => return Err(Failed::answered(rcode)),
                Ended::Forged => return self.ask_connected(question, way.edns, fresh).await,
                Ended::UseTcp | Ended::OtherCase => {
                    heard();
                    let by_case = way.capitals && matches!(ended, Ended::OtherCase);
                    match self.ask_connected(question, way.edns, fresh).await {
                        // A simple server, as there are in routers: port and id must do.
                        Err(why) if by_case && why.is_out_of_reach() => way.capitals = false,
                        // It is there: that it gives no answer over TCP is this question's misfortune.
                        Err(why) if !matches!(why.kind, FailureKind::Answered(_)) => {
                            return Err(Failed::new(FailureKind::Garbled, why.text));
                        }
                        result => return result,
                    }
                }
            }
        }
    }

    async fn ask_connected(
        &self,
        question: &Question,
        mut edns: bool,
        fresh: bool,
    ) -> Result<Received, Failed> {
        loop {
            match self.connections.ask(question, edns, fresh).await? {
                Replied::Answer(wire, form) => return Ok(Received { wire, form }),
                Replied::NoEdns if edns => edns = false,
                Replied::NoEdns => return Err(Failed::answered(Rcode::FORM_ERR)),
                Replied::Error(rcode) => return Err(Failed::answered(rcode)),
                Replied::Unreadable => {
                    return Err(Failed::new(FailureKind::Garbled, "its answer cannot be read"));
                }
            }
        }
    }

    fn answered(&self, took: Duration) {
        self.tally.took(took);
        if self.health(|health, now| health.answered(took, now)) {
            tracing::info!(server = %self.config.label, "an upstream server answers again");
            self.common.recover();
        }
    }

    /// Its answer has not come as soon as it should.
    pub(super) fn late(&self) {
        self.tally.late.fetch_add(1, Ordering::Relaxed);
        self.health(Health::late);
        self.want_probe();
    }

    /// A question had no answer.
    pub(super) fn failed(&self, why: Failed) {
        self.tally.failed.fetch_add(1, Ordering::Relaxed);
        match why.kind {
            FailureKind::Timeout | FailureKind::Strange => {
                self.health(|health, now| health.doubted(why.kind, why.text, now));
            }
            _ => self.down(why),
        }
        self.want_probe();
    }

    fn down(&self, Failed { kind, text }: Failed) {
        let (was, is) = self.health(|health, now| {
            let was = health.state();
            health.failed(kind, text.clone(), now);
            (was, health.state())
        });
        if was != UpstreamState::Down && is == UpstreamState::Down {
            tracing::warn!(server = %self.config.label, reason = text, "an upstream server is down");
        }
    }

    fn want_probe(&self) {
        if !self.probed.load(Ordering::Relaxed) {
            self.common.probe.notify_one();
        }
    }

    /// Probes it until it is up, when it is not and nobody does so yet.
    pub(super) fn watch(self: &Arc<Self>) -> Option<impl Future<Output = ()> + Send + 'static> {
        if self.state() == UpstreamState::Up || self.probed.swap(true, Ordering::Relaxed) {
            return None;
        }
        Some(probe(Arc::downgrade(self)))
    }

    /// Closes what nobody has used for a while.
    pub(super) fn close_old(&self) {
        self.sockets.close_old();
    }

    /// Looks up where it is once that may have changed, when only its name is known.
    pub(super) fn resolve_when_due(
        self: &Arc<Self>,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        let until = *self.resolved_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.filter(|until| *until <= Instant::now())?;
        let server = self.clone();
        Some(async move {
            // The old addresses serve until there are new ones.
            let _ = server.resolve().await;
        })
    }

    async fn resolve(&self) -> Result<(), Failed> {
        let name = self.config.transport.name().unwrap_or_default();
        let unresolved = |why: String| {
            Failed::new(FailureKind::Unreachable, format!("its name {name} is not resolved: {why}"))
        };
        let parsed = name.parse().map_err(|error: NameError| unresolved(error.to_string()))?;
        let servers = self.common.bootstrap.load_full();
        let (addresses, lives) = bootstrap::resolve(&parsed, &servers).await.map_err(unresolved)?;
        let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, self.config.port));
        self.endpoint.set_addresses(addresses.collect());
        let until = Instant::now() + lives;
        *self.resolved_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        Ok(())
    }

    async fn probe_once(&self) {
        if self.config.addresses.is_empty()
            && let Err(why) = self.resolve().await
            && self.endpoint.address().is_none()
        {
            return self.down(why);
        }
        match timeout(PROBE_WAITS, self.ask(&Question::probe(), true, &|| ())).await {
            Ok(_) => {}
            Err(_) => self.down(Failed::new(FailureKind::Timeout, "it does not answer")),
        }
    }

    pub(super) fn state(&self) -> UpstreamState {
        self.health(|health, _| health.state())
    }

    pub(super) fn latency(&self) -> Option<Duration> {
        self.health(|health, _| health.latency())
    }

    /// Whether it is not up because of the dates of its certificate.
    pub(super) fn is_untimely(&self) -> bool {
        self.health(|health, _| health.kind() == Some(FailureKind::Untimely))
    }

    /// The reason why it is not up, and since when.
    pub(super) fn reason(&self) -> Option<(String, Duration)> {
        self.health(|health, now| {
            let reason = health.reason()?.to_owned();
            Some((reason, now.saturating_sub(health.since())))
        })
    }

    fn health<T>(&self, with: impl FnOnce(&mut Health, Duration) -> T) -> T {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        with(&mut health, self.started.elapsed())
    }
}

/// Ends when the server is up, or is in no snapshot any more.
async fn probe(server: Weak<Server>) {
    loop {
        let Some(probed) = server.upgrade() else { return };
        let started = Instant::now();
        probed.probe_once().await;
        if probed.state() == UpstreamState::Up {
            return probed.probed.store(false, Ordering::Relaxed);
        }
        drop(probed);
        sleep(PROBE_EVERY.saturating_sub(started.elapsed())).await;
    }
}

impl Failed {
    /// Whether nobody is there.
    fn is_out_of_reach(&self) -> bool {
        matches!(self.kind, FailureKind::Unreachable | FailureKind::Timeout)
    }

    /// Whether it is the name that is to blame, not the server.
    pub(super) fn is_of_the_question(&self) -> bool {
        matches!(self.kind, FailureKind::Answered(Rcode::SERV_FAIL) | FailureKind::Garbled)
    }

    fn answered(rcode: Rcode) -> Self {
        Self::new(FailureKind::Answered(rcode), format!("it answered with code {}", rcode.0))
    }
}
