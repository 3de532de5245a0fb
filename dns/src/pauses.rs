//! Whose questions are not filtered for a while: an immutable snapshot. When a pause ends, its
//! owner publishes another one, so that no question has to look at a clock.

use std::net::IpAddr;

use ipnet::IpNet;

/// Who is not filtered at present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    all: bool,
    /// The client networks, each with whether it is paused; empty when none is.
    networks: Vec<(IpNet, bool)>,
    /// Single clients, ascending.
    clients: Vec<IpAddr>,
}

impl Pauses {
    /// Nobody is paused.
    pub fn none() -> Pauses {
        Pauses::default()
    }

    /// Everybody is.
    pub fn everybody() -> Pauses {
        Pauses { all: true, ..Pauses::default() }
    }

    /// Members of networks, and single clients. `networks` are all client networks with whether
    /// each is paused: a client belongs to the smallest one it lies in.
    pub fn of(networks: Vec<(IpNet, bool)>, mut clients: Vec<IpAddr>) -> Pauses {
        clients.iter_mut().for_each(|client| *client = client.to_canonical());
        clients.sort_unstable();
        clients.dedup();
        let any = networks.iter().any(|(_, paused)| *paused);
        Pauses { all: false, networks: if any { networks } else { Vec::new() }, clients }
    }

    /// Whether questions from `source` are not filtered. IPv4-mapped IPv6 addresses count as IPv4.
    pub fn cover(&self, source: IpAddr) -> bool {
        if self.all {
            return true;
        }
        if self.networks.is_empty() && self.clients.is_empty() {
            return false;
        }
        let source = source.to_canonical();
        self.clients.binary_search(&source).is_ok()
            || self
                .networks
                .iter()
                .filter(|(subnet, _)| subnet.contains(&source))
                .max_by_key(|(subnet, _)| subnet.prefix_len())
                .is_some_and(|(_, paused)| *paused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_is_paused_by_itself_or_by_the_smallest_network_it_is_in() {
        let networks = vec![
            (net("10.0.0.0/8"), true),
            (net("10.0.30.0/24"), false),
            (net("fd00:30::/64"), true),
        ];
        let pauses = Pauses::of(networks, vec![ip("::ffff:10.0.30.9"), ip("192.0.2.1")]);
        for paused in ["10.0.20.1", "10.0.30.9", "::ffff:10.0.30.9", "192.0.2.1", "fd00:30::5"] {
            assert!(pauses.cover(ip(paused)), "{paused}");
        }
        for filtered in ["10.0.30.8", "192.0.2.2", "fd00:31::5", "127.0.0.1"] {
            assert!(!pauses.cover(ip(filtered)), "{filtered}");
        }
        assert!(Pauses::everybody().cover(ip("127.0.0.1")));
        assert!(!Pauses::none().cover(ip("10.0.20.1")));
    }
}
