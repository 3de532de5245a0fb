//! DISCOVER: find an address, make sure nobody uses it, keep it for the client, offer it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use dhcproto::v4::MessageType;

use super::Server;
use crate::exchange::Exchange;
use crate::probes::{Purpose, Waiting};
use crate::reply::Say;
use crate::{Asking, Change, Dropped, Event, HwAddr, LeaseBook, Output, Probe, ProbeHow, Time};

/// How long an address somebody was found to use is kept out of service.
pub(super) const CONFLICT_HOLD: Duration = Duration::from_secs(3600);
/// Addresses in use found for one DISCOVER, after which the client has to ask again.
const MAX_CONFLICTS: u32 = 4;

impl Server {
    pub(super) fn discover(
        &mut self,
        now: Time,
        book: &mut dyn LeaseBook,
        exchange: Exchange,
    ) -> Result<(), Dropped> {
        // Whether an answer can be given and sent is known before anything is kept for it.
        exchange.source()?;
        exchange.destination(Ipv4Addr::UNSPECIFIED)?;
        if self.probes.replace(now, &exchange) {
            return Err(Dropped::Repeated);
        }
        let asked = exchange.request.requested_addr();
        self.admit(now, book, &exchange, Asking::Discover, asked)?;
        self.offer(now, book, exchange, 0)
    }

    /// Offers an address, after a probe where it needs one.
    pub(super) fn offer(
        &mut self,
        now: Time,
        book: &mut dyn LeaseBook,
        exchange: Exchange,
        conflicts: u32,
    ) -> Result<(), Dropped> {
        let scopes = Arc::clone(&self.scopes);
        let scope = scopes.get(&exchange.network).ok_or(Dropped::NoNetwork)?;
        let addr = self.choose(now, book, scope, &exchange)?;
        let first_grant = !Self::had_it(book.lease(addr).as_ref(), &exchange.key);
        let purpose = if book.probes_everything() {
            Some(Purpose::Proof)
        } else {
            (scope.network.probe && first_grant).then_some(Purpose::Caution)
        };
        if let Some(purpose) = purpose
            && !self.probes.is_clear(now, addr, &exchange.key)
        {
            let (network, key) = (exchange.network.clone(), exchange.key.clone());
            self.start_probe(now, Waiting { exchange, addr, conflicts, purpose })?;
            // Nobody else is offered it meanwhile.
            self.offers.hold(now, &network, &key, addr);
            return Ok(());
        }
        self.offers.hold(now, scope.id, &exchange.key, addr);
        let desired = Self::desired_lease(scope, &exchange);
        let lease = book.assured_lease(now, addr, &exchange.key, desired);
        self.send(&exchange, exchange.destination(addr)?, Say::Offer { addr, lease })?;
        book.offered(now, addr, &exchange.client());
        let (network, client) = (exchange.network, exchange.key);
        self.event(Event::Offered { network, addr, client });
        Ok(())
    }

    pub(super) fn start_probe(&mut self, now: Time, waiting: Waiting) -> Result<(), Dropped> {
        let scopes = Arc::clone(&self.scopes);
        let scope = scopes.get(&waiting.exchange.network).ok_or(Dropped::NoNetwork)?;
        // On a network this node has an address in, it can ask by ARP.
        let attached = scope.network.server_addr.is_some();
        let how = if attached { ProbeHow::Arp } else { ProbeHow::Icmp };
        let (network, addr) = (scope.id.clone(), waiting.addr);
        let id = self.probes.start(now, waiting)?;
        self.counters.probes += 1;
        self.outputs.push_back(Output::Probe(Probe { id, network, addr, how }));
        Ok(())
    }

    /// Somebody uses the address meant for the client: keep it out of service, where its user is
    /// none of the pair's clients for certain. A new client is offered the next one.
    pub(super) fn conflict(
        &mut self,
        now: Time,
        book: &mut dyn LeaseBook,
        waiting: Waiting,
        by: Option<HwAddr>,
    ) -> Result<(), Dropped> {
        let Waiting { exchange, addr, conflicts, purpose } = waiting;
        let is_discover = exchange.request.kind == MessageType::Discover;
        self.counters.conflicts += 1;
        self.offers.release(now, &exchange.network, &exchange.key);
        if purpose == Purpose::Caution || is_discover {
            self.probes.note_conflict(now, addr);
        }
        if purpose == Purpose::Caution {
            // Not settled for anybody: nobody waits for the outcome.
            let _ticket = book.propose(now, Change::Decline { addr, hold: CONFLICT_HOLD });
        }
        self.event(Event::Conflict { network: exchange.network.clone(), addr, by });
        if !is_discover || conflicts + 1 >= MAX_CONFLICTS {
            return Err(Dropped::AddressInUse);
        }
        self.offer(now, book, exchange, conflicts + 1)
    }
}
