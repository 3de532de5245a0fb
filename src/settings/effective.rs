//! The one deterministic validator: household records in, what is in force out.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// What a node knows of itself when it derives its settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostView {
    /// The node's name.
    pub node: String,
    /// Its own addresses, in the order the system lists them.
    pub addresses: Vec<IpAddr>,
}

/// What is in force on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effective {
    /// What the DHCP server serves.
    pub dhcp: lanward_dhcp::Config,
}

/// Derives what is in force from the household's records (key such as `network/iot`, value its
/// JSON) for one host. Total: a record that cannot be used is left out and told as a problem.
pub fn derive(_records: &BTreeMap<String, String>, _host: &HostView) -> Effective {
    Effective::default()
}
