//! What is wrong with the settings, said so that it can be mended.

use serde::{Deserialize, Serialize};

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// In force as written, but probably not meant.
    Warning,
    /// Something written here is not in force. A file with an error is refused as a whole.
    Error,
}

/// A place in the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The record, such as `network/iot`; for a file's own keys its table, such as `dns`.
    pub key: String,
    /// The field in it, such as `dhcp.pools[0]`; empty for all of it.
    pub field: String,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// What, as a sentence for people; `*iot*` marks names from the settings.
    pub message: String,
    /// How to mend it, as a sentence.
    pub fix: String,
    /// How much it matters.
    pub severity: Severity,
    /// The other place, where two do not fit together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<Place>,
}

impl Place {
    /// The place `field` of `key`.
    pub fn new(key: impl Into<String>, field: impl Into<String>) -> Place {
        Place { key: key.into(), field: field.into() }
    }
}

impl Problem {
    /// An error at `place`.
    pub fn error(place: Place, message: impl Into<String>, fix: impl Into<String>) -> Problem {
        Problem {
            place,
            message: message.into(),
            fix: fix.into(),
            severity: Severity::Error,
            other: None,
        }
    }

    /// A warning at `place`.
    pub fn warning(place: Place, message: impl Into<String>, fix: impl Into<String>) -> Problem {
        Problem { severity: Severity::Warning, ..Problem::error(place, message, fix) }
    }

    /// The same, pointing at a second place too.
    pub fn with(self, other: Place) -> Problem {
        Problem { other: Some(other), ..self }
    }
}
