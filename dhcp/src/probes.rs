//! Conflict probes: the messages that wait for one, and what past ones found.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::exchange::Exchange;
use crate::expiring::Expiring;
use crate::offers::OFFER_HOLD;
use crate::{ClientKey, Dropped, NetworkId, ProbeId, Time};

/// How long the shell may take; it is to give up by itself well before.
const DEADLINE: Duration = Duration::from_secs(1);
/// How long an address found free counts as free.
const CLEAR_FOR: Duration = OFFER_HOLD;
/// How long an address found in use is not tried again by this node. The lease book holds it
/// longer, if it can.
const CONFLICT_FOR: Duration = Duration::from_secs(600);
/// Messages that may wait at a time.
const WAITING_LIMIT: usize = 256;
/// Results remembered at a time.
const FOUND_LIMIT: usize = 4096;

/// A message waiting for a probe.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) exchange: Exchange,
    pub(crate) addr: Ipv4Addr,
    /// Addresses found in use for this message before.
    pub(crate) conflicts: u32,
    /// What the probe is for.
    pub(crate) purpose: Purpose,
}

/// What a probe is for, which says what follows when it finds somebody, or cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A precaution: the lease book knows the address as free. Without a probe it goes on; an
    /// address in use is kept out of service.
    Caution,
    /// The proof that nobody else has the address, where the lease book may not know: without it
    /// nothing is granted. Whoever else answers may well be its rightful holder, so nothing is
    /// written down about it.
    Proof,
}

/// Probes under way and past.
#[derive(Debug)]
pub(crate) struct Probes {
    last_id: u64,
    waiting: Expiring<ProbeId, Waiting>,
    by_client: Expiring<(NetworkId, ClientKey), ProbeId>,
    found: Expiring<Ipv4Addr, Found>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    /// Nobody, or this client itself: for another one that says nothing.
    NobodyBut(ClientKey),
    Conflict,
}

impl Probes {
    pub(crate) fn new() -> Probes {
        Probes {
            last_id: 0,
            waiting: Expiring::new(WAITING_LIMIT),
            by_client: Expiring::new(WAITING_LIMIT),
            found: Expiring::new(FOUND_LIMIT),
        }
    }

    /// Whether a late probe for `client` found nobody else at `addr`.
    pub(crate) fn is_clear(&self, now: Time, addr: Ipv4Addr, client: &ClientKey) -> bool {
        matches!(self.found.get(now, &addr), Some(Found::NobodyBut(found)) if found == client)
    }

    /// Whether a late probe found somebody at `addr`.
    pub(crate) fn is_conflict(&self, now: Time, addr: Ipv4Addr) -> bool {
        self.found.get(now, &addr) == Some(&Found::Conflict)
    }

    /// Lets `waiting` wait for a new probe.
    pub(crate) fn start(&mut self, now: Time, waiting: Waiting) -> Result<ProbeId, Dropped> {
        if self.waiting.is_full() {
            return Err(Dropped::Overloaded);
        }
        self.last_id += 1;
        let (id, end) = (ProbeId(self.last_id), now + DEADLINE);
        let client = (waiting.exchange.network.clone(), waiting.exchange.key.clone());
        self.waiting.insert(id, waiting, end);
        self.by_client.insert(client, id, end);
        Ok(id)
    }

    /// If a message of the same kind and client waits already, lets the newer one wait in its
    /// place, so that the answer carries the transaction id the client listens for.
    pub(crate) fn replace(&mut self, now: Time, newer: &Exchange) -> bool {
        let client = (newer.network.clone(), newer.key.clone());
        let Some(id) = self.by_client.get(now, &client).copied() else { return false };
        match self.waiting.get_mut(now, &id) {
            Some(waiting) if waiting.exchange.request.kind == newer.request.kind => {
                waiting.exchange = newer.clone();
                true
            }
            _ => false,
        }
    }

    /// Ends a probe that was answered or not.
    pub(crate) fn end(&mut self, id: ProbeId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&id)?;
        self.forget_client(&waiting, id);
        Some(waiting)
    }

    /// A probe nobody reported on in time.
    pub(crate) fn pop_overdue(&mut self, now: Time) -> Option<Waiting> {
        let (id, waiting) = self.waiting.pop_ended(now)?;
        self.forget_client(&waiting, id);
        Some(waiting)
    }

    /// When the first probe is overdue.
    pub(crate) fn next_end(&self) -> Option<Time> {
        self.waiting.next_end()
    }

    /// Remembers that a probe of `addr` for `client` found nobody else.
    pub(crate) fn note_clear(&mut self, now: Time, addr: Ipv4Addr, client: &ClientKey) {
        self.found.insert(addr, Found::NobodyBut(client.clone()), now + CLEAR_FOR);
    }

    /// Remembers that somebody uses `addr` who is not to.
    pub(crate) fn note_conflict(&mut self, now: Time, addr: Ipv4Addr) {
        self.found.insert(addr, Found::Conflict, now + CONFLICT_FOR);
    }

    fn forget_client(&mut self, waiting: &Waiting, id: ProbeId) {
        let client = (waiting.exchange.network.clone(), waiting.exchange.key.clone());
        if self.by_client.peek(&client) == Some(&id) {
            self.by_client.remove(&client);
        }
    }
}
