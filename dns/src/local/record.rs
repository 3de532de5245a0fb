//! Local records and their data in wire format.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::{RData, RecordType as HickoryType};
use hickory_proto::serialize::binary::BinEncodable;

use super::NetworkId;
use crate::{Name, RecordType};

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
    /// Data of another type, in wire format; made by [`RecordData::from_text`].
    Other(RecordType, Box<[u8]>),
}

/// One local record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalRecord {
    /// Owner, complete. A first label `*` stands for every name below the rest that does not exist
    /// otherwise (RFC 4592).
    pub name: Name,
    /// Seconds.
    pub ttl_secs: u32,
    /// Type and data.
    pub data: RecordData,
    /// Whose clients see it, in place of the name's records for everybody; empty: everybody's.
    pub networks: Vec<NetworkId>,
}

/// Why a local record was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocalError {
    /// RFC 1034, 3.6.2: an alias has no other data, and a name one alias at most.
    #[error("{0} cannot have a CNAME record and other records at once")]
    AliasAndData(Name),
    /// A TXT record needs one text at least, each of 255 bytes at most (RFC 1035, 3.3.14).
    #[error("the texts of {0} must be 255 bytes each at most, and one at least")]
    Text(Name),
    /// The text is not data of that type in the format of zone files.
    #[error("{0}")]
    Data(String),
}

impl RecordData {
    /// The types that [`RecordData::from_text`] takes, by name.
    pub const TEXT_TYPES: [(&'static str, RecordType); 6] = [
        ("CAA", RecordType::CAA),
        ("HTTPS", RecordType::HTTPS),
        ("NAPTR", RecordType::NAPTR),
        ("SSHFP", RecordType::SSHFP),
        ("SVCB", RecordType::SVCB),
        ("TLSA", RecordType::TLSA),
    ];

    /// Data of one of [`RecordData::TEXT_TYPES`] from its text in the format of zone files, such as
    /// `0 issue "ca.example"` for a CAA record.
    pub fn from_text(rtype: RecordType, text: &str) -> Result<Self, LocalError> {
        let wrong = |error: &dyn std::fmt::Display| LocalError::Data(error.to_string());
        if !Self::TEXT_TYPES.iter().any(|(_, known)| *known == rtype) {
            return Err(wrong(&"records of this type are not kept here"));
        }
        let data = RData::try_from_str(HickoryType::from(rtype.0), text);
        let wire = data.map_err(|error| wrong(&error))?.to_bytes();
        let wire = wire.map_err(|error| wrong(&error))?;
        if wire.is_empty() || wire.len() > MAX_DATA {
            return Err(wrong(&"it is empty or too long"));
        }
        Ok(Self::Other(rtype, wire.into()))
    }
}

/// More than any record of a household, and less than a UDP answer.
const MAX_DATA: usize = 1024;

pub(super) fn encode(record: &LocalRecord) -> Result<(RecordType, Box<[u8]>), LocalError> {
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
        RecordData::Other(rtype, wire) => (*rtype, wire.clone()),
    })
}

/// The host that data of this type names, whose addresses a client will ask for next (RFC 1035,
/// 3.3.9 and 3.3.11; RFC 2782).
pub(crate) fn target(rtype: RecordType, rdata: &[u8]) -> Option<&[u8]> {
    match rtype {
        RecordType::NS => Some(rdata),
        RecordType::MX => rdata.get(2..),
        RecordType::SRV => rdata.get(6..),
        _ => None,
    }
}
