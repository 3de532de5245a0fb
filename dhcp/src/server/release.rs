//! RELEASE: the client gives its address back. There is no answer.

use super::Server;
use crate::exchange::Exchange;
use crate::{BindingState, Change, Dropped, Event, LeaseBook, Time};

impl Server {
    pub(super) fn release(
        &mut self,
        now: Time,
        book: &mut dyn LeaseBook,
        exchange: &Exchange,
    ) -> Result<(), Dropped> {
        self.require_named(exchange)?;
        let addr = exchange.request.ciaddr;
        let lease = book.lease(addr).filter(|lease| lease.state == BindingState::Active);
        if !Self::had_it(lease.as_ref(), &exchange.key) {
            return Err(Dropped::NotTheirs);
        }
        // Nobody waits for the outcome.
        let _ticket = book.propose(now, Change::Release { addr, client: exchange.key.clone() });
        self.offers.release(now, &exchange.network, &exchange.key);
        let (network, client) = (exchange.network.clone(), exchange.key.clone());
        self.event(Event::Released { network, addr, client });
        Ok(())
    }

    /// A RELEASE or DECLINE that names a server is for that server; old clients name none
    /// (RFC 2131 table 5 says they must) and are heard all the same.
    pub(super) fn require_named(&self, exchange: &Exchange) -> Result<(), Dropped> {
        match exchange.request.server_id() {
            Some(id) if !exchange.is_named(&self.scopes, id) => Err(Dropped::ForAnotherServer),
            _ => Ok(()),
        }
    }
}
