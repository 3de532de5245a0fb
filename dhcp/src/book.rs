//! The lease book: what the DHCP server asks of whoever keeps the leases.
//!
//! The server decides *what to say* to a client; the book decides *whether an address may be
//! granted, by whom, and for how long*. A change is proposed, becomes durable on as many hosts as
//! the book's rules ask for, and only then is the parked reply sent.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::{Client, ClientKey, Lease, NetworkId, Time};

/// Names a proposed change until it is settled. Never reused by one book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What the server wants written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Bind `addr` to the client, or prolong its binding.
    Grant {
        /// The address to bind.
        addr: Ipv4Addr,
        /// Who gets it.
        client: Client,
        /// The lease time the server would like to give; the book may shorten it (MCLT).
        desired: Duration,
    },
    /// The same for a client that claims to have the address already and that no record allows
    /// it to, where [`LeaseBook::may_adopt`] said yes. The link was asked, and knows nobody else
    /// at the address.
    Adopt {
        /// The address to bind.
        addr: Ipv4Addr,
        /// Who has it.
        client: Client,
        /// The lease time the server would like to give.
        desired: Duration,
    },
    /// The client gave the address back (RELEASE).
    Release {
        /// The address.
        addr: Ipv4Addr,
        /// Who gave it back; ignored unless the binding is this client's.
        client: ClientKey,
    },
    /// Somebody else uses the address: a DECLINE, or an answered conflict probe.
    Decline {
        /// The address.
        addr: Ipv4Addr,
        /// How long to keep it out of service.
        hold: Duration,
    },
}

/// How a proposed change ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Durable, as widely as the pair's state asks for. For a grant: tell the client.
    Committed {
        /// The lease time to give the client, counted from now. Zero for other changes.
        lease: Duration,
    },
    /// Not done, and will not be: say nothing to the client (it asks again).
    Refused(Refusal),
}

/// Why an address may not be granted. Every refusal has a counter of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// This node serves nobody in its present state.
    NotServing,
    /// The address belongs to the partner's half and the state does not allow it here.
    PartnersHalf,
    /// Bound to another client.
    InUse,
    /// Expired or released, and the partner has not agreed to free it yet.
    AwaitingPartner,
    /// Declined, or held after a disk loss, until some later time.
    Held,
    /// The store could not make the change durable.
    NotDurable,
    /// The pair's state changed while the change was in flight.
    Overtaken,
}

/// Which kind of message a client sent, as far as "who answers" is concerned (pair protocol,
/// section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asking {
    /// DISCOVER.
    Discover,
    /// REQUEST in INIT-REBOOT or REBINDING: heard by both nodes.
    Broadcast,
    /// REQUEST in SELECTING that names this server, or in RENEWING: meant for this node.
    Addressed,
    /// INFORM.
    Inform,
}

/// Whether this node is to answer a client now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answering {
    /// Yes.
    Yes,
    /// Not unless the client turns out to be unserved (`secs` of 4 or more, or a retry seen by
    /// this node 3 s or more after the first message): the partner is responsible.
    IfUnserved,
    /// No; the node serves nobody in its present state.
    No,
}

/// Keeps the leases. `lanward-ha`'s `Pair` is the one real implementation; a lone node is a pair
/// in state STANDALONE.
pub trait LeaseBook {
    /// What is known of `addr`; `None` for an address that was never touched.
    fn lease(&self, addr: Ipv4Addr) -> Option<Lease>;

    /// Every address whose latest client is `client`, in any state, in ascending order.
    fn addresses_of(&self, client: &ClientKey) -> Vec<Ipv4Addr>;

    /// Whether `addr` may be granted to `client` at `now` (rule R1). Cheap: the server asks it
    /// for one candidate after another. The whole client, because a reservation may know it by
    /// its hardware address where its binding is keyed by its identifier.
    fn may_grant(&self, now: Time, addr: Ipv4Addr, client: &Client) -> Result<(), Refusal>;

    /// Whether `addr`, which may be granted, may be offered: the client asks for it a moment later,
    /// and the book may know that it will refuse it then.
    fn may_offer(&self, now: Time, addr: Ipv4Addr, client: &Client) -> Result<(), Refusal> {
        self.may_grant(now, addr, client)
    }

    /// `addr` was offered to `client`, which is about to ask for it.
    fn offered(&mut self, _now: Time, _addr: Ipv4Addr, _client: &Client) {}

    /// Whether an address may be granted to a client that claims to have it already and that no
    /// record names (REBINDING, INIT-REBOOT): only where the partner, which may have promised it
    /// to anybody, serves nobody. The server probes the address first.
    fn may_adopt(&self, _now: Time, _addr: Ipv4Addr, _client: &ClientKey) -> bool {
        false
    }

    /// Whether no record can be trusted (a double fault): every address is probed before it is
    /// offered, granted or renewed.
    fn probes_everything(&self) -> bool {
        false
    }

    /// The longest lease [`Outcome::Committed`] could give for this address now, were the
    /// partner not to answer (rule R2). For the lease time of an OFFER.
    fn assured_lease(
        &self,
        now: Time,
        addr: Ipv4Addr,
        client: &ClientKey,
        desired: Duration,
    ) -> Duration;

    /// Whether this node answers `client` on `network`. `bound` is the address of its binding
    /// there, else the one reserved for it, if there is either.
    fn answering(
        &self,
        now: Time,
        asking: Asking,
        network: &NetworkId,
        client: &ClientKey,
        bound: Option<Ipv4Addr>,
    ) -> Answering;

    /// Proposes `change`. The outcome reaches the server by `Server::handle_outcome` with the
    /// returned ticket, later and exactly once, unless the node stops first.
    fn propose(&mut self, now: Time, change: Change) -> Ticket;
}
