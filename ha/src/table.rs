//! The lease table: one record an address, with the indexes that keep every operation cheap.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::time::Duration;

use lanward_dhcp::{BindingState, ClientKey, Time};

use crate::binding::owner;
use crate::{Binding, Rank};

/// All bindings of a node. Nothing here scans the whole table, except where it says so.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    rank: Rank,
    guard: Duration,
    bindings: BTreeMap<Ipv4Addr, Binding>,
    by_client: BTreeMap<ClientKey, BTreeSet<Ipv4Addr>>,
    /// When time changes a binding's state.
    due: BTreeSet<(Time, Ipv4Addr)>,
    dirty: BTreeSet<Ipv4Addr>,
}

impl Table {
    pub(crate) fn new(rank: Rank, guard: Duration) -> Table {
        Table {
            rank,
            guard,
            bindings: BTreeMap::new(),
            by_client: BTreeMap::new(),
            due: BTreeSet::new(),
            dirty: BTreeSet::new(),
        }
    }

    pub(crate) fn get(&self, addr: Ipv4Addr) -> Option<&Binding> {
        self.bindings.get(&addr)
    }

    /// The record of `addr`, or what its absence means.
    pub(crate) fn get_or_untouched(&self, addr: Ipv4Addr) -> Binding {
        self.bindings.get(&addr).cloned().unwrap_or_else(|| Binding::untouched(addr))
    }

    /// Puts a record in the place of the one for its address.
    pub(crate) fn put(&mut self, binding: Binding) {
        let addr = binding.addr;
        self.unindex(addr);
        if let Some(client) = &binding.client {
            self.by_client.entry(client.key.clone()).or_default().insert(addr);
        }
        if let Some(at) = binding.due(self.rank, self.guard) {
            self.due.insert((at, addr));
        }
        if binding.dirty {
            self.dirty.insert(addr);
        }
        self.bindings.insert(addr, binding);
    }

    fn unindex(&mut self, addr: Ipv4Addr) {
        let Some(old) = self.bindings.get(&addr) else { return };
        if let Some(client) = &old.client
            && let Some(addrs) = self.by_client.get_mut(&client.key)
        {
            addrs.remove(&addr);
            if addrs.is_empty() {
                self.by_client.remove(&client.key);
            }
        }
        if let Some(at) = old.due(self.rank, self.guard) {
            self.due.remove(&(at, addr));
        }
        self.dirty.remove(&addr);
    }

    /// Every address whose latest client is `key`, ascending.
    pub(crate) fn addresses_of(&self, key: &ClientKey) -> Vec<Ipv4Addr> {
        self.by_client.get(key).into_iter().flatten().copied().collect()
    }

    /// The next time at which time alone changes a binding.
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The first binding that time has changed by `now`.
    pub(crate) fn first_due(&self, now: Time) -> Option<Ipv4Addr> {
        self.due.first().filter(|(at, _)| *at <= now).map(|(_, addr)| *addr)
    }

    /// Addresses whose present version the partner has not confirmed, ascending.
    pub(crate) fn dirty(&self) -> &BTreeSet<Ipv4Addr> {
        &self.dirty
    }

    /// All records in the order of their addresses.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.bindings.len()
    }

    /// How many addresses of `pools` the node of `rank` may still grant to new clients. Walks the
    /// records inside the pools.
    pub(crate) fn count_free(
        &self,
        now: Time,
        rank: Rank,
        pools: &[RangeInclusive<Ipv4Addr>],
    ) -> u64 {
        pools
            .iter()
            .map(|pool| {
                let taken = self
                    .bindings
                    .range(pool.clone())
                    .filter(|(addr, binding)| {
                        owner(**addr) == rank
                            && (binding.state != BindingState::Free || now < binding.hold_until)
                    })
                    .count();
                halves(pool)[rank.index()].saturating_sub(taken as u64)
            })
            .sum()
    }
}

/// How many even and odd addresses a range has.
fn halves(pool: &RangeInclusive<Ipv4Addr>) -> [u64; 2] {
    let (first, last) = (u64::from(u32::from(*pool.start())), u64::from(u32::from(*pool.end())));
    if first > last {
        return [0, 0];
    }
    let odd = last.div_ceil(2) - first / 2;
    [last - first + 1 - odd, odd]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_counted_by_halves() {
        let range = |a: u8, b: u8| Ipv4Addr::new(10, 0, 0, a)..=Ipv4Addr::new(10, 0, 0, b);
        assert_eq!(halves(&range(0, 1)), [1, 1]);
        assert_eq!(halves(&range(1, 1)), [0, 1]);
        assert_eq!(halves(&range(2, 2)), [1, 0]);
        assert_eq!(halves(&range(1, 3)), [1, 2]);
        assert_eq!(halves(&range(100, 199)), [50, 50]);
    }
}
