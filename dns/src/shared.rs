//! What the control plane gives to the data plane: immutable snapshots, swapped whole.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::counters::{Registry, Tally, UpstreamTally};
use crate::history::{HistoryReader, Hub, Labels, Recorder};
use crate::server::Clock;
use crate::{Counters, EmptyFilter, Filter, LocalNames, Pauses, Policies, Upstreams};

/// The snapshots in force, and the counters. The daemon keeps one `Arc` of it, the server another;
/// setting anything takes effect with the next query and never delays one.
pub struct Shared {
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) upstreams: ArcSwap<Upstreams>,
    retired: Mutex<Vec<Arc<Snapshot>>>,
    registry: Registry,
    history: Hub,
    /// The one clock of the data plane.
    pub(crate) clock: Clock,
}

/// Everything the fast path reads, in one piece.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) filter: Arc<dyn Filter>,
    pub(crate) local: Arc<LocalNames>,
    pub(crate) policies: Arc<Policies>,
    pub(crate) pauses: Arc<Pauses>,
    /// What the numbers of lists and policies stand for.
    pub(crate) labels: Arc<Labels>,
}

impl Default for Snapshot {
    fn default() -> Self {
        Snapshot {
            filter: Arc::new(EmptyFilter),
            local: Arc::default(),
            policies: Arc::default(),
            pauses: Arc::default(),
            labels: Arc::default(),
        }
    }
}

impl Shared {
    /// No filter, no local names, nobody served, no upstream.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            snapshot: ArcSwap::default(),
            upstreams: ArcSwap::default(),
            retired: Mutex::default(),
            registry: Registry::default(),
            history: Hub::default(),
            clock: Clock::start(),
        })
    }

    /// Puts another compiled set of lists in force.
    pub fn set_filter(&self, filter: Arc<dyn Filter>) {
        self.change(|snapshot| {
            snapshot.filter = filter;
            self.relabel(snapshot);
        });
    }

    /// Puts a filter and policies in force that belong together: a filter knows policies by their
    /// index, so neither may meet an older one of the other.
    pub fn set_filtering(&self, filter: Arc<dyn Filter>, policies: Policies) {
        let policies = Arc::new(policies);
        self.change(|snapshot| {
            snapshot.filter = filter;
            snapshot.policies = policies;
            self.relabel(snapshot);
        });
    }

    /// Puts other local names in force.
    pub fn set_local(&self, local: LocalNames) {
        let local = Arc::new(local);
        self.change(|snapshot| snapshot.local = local);
    }

    /// Puts other client networks and policies in force. Nobody is served before the first call,
    /// the own host (loopback) included.
    pub fn set_policies(&self, policies: Policies) {
        let policies = Arc::new(policies);
        self.change(|snapshot| {
            snapshot.policies = policies;
            self.relabel(snapshot);
        });
    }

    /// Stops filtering for some, or takes it up again.
    pub fn set_pauses(&self, pauses: Pauses) {
        let pauses = Arc::new(pauses);
        self.change(|snapshot| snapshot.pauses = pauses);
    }

    /// Puts other forwarders in force; questions in flight end with the old ones.
    pub fn set_upstreams(&self, upstreams: Upstreams) {
        self.upstreams.store(Arc::new(upstreams));
    }

    /// Sums since start, over all workers.
    pub fn counters(&self) -> Counters {
        let mut counters = self.registry.sum();
        counters.history_lost = self.history.lost();
        counters
    }

    /// Begins to tell what becomes of each question, with so many bytes of room between each
    /// worker and the reader (an event takes about 70). To be called before the server starts;
    /// `None` when there is a reader already.
    pub fn record_history(&self, ring_bytes: usize) -> Option<HistoryReader> {
        self.history.open(ring_bytes, self.clock)
    }

    /// Frees snapshots that no worker uses any more. A worker lets go of an old snapshot with its
    /// next query; freeing a table of millions of rules there would delay that query, so the old
    /// one is kept here and freed by the next change or by this call.
    pub fn free_retired(&self) {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        let (unused, used) = retired.drain(..).partition(|old| Arc::strong_count(old) == 1);
        *retired = used;
        drop(retired);
        drop::<Vec<_>>(unused);
    }

    pub(crate) fn tally(&self) -> Arc<Tally> {
        self.registry.tally()
    }

    pub(crate) fn upstream_tally(&self) -> &UpstreamTally {
        &self.registry.upstream
    }

    /// A worker's end of the history, with a ring of its own.
    pub fn recorder(&self) -> Recorder {
        self.history.recorder()
    }

    /// The history's end for those that have no recorder.
    pub(crate) fn history(&self) -> &Hub {
        &self.history
    }

    fn relabel(&self, snapshot: &mut Snapshot) {
        snapshot.labels = Labels::of(snapshot, &snapshot.labels);
        self.history.relabel(&snapshot.labels);
    }

    fn change(&self, edit: impl FnOnce(&mut Snapshot)) {
        {
            // Also keeps two changes from being made from the same old snapshot.
            let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
            let mut next = Snapshot::clone(&self.snapshot.load());
            edit(&mut next);
            retired.push(self.snapshot.swap(Arc::new(next)));
        }
        self.free_retired();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("counters", &self.counters()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_snapshot_lives_until_its_last_reader_lets_go() {
        let shared = Shared::new();
        let first: Arc<dyn Filter> = Arc::new(EmptyFilter);
        shared.set_filter(first.clone());
        let reader = shared.snapshot.load_full();
        shared.set_filter(Arc::new(EmptyFilter));
        assert_eq!(Arc::strong_count(&first), 2, "the reader's snapshot still holds it");
        drop(reader);
        shared.free_retired();
        assert_eq!(Arc::strong_count(&first), 1);
    }
}
