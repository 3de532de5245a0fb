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
    /// No answer from the partner: it is down, or cut off. Both keep to their own half of each
    /// range for new devices.
    PartnerDown,
    /// The partner is known not to serve: somebody said that it is off, or it lost its disk.
    PartnerOff,
    /// The partner stopped in order, or is in maintenance: this node has everything.
    PartnerStopped,
    /// This node is in maintenance: it was told to leave DHCP to the partner.
    Maintenance,
    /// This node must learn what happened meanwhile before it serves DHCP again.
    Learning,
    /// This node must not serve before it has heard from its partner, which does not answer.
    Unsure,
    /// This node lost its disk, and waits until what it may have promised has ended.
    Waiting {
        /// For how long still.
        #[serde(rename = "left_secs", serialize_with = "secs")]
        left: Duration,
    },
    /// Both served as if the other was off; they compare what they gave.
    Merging,
    /// Two faults at once: this node serves alone without knowing what its partner promised.
    Solo,
    /// The partner took this node out of the pair.
    Removed,
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

/// What people may tell a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairOrder {
    /// This host is to leave DHCP to its partner; or to take its part again.
    Maintenance(bool),
    /// The partner is off.
    PartnerOff,
    /// The partner is to be removed, and this host to go on alone.
    Remove,
}

/// Something that happened to one of the two hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PairEvent {
    /// When, by the clock of the host that saw it.
    #[serde(serialize_with = "json::text")]
    pub at: Timestamp,
    /// The host it happened to.
    pub who: String,
    /// What, in a few words after the host's name.
    pub what: String,
    /// Why, in a sentence.
    pub why: String,
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
            Condition::Single
            | Condition::Starting
            | Condition::CatchingUp { .. }
            | Condition::PartnerStopped
            | Condition::Maintenance
            | Condition::Learning
            | Condition::Merging => Severity::Info,
            Condition::Checking { .. }
            | Condition::PartnerDown
            | Condition::PartnerOff
            | Condition::Waiting { .. } => Severity::Warning,
            Condition::Unsure | Condition::Solo | Condition::Removed => Severity::Bad,
        }
    }

    /// Two or three words, for the mark on every page.
    pub fn headline(&self) -> String {
        let (own, partner) = (&self.own.name, self.partner_name());
        match self.condition {
            Condition::Single => "One host".to_owned(),
            Condition::Starting => "Starting".to_owned(),
            Condition::BothUp => "Both hosts up".to_owned(),
            Condition::Checking { .. } => format!("Checking {partner}"),
            Condition::PartnerDown => format!("{partner} down"),
            Condition::PartnerOff => format!("{partner} is off"),
            Condition::PartnerStopped => format!("{partner} paused"),
            Condition::Maintenance => format!("{own} paused by you"),
            Condition::Learning => format!("{own} catches up"),
            Condition::Unsure => format!("{own} waits for {partner}"),
            Condition::Waiting { .. } => format!("{own} waits"),
            Condition::Merging => "Comparing leases".to_owned(),
            Condition::Solo => format!("{own} alone, carefully"),
            Condition::Removed => format!("{own} was removed"),
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
            Condition::PartnerDown => format!(
                "{own} answers DNS and DHCP for every network. To stay safe it gives new devices \
                 addresses of its own half of each range only: {partner} may be running and cut \
                 off.{}",
                self.waiting()
            ),
            Condition::PartnerOff => format!(
                "{own} answers DNS and DHCP for every network, and uses {partner}'s half of each \
                 range too as soon as no lease from {partner} can be running there.{}",
                self.waiting()
            ),
            Condition::PartnerStopped => format!(
                "{partner} stopped in order, and {own} serves everything with every address. It \
                 is safe to reboot {partner}.{}",
                self.waiting()
            ),
            Condition::Maintenance => format!(
                "{partner} serves DHCP for everybody; {own} answers DNS only. It is safe to \
                 reboot {own}."
            ),
            Condition::Learning => format!(
                "{own} learns from {partner} what changed before it serves DHCP again. DNS \
                 answers already, and {partner} serves DHCP."
            ),
            Condition::Unsure => format!(
                "{own} answers DNS and no DHCP: {partner} served last, and does not answer. What \
                 it promised to devices is not known here."
            ),
            Condition::Waiting { left } => format!(
                "{own} lost what it had stored and waits {} until no lease it may have given can \
                 be running. {partner} serves DHCP meanwhile, and DNS answers.",
                minutes(left)
            ),
            Condition::Merging => {
                "Both hosts served as if the other was off. They compare what they gave; until \
                 then devices keep their addresses, and no new device gets one."
                    .to_owned()
            }
            Condition::Solo => format!(
                "{own} serves DHCP without knowing what {partner} promised while {own} was away. \
                 It asks the network before it gives an address to anybody."
            ),
            Condition::Removed => format!(
                "{partner} went on without {own}. {own} answers DNS and no DHCP, so that two \
                 hosts never give out one address."
            ),
            Condition::CatchingUp { done, total } => {
                let left = total.saturating_sub(done);
                let changes = if left == 1 { "change" } else { "changes" };
                format!("{own} and {partner} exchange {left} more {changes}; then both serve.")
            }
        }
    }

    /// What to do about it; `None` where it passes by itself, or nothing is to be done.
    pub fn next(&self) -> Option<String> {
        let (own, partner) = (&self.own.name, self.partner_name());
        Some(match self.condition {
            Condition::Single => {
                "Run `lanward pair invite` here, and `lanward pair join` with what it prints on a \
                 second host."
                    .to_owned()
            }
            Condition::PartnerDown => format!(
                "See that {partner} has power and its network cable, then start it: it catches up \
                 by itself. If it stays off for long and new devices come, run `lanward pair down` \
                 here; if it is gone for good, `lanward pair replace`."
            ),
            Condition::PartnerOff => format!(
                "Start {partner} again when it is mended: it catches up by itself. If it is gone \
                 for good, run `lanward pair replace` here."
            ),
            Condition::PartnerStopped => {
                format!("Start {partner} again, or run `lanward pair maintenance --off` on it.")
            }
            Condition::Maintenance => {
                format!("Run `lanward pair maintenance --off` on {own}, or start it again.")
            }
            Condition::Unsure => format!(
                "Start {partner}. If it is broken, {own} begins to serve by itself in a few \
                 minutes, and asks the network about every address first."
            ),
            Condition::Solo => format!("Start {partner}, or replace it: `lanward pair replace`."),
            Condition::Removed => format!(
                "To join again, run `lanward pair invite` on {partner} and `lanward pair join` on \
                 {own}. To make {own} a household of its own, run `lanward pair remove` on it."
            ),
            Condition::Starting
            | Condition::BothUp
            | Condition::Checking { .. }
            | Condition::Learning
            | Condition::Waiting { .. }
            | Condition::Merging
            | Condition::CatchingUp { .. } => return None,
        })
    }

    /// Whether DHCP is this node's alone: the partner does not serve.
    pub fn is_alone(&self) -> bool {
        matches!(
            self.condition,
            Condition::PartnerDown
                | Condition::PartnerOff
                | Condition::PartnerStopped
                | Condition::Solo
        )
    }

    fn waiting(&self) -> String {
        let partner = self.partner_name();
        match self.unsynced {
            0 => String::new(),
            1 => format!(" 1 change waits for {partner}."),
            n => format!(" {n} changes wait for {partner}."),
        }
    }
}

/// Such as `about 40 minutes`.
fn minutes(duration: Duration) -> String {
    match duration.as_secs().div_ceil(60) {
        0 | 1 => "a minute".to_owned(),
        n => format!("about {n} minutes"),
    }
}

/// `done` of `total` in whole percent, rounded down; 100 only when all is done.
pub(crate) fn percent(done: u64, total: u64) -> u64 {
    if total == 0 { 100 } else { (done.min(total) as u128 * 100 / total as u128) as u64 }
}
