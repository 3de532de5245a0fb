//! Which address to offer: the allocator proposes, the lease book decides.

use std::hash::Hasher;
use std::net::Ipv4Addr;
use std::time::Duration;

use siphasher::sip::SipHasher13;

use super::Server;
use crate::exchange::Exchange;
use crate::scope::Scope;
use crate::{Client, ClientKey, Dropped, Event, HwAddr, Lease, LeaseBook, Refusal, Time};

/// Pool addresses looked at for one DISCOVER.
const SCAN_LIMIT: u64 = 1 << 17;
/// Grantable addresses compared before the best is taken: the ones nobody had yet come first,
/// then the ones that were given back longest ago, so that a device which returns after weeks
/// finds its address free.
const COMPARE: usize = 16;
/// How long a pool that was searched in vain is not searched again.
const EXHAUSTED_FOR: Duration = Duration::from_secs(1);
/// How often an exhausted pool is reported.
const REPORT_AGAIN: Duration = Duration::from_secs(60);
/// Shortest lease a client may ask for.
const MIN_LEASE: Duration = Duration::from_secs(60);

impl Server {
    /// An address for the client, not yet kept for it.
    pub(super) fn choose(
        &mut self,
        now: Time,
        book: &dyn LeaseBook,
        scope: Scope<'_>,
        exchange: &Exchange,
    ) -> Result<Ipv4Addr, Dropped> {
        let key = &exchange.key;
        let offered = self.offers.of(now, scope.id, key);
        // A reservation is what somebody chose for the client by hand: it comes before the
        // address the client happened to have.
        let reserved = Self::own_reservation(scope, exchange);
        let asked = exchange.request.requested_addr();
        let had = self.bound(book, exchange, asked);
        let known = [offered, reserved, had, asked].into_iter().flatten();
        let client = exchange.client();
        for addr in known {
            if self.may_offer(now, book, scope, &client, addr) {
                return Ok(addr);
            }
        }
        self.search(now, book, scope, &client)
    }

    /// Whether the client had `addr` before: it is not probed then.
    pub(super) fn had_it(lease: Option<&Lease>, client: &ClientKey) -> bool {
        lease.and_then(|lease| lease.client.as_ref()).is_some_and(|last| last.key == *client)
    }

    /// Whether `addr` is one this server gives to this client, the book apart: from a pool or
    /// reserved for it, and not reserved for another.
    pub(super) fn is_for(scope: Scope<'_>, hw: &HwAddr, key: &ClientKey, addr: Ipv4Addr) -> bool {
        match scope.reservation_of(addr) {
            Some(reservation) => reservation.is_for(hw, key),
            None => scope.in_pools(addr),
        }
    }

    /// The lease time the client would like to have and may.
    pub(super) fn desired_lease(scope: Scope<'_>, exchange: &Exchange) -> Duration {
        let network = scope.network;
        match exchange.request.lease_time() {
            Some(asked) => asked.max(MIN_LEASE).min(network.max_lease_time),
            None => network.lease_time,
        }
    }

    pub(super) fn own_reservation(scope: Scope<'_>, exchange: &Exchange) -> Option<Ipv4Addr> {
        let id = exchange.request.client_id().filter(|_| scope.network.use_client_id);
        Some(scope.reservation_for(&exchange.request.hw, id.as_ref())?.addr)
    }

    fn may_offer(
        &self,
        now: Time,
        book: &dyn LeaseBook,
        scope: Scope<'_>,
        client: &Client,
        addr: Ipv4Addr,
    ) -> bool {
        let key = &client.key;
        Self::is_for(scope, &client.hw, key, addr)
            && scope.network.contains(addr)
            && scope.network.server_addr != Some(addr)
            && !self.offers.is_held_for_another(now, addr, key)
            && !self.probes.is_conflict(now, addr)
            && book.may_offer(now, addr, client).is_ok()
    }

    /// Searches the pools from a place that depends on the client.
    fn search(
        &mut self,
        now: Time,
        book: &dyn LeaseBook,
        scope: Scope<'_>,
        client: &Client,
    ) -> Result<Ipv4Addr, Dropped> {
        if self.exhausted.get(now, scope.id).is_some() {
            return Err(Dropped::PoolExhausted);
        }
        let size = scope.pool_size();
        let start = self.hash(&client.key).checked_rem(size).unwrap_or(0);
        let candidates = (0..size.min(SCAN_LIMIT))
            .filter_map(|step| scope.pool_addr((start + step) % size))
            .filter(|addr| self.may_offer(now, book, scope, client, *addr))
            .take(COMPARE);
        let mut best: Option<(Time, Ipv4Addr)> = None;
        for addr in candidates {
            let Some(lease) = book.lease(addr) else { return Ok(addr) };
            if best.is_none_or(|(left, _)| lease.expiry < left) {
                best = Some((lease.expiry, addr));
            }
        }
        if let Some((_, addr)) = best {
            return Ok(addr);
        }
        // A search may outlive the state it began in: the pool is not to blame then.
        let refusal = scope.pool_addr(start).map(|addr| book.may_grant(now, addr, client));
        if let Some(Err(Refusal::NotServing | Refusal::NotDurable)) = refusal {
            return Err(Dropped::NotServing);
        }
        self.exhausted.insert(scope.id.clone(), (), now + EXHAUSTED_FOR);
        if self.exhaustion_reported.get(now, scope.id).is_none() {
            self.exhaustion_reported.insert(scope.id.clone(), (), now + REPORT_AGAIN);
            self.event(Event::PoolExhausted { network: scope.id.clone() });
        }
        Err(Dropped::PoolExhausted)
    }

    fn hash(&self, key: &ClientKey) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.seed, 0);
        key.feed(&mut hasher);
        hasher.finish()
    }
}
