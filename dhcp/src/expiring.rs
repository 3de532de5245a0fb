//! A map that forgets: every entry has an end, and there is a limit to their number.

use std::collections::{BTreeMap, BTreeSet};

use crate::Time;

/// A map of at most `limit` entries, each valid before its end. An entry whose time is over stays
/// until somebody takes it out ([`Expiring::pop_ended`]) or its place is needed: a full map gives
/// up the entry that ends first.
#[derive(Debug)]
pub(crate) struct Expiring<K, V> {
    limit: usize,
    entries: BTreeMap<K, (Time, V)>,
    by_end: BTreeSet<(Time, K)>,
}

impl<K: Ord + Clone, V> Expiring<K, V> {
    /// An empty map of at most `limit` entries.
    pub(crate) fn new(limit: usize) -> Expiring<K, V> {
        Expiring { limit, entries: BTreeMap::new(), by_end: BTreeSet::new() }
    }

    /// Sets the entry of `key`, valid before `end`.
    pub(crate) fn insert(&mut self, key: K, value: V, end: Time) {
        self.remove(&key);
        if self.entries.len() >= self.limit
            && let Some((_, first)) = self.by_end.pop_first()
        {
            self.entries.remove(&first);
        }
        self.by_end.insert((end, key.clone()));
        self.entries.insert(key, (end, value));
    }

    /// The entry of `key`, unless its time is over.
    pub(crate) fn get(&self, now: Time, key: &K) -> Option<&V> {
        self.entries.get(key).filter(|(end, _)| *end > now).map(|(_, value)| value)
    }

    /// The entry of `key` to change in place, unless its time is over.
    pub(crate) fn get_mut(&mut self, now: Time, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).filter(|(end, _)| *end > now).map(|(_, value)| value)
    }

    /// The entry of `key`, its time over or not.
    pub(crate) fn peek(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// Removes the entry of `key` and returns it, its time over or not.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let (end, value) = self.entries.remove(key)?;
        self.by_end.remove(&(end, key.clone()));
        Some(value)
    }

    /// Removes and returns the entry that ends first, if its time is over.
    pub(crate) fn pop_ended(&mut self, now: Time) -> Option<(K, V)> {
        let (end, _) = self.by_end.first()?;
        if *end > now {
            return None;
        }
        let (_, key) = self.by_end.pop_first()?;
        let (_, value) = self.entries.remove(&key)?;
        Some((key, value))
    }

    /// When the first entry ends.
    pub(crate) fn next_end(&self) -> Option<Time> {
        self.by_end.first().map(|(end, _)| *end)
    }

    /// Whether another entry would push one out.
    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= self.limit
    }
}

#[cfg(test)]
mod tests;
