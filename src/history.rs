//! The history of questions, and what they come to.
//!
//! ```text
//!   dns workers ─rings─▶ collector (a thread) ─▶ State in memory
//!                                                  │        ▲
//!                                  every 5 minutes ▼        │ rows not written yet, minutes
//!                         writer (a thread) ─▶ DIR/2026-11-27.db  ◀── reading (anybody)
//!                                              DIR/statistics.db
//! ```
//! - A file of SQLite for each day (UTC), deleted whole when it is too old or the folder too large.
//! - Rows are written together, every [`FLUSH_EVERY`] or when many wait: a power cut costs those,
//!   an orderly stop nothing. Readers see them at once, because they read memory first.
//! - An hour that is over is written to `statistics.db`; after a crash it is counted again from the
//!   rows.
//! - Whatever goes wrong with the disk costs history and nothing else: rows are dropped and
//!   counted, and the status says so in a sentence.
//!
//! What the household does not want kept ([`Level`]) is taken off before a row exists.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lanward_dns::{HistoryReader, UpstreamId};
use serde::{Deserialize, Serialize};

mod collector;
mod day_file;
mod filter;
mod hours;
mod latency;
mod merge;
mod minutes;
pub mod partner;
mod reading;
mod row;
mod span;
mod state;
mod stats_file;
pub mod words;
mod writer;

#[cfg(test)]
mod tests;

pub use filter::{Filter, Term};
pub use hours::{Count, Sums};
pub use latency::Histogram;
pub use merge::{Merged, merge};
pub use minutes::{Minute, Step, merge_steps, steps};
pub use reading::{Page, ReadError, Statistics};
pub use row::{Answer, Day, Row, Rule, Seq};
pub use span::Span;

use state::Core;

/// Rows are written at least so often.
pub const FLUSH_EVERY: Duration = Duration::from_secs(300);

/// How much of a question is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Who asked what.
    #[default]
    Everything,
    /// What was asked, not by whom.
    NoClients,
    /// Who asked, not what.
    NoNames,
    /// Neither: how many, and how fast.
    Numbers,
    /// Nothing at all.
    Off,
}

impl Level {
    /// All of them, with the words for them in the settings.
    pub const ALL: [(Level, &'static str); 5] = [
        (Level::Everything, "everything"),
        (Level::NoClients, "no_clients"),
        (Level::NoNames, "no_names"),
        (Level::Numbers, "numbers"),
        (Level::Off, "off"),
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        let own = Self::ALL.into_iter().find(|(level, _)| *level == self);
        own.map_or("off", |(_, word)| word)
    }

    /// Whether clients are kept.
    pub fn clients(self) -> bool {
        matches!(self, Level::Everything | Level::NoNames)
    }

    /// Whether names are kept.
    pub fn names(self) -> bool {
        matches!(self, Level::Everything | Level::NoClients)
    }
}

/// What the household says about its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistorySettings {
    /// How much is kept.
    pub level: Level,
    /// For how long single questions are.
    pub keep: Duration,
    /// Bytes that all of it may take on a host's disk.
    pub max_bytes: u64,
    /// For how long sums by the hour are kept.
    pub keep_statistics: Duration,
}

impl Default for HistorySettings {
    fn default() -> HistorySettings {
        HistorySettings {
            level: Level::Everything,
            keep: Duration::from_secs(30 * 86_400),
            max_bytes: 1 << 30,
            keep_statistics: Duration::from_secs(365 * 86_400),
        }
    }
}

/// Whose questions are to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forget {
    /// All questions of these addresses.
    Clients(Vec<IpAddr>),
    /// All questions for this domain and what is below it.
    Domain(String),
    /// All there is.
    Everything,
}

impl Forget {
    /// Whether a question is among them.
    fn is_about(&self, row: &Row) -> bool {
        match self {
            Forget::Clients(clients) => row.client.is_some_and(|client| clients.contains(&client)),
            Forget::Domain(domain) => row.name.as_ref().is_some_and(|name| is_within(name, domain)),
            Forget::Everything => true,
        }
    }
}

/// Whether `name` is `domain` or below it.
pub(crate) fn is_within(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

/// How the history itself does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryStatus {
    /// What is wrong, in a sentence.
    pub problem: Option<String>,
    /// Rows dropped since the start, because they could not be written.
    pub dropped: u64,
    /// Rows that wait to be written.
    pub waiting: usize,
    /// Bytes of all files.
    pub bytes: u64,
    /// The first day there is, such as `2026-11-27`.
    pub since: Option<String>,
}

/// What a history is made of.
pub struct Config {
    /// The folder of its files; made when absent.
    pub dir: PathBuf,
    /// How much, and for how long.
    pub settings: HistorySettings,
    /// The name of an upstream.
    pub upstream: Box<dyn Fn(UpstreamId) -> Option<Arc<str>> + Send + Sync>,
    /// The wall clock.
    pub now: fn() -> Timestamp,
    /// Free bytes on the disk that are left to others: below, the oldest days go.
    pub reserve_bytes: u64,
}

/// A handle on the history.
#[derive(Clone)]
pub struct History {
    core: Arc<Core>,
}

impl History {
    /// Starts the two threads.
    pub fn start(config: Config, reader: HistoryReader) -> std::io::Result<History> {
        let core = Arc::new(Core::new(config, reader.nudge()));
        writer::start(Arc::clone(&core))?;
        collector::start(Arc::clone(&core), reader)?;
        Ok(History { core })
    }

    /// Puts other settings in force, for what is not written yet as well.
    pub fn set_settings(&self, settings: HistorySettings) {
        self.core.set_settings(settings);
    }

    /// The settings in force.
    pub fn settings(&self) -> HistorySettings {
        self.core.settings()
    }

    /// The newest rows between `after` and `before` (both left out) that `filter` wants. Bounded
    /// in time and rows; blocks.
    pub fn page(
        &self,
        filter: &Filter,
        after: Option<Seq>,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Page, ReadError> {
        reading::page(&self.core, filter, after, before, limit)
    }

    /// What the last `hours` hours come to, the running one included. Blocks.
    pub fn statistics(&self, hours: u32) -> Result<Statistics, ReadError> {
        reading::statistics(&self.core, hours)
    }

    /// Forgets what is of `span`, in all files and in memory; gives how many rows were deleted.
    /// Blocks.
    pub fn forget(&self, wanted: Forget, span: Span) -> Result<usize, String> {
        self.core.forget(wanted, span)
    }

    /// How the history does.
    pub fn status(&self) -> HistoryStatus {
        self.core.status()
    }

    /// Writes everything and ends the threads. Blocks.
    pub fn stop(&self) {
        self.core.stop();
    }
}
