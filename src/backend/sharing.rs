//! What both hosts share beyond leases, as the pages ask for it: pauses, the history, collisions,
//! logins.

use std::collections::BTreeMap;

use lanward_ha::SettingsChange;
use lanward_web::view::{
    ChangeRow, CollisionRow, EditError, InForce, NewPause, PauseScope, Unavailable,
};

use super::{Daemon, changes, in_force, locked, pauses, unavailable};
use crate::node::{self, OWNER, SessionDeed};
use crate::settings::records::{Pause, Record};

/// Changes that can be named by the first digits of their ids: the latest ones.
const NAMED: usize = 500;

impl Daemon {
    pub(super) async fn make_pause(&self, new: NewPause) -> Result<InForce, EditError> {
        let asked = new.scope.clone();
        let scope = self.read(move |reading| pauses::scope(reading, &asked)).await??;
        let record = pauses::record(&new, (self.parts.now)())?;
        self.write(vec![(Pause::key(&scope.to_string()), Some(record.to_json()))]).await
    }

    pub(super) async fn end_pauses(&self, scope: Option<PauseScope>) -> Result<InForce, EditError> {
        let only = self
            .read(move |reading| scope.map(|asked| pauses::scope(reading, &asked)).transpose())
            .await??;
        let all = self.read(|reading| reading.node.effective().pauses.clone()).await?;
        let ended = all.iter().filter(|p| only.as_ref().is_none_or(|only| p.scope == *only));
        let writes = ended.map(|pause| (Pause::key(&pause.scope.to_string()), None));
        self.write(writes.collect()).await
    }

    /// The latest changes of the settings, and the records as they are now.
    async fn history(
        &self,
        limit: usize,
    ) -> Result<(Vec<SettingsChange>, BTreeMap<String, String>), Unavailable> {
        let read = self
            .parts
            .control
            .ask(move |reading| (reading.node.changes(limit), reading.node.records().clone()));
        read.await.map_err(unavailable)
    }

    pub(super) async fn change_rows(&self, limit: usize) -> Result<Vec<ChangeRow>, Unavailable> {
        let (changes, records) = self.history(limit).await?;
        Ok(changes::rows(&changes, &records, (self.parts.now)()))
    }

    pub(super) async fn undo_change(&self, id: String) -> Result<InForce, EditError> {
        let id = match changes::whole(&id) {
            Some(id) => id,
            None => {
                let (changes, _) = self.history(NAMED).await?;
                changes::find(&id, &changes).map_err(EditError::Refused)?
            }
        };
        match self.parts.control.undo("owner", id).await.map_err(unavailable)? {
            Ok(reach) => Ok(in_force(reach)),
            Err(error @ node::EditError::NotDurable(_)) => {
                Err(Unavailable(error.to_string()).into())
            }
            Err(error) => {
                let why = error.to_string().replace('*', "");
                Err(EditError::Refused(format!("It cannot be undone: {why}")))
            }
        }
    }

    pub(super) async fn collision_rows(&self) -> Result<Vec<CollisionRow>, Unavailable> {
        let read = self.parts.control.ask(|reading| {
            let keys: Vec<String> = reading.node.collisions().keys().cloned().collect();
            let keys = keys.into_iter().filter(|key| changes::matters(key));
            keys.map(|key| {
                let values = reading.node.colliding(&key);
                (key, values)
            })
            .collect::<Vec<_>>()
        });
        let all = read.await.map_err(unavailable)?;
        Ok(all.iter().map(|(key, values)| changes::collision(key, values)).collect())
    }

    pub(super) async fn settle_collision(
        &self,
        key: String,
        value: String,
    ) -> Result<InForce, EditError> {
        let asked = key.clone();
        let read = self.parts.control.ask(move |reading| {
            let why = locked(reading.node.records(), &asked);
            (why, reading.node.colliding(&asked))
        });
        let (locked, values) = read.await.map_err(unavailable)?;
        if let Some(why) = locked {
            return Err(EditError::Locked(why));
        }
        if values.is_empty() {
            let what = format!("The choice about {}", changes::what(&key));
            return Err(EditError::NotFound(what));
        }
        let by = |v: &lanward_ha::CollidingValue| v.by.as_ref().map(|by| by.change.to_string());
        let Some(chosen) = values.into_iter().find(|v| by(v).unwrap_or_default() == value) else {
            let why = "Somebody wrote it anew meanwhile: look at the values again.";
            return Err(EditError::Refused(why.to_owned()));
        };
        self.write(vec![(key, Some(chosen.value))]).await
    }

    pub(super) async fn session_deed(&self, deed: SessionDeed) -> Result<bool, Unavailable> {
        self.parts.control.session(deed).await.map_err(unavailable)
    }

    /// Writes the owner's record, another one each time: every session of before ends by it.
    pub(super) async fn write_owner(&self, phc: &str) -> Result<InForce, EditError> {
        let drawn = (self.parts.draw)();
        let drawn = drawn.ok_or_else(|| Unavailable("The system gives no random bytes.".into()))?;
        let sessions = data_encoding::HEXLOWER.encode(&drawn);
        let json = serde_json::json!({ "password": phc, "sessions": sessions }).to_string();
        self.write(vec![(OWNER.to_owned(), Some(json))]).await
    }
}
