//! Building [`LocalNames`].

use std::collections::BTreeSet;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use ipnet::IpNet;

use super::record::encode;
use super::{
    ByName, LocalError, LocalHost, LocalNames, LocalRecord, LocalZone, NetworkId, Node, RecordData,
    Stored, Zone, tail_bit,
};
use crate::name::suffixes;
use crate::pipeline::stays_inside;
use crate::{Name, RecordType};

/// Collects zones, hosts and records in any order.
#[derive(Debug, Default)]
pub struct LocalNamesBuilder {
    names: LocalNames,
    networks: u16,
    /// The first zone: what zones that are not asked for look like.
    like: Option<LocalZone>,
}

impl LocalNamesBuilder {
    /// A network of clients, known by the subnets it has. Its domain, if given, is where its
    /// clients' plain names are looked for.
    pub fn network(
        &mut self,
        subnets: impl IntoIterator<Item = IpNet>,
        domain: Option<&Name>,
    ) -> NetworkId {
        let id = NetworkId(self.networks);
        self.networks = self.networks.saturating_add(1);
        self.names.subnets.extend(subnets.into_iter().map(|subnet| (subnet, id)));
        self.names.search.extend(domain.map(|domain| (Some(id), domain.clone())));
        id
    }

    /// The domain where everybody's plain names are looked for.
    pub fn domain(&mut self, domain: &Name) -> &mut Self {
        self.names.search.push((None, domain.clone()));
        self
    }

    /// A zone we are the authority for. The same apex again is ignored, as is a zone without a
    /// name server.
    pub fn zone(&mut self, zone: &LocalZone) -> &mut Self {
        let names = &mut self.names;
        let Some(primary) = zone.name_servers.first() else { return self };
        self.like.get_or_insert_with(|| zone.clone());
        if let Entry::Vacant(vacant) = names.apexes.entry(zone.apex.as_wire().into()) {
            vacant.insert(names.zones.len() as u32);
            names.apex_labels |= 1 << zone.apex.labels().min(63);
            let ttl_secs = zone.negative_ttl_secs;
            let soa = soa(zone, primary);
            names.zones.push(Zone {
                apex: zone.apex.clone(),
                soa: soa.clone(),
                negative_ttl_secs: ttl_secs,
            });
            let node = names.nodes.entry(zone.apex.as_wire().into()).or_default();
            node.add(Stored::new(RecordType::SOA, ttl_secs, soa));
            for server in &zone.name_servers {
                node.add(Stored::new(RecordType::NS, ttl_secs, server.as_wire().into()));
            }
        }
        self
    }

    /// The reverse zones of a network of ours, with the other properties of `like`.
    pub fn reverse(&mut self, network: IpNet, like: &LocalZone) -> &mut Self {
        for apex in Name::reverse_zones(network) {
            self.zone(&LocalZone { apex, ..like.clone() });
        }
        self
    }

    /// A host. Its PTR records yield to explicit ones and to those of earlier hosts.
    pub fn host(&mut self, host: &LocalHost) -> Result<&mut Self, LocalError> {
        let LocalHost { name, addresses, ttl_secs } = host;
        for address in addresses {
            let data = match address.to_canonical() {
                IpAddr::V4(v4) => RecordData::A(v4),
                IpAddr::V6(v6) => RecordData::Aaaa(v6),
            };
            let (name, networks) = (name.clone(), Vec::new());
            self.record(&LocalRecord { name, ttl_secs: *ttl_secs, data, networks })?;
        }
        // The name of a wildcard is nobody's.
        let is_wildcard = name.as_wire().starts_with(b"\x01*");
        for address in addresses.iter().filter(|it| !is_wildcard && !it.is_unspecified()) {
            let reverse = Name::reverse_of(*address);
            let node = self.names.nodes.entry(reverse.as_wire().into()).or_default();
            if node.records.is_empty() {
                node.add(Stored::new(RecordType::PTR, *ttl_secs, name.as_wire().into()));
            }
        }
        Ok(self)
    }

    /// Whether the name has a record.
    pub fn has(&self, name: &Name) -> bool {
        self.names.nodes.get(name.as_wire()).is_some_and(|node| !node.records.is_empty())
    }

    /// A record. Saying the same twice is no error. Add explicit PTR records before hosts.
    pub fn record(&mut self, record: &LocalRecord) -> Result<&mut Self, LocalError> {
        let (rtype, rdata) = encode(record)?;
        let only: Box<[NetworkId]> = record.networks.as_slice().into();
        let stored = Stored { only, ..Stored::new(rtype, record.ttl_secs, rdata) };
        let node = self.names.nodes.entry(record.name.as_wire().into()).or_default();
        let same =
            |r: &&Stored| (r.rtype, &r.rdata, &r.only) == (rtype, &stored.rdata, &stored.only);
        if node.records.iter().any(|r| same(&r)) {
            return Ok(self);
        }
        // A client never sees both: those of its network stand in place of everybody's.
        let seen_together = |r: &&Stored| {
            r.only.is_empty() && stored.only.is_empty()
                || r.only.iter().any(|id| stored.only.contains(id))
        };
        let mut beside = node.records.iter().filter(seen_together);
        let is_alias = |r: &Stored| r.rtype == RecordType::CNAME;
        if beside.any(|other| is_alias(other) || rtype == RecordType::CNAME) {
            return Err(LocalError::AliasAndData(record.name.clone()));
        }
        node.add(stored);
        Ok(self)
    }

    /// The finished index.
    pub fn build(mut self) -> LocalNames {
        self.add_inside_zones();
        let mut names = self.names;
        names.subnets.sort_by_key(|(subnet, id)| (std::cmp::Reverse(subnet.prefix_len()), *id));
        // The network's own domain is looked in before the household's.
        names.search.sort_by_key(|(network, _)| network.is_none());
        names.content = content(&names);
        find_homes(&mut names);
        add_empty_non_terminals(&mut names);
        add_wildcards(&mut names);
        add_tails(&mut names);
        names
    }
}

impl LocalNamesBuilder {
    /// Names in zones that nobody outside has (`test`, `lan`, private reverse zones) make those
    /// zones ours: else their names without records would be denied by halves.
    fn add_inside_zones(&mut self) {
        let Some(like) = self.like.clone() else { return };
        let mut apexes = BTreeSet::new();
        for (name, _) in self.names.nodes.entries_unordered() {
            if self.names.zone_of(name).is_none() {
                apexes.extend(stays_inside(name).and_then(Name::from_wire));
            }
        }
        for apex in apexes {
            self.zone(&LocalZone { apex, ..like.clone() });
        }
    }
}

impl Stored {
    fn new(rtype: RecordType, ttl_secs: u32, rdata: Box<[u8]>) -> Self {
        Self { rtype, ttl_secs, rdata, only: Box::default(), home: None }
    }
}

impl Node {
    fn add(&mut self, record: Stored) {
        self.exists_for(&record.only);
        self.split |= !record.only.is_empty();
        self.records.push(record);
    }

    /// The name exists for these, or for everybody when they are none. False when it did already.
    fn exists_for(&mut self, networks: &[NetworkId]) -> bool {
        if networks.is_empty() {
            return !std::mem::replace(&mut self.for_all, true);
        }
        let before = self.only.len();
        for id in networks {
            if !self.only.contains(id) {
                self.only.push(*id);
            }
        }
        self.split |= !self.for_all;
        !self.for_all && self.only.len() > before
    }
}

/// Says of every address which network it lies in, and marks the names that have some in several.
fn find_homes(names: &mut LocalNames) {
    if names.subnets.is_empty() {
        return;
    }
    let mut nodes = std::mem::take(&mut names.nodes);
    for node in nodes.nodes_unordered() {
        for record in &mut node.records {
            record.home = record.address().and_then(|address| names.network_of(address));
        }
        let addresses = || node.records.iter().filter(|record| record.address().is_some());
        let first = addresses().next().and_then(|record| record.home);
        node.split |= addresses().any(|record| record.home != first);
    }
    names.nodes = nodes;
}

impl Stored {
    /// The address in it, if it is of a type that has one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self.rtype {
            RecordType::A => <[u8; 4]>::try_from(&*self.rdata).ok().map(IpAddr::from),
            RecordType::AAAA => <[u8; 16]>::try_from(&*self.rdata).ok().map(IpAddr::from),
            _ => None,
        }
    }
}

/// Between an apex and a name below it every name exists, if without records (RFC 8020), for
/// everybody for whom the one below does. A zone's own apex is such a name for what is around it, be
/// that a zone of ours or one that only must not leave the house.
fn add_empty_non_terminals(names: &mut LocalNames) {
    if names.apexes.is_empty() {
        return;
    }
    let mut missing: Vec<(Box<[u8]>, Vec<NetworkId>)> = Vec::new();
    for (name, node) in names.nodes.entries_unordered() {
        let Some(parent) = suffixes(name).nth(1) else { continue };
        let around = names.zone_of(parent).map(|zone| zone.apex.as_wire());
        let Some(apex) = around.or_else(|| stays_inside(parent)).map(<[u8]>::len) else { continue };
        let only = if node.for_all { Vec::new() } else { node.only.clone() };
        for parent in suffixes(name).skip(1).take_while(|parent| parent.len() > apex) {
            // Those above it are its own business then.
            if names.nodes.get(parent).is_some_and(|parent| parent.for_all) {
                break;
            }
            missing.push((parent.into(), only.clone()));
        }
    }
    for (name, only) in missing {
        names.nodes.entry(name).or_default().exists_for(&only);
    }
}

/// Wildcards by the name above them.
fn add_wildcards(names: &mut LocalNames) {
    let mut wildcards = ByName::default();
    for (name, node) in names.nodes.entries_unordered() {
        let Some(parent) = name.strip_prefix(b"\x01*") else { continue };
        let labels = suffixes(parent).count() - 1;
        names.wildcard_labels |= 1 << labels.min(63);
        wildcards.insert(parent.into(), node.clone());
    }
    names.wildcards = wildcards;
}

/// After everything else: a name that has no bit here is not looked for.
fn add_tails(names: &mut LocalNames) {
    let nodes = names.nodes.entries_unordered().map(|(name, _)| name);
    let wildcards = names.wildcards.entries_unordered().map(|(above, _)| above);
    let apexes = names.zones.iter().map(|zone| zone.apex.as_wire());
    names.tails = nodes.chain(wildcards).chain(apexes).fold(0, |all, name| all | tail_bit(name));
}

/// Of all records but the SOA, in whatever order they are met.
fn content(names: &LocalNames) -> u64 {
    let one = |name: &[u8], record: &Stored| {
        let mut hasher = DefaultHasher::new();
        let Stored { rtype, ttl_secs, rdata, only, home: _ } = record;
        (name, rtype, ttl_secs, rdata, only).hash(&mut hasher);
        hasher.finish()
    };
    let mut hasher = DefaultHasher::new();
    (&names.subnets, &names.search).hash(&mut hasher);
    let mut sum = hasher.finish();
    for (name, node) in names.nodes.entries_unordered() {
        for record in node.records.iter().filter(|record| record.rtype != RecordType::SOA) {
            sum = sum.wrapping_add(one(name, record));
        }
    }
    sum
}

/// Iteration whose order cannot be seen in the result.
trait Unordered {
    fn entries_unordered(&self) -> impl Iterator<Item = (&[u8], &Node)>;
    fn nodes_unordered(&mut self) -> impl Iterator<Item = &mut Node>;
}

impl Unordered for ByName<Node> {
    #[expect(clippy::disallowed_methods, reason = "each entry is dealt with by itself")]
    fn entries_unordered(&self) -> impl Iterator<Item = (&[u8], &Node)> {
        self.iter().map(|(name, node)| (&**name, node))
    }

    fn nodes_unordered(&mut self) -> impl Iterator<Item = &mut Node> {
        self.values_mut()
    }
}

fn soa(zone: &LocalZone, primary: &Name) -> Box<[u8]> {
    // RFC 1035, 3.3.13. Nobody transfers these zones: refresh, retry and expire are customary.
    let contact = b"\x0ahostmaster";
    let mut out = primary.as_wire().to_vec();
    if contact.len() + zone.apex.as_wire().len() <= crate::name::MAX_WIRE {
        out.extend_from_slice(contact);
    }
    out.extend_from_slice(zone.apex.as_wire());
    for number in [zone.serial, 3600, 900, 604_800, zone.negative_ttl_secs] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.into()
}
