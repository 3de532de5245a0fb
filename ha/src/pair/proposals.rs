//! Changes the DHCP server proposed and that are not settled yet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

use lanward_dhcp::{ClientKey, Ticket, Time};

use crate::binding::Versions;

/// A change on its way to one disk or two.
#[derive(Clone, Debug)]
pub(crate) struct Proposal {
    pub(crate) addr: Ipv4Addr,
    /// The version of the binding it made.
    pub(crate) versions: Versions,
    pub(crate) durable: bool,
    /// The lease it asks for; `None` for a release or a decline.
    pub(crate) grant: Option<Grant>,
}

/// The lease a proposal asks for.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) client: ClientKey,
    pub(crate) desired: Duration,
    pub(crate) proposed_at: Time,
    /// The expiry the client was promised before.
    pub(crate) promised: Time,
    /// The expiry both nodes had on their disks when it was proposed.
    pub(crate) common: Time,
    /// How sure the partner must be.
    pub(crate) assent: Assent,
}

/// What the partner's disk has to do with a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assent {
    /// Nothing: there is no partner.
    NotNeeded,
    /// It is not asked, or did not answer in time: the MCLT rule decides.
    Forgone,
    /// Its answer is awaited until then.
    AwaitedUntil(Time),
    /// It has the lease.
    Given,
}

/// All proposals that are not settled, found by ticket, address, deadline or batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proposals {
    last_ticket: u64,
    all: BTreeMap<Ticket, Proposal>,
    by_addr: BTreeSet<(Ipv4Addr, Ticket)>,
    deadlines: BTreeSet<(Time, Ticket)>,
    /// In the order of their batches.
    unstored: VecDeque<(u64, Ticket)>,
}

impl Proposals {
    /// A ticket of its own for a change that is refused or done at once.
    pub(crate) fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    /// Adds a proposal whose binding batch `seq` makes durable.
    pub(crate) fn add(&mut self, seq: u64, proposal: Proposal) -> Ticket {
        let ticket = self.ticket();
        self.by_addr.insert((proposal.addr, ticket));
        if let Some(at) = deadline(&proposal) {
            self.deadlines.insert((at, ticket));
        }
        self.unstored.push_back((seq, ticket));
        self.all.insert(ticket, proposal);
        ticket
    }

    /// Takes a settled proposal out.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<Proposal> {
        let proposal = self.all.remove(&ticket)?;
        self.by_addr.remove(&(proposal.addr, ticket));
        if let Some(at) = deadline(&proposal) {
            self.deadlines.remove(&(at, ticket));
        }
        Some(proposal)
    }

    pub(crate) fn get(&self, ticket: Ticket) -> Option<&Proposal> {
        self.all.get(&ticket)
    }

    /// Tickets of all proposals about `addr`.
    pub(crate) fn at(&self, addr: Ipv4Addr) -> Vec<Ticket> {
        self.by_addr
            .range((addr, Ticket(0))..=(addr, Ticket(u64::MAX)))
            .map(|(_, ticket)| *ticket)
            .collect()
    }

    /// All tickets, oldest first.
    pub(crate) fn tickets(&self) -> Vec<Ticket> {
        self.all.keys().copied().collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Marks what `is_durable` now says is on the disk; gives the tickets.
    pub(crate) fn stored(&mut self, is_durable: impl Fn(u64) -> bool) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        while let Some((seq, ticket)) = self.unstored.front().copied()
            && is_durable(seq)
        {
            self.unstored.pop_front();
            if let Some(proposal) = self.all.get_mut(&ticket) {
                proposal.durable = true;
                tickets.push(ticket);
            }
        }
        tickets
    }

    /// Sets what the partner said, or will not say.
    pub(crate) fn set_assent(&mut self, ticket: Ticket, assent: Assent) {
        let Some(proposal) = self.all.get_mut(&ticket) else { return };
        if let Some(at) = deadline(proposal) {
            self.deadlines.remove(&(at, ticket));
        }
        if let Some(grant) = &mut proposal.grant {
            grant.assent = assent;
        }
        if let Some(at) = deadline(proposal) {
            self.deadlines.insert((at, ticket));
        }
    }

    /// When the first wait for the partner ends.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// A proposal whose wait for the partner has ended by `now`.
    pub(crate) fn first_late(&self, now: Time) -> Option<Ticket> {
        self.deadlines.first().filter(|(at, _)| *at <= now).map(|(_, ticket)| *ticket)
    }
}

fn deadline(proposal: &Proposal) -> Option<Time> {
    match proposal.grant.as_ref()?.assent {
        Assent::AwaitedUntil(at) => Some(at),
        Assent::NotNeeded | Assent::Forgone | Assent::Given => None,
    }
}
