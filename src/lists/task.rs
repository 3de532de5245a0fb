//! The task: one loop that decides what is fetched, compiled and published, and never waits for
//! any of it.

#![allow(clippy::disallowed_methods, reason = "a shell: the wall clock")]

mod compile;
mod copying;
mod load;
mod obtain;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lanward_blocklists::refresh::{self, UnixSecs};
use lanward_blocklists::{CompiledFilter, HashKey, ListKind, Table, TableList};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::disk::{DiskError, ListDir};
use super::partner::Pulls;
use super::settings::{ListSettings, source_text};
use super::status::{Activity, ListStatus, Memory};
use super::{AcceptError, Command, Config};
use crate::io::background::behind_all;
use crate::io::fetch::Limits;
use crate::settings::effective::ListSpec;
use crate::settings::records::{self, Source};
use compile::Compiled;
use copying::{Copies, Serving};
use load::Loaded;
use obtain::{Obtained, Stamp};

/// Lists fetched at the same time.
const PARALLEL: usize = 4;
/// The longest sleep: the wall clock may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);
/// How often files are looked at for changes.
const FILE_LOOK: Duration = Duration::from_secs(30);
/// How long a new version waits for others before it is compiled.
const GATHER: Duration = Duration::from_secs(2);

type Watches = (watch::Receiver<Arc<CompiledFilter>>, watch::Receiver<Arc<[ListStatus]>>);

pub(super) struct Task {
    config: Config,
    dir: ListDir,
    key: HashKey,
    settings_in: watch::Receiver<ListSettings>,
    commands: mpsc::Receiver<Command>,
    filter_out: watch::Sender<Arc<CompiledFilter>>,
    statuses_out: watch::Sender<Arc<[ListStatus]>>,

    settings: ListSettings,
    memory: BTreeMap<String, Memory>,
    /// What is on disk of `memory` is older.
    unsaved: bool,
    saving: bool,
    table: Arc<Table>,
    /// Since when the copies on disk differ from what the table was compiled from.
    dirty: Option<Instant>,
    compiling: bool,
    fetching: BTreeSet<String>,
    /// Asked for by hand.
    wanted: BTreeSet<String>,
    /// New versions that are not in the table yet.
    uncompiled: BTreeSet<String>,
    stamps: BTreeMap<String, Stamp>,
    looking: bool,
    jobs: JoinSet<Done>,

    partner: Partner,
    linked: bool,
    pulls: Pulls,
    /// The good copies on the disk, as they were last looked at.
    copies: Copies,
    serving: Option<Serving>,
    started: Instant,
}

/// What is heard of the other host.
pub(super) struct Partner {
    pub(super) link: watch::Receiver<bool>,
    pub(super) said: mpsc::Receiver<Vec<u8>>,
}

/// What a job brings back.
enum Done {
    Obtained { id: String, source: String, result: Obtained },
    Compiled(Compiled),
    Verified { damaged: Vec<String> },
    Looked(Vec<(String, Stamp)>),
    Surveyed(Copies),
    Opened { id: String, sha256: String, offset: u64, text: Option<Arc<Vec<u8>>> },
    Copied { id: String, source: String, success: UnixSecs, result: Obtained },
    Saved(Result<(), DiskError>),
}

impl Task {
    /// Reads the folder and publishes the filter made of it.
    pub(super) async fn load(
        config: Config,
        settings_in: watch::Receiver<ListSettings>,
        commands: mpsc::Receiver<Command>,
        partner: Partner,
    ) -> Result<(Self, Watches), DiskError> {
        let path = config.dir.clone();
        let settings = settings_in.borrow().clone();
        let lists = settings.lists.clone();
        let loaded = blocking(move || Loaded::read(path, &lists)).await?;
        let filter = Arc::new(CompiledFilter::new(loaded.table.clone(), &settings.filter_parts()));
        let (filter_out, filter_rx) = watch::channel(filter);
        let (statuses_out, statuses_rx) = watch::channel(Arc::from([]));
        let mut task = Self {
            config,
            dir: loaded.dir,
            key: loaded.key,
            settings_in,
            commands,
            filter_out,
            statuses_out,
            settings,
            memory: loaded.memory,
            unsaved: false,
            saving: false,
            table: loaded.table,
            dirty: None,
            compiling: false,
            fetching: BTreeSet::new(),
            wanted: BTreeSet::new(),
            uncompiled: BTreeSet::new(),
            stamps: BTreeMap::new(),
            looking: false,
            jobs: JoinSet::new(),
            partner,
            linked: false,
            pulls: Pulls::new(Limits::default().unpacked_bytes as u64),
            copies: Copies::new(),
            serving: None,
            started: Instant::now(),
        };
        task.forget(&loaded.damaged);
        if loaded.stale {
            task.mark_dirty();
        }
        if !loaded.compiled {
            task.start_verifying();
        }
        task.start_looking();
        task.start_survey();
        task.publish();
        task.publish_statuses();
        Ok((task, (filter_rx, statuses_rx)))
    }

    pub(super) async fn run(mut self) {
        loop {
            self.start_fetching();
            self.start_compiling();
            self.start_saving();
            self.publish_statuses();
            let sleep = self.sleep();
            tokio::select! {
                changed = self.settings_in.changed() => match changed {
                    Ok(()) => self.take_settings(),
                    Err(_) => return,
                },
                Ok(()) = self.partner.link.changed() => {
                    let up = *self.partner.link.borrow_and_update();
                    self.handle_link(up);
                }
                Some(message) = self.partner.said.recv() => self.handle_partner(&message),
                Some(command) = self.commands.recv() => self.handle_command(command).await,
                Some(done) = self.jobs.join_next() => match done {
                    Ok(done) => self.handle_done(done),
                    Err(error) => tracing::error!(%error, "a job of the lists ended badly"),
                },
                () = tokio::time::sleep(sleep) => {
                    self.check_patience();
                    self.start_looking();
                }
            }
        }
    }

    fn take_settings(&mut self) {
        self.settings = self.settings_in.borrow_and_update().clone();
        self.publish();
        self.start_survey();
        if compile::is_stale(&self.dir, &self.table, &self.settings.lists) {
            self.mark_dirty();
        }
    }

    async fn handle_command(&mut self, command: Command) {
        match command {
            Command::Update(None) => {
                let ids = self.settings.lists.iter().filter(|l| is_fetched(l));
                self.wanted.extend(ids.map(|list| list.id.to_string()));
            }
            Command::Update(Some(id)) => {
                if self.settings.list(&id).is_some_and(is_fetched) {
                    self.wanted.insert(id);
                }
            }
            Command::AcceptHeld(id, reply) => {
                let result = self.accept_held(id).await;
                self.publish_statuses();
                let _ = reply.send(result);
            }
        }
    }

    async fn accept_held(&mut self, id: String) -> Result<(), AcceptError> {
        let acceptable = self.memory.get(&id).is_some_and(|memory| memory.acceptable);
        if !acceptable || self.fetching.contains(&id) {
            return Err(AcceptError::NothingHeld);
        }
        let (dir, list) = (self.dir.clone(), id.clone());
        if !blocking(move || dir.accept_held(&list)).await? {
            return Err(AcceptError::NothingHeld);
        }
        self.memory.entry(id.clone()).or_default().succeeded(now());
        self.unsaved = true;
        self.uncompiled.insert(id);
        self.mark_dirty();
        self.start_survey();
        Ok(())
    }

    fn handle_done(&mut self, done: Done) {
        match done {
            Done::Obtained { id, source, result } => self.handle_obtained(id, source, result),
            Done::Compiled(compiled) => self.handle_compiled(compiled),
            Done::Verified { damaged } => self.forget(&damaged),
            Done::Looked(stamps) => {
                self.looking = false;
                for (id, stamp) in stamps {
                    if self.stamps.insert(id.clone(), stamp) != Some(stamp) {
                        self.wanted.insert(id);
                    }
                }
            }
            Done::Surveyed(copies) => self.handle_surveyed(copies),
            Done::Opened { id, sha256, offset, text } => {
                self.handle_opened(id, sha256, offset, text);
            }
            Done::Copied { id, source, success, result } => {
                self.handle_copied(id, source, success, result);
            }
            Done::Saved(result) => {
                self.saving = false;
                if let Err(error) = result {
                    tracing::warn!(%error, "the lists' status is not saved");
                }
            }
        }
    }

    fn handle_obtained(&mut self, id: String, source: String, result: Obtained) {
        self.fetching.remove(&id);
        // The settings may name another source by now; that one is due by itself.
        if self.settings.list(&id).is_none_or(|list| source_text(&list.source) != source) {
            return;
        }
        let memory = self.memory.entry(id.clone()).or_default();
        if memory.source != source {
            *memory = Memory { source, ..Memory::default() };
        }
        let now = now();
        match result {
            Obtained::NotModified => memory.succeeded(now),
            Obtained::Stored => {
                tracing::info!(list = id, "new version");
                memory.succeeded(now);
                self.uncompiled.insert(id);
                self.mark_dirty();
            }
            Obtained::Held { reason, acceptable } => {
                tracing::warn!(list = id, reason, "the new version is held back");
                memory.was_held(now, reason, acceptable);
            }
            Obtained::Failed(error) => {
                tracing::warn!(list = id, error, "not fetched");
                memory.failed(now, error);
            }
        }
        self.unsaved = true;
        self.start_survey();
    }

    fn handle_compiled(&mut self, compiled: Compiled) {
        self.compiling = false;
        for (id, error) in compiled.refused {
            self.memory.entry(id).or_default().error = Some(error);
        }
        // Better the old rules of a damaged copy than none, until it has been fetched again.
        let loses = compiled.damaged.iter().any(|id| self.in_table(id).is_some());
        self.forget(&compiled.damaged);
        match compiled.table {
            Ok(_) if loses => {}
            Ok(table) => {
                self.note_changes(&table);
                self.table = table;
                self.publish();
            }
            Err(error) => tracing::error!(error, "the lists are not compiled; the old ones stay"),
        }
    }

    /// Notes how many rules each list has won or lost.
    fn note_changes(&mut self, new: &Table) {
        for list in new.lists() {
            if let Some(old) = self.in_table(&list.id).filter(|old| old.digest != list.digest) {
                let delta = list.report.rules.cast_signed() - old.report.rules.cast_signed();
                self.memory.entry(list.id.clone()).or_default().entries_delta = Some(delta);
                self.unsaved = true;
            }
        }
    }

    /// Damaged copies: gone, and due again at once.
    fn forget(&mut self, damaged: &[String]) {
        for id in damaged {
            tracing::warn!(list = id, "the copy on disk is damaged; fetching it again");
            self.memory.remove(id);
            self.wanted.insert(id.clone());
            self.unsaved = true;
        }
    }

    fn start_fetching(&mut self) {
        let now = now();
        let free = PARALLEL.saturating_sub(self.fetching.len());
        let due: Vec<ListSpec> = self
            .settings
            .lists
            .iter()
            .filter(|list| is_fetched(list) && !self.fetching.contains(&*list.id))
            .filter(|list| self.wanted.contains(&*list.id) || self.due_at(now, list) <= now)
            .take(free)
            .cloned()
            .collect();
        for list in due {
            let id = list.id.to_string();
            self.wanted.remove(&id);
            self.fetching.insert(id.clone());
            let source = source_text(&list.source).to_owned();
            let rules = self.in_table(&id).map(|known| known.report.rules);
            let (dir, fetcher) = (self.dir.clone(), self.config.fetcher.clone());
            self.jobs.spawn(async move {
                let result = obtain::obtain(&dir, &fetcher, &list, rules).await;
                Done::Obtained { id, source, result }
            });
        }
        // Wanted by hand, but gone from the settings or switched off.
        let settings = &self.settings;
        self.wanted.retain(|id| settings.list(id).is_some_and(is_fetched));
    }

    fn mark_dirty(&mut self) {
        self.dirty.get_or_insert_with(Instant::now);
    }

    /// One compilation for all lists of a round, but no list waits long for a slow one.
    fn start_compiling(&mut self) {
        let ready = self.compile_wait().is_some_and(|wait| wait.is_zero());
        if !ready || self.compiling {
            return;
        }
        self.dirty = None;
        self.compiling = true;
        let (dir, key, lists) = (self.dir.clone(), self.key, self.settings.lists.clone());
        self.uncompiled.clear();
        self.jobs.spawn_blocking(move || {
            Done::Compiled(behind_all(|| compile::compile(&dir, key, &lists)))
        });
    }

    fn start_verifying(&mut self) {
        let (dir, lists) = (self.dir.clone(), self.settings.lists.clone());
        self.jobs.spawn_blocking(move || Done::Verified {
            damaged: behind_all(|| compile::verify(&dir, &lists)),
        });
    }

    fn start_saving(&mut self) {
        if self.unsaved && !self.saving {
            self.unsaved = false;
            self.saving = true;
            let settings = &self.settings;
            self.memory.retain(|id, _| settings.list(id).is_some());
            let (dir, memory) = (self.dir.clone(), self.memory.clone());
            self.jobs.spawn_blocking(move || Done::Saved(dir.write_memory(&memory)));
        }
    }

    fn start_looking(&mut self) {
        let files: Vec<_> =
            self.files().map(|(id, path)| (id.to_owned(), path.to_owned())).collect();
        if !self.looking && !files.is_empty() {
            self.looking = true;
            self.jobs.spawn_blocking(move || {
                Done::Looked(files.into_iter().map(|(id, path)| (id, Stamp::of(&path))).collect())
            });
        }
    }

    fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.lists.iter().filter_map(|list| match &list.source {
            Source::File(path) if list.enabled => Some((&*list.id, path.as_str())),
            _ => None,
        })
    }

    /// How long a compilation still has to wait for lists that are being fetched; `None` when
    /// there is nothing to compile.
    fn compile_wait(&self) -> Option<Duration> {
        let since = self.dirty?;
        let wait = if self.fetching.is_empty() { Duration::ZERO } else { GATHER };
        Some(wait.saturating_sub(since.elapsed()))
    }

    fn sleep(&self) -> Duration {
        let now = now();
        let fetched = self.settings.lists.iter().filter(|l| is_fetched(l));
        let idle = fetched.filter(|list| !self.fetching.contains(&*list.id));
        let next = idle.map(|list| self.due_at(now, list).0.saturating_sub(now.0)).min();
        // Rounded up: due is a whole second.
        let wait = next.map_or(LONGEST_SLEEP, |secs| Duration::from_secs(secs.max(1)));
        let looks = self.files().next().map_or(LONGEST_SLEEP, |_| FILE_LOOK);
        let compile = self.compile_wait().filter(|_| !self.compiling).unwrap_or(LONGEST_SLEEP);
        let patience = self.patience().unwrap_or(LONGEST_SLEEP);
        wait.min(looks).min(compile).min(patience).min(LONGEST_SLEEP)
    }

    fn due_at(&self, now: UnixSecs, list: &ListSpec) -> UnixSecs {
        let memory = self.memory.get(&*list.id);
        let same = memory.filter(|memory| memory.source == source_text(&list.source));
        let past = same.map(Memory::past).unwrap_or_default();
        refresh::due_at(now, &self.config.pace, self.config.seed, &list.id, &past)
    }

    fn publish(&self) {
        let parts = self.settings.filter_parts();
        let filter = Arc::new(CompiledFilter::new(self.table.clone(), &parts));
        (self.config.publish)(filter.clone(), self.settings.policies.clone());
        self.filter_out.send_replace(filter);
    }

    fn publish_statuses(&self) {
        let statuses: Arc<[ListStatus]> =
            self.settings.lists.iter().map(|list| self.status(list)).collect();
        self.statuses_out.send_if_modified(|current| {
            let changed = *current != statuses;
            *current = statuses;
            changed
        });
    }

    fn status(&self, list: &ListSpec) -> ListStatus {
        let memory = self.memory.get(&*list.id).cloned().unwrap_or_default();
        let in_force = self.in_table(&list.id);
        let activity = if self.fetching.contains(&*list.id) {
            Activity::Fetching
        } else if self.uncompiled.contains(&*list.id) || (self.compiling && in_force.is_none()) {
            Activity::Compiling
        } else {
            Activity::Idle
        };
        let next_attempt = is_fetched(list).then(|| self.due_at(now(), list));
        let report = in_force.map(|known| &known.report);
        ListStatus::new(&list.id, memory, report, next_attempt, activity)
    }

    fn in_table(&self, id: &str) -> Option<&TableList> {
        self.table.lists().iter().find(|known| known.id == id)
    }
}

/// Whether a list is fetched at all.
fn is_fetched(list: &ListSpec) -> bool {
    list.enabled && list.source != Source::Builtin
}

fn kind_of(kind: records::ListKind) -> ListKind {
    match kind {
        records::ListKind::Block => ListKind::Block,
        records::ListKind::Allow => ListKind::Allow,
    }
}

fn now() -> UnixSecs {
    UnixSecs(SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()))
}

/// Runs `work` where blocking is allowed. A panic in it is a panic here.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
