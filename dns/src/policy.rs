//! Which clients are served, and under which policy: an immutable snapshot.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::{PolicyId, Prefix64};

/// What a blocked A or AAAA question is answered with. Other types get NODATA unless the mode
/// says NXDOMAIN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlockMode {
    /// `0.0.0.0` and `::`.
    #[default]
    Null,
    /// NXDOMAIN.
    NxDomain,
    /// NOERROR without answers.
    NoData,
    /// These addresses.
    Address(Ipv4Addr, Ipv6Addr),
}

/// One policy as the pipeline needs it. Which lists it uses is the filter's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its id in the settings, for people.
    pub name: String,
    /// Whether filtering is on.
    pub filtering: bool,
    /// How blocked questions are answered.
    pub block_mode: BlockMode,
    /// TTL of a blocked answer, seconds (default 10).
    pub blocked_ttl_secs: u32,
    /// Whether the history hears of the questions of those who have it.
    pub history: bool,
    /// Id of the group of upstream servers that its members' questions go to; `None`, and a group
    /// that is not there: the first.
    pub upstreams: Option<Arc<str>>,
    /// Whether the answers of upstreams are validated, where [`Dnssec`](crate::Dnssec) has it so.
    pub dnssec: bool,
    /// The prefix of the NAT64 that its members are behind: they get IPv6 addresses made from IPv4
    /// addresses (DNS64).
    pub dns64: Option<Prefix64>,
}

/// A client network and the policy its members have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientNetwork {
    /// Sources inside are served; the longest matching prefix decides.
    pub subnet: IpNet,
    /// Index into [`Policies::policies`].
    pub policy: PolicyId,
}

/// All policies and who has which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// Indexed by [`PolicyId`].
    pub policies: Vec<Policy>,
    /// Sources outside all of these get no answer at all.
    pub networks: Vec<ClientNetwork>,
}

impl Policy {
    /// The default TTL of blocked answers: short, so that an unblocked name works at once.
    pub const BLOCKED_TTL: Duration = Duration::from_secs(10);
}

impl ClientNetwork {
    /// By one comparison; `IpNet` makes two addresses for it, and each question asks this of every
    /// network.
    fn holds(&self, source: IpAddr) -> bool {
        let bits = u32::from(self.subnet.prefix_len());
        match (self.subnet, source) {
            (IpNet::V4(subnet), IpAddr::V4(v4)) => {
                let differ = subnet.addr().to_bits() ^ v4.to_bits();
                differ.checked_shr(32 - bits).unwrap_or(0) == 0
            }
            (IpNet::V6(subnet), IpAddr::V6(v6)) => {
                let differ = subnet.addr().to_bits() ^ v6.to_bits();
                differ.checked_shr(128 - bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl Policies {
    /// The policy of the longest prefix that holds `source`; `None` when it is not served.
    /// IPv4-mapped IPv6 addresses count as IPv4.
    pub fn of(&self, source: IpAddr) -> Option<PolicyId> {
        let source = source.to_canonical();
        self.networks
            .iter()
            .filter(|n| n.holds(source))
            .max_by_key(|n| n.subnet.prefix_len())
            .map(|n| n.policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_what_its_prefix_says_and_nothing_else() {
        let sources = [
            "0.0.0.0",
            "9.255.255.255",
            "10.0.0.0",
            "10.0.30.7",
            "10.0.31.7",
            "127.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fd00:10::7",
            "fd00:10:0:1::7",
            "ffff::",
        ];
        let subnets = [
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.0.30.0/23",
            "10.0.30.7/24",
            "10.0.30.7/32",
            "::/0",
            "::1/128",
            "fd00:10::/64",
            "fd00:10::/63",
        ];
        for subnet in subnets.map(|subnet| subnet.parse::<IpNet>().expect(subnet)) {
            let network = ClientNetwork { subnet, policy: PolicyId(0) };
            for source in sources.map(|source| source.parse::<IpAddr>().expect(source)) {
                assert_eq!(network.holds(source), subnet.contains(&source), "{subnet} {source}");
            }
        }
    }
}
