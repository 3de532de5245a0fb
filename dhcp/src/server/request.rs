//! REQUEST in its four states (RFC 2131 section 4.3.2), and the ACK that follows.
//!
//! | state | server id | requested address | ciaddr | sent |
//! |---|---|---|---|---|
//! | SELECTING | set | set | none | by broadcast, to the server it names |
//! | INIT-REBOOT | none | set | none | by broadcast |
//! | RENEWING | none | none | set | to this server |
//! | REBINDING | none | none | set | by broadcast |

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::Server;
use crate::exchange::Exchange;
use crate::options::relay_code;
use crate::parked::Reply;
use crate::probes::{Purpose, Waiting};
use crate::reply::Say;
use crate::scope::Scope;
use crate::{
    Asking, BindingState, Change, Denial, Dropped, Event, LeaseBook, Outcome, Refusal, Time,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Selecting,
    InitReboot,
    Renewing,
    Rebinding,
}

/// What to do with a REQUEST.
enum Verdict {
    /// Propose to bind the address to its client, or to one it was offered to.
    Grant { renewal: bool },
    /// Propose to bind it to a client that claims it and that no record knows.
    Adopt,
    /// Look at it again after a probe.
    Probe(Purpose),
    /// Tell the client that it may not have the address.
    Deny(Denial),
}

impl Server {
    pub(super) fn request(
        &mut self,
        now: Time,
        book: &mut dyn LeaseBook,
        exchange: Exchange,
    ) -> Result<(), Dropped> {
        let state = State::of(&exchange);
        exchange.source()?;
        let named = exchange.request.server_id();
        if state == State::Selecting && !named.is_some_and(|id| exchange.is_named(&self.scopes, id))
        {
            // The client chose another server: it is served, and what was kept for it is free.
            self.offers.release(now, &exchange.network, &exchange.key);
            self.unserved.forget(&exchange.key);
            return Err(Dropped::ForAnotherServer);
        }
        let addr = self.asked_addr(now, book, &exchange)?;
        if self.parked.holds(&exchange, addr) || self.probes.replace(now, &exchange) {
            return Err(Dropped::Repeated);
        }
        let asking = self.asking(now, state, &exchange);
        self.admit(now, book, &exchange, asking, Some(addr))?;
        self.decide(now, book, exchange)
    }

    /// Proposes the change, denies the address, or says nothing.
    pub(super) fn decide(
        &mut self,
        now: Time,
        book: &mut dyn LeaseBook,
        exchange: Exchange,
    ) -> Result<(), Dropped> {
        let scopes = Arc::clone(&self.scopes);
        let scope = scopes.get(&exchange.network).ok_or(Dropped::NoNetwork)?;
        let addr = self.asked_addr(now, book, &exchange)?;
        match self.judge(now, book, scope, &exchange, addr)? {
            Verdict::Deny(reason) => self.deny(&exchange, addr, reason),
            Verdict::Probe(purpose) => {
                self.start_probe(now, Waiting { exchange, addr, conflicts: 0, purpose })
            }
            Verdict::Grant { renewal } => {
                let reply = Reply { exchange, addr, renewal, adopted: false };
                self.propose(now, book, scope, reply)
            }
            Verdict::Adopt => {
                let reply = Reply { exchange, addr, renewal: false, adopted: true };
                self.propose(now, book, scope, reply)
            }
        }
    }

    fn propose(
        &mut self,
        now: Time,
        book: &mut dyn LeaseBook,
        scope: Scope<'_>,
        reply: Reply,
    ) -> Result<(), Dropped> {
        let Reply { exchange, addr, adopted, .. } = &reply;
        exchange.destination(*addr)?;
        if self.parked.is_full() {
            return Err(Dropped::Overloaded);
        }
        let desired = Self::desired_lease(scope, exchange);
        let (addr, client) = (*addr, exchange.client());
        let change = if *adopted {
            Change::Adopt { addr, client, desired }
        } else {
            Change::Grant { addr, client, desired }
        };
        let ticket = book.propose(now, change);
        self.parked.park(now, ticket, reply);
        Ok(())
    }

    /// The book settled a grant: tell the client, or nobody.
    pub(super) fn settle(
        &mut self,
        now: Time,
        parked: Reply,
        outcome: Outcome,
    ) -> Result<(), Dropped> {
        let Reply { exchange, addr, renewal, adopted } = parked;
        self.offers.release(now, &exchange.network, &exchange.key);
        let lease = match outcome {
            Outcome::Committed { lease } => lease,
            Outcome::Refused(refusal) => return Err(Dropped::Refused(refusal)),
        };
        self.unserved.forget(&exchange.key);
        self.counters.adopted += u64::from(adopted);
        self.send(&exchange, exchange.destination(addr)?, Say::Ack { addr, lease })?;
        self.event(Event::Leased {
            addr,
            lease,
            renewal,
            hw: exchange.request.hw,
            hostname: exchange.request.hostname(),
            network: exchange.network,
            client: exchange.key,
        });
        Ok(())
    }

    /// The address a REQUEST is about. Some clients name none at all; they mean the one they
    /// were offered, or have.
    fn asked_addr(
        &self,
        now: Time,
        book: &dyn LeaseBook,
        exchange: &Exchange,
    ) -> Result<Ipv4Addr, Dropped> {
        let ciaddr = Some(exchange.request.ciaddr).filter(|addr| !addr.is_unspecified());
        exchange
            .request
            .requested_addr()
            .or(ciaddr)
            .or_else(|| self.offers.of(now, &exchange.network, &exchange.key))
            .or_else(|| self.bound(book, exchange, None))
            .ok_or(Dropped::NoRecord)
    }

    /// Who is meant to answer. Behind a relay agent that stands in for the server (RFC 5107)
    /// every server is called the same: there the one that made the offer is meant.
    fn asking(&self, now: Time, state: State, exchange: &Exchange) -> Asking {
        let stand_in = exchange.request.relay_addr_option(relay_code::SERVER_ID_OVERRIDE).is_some();
        let offered = self.offers.of(now, &exchange.network, &exchange.key).is_some();
        match state {
            State::Selecting if stand_in && !offered => Asking::Broadcast,
            State::Selecting | State::Renewing => Asking::Addressed,
            State::InitReboot | State::Rebinding => Asking::Broadcast,
        }
    }

    /// Judges a REQUEST. A NAK takes a client off the network, so it is said only when the
    /// address is wrong for the link, or another client's for certain: what this node knows
    /// nothing of may well be the partner's doing.
    fn judge(
        &self,
        now: Time,
        book: &dyn LeaseBook,
        scope: Scope<'_>,
        exchange: &Exchange,
        addr: Ipv4Addr,
    ) -> Result<Verdict, Dropped> {
        let (state, key, hw) = (State::of(exchange), &exchange.key, &exchange.request.hw);
        if !scope.network.contains(addr) {
            let sure = match state {
                State::Selecting | State::Renewing => true,
                // Another server may be responsible for a client never seen here.
                State::InitReboot | State::Rebinding => {
                    scope.network.authoritative || self.bound(book, exchange, None).is_some()
                }
            };
            let denied = Verdict::Deny(Denial::WrongNetwork);
            return if sure { Ok(denied) } else { Err(Dropped::NoRecord) };
        }
        let reserved = scope.reservation_of(addr).is_some();
        if reserved && !Self::is_for(scope, hw, key, addr) {
            return Ok(Verdict::Deny(Denial::Reserved));
        }
        let lease = book.lease(addr);
        let active = lease.as_ref().is_some_and(|lease| lease.state == BindingState::Active);
        let theirs = Self::had_it(lease.as_ref(), key);
        if active && !theirs && book.probes_everything() {
            // The record may be older than what the client was told by the partner.
            return Err(Dropped::Refused(Refusal::InUse));
        }
        if active && !theirs {
            return Ok(Verdict::Deny(Denial::InUse));
        }
        let granted = book.may_grant(now, addr, &exchange.client());
        let served = Self::is_for(scope, hw, key, addr) && scope.network.server_addr != Some(addr);
        let known = theirs && granted.is_ok();
        if !known && state != State::Selecting && served && book.may_adopt(now, addr, key) {
            return self.judge_claim(now, scope, exchange, addr);
        }
        granted.map_err(Dropped::Refused)?;
        if theirs && !served {
            // The pools were changed: the binding lasts as long as was promised, and no longer.
            return Err(Dropped::NotServed);
        }
        let clear = self.probes.is_clear(now, addr, key);
        let proof = book.probes_everything() && tells_who(scope, exchange, addr) && !clear;
        if theirs && proof {
            return Ok(Verdict::Probe(Purpose::Proof));
        }
        if theirs {
            return Ok(Verdict::Grant { renewal: active });
        }
        if state == State::InitReboot || !served {
            return Err(Dropped::NoRecord);
        }
        if self.offers.is_held_for_another(now, addr, key) {
            return Err(Dropped::Refused(Refusal::InUse));
        }
        if self.probes.is_conflict(now, addr) {
            return Err(Dropped::AddressInUse);
        }
        if proof {
            return Ok(Verdict::Probe(Purpose::Proof));
        }
        let offered = self.offers.of(now, scope.id, key) == Some(addr);
        let probe = scope.network.probe && tells_who(scope, exchange, addr);
        let caution = probe && !offered && !clear;
        Ok(if caution {
            Verdict::Probe(Purpose::Caution)
        } else {
            Verdict::Grant { renewal: false }
        })
    }

    /// Judges the claim to an address that no record supports, where the book would adopt it. What
    /// earlier probes found is not asked: they were made for others, and this may be the host
    /// that answered them.
    fn judge_claim(
        &self,
        now: Time,
        scope: Scope<'_>,
        exchange: &Exchange,
        addr: Ipv4Addr,
    ) -> Result<Verdict, Dropped> {
        if self.offers.is_held_for_another(now, addr, &exchange.key) {
            return Err(Dropped::Refused(Refusal::InUse));
        }
        if !tells_who(scope, exchange, addr) {
            return Err(Dropped::NotProven);
        }
        let clear = self.probes.is_clear(now, addr, &exchange.key);
        Ok(if clear { Verdict::Adopt } else { Verdict::Probe(Purpose::Proof) })
    }
}

/// Whether a probe of `addr` can tell the client from another user of it. An echo does not say
/// who answers: behind a relay agent a client that uses the address would be taken for another.
fn tells_who(scope: Scope<'_>, exchange: &Exchange, addr: Ipv4Addr) -> bool {
    scope.network.server_addr.is_some() || exchange.request.ciaddr != addr
}

impl State {
    /// The state of the client that sent a REQUEST. A client that has an address and names no
    /// other renews it, though some name the server as well.
    fn of(exchange: &Exchange) -> State {
        let request = &exchange.request;
        let renews = !request.ciaddr.is_unspecified() && request.requested_addr().is_none();
        if renews && exchange.is_direct_unicast() {
            State::Renewing
        } else if renews {
            State::Rebinding
        } else if request.server_id().is_some() {
            State::Selecting
        } else {
            State::InitReboot
        }
    }
}
