//! What an hour comes to: counts by client, name, verdict, list, upstream and time taken.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use lanward_dns::Answered;

use super::latency::Histogram;
use super::row::Row;

/// Milliseconds of an hour.
pub(super) const HOUR_MS: i64 = 3_600_000;

/// Different names counted in an hour; questions for more are counted, not their names.
const NAMES: usize = 20_000;
/// Different clients.
const CLIENTS: usize = 4096;
/// Names of an hour that are kept, of the answered and of the blocked.
pub(super) const KEPT_NAMES: usize = 100;
/// Clients that are kept.
pub(super) const KEPT_CLIENTS: usize = 500;

/// How often, and of those, how often it was blocked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// All.
    pub all: u64,
    /// Blocked.
    pub blocked: u64,
}

/// What an hour, or several, come to.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    /// By how they were answered.
    pub how: BTreeMap<Answered, u64>,
    /// By client.
    pub clients: HashMap<IpAddr, Count>,
    /// By name.
    pub names: HashMap<Arc<str>, Count>,
    /// By type, as its number.
    pub types: BTreeMap<u16, u64>,
    /// Blocked, by list.
    pub lists: BTreeMap<Arc<str>, u64>,
    /// What each upstream answered, and how fast.
    pub upstreams: BTreeMap<Arc<str>, Histogram>,
    /// How long answers took.
    pub latency: Histogram,
}

impl Sums {
    /// Counts a question.
    pub fn add(&mut self, row: &Row) {
        let answer = &*row.answer;
        let blocked = u64::from(row.is_blocked());
        *self.how.entry(answer.how).or_default() += 1;
        *self.types.entry(answer.qtype).or_default() += 1;
        if let Some(client) = row.client
            && (self.clients.len() < CLIENTS || self.clients.contains_key(&client))
        {
            self.clients.entry(client).or_default().add(1, blocked);
        }
        if let Some(name) = &row.name
            && (self.names.len() < NAMES || self.names.contains_key(name))
        {
            self.names.entry(name.clone()).or_default().add(1, blocked);
        }
        if let Some(rule) = answer.rule.as_ref().filter(|_| blocked > 0) {
            *self.lists.entry(rule.list.clone()).or_default() += 1;
        }
        self.latency.add(row.took_us);
        if let Some(upstream) = &answer.upstream {
            self.upstreams.entry(upstream.clone()).or_default().add(row.took_us);
        }
    }

    /// Adds other hours, or another host's.
    pub fn merge(&mut self, other: &Sums) {
        for (how, n) in &other.how {
            *self.how.entry(*how).or_default() += n;
        }
        for (client, count) in sorted(&other.clients) {
            self.clients.entry(client).or_default().add(count.all, count.blocked);
        }
        for (name, count) in sorted(&other.names) {
            self.names.entry(name).or_default().add(count.all, count.blocked);
        }
        for (qtype, n) in &other.types {
            *self.types.entry(*qtype).or_default() += n;
        }
        for (list, n) in &other.lists {
            *self.lists.entry(list.clone()).or_default() += n;
        }
        for (upstream, histogram) in &other.upstreams {
            self.upstreams.entry(upstream.clone()).or_default().merge(histogram);
        }
        self.latency.merge(&other.latency);
    }

    /// All questions.
    pub fn all(&self) -> u64 {
        self.how.values().sum()
    }

    /// The names asked for most that were answered.
    pub fn top_names(&self, limit: usize) -> Vec<(Arc<str>, u64)> {
        top(&self.names, limit, |count| count.all - count.blocked)
    }

    /// The names blocked most.
    pub fn top_blocked(&self, limit: usize) -> Vec<(Arc<str>, u64)> {
        top(&self.names, limit, |count| count.blocked)
    }

    /// The clients that ask most.
    pub fn top_clients(&self, limit: usize) -> Vec<(IpAddr, Count)> {
        let top = top(&self.clients, limit, |count| count.all);
        let count = |client| self.clients.get(&client).copied().unwrap_or_default();
        top.into_iter().map(|(client, _)| (client, count(client))).collect()
    }

    /// Forgets clients or names.
    pub fn forget(&mut self, wanted: &super::Forget) {
        match wanted {
            super::Forget::Clients(clients) => clients.iter().for_each(|client| {
                self.clients.remove(client);
            }),
            super::Forget::Domain(domain) => {
                self.names.retain(|name, _| !super::is_within(name, domain));
            }
            super::Forget::Everything => *self = Sums::default(),
        }
    }
}

impl Count {
    fn add(&mut self, all: u64, blocked: u64) {
        self.all += all;
        self.blocked += blocked;
    }
}

/// In a fixed order: that of the keys.
#[allow(clippy::disallowed_methods, reason = "what comes of it is sorted")]
pub(super) fn sorted<K: Clone + Ord, V: Copy>(map: &HashMap<K, V>) -> Vec<(K, V)> {
    let mut all: Vec<(K, V)> = map.iter().map(|(key, value)| (key.clone(), *value)).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[allow(clippy::disallowed_methods, reason = "what comes of it is sorted")]
fn top<K: Clone + Ord>(
    map: &HashMap<K, Count>,
    limit: usize,
    of: impl Fn(&Count) -> u64,
) -> Vec<(K, u64)> {
    let mut all: Vec<(K, u64)> =
        map.iter().map(|(key, count)| (key.clone(), of(count))).filter(|(_, n)| *n > 0).collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    all.truncate(limit);
    all
}
