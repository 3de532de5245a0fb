//! Blocklists.

use jiff::Timestamp;
use serde::Serialize;

use super::json;

/// What a list's rules do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ListKind {
    /// Block, except for the exceptions it holds itself.
    #[default]
    Block,
    /// Allow.
    Allow,
}

/// What is going on with a list at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ListActivity {
    /// Nothing.
    Idle,
    /// It waits for its turn to be fetched.
    Queued,
    /// It is being fetched or compiled; the old rules stay in force until that is done.
    Updating,
}

/// One list. Success, attempt, error and size are separate facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListRow {
    /// Its id in the settings, such as `ads`.
    pub id: String,
    /// Its name for people. Untrusted text.
    pub name: String,
    /// URL, or absolute path of a file; empty for the built-in list.
    pub source: String,
    /// What its rules do.
    pub kind: ListKind,
    /// Whether it is in use.
    pub enabled: bool,
    /// The ids of the policies that use it.
    pub policies: Vec<String>,
    /// Rules in force; `None` before the first success.
    pub entries: Option<u64>,
    /// How many more (or fewer) rules than before the last change.
    pub entries_delta: Option<i64>,
    /// Lines that cannot be DNS rules.
    pub skipped_lines: Option<u64>,
    /// When it was last fetched, or found unchanged.
    #[serde(serialize_with = "json::text_or_null")]
    pub last_success: Option<Timestamp>,
    /// When that was last tried.
    #[serde(serialize_with = "json::text_or_null")]
    pub last_attempt: Option<Timestamp>,
    /// When it will be tried next.
    #[serde(serialize_with = "json::text_or_null")]
    pub next_attempt: Option<Timestamp>,
    /// Why the last attempt failed; `None` when it succeeded. Untrusted text.
    pub error: Option<String>,
    /// Why the version last fetched is held back, with the older one in force.
    pub held: Option<String>,
    /// What is going on with it now.
    pub activity: ListActivity,
    /// Why it cannot be edited (it is declared in a file), in one sentence.
    pub locked: Option<String>,
}

/// A list to be added. The pages checked the syntax of the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewList {
    /// The id to give it; `None`: derived from the name.
    pub id: Option<String>,
    /// Its name for people.
    pub name: String,
    /// `http:` or `https:` URL, or the absolute path of a file on the hosts.
    pub source: String,
    /// What its rules do.
    pub kind: ListKind,
    /// The ids of the policies that are to use it.
    pub policies: Vec<String>,
    /// Whether it is in use.
    pub enabled: bool,
}
