//! The household's records, version 1: one value each in the replicated document, one table each
//! in `household.toml`. A later version adds fields with defaults or gets types of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::fields::{Fields, Read, Wrong, nearest, shown};
use super::problem::{Place, Problem};
use super::words::{Hex, Id, Mac, Name, Period, Range, Upstream};

/// A kind of record.
pub trait Record: Serialize + Sized {
    /// The first part of its keys, such as `network`.
    const KIND: &'static str;

    /// Reads it from its fields; tells everything that is wrong, and gives up only when
    /// something is missing that has no default.
    fn read(fields: &mut Fields<'_>) -> Option<Self>;

    /// The key of the record with this id.
    fn key(id: &str) -> String {
        format!("{}/{id}", Self::KIND)
    }

    /// The text kept in the document.
    fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the text kept in the document under `key`.
    fn from_json(key: &str, json: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        match serde_json::from_str::<Value>(json) {
            Ok(value) => Fields::read_all(key, &value, problems, Self::read),
            Err(error) => {
                problems.push(Problem::error(
                    Place::new(key, ""),
                    format!("The record is not JSON: {error}."),
                    "Write the record anew.",
                ));
                None
            }
        }
    }
}

/// One network of the household: usually one VLAN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Network {
    /// What people call it; the id when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its VLAN id, 1 to 4094; for people, the interface is found by its addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// Its IPv4 subnet.
    pub subnet: Ipv4Net,
    /// IPv6 prefixes whose DNS clients belong to this network too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefixes6: Vec<IpNet>,
    /// Its router (option 3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub router: Option<Ipv4Addr>,
    /// What devices are told to use for DNS; none: both hosts' own addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service_addresses: Vec<Ipv4Addr>,
    /// The policy of its devices.
    pub policy: Id,
    /// The domain of its devices' names; none: the household's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<Name>,
    /// Its DHCP scope; none: no DHCP here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<Dhcp>,
}

/// The DHCP scope of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dhcp {
    /// Whether DHCP is served here (default true).
    pub enabled: bool,
    /// Addresses for devices without a reservation.
    pub pools: Vec<Range>,
    /// Addresses in the pools that are never given out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Range>,
    /// Lease time (default 24h).
    pub lease_time: Period,
    /// Longest lease time a device may ask for (default: the lease time).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_lease_time: Option<Period>,
    /// Whether option 61 tells devices apart (default true); else only their MAC does.
    pub client_id: bool,
    /// Whether to refuse addresses that are wrong for the network (default true).
    pub authoritative: bool,
    /// Whether to ask the network if an address is in use before a device gets it for the first
    /// time (default true).
    pub probe: bool,
    /// DNS servers to tell devices, instead of this pair (option 6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<Vec<Ipv4Addr>>,
    /// Time servers (option 42).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ntp: Vec<Ipv4Addr>,
    /// Domains to search (option 119).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<Name>,
    /// Routes (option 121).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Any other option.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<RawOption>,
}

/// A route for option 121.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// Where it leads.
    pub to: Ipv4Net,
    /// The router that leads there.
    pub via: Ipv4Addr,
}

/// Any DHCP option by number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RawOption {
    /// Its code.
    pub code: u8,
    /// Its value.
    #[serde(flatten)]
    pub value: OptionValue,
}

/// How the value of a [`RawOption`] is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OptionValue {
    /// Text, as it is.
    Text(String),
    /// Bytes.
    Hex(Hex),
    /// IPv4 addresses, 4 bytes each.
    Addresses(Vec<Ipv4Addr>),
    /// One byte.
    U8(u8),
    /// Two bytes, big end first.
    U16(u16),
    /// Four bytes, big end first.
    U32(u32),
}

/// A fixed address for one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reservation {
    /// The network's id.
    pub network: Id,
    /// The device's MAC address, and/or
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// the client identifier it sends (option 61, type byte included).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Hex>,
    /// The address.
    pub address: Ipv4Addr,
    /// Its name in DNS, one label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// What is blocked for those who have it, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// The ids of its lists.
    pub lists: Vec<Id>,
    /// Whether anything is blocked (default true).
    pub blocking: bool,
    /// What a blocked question is answered with.
    pub block_mode: BlockMode,
    /// How long that answer may be kept (default 10s).
    pub blocked_ttl: Period,
}

/// What a blocked question is answered with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlockMode {
    /// `null`: `0.0.0.0` and `::`.
    #[default]
    Null,
    /// `nxdomain`.
    NxDomain,
    /// `nodata`: no answer records.
    NoData,
    /// `{ ipv4 = "..", ipv6 = ".." }`.
    Addresses {
        /// For A.
        ipv4: Ipv4Addr,
        /// For AAAA.
        ipv6: Ipv6Addr,
    },
}

/// A blocklist or allow list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct List {
    /// Where it comes from: one of `url`, `file`, `builtin = true`.
    #[serde(flatten)]
    pub source: Source,
    /// What people call it; the id when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether its names are blocked or allowed.
    pub kind: ListKind,
    /// Whether it is used (default true).
    pub enabled: bool,
    /// Other places to fetch it from when the first fails.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
    /// Whether it may be fetched from a private address (default false).
    pub allow_private: bool,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Where a list comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// An `http` or `https` address.
    Url(String),
    /// An absolute path on each host.
    File(String),
    /// The small list inside the program.
    Builtin,
}

/// What a list or rule does with its names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ListKind {
    /// They are blocked.
    #[default]
    Block,
    /// They are allowed whatever blocks them.
    Allow,
}

/// One name allowed or denied by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// `allow` or `deny`.
    pub kind: RuleKind,
    /// The name.
    pub name: Name,
    /// Whether names below it are meant too (default true).
    pub subdomains: bool,
    /// The policies it belongs to; none: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Id>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// What a rule does with its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleKind {
    /// Never blocked.
    Allow,
    /// Always blocked.
    Deny,
}

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

/// What the household sets once: each field is a record of its own, `setting/<field>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// The domain of local names (default `home.arpa`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<Name>,
    /// Resolvers that are asked for everything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstreams: Option<Vec<Upstream>>,
    /// How long one host may lend alone beyond what the other knows (MCLT, default 1h).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mclt: Option<Period>,
}

impl Settings {
    /// The settings there are, as the last part of their keys.
    pub const KEYS: [&'static str; 3] = ["domain", "upstreams", "mclt"];

    /// Reads those that `fields` has.
    pub fn read(fields: &mut Fields<'_>) -> Settings {
        let domain = fields.optional("domain");
        let upstreams = fields.has("upstreams").then(|| fields.list("upstreams"));
        Settings { domain, upstreams, mclt: fields.optional("mclt") }
    }
}

impl Record for Network {
    const KIND: &'static str = "network";

    fn read(fields: &mut Fields<'_>) -> Option<Network> {
        let name = fields.optional("name");
        let vlan = fields.optional("vlan").filter(|vlan| {
            let good = (1..=4094).contains(vlan);
            if !good {
                fields.wrong(
                    "vlan",
                    Wrong::new(format!("{vlan} is not a VLAN id."), "Use 1 to 4094."),
                );
            }
            good
        });
        let subnet = fields.required("subnet", "\"10.0.20.0/24\"");
        let network = Network {
            name,
            vlan,
            subnet: subnet.unwrap_or_default(),
            prefixes6: fields.list("prefixes6"),
            router: fields.optional("router"),
            service_addresses: fields.list("service_addresses"),
            policy: fields.optional("policy").unwrap_or_else(default_policy),
            domain: fields.optional("domain"),
            dhcp: fields.table("dhcp", Dhcp::read),
        };
        subnet.map(|_| network)
    }
}

/// The policy of those who name none.
pub fn default_policy() -> Id {
    Id::parse("default").unwrap_or_else(|_| unreachable!("`default` is an id"))
}

impl Dhcp {
    /// A scope with the given pools and everything else by default.
    pub fn new(pools: Vec<Range>) -> Dhcp {
        Dhcp {
            enabled: true,
            pools,
            exclude: Vec::new(),
            lease_time: Period(Duration::from_secs(86_400)),
            max_lease_time: None,
            client_id: true,
            authoritative: true,
            probe: true,
            dns: None,
            ntp: Vec::new(),
            search: Vec::new(),
            routes: Vec::new(),
            options: Vec::new(),
        }
    }

    fn read(fields: &mut Fields<'_>) -> Option<Dhcp> {
        let default = Dhcp::new(fields.list("pools"));
        // A switch that cannot be read must not turn a server on.
        let enabled = !fields.has("enabled") || fields.or("enabled", false);
        Some(Dhcp {
            enabled,
            exclude: fields.list("exclude"),
            lease_time: fields.or("lease_time", default.lease_time),
            max_lease_time: fields.optional("max_lease_time"),
            client_id: fields.or("client_id", default.client_id),
            authoritative: fields.or("authoritative", default.authoritative),
            probe: fields.or("probe", default.probe),
            dns: fields.has("dns").then(|| fields.list("dns")),
            ntp: fields.list("ntp"),
            search: fields.list("search"),
            routes: fields.tables("routes", |fields| {
                let to = fields.required("to", "\"10.8.0.0/16\"");
                let via = fields.required("via", "\"10.0.20.1\"");
                Some(Route { to: to?, via: via? })
            }),
            options: fields.tables("options", RawOption::read),
            ..default
        })
    }
}

impl RawOption {
    fn read(fields: &mut Fields<'_>) -> Option<RawOption> {
        let code = fields.required("code", "66");
        let mut values: Vec<OptionValue> = Vec::new();
        let mut given = 0;
        for name in ["text", "hex", "addresses", "u8", "u16", "u32"] {
            given += usize::from(fields.has(name));
            values.extend(match name {
                "text" => fields.optional(name).map(OptionValue::Text),
                "hex" => fields.optional(name).map(OptionValue::Hex),
                "addresses" if !fields.has(name) => None,
                "addresses" => Some(OptionValue::Addresses(fields.list(name))),
                "u8" => fields.optional(name).map(OptionValue::U8),
                "u16" => fields.optional(name).map(OptionValue::U16),
                _ => fields.optional(name).map(OptionValue::U32),
            });
        }
        if given != 1 {
            fields.wrong(
                "",
                Wrong::new(
                    if given == 0 {
                        "The option has no value."
                    } else {
                        "The option has two values."
                    },
                    "Give exactly one of text, hex, addresses, u8, u16 and u32.",
                ),
            );
            return None;
        }
        Some(RawOption { code: code?, value: values.pop()? })
    }
}

impl Record for Reservation {
    const KIND: &'static str = "reservation";

    fn read(fields: &mut Fields<'_>) -> Option<Reservation> {
        let network = fields.required("network", "\"iot\"");
        let (has_mac, has_id) = (fields.has("mac"), fields.has("client_id"));
        if !has_mac && !has_id {
            fields.wrong(
                "",
                Wrong::new(
                    "The reservation does not say whose it is.",
                    "Add mac = \"02:00:5e:10:00:01\", or client_id.",
                ),
            );
        }
        let mac = fields.optional("mac");
        let client_id: Option<Hex> = fields.optional("client_id").filter(|id: &Hex| {
            let good = (2..=255).contains(&id.0.len());
            if !good {
                fields.wrong(
                    "client_id",
                    Wrong::new(
                        format!("A client identifier has 2 to 255 bytes, not {}.", id.0.len()),
                        "Copy it from the device's lease, type byte included.",
                    ),
                );
            }
            good
        });
        let address = fields.required("address", "\"10.0.20.5\"");
        let name: Option<Name> = fields.optional("name").filter(|name: &Name| {
            let good = !name.as_str().contains(['.', '_']);
            if !good {
                fields.wrong(
                    "name",
                    Wrong::new(
                        format!("{name} is not one host name."),
                        "Use letters, digits and hyphens; the network's domain is added to it.",
                    ),
                );
            }
            good
        });
        let comment = fields.optional("comment");
        if mac.is_none() && client_id.is_none() {
            return None;
        }
        Some(Reservation { network: network?, mac, client_id, address: address?, name, comment })
    }
}

impl Record for Policy {
    const KIND: &'static str = "policy";

    fn read(fields: &mut Fields<'_>) -> Option<Policy> {
        Some(Policy {
            lists: fields.list("lists"),
            blocking: fields.or("blocking", true),
            block_mode: BlockMode::read(fields),
            blocked_ttl: fields.or("blocked_ttl", Period(lanward_dns::Policy::BLOCKED_TTL)),
        })
    }
}

impl BlockMode {
    fn read(fields: &mut Fields<'_>) -> BlockMode {
        let mode = match fields.peek("block_mode") {
            Some(Value::Object(_)) => fields.table("block_mode", |fields| {
                let ipv4 = fields.required("ipv4", "\"10.0.20.2\"");
                let ipv6 = fields.required("ipv6", "\"::\"");
                Some(BlockMode::Addresses { ipv4: ipv4?, ipv6: ipv6? })
            }),
            _ => fields.optional("block_mode"),
        };
        mode.unwrap_or_default()
    }
}

impl Read for BlockMode {
    fn read(value: &Value) -> Result<BlockMode, Wrong> {
        let modes = ["null", "nxdomain", "nodata"];
        match word(value, "a block mode", &modes)? {
            "null" => Ok(BlockMode::Null),
            "nxdomain" => Ok(BlockMode::NxDomain),
            _ => Ok(BlockMode::NoData),
        }
    }
}

impl Serialize for BlockMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            BlockMode::Null => serializer.serialize_str("null"),
            BlockMode::NxDomain => serializer.serialize_str("nxdomain"),
            BlockMode::NoData => serializer.serialize_str("nodata"),
            BlockMode::Addresses { ipv4, ipv6 } => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("ipv4", ipv4)?;
                map.serialize_entry("ipv6", ipv6)?;
                map.end()
            }
        }
    }
}

impl Record for List {
    const KIND: &'static str = "list";

    fn read(fields: &mut Fields<'_>) -> Option<List> {
        let source = Source::read(fields);
        let list = List {
            source: Source::Builtin,
            name: fields.optional("name"),
            kind: fields.or("kind", ListKind::Block),
            enabled: fields.or("enabled", true),
            mirrors: fields.list::<Url>("mirrors").into_iter().map(|url| url.0).collect(),
            allow_private: fields.or("allow_private", false),
            comment: fields.optional("comment"),
        };
        source.map(|source| List { source, ..list })
    }
}

impl Source {
    fn read(fields: &mut Fields<'_>) -> Option<Source> {
        let builtin = fields.or("builtin", false);
        let given = [fields.has("url"), fields.has("file"), builtin];
        if given.iter().filter(|given| **given).count() != 1 {
            let message = if given.contains(&true) {
                "The list has more than one source."
            } else {
                "The list has no source."
            };
            let fix = "Give exactly one of url, file and builtin = true.";
            fields.wrong("", Wrong::new(message, fix));
            // Both are read all the same, so that what else is wrong with them is told too.
        }
        let url = fields.optional::<Url>("url").map(|url| Source::Url(url.0));
        let file = fields.optional::<String>("file").and_then(|path| {
            if path.starts_with('/') {
                return Some(Source::File(path));
            }
            let message = format!("{} is not an absolute path.", shown(&Value::from(path)));
            fields.wrong("file", Wrong::new(message, "Begin it with a slash."));
            None
        });
        url.or(file).or(builtin.then_some(Source::Builtin))
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Source::Url(url) => map.serialize_entry("url", url)?,
            Source::File(path) => map.serialize_entry("file", path)?,
            Source::Builtin => map.serialize_entry("builtin", &true)?,
        }
        map.end()
    }
}

/// An `http` or `https` address of a list.
struct Url(String);

impl Read for Url {
    fn read(value: &Value) -> Result<Url, Wrong> {
        let text = String::read(value)?;
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let good = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
            && !text.chars().any(|c| c.is_whitespace() || c.is_control());
        good.then_some(Url(text)).ok_or_else(|| {
            Wrong::new(
                format!("{} is not a web address.", shown(value)),
                "Write it such as https://lists.example/ads.txt.",
            )
        })
    }
}

impl Read for ListKind {
    fn read(value: &Value) -> Result<ListKind, Wrong> {
        let kind = word(value, "a kind of list", &["block", "allow"])?;
        Ok(if kind == "allow" { ListKind::Allow } else { ListKind::Block })
    }
}

impl Record for Rule {
    const KIND: &'static str = "rule";

    fn read(fields: &mut Fields<'_>) -> Option<Rule> {
        let kind = fields.required("kind", "\"deny\"");
        let name = fields.required("name", "\"ads.example\"");
        let subdomains = fields.or("subdomains", true);
        let policies = fields.list("policies");
        let comment = fields.optional("comment");
        Some(Rule { kind: kind?, name: name?, subdomains, policies, comment })
    }
}

impl Read for RuleKind {
    fn read(value: &Value) -> Result<RuleKind, Wrong> {
        let kind = word(value, "a kind of rule", &["allow", "deny"])?;
        Ok(if kind == "allow" { RuleKind::Allow } else { RuleKind::Deny })
    }
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

/// One of a few words.
fn word<'w>(value: &Value, what: &str, words: &[&'w str]) -> Result<&'w str, Wrong> {
    let text = value.as_str().unwrap_or_default();
    if let Some(word) = words.iter().find(|word| **word == text) {
        return Ok(word);
    }
    let fix = match nearest(text, words) {
        Some(word) => format!("Did you mean \"{word}\"?"),
        None => format!("Use one of: {}.", words.join(", ")),
    };
    Err(Wrong::new(format!("{} is not {what}.", shown(value)), fix))
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

/// The resolvers that are asked while none are configured.
pub fn default_upstreams() -> Vec<Upstream> {
    // Two operators, so that one of them failing is not the household's failure.
    [[9, 9, 9, 9], [1, 1, 1, 1]]
        .into_iter()
        .map(|addr| Upstream((IpAddr::from(addr), 53).into()))
        .collect()
}
