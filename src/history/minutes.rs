//! Questions a minute by how they were answered, for the last day or so.

use std::collections::BTreeMap;

use lanward_dns::Answered;
use serde::{Deserialize, Serialize};

/// Minutes that are kept in memory: a day, and the hour before it.
const KEPT: i64 = 25 * 60;

/// How many kinds of answers there are.
pub(super) const KINDS: usize = Answered::ALL.len();

/// One minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Minute {
    /// Minutes since 1970.
    pub minute: i64,
    n: [u32; KINDS],
}

/// The latest minutes.
#[derive(Clone, Debug, Default)]
pub(super) struct Minutes {
    all: BTreeMap<i64, Entry>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    n: [u32; KINDS],
    /// Changed since it was written.
    changed: bool,
}

impl Minute {
    /// How many, by how they were answered; without zeros.
    pub fn counts(&self) -> impl Iterator<Item = (Answered, u32)> + '_ {
        Answered::ALL.into_iter().zip(self.n).filter(|(_, n)| *n > 0)
    }

    /// How many were answered this way.
    pub fn of(&self, how: Answered) -> u32 {
        self.n[how as usize]
    }
}

impl Minutes {
    /// Counts a question.
    pub(super) fn count(&mut self, minute: i64, how: Answered) {
        let entry = self.all.entry(minute).or_default();
        entry.n[how as usize] = entry.n[how as usize].saturating_add(1);
        entry.changed = true;
        let last = self.all.last_key_value().map_or(minute, |(last, _)| *last);
        // What cannot be written waits a day longer.
        let too_old = |first: i64, entry: &Entry| {
            first < last - KEPT && (!entry.changed || first < last - 2 * KEPT)
        };
        while self.all.first_key_value().is_some_and(|(first, entry)| too_old(*first, entry)) {
            self.all.pop_first();
        }
    }

    /// Takes over what a file says.
    pub(super) fn put(&mut self, minute: i64, how: Answered, n: u32) {
        let entry = self.all.entry(minute).or_default();
        entry.n[how as usize] = n;
    }

    /// Takes over what is known of minutes that nothing has been counted in yet.
    pub(super) fn take_over(&mut self, other: &Minutes) {
        for (minute, entry) in &other.all {
            let own = self.all.entry(*minute).or_default();
            for (own, n) in own.n.iter_mut().zip(entry.n) {
                *own = own.saturating_add(n);
            }
        }
    }

    /// The minutes from one until before another.
    pub(super) fn range(&self, from: i64, to: i64) -> impl Iterator<Item = Minute> + '_ {
        let range = if from < to { from..to } else { to..to };
        self.all.range(range).map(|(minute, entry)| Minute { minute: *minute, n: entry.n })
    }

    /// Those not written yet.
    pub(super) fn changed(&self) -> Vec<Minute> {
        let changed = self.all.iter().filter(|(_, entry)| entry.changed);
        changed.map(|(minute, entry)| Minute { minute: *minute, n: entry.n }).collect()
    }

    /// These have been written.
    pub(super) fn written(&mut self, minutes: &[Minute]) {
        for minute in minutes {
            if let Some(entry) = self.all.get_mut(&minute.minute)
                && entry.n == minute.n
            {
                entry.changed = false;
            }
        }
    }

    /// Forgets these.
    pub(super) fn forget(&mut self, minutes: std::ops::Range<i64>) {
        self.all.retain(|minute, _| !minutes.contains(minute));
    }
}

/// Five minutes' questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When they begin, in five minutes since 1970.
    pub at: i64,
    /// Blocked.
    pub blocked: u64,
    /// Answered at once otherwise.
    pub at_once: u64,
    /// Asked of somebody else.
    pub forwarded: u64,
}

/// Minutes in steps of five.
pub fn steps(minutes: &[Minute]) -> Vec<Step> {
    let mut steps: BTreeMap<i64, Step> = BTreeMap::new();
    for minute in minutes {
        let at = minute.minute.div_euclid(5);
        let step = steps.entry(at).or_insert(Step { at, ..Step::default() });
        for (how, n) in minute.counts() {
            let n = u64::from(n);
            match how {
                Answered::Blocked => step.blocked += n,
                Answered::Forwarded | Answered::Failed | Answered::Stale => step.forwarded += n,
                _ => step.at_once += n,
            }
        }
    }
    steps.into_values().collect()
}

/// Steps of two hosts as one.
pub fn merge_steps(mut own: Vec<Step>, others: &[Step]) -> Vec<Step> {
    own.extend(others);
    own.sort_by_key(|step| step.at);
    let mut merged: Vec<Step> = Vec::new();
    for step in own {
        match merged.last_mut() {
            Some(last) if last.at == step.at => {
                last.blocked += step.blocked;
                last.at_once += step.at_once;
                last.forwarded += step.forwarded;
            }
            _ => merged.push(step),
        }
    }
    merged
}
