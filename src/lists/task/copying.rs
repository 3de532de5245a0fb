//! Copies from and for the other host: the files and messages around [`super::super::partner`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lanward_blocklists::refresh::UnixSecs;

use super::super::disk::{Header, ListDir, Version};
use super::super::partner::{Choice, Copy, Own, Taken, Word, part};
use super::super::settings::source_text;
use super::obtain::{Obtained, take_over};
use super::{Done, ListSpec, Memory, Source, Task, is_fetched, now};

/// The good copies on the disk: their headers, and how long their texts are.
pub(super) type Copies = BTreeMap<String, (Header, u64)>;

/// A copy that is being read by the other host, so that it is not read from the disk, and checked,
/// for each piece anew.
pub(super) struct Serving {
    id: String,
    sha256: String,
    text: Arc<Vec<u8>>,
}

pub(super) fn survey(dir: &ListDir, ids: &[String]) -> Copies {
    ids.iter().filter_map(|id| Some((id.clone(), dir.survey(id)?))).collect()
}

/// Reads a copy that the other host wants, if it is still the one it wants.
pub(super) fn open(dir: &ListDir, id: &str, sha256: &str) -> Option<Vec<u8>> {
    let (header, text) = dir.read(id, Version::Good).ok()??;
    (header.sha256 == sha256).then_some(text)
}

impl Task {
    /// Looks at the copies on the disk anew, then tells the other host.
    pub(super) fn start_survey(&mut self) {
        let dir = self.dir.clone();
        let ids: Vec<String> = self.settings.lists.iter().map(|l| l.id.to_string()).collect();
        self.jobs.spawn_blocking(move || Done::Surveyed(survey(&dir, &ids)));
    }

    pub(super) fn handle_surveyed(&mut self, copies: Copies) {
        self.copies = copies;
        self.announce();
        self.consider();
    }

    /// The link to the other host is up, or down.
    pub(super) fn handle_link(&mut self, up: bool) {
        self.linked = up;
        self.serving = None;
        if up {
            self.announce();
        } else {
            self.pulls.handle_held(None);
        }
    }

    /// A message of the other host.
    pub(super) fn handle_partner(&mut self, message: &[u8]) {
        match Word::decode(message) {
            Ok(Some(Word::Held(copies))) => {
                self.pulls.handle_held(Some(copies));
                self.consider();
            }
            Ok(Some(Word::Want { id, sha256, offset })) => self.wanted_there(id, sha256, offset),
            Ok(Some(Word::Part { id, sha256, offset, bytes })) => {
                let steady = self.started.elapsed();
                let taken = self.pulls.handle_part(steady, &id, &sha256, offset, &bytes);
                self.handle_taken(&id, taken);
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "no copies are exchanged"),
        }
    }

    /// Nobody answers: another list may be copied meanwhile.
    pub(super) fn check_patience(&mut self) {
        if self.pulls.handle_timeout(self.started.elapsed()) {
            tracing::warn!("the other host does not answer for a copy of a list");
            self.consider();
        }
    }

    /// How long until then.
    pub(super) fn patience(&self) -> Option<Duration> {
        let at = self.pulls.poll_timeout()?;
        Some(at.saturating_sub(self.started.elapsed()))
    }

    fn say(&self, word: Word) {
        // Where the queue is full the other host asks again.
        let _ = self.config.to_partner.try_send(word.encode());
    }

    fn announce(&self) {
        if !self.linked {
            return;
        }
        let now = now();
        let held = self.settings.lists.iter().filter_map(|list| {
            let (header, len) = self.copies.get(&*list.id)?;
            let success = self.memory.get(&*list.id)?.last_success?;
            let age = Duration::from_secs(now.0.saturating_sub(success));
            Some(Copy { id: list.id.to_string(), header: header.clone(), len: *len, age })
        });
        self.say(Word::Held(held.collect()));
    }

    /// Confirms what the other host confirms, and begins to copy what it has newer.
    pub(super) fn consider(&mut self) {
        if !self.linked {
            return;
        }
        let now = now();
        let lists: Vec<ListSpec> =
            self.settings.lists.iter().filter(|list| is_fetched(list)).cloned().collect();
        for list in lists {
            let own = self.own(&list, now);
            let Some(theirs) = self.pulls.theirs(&list.id) else { continue };
            let age = theirs.age;
            match theirs.choose(&own, self.config.pace.interval) {
                Choice::Leave => {}
                Choice::Confirm => {
                    let memory = self.memory.entry(list.id.to_string()).or_default();
                    memory.source = own.source;
                    memory.confirmed(UnixSecs(now.0.saturating_sub(age.as_secs())));
                    self.unsaved = true;
                }
                Choice::Take => {
                    if let Some(want) = self.pulls.begin(self.started.elapsed(), &list.id) {
                        self.say(want);
                    }
                }
            }
        }
    }

    fn own(&self, list: &ListSpec, now: UnixSecs) -> Own {
        let source = source_text(&list.source).to_owned();
        let copy = self.copies.get(&*list.id).filter(|(header, _)| header.source == source);
        let memory = self.memory.get(&*list.id).filter(|memory| memory.source == source);
        let success = memory.and_then(|memory| memory.last_success);
        Own {
            sha256: copy.map(|(header, _)| header.sha256.clone()),
            // A copy that is gone was never confirmed.
            age: copy.and(success).map(|at| Duration::from_secs(now.0.saturating_sub(at))),
            failing: memory.is_some_and(|memory| memory.failures > 0 && memory.held.is_none()),
            file: matches!(list.source, Source::File(_)),
            source,
        }
    }

    fn wanted_there(&mut self, id: String, sha256: String, offset: u64) {
        if let Some(serving) = self.serving.as_ref().filter(|s| s.id == id && s.sha256 == sha256) {
            let text = Arc::clone(&serving.text);
            return self.give(id, sha256, offset, &text);
        }
        let dir = self.dir.clone();
        self.jobs.spawn_blocking(move || {
            let text = open(&dir, &id, &sha256).map(Arc::new);
            Done::Opened { id, sha256, offset, text }
        });
    }

    pub(super) fn handle_opened(
        &mut self,
        id: String,
        sha256: String,
        offset: u64,
        text: Option<Arc<Vec<u8>>>,
    ) {
        let text = text.unwrap_or_default();
        self.serving =
            Some(Serving { id: id.clone(), sha256: sha256.clone(), text: Arc::clone(&text) });
        self.give(id, sha256, offset, &text);
    }

    fn give(&mut self, id: String, sha256: String, offset: u64, text: &[u8]) {
        let bytes = part(text, offset);
        if offset.saturating_add(bytes.len() as u64) >= text.len() as u64 {
            self.serving = None;
        }
        self.say(Word::Part { id, sha256, offset, bytes });
    }

    fn handle_taken(&mut self, id: &str, taken: Taken) {
        match taken {
            Taken::Nothing => {}
            Taken::More(want) => self.say(want),
            Taken::Failed(why) => {
                tracing::warn!(list = id, why, "not copied from the other host");
                self.consider();
            }
            Taken::Whole(copy, text) => {
                let success = UnixSecs(now().0.saturating_sub(copy.age.as_secs()));
                let dir = self.dir.clone();
                self.jobs.spawn_blocking(move || {
                    let Copy { id, header, .. } = copy;
                    let result = take_over(&dir, &id, &header, &text);
                    Done::Copied { id, source: header.source, success, result }
                });
            }
        }
    }

    pub(super) fn handle_copied(
        &mut self,
        id: String,
        source: String,
        success: UnixSecs,
        result: Obtained,
    ) {
        // The settings may name another source by now.
        if self.settings.list(&id).is_none_or(|list| source_text(&list.source) != source) {
            return;
        }
        match result {
            Obtained::Stored => {
                tracing::info!(list = id, "copied from the other host");
                let memory = self.memory.entry(id.clone()).or_default();
                *memory = Memory { source, ..Memory::default() };
                memory.confirmed(success);
                self.uncompiled.insert(id);
                self.mark_dirty();
                self.unsaved = true;
            }
            other => tracing::warn!(list = id, ?other, "the other host's copy is not used"),
        }
        self.start_survey();
    }
}
