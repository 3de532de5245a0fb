//! The node's blocklists: kept on disk, refreshed, compiled, and published as one filter.
//!
//! ```text
//!            settings            update_now, accept_held
//!                │                        │
//!                ▼                        ▼
//!   disk ──▶  ListKeeper (one task: what is due, what is in force)  ──▶ statuses
//!                │  ▲             │  ▲
//!          fetch │  │ content     │  │ table
//!                ▼  │ or error    ▼  │
//!           io::fetch, files     compile (a blocking thread)
//!                                 │
//!                                 └──▶ CompiledFilter ──▶ publish (the DNS snapshot)
//! ```
//!
//! Whatever goes wrong with a list, its last good version stays in force: it is on disk before it
//! is compiled, and what is compiled is on disk too, so that a restart filters before it has a
//! network. A rule made by hand or another choice of lists never waits for a compilation.

mod disk;
mod partner;
mod settings;
mod status;
mod task;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use lanward_blocklists::refresh::Pace;
use lanward_blocklists::{CompiledFilter, Explanation, WireName};
use lanward_dns::{Filter, Policies, PolicyId};
use tokio::sync::{mpsc, oneshot, watch};

use crate::io::fetch::Fetcher;

pub use disk::DiskError;
pub use settings::ListSettings;
pub use status::{Activity, ListStatus};

/// What a keeper needs to begin.
pub struct Config {
    /// Where copies of lists and the compiled table are kept; made when absent.
    pub dir: PathBuf,
    /// Fetches what has a URL.
    pub fetcher: Fetcher,
    /// How often.
    pub pace: Pace,
    /// Spreads the fetches of different installations.
    pub seed: u64,
    /// Called with every new filter and the policies it was made for, from the keeper's task: swap
    /// both in and return.
    pub publish: Box<dyn Fn(Arc<dyn Filter>, Policies) + Send + Sync>,
    /// Takes messages for the other host's keeper, of at most 256 KiB.
    pub to_partner: mpsc::Sender<Vec<u8>>,
}

/// A handle on the task that keeps the lists. The task ends when all handles are gone.
#[derive(Clone)]
pub struct ListKeeper {
    settings: Arc<watch::Sender<ListSettings>>,
    commands: mpsc::Sender<Command>,
    filter: watch::Receiver<Arc<CompiledFilter>>,
    statuses: watch::Receiver<Arc<[ListStatus]>>,
    partner_link: Arc<watch::Sender<bool>>,
    partner_says: mpsc::Sender<Vec<u8>>,
}

/// What the task is asked for.
pub(crate) enum Command {
    /// Fetch this list now, or all of them.
    Update(Option<String>),
    /// Put the version held back into force.
    AcceptHeld(String, oneshot::Sender<Result<(), AcceptError>>),
}

/// Why a version cannot be put into force.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// There is none.
    #[error("no version of this list is held back")]
    NothingHeld,
    /// It is damaged or cannot be moved.
    #[error("the version held back cannot be used: {0}")]
    Disk(#[from] DiskError),
    /// The keeper is gone.
    #[error("the program is stopping")]
    Stopping,
}

impl ListKeeper {
    /// Reads what is on disk, publishes the filter made of it, and starts the task. Returns when
    /// a filter is in force; nothing is fetched before that.
    pub async fn start(config: Config, settings: ListSettings) -> Result<Self, DiskError> {
        let (settings_tx, settings_rx) = watch::channel(settings);
        let (commands_tx, commands_rx) = mpsc::channel(64);
        let (link_tx, link) = watch::channel(false);
        let (partner_says, said) = mpsc::channel(64);
        let partner = task::Partner { link, said };
        let (task, (filter, statuses)) =
            task::Task::load(config, settings_rx, commands_rx, partner).await?;
        tokio::spawn(task.run());
        Ok(Self {
            settings: Arc::new(settings_tx),
            commands: commands_tx,
            filter,
            statuses,
            partner_link: Arc::new(link_tx),
            partner_says,
        })
    }

    /// Puts other settings into force: rules and the choice of lists at once, new lists as soon
    /// as they have been fetched.
    pub fn set_settings(&self, settings: ListSettings) {
        self.settings.send_if_modified(|current| {
            let changed = *current != settings;
            *current = settings;
            changed
        });
    }

    /// Starts to fetch a list now, or all of them; does not wait for the end. Files are read
    /// again too.
    pub fn update_now(&self, id: Option<&str>) {
        // A full queue has updates enough.
        let _ = self.commands.try_send(Command::Update(id.map(str::to_owned)));
    }

    /// Puts the version of a list that is held back into force.
    pub async fn accept_held(&self, id: &str) -> Result<(), AcceptError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::AcceptHeld(id.to_owned(), reply);
        self.commands.send(command).await.map_err(|_| AcceptError::Stopping)?;
        answer.await.map_err(|_| AcceptError::Stopping)?
    }

    /// Messages reach the other host's keeper from now on, or do not any more.
    pub fn partner_link(&self, up: bool) {
        self.partner_link.send_replace(up);
    }

    /// A message of the other host's keeper. One that finds the queue full is lost, and what it
    /// asked for is asked for again.
    pub fn partner_said(&self, message: Vec<u8>) {
        let _ = self.partner_says.try_send(message);
    }

    /// All lists of the settings, in their order, as they are now.
    pub fn statuses(&self) -> Arc<[ListStatus]> {
        self.statuses.borrow().clone()
    }

    /// Tells of changes to [`Self::statuses`].
    pub fn watch_statuses(&self) -> watch::Receiver<Arc<[ListStatus]>> {
        self.statuses.clone()
    }

    /// The filter in force.
    pub fn filter(&self) -> Arc<CompiledFilter> {
        self.filter.borrow().clone()
    }

    /// Why `name` is blocked for `policy`, or is not.
    pub fn explain(&self, name: &WireName, policy: PolicyId) -> Explanation {
        self.filter().explain(name, policy)
    }
}

impl std::fmt::Debug for ListKeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListKeeper").field("lists", &self.statuses().len()).finish_non_exhaustive()
    }
}
