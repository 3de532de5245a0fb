//! The household's records, version 1: one value each in the replicated document, one table each
//! in `household.toml`. A later version adds fields with defaults or gets types of its own.

mod dnssec;
mod filtering;
mod history;
mod local;
mod network;
mod pause;
mod upstream;

use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;

use super::fields::{Fields, Wrong, nearest, shown};
use super::problem::{Place, Problem};
use super::words::{Id, Name, Period};

pub use dnssec::{DnssecMode, Exemption, TrustAnchor};
pub use filtering::{BlockMode, List, ListKind, Nat64, Policy, Rule, RuleKind, Source};
pub use history::{History, HistoryLevel};
pub use local::{LocalRecord, RecordData, TextType};
pub use network::{Dhcp, Network, OptionValue, RawOption, Reservation, Route, ServiceAddress};
pub use pause::{Pause, PauseScope};
pub use upstream::{Forward, PlainServer, Upstream, UpstreamGroup};

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

/// What the household sets once: each field is a record of its own, `setting/<field>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// The domain of local names (default `home.arpa`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<Name>,
    /// Resolvers that are asked for everything else, while no group `default` of them is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstreams: Option<Vec<Upstream>>,
    /// Plain resolvers that say where encrypted ones are that are known by name only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Vec<PlainServer>>,
    /// Names of time servers beside the well-known ones: they are found even while this host's clock
    /// is too wrong for certificates and signatures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_servers: Option<Vec<Name>>,
    /// Questions a second that one device may ask, in the long run; five times as many at once
    /// (default 200; 0: as many as it likes).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<u32>,
    /// Whether private addresses of public names are withheld (DNS rebinding, default true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebinding_protection: Option<bool>,
    /// Public names that may have private addresses all the same, with the names below them
    /// (default `plex.direct`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_names: Option<Vec<Name>>,
    /// Whether the answers of upstreams are validated (default: yes).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dnssec: Option<DnssecMode>,
    /// Names that are not validated (RFC 7646).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dnssec_exempt: Option<Vec<Exemption>>,
    /// Keys that validation trusts (default: those of the root).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_anchors: Option<Vec<TrustAnchor>>,
    /// How long one host may lend alone beyond what the other knows (MCLT, default 1h).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mclt: Option<Period>,
    /// After how long a silence the partner is taken for off by itself (default: never).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_partner_down: Option<Period>,
    /// What is kept of the questions, and for how long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
}

impl Settings {
    /// The settings there are, as the last part of their keys.
    pub const KEYS: [&'static str; 13] = [
        "domain",
        "upstreams",
        "bootstrap",
        "time_servers",
        "rate_limit",
        "rebinding_protection",
        "private_names",
        "dnssec",
        "dnssec_exempt",
        "trust_anchors",
        "mclt",
        "auto_partner_down",
        "history",
    ];

    /// Reads those that `fields` has.
    pub fn read(fields: &mut Fields<'_>) -> Settings {
        let domain = fields.optional("domain");
        let upstreams = fields.has("upstreams").then(|| fields.list("upstreams"));
        let dnssec = fields.optional("dnssec");
        let dnssec_exempt = fields.has("dnssec_exempt").then(|| fields.list("dnssec_exempt"));
        let trust_anchors = fields.has("trust_anchors").then(|| fields.list("trust_anchors"));
        let mclt = fields.optional("mclt");
        let history = fields.table("history", History::read);
        Settings {
            domain,
            upstreams,
            bootstrap: fields.has("bootstrap").then(|| fields.list("bootstrap")),
            time_servers: fields.has("time_servers").then(|| fields.list("time_servers")),
            rate_limit: fields.optional("rate_limit"),
            rebinding_protection: fields.optional("rebinding_protection"),
            private_names: fields.has("private_names").then(|| fields.list("private_names")),
            dnssec,
            dnssec_exempt,
            trust_anchors,
            mclt,
            auto_partner_down: fields.optional("auto_partner_down"),
            history,
        }
    }
}

/// The policy of those who name none.
pub fn default_policy() -> Id {
    Id::parse("default").unwrap_or_else(|_| unreachable!("`default` is an id"))
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

/// The resolvers that are asked while none are configured.
pub fn default_upstreams() -> Vec<Upstream> {
    // Two operators, so that one of them failing is not the household's failure.
    [[9, 9, 9, 9], [1, 1, 1, 1]]
        .into_iter()
        .map(|addr| Upstream::plain((IpAddr::from(addr), 53).into()))
        .collect()
}
