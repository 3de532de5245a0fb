//! Clients that asked more than they may, for people to see.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::Now;

/// Clients that are remembered.
const SHOWN: usize = 32;

/// The latest clients that asked too much.
#[derive(Debug, Default)]
pub(crate) struct Offenders {
    clients: Mutex<BTreeMap<IpAddr, Over>>,
}

/// A client that asked more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Over {
    /// When it last did.
    pub(crate) last: Now,
    /// How many of its questions were not answered at once because of it.
    pub(crate) refused: u64,
}

impl Offenders {
    /// Remembers who asked too much. Never waits: what another core counts meanwhile is in the
    /// counters all the same.
    pub(crate) fn note(&self, client: IpAddr, now: Now) {
        let Ok(mut clients) = self.clients.try_lock() else { return };
        if clients.len() >= SHOWN && !clients.contains_key(&client) {
            let oldest =
                clients.iter().min_by_key(|(_, over)| over.last).map(|(client, _)| *client);
            oldest.map(|oldest| clients.remove(&oldest));
        }
        let entry = clients.entry(client).or_insert(Over { last: now, refused: 0 });
        entry.last = now;
        entry.refused += 1;
    }

    /// Adds questions that nobody here saw to those of a client that is remembered.
    pub(crate) fn note_more(&self, client: IpAddr, refused: u64) {
        let Ok(mut clients) = self.clients.try_lock() else { return };
        if let Some(over) = clients.get_mut(&client.to_canonical()) {
            over.refused += refused;
        }
    }

    /// Who asked too much, and how often.
    pub(crate) fn all(&self) -> Vec<(IpAddr, Over)> {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.iter().map(|(client, over)| (*client, *over)).collect()
    }
}
