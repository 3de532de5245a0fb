//! What is on its way to the disk, and what has arrived there.

use crate::{Batch, Write};

/// Collects writes into numbered batches and knows which are durable (rule R4).
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    /// Batches handed out so far.
    handed_out: u64,
    durable: u64,
    open: Vec<Write>,
    /// Somebody waits for the open batch.
    wanted: bool,
}

impl Journal {
    /// Adds a write to the open batch; gives the number of the batch that makes it durable.
    pub(crate) fn write(&mut self, key: String, value: Option<Vec<u8>>) -> u64 {
        self.open.push(Write { key, value });
        self.wanted = true;
        self.handed_out + 1
    }

    /// Adds a write that nobody waits for and that may be lost: it goes with the next batch that
    /// somebody wants. The order of all writes stays that of the calls.
    pub(crate) fn write_along(&mut self, key: String, value: Option<Vec<u8>>) {
        self.open.push(Write { key, value });
    }

    /// What nobody waits for is written down now all the same.
    pub(crate) fn hurry(&mut self) {
        self.wanted |= !self.open.is_empty();
    }

    /// Closes the open batch, if somebody wants it.
    pub(crate) fn take_batch(&mut self) -> Option<Batch> {
        if !std::mem::take(&mut self.wanted) {
            return None;
        }
        self.handed_out += 1;
        Some(Batch { seq: self.handed_out, writes: std::mem::take(&mut self.open) })
    }

    /// The store reported everything up to `seq`.
    pub(crate) fn stored(&mut self, seq: u64) {
        self.durable = self.durable.max(seq.min(self.handed_out));
    }

    /// Whether batch `seq` is on the disk.
    pub(crate) fn is_durable(&self, seq: u64) -> bool {
        seq <= self.durable
    }

    /// Whether everything ever written is on the disk.
    pub(crate) fn is_settled(&self) -> bool {
        self.open.is_empty() && self.durable == self.handed_out
    }
}
