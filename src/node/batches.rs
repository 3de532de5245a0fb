//! One sequence of batches for the store, from two writers with sequences of their own.

use std::collections::VecDeque;

use lanward_ha::{Batch, Write};

/// Who wants something written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writer {
    /// The pair.
    Pair,
    /// The settings document.
    Document,
}

/// The highest batch of each writer that something covers; `None` for none of its.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Covered {
    pub(super) pair: Option<u64>,
    pub(super) document: Option<u64>,
}

/// Batches on their way to the store, and what they contain.
#[derive(Debug, Default)]
pub(super) struct Batches {
    last: u64,
    open: Vec<Write>,
    covers: Covered,
    /// Batches handed out and not reported durable.
    under_way: VecDeque<(u64, Covered)>,
}

impl Batches {
    /// Adds a writer's batch to the open one. A writer's batches come in their order.
    pub(super) fn add(&mut self, writer: Writer, batch: Batch) {
        self.open.extend(batch.writes);
        match writer {
            Writer::Pair => self.covers.pair = Some(batch.seq),
            Writer::Document => self.covers.document = Some(batch.seq),
        }
    }

    /// Adds writes that nobody waits for.
    pub(super) fn add_writes(&mut self, writes: Vec<Write>) {
        self.open.extend(writes);
    }

    /// Closes the open batch, if anything is in it.
    pub(super) fn take_batch(&mut self) -> Option<Batch> {
        if self.open.is_empty() {
            return None;
        }
        self.last += 1;
        self.under_way.push_back((self.last, std::mem::take(&mut self.covers)));
        Some(Batch { seq: self.last, writes: std::mem::take(&mut self.open) })
    }

    /// The store reported everything up to `seq`: what that is for each writer.
    pub(super) fn stored(&mut self, seq: u64) -> Covered {
        let mut all = Covered::default();
        while let Some((number, covered)) = self.under_way.front().copied()
            && number <= seq
        {
            self.under_way.pop_front();
            all.pair = covered.pair.or(all.pair);
            all.document = covered.document.or(all.document);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(seq: u64) -> Batch {
        Batch { seq, writes: vec![Write { key: seq.to_string(), value: None }] }
    }

    #[test]
    fn each_writer_hears_of_its_own_batches() {
        let mut batches = Batches::default();
        batches.add(Writer::Pair, batch(1));
        batches.add(Writer::Document, batch(1));
        assert_eq!(batches.take_batch().map(|batch| batch.writes.len()), Some(2));
        batches.add(Writer::Pair, batch(2));
        assert_eq!(batches.take_batch().map(|batch| batch.seq), Some(2));
        assert_eq!(batches.take_batch(), None);
        assert_eq!(batches.stored(1), Covered { pair: Some(1), document: Some(1) });
        assert_eq!(batches.stored(1), Covered::default());
        assert_eq!(batches.stored(2), Covered { pair: Some(2), document: None });
    }
}
