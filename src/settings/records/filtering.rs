//! Policies, lists and rules.

use std::net::{Ipv4Addr, Ipv6Addr};

use lanward_dns::Prefix64;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Record, word};
use crate::settings::fields::{Fields, Read, Wrong, shown};
use crate::settings::words::{Id, Name, Period};

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
    /// The group of upstream servers that is asked (default: `default`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstreams: Option<Id>,
    /// Whether the history keeps the questions of those who have it (default true).
    pub history: bool,
    /// Whether their answers are validated, where the setting `dnssec` has it so (default true).
    #[serde(skip_serializing_if = "is_true")]
    pub dnssec: bool,
    /// The prefix of the NAT64 that they are behind: names without an IPv6 address get one made from
    /// their IPv4 address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns64: Option<Nat64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_true(value: &bool) -> bool {
    *value
}

/// The prefix of a NAT64, written `"64:ff9b::/96"`; `true` is that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat64(pub Prefix64);

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
    /// The policies that use it besides those that name it. A list added in the pages names them
    /// here and leaves their records alone: so two lists, each added on one side of a break, do
    /// not collide.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Id>,
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

impl Record for Policy {
    const KIND: &'static str = "policy";

    fn read(fields: &mut Fields<'_>) -> Option<Policy> {
        Some(Policy {
            lists: fields.list("lists"),
            blocking: fields.or("blocking", true),
            block_mode: BlockMode::read(fields),
            blocked_ttl: fields.or("blocked_ttl", Period(lanward_dns::Policy::BLOCKED_TTL)),
            upstreams: fields.optional("upstreams"),
            history: fields.or("history", true),
            dnssec: fields.or("dnssec", true),
            dns64: fields.or("dns64", Nat64Word(None)).0.map(Nat64),
        })
    }
}

/// A prefix, `true` or `false`.
struct Nat64Word(Option<Prefix64>);

impl Read for Nat64Word {
    fn read(value: &Value) -> Result<Nat64Word, Wrong> {
        match value {
            Value::Bool(on) => Ok(Nat64Word(on.then_some(Prefix64::WELL_KNOWN))),
            _ => match value.as_str().unwrap_or_default().trim().parse() {
                Ok(prefix) => Ok(Nat64Word(Some(prefix))),
                Err(why) => Err(Wrong::new(
                    format!("{} is not the prefix of a NAT64: {why}.", shown(value)),
                    "Write the prefix that the NAT64 translates, such as \"64:ff9b::/96\".",
                )),
            },
        }
    }
}

impl Serialize for Nat64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
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
            policies: fields.list("policies"),
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
