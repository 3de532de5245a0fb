//! The household's own DNS records.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Record, word};
use crate::settings::fields::{Fields, Read, Wrong, shown};
use crate::settings::words::{Id, Name, Owner, Period};

/// A DNS record of the household.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LocalRecord {
    /// Its owner; a name without a dot is meant inside the household's domain. A first label `*`
    /// stands for every name below the rest that has no records of its own.
    pub name: Owner,
    /// Its type and value.
    #[serde(flatten)]
    pub data: RecordData,
    /// How long others may keep it (default 5m).
    pub ttl: Period,
    /// The networks whose clients see it, in place of the name's records for everybody; none: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Id>,
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
    /// Another type, with its value as in a zone file.
    Text(TextType, String),
}

/// A type whose values are written as in zone files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextType(&'static str, lanward_dns::RecordType);

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
            Some(addr) => Owner::parse(&reverse_name(addr)).ok(),
            None => fields.required("name", "\"nas\""),
        };
        let value: Option<String> = fields.required("value", "\"10.0.20.5\"");
        let ttl = fields.or("ttl", Period(Duration::from_secs(300)));
        let networks = fields.list("networks");
        let data = match RecordData::parse(rtype?, &value?) {
            Ok(data) => data,
            Err(wrong) => {
                fields.wrong("value", wrong);
                return None;
            }
        };
        Some(LocalRecord { name: name?, data, ttl, networks })
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
    Text(TextType),
}

impl Read for RecordType {
    fn read(value: &Value) -> Result<RecordType, Wrong> {
        let texts = lanward_dns::RecordData::TEXT_TYPES;
        let mut types = vec!["A", "AAAA", "CNAME", "PTR", "TXT", "SRV", "MX"];
        types.extend(texts.map(|(name, _)| name));
        let upper = value.as_str().map_or(value.clone(), |text| Value::from(text.to_uppercase()));
        let named = word(&upper, "a record type that is kept here", &types)?;
        if let Some((name, rtype)) = texts.into_iter().find(|(name, _)| *name == named) {
            return Ok(RecordType::Text(TextType(name, rtype)));
        }
        Ok(match named {
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
            RecordData::Text(TextType(name, _), _) => name,
        }
    }

    /// The value as it is written.
    pub fn value(&self) -> String {
        match self {
            RecordData::A(addr) => addr.to_string(),
            RecordData::Aaaa(addr) => addr.to_string(),
            RecordData::Cname(name) | RecordData::Ptr(name) => name.to_string(),
            RecordData::Txt(text) | RecordData::Text(_, text) => text.clone(),
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
            RecordType::Text(kind) => {
                kind.check(text).map(|()| RecordData::Text(kind, text.into()))
            }
        }
    }
}

impl TextType {
    /// The value in wire format.
    pub fn data(self, text: &str) -> Result<lanward_dns::RecordData, lanward_dns::LocalError> {
        lanward_dns::RecordData::from_text(self.1, text)
    }

    fn check(self, text: &str) -> Result<(), Wrong> {
        let TextType(name, _) = self;
        let example = match name {
            "CAA" => r#"0 issue "letsencrypt.org""#,
            "HTTPS" | "SVCB" => "1 . alpn=h2 port=8443",
            "NAPTR" => r#"10 10 "s" "SIP+D2U" "" _sip._udp.home.arpa"#,
            "SSHFP" => "4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789",
            _ => "3 1 1 0d6fce3f5d7f8d1a5b0c6b5f6f1f5c0e8d5b6a0f3e2d1c0b9a8f7e6d5c4b3a29",
        };
        self.data(text).map(drop).map_err(|error| {
            Wrong::new(
                format!("{} is not the value of a {name} record: {error}.", shown(&text.into())),
                format!("Write it as in a zone file, such as {example}"),
            )
        })
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
