//! The names of the house: own zones, hosts and records, as an immutable index.
//!
//! Built anew after every change of leases or settings and handed over as a snapshot
//! ([`crate::Shared::set_local`]).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::name::suffixes;
use crate::{Name, RecordType};

mod build;

pub use build::{LocalError, LocalNamesBuilder};

/// Data of a local record, parsed. The variants are the record types that settings may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordData {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// Another name for this one. Its target need not be local.
    Cname(Name),
    /// The name of an address.
    Ptr(Name),
    /// Texts, each at most 255 bytes.
    Txt(Vec<Vec<u8>>),
    /// Where a service is (RFC 2782).
    Srv {
        /// Lower is tried first.
        priority: u16,
        /// Share among those of one priority.
        weight: u16,
        /// TCP or UDP port.
        port: u16,
        /// The host.
        target: Name,
    },
    /// A mail exchanger.
    Mx {
        /// Lower is tried first.
        preference: u16,
        /// The host.
        exchange: Name,
    },
}

/// One local record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalRecord {
    /// Owner, complete.
    pub name: Name,
    /// Seconds.
    pub ttl_secs: u32,
    /// Type and data.
    pub data: RecordData,
}

/// A host: its addresses answer its name, and its name answers its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalHost {
    /// Complete, e.g. `printer.home.arpa`.
    pub name: Name,
    /// Each becomes an A or AAAA record, and a PTR record unless an earlier host has it.
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
    /// This server's name: MNAME of the SOA and target of the NS.
    pub name_server: Name,
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
    apexes: HashMap<Box<[u8]>, u32>,
    /// Bit `n` is set when some apex has `n` labels (63 stands for more): most questions need one
    /// look at this word and one or two hash lookups.
    apex_labels: u64,
    nodes: HashMap<Box<[u8]>, Node>,
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
}

/// One record, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) rtype: RecordType,
    pub(crate) ttl_secs: u32,
    pub(crate) rdata: Box<[u8]>,
}

/// What the index says of one name and type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'a> {
    /// Nothing here; somebody else may know.
    Elsewhere,
    /// The node holds records of this type.
    Records(&'a Node),
    /// The node is an alias.
    Alias(&'a Stored),
    /// The name is ours and has no record of this type.
    NoData(Option<&'a Zone>),
    /// The name would be in this zone of ours and is not.
    NxDomain(&'a Zone),
}

impl LocalNames {
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

    /// Looks a lower-case wire name up.
    pub(crate) fn find(&self, name: &[u8], rtype: RecordType) -> Found<'_> {
        let zone = self.zone_of(name);
        // DS at an apex is the parent's business (RFC 4035, 3.1.4.1).
        if rtype == RecordType::DS && zone.is_some_and(|zone| zone.apex.as_wire() == name) {
            return Found::Elsewhere;
        }
        let Some(node) = self.nodes.get(name) else {
            return zone.map_or(Found::Elsewhere, Found::NxDomain);
        };
        let has = |wanted: RecordType| node.records.iter().any(|record| record.rtype == wanted);
        if has(rtype) {
            return Found::Records(node);
        }
        if let Some(alias) = node.records.iter().find(|record| record.rtype == RecordType::CNAME) {
            return Found::Alias(alias);
        }
        // A name outside our zones with an address of ours: its public addresses must not show
        // through (nor the ones in its HTTPS records), everything else about it stays public.
        let ours = has(RecordType::A) || has(RecordType::AAAA);
        match zone {
            Some(zone) => Found::NoData(Some(zone)),
            None if ours && rtype.leads_to_address() => Found::NoData(None),
            None => Found::Elsewhere,
        }
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
}

/// The reverse zones of `network`, as zones of ours.
pub(crate) fn reverse_zones(network: IpNet, like: &LocalZone) -> impl Iterator<Item = LocalZone> {
    let like = like.clone();
    Name::reverse_zones(network).into_iter().map(move |apex| LocalZone { apex, ..like.clone() })
}

#[cfg(test)]
mod tests;
