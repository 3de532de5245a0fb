//! How edits end.

use serde::Serialize;

/// The daemon cannot answer at present (it is starting or stopping, or a store failed).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(
    /// One sentence for people.
    pub String,
);

/// Where an edit is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "in_force", rename_all = "snake_case")]
pub enum InForce {
    /// There is one host, and it has it.
    Here,
    /// On both hosts.
    BothHosts,
    /// Here; the partner cannot be reached and gets it when it is back.
    PartnerLater {
        /// The partner's name.
        partner: String,
    },
    /// Not yet: written down, and effective once the reason is gone.
    Staged {
        /// One sentence for people.
        reason: String,
    },
}

impl InForce {
    /// For people: follows a sentence that says what was done.
    pub fn sentence(&self) -> String {
        match self {
            InForce::Here => "In force now.".to_owned(),
            InForce::BothHosts => "In force on both hosts.".to_owned(),
            InForce::PartnerLater { partner } => {
                format!("In force here; {partner} gets it when it is back.")
            }
            InForce::Staged { reason } => format!("Not in force yet: {reason}"),
        }
    }
}

/// An edit that made or changed a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Saved {
    /// The record's id.
    pub id: String,
    /// Where it is in force.
    #[serde(flatten)]
    pub in_force: InForce,
}

/// An edit that removed a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed<T> {
    /// What would bring it back.
    pub was: T,
    /// Where it is in force.
    pub in_force: InForce,
}

/// What is wrong with one field of a form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field, by its name in the `New…` type.
    pub field: &'static str,
    /// What is wrong and how to put it right, in one sentence.
    pub message: String,
}

/// Why an edit was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Some fields are wrong.
    #[error("{}", .0.iter().map(|e| e.message.as_str()).collect::<Vec<_>>().join(" "))]
    Fields(Vec<FieldError>),
    /// There is no such record (any more).
    #[error("{0} is not there any more.")]
    NotFound(
        /// What was asked for, such as `The list ads`.
        String,
    ),
    /// The record is declared in a file and cannot be edited here.
    #[error("{0}")]
    Locked(
        /// One sentence that names the file.
        String,
    ),
    /// It does not fit what is in force by now.
    #[error("{0}")]
    Refused(
        /// One sentence that says why.
        String,
    ),
    /// The daemon cannot do it at present.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl EditError {
    /// An error in one field.
    pub fn field(field: &'static str, message: impl Into<String>) -> EditError {
        EditError::Fields(vec![FieldError { field, message: message.into() }])
    }
}
