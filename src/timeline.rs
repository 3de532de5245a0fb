//! The pair's timeline: what happened to the two nodes, when and why, kept on both.
//!
//! Each node writes down what happens to it, under numbers of its own, and the two send each other
//! what the other lacks, so that either tells the whole story: also what its partner lived through
//! while they were apart. A pure table; [`crate::io::timeline_file`] keeps it on the disk, and
//! `src/aside.rs` carries it to the partner.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use lanward_ha::EventKind;
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// So many events of each node are kept.
pub const KEPT: usize = 1000;
/// Older ones than this are dropped, by the newest event's clock.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(90 * 24);
/// The last ones are kept however old: a clock that was wrong once must not empty the timeline.
const KEPT_ALWAYS: usize = 100;
/// The longest text of a partner's event that is believed, in characters.
const TEXT: usize = 500;
/// Two words of one change of state, by the node itself and by its partner, are at most so far
/// apart on their clocks.
const SAME: SignedDuration = SignedDuration::from_secs(60);

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The node that saw it.
    pub node: String,
    /// Its number there: greater than that of every earlier one.
    pub seq: u64,
    /// When, by that node's wall clock.
    #[serde(with = "stamp")]
    pub at: Timestamp,
    /// The node it happened to, or who asked for it.
    pub who: String,
    /// What: a few words, always the same for the same.
    pub what: String,
    /// Why: one sentence for people.
    pub why: String,
}

/// Points of time as RFC 3339 texts.
pub(crate) mod stamp {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(at)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// All events that are known here.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    own: String,
    nodes: BTreeMap<String, BTreeMap<u64, Entry>>,
}

impl Timeline {
    /// The timeline of the node `own` from what was kept.
    pub fn new(own: &str, kept: impl IntoIterator<Item = Entry>) -> Timeline {
        let mut timeline = Timeline { own: own.to_owned(), nodes: BTreeMap::new() };
        for entry in kept {
            timeline.put(entry);
        }
        timeline
    }

    /// Adds something that happened here; returns what is to be kept and sent.
    pub fn record(&mut self, at: Timestamp, who: &str, what: &str, why: &str) -> Entry {
        // Numbers follow the clock, so that a node whose folder was lost goes on with greater
        // ones than its partner remembers.
        let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
        let entry = Entry {
            node: self.own.clone(),
            seq: millis.max(self.highest(&self.own) + 1),
            at,
            who: who.to_owned(),
            what: what.to_owned(),
            why: why.to_owned(),
        };
        self.put(entry.clone());
        entry
    }

    /// Takes in an event the partner sent; `None` when there is nothing to keep.
    pub fn take_in(&mut self, entry: Entry) -> Option<Entry> {
        let known = self.nodes.get(&entry.node).is_some_and(|node| node.contains_key(&entry.seq));
        if known || entry.node == self.own || entry.node.is_empty() {
            return None;
        }
        let cut = |text: String| text.chars().filter(|c| !c.is_control()).take(TEXT).collect();
        let entry = Entry {
            node: cut(entry.node),
            who: cut(entry.who),
            what: cut(entry.what),
            why: cut(entry.why),
            ..entry
        };
        self.put(entry.clone());
        Some(entry)
    }

    /// The greatest number known of a node; 0 for none.
    pub fn highest(&self, node: &str) -> u64 {
        let last = self.nodes.get(node).and_then(|node| node.last_key_value());
        last.map_or(0, |(seq, _)| *seq)
    }

    /// This node's own events after number `seq`, the earliest first.
    pub fn own_after(&self, seq: u64) -> impl Iterator<Item = &Entry> {
        let own = self.nodes.get(&self.own).into_iter();
        own.flat_map(move |node| node.range(seq.saturating_add(1)..).map(|(_, entry)| entry))
    }

    /// The latest events of both nodes, the latest first. What a node says of its partner is left
    /// out where the partner says it itself.
    pub fn latest(&self, limit: usize) -> Vec<&Entry> {
        let mut all: Vec<&Entry> =
            self.all().filter(|entry| entry.who == entry.node || !self.is_told(entry)).collect();
        all.sort_by(|a, b| (b.at, b.seq, &b.node).cmp(&(a.at, a.seq, &a.node)));
        all.truncate(limit);
        all
    }

    /// All events, by node and number.
    pub fn all(&self) -> impl Iterator<Item = &Entry> {
        self.nodes.values().flat_map(BTreeMap::values)
    }

    fn is_told(&self, hearsay: &Entry) -> bool {
        self.nodes.get(&hearsay.who).is_some_and(|node| {
            node.values().any(|entry| {
                entry.what == hearsay.what
                    && entry.who == hearsay.who
                    && entry.at.duration_since(hearsay.at).abs() <= SAME
            })
        })
    }

    fn put(&mut self, entry: Entry) {
        let newest = self.all().map(|entry| entry.at).max().unwrap_or(entry.at).max(entry.at);
        let node = self.nodes.entry(entry.node.clone()).or_default();
        node.insert(entry.seq, entry);
        while node.len() > KEPT
            || node.len() > KEPT_ALWAYS
                && node
                    .first_key_value()
                    .is_some_and(|(_, entry)| newest.duration_since(entry.at) > KEPT_FOR)
        {
            node.pop_first();
        }
        // A partner that was replaced is remembered; one after another without end is not.
        while self.nodes.len() > 4 {
            let stale = self.nodes.iter().filter(|(name, _)| **name != self.own);
            let last_at = |node: &BTreeMap<u64, Entry>| node.values().map(|entry| entry.at).max();
            let Some(name) =
                stale.min_by_key(|(_, node)| last_at(node)).map(|(name, _)| name.clone())
            else {
                break;
            };
            self.nodes.remove(&name);
        }
    }
}

/// An event of the pair's core in a few words, to be read after the node's name.
pub fn what(kind: EventKind) -> String {
    match kind {
        EventKind::Entered(state) | EventKind::PartnerEntered(state) => {
            return format!("entered {state}");
        }
        EventKind::LinkUp => "connected to its partner",
        EventKind::LinkDown => "lost its partner",
        EventKind::Refused => "may not work with its partner",
        EventKind::Collision => "found two holders of one address",
        EventKind::Damaged => "found a damaged record",
        EventKind::Unfit => "cannot save leases",
        EventKind::PartnerOff => "was told that its partner is off",
        EventKind::PartnerLostDisk => "found that its partner lost its disk",
        EventKind::RolledBack => "found its own store older than it should be",
        EventKind::Solo => "serves alone after two faults",
        EventKind::StopAsked => "was asked to stop or to go on",
        EventKind::Unpaired => "parts from its partner",
    }
    .to_owned()
}
