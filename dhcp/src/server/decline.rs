//! DECLINE: the client found its new address in use. There is no answer.

use super::Server;
use super::discover::CONFLICT_HOLD;
use crate::exchange::Exchange;
use crate::misuse::IGNORE_FOR;
use crate::{BindingState, Change, Dropped, Event, LeaseBook, Time};

impl Server {
    pub(super) fn decline(
        &mut self,
        now: Time,
        book: &mut dyn LeaseBook,
        exchange: &Exchange,
    ) -> Result<(), Dropped> {
        self.require_named(exchange)?;
        let addr = exchange.request.requested_addr().unwrap_or(exchange.request.ciaddr);
        let lease = book.lease(addr).filter(|lease| lease.state == BindingState::Active);
        let (network, client) = (exchange.network.clone(), exchange.key.clone());
        if self.declines.is_ignored(now, &client) {
            return Err(Dropped::Misbehaving);
        }
        // Only what it was given may a client take out of service.
        if !Self::had_it(lease.as_ref(), &client) {
            return Err(Dropped::NotTheirs);
        }
        let _ticket = book.propose(now, Change::Decline { addr, hold: CONFLICT_HOLD });
        self.probes.note_conflict(now, addr);
        self.offers.release(now, &network, &client);
        self.event(Event::Declined { network: network.clone(), addr, client: client.clone() });
        if self.declines.count(now, &client) {
            self.event(Event::Ignoring { network, client, duration: IGNORE_FOR });
        }
        Ok(())
    }
}
