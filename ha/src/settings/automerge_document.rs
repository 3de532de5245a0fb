//! The settings document, kept by the automerge library.
//!
//! The store holds the document as numbered pieces (`doc/00000001`, ...): each one a set of
//! changes, every so often one whole document that replaces the pieces before it.
//!
//! Nothing is sent to the partner before it is on this node's disk: otherwise a power cut could
//! take back a change the partner has, and this node would then give its number to another one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::str::FromStr;

use automerge::sync::{Message, State, SyncDoc};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{
    ActorId, AutoCommit, Change, ChangeHash, ROOT, ReadDoc, ScalarValue, Value, legacy,
};
use lanward_dhcp::Time;
use serde::{Deserialize, Serialize};

use super::{
    BadMessage, ChangeId, CollidingValue, DOCUMENT_PREFIX, DocumentOutput, SettingsChange,
    SettingsDocument,
};
use crate::journal::Journal;
use crate::{Restored, StoreId};

/// After this many pieces the whole document is written in their place.
const PIECES: usize = 32;

/// The settings document of one node.
#[derive(Debug)]
pub struct AutomergeDocument {
    doc: AutoCommit,
    actor: ActorId,
    node: String,
    records: BTreeMap<String, String>,
    collisions: BTreeMap<String, Vec<String>>,
    /// The exchange on the present link.
    sync: Option<State>,
    journal: Journal,
    /// The store's pieces.
    pieces: BTreeSet<String>,
    next_piece: u64,
    /// What the pieces hold.
    saved: Vec<ChangeHash>,
    /// Every change, in the order in which this node learned of them: the library reads all of
    /// them anew to tell the last one.
    log: Vec<ChangeHash>,
    /// What the log holds.
    logged: Vec<ChangeHash>,
    out: VecDeque<DocumentOutput>,
}

/// Who made a change, and where: kept in the change itself.
#[derive(Serialize, Deserialize)]
struct Signature {
    by: String,
    on: String,
    /// The change that this one takes back, in hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    undoes: Option<String>,
}

impl AutomergeDocument {
    /// The document a store held, to be changed in the name of that store.
    pub fn new(node: &str, store: StoreId, restored: &Restored) -> AutomergeDocument {
        let is_piece = |key: &&String| key.starts_with(DOCUMENT_PREFIX);
        let damaged: Vec<&String> = restored.damaged.iter().filter(is_piece).collect();
        let mut doc = AutoCommit::new();
        let mut pieces: BTreeSet<String> = damaged.iter().map(|key| (*key).clone()).collect();
        let mut unreadable = !damaged.is_empty();
        for (key, value) in restored.entries.iter().filter(|(key, _)| is_piece(&key)) {
            pieces.insert(key.clone());
            unreadable |= doc.load_incremental(value).is_err();
        }
        let next_piece = pieces
            .last()
            .and_then(|key| key.strip_prefix(DOCUMENT_PREFIX)?.parse::<u64>().ok())
            .map_or(1, |last| last + 1);
        let mut actor = store.0.to_vec();
        if unreadable {
            // Changes of this store may be lost here that the partner has; their numbers must
            // not be used again, so the node goes on under another name.
            actor.extend(next_piece.to_be_bytes());
        }
        let mut document = AutomergeDocument {
            doc,
            actor: ActorId::from(actor),
            node: node.to_owned(),
            records: BTreeMap::new(),
            collisions: BTreeMap::new(),
            sync: None,
            journal: Journal::default(),
            pieces,
            next_piece,
            saved: Vec::new(),
            log: Vec::new(),
            logged: Vec::new(),
            out: VecDeque::new(),
        };
        document.doc.set_actor(document.actor.clone());
        document.saved = document.doc.get_heads();
        document.read_records();
        document
    }

    /// Takes over what the document says now; tells whether it differs from before.
    fn read_records(&mut self) -> bool {
        let heads = self.doc.get_heads();
        if heads != self.logged {
            let new = self.doc.get_changes_meta(&self.logged);
            self.log.extend(new.iter().map(|change| change.hash));
            self.logged = heads;
        }
        let mut records = BTreeMap::new();
        let mut collisions = BTreeMap::new();
        for key in self.doc.keys(&ROOT).collect::<Vec<_>>() {
            let Some(winner) = text(self.doc.get(ROOT, key.as_str()).ok().flatten()) else {
                continue;
            };
            let all = self.doc.get_all(ROOT, key.as_str()).unwrap_or_default();
            let mut others: Vec<String> =
                all.into_iter().filter_map(|value| text(Some(value))).collect();
            others.retain(|value| *value != winner);
            if !others.is_empty() {
                others.insert(0, winner.clone());
                collisions.insert(key.clone(), others);
            }
            records.insert(key, winner);
        }
        let differs = records != self.records || collisions != self.collisions;
        self.records = records;
        self.collisions = collisions;
        differs
    }

    /// Writes down what the pieces do not hold yet.
    fn save(&mut self) -> Option<u64> {
        let bytes = self.doc.save_after(&self.saved);
        let heads = self.doc.get_heads();
        if heads == self.saved || bytes.is_empty() {
            return None;
        }
        self.saved = heads;
        let whole = self.pieces.len() >= PIECES;
        let bytes = if whole { self.doc.save() } else { bytes };
        let key = format!("{DOCUMENT_PREFIX}{:08}", self.next_piece);
        self.next_piece += 1;
        if whole {
            for old in std::mem::take(&mut self.pieces) {
                self.journal.write(old, None);
            }
        }
        self.pieces.insert(key.clone());
        Some(self.journal.write(key, Some(bytes)))
    }

    /// Sends what is to be said, once everything is on the disk.
    fn talk(&mut self) {
        if !self.journal.is_settled() {
            return;
        }
        let Some(state) = &mut self.sync else { return };
        if let Some(message) = self.doc.sync().generate_sync_message(state) {
            self.out.push_back(DocumentOutput::Send(message.encode()));
        }
    }

    /// Writes records as one change with its signature.
    fn write(
        &mut self,
        now: Time,
        author: &str,
        undoes: Option<ChangeId>,
        writes: &[(String, Option<String>)],
    ) -> Option<u64> {
        for (id, value) in writes {
            let collides = self.collisions.contains_key(id);
            if self.records.get(id) == value.as_ref() && !collides {
                continue;
            }
            // Writing a scalar at the root fails only for a key that is no map key, and the
            // root is a map.
            let _ = match value {
                Some(value) => self.doc.put(ROOT, id.as_str(), value.as_str()),
                None => self.doc.delete(ROOT, id.as_str()),
            };
        }
        let signature = Signature {
            by: author.to_owned(),
            on: self.node.clone(),
            undoes: undoes.map(|id| ChangeHash(id.0).to_string()),
        };
        let message = serde_json::to_string(&signature).unwrap_or_default();
        let seconds = i64::try_from(now.as_millis() / 1000).unwrap_or(i64::MAX);
        let options = CommitOptions::default().with_message(message).with_time(seconds);
        let hash = self.doc.commit_with(options)?;
        self.log.push(hash);
        self.logged = self.doc.get_heads();
        if self.read_records() {
            self.out.push_back(DocumentOutput::Changed);
        }
        self.save()
    }

    /// The records of the change at a place of the log.
    fn logged_at(&mut self, at: usize) -> Vec<SettingsChange> {
        let Some(hash) = self.log.get(at).copied() else { return Vec::new() };
        self.change(ChangeId(hash.0))
    }

    fn changes_of(&self, change: &Change) -> Vec<SettingsChange> {
        let expanded = change.decode();
        let signature = change
            .message()
            .and_then(|message| serde_json::from_str::<Signature>(message).ok())
            .unwrap_or(Signature { by: String::new(), on: String::new(), undoes: None });
        let undoes = signature.undoes.and_then(|hex| ChangeHash::from_str(&hex).ok());
        let undoes = undoes.map(|hash| ChangeId(hash.0));
        let at = u64::try_from(change.timestamp()).unwrap_or(0).saturating_mul(1000);
        let mut seen = BTreeSet::new();
        expanded
            .operations
            .iter()
            .filter_map(|op| match &op.key {
                legacy::Key::Map(key) => Some((key.to_string(), op.primitive_value())),
                legacy::Key::Seq(_) => None,
            })
            .filter(|(id, _)| seen.insert(id.clone()))
            .map(|(id, value)| SettingsChange {
                change: ChangeId(change.hash().0),
                undoes,
                at: Time::from_millis(at),
                author: signature.by.clone(),
                node: signature.on.clone(),
                before: text(self.doc.get_at(ROOT, id.as_str(), change.deps()).ok().flatten()),
                after: match value {
                    Some(ScalarValue::Str(value)) => Some(value.to_string()),
                    _ => None,
                },
                id,
            })
            .collect()
    }
}

impl SettingsDocument for AutomergeDocument {
    fn records(&self) -> &BTreeMap<String, String> {
        &self.records
    }

    fn collisions(&self) -> &BTreeMap<String, Vec<String>> {
        &self.collisions
    }

    fn colliding(&mut self, id: &str) -> Vec<CollidingValue> {
        let Some(values) = self.collisions.get(id).cloned() else { return Vec::new() };
        let mut found: Vec<_> =
            values.into_iter().map(|value| CollidingValue { value, by: None }).collect();
        for at in (0..self.log.len()).rev() {
            if found.iter().all(|value| value.by.is_some()) {
                break;
            }
            for written in self.logged_at(at).into_iter().filter(|written| written.id == id) {
                let value = found
                    .iter_mut()
                    .find(|v| v.by.is_none() && written.after.as_ref() == Some(&v.value));
                if let Some(value) = value {
                    value.by = Some(written);
                }
            }
        }
        found
    }

    fn changes(&mut self, limit: usize) -> Vec<SettingsChange> {
        let records = (0..self.log.len()).rev().map(|at| self.logged_at(at));
        records.filter(|records| !records.is_empty()).take(limit).flatten().collect()
    }

    fn change(&mut self, id: ChangeId) -> Vec<SettingsChange> {
        let change = self.doc.get_change_by_hash(&ChangeHash(id.0));
        change.map(|change| self.changes_of(&change)).unwrap_or_default()
    }

    fn heads(&mut self) -> Vec<[u8; 32]> {
        self.doc.get_heads().into_iter().map(|hash| hash.0).collect()
    }

    fn is_agreed(&mut self) -> Option<bool> {
        let mut heads = self.doc.get_heads();
        let Some(mut theirs) = self.sync.as_ref()?.their_heads.clone() else {
            return Some(false);
        };
        heads.sort_unstable();
        theirs.sort_unstable();
        Some(heads == theirs)
    }

    fn edit(
        &mut self,
        now: Time,
        author: &str,
        writes: &[(String, Option<String>)],
    ) -> Option<u64> {
        self.write(now, author, None, writes)
    }

    fn undo(
        &mut self,
        now: Time,
        author: &str,
        undoes: ChangeId,
        writes: &[(String, Option<String>)],
    ) -> Option<u64> {
        self.write(now, author, Some(undoes), writes)
    }

    fn reset(&mut self) {
        self.doc = AutoCommit::new();
        self.doc.set_actor(self.actor.clone());
        self.saved = Vec::new();
        (self.log, self.logged) = (Vec::new(), Vec::new());
        self.sync = None;
        for old in std::mem::take(&mut self.pieces) {
            self.journal.write(old, None);
        }
        if self.read_records() {
            self.out.push_back(DocumentOutput::Changed);
        }
    }

    fn handle_link_up(&mut self) {
        self.sync = Some(State::new());
        self.talk();
    }

    fn handle_link_down(&mut self) {
        self.sync = None;
    }

    fn handle_message(&mut self, message: &[u8]) -> Result<(), BadMessage> {
        let Some(state) = &mut self.sync else { return Ok(()) };
        let message = Message::decode(message).map_err(|error| BadMessage(error.to_string()))?;
        self.doc
            .sync()
            .receive_sync_message(state, message)
            .map_err(|error| BadMessage(error.to_string()))?;
        if self.read_records() {
            self.out.push_back(DocumentOutput::Changed);
        }
        self.save();
        self.talk();
        Ok(())
    }

    fn handle_stored(&mut self, seq: u64) {
        self.journal.stored(seq);
        self.talk();
    }

    fn poll_output(&mut self) -> Option<DocumentOutput> {
        self.out.pop_front().or_else(|| self.journal.take_batch().map(DocumentOutput::Store))
    }
}

/// A record's text; anything else was not written by this program.
fn text<Id>(value: Option<(Value<'_>, Id)>) -> Option<String> {
    match value?.0 {
        Value::Scalar(scalar) => match scalar.as_ref() {
            ScalarValue::Str(text) => Some(text.to_string()),
            _ => None,
        },
        Value::Object(_) => None,
    }
}
