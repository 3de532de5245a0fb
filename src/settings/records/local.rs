//! The household's own DNS records.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Record, word};
use crate::settings::fields::{Fields, Read, Wrong, shown};
use crate::settings::words::{Name, Period};

/// A DNS record of the household.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LocalRecord {
    /// Its owner; a name without a dot is meant inside the household's domain.
    pub name: Name,
    /// Its type and value.
    #[serde(flatten)]
    pub data: RecordData,
    /// How long others may keep it (default 5m).
    pub ttl: Period,
}

/// Type and value of a [`LocalRecord`]; written as `type = "MX"`, `value = "10 mail.home.arpa"`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordData {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// Another name for a host.
    Cname(Name),
    /// The name of an address; the owner is an `in-addr.arpa` or `ip6.arpa` name.
    Ptr(Name),
    /// Text; cut into strings of 255 bytes on the wire.
    Txt(String),
    /// A service: `PRIORITY WEIGHT PORT TARGET`.
    Srv(u16, u16, u16, Name),
    /// A mail server: `PREFERENCE HOST`.
    Mx(u16, Name),
}

impl Record for LocalRecord {
    const KIND: &'static str = "record";

    fn read(fields: &mut Fields<'_>) -> Option<LocalRecord> {
        let rtype: Option<RecordType> = fields.required("type", "\"A\"");
        let addr = match (rtype, fields.peek("name").and_then(Value::as_str)) {
            (Some(RecordType::Ptr), Some(text)) => text.trim().parse::<IpAddr>().ok(),
            _ => None,
        };
        // A PTR record may be given by the address it is for.
        let name = match addr {
            Some(addr) => Name::parse(&reverse_name(addr)).ok(),
            None => fields.required("name", "\"nas\""),
        };
        let value: Option<String> = fields.required("value", "\"10.0.20.5\"");
        let ttl = fields.or("ttl", Period(Duration::from_secs(300)));
        let data = match RecordData::parse(rtype?, &value?) {
            Ok(data) => data,
            Err(wrong) => {
                fields.wrong("value", wrong);
                return None;
            }
        };
        Some(LocalRecord { name: name?, data, ttl })
    }
}

#[derive(Clone, Copy)]
enum RecordType {
    A,
    Aaaa,
    Cname,
    Ptr,
    Txt,
    Srv,
    Mx,
}

impl Read for RecordType {
    fn read(value: &Value) -> Result<RecordType, Wrong> {
        let types = ["A", "AAAA", "CNAME", "PTR", "TXT", "SRV", "MX"];
        let upper = value.as_str().map_or(value.clone(), |text| Value::from(text.to_uppercase()));
        Ok(match word(&upper, "a record type that is kept here", &types)? {
            "A" => RecordType::A,
            "AAAA" => RecordType::Aaaa,
            "CNAME" => RecordType::Cname,
            "PTR" => RecordType::Ptr,
            "TXT" => RecordType::Txt,
            "SRV" => RecordType::Srv,
            _ => RecordType::Mx,
        })
    }
}

impl RecordData {
    /// The type's name, such as `AAAA`.
    pub fn type_name(&self) -> &'static str {
        match self {
            RecordData::A(_) => "A",
            RecordData::Aaaa(_) => "AAAA",
            RecordData::Cname(_) => "CNAME",
            RecordData::Ptr(_) => "PTR",
            RecordData::Txt(_) => "TXT",
            RecordData::Srv(..) => "SRV",
            RecordData::Mx(..) => "MX",
        }
    }

    /// The value as it is written.
    pub fn value(&self) -> String {
        match self {
            RecordData::A(addr) => addr.to_string(),
            RecordData::Aaaa(addr) => addr.to_string(),
            RecordData::Cname(name) | RecordData::Ptr(name) => name.to_string(),
            RecordData::Txt(text) => text.clone(),
            RecordData::Srv(priority, weight, port, target) => {
                format!("{priority} {weight} {port} {target}")
            }
            RecordData::Mx(preference, host) => format!("{preference} {host}"),
        }
    }

    fn parse(rtype: RecordType, text: &str) -> Result<RecordData, Wrong> {
        let value = Value::from(text);
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |text: &str| text.parse::<u16>().ok();
        match rtype {
            RecordType::A => Ipv4Addr::read(&value).map(RecordData::A),
            RecordType::Aaaa => Ipv6Addr::read(&value).map(RecordData::Aaaa),
            RecordType::Cname => Name::parse(text).map(RecordData::Cname),
            RecordType::Ptr => Name::parse(text).map(RecordData::Ptr),
            RecordType::Txt if text.len() <= 4096 => Ok(RecordData::Txt(text.to_owned())),
            RecordType::Txt => Err(Wrong::new("The text is too long.", "Use 4096 bytes or less.")),
            RecordType::Srv => match words[..] {
                [priority, weight, port, target] => number(priority)
                    .zip(number(weight))
                    .zip(number(port))
                    .map(|((priority, weight), port)| (priority, weight, port, target)),
                _ => None,
            }
            .ok_or_else(|| {
                Wrong::new(
                    format!("{} is not the value of an SRV record.", shown(&value)),
                    "Write priority, weight, port and target, such as 0 5 5060 sip.home.arpa.",
                )
            })
            .and_then(|(p, w, port, target)| Ok(RecordData::Srv(p, w, port, Name::parse(target)?))),
            RecordType::Mx => match words[..] {
                [preference, host] => number(preference).map(|preference| (preference, host)),
                _ => None,
            }
            .ok_or_else(|| {
                Wrong::new(
                    format!("{} is not the value of an MX record.", shown(&value)),
                    "Write preference and host, such as 10 mail.home.arpa.",
                )
            })
            .and_then(|(preference, host)| Ok(RecordData::Mx(preference, Name::parse(host)?))),
        }
    }
}

impl Serialize for RecordData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("type", self.type_name())?;
        map.serialize_entry("value", &self.value())?;
        map.end()
    }
}

/// The name below `in-addr.arpa` or `ip6.arpa` that holds the PTR record of `addr`.
fn reverse_name(addr: IpAddr) -> String {
    match addr {
        IpAddr::V4(addr) => {
            let [a, b, c, d] = addr.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(addr) => {
            let nibbles = addr.octets().into_iter().rev().flat_map(|b| [b & 15, b >> 4]);
            nibbles.map(|n| format!("{n:x}.")).collect::<String>() + "ip6.arpa"
        }
    }
}
