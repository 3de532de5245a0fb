//! Pauses of blocking.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::json;

/// For whom blocking is paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PauseScope {
    /// Everybody.
    All,
    /// The members of a network, by its id.
    Network(String),
    /// One device: its hardware address, or an address.
    Device(String),
}

impl PauseScope {
    /// `all`, `network/iot`, `device/02:00:5e:10:00:01`.
    pub fn key(&self) -> String {
        match self {
            PauseScope::All => "all".to_owned(),
            PauseScope::Network(id) => format!("network/{id}"),
            PauseScope::Device(device) => format!("device/{device}"),
        }
    }

    /// The scope that [`PauseScope::key`] gave.
    pub fn parse(key: &str) -> Option<PauseScope> {
        match key.split_once('/') {
            None if key == "all" => Some(PauseScope::All),
            Some(("network", id)) if !id.is_empty() => Some(PauseScope::Network(id.to_owned())),
            Some(("device", device)) if !device.is_empty() => {
                Some(PauseScope::Device(device.to_owned()))
            }
            _ => None,
        }
    }
}

impl Serialize for PauseScope {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.key())
    }
}

/// How long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseLength {
    /// For so long from now.
    For(Duration),
    /// Until this moment.
    Until(Timestamp),
    /// Until somebody ends it.
    UntilResumed,
}

/// A pause to be made. It takes the place of an earlier one of the same scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPause {
    /// For whom.
    pub scope: PauseScope,
    /// How long.
    pub length: PauseLength,
}

/// A pause in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PauseView {
    /// For whom.
    pub scope: PauseScope,
    /// For whom, in words: `all devices`, `network iot`, `camera (02:00:5e:10:00:01)`. May hold a
    /// name that a device gave itself.
    pub who: String,
    /// When it ends by itself.
    #[serde(serialize_with = "json::text_or_null")]
    pub until: Option<Timestamp>,
    /// How long that is from now.
    pub left_secs: Option<u64>,
}
