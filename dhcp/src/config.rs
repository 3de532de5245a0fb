//! What the server is to serve. Values of these types come from the settings validator and are
//! consistent: pools inside their subnet, no overlap, reservations unique.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crate::{ClientKey, HwAddr};

/// The id of a network in the settings, such as `iot`.
pub type NetworkId = Arc<str>;

/// Everything the server serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// All networks with DHCP on, by id.
    pub networks: BTreeMap<NetworkId, Network>,
}

/// One scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Network address and prefix length.
    pub subnet: (Ipv4Addr, u8),
    /// This node's own address on the network: the server identifier there. `None` on a network
    /// this node reaches only through a relay agent; the server identifier then is the address
    /// the relayed message was sent to.
    pub server_addr: Option<Ipv4Addr>,
    /// Addresses that may be granted dynamically: pools less exclusions, ascending, disjoint.
    pub pools: Vec<RangeInclusive<Ipv4Addr>>,
    /// Whether option 61 names clients here. Off: only hardware addresses do.
    pub use_client_id: bool,
    /// Lease time given when the client asks for none.
    pub lease_time: Duration,
    /// Longest lease time a client may ask for.
    pub max_lease_time: Duration,
    /// Whether to NAK a client that asks for an address which is wrong for its link although this
    /// server has no record of it (INIT-REBOOT, RFC 2131 section 4.3.2).
    pub authoritative: bool,
    /// Whether to ask the link whether an address is in use before it is granted for the first
    /// time (RFC 2131 section 2.2); costs a new client 0.4 s.
    pub probe: bool,
    /// Options given to every client of the network (code, value as on the wire), for the codes
    /// the client asks for or the server always sends. Router, DNS servers, domain and so on are
    /// in here too, already encoded by the validator.
    pub options: BTreeMap<u8, Vec<u8>>,
    /// The domain its clients' names live in, such as `home.arpa`.
    pub domain: Arc<str>,
    /// Fixed addresses.
    pub reservations: Vec<Reservation>,
}

/// A fixed address for one client. It is a preference, never a bypass of the book's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The hardware address that has it, and/or
    pub hw: Option<HwAddr>,
    /// the client identifier that has it; a client matches by either (RFC 4361 section 6.3).
    pub client_id: Option<ClientKey>,
    /// The address, inside the subnet; inside or outside the pools.
    pub addr: Ipv4Addr,
    /// The name the client has in DNS whatever it calls itself.
    pub hostname: Option<Arc<str>>,
}

impl Reservation {
    /// Whether the client with hardware address `hw`, known by `key`, is the one it is for: a
    /// client matches by either (RFC 4361 section 6.3).
    pub fn is_for(&self, hw: &HwAddr, key: &ClientKey) -> bool {
        self.hw.as_ref() == Some(hw)
            || self.client_id.as_ref() == Some(key)
            || matches!(key, ClientKey::Hw(named) if self.hw.as_ref() == Some(named))
    }
}

impl Network {
    /// Whether `addr` lies in the subnet.
    pub fn contains(&self, addr: Ipv4Addr) -> bool {
        let (net, len) = self.subnet;
        let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
        u32::from(addr) & mask == u32::from(net) & mask
    }
}
