//! The names of the house: own zones, hosts and records, as an immutable index.
//!
//! Built anew after every change of leases or settings and handed over as a snapshot
//! ([`crate::Shared::set_local`]). One index serves all networks: only a name that is not the same
//! everywhere costs a look at who asks.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::name::{MAX_WIRE, suffixes};
use crate::{Name, RecordType};

mod build;
mod record;
mod view;

pub use build::LocalNamesBuilder;
pub use record::{LocalError, LocalRecord, RecordData};

pub(crate) use record::target;
pub(crate) use view::{Rrset, View};

/// A network of clients: its place among those given to [`LocalNamesBuilder::network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId(pub u16);

/// A host: its addresses answer its name, and its name answers its addresses, for everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalHost {
    /// Complete, e.g. `printer.home.arpa`.
    pub name: Name,
    /// Each becomes an A or AAAA record, and a PTR record unless an earlier host has it. A client
    /// gets those of its own network first.
    pub addresses: Vec<IpAddr>,
    /// Seconds.
    pub ttl_secs: u32,
}

/// A zone we are the authority for: names below it that are not here do not exist, and no question
/// about them ever leaves the house.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalZone {
    /// E.g. `home.arpa`, or a reverse zone.
    pub apex: Name,
    /// The names of the servers, in the same order on all of them: each is the target of an NS
    /// record, and the first is the MNAME of the SOA.
    pub name_servers: Vec<Name>,
    /// Serial of the SOA.
    pub serial: u32,
    /// For how long a client may believe that a name does not exist: short, because a device that
    /// gets its lease now wants to be found now.
    pub negative_ttl_secs: u32,
}

/// An immutable index of everything answered from this house.
#[derive(Clone, Debug, Default)]
pub struct LocalNames {
    pub(crate) zones: Vec<Zone>,
    /// Apex to index into `zones`.
    apexes: ByName<u32>,
    /// Bit `n` is set when some apex has `n` labels (63 stands for more): most questions need one
    /// look at this word and one or two hash lookups.
    apex_labels: u64,
    nodes: ByName<Node>,
    /// The nodes whose first label is `*`, by the name above them.
    wildcards: ByName<Node>,
    /// Of the keys of `wildcards`, as `apex_labels`.
    wildcard_labels: u64,
    /// [`tail_bit`] of all names there are: most questions are for none of the house, and are told
    /// so by this word.
    tails: u64,
    /// The clients of each network, the longest prefixes first.
    subnets: Vec<(IpNet, NetworkId)>,
    /// Domains of plain names, each with the network whose clients mean it; the last is everybody's.
    search: Vec<(Option<NetworkId>, Name)>,
    content: u64,
}

/// A zone, ready to be written.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    pub(crate) apex: Name,
    pub(crate) soa: Box<[u8]>,
    pub(crate) negative_ttl_secs: u32,
}

/// All records of one name. A node without records is an empty non-terminal: the name exists
/// because one below it does (RFC 8020).
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) records: Vec<Stored>,
    /// Whether who asks matters: not everybody sees it, or it has addresses in several networks.
    split: bool,
    /// Whether the name exists for everybody.
    for_all: bool,
    /// For whose clients it exists otherwise.
    only: Vec<NetworkId>,
}

/// One record, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) rtype: RecordType,
    pub(crate) ttl_secs: u32,
    pub(crate) rdata: Box<[u8]>,
    /// Whose clients see it; empty: everybody's.
    only: Box<[NetworkId]>,
    /// The network that the address in it lies in.
    home: Option<NetworkId>,
}

/// What the index says of one name and type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'a> {
    /// Nothing here; somebody else may know.
    Elsewhere,
    /// The records of this type.
    Records(Rrset<'a>),
    /// The node is an alias.
    Alias(&'a Stored),
    /// The name is ours and has no record of this type.
    NoData(Option<&'a Zone>),
    /// The name would be in this zone of ours and is not.
    NxDomain(&'a Zone),
}

impl LocalNames {
    /// Aliases followed from one name to another of the house; where there are more, or they go round,
    /// the answer is SERVFAIL.
    pub const MAX_ALIASES: usize = 8;

    /// An empty builder.
    pub fn builder() -> LocalNamesBuilder {
        LocalNamesBuilder::default()
    }

    /// How many names have records.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether nothing is local.
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty() && self.nodes.is_empty()
    }

    /// A number that differs when the content does, the serials of the zones apart: whoever builds
    /// the names anew learns from it whether anything has changed.
    pub fn content(&self) -> u64 {
        self.content
    }

    /// Looks a lower-case wire name up for a client.
    pub(crate) fn find(&self, name: &[u8], rtype: RecordType, asker: IpAddr) -> Found<'_> {
        if self.tails & tail_bit(name) == 0 {
            return Found::Elsewhere;
        }
        let zone = self.zone_of(name);
        // DS at an apex is the parent's business (RFC 4035, 3.1.4.1). Where that is ours as well, there
        // is none: our zones are not signed.
        if rtype == RecordType::DS && zone.is_some_and(|zone| zone.apex.as_wire() == name) {
            let around = suffixes(name).nth(1).and_then(|parent| self.zone_of(parent));
            return around.map_or(Found::Elsewhere, |around| Found::NoData(Some(around)));
        }
        let Some((node, view)) = self.node_of(name, zone, asker) else {
            return zone.map_or(Found::Elsewhere, Found::NxDomain);
        };
        let has = |wanted| view.records(node).any(|record| record.rtype == wanted);
        if has(rtype) {
            return Found::Records(Rrset { node, rtype, view });
        }
        if let Some(alias) = view.records(node).find(|record| record.rtype == RecordType::CNAME) {
            return Found::Alias(alias);
        }
        match zone {
            Some(zone) => Found::NoData(Some(zone)),
            // A name outside our zones with an address of ours: its public addresses must not show
            // through (nor the ones in its HTTPS records), everything else about it stays public.
            None if rtype.leads_to_address() && (has(RecordType::A) || has(RecordType::AAAA)) => {
                Found::NoData(None)
            }
            None => Found::Elsewhere,
        }
    }

    /// Looks the name of a question up: as it stands, and when it is a plain one (of one label),
    /// as if the client had completed it. Clients without a search list ask so for `printer`.
    pub(crate) fn find_asked(&self, name: &[u8], rtype: RecordType, asker: IpAddr) -> Found<'_> {
        let found = self.find(name, rtype, asker);
        let mut buffer = [0; MAX_WIRE];
        if matches!(found, Found::Elsewhere)
            && is_plain(name, rtype)
            && let Some(full) = self.complete(name, asker, &mut buffer)
        {
            return self.find(full, rtype, asker);
        }
        found
    }

    /// Whether a name exists for a client, if only because one below it does.
    pub(crate) fn exists(&self, name: &[u8], asker: IpAddr) -> bool {
        self.nodes.get(name).is_some_and(|node| self.view(node, asker).is_some())
    }

    /// The full name of a plain one when a name of the house has it: the domain of the client's
    /// network is looked in first, then the household's. Written into `buffer`.
    fn complete<'b>(
        &self,
        plain: &[u8],
        asker: IpAddr,
        buffer: &'b mut [u8; MAX_WIRE],
    ) -> Option<&'b [u8]> {
        let label = plain.get(..1 + usize::from(*plain.first()?))?;
        let network = self.network_of(asker);
        let meant = |(of, _): &&(Option<NetworkId>, Name)| of.is_none() || *of == network;
        let len = self.search.iter().filter(meant).find_map(|(_, domain)| {
            let len = label.len() + domain.as_wire().len();
            let name = buffer.get_mut(..len)?;
            name[..label.len()].copy_from_slice(label);
            name[label.len()..].copy_from_slice(domain.as_wire());
            self.node_of(name, self.zone_of(name), asker).map(|_| len)
        })?;
        buffer.get(..len)
    }

    /// The node that answers for `name`, a wildcard's included, as `asker` sees it.
    fn node_of(&self, name: &[u8], zone: Option<&Zone>, asker: IpAddr) -> Option<(&Node, View)> {
        let own = self.nodes.get(name).and_then(|node| Some((node, self.view(node, asker)?)));
        own.or_else(|| self.wildcard_of(name, zone, asker))
    }

    /// The wildcard that covers a name which does not exist. In our zones only the one of the
    /// closest encloser does (RFC 4592, 3.3.1). Outside, where we have single names and not their
    /// zones, the next one above does: that is what `address=/lab.example/` does elsewhere.
    fn wildcard_of(
        &self,
        name: &[u8],
        zone: Option<&Zone>,
        asker: IpAddr,
    ) -> Option<(&Node, View)> {
        if self.wildcards.is_empty() {
            return None;
        }
        let apex = zone.map_or(1, |zone| zone.apex.as_wire().len());
        let mut labels = suffixes(name).count() - 1;
        for parent in suffixes(name).skip(1).take_while(|parent| parent.len() >= apex) {
            labels = labels.saturating_sub(1);
            if self.wildcard_labels & (1 << labels.min(63)) != 0
                && let Some(node) = self.wildcards.get(parent)
                && let Some(view) = self.view(node, asker)
            {
                return Some((node, view));
            }
            if zone.is_some() && self.exists(parent, asker) {
                return None;
            }
        }
        None
    }

    /// The innermost own zone that holds `name`.
    fn zone_of(&self, name: &[u8]) -> Option<&Zone> {
        if self.apexes.is_empty() {
            return None;
        }
        let mut labels = suffixes(name).count() - 1;
        for suffix in suffixes(name) {
            if self.apex_labels & (1 << labels.min(63)) != 0
                && let Some(&zone) = self.apexes.get(suffix)
            {
                return self.zones.get(zone as usize);
            }
            labels = labels.saturating_sub(1);
        }
        None
    }

    /// The network of a client or of an address.
    fn network_of(&self, address: IpAddr) -> Option<NetworkId> {
        let address = address.to_canonical();
        self.subnets.iter().find(|(subnet, _)| subnet.contains(&address)).map(|(_, id)| *id)
    }
}

/// Whatever is kept for names in wire format.
type ByName<T> = HashMap<Box<[u8]>, T, foldhash::fast::RandomState>;

/// A bit that a name has in common with all names below it: of the last two bytes of its top label,
/// the length of a label of one letter included. The root has all bits.
fn tail_bit(name: &[u8]) -> u64 {
    match name {
        [.., before, last, 0] => 1 << ((u32::from(*before) * 7 + u32::from(*last)) % 64),
        _ => u64::MAX,
    }
}

/// Whether a question is for the address of a name of one label. No top-level domain has one
/// (RFC 7085, and ICANN forbids it), so what is meant is a device of the house.
pub(crate) fn is_plain(name: &[u8], rtype: RecordType) -> bool {
    let len = usize::from(name.first().copied().unwrap_or(0));
    rtype.leads_to_address() && len > 0 && name.len() == len + 2
}

#[cfg(test)]
mod tests;
