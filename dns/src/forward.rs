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

use crate::cache::{Cached, Entry, FailureKind, Key};
use crate::counters::Tally;
use crate::history::{DnssecOutcome, Recorder, UpstreamId, Way};
use crate::pipeline::{Asker, Errand, Outcome, Pipeline, Result as Ended};
use crate::routes::Route;
use crate::server::{Clock, ReplyTo};
use crate::shared::Snapshot;
use crate::waiting::Waits;
use crate::wire::{Form, Query};
use crate::{Now, Shared, Validation};

mod bootstrap;
mod connection;
mod dns64;
mod groups;
mod health;
mod inquiry;
mod plain;
mod question;
mod recurse;
mod server;
mod status;
mod stream;
mod streams;
mod tls;
mod udp;
mod validate;
mod validators;
#[cfg(test)]
mod world;
mod wrong_clock;

pub(crate) use groups::Groups;
use groups::noting_who;
pub use health::UpstreamState;
use inquiry::Inquiry;
pub(crate) use question::Question;
pub(crate) use recurse::ROOT_SERVERS;
use server::Received;
pub use status::UpstreamStatus;
pub(crate) use validate::Checked;
use validators::Got;
pub(crate) use validators::Validators;

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
    /// Its client's place among those that wait, while it has one.
    pub(crate) waits: Option<Waits>,
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
    /// It is known when it will have taken so long.
    late_due: bool,
    /// It has taken so long that an expired answer is served meanwhile.
    late: bool,
}

/// How a question came back.
struct Landed {
    key: Key,
    result: Result<Got, FailureKind>,
    /// The server that gave the answer.
    by: Option<UpstreamId>,
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
        let common = self.shared.snapshot.load().groups.common.clone();
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
                () = common.probe.notified() => self.probe(),
                Some(_) = self.probes.join_next() => {}
                _ = housekeeping.tick() => {
                    self.shared.free_retired();
                    self.look_after_servers();
                    self.shared.follow_root_keys();
                }
            }
        }
    }

    fn take(&mut self, job: Job) {
        let snapshot = self.shared.snapshot.load_full();
        let Ok(query) = Query::parse(&job.packet) else { return };
        let Errand { key, alias, route } = Errand::of(&snapshot, &query, job.asker);
        let now = self.clock.now();
        // Somebody may have asked the same just before, or by another name of the house; but one that
        // is about to expire, which nobody waits for, is asked for all the same.
        if !job.reply.is_nobody() {
            if let Some(entry) = self.pipeline.fresh(&key, now) {
                return self.answer(job, &Ended::Known(entry), None);
            }
            // An expired answer stands in, if there is one (RFC 9520, 3.2).
            if let Cached::Failed(failure) | Cached::Stale(_, Some(failure)) =
                self.pipeline.cache.get(key.as_bytes(), now)
            {
                return self.answer(job, &Ended::Failed(failure.why), None);
            }
        }
        if let Some(flight) = self.flights.get_mut(&key) {
            if flight.late || flight.waiters.len() >= MAX_WAITERS {
                return self.answer(job, &Ended::Failed(FailureKind::Overload), None);
            }
            flight.waiters.push(job);
            // The answer that was to be refreshed may have expired meanwhile.
            return self.serve_late_when_stale(&key, now, &snapshot, route);
        }
        let groups = &snapshot.groups;
        if !groups.has_servers(route.group) {
            return self.answer(job, &Ended::Failed(FailureKind::NoForwarder), None);
        }
        if self.flights.len() >= groups.upstreams.max_in_flight {
            return self.answer(job, &Ended::Failed(FailureKind::Overload), None);
        }
        let name = alias.as_ref().map_or(query.name(), |alias| alias.target().as_wire());
        let Some(question) = Question::new(name, &query) else { return };
        self.ask(key.clone(), question, &snapshot, route);
        let flight = Flight { waiters: vec![job], late_due: false, late: false };
        self.flights.insert(key.clone(), flight);
        self.serve_late_when_stale(&key, now, &snapshot, route);
    }

    /// Has whoever waits for `key` served an expired answer in a while, if there is one.
    fn serve_late_when_stale(&mut self, key: &Key, now: Now, snapshot: &Snapshot, route: Route) {
        let Some(flight) = self.flights.get_mut(key).filter(|flight| !flight.late_due) else {
            return;
        };
        if !self.pipeline.has_stale(key, now) {
            return;
        }
        flight.late_due = true;
        // Where nobody is known to answer there is nothing to wait for.
        let groups = &snapshot.groups;
        let wait = match groups.is_down(route.group) {
            true => Duration::ZERO,
            false => groups.upstreams.stale_after,
        };
        let due = Instant::now() + wait;
        let at = self.late.partition_point(|(other, _)| *other <= due);
        self.late.insert(at, (due, key.clone()));
    }

    fn ask(&mut self, key: Key, question: Question, snapshot: &Snapshot, route: Route) {
        self.shared.upstream_tally().asked();
        let started = Instant::now();
        let inquiry = Inquiry::new(snapshot, question, route);
        if inquiry.is_checking() {
            // Signatures take their time: others' questions must not wait for it.
            let asked = tokio::spawn(noting_who(inquiry.run()));
            self.asking.push(Box::pin(async move {
                let (result, by) = asked.await.unwrap_or((Err(FailureKind::Garbled), None));
                Landed { key, result, by, took: started.elapsed() }
            }));
            return;
        }
        self.asking.push(Box::pin(async move {
            let (result, by) = noting_who(inquiry.run()).await;
            Landed { key, result, by, took: started.elapsed() }
        }));
    }

    fn land(&mut self, landed: Landed) {
        let Landed { key, result, by, took } = landed;
        let now = self.clock.now();
        let entry = result.and_then(|got| {
            let checked = match got {
                Got::Received(Received { wire, form: Form::Plain(layout) }) => {
                    let entry = Entry::from_layout(&wire, layout, &key, now);
                    return entry.ok_or(FailureKind::Garbled);
                }
                Got::Received(Received { form: Form::Other(message), .. }) => {
                    Checked::unchecked(*message)
                }
                Got::Checked(checked) => checked,
            };
            // What else can be read but not kept leads nowhere, or is too long to be written.
            let has_alias = checked.has_alias();
            let why = if has_alias { FailureKind::Circle } else { FailureKind::Garbled };
            Entry::from_checked(checked, &key, now).ok_or(why)
        });
        let ended = match entry {
            Ok(entry) => {
                self.shared.upstream_tally().took(took, now.0);
                self.shared.upstream_tally().validated(entry.validation());
                self.pipeline.cache.insert(&entry);
                Ended::Answer(entry)
            }
            Err(why) => {
                self.shared.upstream_tally().failed();
                if let FailureKind::Bogus(why) = why {
                    self.shared.upstream_tally().validated(Validation::Bogus(why));
                    // What was true once must not stand in for what is forged now.
                    self.pipeline.cache.remove(key.as_bytes());
                }
                if why.is_lasting() {
                    self.pipeline.cache.insert_failure(key.as_bytes(), why, now);
                }
                Ended::Failed(why)
            }
        };
        let Some(flight) = self.flights.remove(&key) else { return };
        for job in flight.waiters {
            self.answer(job, &ended, by);
        }
    }

    /// Looks after servers that are not up.
    fn probe(&mut self) {
        let groups = self.shared.snapshot.load().groups.clone();
        if groups.common.has_recovered() {
            self.pipeline.cache.clear_failures();
        }
        for (_, server) in groups.servers() {
            if let Some(probing) = server.watch() {
                self.probes.spawn(probing);
            }
        }
    }

    /// Asks again where servers are whose addresses have had their time, and closes idle sockets.
    fn look_after_servers(&mut self) {
        for (_, server) in self.shared.snapshot.load().groups.servers() {
            server.close_old();
            if let Some(resolving) = server.resolve_when_due() {
                self.probes.spawn(resolving);
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
                self.answer(job, &Ended::Late, None);
            }
        }
    }

    fn answer(&mut self, job: Job, ended: &Ended, upstream: Option<UpstreamId>) {
        if job.reply.is_nobody() {
            return;
        }
        let now = self.clock.now();
        let snapshot = self.shared.snapshot.load();
        let Job { packet, asker, received, reply, .. } = job;
        let dnssec = match ended {
            Ended::Answer(entry) | Ended::Known(entry) => entry.validation().into(),
            Ended::Failed(FailureKind::Bogus(_)) => DnssecOutcome::Bogus,
            Ended::Failed(_) | Ended::Late => DnssecOutcome::Unchecked,
        };
        if matches!(ended, Ended::Failed(FailureKind::Overload)) {
            self.shared.upstream_tally().crowded();
        }
        let way = Way { received, upstream, dnssec };
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
