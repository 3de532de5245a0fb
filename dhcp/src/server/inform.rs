//! INFORM: a client with an address of its own asks for the other settings only.

use super::Server;
use crate::exchange::Exchange;
use crate::reply::Say;
use crate::{Asking, Dropped, LeaseBook, Time};

impl Server {
    /// Answers with an ACK without address and lease times (RFC 2131 section 4.3.5). Never a
    /// NAK: the client would drop its address.
    pub(super) fn inform(
        &mut self,
        now: Time,
        book: &dyn LeaseBook,
        exchange: &Exchange,
    ) -> Result<(), Dropped> {
        exchange.source()?;
        let destination = exchange.inform_destination()?;
        let addr = Some(exchange.request.ciaddr).filter(|addr| !addr.is_unspecified());
        self.admit(now, book, exchange, Asking::Inform, addr)?;
        self.send(exchange, destination, Say::InformAck)
    }
}
