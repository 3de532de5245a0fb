//! What a client sees of a name that is not the same for everybody (split horizon).

use std::net::IpAddr;

use super::{LocalNames, NetworkId, Node, Stored};
use crate::RecordType;

/// Which records of one node a client sees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// The client's network, where it matters.
    network: Option<NetworkId>,
    /// The node has records for this network, which stand in place of those for everybody.
    special: bool,
}

/// The records of one name and type, as one client sees them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rrset<'a> {
    pub(super) node: &'a Node,
    pub(super) rtype: RecordType,
    pub(super) view: View,
}

impl LocalNames {
    /// How `asker` sees the node; `None` when for it the name does not exist.
    pub(super) fn view(&self, node: &Node, asker: IpAddr) -> Option<View> {
        if !node.split {
            return Some(View { network: None, special: false });
        }
        let network = self.network_of(asker);
        if !node.for_all && !network.is_some_and(|id| node.only.contains(&id)) {
            return None;
        }
        let special = network.is_some_and(|id| node.records.iter().any(|r| r.only.contains(&id)));
        Some(View { network, special })
    }
}

impl View {
    /// The records seen, in the order they were added.
    pub(super) fn records(self, node: &Node) -> impl Iterator<Item = &Stored> {
        node.records.iter().filter(move |record| match self.network {
            Some(id) if self.special => record.only.contains(&id),
            _ => record.only.is_empty(),
        })
    }
}

impl<'a> Rrset<'a> {
    /// The records, with addresses in the client's own network first.
    pub(crate) fn records(self) -> impl Iterator<Item = &'a Stored> {
        let Self { node, rtype, view } = self;
        let near = move |record: &Stored| view.network.is_some() && record.home == view.network;
        let all = move || view.records(node).filter(move |record| record.rtype == rtype);
        let (first, rest) = (all().filter(move |r| near(r)), all().filter(move |r| !near(r)));
        first.chain(rest)
    }
}
