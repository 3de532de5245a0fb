//! One host: its node while it runs, its clock, and a disk that loses what was not synced.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;

use lanward::node::{Input, Node, NodeConfig, Output};
use lanward::settings::HostView;
use lanward_dhcp::Time;
use lanward_ha::{Batch, ClusterId, Fault, PairConfig, Partner, Rank, Restored, StoreId, Times};

use super::rng::Rng;

/// True time, in milliseconds since the world began.
pub(super) type Moment = u64;

pub(super) struct Host {
    pub(super) name: &'static str,
    pub(super) rank: Rank,
    pub(super) addr: Ipv4Addr,
    pub(super) node: Option<Node>,
    /// Counts the lives of the node; an event of an earlier life is void.
    pub(super) life: u64,
    /// Whether it has been told of its partner.
    pub(super) paired: bool,
    /// What survives a power cut.
    pub(super) disk: BTreeMap<String, Vec<u8>>,
    unsynced: VecDeque<Batch>,
    /// The disk takes nothing any more.
    pub(super) disk_failed: bool,
    /// The host stands still until then, as a virtual machine does that is moved.
    pub(super) paused_until: Moment,
    /// When the disk is done with what it has been given.
    busy_until: Moment,
    /// How far its clock is ahead, and how much faster it runs, in parts per million.
    ahead_ms: u64,
    drift_ppm: i64,
    times: Times,
}

impl Host {
    pub(super) fn new(rank: Rank, rng: &mut Rng, times: Times) -> Host {
        let (name, last) = match rank {
            Rank::Zero => ("a", 1),
            Rank::One => ("b", 2),
        };
        Host {
            name,
            rank,
            addr: Ipv4Addr::new(192, 0, 2, last),
            node: None,
            life: 0,
            paired: false,
            disk: BTreeMap::new(),
            unsynced: VecDeque::new(),
            disk_failed: false,
            paused_until: 0,
            busy_until: 0,
            // Two days apart at most: nothing may depend on what the other's clock says.
            ahead_ms: 1_700_000_000_000 + rng.range(0, 172_800_000),
            drift_ppm: rng.range(0, 401) as i64 - 200,
            times,
        }
    }

    /// The node's time at a moment.
    pub(super) fn clock(&self, at: Moment) -> Time {
        let drift = at as i64 * self.drift_ppm / 1_000_000;
        Time::from_millis(self.ahead_ms.saturating_add(at).saturating_add_signed(drift))
    }

    /// The first moment at which the node's clock shows `time` or more.
    pub(super) fn moment(&self, time: Time, now: Moment) -> Moment {
        let left = time.since(self.clock(now)).as_millis() as u64;
        let mut at = now + left - left * self.drift_ppm.unsigned_abs() / 1_000_000;
        while self.clock(at) < time {
            at += (time.since(self.clock(at)).as_millis() as u64).max(1);
        }
        at
    }

    pub(super) fn config(&self) -> PairConfig {
        let (store, other) = match self.rank {
            Rank::Zero => (StoreId([1; 16]), "b"),
            Rank::One => (StoreId([2; 16]), "a"),
        };
        let partner =
            Partner { name: other.to_owned(), cluster: ClusterId([7; 16]), rank: self.rank };
        PairConfig {
            node: self.name.to_owned(),
            store,
            partner: self.paired.then_some(partner),
            times: self.times,
        }
    }

    pub(super) fn start(&mut self, now: Moment, seed: u64, fault: Option<Fault>) {
        let entries = self.disk.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let restored = Restored { entries, ..Restored::default() };
        let host = HostView {
            node: self.name.to_owned(),
            addresses: vec![self.addr.into()],
            ..HostView::default()
        };
        let config = NodeConfig { pair: self.config(), host };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut node = Node::new(config, &restored, self.clock(now), bytes);
        if let Some(fault) = fault {
            node.set_fault_for_simulation(fault);
        }
        self.node = Some(node);
        self.life += 1;
    }

    /// Whether its node does anything at `now`.
    pub(super) fn runs(&self, now: Moment) -> bool {
        self.node.is_some() && self.paused_until <= now
    }

    /// The power goes: some of what was under way may have reached the disk, in order.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        self.node = None;
        let survive = rng.range(0, self.unsynced.len() as u64 + 1);
        for _ in 0..survive {
            self.sync_one();
        }
        self.unsynced.clear();
        self.busy_until = 0;
        self.disk_failed = false;
    }

    /// The disk fails: what is not on it by now will not be.
    pub(super) fn fail_disk(&mut self) {
        self.disk_failed = true;
        self.unsynced.clear();
    }

    fn sync_one(&mut self) -> Option<u64> {
        let batch = self.unsynced.pop_front()?;
        for write in batch.writes {
            match write.value {
                Some(value) => self.disk.insert(write.key, value),
                None => self.disk.remove(&write.key),
            };
        }
        Some(batch.seq)
    }

    /// Takes a batch; gives the moment it will be durable.
    pub(super) fn write(&mut self, now: Moment, batch: Batch, rng: &mut Rng) -> Moment {
        let takes = match rng.range(0, 1000) {
            0 => 4_000,
            1..=10 => rng.range(200, 1_000),
            11..=400 => rng.range(4, 30),
            _ => rng.range(0, 4),
        };
        self.busy_until = self.busy_until.max(now) + takes;
        if !self.disk_failed {
            self.unsynced.push_back(batch);
        }
        self.busy_until
    }

    /// Everything up to `seq` is durable now.
    pub(super) fn synced(&mut self, seq: u64) {
        while self.unsynced.front().is_some_and(|batch| batch.seq <= seq) {
            self.sync_one();
        }
    }

    pub(super) fn handle(&mut self, now: Moment, input: Input<'_>) -> Vec<Output> {
        let clock = self.clock(now);
        let Some(node) = &mut self.node else { return Vec::new() };
        node.handle(clock, input);
        self.drain()
    }

    pub(super) fn drain(&mut self) -> Vec<Output> {
        let Some(node) = &mut self.node else { return Vec::new() };
        std::iter::from_fn(|| node.poll_output()).collect()
    }

    /// When the node wants to be woken.
    pub(super) fn wake(&self, now: Moment) -> Option<Moment> {
        let (time, _) = self.node.as_ref()?.poll_timeout()?;
        Some(self.moment(time, now).max(self.paused_until))
    }
}
