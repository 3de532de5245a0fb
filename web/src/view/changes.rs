//! The history of the settings, and what waits for somebody to settle it.

use jiff::Timestamp;
use serde::Serialize;

use super::json;

/// One change of the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangeRow {
    /// Its id: 64 hex digits, the same on both hosts.
    pub id: String,
    /// When it was made, by the clock of the host where it was made.
    #[serde(serialize_with = "json::text")]
    pub at: Timestamp,
    /// Who made it.
    pub author: String,
    /// On which host.
    pub host: String,
    /// The id of the change it took back.
    pub undoes: Option<String>,
    /// What it did to each record.
    pub records: Vec<RecordChange>,
    /// Why it cannot be undone, in one sentence; `None` when it can.
    pub cannot_undo: Option<String>,
}

/// What a change did to one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordChange {
    /// The record, such as `list/ads`.
    pub key: String,
    /// The same for people, such as `list ads`.
    pub what: String,
    /// What was done.
    pub deed: Deed,
    /// The fields that differ. Untrusted text.
    pub fields: Vec<FieldChange>,
}

/// What was done to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// It was not there before.
    Added,
    /// It was something else before.
    Changed,
    /// It is not there any more.
    Removed,
}

impl Deed {
    /// `added`, `changed`, `removed`.
    pub fn word(self) -> &'static str {
        match self {
            Deed::Added => "added",
            Deed::Changed => "changed",
            Deed::Removed => "removed",
        }
    }
}

/// One field of a record before and after; `None` where it was, or is, not set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Its name; empty for a record that is one value.
    pub field: String,
    /// Before.
    pub before: Option<String>,
    /// After.
    pub after: Option<String>,
}

/// A record that was edited on both hosts while they could not see each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CollisionRow {
    /// The record, such as `list/ads`.
    pub key: String,
    /// The same for people, such as `list ads`.
    pub what: String,
    /// What was written, the value in force first.
    pub values: Vec<CollisionValue>,
}

/// One of the values of such a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CollisionValue {
    /// Names it: the id of the change that wrote it.
    pub id: String,
    /// When it was written; `None` where that is not known.
    #[serde(serialize_with = "json::text_or_null")]
    pub at: Option<Timestamp>,
    /// By whom.
    pub author: String,
    /// On which host.
    pub host: String,
    /// Its fields, those that differ from the others first; none for a secret. Untrusted text.
    pub fields: Vec<ValueField>,
}

/// One field of a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValueField {
    /// Its name; empty for a record that is one value.
    pub field: String,
    /// What it says.
    pub value: String,
    /// Whether the values do not agree on it.
    pub differs: bool,
}
