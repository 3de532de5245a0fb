//! Replies waiting for the lease book to settle a change.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::exchange::Exchange;
use crate::expiring::Expiring;
use crate::{ClientKey, Ticket, Time};

/// How long a reply is kept; the client has given up by then.
const KEEP: Duration = Duration::from_secs(30);
/// Replies kept at a time.
const LIMIT: usize = 4096;

/// A reply that waits.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) exchange: Exchange,
    pub(crate) addr: Ipv4Addr,
    /// Whether the client had the address already.
    pub(crate) renewal: bool,
    /// Whether no record knew the client that claims it.
    pub(crate) adopted: bool,
}

/// All replies that wait.
#[derive(Debug)]
pub(crate) struct Parked {
    replies: Expiring<Ticket, Reply>,
    /// To know a repetition: client, transaction id, address.
    messages: BTreeMap<(ClientKey, u32, Ipv4Addr), Ticket>,
}

impl Parked {
    pub(crate) fn new() -> Parked {
        Parked { replies: Expiring::new(LIMIT), messages: BTreeMap::new() }
    }

    /// Whether no further reply can be kept.
    pub(crate) fn is_full(&self) -> bool {
        self.replies.is_full()
    }

    /// Whether the reply to this very message waits already.
    pub(crate) fn holds(&self, exchange: &Exchange, addr: Ipv4Addr) -> bool {
        self.messages.contains_key(&message(exchange, addr))
    }

    /// Keeps a reply. The caller has asked [`Parked::is_full`] before it proposed the change.
    pub(crate) fn park(&mut self, now: Time, ticket: Ticket, reply: Reply) {
        self.messages.insert(message(&reply.exchange, reply.addr), ticket);
        self.replies.insert(ticket, reply, now + KEEP);
    }

    /// The reply that waited for `ticket`.
    pub(crate) fn take(&mut self, ticket: Ticket) -> Option<Reply> {
        let reply = self.replies.remove(&ticket)?;
        self.messages.remove(&message(&reply.exchange, reply.addr));
        Some(reply)
    }

    /// A reply that waited too long.
    pub(crate) fn pop_overdue(&mut self, now: Time) -> Option<Reply> {
        let (_, reply) = self.replies.pop_ended(now)?;
        self.messages.remove(&message(&reply.exchange, reply.addr));
        Some(reply)
    }

    /// When the first reply has waited too long.
    pub(crate) fn next_end(&self) -> Option<Time> {
        self.replies.next_end()
    }
}

fn message(exchange: &Exchange, addr: Ipv4Addr) -> (ClientKey, u32, Ipv4Addr) {
    (exchange.key.clone(), exchange.request.xid, addr)
}
