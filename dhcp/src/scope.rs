//! Which network a message is about, and quick answers about that network.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::options::relay_code;
use crate::request::Request;
use crate::{ClientKey, Config, Dropped, HwAddr, Network, NetworkId, Reservation};

/// The configuration, indexed.
#[derive(Debug)]
pub(crate) struct Scopes {
    config: Arc<Config>,
    indexes: BTreeMap<NetworkId, Index>,
}

/// One network of the configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) id: &'a NetworkId,
    pub(crate) network: &'a Network,
    index: &'a Index,
}

/// Positions in [`Network::reservations`], and the pools as one row of addresses.
#[derive(Debug, Default)]
struct Index {
    by_addr: BTreeMap<Ipv4Addr, usize>,
    by_hw: BTreeMap<HwAddr, usize>,
    by_id: BTreeMap<ClientKey, usize>,
    /// For each pool: how many addresses lie in the pools before it.
    pool_starts: Vec<u64>,
    pool_size: u64,
}

impl Scopes {
    pub(crate) fn new(config: Arc<Config>) -> Scopes {
        let indexes =
            config.networks.iter().map(|(id, net)| (id.clone(), Index::of(net))).collect();
        Scopes { config, indexes }
    }

    /// The network with this id.
    pub(crate) fn get(&self, id: &NetworkId) -> Option<Scope<'_>> {
        let (id, network) = self.config.networks.get_key_value(id)?;
        Some(Scope { id, network, index: self.indexes.get(id)? })
    }

    /// The network `addr` lies in.
    pub(crate) fn containing(&self, addr: Ipv4Addr) -> Option<Scope<'_>> {
        let (id, _) = self.config.networks.iter().find(|(_, net)| net.contains(addr))?;
        self.get(id)
    }

    /// Whether a network has `addr` as this node's own address.
    pub(crate) fn is_own(&self, addr: Ipv4Addr) -> bool {
        self.config.networks.values().any(|net| net.server_addr == Some(addr))
    }

    /// The network `request`, received on `from` and sent to `dst`, is about. Who knows the
    /// link best has the word: the relay agent's link selection (RFC 3527), a subnet selection
    /// (RFC 3011), the relay agent's own address, the receiving interface. A selection that
    /// fits no network is obeyed as well: such a message is not served.
    pub(crate) fn select(
        &self,
        request: &Request,
        from: Option<&NetworkId>,
        dst: Ipv4Addr,
    ) -> Result<Scope<'_>, Dropped> {
        let selected = request
            .relay_addr_option(relay_code::LINK_SELECTION)
            .or_else(|| request.subnet_selection())
            .or_else(|| request.is_relayed().then_some(request.giaddr));
        if let Some(selected) = selected {
            return self.containing(selected).ok_or(Dropped::NoNetwork);
        }
        // A client that renews through a router reaches this node on an interface that is not
        // its link; its address says where it is (RFC 2131 section 4.3.2, RENEWING).
        if is_unicast(dst)
            && !request.ciaddr.is_unspecified()
            && let Some(scope) = self.containing(request.ciaddr)
        {
            return Ok(scope);
        }
        from.and_then(|id| self.get(id)).ok_or(Dropped::NoNetwork)
    }
}

impl<'a> Scope<'a> {
    /// The reservation of `addr`.
    pub(crate) fn reservation_of(&self, addr: Ipv4Addr) -> Option<&'a Reservation> {
        self.network.reservations.get(*self.index.by_addr.get(&addr)?)
    }

    /// The reservation for a client, by hardware address or client identifier; the same rule
    /// whatever the message (a client matched by one on DISCOVER and by the other on renewal
    /// would be moved about).
    pub(crate) fn reservation_for(
        &self,
        hw: &HwAddr,
        id: Option<&ClientKey>,
    ) -> Option<&'a Reservation> {
        let by_hw = self.index.by_hw.get(hw);
        let position = by_hw.or_else(|| id.and_then(|id| self.index.by_id.get(id)))?;
        self.network.reservations.get(*position)
    }

    /// Whether `addr` is in a pool.
    pub(crate) fn in_pools(&self, addr: Ipv4Addr) -> bool {
        self.network.pools.iter().any(|pool| pool.contains(&addr))
    }

    /// How many addresses the pools hold.
    pub(crate) fn pool_size(&self) -> u64 {
        self.index.pool_size
    }

    /// The address number `n` of the pools, counted from 0.
    pub(crate) fn pool_addr(&self, n: u64) -> Option<Ipv4Addr> {
        let pool = self.index.pool_starts.partition_point(|start| *start <= n).checked_sub(1)?;
        let offset = u32::try_from(n - self.index.pool_starts.get(pool)?).ok()?;
        let first = u32::from(*self.network.pools.get(pool)?.start());
        first.checked_add(offset).map(Ipv4Addr::from)
    }

    /// This node's name on the network towards a client: what the relay agent wants to be told
    /// as server identifier (RFC 5107), else its own address there.
    pub(crate) fn server_id(&self, request: &Request) -> Option<Ipv4Addr> {
        request.relay_addr_option(relay_code::SERVER_ID_OVERRIDE).or(self.network.server_addr)
    }
}

/// Whether `dst` is one host's address.
pub(crate) fn is_unicast(dst: Ipv4Addr) -> bool {
    !(dst.is_broadcast() || dst.is_unspecified() || dst.is_multicast())
}

impl Index {
    fn of(network: &Network) -> Index {
        let mut index = Index::default();
        for (at, reservation) in network.reservations.iter().enumerate() {
            index.by_addr.insert(reservation.addr, at);
            if let Some(hw) = reservation.hw {
                index.by_hw.insert(hw, at);
            }
            if let Some(id) = &reservation.client_id {
                index.by_id.insert(id.clone(), at);
            }
        }
        for pool in &network.pools {
            index.pool_starts.push(index.pool_size);
            let (first, last) = (u32::from(*pool.start()), u32::from(*pool.end()));
            index.pool_size += u64::from(last.saturating_sub(first)) + 1;
        }
        index
    }
}
