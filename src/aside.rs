//! What the daemons of a pair tell each other beside the pair protocol: their versions, their wall
//! clocks and their timelines. Nothing about leases depends on it.
//!
//! A message travels as a frame of the same link, in a field of the frame that the pair protocol
//! does not use ([`FIELD`], protobuf), as JSON. A node of a version that knows nothing of it takes
//! the frame for an empty one; unknown members are skipped.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::timeline::{Entry, stamp};

#[cfg(test)]
mod tests;

/// The field of the frame. The pair's own start at 1.
const FIELD: u32 = 1000;
/// Protobuf's key of a length-delimited field: the number, then wire type 2.
const KEY: u32 = FIELD << 3 | 2;
/// Events in one message: far below the longest frame.
pub const EVENTS: usize = 100;

/// One message. What is `None` is not said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Aside {
    /// Who speaks; first on every link, and every minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// Events of the sender, the earliest first; at most [`EVENTS`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Entry>,
    /// A word about the history of questions ([`crate::history::partner`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<serde_json::Value>,
}

/// What a daemon says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Its version.
    pub version: String,
    /// Its wall clock.
    #[serde(with = "stamp")]
    pub wall: Timestamp,
    /// When it started.
    #[serde(with = "stamp")]
    pub started: Timestamp,
    /// The greatest number of the receiver's events that it has.
    pub has: u64,
    /// Whether its history of questions can be asked.
    #[serde(default)]
    pub history: bool,
}

impl Aside {
    /// The message as a frame.
    pub fn into_frame(self) -> Vec<u8> {
        // None of these types has a map with keys that are no text, the only way to fail.
        let json = serde_json::to_vec(&self).unwrap_or_default();
        let mut frame = varint(u64::from(KEY));
        frame.extend(varint(json.len() as u64));
        frame.extend(json);
        frame
    }

    /// The message in a frame; `None` when the frame is the pair's own business.
    pub fn from_frame(frame: &[u8]) -> Option<Result<Aside, serde_json::Error>> {
        let rest = frame.strip_prefix(varint(u64::from(KEY)).as_slice())?;
        let json = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
        Some(serde_json::from_slice(rest.get(json..)?))
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
