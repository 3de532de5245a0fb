//! A disk: what was synced survives, the rest does not; and what else happens to disks.
//!
//! A batch of the node's store is one transaction, so that a torn write is never half a batch: the
//! store goes back to a whole older generation and says so (`Restored::rolled_back`).

use std::collections::{BTreeMap, VecDeque};

use lanward_ha::{Batch, Binding, Restored, StoreId};

use super::host::Moment;
use super::rng::Rng;

/// Generations that a torn write may take back.
const UNDONE_AT_MOST: usize = 4;

type Content = BTreeMap<String, Vec<u8>>;

/// Values to be put back under their keys.
type Undo = Vec<(String, Option<Vec<u8>>)>;

pub(super) struct Disk {
    /// Which life of this host's store it is.
    store: StoreId,
    content: Content,
    /// What the clock wants to know after a reboot.
    floor: Option<Vec<u8>>,
    unsynced: VecDeque<Batch>,
    undo: VecDeque<Undo>,
    /// Something was synced since the store was opened.
    begun: bool,
    copy: Option<(StoreId, Content, Option<Vec<u8>>)>,
    /// It takes nothing any more.
    failed: bool,
    /// It takes nothing before then, restart or not.
    broken_until: Moment,
    /// When it is done with what it has been given.
    busy_until: Moment,
    /// What the store says of itself at a start.
    damaged: Vec<String>,
    rolled_back: bool,
    rng: Rng,
}

impl Disk {
    pub(super) fn new(store: StoreId, rng: Rng) -> Disk {
        Disk {
            store,
            content: Content::new(),
            floor: None,
            unsynced: VecDeque::new(),
            undo: VecDeque::new(),
            begun: false,
            copy: None,
            failed: false,
            broken_until: 0,
            busy_until: 0,
            damaged: Vec::new(),
            rolled_back: false,
            rng,
        }
    }

    pub(super) fn store(&self) -> StoreId {
        self.store
    }

    pub(super) fn floor(&self) -> Option<&[u8]> {
        self.floor.as_deref()
    }

    /// The floor is written after the node's first batch.
    pub(super) fn save_floor(&mut self, floor: Vec<u8>) {
        if !self.failed && self.begun {
            self.floor = Some(floor);
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    /// What a host that starts finds.
    pub(super) fn open(&mut self, now: Moment) -> Restored {
        self.failed = self.broken_until > now;
        self.busy_until = now;
        self.begun = false;
        let damaged = self.damaged.clone();
        let whole = |(key, _): &(&String, _)| !damaged.contains(*key);
        let entries = self.content.iter().filter(whole);
        let entries = entries.map(|(key, value)| (key.clone(), value.clone())).collect();
        let rolled_back = self.rolled_back;
        Restored { entries, damaged, rolled_back, ..Restored::default() }
    }

    /// What is durable of an address.
    pub(super) fn binding(&self, addr: std::net::Ipv4Addr) -> Option<Binding> {
        let key = Binding::store_key(addr);
        if self.damaged.contains(&key) {
            return None;
        }
        Binding::from_store(&key, self.content.get(&key)?)
    }

    /// Takes a batch; gives the moment it will be durable.
    pub(super) fn write(&mut self, now: Moment, batch: Batch) -> Moment {
        let takes = match self.rng.range(0, 1000) {
            0 => 4_000,
            1..=10 => self.rng.range(200, 1_000),
            11..=400 => self.rng.range(4, 30),
            _ => self.rng.range(0, 4),
        };
        self.busy_until = self.busy_until.max(now) + takes;
        if !self.failed {
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

    fn sync_one(&mut self) {
        let Some(batch) = self.unsynced.pop_front() else { return };
        self.begun = true;
        // Told until something is written after it.
        self.rolled_back = false;
        let mut undo = Undo::with_capacity(batch.writes.len());
        for write in batch.writes {
            let key = write.key.clone();
            // What cannot be read stays so until it is written anew.
            self.damaged.retain(|damaged| *damaged != key);
            let old = match write.value {
                Some(value) => self.content.insert(write.key, value),
                None => self.content.remove(&write.key),
            };
            undo.push((key, old));
        }
        self.undo.push_back(undo);
        if self.undo.len() > UNDONE_AT_MOST {
            self.undo.pop_front();
        }
    }

    /// The host ends without warning: some of what was under way may have reached the disk, in
    /// order.
    pub(super) fn cut_off(&mut self) {
        let survive = self.rng.range(0, self.unsynced.len() as u64 + 1);
        (0..survive).for_each(|_| self.sync_one());
        self.unsynced.clear();
    }

    /// The host ends in order: everything is written.
    pub(super) fn close(&mut self) {
        while !self.unsynced.is_empty() {
            self.sync_one();
        }
    }

    /// It fails: what is not on it by now will not be, before `until` at least.
    pub(super) fn fail(&mut self, until: Moment) {
        self.failed = true;
        self.broken_until = until;
        self.unsynced.clear();
    }

    pub(super) fn mend(&mut self) {
        self.broken_until = 0;
    }

    /// The last generations cannot be read.
    pub(super) fn tear(&mut self, generations: u64) {
        for _ in 0..generations {
            let Some(undo) = self.undo.pop_back() else { break };
            self.rolled_back = true;
            for (key, old) in undo.into_iter().rev() {
                match old {
                    Some(value) => self.content.insert(key, value),
                    None => self.content.remove(&key),
                };
            }
        }
    }

    /// Some values cannot be read.
    pub(super) fn flip(&mut self, draw: u64) {
        let mut rng = Rng::new(draw);
        let keys: Vec<&String> = self.content.keys().collect();
        for _ in 0..rng.range(1, 4) {
            if let Some(key) = keys.get(rng.range(0, keys.len() as u64) as usize) {
                self.damaged.push((*key).clone());
            }
        }
        self.damaged.sort();
        self.damaged.dedup();
    }

    /// The store is gone; `store` takes its place.
    pub(super) fn lose(&mut self, store: StoreId) {
        let rng = self.rng.clone();
        let copy = self.copy.take();
        *self = Disk { broken_until: self.broken_until, copy, ..Disk::new(store, rng) };
    }

    /// Copies the store away.
    pub(super) fn back_up(&mut self) {
        self.copy = Some((self.store, self.content.clone(), self.floor.clone()));
    }

    /// Puts the copy in the store's place; `false` when there is none of this store.
    pub(super) fn put_back(&mut self) -> bool {
        let Some((store, content, floor)) = self.copy.clone() else { return false };
        if store != self.store {
            return false;
        }
        (self.content, self.floor) = (content, floor);
        self.damaged.clear();
        self.undo.clear();
        true
    }
}
