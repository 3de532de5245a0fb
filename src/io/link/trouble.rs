//! What goes wrong on the link: counted, kept for people, and logged without flooding the log.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

/// One line of a kind in this time; what was left out is counted in the next.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// Counts since the link was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Connections on which both ends proved their keys.
    pub connected: u64,
    /// Ends that proved a key, but not the partner's, or that refused ours.
    pub wrong_key: u64,
    /// Connections that were no TLS 1.3 of ours: scanners, garbage, other services.
    pub not_ours: u64,
    /// Connections that took too long to prove a key.
    pub too_slow: u64,
    /// Half-open connections that were dropped because there were too many.
    pub crowded_out: u64,
    /// Connections of other nodes while no invite was open, or no partner known.
    pub not_invited: u64,
    /// New nodes that asked to join.
    pub join_requests: u64,
    /// Connections that could not be made.
    pub unreachable: u64,
}

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    WrongKey,
    NotOurs,
    TooSlow,
    CrowdedOut,
    NotInvited,
    Unreachable,
    Listener,
}

#[derive(Debug, Default)]
pub(super) struct Trouble {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    stats: LinkStats,
    last: Option<String>,
    logged: Vec<(Kind, Instant, u64)>,
}

impl Trouble {
    /// Counts it and logs it, unless one of its kind was logged just now.
    pub(super) fn note(&self, kind: Kind, sentence: &str) {
        let Some(left_out) = self.with(|inner| {
            inner.count(kind);
            inner.may_log(kind)
        }) else {
            return;
        };
        match left_out {
            0 => warn!("{sentence}"),
            n => warn!("{sentence} (and {n} more like this before)"),
        }
    }

    /// The same, for what keeps this node from its partner: also kept for [`Trouble::last`].
    pub(super) fn keep(&self, kind: Kind, sentence: String) {
        self.note(kind, &sentence);
        self.with(|inner| inner.last = Some(sentence));
    }

    pub(super) fn connected(&self) {
        self.with(|inner| {
            inner.stats.connected += 1;
            inner.last = None;
        });
    }

    pub(super) fn join_request(&self) {
        self.with(|inner| inner.stats.join_requests += 1);
    }

    pub(super) fn last(&self) -> Option<String> {
        self.with(|inner| inner.last.clone())
    }

    pub(super) fn stats(&self) -> LinkStats {
        self.with(|inner| inner.stats)
    }

    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    fn count(&mut self, kind: Kind) {
        let stats = &mut self.stats;
        let counter = match kind {
            Kind::WrongKey => &mut stats.wrong_key,
            Kind::NotOurs => &mut stats.not_ours,
            Kind::TooSlow => &mut stats.too_slow,
            Kind::CrowdedOut => &mut stats.crowded_out,
            Kind::NotInvited => &mut stats.not_invited,
            Kind::Unreachable => &mut stats.unreachable,
            Kind::Listener => return,
        };
        *counter += 1;
    }

    /// How many of this kind were left out since the last line; `None` when it is too early.
    fn may_log(&mut self, kind: Kind) -> Option<u64> {
        let now = Instant::now();
        let Some(entry) = self.logged.iter_mut().find(|(logged, ..)| *logged == kind) else {
            self.logged.push((kind, now, 0));
            return Some(0);
        };
        if now.duration_since(entry.1) < LOG_EVERY {
            entry.2 += 1;
            return None;
        }
        entry.1 = now;
        Some(std::mem::take(&mut entry.2))
    }
}
