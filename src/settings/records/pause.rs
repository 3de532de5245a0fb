//! Pauses of blocking.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::Record;
use crate::settings::fields::{Fields, Read, Wrong, shown};
use crate::settings::words::{Id, Mac};

/// For whom blocking is paused: the last part of the record's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PauseScope {
    /// Everybody: `all`.
    All,
    /// The members of a network: `network/iot`.
    Network(Id),
    /// One device, wherever it has a lease: `device/02:00:5e:10:00:01`.
    Device(Mac),
    /// One address without a lease: `device/10.0.30.7`.
    Address(IpAddr),
}

/// A pause of blocking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// When it was asked for, by the wall clock of the node that was asked.
    #[serde(serialize_with = "text")]
    pub from: Timestamp,
    /// When it ends; `None`: when somebody ends it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text_if_any")]
    pub until: Option<Timestamp>,
}

fn text<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(at)
}

fn text_if_any<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => to.collect_str(at),
        None => to.serialize_none(),
    }
}

impl PauseScope {
    /// The scope in the last part of a key.
    pub fn parse(text: &str) -> Option<PauseScope> {
        match text.split_once('/') {
            None if text == "all" => Some(PauseScope::All),
            Some(("network", id)) => Id::parse(id).ok().map(PauseScope::Network),
            Some(("device", text)) => match text.parse::<IpAddr>() {
                Ok(addr) => Some(PauseScope::Address(addr)),
                Err(_) => Mac::read(&Value::from(text)).ok().map(PauseScope::Device),
            },
            _ => None,
        }
    }
}

impl fmt::Display for PauseScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PauseScope::All => f.write_str("all"),
            PauseScope::Network(id) => write!(f, "network/{}", id.as_str()),
            PauseScope::Device(mac) => write!(f, "device/{mac}"),
            PauseScope::Address(addr) => write!(f, "device/{addr}"),
        }
    }
}

impl Record for Pause {
    const KIND: &'static str = "pause";

    fn read(fields: &mut Fields<'_>) -> Option<Pause> {
        let from = fields.required("from", "\"2026-11-20T18:00:00Z\"");
        let until = fields.optional("until");
        Some(Pause { from: from?, until })
    }
}

impl Read for Timestamp {
    fn read(value: &Value) -> Result<Timestamp, Wrong> {
        let time = value.as_str().and_then(|text| text.parse().ok());
        time.ok_or_else(|| {
            Wrong::new(
                format!("{} is not a time.", shown(value)),
                "Write it such as \"2026-11-20T18:00:00Z\".",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_back_as_they_are_written() {
        for text in ["all", "network/iot", "device/02:00:5e:10:00:01", "device/10.0.30.7"] {
            let scope = PauseScope::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(scope.to_string(), text);
        }
        for text in ["", "everybody", "network/", "device/", "device/x", "all/x"] {
            assert_eq!(PauseScope::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_pause_without_an_end_has_none_in_its_record() {
        let from = "2026-11-20T18:00:00Z".parse().unwrap();
        let until = Some("2026-11-20T18:05:00Z".parse().unwrap());
        for pause in [Pause { from, until }, Pause { from, until: None }] {
            let mut problems = Vec::new();
            let json = pause.to_json();
            assert_eq!(Pause::from_json("pause/all", &json, &mut problems), Some(pause), "{json}");
            assert!(problems.is_empty(), "{problems:?}");
        }
        assert_eq!(Pause { from, until: None }.to_json(), r#"{"from":"2026-11-20T18:00:00Z"}"#);
    }
}
