//! What the fast path does not know: asked upstream, each question once at a time.
//!
//! One task owns the questions in flight; it gets them through a bounded queue from the workers,
//! has each distinct one asked in a task of its own, and answers everybody who waits.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::cache::{Entry, FailureKind, Key};
use crate::counters::Tally;
use crate::history::{Recorder, Way};
use crate::pipeline::{Alias, Asker, Outcome, Pipeline, Result as Ended};
use crate::server::{Clock, ReplyTo};
use crate::wire::Query;
use crate::{Now, Shared};

mod ask;
mod connection;

use ask::Forwarders;
pub(crate) use ask::Question;

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
    forwarders: Arc<Forwarders>,
    flights: HashMap<Key, Flight>,
    asking: JoinSet<Landed>,
    /// When to serve whom an expired answer. All wait equally long, so the first is due first.
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
    result: Result<Message, FailureKind>,
    took: Duration,
}

impl Forwarding {
    pub(crate) fn new(pipeline: Arc<Pipeline>, shared: Arc<Shared>, clock: Clock) -> Self {
        Self {
            tally: shared.tally(),
            history: shared.recorder(),
            forwarders: Arc::new(Forwarders::new(&shared.upstreams.load_full())),
            pipeline,
            shared,
            clock,
            flights: HashMap::new(),
            asking: JoinSet::new(),
            late: VecDeque::new(),
            out: Vec::with_capacity(4096),
        }
    }

    /// Runs until all senders of the queue are gone.
    pub(crate) async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
        loop {
            let due = self.late.front().map(|(due, _)| *due);
            tokio::select! {
                job = queue.recv() => match job {
                    Some(job) => self.take(job),
                    None => return,
                },
                Some(landed) = self.asking.join_next() => {
                    if let Ok(landed) = landed {
                        self.land(landed);
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.serve_late();
                }
                _ = housekeeping.tick() => self.shared.free_retired(),
            }
        }
    }

    fn take(&mut self, job: Job) {
        let upstreams = self.shared.upstreams.load();
        if !self.forwarders.are(&upstreams) {
            self.forwarders = Arc::new(Forwarders::new(&upstreams));
        }
        let Ok(query) = Query::parse(&job.packet) else { return };
        let alias = Alias::of(&self.shared.snapshot.load(), &query);
        let key = alias.as_ref().map_or_else(|| Key::of(&query), Alias::key);
        let now = self.clock.now();
        // Somebody may have asked the same just before.
        if let Some(entry) = self.pipeline.fresh(&key, now) {
            return self.answer(job, &Ended::Known(entry));
        }
        if let Some(flight) = self.flights.get_mut(&key) {
            if flight.late || flight.waiters.len() >= MAX_WAITERS {
                return self.answer(job, &Ended::Failed(FailureKind::Overload));
            }
            return flight.waiters.push(job);
        }
        if self.forwarders.is_empty() {
            return self.answer(job, &Ended::Failed(FailureKind::NoForwarder));
        }
        if self.flights.len() >= upstreams.max_in_flight {
            return self.answer(job, &Ended::Failed(FailureKind::Overload));
        }
        let name = alias.as_ref().map_or(query.name(), |alias| alias.target().as_wire());
        let Some(question) = Question::new(name, &query) else { return };
        if self.pipeline.has_stale(&key, now) {
            self.late.push_back((Instant::now() + upstreams.stale_after, key.clone()));
        }
        self.ask(key.clone(), question);
        self.flights.insert(key, Flight { waiters: vec![job], late: false });
    }

    fn ask(&mut self, key: Key, question: Question) {
        self.shared.upstream_tally().asked();
        let forwarders = self.forwarders.clone();
        let started = Instant::now();
        self.asking.spawn(async move {
            let result = forwarders.ask(question).await;
            Landed { key, result, took: started.elapsed() }
        });
    }

    fn land(&mut self, landed: Landed) {
        let Landed { key, result, took } = landed;
        let now = self.clock.now();
        let entry = result
            .and_then(|message| Entry::from_answer(message, &key, now).ok_or(FailureKind::Garbled));
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
            Some(Outcome::Miss) | None => {}
        }
    }
}
