//! What the control plane gives to the data plane: immutable snapshots, swapped whole.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;

use crate::counters::{Registry, Tally, UpstreamTally};
use crate::forward::{Groups, Validators};
use crate::history::{HistoryReader, Hub, Labels, Recorder, UpstreamId};
use crate::learned::Learned;
use crate::limiter::Limiter;
use crate::routes::Routes;
use crate::server::{Clock, InForce};
use crate::waiting::Waiting;
use crate::{
    AnchorError, Certificate, Counters, Discovery, Dnssec, DnssecState, EmptyFilter, Filter,
    LocalNames, Name, Pauses, Policies, Protection, UpstreamStatus, Upstreams,
};

/// The snapshots in force, and the counters. The daemon keeps one `Arc` of it, the server another;
/// setting anything takes effect with the next query and never delays one.
pub struct Shared {
    pub(crate) snapshot: ArcSwap<Snapshot>,
    /// All servers on these snapshots go by it.
    pub(crate) clock: Clock,
    pub(crate) certificate: Arc<InForce>,
    /// Whose questions wait for upstream servers.
    pub(crate) waiting: Arc<Waiting>,
    retired: Mutex<Vec<Arc<Snapshot>>>,
    registry: Registry,
    history: Hub,
}

/// What a client may not have more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// Questions a second ([`RateLimit`](crate::RateLimit)).
    Rate,
    /// Questions that wait for upstream servers ([`WaitingLimits`](crate::WaitingLimits)).
    Waiting,
}

/// A client that asked more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverLimit {
    /// What it had too much of.
    pub excess: Excess,
    /// Its address.
    pub client: IpAddr,
    /// How many of its questions were not answered, or answered that, because of it; since the start.
    pub refused: u64,
    /// How long ago the last of them came.
    pub ago: Duration,
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
    pub(crate) protection: Arc<Protection>,
    /// The same one in all snapshots: it is no setting, but stands where the fast path finds it.
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) discovery: Arc<Discovery>,
    /// Derived from the policies and the groups, with each change.
    pub(crate) routes: Arc<Routes>,
    pub(crate) groups: Arc<Groups>,
    pub(crate) dnssec: Arc<Dnssec>,
    /// The same ones in all snapshots, as the limiter.
    pub(crate) learned: Arc<Learned>,
    /// Derived from the groups and `dnssec`.
    pub(crate) validators: Arc<Validators>,
}

impl Default for Snapshot {
    fn default() -> Self {
        Snapshot {
            filter: Arc::new(EmptyFilter),
            local: Arc::default(),
            policies: Arc::default(),
            pauses: Arc::default(),
            labels: Arc::default(),
            protection: Arc::default(),
            limiter: Arc::default(),
            discovery: Arc::default(),
            routes: Arc::default(),
            groups: Arc::default(),
            dnssec: Arc::default(),
            learned: Arc::default(),
            validators: Arc::default(),
        }
    }
}

impl Shared {
    /// No filter, no local names, nobody served, no upstream.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            snapshot: ArcSwap::default(),
            clock: Clock::start(),
            certificate: Arc::default(),
            waiting: Arc::default(),
            retired: Mutex::default(),
            registry: Registry::default(),
            history: Hub::default(),
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

    /// Limits how much a device may ask, and withholds private addresses from public names, or not.
    pub fn set_protection(&self, protection: Protection) {
        let protection = Arc::new(protection);
        self.change(|snapshot| snapshot.protection = protection);
    }

    /// Who asked more than one client may: the latest, at most 32 of each kind.
    pub fn over_limit(&self) -> Vec<OverLimit> {
        let now = self.clock.now();
        let rate = self.snapshot.load().limiter.over.all();
        let rate = rate.into_iter().map(|over| (Excess::Rate, over));
        let waiting = self.waiting.over.all().into_iter().map(|over| (Excess::Waiting, over));
        rate.chain(waiting)
            .map(|(excess, (client, over))| OverLimit {
                excess,
                client,
                refused: over.refused,
                ago: now.0.saturating_sub(over.last.0),
            })
            .collect()
    }

    /// Tells clients of other encrypted transports.
    pub fn set_discovery(&self, discovery: Discovery) {
        let discovery = Arc::new(discovery);
        self.change(|snapshot| snapshot.discovery = discovery);
    }

    /// Puts other upstream servers in force; questions in flight end with the old ones. A server
    /// that was there before keeps its connections, and a group that did not change its answers.
    pub fn set_upstreams(&self, upstreams: Upstreams) {
        self.change(|snapshot| {
            snapshot.groups = Arc::new(Groups::new(upstreams, &snapshot.groups));
            snapshot.validators = Arc::new(Validators::of(snapshot));
        });
        // Some may have names only, and be nowhere yet.
        self.snapshot.load().groups.common.probe.notify_one();
    }

    /// Says whose certificates are believed of encrypted upstream servers. None of them can be asked
    /// before the first call.
    pub fn set_upstream_tls(&self, config: &rustls::ClientConfig) {
        self.snapshot.load().groups.common.believe(config);
    }

    /// `config` for somebody else who asks servers before the clock is set: certificates are judged
    /// by the same time as those of upstream servers ([`Shared::raise_time_floor`]).
    pub fn timely_tls(&self, config: &rustls::ClientConfig) -> Arc<rustls::ClientConfig> {
        self.snapshot.load().groups.common.timely(config)
    }

    /// Says that it is not earlier than `time`, whatever the clock shows: certificates of encrypted
    /// upstream servers are judged by that while the clock is evidently wrong.
    pub fn raise_time_floor(&self, time: SystemTime) {
        self.snapshot.load().groups.common.raise_floor(time);
    }

    /// The addresses of `name`, asked of the first group of upstream servers, past all stages and
    /// the cache.
    pub async fn lookup(&self, name: &Name) -> std::io::Result<Vec<IpAddr>> {
        let groups = self.snapshot.load().groups.clone();
        groups.lookup(name).await
    }

    /// The server of this number, as the settings write it; `None` once they do not name it any more.
    pub fn upstream_label(&self, id: UpstreamId) -> Option<Arc<str>> {
        self.snapshot.load().groups.label(id)
    }

    /// What is known of each upstream server, group after group.
    pub fn upstream_status(&self) -> Vec<UpstreamStatus> {
        self.snapshot.load().groups.status()
    }

    /// Shows another certificate from the next handshake on. Without one no handshake succeeds.
    pub fn set_certificate(&self, certificate: Certificate) {
        self.certificate.set(certificate);
    }

    /// Puts other settings of DNSSEC in force.
    pub fn set_dnssec(&self, mut dnssec: Dnssec) {
        let learned = self.snapshot.load().learned.clone();
        dnssec.anchors = learned.in_place_of_built_in(&dnssec.anchors);
        if *self.snapshot.load().dnssec == dnssec {
            return;
        }
        let dnssec = Arc::new(dnssec);
        self.change(|snapshot| {
            snapshot.dnssec = dnssec;
            snapshot.validators = Arc::new(Validators::of(snapshot));
        });
    }

    /// What validation has learned, the root's keys above all, as text: to be kept, and given to
    /// [`Shared::restore_learned`] at the next start.
    pub fn learned(&self) -> String {
        self.snapshot.load().learned.to_text()
    }

    /// Takes back what [`Shared::learned`] gave, before upstream servers are set. The root's keys take
    /// the place of those built in, unless the settings name some.
    pub fn restore_learned(&self, text: &str) -> Result<(), AnchorError> {
        self.snapshot.load().learned.restore(text)?;
        self.follow_root_keys();
        Ok(())
    }

    /// Puts in force what the root has made of its keys.
    pub(crate) fn follow_root_keys(&self) {
        let snapshot = self.snapshot.load_full();
        if snapshot.learned.have_keys_changed() {
            self.set_dnssec(Dnssec::clone(&snapshot.dnssec));
        }
    }

    /// How validation goes with each group of upstream servers, by the group's id.
    pub fn dnssec_state(&self) -> Vec<(Arc<str>, DnssecState)> {
        self.snapshot.load().validators.state()
    }

    /// Sums since start, over all workers.
    pub fn counters(&self) -> Counters {
        let mut counters = self.registry.sum();
        counters.history_lost = self.history.lost();
        counters.waiting = self.waiting.count();
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
            next.routes = Arc::new(Routes::new(&next.groups.upstreams, &next.policies));
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
