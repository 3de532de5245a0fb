//! The two hosts, and the pair's condition in plain words: the one catalogue for pages, API,
//! command line and log.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{Severity, json};

/// One host as this node knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostStatus {
    /// Its name, such as `pi-a`.
    pub name: String,
    /// Whether it is up and serving, as far as this node can tell.
    pub up: bool,
    /// Its state in the pair protocol, such as `NORMAL`.
    pub state: String,
    /// Why it is in that state, in one sentence.
    pub reason: String,
    /// Since when it is in that state.
    #[serde(serialize_with = "json::text_or_null")]
    pub since: Option<Timestamp>,
    /// When this node last heard of it; `None` for the node itself.
    #[serde(serialize_with = "json::text_or_null")]
    pub last_heard: Option<Timestamp>,
    /// When its daemon started.
    #[serde(serialize_with = "json::text_or_null")]
    pub started: Option<Timestamp>,
    /// Its version.
    pub version: Option<String>,
    /// Where it is reached, for people.
    pub address: Option<String>,
    /// The address of its web pages.
    pub url: Option<String>,
}

/// How the two hosts stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "condition", rename_all = "snake_case")]
pub enum Condition {
    /// No partner is configured.
    Single,
    /// This node has just started and looks for its partner.
    Starting,
    /// Both serve, nothing is waiting.
    BothUp,
    /// The partner has been silent for a moment, not long enough to act on.
    Checking {
        /// For how long.
        #[serde(rename = "silent_secs", serialize_with = "secs")]
        silent: Duration,
    },
    /// No answer from the partner: it is down, or cut off.
    PartnerDown,
    /// The partner is connected and the tables are being made equal.
    CatchingUp {
        /// Changes settled.
        done: u64,
        /// Changes in all.
        total: u64,
    },
}

fn secs<S: serde::Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(value.as_secs())
}

/// The pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PairStatus {
    /// How the hosts stand to each other.
    #[serde(flatten)]
    pub condition: Condition,
    /// Since when.
    #[serde(serialize_with = "json::text_or_null")]
    pub since: Option<Timestamp>,
    /// This node.
    pub own: HostStatus,
    /// Its partner, if one is configured.
    pub partner: Option<HostStatus>,
    /// Lease and settings changes the partner does not have yet.
    pub unsynced: u64,
}

impl PairStatus {
    /// The partner's name, or a word for it.
    pub fn partner_name(&self) -> &str {
        self.partner.as_ref().map_or("the other host", |p| p.name.as_str())
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self.condition {
            Condition::BothUp => Severity::Ok,
            Condition::Single | Condition::Starting | Condition::CatchingUp { .. } => {
                Severity::Info
            }
            Condition::Checking { .. } | Condition::PartnerDown => Severity::Warning,
        }
    }

    /// Two or three words, for the mark on every page.
    pub fn headline(&self) -> String {
        match self.condition {
            Condition::Single => "One host".to_owned(),
            Condition::Starting => "Starting".to_owned(),
            Condition::BothUp => "Both hosts up".to_owned(),
            Condition::Checking { .. } => format!("Checking {}", self.partner_name()),
            Condition::PartnerDown => format!("{} down", self.partner_name()),
            Condition::CatchingUp { done, total } => {
                format!("Catching up {} %", percent(done, total))
            }
        }
    }

    /// What it means for the household, in a sentence or two. Without times: pages put
    /// [`PairStatus::since`] beside it.
    pub fn sentence(&self) -> String {
        let (own, partner) = (&self.own.name, self.partner_name());
        match self.condition {
            Condition::Single => "Your network stops when this host stops.".to_owned(),
            Condition::Starting => {
                format!("{own} looks for {partner} before it serves DHCP. DNS answers already.")
            }
            Condition::BothUp => "If one stops, the other carries on.".to_owned(),
            Condition::Checking { silent } => format!(
                "No answer from {partner} for {} s. Nothing changes for devices yet.",
                silent.as_secs()
            ),
            Condition::PartnerDown => {
                let waiting = match self.unsynced {
                    0 => String::new(),
                    1 => format!(" 1 change waits for {partner}."),
                    n => format!(" {n} changes wait for {partner}."),
                };
                format!("{own} answers DNS and DHCP for every network.{waiting}")
            }
            Condition::CatchingUp { done, total } => {
                let left = total.saturating_sub(done);
                let changes = if left == 1 { "change" } else { "changes" };
                format!("{own} and {partner} exchange {left} more {changes}; then both serve.")
            }
        }
    }
}

/// `done` of `total` in whole percent, rounded down; 100 only when all is done.
pub(crate) fn percent(done: u64, total: u64) -> u64 {
    if total == 0 { 100 } else { (done.min(total) as u128 * 100 / total as u128) as u64 }
}
