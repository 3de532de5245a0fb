//! What the threads of the history share.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use lanward_dns::{HistoryNudge, UpstreamId};

use super::hours::{HOUR_MS, Sums};
use super::minutes::Minutes;
use super::row::{Day, Row, Seq};
use super::stats_file::hour_of;
use super::{Config, Forget, HistorySettings, HistoryStatus, Span};

/// Rows that make the writer write before its time.
pub(super) const MANY: usize = 8192;
/// Rows that wait at most; more are dropped.
const MOST: usize = 4 * MANY;
/// How long an orderly stop, or somebody who forgets, waits for the disk.
const PATIENCE: Duration = Duration::from_secs(20);

/// All that is shared.
pub(super) struct Core {
    pub(super) dir: PathBuf,
    pub(super) upstream: Box<dyn Fn(UpstreamId) -> Option<Arc<str>> + Send + Sync>,
    pub(super) now: fn() -> Timestamp,
    pub(super) reserve_bytes: u64,
    nudge: HistoryNudge,
    state: Mutex<State>,
    /// Something in the state is for the writer, or has been done by it.
    pub(super) changed: Condvar,
}

/// What is kept in memory.
#[derive(Default)]
pub(super) struct State {
    pub(super) settings: HistorySettings,
    /// Rows that are in no file yet, in the order they came.
    pub(super) rows: VecDeque<Row>,
    pub(super) minutes: Minutes,
    /// Hours since 1970 that are not written yet.
    pub(super) hours: BTreeMap<i64, Sums>,
    /// The last number given out on each day.
    last: BTreeMap<Day, Seq>,
    pub(super) orders: VecDeque<Order>,
    pub(super) results: BTreeMap<u64, Result<usize, String>>,
    next_order: u64,
    pub(super) status: HistoryStatus,
    pub(super) stopping: Stopping,
}

/// Something the writer is to do.
pub(super) struct Order {
    pub(super) id: u64,
    pub(super) what: Deed,
}

pub(super) enum Deed {
    Forget(Forget, Span),
    /// Nothing but what is done before each order: write what waits.
    #[cfg(test)]
    Flush,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stopping {
    #[default]
    No,
    /// The collector is to drain the rings a last time.
    Asked,
    /// It has; the writer is to write everything.
    Drained,
    /// It has.
    Done,
}

impl Core {
    pub(super) fn new(config: Config, nudge: HistoryNudge) -> Core {
        let Config { dir, settings, upstream, now, reserve_bytes } = config;
        Core {
            dir,
            upstream,
            now,
            reserve_bytes,
            nudge,
            state: Mutex::new(State { settings, ..State::default() }),
            changed: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn settings(&self) -> HistorySettings {
        self.lock().settings
    }

    pub(super) fn set_settings(&self, settings: HistorySettings) {
        let mut state = self.lock();
        let before = std::mem::replace(&mut state.settings, settings);
        if before.level != settings.level {
            state.reduce();
        }
        drop(state);
        // Other bounds may want something deleted.
        self.changed.notify_all();
    }

    pub(super) fn status(&self) -> HistoryStatus {
        let state = self.lock();
        HistoryStatus { waiting: state.rows.len(), ..state.status.clone() }
    }

    pub(super) fn forget(&self, wanted: Forget, span: Span) -> Result<usize, String> {
        self.order(Deed::Forget(wanted, span))
    }

    /// Writes what waits, now.
    #[cfg(test)]
    pub(super) fn flush(&self) -> Result<usize, String> {
        self.order(Deed::Flush)
    }

    fn order(&self, what: Deed) -> Result<usize, String> {
        let mut state = self.lock();
        if state.stopping != Stopping::No {
            return Err("Lanward is stopping.".to_owned());
        }
        state.next_order += 1;
        let id = state.next_order;
        state.orders.push_back(Order { id, what });
        self.changed.notify_all();
        let waiting = |state: &mut State| !state.results.contains_key(&id);
        let waited = self.changed.wait_timeout_while(state, PATIENCE, waiting);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let late = || Err("The disk has not done it yet; it goes on.".to_owned());
        state.results.remove(&id).unwrap_or_else(late)
    }

    pub(super) fn stop(&self) {
        self.lock().stopping = Stopping::Asked;
        self.nudge.nudge();
        let waiting = |state: &mut State| state.stopping != Stopping::Done;
        let _ = self.changed.wait_timeout_while(self.lock(), PATIENCE, waiting);
    }
}

impl State {
    /// A number for a row of this moment. On one day they never go back.
    pub(super) fn number(&mut self, at: Timestamp) -> Seq {
        let mut seq = Seq::at_ms(at.as_millisecond());
        let last = self.last.entry(seq.day()).or_insert(Seq(i64::MIN));
        if seq <= *last {
            seq = Seq(last.0 + 1);
        }
        *last = seq;
        while self.last.len() > 3 {
            self.last.pop_first();
        }
        seq
    }

    /// A file has rows up to this one.
    pub(super) fn numbered(&mut self, last: Seq) {
        let known = self.last.entry(last.day()).or_insert(last);
        *known = last.max(*known);
    }

    /// Takes rows in; gives whether the writer had better come.
    pub(super) fn take(&mut self, rows: &[Row]) -> bool {
        for row in rows {
            self.minutes.count(row.seq.ms().div_euclid(60_000), row.answer.how);
            self.hours.entry(hour_of(row.seq.ms())).or_default().add(row);
        }
        let room = MOST.saturating_sub(self.rows.len());
        self.rows.extend(rows.iter().take(room).cloned());
        self.status.dropped += rows.len().saturating_sub(room) as u64;
        self.rows.len() >= MANY
    }

    /// Takes off what the level does not keep any more.
    fn reduce(&mut self) {
        let level = self.settings.level;
        if level == super::Level::Off {
            self.rows.clear();
        }
        for row in &mut self.rows {
            *row = row.clone().reduced(level);
        }
        for sums in self.hours.values_mut() {
            if !level.clients() {
                sums.clients.clear();
            }
            if !level.names() {
                sums.names.clear();
            }
        }
    }

    /// Forgets in memory, but for hours that the span has a part of; gives how many rows.
    pub(super) fn forget(&mut self, wanted: &Forget, span: Span) -> usize {
        let (before, of_span) = (self.rows.len(), span.rows());
        self.rows.retain(|row| !(of_span.contains(&row.seq) && wanted.is_about(row)));
        match wanted {
            Forget::Clients(_) => {}
            Forget::Domain(domain) => {
                let rows = self.rows.iter_mut().filter(|row| of_span.contains(&row.seq));
                rows.for_each(|row| row.forget_rule(domain));
            }
            Forget::Everything => self.minutes.forget(span.minutes()),
        }
        self.hours.range_mut(span.hours()).for_each(|(_, sums)| sums.forget(wanted));
        before - self.rows.len()
    }

    /// The hours that are over by `now`, each with what it came to.
    pub(super) fn over(&self, now: Timestamp) -> Vec<(i64, Sums)> {
        // A minute's grace, for rows that are on their way.
        let running = hour_of(now.as_millisecond() - HOUR_MS / 60);
        self.hours.range(..running).map(|(hour, sums)| (*hour, sums.clone())).collect()
    }
}
