//! The household's settings as one replicated document (pair protocol, section 11).
//!
//! A record is one scalar text (its JSON) under an id such as `network/iot`. So edits made on two
//! nodes that could not see each other collide by whole records, never by mixed fields; one of the
//! two values is in force on both nodes, and the other stays readable until somebody settles it.
//!
//! Nothing outside the module `automerge_document` names the library that keeps the document.

mod automerge_document;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use lanward_dhcp::Time;

use crate::Batch;

pub use automerge_document::AutomergeDocument;

/// The prefix of all store keys of the document.
pub(crate) const DOCUMENT_PREFIX: &str = "doc/";

/// What a document wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentOutput {
    /// A message for the partner's document.
    Send(Vec<u8>),
    /// To be made durable, then answered with [`SettingsDocument::handle_stored`].
    Store(Batch),
    /// The records changed.
    Changed,
}

/// One record as one change left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsChange {
    /// When, on the clock of the node where it was made.
    pub at: Time,
    /// Who made it.
    pub author: String,
    /// The node where it was made.
    pub node: String,
    /// The record.
    pub id: String,
    /// Its value before, as the author saw it; `None` where there was none.
    pub before: Option<String>,
    /// Its value after; `None` where it was removed.
    pub after: Option<String>,
}

/// Why a partner's message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of the settings document is not understood: {0}")]
pub struct BadMessage(pub String);

/// A replicated map of records. The same verbs as everywhere: what happens goes in by
/// `handle_*` and [`SettingsDocument::edit`], what is to be done comes out of
/// [`SettingsDocument::poll_output`].
pub trait SettingsDocument {
    /// The records in force, by id.
    fn records(&self) -> &BTreeMap<String, String>;

    /// Records edited on both sides of a break and not settled since: every value that was
    /// written, the one in force first. Writing the record settles it.
    fn collisions(&self) -> &BTreeMap<String, Vec<String>>;

    /// The latest changes of records, newest first, at most `limit`.
    fn changes(&mut self, limit: usize) -> Vec<SettingsChange>;

    /// What names the present content: equal on two nodes when their documents are.
    fn heads(&mut self) -> Vec<[u8; 32]>;

    /// Whether the partner is known to have all of this document; `None` without a link.
    fn is_agreed(&mut self) -> Option<bool>;

    /// Writes records (`None` removes), all as one change. Gives the number of the batch that
    /// makes it durable; `None` when nothing changed.
    fn edit(&mut self, now: Time, author: &str, writes: &[(String, Option<String>)])
    -> Option<u64>;

    /// Forgets everything, to take over a partner's document.
    fn reset(&mut self);

    /// Messages may be exchanged from here on.
    fn handle_link_up(&mut self);

    /// The link ended.
    fn handle_link_down(&mut self);

    /// A message of the partner's document.
    fn handle_message(&mut self, message: &[u8]) -> Result<(), BadMessage>;

    /// Every batch up to `seq` is on the disk.
    fn handle_stored(&mut self, seq: u64);

    /// The next thing to do.
    fn poll_output(&mut self) -> Option<DocumentOutput>;
}
