//! How many questions of each client wait for upstream servers.
//!
//! A client that asks for names whose servers never answer would otherwise fill the places of all
//! questions in flight, or have thousands of answers come to itself (or to whom it says that it is)
//! in one moment: the DNSBomb attack. A client is what the rate limit takes for one (decision 020).
//!
//! Counting needs no lock: each client has a counter in each of two rows, found by a hash that
//! nobody outside can compute, and the lesser of them counts. Others that share one of the two do
//! it no harm.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::offenders::Offenders;
use crate::{Now, WaitingLimits};

const COLUMNS: usize = 4096;

/// The counters.
#[derive(Debug)]
pub(crate) struct Waiting {
    rows: [Box<[AtomicU32]>; 2],
    all: AtomicU32,
    hashers: [RandomState; 2],
    pub(crate) over: Offenders,
}

/// One question that waits; it has stopped to when this is dropped.
#[derive(Debug)]
pub(crate) struct Waits {
    waiting: Arc<Waiting>,
    columns: [usize; 2],
}

impl Default for Waiting {
    fn default() -> Self {
        let row = || (0..COLUMNS).map(|_| AtomicU32::new(0)).collect();
        Self {
            rows: [row(), row()],
            all: AtomicU32::new(0),
            hashers: [RandomState::new(), RandomState::new()],
            over: Offenders::default(),
        }
    }
}

impl Waiting {
    /// Counts a question that is to wait; `None` when too many do.
    pub(crate) fn begin(
        self: &Arc<Self>,
        source: IpAddr,
        limits: WaitingLimits,
        now: Now,
    ) -> Option<Waits> {
        let client = source.to_canonical();
        let columns =
            self.hashers.each_ref().map(|hasher| hasher.hash_one(client) as usize % COLUMNS);
        // Counted first: two cores that count at once may both be refused the last place, but
        // never both get it.
        let all = self.all.fetch_add(1, Ordering::Relaxed) as usize;
        let own = self.counters(columns).map(|counter| counter.fetch_add(1, Ordering::Relaxed));
        let waits = Waits { waiting: self.clone(), columns };
        let own = own.into_iter().min().unwrap_or(0) as usize;
        let share = limits.share(all);
        if all < limits.in_all && own < share {
            return Some(waits);
        }
        // Who is only caught in a crowd has done nothing.
        if own >= share {
            self.over.note(client, now);
        }
        None
    }

    fn counters(&self, columns: [usize; 2]) -> [&AtomicU32; 2] {
        let [first, second] = &self.rows;
        [&first[columns[0]], &second[columns[1]]]
    }

    /// How many questions wait.
    pub(crate) fn count(&self) -> usize {
        self.all.load(Ordering::Relaxed) as usize
    }
}

impl WaitingLimits {
    /// How many questions of one client may wait while so many do in all. With half of all places
    /// taken it is a tenth: whoever has fewer still finds one.
    fn share(self, all: usize) -> usize {
        match all * 2 >= self.in_all {
            true => self.per_client.div_ceil(10),
            false => self.per_client,
        }
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.waiting.all.fetch_sub(1, Ordering::Relaxed);
        for counter in self.waiting.counters(self.columns) {
            counter.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: WaitingLimits = WaitingLimits { in_all: 100, per_client: 40 };

    fn begin(waiting: &Arc<Waiting>, last: u16, times: usize) -> Vec<Waits> {
        let source = IpAddr::from([0xfd00, 0x30, 0, 0, 0, 0, 0, last]);
        (0..times).filter_map(|_| waiting.begin(source, LIMITS, Now::default())).collect()
    }

    #[test]
    fn a_client_has_so_many_and_gets_them_back() {
        let waiting = Arc::new(Waiting::default());
        let held = begin(&waiting, 1, 1000);
        assert_eq!(held.len(), 40);
        assert_eq!(begin(&waiting, 2, 5).len(), 5, "another of the same network");
        drop(held);
        assert_eq!(waiting.count(), 0);
        assert_eq!(begin(&waiting, 1, 1000).len(), 40);
        assert_eq!(waiting.over.all().len(), 1, "the second is not blamed");
    }

    #[test]
    fn in_a_crowd_whoever_has_few_still_finds_a_place() {
        let waiting = Arc::new(Waiting::default());
        let greedy: Vec<_> = (1..5).map(|last| begin(&waiting, last, 1000)).collect();
        assert_eq!(greedy.iter().map(Vec::len).sum::<usize>(), 40 + 10 + 4 + 4);
        let modest: Vec<_> = (10..24).map(|last| begin(&waiting, last, 3)).collect();
        assert!(modest.iter().all(|held| held.len() == 3));
        assert!(waiting.count() <= 100);
        let crowd: Vec<_> = (100..200).map(|last| begin(&waiting, last, 4)).collect();
        assert_eq!(waiting.count(), 100, "never more in all");
        drop((greedy, modest, crowd));
        assert_eq!(waiting.count(), 0);
    }

    #[test]
    fn a_refused_question_does_not_count() {
        let waiting = Arc::new(Waiting::default());
        let held = begin(&waiting, 1, 40);
        assert!(begin(&waiting, 1, 10_000).is_empty());
        assert_eq!(waiting.count(), held.len());
        assert!(waiting.counters(held[0].columns).iter().all(|c| c.load(Ordering::Relaxed) == 40));
    }
}
