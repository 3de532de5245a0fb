//! The DHCP server: a pure machine between packets and a lease book.
//!
//! A DISCOVER finds its network (`scope`), its client (`exchange`), and, if the book says that
//! this node answers, a candidate address (`server/allocate`): the allocator proposes, the book
//! decides. An address never granted before is probed first (`probes`); then it is kept for the
//! client for a minute (`offers`) and offered. The REQUEST that follows becomes a proposed
//! change; its ACK is parked (`parked`) until the book has settled it.
//!
//! ```text
//! handle_packet ─┬─ discover ── allocate ──┬─ OFFER
//!                │                         └─ Probe … handle_probe ── OFFER, or the next address
//!                ├─ request ─── judge ─────┬─ propose … handle_outcome ── ACK
//!                │                         ├─ NAK
//!                │                         └─ silence (counted, with its reason)
//!                └─ release, decline, inform
//! ```
//!
//! Every table in here is bounded and forgets; what is forgotten costs a repetition, never a
//! wrong answer.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use dhcproto::v4::MessageType;

use crate::exchange::Exchange;
use crate::expiring::Expiring;
use crate::misuse::{Declines, SharedIds};
use crate::offers::Offers;
use crate::parked::Parked;
use crate::probes::{Probes, Purpose, Waiting};
use crate::reply::{self, Say};
use crate::request::Request;
use crate::scope::Scopes;
use crate::unserved::Unserved;
use crate::{
    Answering, Asking, BindingState, Config, Counters, Denial, Destination, Dropped, Event,
    LeaseBook, NetworkId, Outcome, Output, ProbeId, ProbeResult, Ticket, Time, Transmit,
};

mod allocate;
mod decline;
mod discover;
mod inform;
mod release;
mod request;

/// Networks whose exhaustion is remembered at a time.
const EXHAUSTED_LIMIT: usize = 1024;

/// A packet as it came in.
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// The network of the interface it came in on; `None` where the interface is on no network
    /// with DHCP (a relay agent may be behind it all the same).
    pub network: Option<NetworkId>,
    /// Who sent it.
    pub src: SocketAddrV4,
    /// Where it was sent to: an address of this node, or a broadcast address.
    pub dst: Ipv4Addr,
    /// The UDP payload.
    pub payload: &'a [u8],
}

/// Talks to DHCP clients. Feed it packets, outcomes, probe results and the time; drain
/// [`Server::poll_output`] after each call; wake it at [`Server::poll_timeout`].
#[derive(Debug)]
pub struct Server {
    scopes: Arc<Scopes>,
    /// Keys the hash that says where a client's search for an address starts.
    seed: u64,
    offers: Offers,
    probes: Probes,
    parked: Parked,
    unserved: Unserved,
    declines: Declines,
    shared_ids: SharedIds,
    /// Networks that had no free address a moment ago.
    exhausted: Expiring<NetworkId, ()>,
    /// Networks whose exhaustion was reported lately.
    exhaustion_reported: Expiring<NetworkId, ()>,
    outputs: VecDeque<Output>,
    counters: Counters,
}

impl Server {
    /// A server for `config`. `seed` is to be secret and may differ from start to start: it
    /// keeps others from choosing identifiers that make the search for a free address slow.
    pub fn new(config: Arc<Config>, seed: u64) -> Server {
        Server {
            scopes: Arc::new(Scopes::new(config)),
            seed,
            offers: Offers::new(),
            probes: Probes::new(),
            parked: Parked::new(),
            unserved: Unserved::new(),
            declines: Declines::new(),
            shared_ids: SharedIds::new(),
            exhausted: Expiring::new(EXHAUSTED_LIMIT),
            exhaustion_reported: Expiring::new(EXHAUSTED_LIMIT),
            outputs: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Puts another configuration in force. Offers made and replies parked go on where they
    /// still fit it.
    pub fn set_config(&mut self, config: Arc<Config>) {
        self.scopes = Arc::new(Scopes::new(config));
        // More addresses may be free now.
        self.exhausted = Expiring::new(EXHAUSTED_LIMIT);
    }

    /// A packet came in on the server port.
    pub fn handle_packet(&mut self, now: Time, book: &mut dyn LeaseBook, rx: &Received<'_>) {
        let handled = Request::parse(rx.payload)
            .map_err(Dropped::Malformed)
            .and_then(|request| self.handle_request(now, book, rx, request));
        self.count_drop(handled);
    }

    /// The book settled the change it gave `ticket` for.
    pub fn handle_outcome(&mut self, now: Time, ticket: Ticket, outcome: Outcome) {
        let Some(parked) = self.parked.take(ticket) else { return };
        let handled = self.settle(now, parked, outcome);
        self.count_drop(handled);
    }

    /// A probe ended.
    pub fn handle_probe(
        &mut self,
        now: Time,
        book: &mut dyn LeaseBook,
        probe: ProbeId,
        result: ProbeResult,
    ) {
        let Some(waiting) = self.probes.end(probe) else { return };
        self.probed(now, book, waiting, result);
    }

    /// Time passed; [`Server::poll_timeout`] asked for it.
    pub fn handle_timeout(&mut self, now: Time, book: &mut dyn LeaseBook) {
        while let Some(waiting) = self.probes.pop_overdue(now) {
            // A probe nobody reported on found nobody; but it proves nothing.
            let result = match waiting.purpose {
                Purpose::Caution => ProbeResult::Silent,
                Purpose::Proof => ProbeResult::Unavailable,
            };
            self.probed(now, book, waiting, result);
        }
        while self.parked.pop_overdue(now).is_some() {
            self.count_drop(Err(Dropped::NotSettled));
        }
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Server::handle_timeout`] next, and what for.
    pub fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        let probe = self.probes.next_end().map(|end| (end, "a conflict probe is overdue"));
        let parked = self.parked.next_end().map(|end| (end, "a parked reply is overdue"));
        probe.into_iter().chain(parked).min()
    }

    /// What the server counted since it started.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn handle_request(
        &mut self,
        now: Time,
        book: &mut dyn LeaseBook,
        rx: &Received<'_>,
        request: Request,
    ) -> Result<(), Dropped> {
        let counter = match request.kind {
            MessageType::Discover => &mut self.counters.discovers,
            MessageType::Request => &mut self.counters.requests,
            MessageType::Decline => &mut self.counters.declines,
            MessageType::Release => &mut self.counters.releases,
            MessageType::Inform => &mut self.counters.informs,
            _ => return Err(Dropped::NotForServers),
        };
        *counter += 1;
        let exchange = Exchange::open(&self.scopes, book, rx, request)?;
        if let Some(hw) = self.shared_ids.see(now, &exchange.key, exchange.request.hw) {
            let (network, client) = (exchange.network.clone(), exchange.key.clone());
            self.event(Event::SharedClientId { network, client, hw });
        }
        match exchange.request.kind {
            MessageType::Discover => self.discover(now, book, exchange),
            MessageType::Request => self.request(now, book, exchange),
            MessageType::Decline => self.decline(now, book, &exchange),
            MessageType::Release => self.release(now, book, &exchange),
            _ => self.inform(now, book, &exchange),
        }
    }

    /// Whether this node answers (pair protocol, section 5). `asked` is the address the message
    /// is about, if any.
    fn admit(
        &mut self,
        now: Time,
        book: &dyn LeaseBook,
        exchange: &Exchange,
        asking: Asking,
        asked: Option<Ipv4Addr>,
    ) -> Result<(), Dropped> {
        let bound = self.bound(book, exchange, asked).or_else(|| {
            let scope = self.scopes.get(&exchange.network)?;
            Self::own_reservation(scope, exchange)
        });
        match book.answering(now, asking, &exchange.network, &exchange.key, bound) {
            Answering::Yes => Ok(()),
            Answering::No => Err(Dropped::NotServing),
            Answering::IfUnserved => {
                let request = &exchange.request;
                let kind = request.kind.into();
                let theirs = bound.and_then(|addr| book.lease(addr));
                let theirs = theirs.filter(|lease| {
                    lease.client.as_ref().is_some_and(|client| client.key == exchange.key)
                });
                let served = theirs.map(|lease| lease.cltt);
                let secs = request.secs_trying();
                if !self.unserved.hear(now, &exchange.key, kind, secs, served) {
                    return Err(Dropped::LeftToPartner);
                }
                self.counters.stepped_in += 1;
                Ok(())
            }
        }
    }

    /// The client's binding on this link: the one it asks about if it is one, else a running
    /// one, else the one that ran last.
    fn bound(
        &self,
        book: &dyn LeaseBook,
        exchange: &Exchange,
        asked: Option<Ipv4Addr>,
    ) -> Option<Ipv4Addr> {
        let scope = self.scopes.get(&exchange.network)?;
        let addrs = book.addresses_of(&exchange.key);
        addrs.into_iter().filter(|addr| scope.network.contains(*addr)).max_by_key(|addr| {
            let lease = book.lease(*addr);
            let active = lease.as_ref().is_some_and(|lease| lease.state == BindingState::Active);
            (Some(*addr) == asked, active, lease.map(|lease| lease.expiry))
        })
    }

    /// A message's probe ended: go on with it, or with the next address.
    fn probed(
        &mut self,
        now: Time,
        book: &mut dyn LeaseBook,
        waiting: Waiting,
        result: ProbeResult,
    ) {
        let own_hw = waiting.exchange.request.hw;
        if result == ProbeResult::Unavailable {
            self.counters.probes_unavailable += 1;
        }
        let handled = match result {
            // The client itself may still use its last address.
            ProbeResult::Answered(by) if by != Some(own_hw) => {
                self.conflict(now, book, waiting, by)
            }
            ProbeResult::Unavailable if waiting.purpose == Purpose::Proof => {
                self.offers.release(now, &waiting.exchange.network, &waiting.exchange.key);
                Err(Dropped::NotProven)
            }
            _ => {
                self.probes.note_clear(now, waiting.addr, &waiting.exchange.key);
                match waiting.exchange.request.kind {
                    MessageType::Discover => {
                        self.offer(now, book, waiting.exchange, waiting.conflicts)
                    }
                    _ => self.decide(now, book, waiting.exchange),
                }
            }
        };
        self.count_drop(handled);
    }

    fn send(
        &mut self,
        exchange: &Exchange,
        to: (Option<NetworkId>, Destination),
        say: Say,
    ) -> Result<(), Dropped> {
        let scopes = Arc::clone(&self.scopes);
        let scope = scopes.get(&exchange.network).ok_or(Dropped::NoNetwork)?;
        let (server_id, source) = (exchange.server_id()?, exchange.source()?);
        let client_id = exchange.request.client_id();
        let id = client_id.as_ref().filter(|_| scope.network.use_client_id);
        let reserved = scope.reservation_for(&exchange.request.hw, id);
        let hostname = reserved.and_then(|reservation| reservation.hostname.as_deref());
        let payload = reply::encode(exchange, scope.network, hostname, server_id, say);
        match say {
            Say::Offer { .. } => self.counters.offers += 1,
            Say::Ack { .. } | Say::InformAck => self.counters.acks += 1,
            Say::Nak { .. } => self.counters.naks += 1,
        }
        let (network, destination) = to;
        let transmit = Transmit { network, destination, source, payload };
        self.outputs.push_back(Output::Transmit(transmit));
        Ok(())
    }

    fn deny(&mut self, exchange: &Exchange, addr: Ipv4Addr, reason: Denial) -> Result<(), Dropped> {
        let message = match reason {
            Denial::WrongNetwork => "address is wrong for this network",
            Denial::InUse => "address is in use by another client",
            Denial::Reserved => "address is reserved for another client",
        };
        self.send(exchange, exchange.denial_destination()?, Say::Nak { message })?;
        let (network, client) = (exchange.network.clone(), exchange.key.clone());
        self.event(Event::Denied { network, addr, client, reason });
        Ok(())
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn count_drop(&mut self, handled: Result<(), Dropped>) {
        if let Err(reason) = handled {
            *self.counters.dropped.entry(reason).or_default() += 1;
            self.outputs.push_back(Output::Dropped(reason));
        }
    }
}

#[cfg(test)]
mod tests;
