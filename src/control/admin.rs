//! Answers the command line: what the pages' backend can answer too, and what only the owner of
//! the host may ask.

use std::sync::Arc;

use lanward_web::{Backend, ClaimCodes};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::handle::Stopping;
use super::journal::Journal;
use super::pairing::Pairing;
use crate::admin::{self, ClaimReply, RecordWrite, Refusal, RefusalKind, Reply, Request};
use crate::backend::{self, Daemon};
use crate::node::EditError;

/// Everything the command line may ask.
pub(super) struct Admin {
    pub(super) daemon: Arc<Daemon>,
    pub(super) claim: Arc<ClaimCodes>,
    pub(super) pairing: Arc<Pairing>,
    pub(super) journal: Journal,
    pub(super) url: String,
}

/// Who asks, on the timeline.
const BY: &str = "the command line";
/// A claim code is good for so long.
const CLAIM_SECS: u64 = 30 * 60;

impl Admin {
    /// Answers until nobody asks any more.
    pub(super) async fn run(self, mut asked: mpsc::Receiver<(Request, oneshot::Sender<Reply>)>) {
        let this = Arc::new(self);
        while let Some((request, reply)) = asked.recv().await {
            let this = Arc::clone(&this);
            tokio::spawn(async move {
                let _ = reply.send(this.answer(request).await);
            });
        }
    }

    async fn answer(&self, request: Request) -> Reply {
        let request = match admin::answer(&*self.daemon, request).await {
            Ok(reply) => return reply,
            Err(request) => request,
        };
        let answer = match request {
            Request::Claim => self.claim().await,
            Request::NewAuthority => self.new_authority().await,
            Request::PairInvite => self.pairing.invite().await.map(|invite| Reply::done(&invite)),
            Request::PairJoin { invite } => {
                self.pairing.join(&invite).await.map(|joined| Reply::done(&joined))
            }
            Request::PairHeld => self.pairing.held().await.map(|held| Reply::done(&held)),
            Request::PairDown => self.pairing.down(BY).await.map(|()| Reply::done(&json!({}))),
            Request::PairMaintenance { on } => {
                self.pairing.maintenance(on, BY).await.map(|()| Reply::done(&json!({})))
            }
            Request::PairRemove { force } => {
                self.pairing.remove(BY, force).await.map(|removed| Reply::done(&removed))
            }
            Request::PairReplace => {
                self.pairing.replace(BY).await.map(|invite| Reply::done(&invite))
            }
            Request::PairLog { limit } => Ok(Reply::done(&self.journal.latest(limit))),
            Request::Records => self.records().await,
            Request::Edit { writes } => self.edit(writes).await,
            _ => Err(Refusal::new(RefusalKind::Unknown, "This request is not known here.")),
        };
        answer.unwrap_or_else(Reply::from)
    }

    async fn claim(&self) -> Result<Reply, Refusal> {
        let claimed = self.daemon.owner_password_hash().await?.is_some();
        Ok(Reply::done(&ClaimReply {
            code: (!claimed).then(|| self.claim.current()),
            url: if claimed { self.url.clone() } else { format!("{}setup", self.url) },
            valid_secs: (!claimed).then_some(CLAIM_SECS),
        }))
    }

    async fn new_authority(&self) -> Result<Reply, Refusal> {
        let made = self.daemon.new_authority().await;
        made.map_err(|why| Refusal::new(RefusalKind::Unavailable, why))?;
        self.journal.own("certificate authority", &format!("made anew by {BY}"));
        Ok(Reply::done(&self.daemon.encrypted(true).await?))
    }

    async fn records(&self) -> Result<Reply, Refusal> {
        let records = self.daemon.control().ask(|reading| reading.node.records().clone());
        let records = records.await.map_err(stopping)?;
        let value = |json: &str| serde_json::from_str(json).unwrap_or(Value::Null);
        // Hashes of passwords leave the daemon for nobody.
        let shown = records.iter().filter(|(key, _)| !key.starts_with("user/"));
        let shown: serde_json::Map<String, Value> =
            shown.map(|(key, json)| (key.clone(), value(json))).collect();
        Ok(Reply::done(&shown))
    }

    async fn edit(&self, writes: Vec<RecordWrite>) -> Result<Reply, Refusal> {
        let keys: Vec<String> = writes.iter().map(|w| w.key.clone()).collect();
        let locked = self.daemon.control().ask(move |reading| {
            let records = reading.node.records();
            keys.iter().find_map(|key| backend::locked(records, key))
        });
        if let Some(why) = locked.await.map_err(stopping)? {
            return Err(Refusal::new(RefusalKind::Locked, why));
        }
        if let Some(write) = writes.iter().find(|w| w.key.starts_with("declared/")) {
            let why = format!("{} is kept by the daemon itself.", write.key);
            return Err(Refusal::new(RefusalKind::Locked, why));
        }
        let writes = writes.into_iter().map(|w| (w.key, w.value.map(|v| v.to_string()))).collect();
        match self.daemon.control().edit("command line", writes).await.map_err(stopping)? {
            Ok(reach) => Ok(Reply::done(&backend::in_force(reach))),
            Err(error @ EditError::Invalid(_)) => {
                Err(Refusal::new(RefusalKind::Invalid, error.to_string()))
            }
            Err(error @ EditError::Undo(_)) => {
                Err(Refusal::new(RefusalKind::Conflict, error.to_string()))
            }
            Err(error @ EditError::NotDurable(_)) => {
                Err(Refusal::new(RefusalKind::Unavailable, error.to_string()))
            }
        }
    }
}

pub(super) fn stopping(stopping: Stopping) -> Refusal {
    Refusal::new(RefusalKind::Unavailable, stopping.to_string())
}
