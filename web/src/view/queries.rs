//! Questions that were answered, and what they come to.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Which questions are wanted. Terms are a field and a value, as texts:
///
/// | field | value |
/// |---|---|
/// | `device` | an address, a MAC, or the name of a device |
/// | `network` | a network's id, or a subnet |
/// | `name` | part of a name |
/// | `domain` | a domain: it and everything below |
/// | `type` | `AAAA`, `TYPE65`, `65` |
/// | `verdict` | `blocked`, `allowed`, `cached`, `forwarded`, `local`, `special`, `stale`, `failed`, `refused` |
/// | `rcode` | `NXDOMAIN`, `3` |
/// | `list`, `upstream`, `policy`, `transport`, `dnssec` | its name |
///
/// Terms of one field are alternatives, all fields must agree, and one excluded term is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryFilter {
    /// Wanted.
    #[serde(default)]
    pub include: Vec<(String, String)>,
    /// Not wanted.
    #[serde(default)]
    pub exclude: Vec<(String, String)>,
    /// Not before, milliseconds since 1970.
    #[serde(default)]
    pub from_ms: Option<i64>,
    /// Before.
    #[serde(default)]
    pub to_ms: Option<i64>,
}

impl QueryFilter {
    /// The fields there are.
    pub const FIELDS: [&'static str; 12] = [
        "device",
        "network",
        "name",
        "domain",
        "type",
        "verdict",
        "rcode",
        "list",
        "upstream",
        "policy",
        "transport",
        "dnssec",
    ];
}

/// What is asked of the history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueriesQuestion {
    /// Which.
    #[serde(default)]
    pub filter: QueryFilter,
    /// Older than this place, as an earlier answer gave it.
    #[serde(default)]
    pub before: Option<String>,
    /// Newer than this place, as an earlier answer gave it.
    #[serde(default)]
    pub after: Option<String>,
    /// At most so many.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// Some questions, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct QueriesAnswer {
    /// The questions.
    pub queries: Vec<QueryRow>,
    /// Where older ones begin; `None`: there are none.
    pub next: Option<String>,
    /// Where those begin that come from now on.
    pub newest: String,
    /// Whether the search took too long and was cut short: `next` goes on.
    pub cut: bool,
    /// What is not in this answer, in sentences: a host that cannot be asked, a damaged day.
    pub missing: Vec<String>,
    /// How much is kept: `everything`, `no_clients`, `no_names`, `numbers`, `off`.
    pub level: String,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueryRow {
    /// When.
    #[serde(serialize_with = "super::json::text")]
    pub at: Timestamp,
    /// The host that answered.
    pub host: String,
    /// Who asked; `None` where that is not kept.
    pub client: Option<String>,
    /// The name of the device that has this address now.
    pub device: Option<String>,
    /// What was asked; `None` where that is not kept.
    pub name: Option<String>,
    /// The type.
    #[serde(rename = "type")]
    pub qtype: String,
    /// How it was answered, a word of [`QueryFilter`]'s `verdict`.
    pub verdict: String,
    /// The response code.
    pub rcode: String,
    /// How it came.
    pub transport: String,
    /// What DNSSEC says.
    pub dnssec: String,
    /// The client's policy.
    pub policy: String,
    /// Who was asked for it.
    pub upstream: Option<String>,
    /// The rule that decided.
    pub rule: Option<QueryRule>,
    /// Milliseconds; `None`: answered at once.
    pub took_ms: Option<f64>,
}

/// The rule that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueryRule {
    /// Whether it is an exception.
    pub allowed: bool,
    /// The list.
    pub list: String,
    /// The rule; `None` where names are not kept.
    pub rule: Option<String>,
    /// The name in the answer that it matched, when not the one asked for.
    pub target: Option<String>,
}

/// What some hours come to, of both hosts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StatisticsView {
    /// Since when.
    #[serde(serialize_with = "super::json::text")]
    pub since: Timestamp,
    /// Questions.
    pub queries: u64,
    /// Of those, blocked.
    pub blocked: u64,
    /// By how they were answered.
    pub verdicts: Vec<Tally>,
    /// The names asked for most that were answered.
    pub domains: Vec<Tally>,
    /// The names blocked most.
    pub blocked_domains: Vec<Tally>,
    /// The devices that ask most.
    pub clients: Vec<ClientTally>,
    /// By type.
    pub types: Vec<Tally>,
    /// Blocked, by list.
    pub lists: Vec<Tally>,
    /// Of those that somebody else was asked for, 50, 90 and 99 of 100 took at most so long,
    /// milliseconds; `None` where there were none.
    pub latency_ms: [Option<f64>; 3],
    /// The same for each upstream.
    pub upstreams: Vec<UpstreamTally>,
    /// The last 24 hours at most, in steps of five minutes that had questions, oldest first.
    pub series: Vec<Step>,
    /// What is not in this answer, in sentences.
    pub missing: Vec<String>,
    /// How much is kept.
    pub level: String,
}

/// A word and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// The word.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// A client and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientTally {
    /// Its address.
    pub client: String,
    /// The name of the device that has it now.
    pub device: Option<String>,
    /// Its questions.
    pub count: u64,
    /// Of those, blocked.
    pub blocked: u64,
}

/// An upstream, how often, and how fast.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UpstreamTally {
    /// Its name.
    pub name: String,
    /// Its answers.
    pub count: u64,
    /// As [`StatisticsView::latency_ms`].
    pub latency_ms: [Option<f64>; 3],
}

/// Five minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Their beginning.
    #[serde(serialize_with = "super::json::text")]
    pub at: Timestamp,
    /// Questions that were blocked,
    pub blocked: u64,
    /// answered at once otherwise,
    pub at_once: u64,
    /// and asked of somebody else, failures included.
    pub forwarded: u64,
}

/// What is to be forgotten, on both hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForgetOrder {
    /// All questions of a device: an address, a MAC, or its name.
    Device(String),
    /// All questions for a domain and what is below it.
    Domain(String),
    /// Everything.
    Everything,
}

/// What was forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Forgotten {
    /// Questions.
    pub queries: u64,
    /// What could not be reached, in sentences.
    pub missing: Vec<String>,
}
