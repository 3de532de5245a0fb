//! Addresses offered and not yet asked for: this node's memory only, for a minute.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::expiring::Expiring;
use crate::{ClientKey, NetworkId, Time};

/// How long an offered address is kept for its client.
pub(crate) const OFFER_HOLD: Duration = Duration::from_secs(60);
/// Offers kept at a time. Losing one costs nothing but a second look: the book decides.
const LIMIT: usize = 4096;

/// Who was offered what.
#[derive(Debug)]
pub(crate) struct Offers {
    by_addr: Expiring<Ipv4Addr, (NetworkId, ClientKey)>,
    by_client: Expiring<(NetworkId, ClientKey), Ipv4Addr>,
}

impl Offers {
    pub(crate) fn new() -> Offers {
        Offers { by_addr: Expiring::new(LIMIT), by_client: Expiring::new(LIMIT) }
    }

    /// Keeps `addr` for the client, instead of what was kept for it before.
    pub(crate) fn hold(
        &mut self,
        now: Time,
        network: &NetworkId,
        client: &ClientKey,
        addr: Ipv4Addr,
    ) {
        self.release(now, network, client);
        let (end, key) = (now + OFFER_HOLD, (network.clone(), client.clone()));
        self.by_addr.insert(addr, key.clone(), end);
        self.by_client.insert(key, addr, end);
    }

    /// The address kept for the client.
    pub(crate) fn of(
        &self,
        now: Time,
        network: &NetworkId,
        client: &ClientKey,
    ) -> Option<Ipv4Addr> {
        self.by_client.get(now, &(network.clone(), client.clone())).copied()
    }

    /// Whether `addr` is kept for somebody else.
    pub(crate) fn is_held_for_another(
        &self,
        now: Time,
        addr: Ipv4Addr,
        client: &ClientKey,
    ) -> bool {
        self.by_addr.get(now, &addr).is_some_and(|(_, holder)| holder != client)
    }

    /// Lets go what is kept for the client.
    pub(crate) fn release(&mut self, now: Time, network: &NetworkId, client: &ClientKey) {
        if let Some(addr) = self.by_client.remove(&(network.clone(), client.clone()))
            && !self.is_held_for_another(now, addr, client)
        {
            self.by_addr.remove(&addr);
        }
    }
}
