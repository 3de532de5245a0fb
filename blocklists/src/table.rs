//! The compiled table: all rules of all lists, for every policy, in about 9 bytes a rule.
//!
//! A binary fuse filter stands in front and turns away 255 of 256 names that no rule has, in
//! three memory reads. Behind it are buckets of one cache line: ten 32-bit fingerprints, each
//! with the number of the distinct *set of lists* that has this rule. The rule's text is not
//! kept: it is a suffix of the name that was asked.
//!
//! **Mistakes.** No rule is ever missed. A name that no rule has is taken for one when its
//! 64-bit keyed hash passes the front (1 in 256) *and* equals one of about eight fingerprints in
//! its bucket (8 in 2^32): about 1 in 137,000,000,000 suffixes. Two rules of one bucket share a
//! fingerprint, and so each other's lists, with a chance of about 1 in 1,000 for a table of a
//! million.

mod format;

use std::sync::Arc;

use xorf::{BinaryFuse8, Filter as _};

use crate::compiler::Report;
use crate::hash::{HashKey, NameHasher};
use crate::kinds::Kinds;
use crate::list::ListKind;

pub use format::FormatError;

/// Entries in one bucket: 10 x (4 + 2) bytes, and 4 for the counts, make a cache line.
const SLOTS: usize = 10;
/// Entries a bucket is meant to hold on average: full buckets spill into the next one, and that
/// is rare enough at this load.
const MEAN_LOAD: f64 = 8.2;

/// The compiled rules of a set of lists.
pub struct Table {
    key: HashKey,
    hasher: NameHasher,
    lists: Vec<TableList>,
    rules: u64,
    front: Option<BinaryFuse8>,
    buckets: Box<[Bucket]>,
    /// Where each set's members start in `members`, and one more for the end of the last.
    set_starts: Box<[u32]>,
    members: Box<[Member]>,
}

/// A list as it went into a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableList {
    /// Its id in the settings.
    pub id: String,
    /// Whether its rules block or allow.
    pub kind: ListKind,
    /// Says which content was compiled; whatever the caller uses to tell contents apart.
    pub digest: [u8; 32],
    /// What was found in it.
    pub report: Report,
}

/// One list's part in a set: the list, and what kinds of rule it has for the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Member {
    pub(crate) list: u16,
    pub(crate) kinds: Kinds,
}

/// A cache line of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
struct Bucket {
    prints: [u32; SLOTS],
    sets: [u16; SLOTS],
    used: u8,
    /// An entry that belongs here, or passed here, stands in a later bucket.
    spilled: bool,
}

/// What is put into a table: a rule's hash and the number of its set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub(crate) hash: u64,
    pub(crate) set: u16,
}

impl Table {
    /// A table without rules.
    pub fn empty(key: HashKey) -> Arc<Self> {
        Arc::new(Self {
            key,
            hasher: NameHasher::new(&key),
            lists: Vec::new(),
            rules: 0,
            front: None,
            buckets: Box::default(),
            set_starts: Box::new([0]),
            members: Box::default(),
        })
    }

    /// The lists it was compiled from; a [`lanward_dns::ListId`] is an index into them.
    pub fn lists(&self) -> &[TableList] {
        &self.lists
    }

    /// How many distinct names have a rule.
    pub fn rules(&self) -> u64 {
        self.rules
    }

    /// Bytes of memory the rules take.
    pub fn memory_bytes(&self) -> usize {
        self.front.as_ref().map_or(0, |front| front.fingerprints.len())
            + size_of_val(&*self.buckets)
            + size_of_val(&*self.set_starts)
            + size_of_val(&*self.members)
    }

    pub(crate) fn key(&self) -> &HashKey {
        &self.key
    }

    pub(crate) fn hasher(&self) -> &NameHasher {
        &self.hasher
    }

    /// Hands the members of every set stored under `hash` to `each`.
    #[inline]
    pub(crate) fn lookup(&self, hash: u64, mut each: impl FnMut(Member)) {
        let Some(front) = &self.front else { return };
        if !front.contains(&hash) {
            return;
        }
        let print = hash as u32;
        let mut at = home(hash, self.buckets.len());
        // Bounded by the table: only a table full to the last slot would come around.
        for _ in 0..self.buckets.len() {
            let Some(bucket) = self.buckets.get(at) else { return };
            let slots = bucket.prints.iter().zip(&bucket.sets).take(usize::from(bucket.used));
            for (_, &set) in slots.filter(|(found, _)| **found == print) {
                self.members_of(set).iter().for_each(|&member| each(member));
            }
            if !bucket.spilled {
                return;
            }
            at = if at + 1 == self.buckets.len() { 0 } else { at + 1 };
        }
    }

    fn members_of(&self, set: u16) -> &[Member] {
        let set = usize::from(set);
        match (self.set_starts.get(set), self.set_starts.get(set + 1)) {
            (Some(&start), Some(&end)) => {
                self.members.get(start as usize..end as usize).unwrap_or_default()
            }
            _ => &[],
        }
    }

    /// Builds the table. `placed` is sorted by hash; the same hash may come with several sets.
    /// `None` when no front filter could be built, which distinct hashes make all but impossible.
    pub(crate) fn build(
        key: HashKey,
        lists: Vec<TableList>,
        placed: &[Placed],
        sets: &[Vec<Member>],
    ) -> Option<Self> {
        let mut set_starts = vec![0];
        let mut members = Vec::new();
        for set in sets {
            members.extend_from_slice(set);
            set_starts.push(u32::try_from(members.len()).ok()?);
        }
        let mut hashes: Vec<u64> = placed.iter().map(|p| p.hash).collect();
        hashes.dedup();
        let rules = hashes.len() as u64;
        let front = match hashes.as_slice() {
            [] => None,
            // The construction wants more than one key; a stand-in costs nothing.
            &[only] => Some(BinaryFuse8::try_from(&[only, !only][..]).ok()?),
            many => Some(BinaryFuse8::try_from(many).ok()?),
        };
        drop(hashes);
        Some(Self {
            key,
            hasher: NameHasher::new(&key),
            lists,
            rules,
            front,
            buckets: fill(placed),
            set_starts: set_starts.into(),
            members: members.into(),
        })
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table")
            .field("lists", &self.lists.len())
            .field("rules", &self.rules)
            .field("bytes", &self.memory_bytes())
            .finish_non_exhaustive()
    }
}

/// The bucket a hash belongs into; its upper half decides, the lower half is the fingerprint.
fn home(hash: u64, buckets: usize) -> usize {
    (((hash >> 32) * buckets as u64) >> 32) as usize
}

fn fill(placed: &[Placed]) -> Box<[Bucket]> {
    if placed.is_empty() {
        return Box::default();
    }
    let count = (placed.len() as f64 / MEAN_LOAD).ceil() as usize + 1;
    let mut buckets = vec![Bucket::default(); count].into_boxed_slice();
    for entry in placed {
        let mut at = home(entry.hash, count);
        // Ends: there are more slots than entries.
        while usize::from(buckets[at].used) == SLOTS {
            buckets[at].spilled = true;
            at = (at + 1) % count;
        }
        let bucket = &mut buckets[at];
        bucket.prints[usize::from(bucket.used)] = entry.hash as u32;
        bucket.sets[usize::from(bucket.used)] = entry.set;
        bucket.used += 1;
    }
    buckets
}
