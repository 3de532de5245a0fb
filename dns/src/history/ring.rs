//! The rings between the workers and the one reader.
//!
//! ```text
//!   worker  -> ring \                      asleep: no question for a while; the next one wakes it
//!   worker  -> ring  > reader (a thread)   gathering: it wakes by itself, or when a ring is half full
//!   streams -> ring /                      draining
//! ```
//! A worker never waits: `rtrb`'s rings are wait-free, and a full one loses the event. It wakes the
//! reader only after it has sent its answer, and only a reader that is asleep or late.
#![allow(clippy::disallowed_methods, reason = "the reader is a thread that waits by the clock")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer, RingBuffer};

use super::codec::{Draft, MAX};
use super::labels::{Labels, Shelf};
use super::{Decision, Event};
use crate::name::last_labels;
use crate::server::Clock;
use crate::{Name, Now};

/// Where events go.
pub(crate) trait Recording {
    /// Takes an event, or loses it.
    fn record(&mut self, draft: &Draft<'_>);
}

/// One worker's end of its ring; nothing at all where no history is kept.
#[derive(Debug, Default)]
pub struct Recorder(Option<Ring>);

#[derive(Debug)]
struct Ring {
    producer: Producer<u8>,
    /// Fewer free bytes than this, and the reader had better come.
    half: usize,
    bell: Arc<Bell>,
    lost: Arc<AtomicU64>,
    /// Where events are put together. Kept, so that it is not cleared for each.
    scratch: Box<[u8; MAX]>,
    /// An event was told since the reader was woken last.
    told: bool,
}

/// What a worker and the reader know of each other.
#[derive(Debug, Default)]
struct Bell {
    /// The reader sleeps until something happens.
    asleep: AtomicBool,
    /// The reader is wanted now, whatever it waits for.
    urgent: AtomicBool,
    reader: OnceLock<Thread>,
}

/// The reader's end of one ring.
#[derive(Debug)]
struct Outlet {
    consumer: Consumer<u8>,
}

/// All rings. Empty until somebody reads.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    shelf: Arc<Shelf>,
    rings: OnceLock<Rings>,
}

#[derive(Debug)]
struct Rings {
    bytes: usize,
    bell: Arc<Bell>,
    /// Of workers that have started since the reader looked last.
    new: Arc<Mutex<Vec<Outlet>>>,
    lost: Mutex<Vec<Arc<AtomicU64>>>,
    /// The ring of all who answer over connections: they are many tasks, and a lock is nothing
    /// beside what a stream costs.
    streams: OnceLock<Mutex<Recorder>>,
}

/// Empties the rings. There is one for each [`Shared`](crate::Shared).
#[derive(Debug)]
pub struct HistoryReader {
    outlets: Vec<Outlet>,
    new: Arc<Mutex<Vec<Outlet>>>,
    bell: Arc<Bell>,
    clock: Clock,
    shelf: Arc<Shelf>,
    /// Nothing came the last time.
    idle: bool,
    labels: Arc<Labels>,
    bytes: Vec<u8>,
}

/// Makes [`HistoryReader::wait`] return, from any thread.
#[derive(Clone, Debug)]
pub struct HistoryNudge(Arc<Bell>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// Other names are in force from now on.
    pub(crate) fn relabel(&self, labels: &Arc<Labels>) {
        self.shelf.put(labels);
    }

    /// The reader, once. Workers that have started before are not heard.
    pub(crate) fn open(&self, ring_bytes: usize, clock: Clock) -> Option<HistoryReader> {
        let rings = Rings {
            bytes: ring_bytes.max(2 * MAX),
            bell: Arc::default(),
            new: Arc::default(),
            lost: Mutex::default(),
            streams: OnceLock::new(),
        };
        let (new, bell) = (rings.new.clone(), rings.bell.clone());
        self.rings.set(rings).ok()?;
        Some(HistoryReader {
            outlets: Vec::new(),
            new,
            bell,
            clock,
            shelf: self.shelf.clone(),
            idle: true,
            labels: Arc::default(),
            bytes: Vec::new(),
        })
    }

    /// A ring for a new worker.
    pub(crate) fn recorder(&self) -> Recorder {
        Recorder(self.rings.get().map(Rings::ring))
    }

    /// Events lost in all, because rings were full.
    pub(crate) fn lost(&self) -> u64 {
        let Some(rings) = self.rings.get() else { return 0 };
        lock(&rings.lost).iter().map(|lost| lost.load(Ordering::Relaxed)).sum()
    }
}

impl Rings {
    fn ring(&self) -> Ring {
        let (producer, consumer) = RingBuffer::new(self.bytes);
        let lost = Arc::new(AtomicU64::new(0));
        lock(&self.lost).push(lost.clone());
        lock(&self.new).push(Outlet { consumer });
        Ring {
            producer,
            half: self.bytes / 2,
            bell: self.bell.clone(),
            lost,
            scratch: Box::new([0; MAX]),
            told: false,
        }
    }
}

impl Recording for Recorder {
    fn record(&mut self, draft: &Draft<'_>) {
        let Some(ring) = &mut self.0 else { return };
        let written = draft
            .encode(&mut ring.scratch)
            .and_then(|len| ring.scratch.get(..len))
            .is_some_and(|event| ring.producer.push_entire_slice(event).is_ok());
        ring.told = true;
        if !written {
            ring.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Recorder {
    /// Wakes the reader if it has to know. Called when the answer is on its way.
    pub(crate) fn wake(&mut self) {
        let Some(ring) = self.0.as_mut().filter(|ring| ring.told) else { return };
        ring.told = false;
        if ring.bell.asleep.load(Ordering::Relaxed)
            && ring.bell.asleep.swap(false, Ordering::AcqRel)
        {
            ring.bell.ring();
        }
        // What is known of the reader's place is old, so the ring may be emptier than it seems.
        if ring.producer.cached_slots() < ring.half && ring.producer.slots() < ring.half {
            ring.bell.urge();
        }
    }
}

/// Answers over connections.
impl Recording for &Hub {
    fn record(&mut self, draft: &Draft<'_>) {
        let Some(rings) = self.rings.get() else { return };
        let streams = rings.streams.get_or_init(|| Mutex::new(Recorder(Some(rings.ring()))));
        let mut recorder = lock(streams);
        recorder.record(draft);
        recorder.wake();
    }
}

impl Bell {
    fn ring(&self) {
        if let Some(reader) = self.reader.get() {
            reader.unpark();
        }
    }

    fn urge(&self) {
        if !self.urgent.swap(true, Ordering::AcqRel) {
            self.ring();
        }
    }
}

impl HistoryNudge {
    /// Wakes the reader.
    pub fn nudge(&self) {
        self.0.urge();
    }
}

impl HistoryReader {
    /// What wakes this reader.
    pub fn nudge(&self) -> HistoryNudge {
        HistoryNudge(self.bell.clone())
    }

    /// Waits until there is something to drain, and then `gather` longer for what comes with it:
    /// many events cost one wake-up. While no questions come it does not wake up at all. Returns
    /// early when a ring fills up or somebody nudges. Always to be called from the same thread.
    pub fn wait(&mut self, gather: Duration) {
        self.bell.reader.get_or_init(std::thread::current);
        if self.idle {
            self.sleep(gather);
        }
        let until = Instant::now() + gather;
        while !self.bell.urgent.load(Ordering::Acquire) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::park_timeout(left);
        }
        self.bell.urgent.store(false, Ordering::Release);
    }

    /// Sleeps until an event or a nudge.
    fn sleep(&mut self, moment: Duration) {
        let bell = self.bell.clone();
        let awake = || !bell.asleep.load(Ordering::Acquire) || bell.urgent.load(Ordering::Acquire);
        bell.asleep.store(true, Ordering::SeqCst);
        // A worker looks at the flag without a fence after its event, which would cost more than
        // the event itself. One that has not seen the flag yet has put its event in by now: look
        // again when the flag has long been seen by everybody, and sleep for good only then.
        if !awake() {
            std::thread::park_timeout(moment);
        }
        while !awake() && self.is_empty() {
            std::thread::park();
        }
        bell.asleep.store(false, Ordering::Release);
    }

    fn is_empty(&mut self) -> bool {
        self.outlets.append(&mut lock(&self.new));
        self.outlets.iter().all(|outlet| outlet.consumer.is_empty())
    }

    /// The time on the clock of [`Event::at`].
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// Takes what has come, in the order of the questions' arrival.
    pub fn drain(&mut self) -> Vec<Event> {
        self.outlets.append(&mut lock(&self.new));
        let mut events = Vec::new();
        for outlet in &mut self.outlets {
            let ready = outlet.consumer.slots();
            self.bytes.resize(ready, 0);
            if outlet.consumer.pop_entire_slice(&mut self.bytes).is_err() {
                continue;
            }
            let mut rest = &self.bytes[..];
            while let Some((draft, after)) = Draft::decode(rest) {
                if self.labels.generation != draft.generation
                    && let Some(labels) = self.shelf.find(draft.generation)
                {
                    self.labels = labels;
                }
                events.extend(Event::of(&draft, &self.labels));
                rest = after;
            }
        }
        // Whose worker has ended, and whose last events have just been read.
        self.outlets
            .retain(|outlet| !outlet.consumer.is_abandoned() || !outlet.consumer.is_empty());
        events.sort_by_key(|event| event.at);
        self.idle = events.is_empty();
        events
    }
}

impl Event {
    fn of(draft: &Draft<'_>, labels: &Labels) -> Option<Event> {
        let unknown = || Arc::from("unknown");
        let decision = draft.rule.and_then(|rule| {
            let matched = rule.target.unwrap_or(draft.name);
            Some(Decision {
                allowed: rule.allowed,
                list: labels.list(rule.rule.list).unwrap_or_else(unknown),
                rule: Name::from_wire(last_labels(matched, rule.rule.labels))?,
                target: rule.target.and_then(Name::from_wire),
            })
        });
        Some(Event {
            at: draft.at,
            client: draft.client,
            transport: draft.transport,
            name: Name::from_wire(draft.name)?,
            qtype: draft.qtype,
            how: draft.how,
            rcode: draft.rcode,
            policy: labels.policy(draft.policy).unwrap_or_else(unknown),
            decision,
            upstream: draft.upstream,
            dnssec: draft.dnssec,
            took: draft.took,
        })
    }
}

#[cfg(test)]
mod tests;
