//! Building [`LocalNames`].

use std::collections::hash_map::Entry;

use ipnet::IpNet;

use super::{
    LocalHost, LocalNames, LocalRecord, LocalZone, Node, RecordData, Stored, Zone, reverse_zones,
};
use crate::name::suffixes;
use crate::{Name, RecordType};

/// Why a local record was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocalError {
    /// RFC 1034, 3.6.2: an alias has no other data, and a name one alias at most.
    #[error("{0} cannot have a CNAME record and other records at once")]
    AliasAndData(Name),
    /// A TXT record needs one text at least, each of 255 bytes at most (RFC 1035, 3.3.14).
    #[error("the texts of {0} must be 255 bytes each at most, and one at least")]
    Text(Name),
}

/// Collects zones, hosts and records in any order.
#[derive(Debug, Default)]
pub struct LocalNamesBuilder {
    names: LocalNames,
}

impl LocalNamesBuilder {
    /// A zone we are the authority for. The same apex again is ignored.
    pub fn zone(&mut self, zone: &LocalZone) -> &mut Self {
        let names = &mut self.names;
        if let Entry::Vacant(vacant) = names.apexes.entry(zone.apex.as_wire().into()) {
            vacant.insert(names.zones.len() as u32);
            names.apex_labels |= 1 << zone.apex.labels().min(63);
            let ttl_secs = zone.negative_ttl_secs;
            let soa = soa(zone);
            names.zones.push(Zone {
                apex: zone.apex.clone(),
                soa: soa.clone(),
                negative_ttl_secs: ttl_secs,
            });
            let node = names.nodes.entry(zone.apex.as_wire().into()).or_default();
            node.records.push(Stored { rtype: RecordType::SOA, ttl_secs, rdata: soa });
            let rdata = zone.name_server.as_wire().into();
            node.records.push(Stored { rtype: RecordType::NS, ttl_secs, rdata });
        }
        self
    }

    /// The reverse zones of a network of ours, with the other properties of `like`.
    pub fn reverse(&mut self, network: IpNet, like: &LocalZone) -> &mut Self {
        for zone in reverse_zones(network, like) {
            self.zone(&zone);
        }
        self
    }

    /// A host. Its PTR records yield to explicit ones and to those of earlier hosts.
    pub fn host(&mut self, host: &LocalHost) -> Result<&mut Self, LocalError> {
        let ttl_secs = host.ttl_secs;
        for &address in &host.addresses {
            let data = match address.to_canonical() {
                std::net::IpAddr::V4(v4) => RecordData::A(v4),
                std::net::IpAddr::V6(v6) => RecordData::Aaaa(v6),
            };
            self.record(&LocalRecord { name: host.name.clone(), ttl_secs, data })?;
            let reverse = Name::reverse_of(address);
            let node = self.names.nodes.entry(reverse.as_wire().into()).or_default();
            if node.records.is_empty() {
                let rdata = host.name.as_wire().into();
                node.records.push(Stored { rtype: RecordType::PTR, ttl_secs, rdata });
            }
        }
        Ok(self)
    }

    /// A record. Saying the same twice is no error. Add explicit PTR records before hosts.
    pub fn record(&mut self, record: &LocalRecord) -> Result<&mut Self, LocalError> {
        let (rtype, rdata) = encode(record)?;
        let stored = Stored { rtype, ttl_secs: record.ttl_secs, rdata };
        let node = self.names.nodes.entry(record.name.as_wire().into()).or_default();
        if node.records.iter().any(|r| r.rtype == stored.rtype && r.rdata == stored.rdata) {
            return Ok(self);
        }
        let aliased = node.records.iter().any(|r| r.rtype == RecordType::CNAME);
        if aliased || (rtype == RecordType::CNAME && !node.records.is_empty()) {
            return Err(LocalError::AliasAndData(record.name.clone()));
        }
        node.records.push(stored);
        Ok(self)
    }

    /// The finished index.
    pub fn build(self) -> LocalNames {
        let mut names = self.names;
        add_empty_non_terminals(&mut names);
        names
    }
}

/// Between an apex and a name below it every name exists, if without records (RFC 8020).
fn add_empty_non_terminals(names: &mut LocalNames) {
    if names.apexes.is_empty() {
        return;
    }
    let mut missing: Vec<Box<[u8]>> = Vec::new();
    for name in names.nodes.keys_unordered() {
        let Some(zone) = names.zone_of(name) else { continue };
        let apex = zone.apex.as_wire().len();
        for parent in suffixes(name).skip(1).take_while(|parent| parent.len() > apex) {
            if names.nodes.contains_key(parent) {
                break;
            }
            missing.push(parent.into());
        }
    }
    for name in missing {
        names.nodes.entry(name).or_default();
    }
}

/// Iteration whose order cannot be seen in the result.
trait KeysUnordered {
    fn keys_unordered(&self) -> impl Iterator<Item = &[u8]>;
}

impl KeysUnordered for std::collections::HashMap<Box<[u8]>, Node> {
    #[expect(clippy::disallowed_methods, reason = "the names end up in a map again")]
    fn keys_unordered(&self) -> impl Iterator<Item = &[u8]> {
        self.keys().map(AsRef::as_ref)
    }
}

fn soa(zone: &LocalZone) -> Box<[u8]> {
    // RFC 1035, 3.3.13. Nobody transfers these zones: refresh, retry and expire are customary.
    let contact = b"\x0ahostmaster";
    let mut out = zone.name_server.as_wire().to_vec();
    if contact.len() + zone.apex.as_wire().len() <= crate::name::MAX_WIRE {
        out.extend_from_slice(contact);
    }
    out.extend_from_slice(zone.apex.as_wire());
    for number in [zone.serial, 3600, 900, 604_800, zone.negative_ttl_secs] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.into()
}

fn encode(record: &LocalRecord) -> Result<(RecordType, Box<[u8]>), LocalError> {
    Ok(match &record.data {
        RecordData::A(v4) => (RecordType::A, v4.octets().into()),
        RecordData::Aaaa(v6) => (RecordType::AAAA, v6.octets().into()),
        RecordData::Cname(target) => (RecordType::CNAME, target.as_wire().into()),
        RecordData::Ptr(target) => (RecordType::PTR, target.as_wire().into()),
        RecordData::Txt(texts) => {
            let mut out = Vec::new();
            for text in texts {
                let Ok(len) = u8::try_from(text.len()) else {
                    return Err(LocalError::Text(record.name.clone()));
                };
                out.push(len);
                out.extend_from_slice(text);
            }
            if out.is_empty() || out.len() > usize::from(u16::MAX) {
                return Err(LocalError::Text(record.name.clone()));
            }
            (RecordType::TXT, out.into())
        }
        RecordData::Srv { priority, weight, port, target } => {
            let mut out = Vec::new();
            for number in [priority, weight, port] {
                out.extend_from_slice(&number.to_be_bytes());
            }
            out.extend_from_slice(target.as_wire());
            (RecordType::SRV, out.into())
        }
        RecordData::Mx { preference, exchange } => {
            (RecordType::MX, [&preference.to_be_bytes(), exchange.as_wire()].concat().into())
        }
    })
}
