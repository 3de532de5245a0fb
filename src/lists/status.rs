//! What there is to know about a list.

use lanward_blocklists::refresh::{Past, UnixSecs};
use lanward_blocklists::{Format, Report};
use serde::{Deserialize, Serialize};

/// One list as it is now. Success, attempt, error, size and change are separate facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListStatus {
    /// Its id in the settings.
    pub id: String,
    /// Rules in force; `None` while it has never been loaded.
    pub entries: Option<u64>,
    /// How many more rules (or fewer) than before the last change.
    pub entries_delta: Option<i64>,
    /// The syntax of most of its lines.
    pub format: Option<&'static str>,
    /// Lines that cannot be DNS rules, by the kind of thing they are.
    pub skipped: Vec<(&'static str, u64)>,
    /// When it was last fetched, or found unchanged.
    pub last_success: Option<UnixSecs>,
    /// When that was last tried.
    pub last_attempt: Option<UnixSecs>,
    /// When it will be tried next.
    pub next_attempt: Option<UnixSecs>,
    /// Why the last attempt failed; `None` when it succeeded.
    pub error: Option<String>,
    /// Why the version last fetched is held back, with the older one in force.
    pub held: Option<String>,
    /// The version held back can be put into force ([`super::ListKeeper::accept_held`]).
    pub acceptable: bool,
    /// What is going on with it.
    pub activity: Activity,
}

impl ListStatus {
    pub(super) fn new(
        id: &str,
        memory: Memory,
        report: Option<&Report>,
        next_attempt: Option<UnixSecs>,
        activity: Activity,
    ) -> Self {
        let past = memory.past();
        let skipped = report.into_iter().flat_map(Report::skipped);
        Self {
            id: id.to_owned(),
            entries: report.map(|report| report.rules),
            entries_delta: memory.entries_delta,
            format: report.and_then(Report::format).map(Format::as_str),
            skipped: skipped.map(|(kind, count)| (kind.as_str(), count)).collect(),
            last_success: past.last_success,
            last_attempt: past.last_attempt,
            next_attempt,
            error: memory.error,
            held: memory.held,
            acceptable: memory.acceptable,
            activity,
        }
    }
}

/// What is going on with a list at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// Nothing.
    #[default]
    Idle,
    /// It is being fetched.
    Fetching,
    /// The table is being compiled with its new version.
    Compiling,
}

/// What is remembered of a list across restarts, besides its copy. Losing it costs an early
/// fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// The source this is about; another one starts anew.
    pub(super) source: String,
    pub(super) last_success: Option<u64>,
    pub(super) last_attempt: Option<u64>,
    pub(super) failures: u32,
    pub(super) error: Option<String>,
    pub(super) held: Option<String>,
    pub(super) acceptable: bool,
    pub(super) entries_delta: Option<i64>,
}

impl Memory {
    pub(super) fn past(&self) -> Past {
        Past {
            last_success: self.last_success.map(UnixSecs),
            last_attempt: self.last_attempt.map(UnixSecs),
            failures: self.failures,
        }
    }

    pub(super) fn succeeded(&mut self, now: UnixSecs) {
        self.last_success = Some(now.0);
        self.last_attempt = Some(now.0);
        self.failures = 0;
        self.error = None;
        self.held = None;
        self.acceptable = false;
    }

    /// The other host confirmed the same text, or gave its own.
    pub(super) fn confirmed(&mut self, at: UnixSecs) {
        self.last_success = self.last_success.max(Some(at.0));
        self.last_attempt = self.last_attempt.max(Some(at.0));
        self.failures = 0;
        self.error = None;
    }

    pub(super) fn failed(&mut self, now: UnixSecs, error: String) {
        self.last_attempt = Some(now.0);
        self.failures = self.failures.saturating_add(1);
        self.error = Some(error);
    }

    pub(super) fn was_held(&mut self, now: UnixSecs, reason: String, acceptable: bool) {
        self.last_attempt = Some(now.0);
        self.failures = self.failures.saturating_add(1);
        self.error = None;
        self.held = Some(reason);
        self.acceptable = acceptable;
    }
}
