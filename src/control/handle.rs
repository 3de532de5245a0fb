//! How the pages, the command line and background tasks reach the node: by message, never by lock.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use lanward_dhcp::Time;
use lanward_ha::{ChangeId, PairConfig};
use tokio::sync::{mpsc, oneshot};

use crate::node::{EditError, Node, SessionDeed};

/// Asks of one kind wait in the queue at most; more wait outside.
const QUEUE: usize = 256;
/// How long an edit waits for the partner before it is reported as "later".
const PARTNER_PATIENCE: Duration = Duration::from_millis(900);

/// The daemon is stopping: nobody reads its messages any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Lanward is stopping on this host. The other host answers.")]
pub struct Stopping;

/// Where an edit is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// There is one host, and it has it.
    Alone,
    /// On both.
    Both,
    /// Here; the partner of this name gets it when it is back.
    PartnerLater(String),
}

/// What a question to the node sees.
pub struct Reading<'a> {
    /// The node.
    pub node: &'a mut Node,
    /// The time on the node's own line.
    pub now: Time,
    /// The wall clock at the same moment.
    pub wall: Timestamp,
}

impl Reading<'_> {
    /// A point of the node's time line as a date.
    pub fn date(&self, at: Time) -> Timestamp {
        let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
        let now = i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX);
        let date = self.wall.as_millisecond().saturating_add(millis.saturating_sub(now));
        Timestamp::from_millisecond(date).unwrap_or(Timestamp::MAX)
    }
}

type Question = Box<dyn FnOnce(&mut Reading<'_>) + Send>;

/// One message to the node's task.
pub(super) enum Command {
    Ask(Question),
    Edit {
        author: String,
        writes: Vec<(String, Option<String>)>,
        done: oneshot::Sender<Result<(), EditError>>,
    },
    Undo {
        author: String,
        change: ChangeId,
        done: oneshot::Sender<Result<(), EditError>>,
    },
    Release {
        addr: Ipv4Addr,
        done: oneshot::Sender<bool>,
    },
    Session {
        deed: SessionDeed,
        done: oneshot::Sender<bool>,
    },
    Lists(Vec<u8>),
    /// About the history of questions, for the partner.
    History(serde_json::Value),
    Authority(String),
    Paired(PairConfig),
    HandOver {
        done: oneshot::Sender<()>,
    },
    Unpaired(PairConfig),
    PartnerOff {
        by: String,
        done: oneshot::Sender<Result<(), String>>,
    },
    RemovePartner {
        by: String,
    },
    Maintenance {
        on: bool,
        by: String,
        done: oneshot::Sender<Result<(), String>>,
    },
    /// Whether DHCP clients are answered at all on this host.
    Mute(bool),
    /// Something for the timeline.
    Note {
        what: String,
        why: String,
    },
    CopyStore {
        target: PathBuf,
        done: oneshot::Sender<io::Result<()>>,
    },
    /// In order; the second time, at once.
    Stop {
        why: String,
    },
}

/// Reaches the node; clones reach the same one.
#[derive(Clone)]
pub struct Handle {
    to: mpsc::Sender<Command>,
}

impl Handle {
    /// A handle and the queue it feeds.
    pub(super) fn new() -> (Handle, mpsc::Receiver<Command>) {
        let (to, from) = mpsc::channel(QUEUE);
        (Handle { to }, from)
    }

    /// Asks the node something. The question runs on the node's own task: it reads and copies, it
    /// does not compute.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Reading<'_>) -> T + Send + 'static,
    ) -> Result<T, Stopping> {
        let (reply, answer) = oneshot::channel();
        let question: Question = Box::new(move |reading| {
            // Nobody waiting any more is no error: a browser may have gone away.
            let _ = reply.send(question(reading));
        });
        self.send(Command::Ask(question)).await?;
        answer.await.map_err(|_| Stopping)
    }

    /// Edits records of the household: all writes or none. Returns once they are durable here,
    /// and says where they are in force.
    pub async fn edit(
        &self,
        author: &str,
        writes: Vec<(String, Option<String>)>,
    ) -> Result<Result<Reach, EditError>, Stopping> {
        let (done, answer) = oneshot::channel();
        let author = author.to_owned();
        self.send(Command::Edit { author, writes, done }).await?;
        self.edited(answer).await
    }

    /// Takes back a change of the household's records by another one; otherwise as
    /// [`Handle::edit`].
    pub async fn undo(
        &self,
        author: &str,
        change: ChangeId,
    ) -> Result<Result<Reach, EditError>, Stopping> {
        let (done, answer) = oneshot::channel();
        self.send(Command::Undo { author: author.to_owned(), change, done }).await?;
        self.edited(answer).await
    }

    async fn edited(
        &self,
        answer: oneshot::Receiver<Result<(), EditError>>,
    ) -> Result<Result<Reach, EditError>, Stopping> {
        match answer.await.map_err(|_| Stopping)? {
            Ok(()) => Ok(Ok(self.reach().await?)),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Ends the lease of an address by hand; `false` when there was none.
    pub async fn release(&self, addr: Ipv4Addr) -> Result<bool, Stopping> {
        let (done, answer) = oneshot::channel();
        self.send(Command::Release { addr, done }).await?;
        answer.await.map_err(|_| Stopping)
    }

    /// Something happens to a login session; tells whether it is alive then.
    pub async fn session(&self, deed: SessionDeed) -> Result<bool, Stopping> {
        let (done, answer) = oneshot::channel();
        self.send(Command::Session { deed, done }).await?;
        answer.await.map_err(|_| Stopping)
    }

    /// A message about copies of blocklists for the partner.
    pub async fn lists(&self, message: Vec<u8>) -> Result<(), Stopping> {
        self.send(Command::Lists(message)).await
    }

    /// The certificate authority, for the partner.
    pub async fn authority(&self, text: String) -> Result<(), Stopping> {
        self.send(Command::Authority(text)).await
    }

    /// A word about the history of questions for the partner; lost where the node is too busy.
    pub fn history(&self, word: serde_json::Value) {
        let _ = self.to.try_send(Command::History(word));
    }

    /// Where the settings as they are now are in force. Waits a moment for the partner.
    pub async fn reach(&self) -> Result<Reach, Stopping> {
        let deadline = tokio::time::Instant::now() + PARTNER_PATIENCE;
        loop {
            let (partner, agreed) = self
                .ask(|reading| {
                    let partner = reading.node.pair().status().partner;
                    (partner.map(|p| (p.name, p.connected)), reading.node.settings_agreed())
                })
                .await?;
            match partner {
                None => return Ok(Reach::Alone),
                Some(_) if agreed == Some(true) => return Ok(Reach::Both),
                Some((name, false)) => return Ok(Reach::PartnerLater(name)),
                Some((name, true)) if tokio::time::Instant::now() >= deadline => {
                    return Ok(Reach::PartnerLater(name));
                }
                Some(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// This node is one of a pair from now on.
    pub async fn paired(&self, config: PairConfig) -> Result<(), Stopping> {
        self.send(Command::Paired(config)).await
    }

    /// Copies the store, with everything that is durable now, to `target`.
    pub async fn copy_store(&self, target: PathBuf) -> Result<io::Result<()>, Stopping> {
        let (done, answer) = oneshot::channel();
        self.send(Command::CopyStore { target, done }).await?;
        answer.await.map_err(|_| Stopping)
    }

    /// Hands the service addresses over to the partner, if it takes them; returns once this host
    /// holds none any more.
    pub async fn hand_over(&self) -> Result<(), Stopping> {
        let (done, answer) = oneshot::channel();
        self.send(Command::HandOver { done }).await?;
        answer.await.map_err(|_| Stopping)
    }

    /// This node has no partner any more.
    pub(super) async fn unpaired(&self, config: PairConfig) -> Result<(), Stopping> {
        self.send(Command::Unpaired(config)).await
    }

    /// `by` says that the partner is off, and it was seen to be silent. Else why it is not taken
    /// for off.
    pub(super) async fn partner_off(&self, by: &str) -> Result<Result<(), String>, Stopping> {
        let (done, answer) = oneshot::channel();
        self.send(Command::PartnerOff { by: by.to_owned(), done }).await?;
        answer.await.map_err(|_| Stopping)
    }

    /// Tells a connected partner that it is out of the pair.
    pub(super) async fn remove_partner(&self, by: &str) -> Result<(), Stopping> {
        self.send(Command::RemovePartner { by: by.to_owned() }).await
    }

    /// Hands DHCP over to the partner, or takes its part again. Else why not.
    pub(super) async fn maintenance(
        &self,
        on: bool,
        by: &str,
    ) -> Result<Result<(), String>, Stopping> {
        let (done, answer) = oneshot::channel();
        self.send(Command::Maintenance { on, by: by.to_owned(), done }).await?;
        answer.await.map_err(|_| Stopping)
    }

    /// Whether DHCP clients are answered at all on this host.
    pub(super) async fn mute(&self, mute: bool) -> Result<(), Stopping> {
        self.send(Command::Mute(mute)).await
    }

    /// Puts something that happened to this host on the timeline.
    pub(super) async fn note(&self, what: &str, why: &str) -> Result<(), Stopping> {
        self.send(Command::Note { what: what.to_owned(), why: why.to_owned() }).await
    }

    /// Asks the node's task to end: the first time in order, the partner taking over, which takes
    /// a few seconds at most; the second time at once.
    pub async fn stop(&self, why: &str) {
        let _ = self.send(Command::Stop { why: why.to_owned() }).await;
    }

    async fn send(&self, command: Command) -> Result<(), Stopping> {
        self.to.send(command).await.map_err(|_| Stopping)
    }
}
