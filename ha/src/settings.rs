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
use std::fmt;

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

/// Names one change of the document: the same on both nodes, and for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeId(pub [u8; 32]);

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One record as one change left it. A change of several records is several of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsChange {
    /// The change.
    pub change: ChangeId,
    /// The change that this one took back, where it was made for that.
    pub undoes: Option<ChangeId>,
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

/// One of the values of a record that was edited on both sides of a break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollidingValue {
    /// The value.
    pub value: String,
    /// The change that wrote it, with who made it, when and where; `None` where the document does
    /// not tell.
    pub by: Option<SettingsChange>,
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

    /// The values of a colliding record with their authors, the one in force first; empty for a
    /// record that does not collide.
    fn colliding(&mut self, id: &str) -> Vec<CollidingValue>;

    /// The latest changes, newest first, at most `limit` of them: all records of each.
    fn changes(&mut self, limit: usize) -> Vec<SettingsChange>;

    /// The records of one change; empty where there is no such change.
    fn change(&mut self, id: ChangeId) -> Vec<SettingsChange>;

    /// What names the present content: equal on two nodes when their documents are.
    fn heads(&mut self) -> Vec<[u8; 32]>;

    /// Whether the partner is known to have all of this document; `None` without a link.
    fn is_agreed(&mut self) -> Option<bool>;

    /// Writes records (`None` removes), all as one change. Gives the number of the batch that
    /// makes it durable; `None` when nothing changed.
    fn edit(&mut self, now: Time, author: &str, writes: &[(String, Option<String>)])
    -> Option<u64>;

    /// Writes records to take back the change `undoes`; otherwise as [`SettingsDocument::edit`].
    fn undo(
        &mut self,
        now: Time,
        author: &str,
        undoes: ChangeId,
        writes: &[(String, Option<String>)],
    ) -> Option<u64>;

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
