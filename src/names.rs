//! Names from leases: which full name belongs to which address.
//!
//! Derived from the lease table and the settings on each node, never written by one node into the
//! other, so the second node cannot miss one. Only what both nodes hold alike may decide here: no
//! clocks, no order of arrival.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use lanward_dhcp::{BindingState, ClientKey, Lease, Network};

use crate::settings::Effective;

/// One device's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostName {
    /// Full name, lower case, without the final dot.
    pub name: Arc<str>,
    /// Its address.
    pub addr: Ipv4Addr,
}

/// The names of all devices: reservations first (whether or not they are leased), then active
/// leases.
///
/// A name that a reservation, a record or one of the nodes has cannot be taken by a device that
/// merely calls itself so. When two devices call themselves alike, the one with the lower address
/// has the name; a device with two leases (wired and wireless) has both addresses under it only
/// when it used one client identifier for both.
pub fn derive(
    leases: impl Iterator<Item = Lease>,
    settings: &Effective,
    nodes: &[&str],
) -> Vec<HostName> {
    let mut names = Names { taken: BTreeMap::new(), out: Vec::new() };
    for reserved in &settings.reserved_names {
        names.taken.insert(Arc::clone(&reserved.name), None);
        names.out.push(HostName { name: Arc::clone(&reserved.name), addr: reserved.addr });
    }
    for record in &settings.records {
        names.taken.insert(Arc::clone(&record.name), None);
    }
    for node in nodes {
        names.taken.insert(full(node, &settings.domain), None);
    }
    for lease in leases {
        if lease.state != BindingState::Active {
            continue;
        }
        if let Some(network) = network_of(settings, lease.addr) {
            names.add(&lease, network);
        }
    }
    names.out
}

/// The network an address lies in; the smallest where they nest.
pub fn network_of(settings: &Effective, addr: Ipv4Addr) -> Option<&Network> {
    let all = settings.dhcp.networks.values().filter(|n| n.contains(addr));
    all.max_by_key(|n| n.subnet.1)
}

struct Names {
    /// Who has a name; `None` for names that no lease can have.
    taken: BTreeMap<Arc<str>, Option<ClientKey>>,
    out: Vec<HostName>,
}

impl Names {
    fn add(&mut self, lease: &Lease, network: &Network) {
        let Some(client) = &lease.client else { return };
        // A reserved device has the reservation's name and no other.
        if network.reservations.iter().any(|r| r.addr == lease.addr && r.hostname.is_some()) {
            return;
        }
        let Some(hostname) = &client.hostname else { return };
        let name = full(hostname, &network.domain);
        let holder =
            self.taken.entry(Arc::clone(&name)).or_insert_with(|| Some(client.key.clone()));
        if holder.as_ref() == Some(&client.key) {
            self.out.push(HostName { name, addr: lease.addr });
        }
    }
}

fn full(label: &str, domain: &str) -> Arc<str> {
    format!("{}.{domain}", label.to_ascii_lowercase()).into()
}

#[cfg(test)]
mod tests;
