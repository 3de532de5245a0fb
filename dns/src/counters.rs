//! What has happened, counted.
//!
//! Each worker has a [`Tally`] on cache lines of its own, so that counting never waits for another
//! core. Readers add the tallies up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::Validation;

/// Why a packet or connection got no answer at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// Shorter than a DNS header.
    Short,
    /// A response, not a question: answering it could loop.
    Response,
    /// From a port that no resolver asks from (0, or a service that would answer back).
    SourcePort,
    /// From a source outside all configured networks.
    Source,
    /// From a client that asks more than it may.
    RateLimit,
    /// Of a client that floods: left out by the kernel. Counted by what came through of it.
    Flood,
    /// The answer could not be sent.
    Send,
    /// A connection over the cap, of all or of this client: the newcomer, or an idle one that made
    /// room for it.
    Connections,
    /// A connection, or a question on it, that was idle, slow or broke the framing.
    Stream,
    /// A handshake of TLS or QUIC that failed or was slow.
    Handshake,
}

impl DropReason {
    /// All of them, in the order of their declaration.
    pub const ALL: [DropReason; 10] = [
        Self::Short,
        Self::Response,
        Self::SourcePort,
        Self::Source,
        Self::RateLimit,
        Self::Flood,
        Self::Send,
        Self::Connections,
        Self::Stream,
        Self::Handshake,
    ];

    /// A short name for people and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Response => "response",
            Self::SourcePort => "source_port",
            Self::Source => "source",
            Self::RateLimit => "rate_limit",
            Self::Flood => "flood",
            Self::Send => "send",
            Self::Connections => "connections",
            Self::Stream => "stream",
            Self::Handshake => "handshake",
        }
    }
}

/// How a question was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answered {
    /// By a special name's rule.
    Special,
    /// From the local names.
    Local,
    /// Blocked by the filter, on the question or on a name its answer led to.
    Blocked,
    /// Without the private addresses that its public name has (rebinding).
    Withheld,
    /// From the cache, before expiry.
    Cached,
    /// By a forwarder.
    Forwarded,
    /// By an expired answer, because no forwarder answered.
    Stale,
    /// SERVFAIL: no forwarder answered, or none is configured.
    Failed,
    /// With an error of the question's own: FORMERR, NOTIMP, REFUSED, BADVERS, or a type that is
    /// answered minimally (ANY).
    Refused,
    /// Asked to come again over TCP, because the client asks more than it may over UDP.
    Limited,
    /// The host asked itself whether it answers. Not counted as a query.
    SelfTest,
}

impl Answered {
    /// All of them, in the order of their declaration.
    pub const ALL: [Answered; 11] = [
        Self::Special,
        Self::Local,
        Self::Blocked,
        Self::Withheld,
        Self::Cached,
        Self::Forwarded,
        Self::Stale,
        Self::Failed,
        Self::Refused,
        Self::Limited,
        Self::SelfTest,
    ];

    /// A short name for people and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Special => "special",
            Self::Local => "local",
            Self::Blocked => "blocked",
            Self::Withheld => "withheld",
            Self::Cached => "cached",
            Self::Forwarded => "forwarded",
            Self::Stale => "stale",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::SelfTest => "self_test",
        }
    }
}

/// Sums since start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Questions answered, in all.
    pub queries: u64,
    answered: [u64; Answered::ALL.len()],
    dropped: [u64; DropReason::ALL.len()],
    /// Questions sent upstream (identical ones in flight count once).
    pub upstream_queries: u64,
    /// Of those, how many ended without an answer.
    pub upstream_failures: u64,
    /// Questions of clients that wait for upstream servers at this moment.
    pub waiting: usize,
    /// Questions that were not asked upstream because too many waited already, of all clients or of
    /// this one.
    pub crowded: u64,
    /// From asking upstream to its answer, all of them together.
    pub upstream_latency_sum: Duration,
    /// The slowest upstream answer of the last one to two minutes.
    pub upstream_latency_max: Duration,
    /// What validation made of upstreams' answers.
    pub validated: Validated,
    /// Answers that the history missed because it could not keep up.
    pub history_lost: u64,
}

/// Upstreams' answers by what validation made of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validated {
    /// Signed, rightly.
    pub secure: u64,
    /// Not signed, rightly.
    pub insecure: u64,
    /// Refused.
    pub bogus: u64,
    /// Not looked at.
    pub unchecked: u64,
}

impl Counters {
    /// How many questions were answered this way.
    pub fn answered(&self, how: Answered) -> u64 {
        self.answered[how as usize]
    }

    /// How many packets or connections were dropped for this reason.
    pub fn dropped(&self, why: DropReason) -> u64 {
        self.dropped[why as usize]
    }
}

/// One worker's own counters. Aligned so that two tallies never share a cache line (or the pair of
/// lines that some processors fetch together).
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Tally {
    answered: [AtomicU64; Answered::ALL.len()],
    dropped: [AtomicU64; DropReason::ALL.len()],
}

impl Tally {
    pub(crate) fn answered(&self, how: Answered) {
        self.answered[how as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn dropped(&self, why: DropReason) {
        self.dropped[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts packets of a client that floods, which the kernel dropped.
    pub(crate) fn dropped_unseen(&self, packets: u64) {
        self.dropped[DropReason::Flood as usize].fetch_add(packets, Ordering::Relaxed);
    }
}

/// What only the forwarding side counts.
#[derive(Debug, Default)]
pub(crate) struct UpstreamTally {
    queries: AtomicU64,
    crowded: AtomicU64,
    failures: AtomicU64,
    latency_sum_micros: AtomicU64,
    /// Secure, insecure, bogus, unchecked.
    validated: [AtomicU64; 4],
    window: AtomicU64,
    max_micros: AtomicU64,
    max_before_micros: AtomicU64,
}

impl UpstreamTally {
    const WINDOW: Duration = Duration::from_secs(60);

    pub(crate) fn asked(&self) {
        self.queries.fetch_add(1, Ordering::Relaxed);
    }

    /// One was not, because too many wait.
    pub(crate) fn crowded(&self) {
        self.crowded.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn validated(&self, validation: Validation) {
        let at = match validation {
            Validation::Secure => 0,
            Validation::Insecure => 1,
            Validation::Bogus(_) => 2,
            Validation::Unchecked => 3,
        };
        self.validated[at].fetch_add(1, Ordering::Relaxed);
    }

    /// `uptime` is the time since the server started. Called from one task only.
    pub(crate) fn took(&self, latency: Duration, uptime: Duration) {
        let micros = latency.as_micros() as u64;
        self.latency_sum_micros.fetch_add(micros, Ordering::Relaxed);
        let window = uptime.as_secs() / Self::WINDOW.as_secs();
        let before = self.window.swap(window, Ordering::Relaxed);
        if window != before {
            let max = self.max_micros.swap(micros, Ordering::Relaxed);
            let kept = if window == before + 1 { max } else { 0 };
            self.max_before_micros.store(kept, Ordering::Relaxed);
        } else {
            self.max_micros.fetch_max(micros, Ordering::Relaxed);
        }
    }
}

/// All tallies there are.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    tallies: Mutex<Vec<Arc<Tally>>>,
    pub(crate) upstream: UpstreamTally,
}

impl Registry {
    /// A tally for a new worker; it counts on after the worker has gone.
    pub(crate) fn tally(&self) -> Arc<Tally> {
        let tally = Arc::new(Tally::default());
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner).push(tally.clone());
        tally
    }

    pub(crate) fn sum(&self) -> Counters {
        let mut sum = Counters::default();
        for tally in self.tallies.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            for (total, own) in sum.answered.iter_mut().zip(&tally.answered) {
                *total += own.load(Ordering::Relaxed);
            }
            for (total, own) in sum.dropped.iter_mut().zip(&tally.dropped) {
                *total += own.load(Ordering::Relaxed);
            }
        }
        let upstream = &self.upstream;
        let micros = |of: &AtomicU64| Duration::from_micros(of.load(Ordering::Relaxed));
        let all: u64 = sum.answered.iter().sum();
        sum.queries = all - sum.answered(Answered::SelfTest);
        sum.crowded = upstream.crowded.load(Ordering::Relaxed);
        sum.upstream_queries = upstream.queries.load(Ordering::Relaxed);
        sum.upstream_failures = upstream.failures.load(Ordering::Relaxed);
        sum.upstream_latency_sum = micros(&upstream.latency_sum_micros);
        let [secure, insecure, bogus, unchecked] =
            upstream.validated.each_ref().map(|of| of.load(Ordering::Relaxed));
        sum.validated = Validated { secure, insecure, bogus, unchecked };
        sum.upstream_latency_max =
            micros(&upstream.max_micros).max(micros(&upstream.max_before_micros));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_of_all_workers_are_summed() {
        let registry = Registry::default();
        let (one, two) = (registry.tally(), registry.tally());
        one.answered(Answered::Cached);
        two.answered(Answered::Cached);
        two.answered(Answered::Blocked);
        two.answered(Answered::SelfTest);
        two.dropped(DropReason::Short);
        let sum = registry.sum();
        assert_eq!(sum.queries, 3);
        assert_eq!(sum.answered(Answered::Cached), 2);
        assert_eq!(sum.answered(Answered::Blocked), 1);
        assert_eq!(sum.dropped(DropReason::Short), 1);
        assert_eq!(sum.dropped(DropReason::Source), 0);
    }

    #[test]
    fn each_kind_stands_at_its_own_index() {
        assert!(Answered::ALL.iter().enumerate().all(|(index, kind)| *kind as usize == index));
        assert!(DropReason::ALL.iter().enumerate().all(|(index, kind)| *kind as usize == index));
    }

    #[test]
    fn the_slowest_answer_is_forgotten_after_two_windows() {
        let registry = Registry::default();
        let max = |millis: u64, at: u64| {
            registry.upstream.took(Duration::from_millis(millis), Duration::from_secs(at));
            registry.sum().upstream_latency_max.as_millis()
        };
        assert_eq!(max(90, 5), 90);
        assert_eq!(max(10, 61), 90);
        assert_eq!(max(20, 121), 20);
        assert_eq!(max(5, 400), 5);
    }
}
