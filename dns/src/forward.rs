//! What the fast path does not know: asked upstream, each question once at a time.
//!
//! One task owns the questions in flight: it gets them through a bounded queue from the workers, asks
//! each distinct one, and answers everybody who waits. It hands work to other tasks only where a
//! connection is shared by many questions.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::cache::{Entry, FailureKind, Key};
use crate::counters::Tally;
use crate::history::{Recorder, Way};
use crate::pipeline::{Asker, Errand, Outcome, Pipeline, Result as Ended};
use crate::server::{Clock, ReplyTo};
use crate::wire::{Form, Query};
use crate::{Now, Shared};

mod connection;
mod groups;
mod health;
mod question;
mod server;
mod status;
mod stream;
mod udp;

pub(crate) use groups::Groups;
pub use health::UpstreamState;
pub(crate) use question::Question;
use server::Received;
pub use status::UpstreamStatus;

/// Clients that wait for one question's answer, at most.
const MAX_WAITERS: usize = 512;

/// How often snapshots are looked at that no worker may use any more.
const HOUSEKEEPING: Duration = Duration::from_secs(30);

/// A packet that waits for an upstream's answer.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) packet: Box<[u8]>,
    pub(crate) asker: Asker,
    /// When it came.
    pub(crate) received: Now,
    pub(crate) reply: ReplyTo,
}

/// The task's state.
pub(crate) struct Forwarding {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
    tally: Arc<Tally>,
    history: Recorder,
    flights: HashMap<Key, Flight>,
    asking: FuturesUnordered<BoxFuture<'static, Landed>>,
    /// Tasks that wait for servers to come back.
    probes: JoinSet<()>,
    /// When to serve whom an expired answer; the first is due first.
    late: VecDeque<(Instant, Key)>,
    out: Vec<u8>,
}

/// A question in flight.
struct Flight {
    waiters: Vec<Job>,
    /// It has taken so long that an expired answer is served meanwhile.
    late: bool,
}

/// How a question came back.
struct Landed {
    key: Key,
    result: Result<Received, FailureKind>,
    took: Duration,
}

impl Forwarding {
    pub(crate) fn new(pipeline: Arc<Pipeline>, shared: Arc<Shared>, clock: Clock) -> Self {
        Self {
            tally: shared.tally(),
            history: shared.recorder(),
            pipeline,
            shared,
            clock,
            flights: HashMap::new(),
            asking: FuturesUnordered::new(),
            probes: JoinSet::new(),
            late: VecDeque::new(),
            out: Vec::with_capacity(4096),
        }
    }

    /// Runs until all senders of the queue are gone.
    pub(crate) async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
        let signals = self.shared.snapshot.load().groups.signals.clone();
        loop {
            let due = self.late.front().map(|(due, _)| *due);
            tokio::select! {
                job = queue.recv() => match job {
                    Some(job) => self.take(job),
                    None => return,
                },
                Some(landed) = self.asking.next() => self.land(landed),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.serve_late();
                }
                () = signals.probe.notified() => self.probe(),
                Some(_) = self.probes.join_next() => {}
                _ = housekeeping.tick() => self.shared.free_retired(),
            }
        }
    }

    fn take(&mut self, job: Job) {
        let snapshot = self.shared.snapshot.load_full();
        let Ok(query) = Query::parse(&job.packet) else { return };
        let Errand { key, alias, route } = Errand::of(&snapshot, &query, job.asker);
        let now = self.clock.now();
        // Somebody may have asked the same just before; but one that is about to expire, which
        // nobody waits for, is asked for all the same.
        if !job.reply.is_nobody()
            && let Some(entry) = self.pipeline.fresh(&key, now)
        {
            return self.answer(job, &Ended::Known(entry));
        }
        if let Some(flight) = self.flights.get_mut(&key) {
            if flight.late || flight.waiters.len() >= MAX_WAITERS {
                return self.answer(job, &Ended::Failed(FailureKind::Overload));
            }
            return flight.waiters.push(job);
        }
        let groups = &snapshot.groups;
        if !groups.has_servers(route.group) {
            return self.answer(job, &Ended::Failed(FailureKind::NoForwarder));
        }
        if self.flights.len() >= groups.upstreams.max_in_flight {
            return self.answer(job, &Ended::Failed(FailureKind::Overload));
        }
        let name = alias.as_ref().map_or(query.name(), |alias| alias.target().as_wire());
        let Some(question) = Question::new(name, &query) else { return };
        if self.pipeline.has_stale(&key, now) {
            // Where nobody is known to answer there is nothing to wait for.
            let wait = match groups.is_down(route.group) {
                true => Duration::ZERO,
                false => groups.upstreams.stale_after,
            };
            let due = Instant::now() + wait;
            let at = self.late.partition_point(|(other, _)| *other <= due);
            self.late.insert(at, (due, key.clone()));
        }
        self.ask(key.clone(), question, groups.clone(), route.group);
        self.flights.insert(key, Flight { waiters: vec![job], late: false });
    }

    fn ask(&mut self, key: Key, question: Question, groups: Arc<Groups>, group: usize) {
        self.shared.upstream_tally().asked();
        self.asking.push(Box::pin(async move {
            let started = Instant::now();
            let result = groups.ask(group, &question).await;
            Landed { key, result, took: started.elapsed() }
        }));
    }

    fn land(&mut self, landed: Landed) {
        let Landed { key, result, took } = landed;
        let now = self.clock.now();
        let entry = result.and_then(|Received { wire, form }| {
            let entry = match form {
                Form::Plain(layout) => Entry::from_layout(&wire, layout, &key, now),
                Form::Other(message) => Entry::from_answer(*message, &key, now),
            };
            entry.ok_or(FailureKind::Garbled)
        });
        let ended = match entry {
            Ok(entry) => {
                self.shared.upstream_tally().took(took, now.0);
                self.pipeline.cache.insert(&entry);
                Ended::Answer(entry)
            }
            Err(why) => {
                self.shared.upstream_tally().failed();
                if why.is_lasting() {
                    self.pipeline.cache.insert_failure(key.as_bytes(), why, now);
                }
                Ended::Failed(why)
            }
        };
        let Some(flight) = self.flights.remove(&key) else { return };
        for job in flight.waiters {
            self.answer(job, &ended);
        }
    }

    /// Looks after servers that are not up.
    fn probe(&mut self) {
        let groups = self.shared.snapshot.load().groups.clone();
        if groups.signals.has_recovered() {
            self.pipeline.cache.clear_failures();
        }
        for (_, server) in groups.servers() {
            if let Some(probing) = server.watch() {
                self.probes.spawn(probing);
            }
        }
    }

    /// Serves expired answers to those who have waited long enough; asking goes on.
    fn serve_late(&mut self) {
        let now = Instant::now();
        let clock = self.clock.now();
        while self.late.front().is_some_and(|(due, _)| *due <= now) {
            let Some((_, key)) = self.late.pop_front() else { return };
            if !self.pipeline.has_stale(&key, clock) {
                continue;
            }
            let Some(flight) = self.flights.get_mut(&key) else { continue };
            flight.late = true;
            for job in std::mem::take(&mut flight.waiters) {
                self.answer(job, &Ended::Late);
            }
        }
    }

    fn answer(&mut self, job: Job, ended: &Ended) {
        if job.reply.is_nobody() {
            return;
        }
        let now = self.clock.now();
        let snapshot = self.shared.snapshot.load();
        let Job { packet, asker, received, reply } = job;
        let way = Way { received, ..Way::default() };
        let (out, history) = (&mut self.out, &mut self.history);
        match self.pipeline.finish(&snapshot, &packet, asker, ended, way, now, out, history) {
            Some(Outcome::Answered(how)) => {
                self.tally.answered(how);
                reply.send(out, &self.tally);
                self.history.wake();
            }
            Some(Outcome::Dropped(reason)) => self.tally.dropped(reason),
            Some(Outcome::Miss | Outcome::Aging(_)) | None => {}
        }
    }
}
