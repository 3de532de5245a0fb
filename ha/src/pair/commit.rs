//! From a proposed change to its outcome: written, told, confirmed, or cut short.

use std::net::Ipv4Addr;
use std::time::Duration;

use lanward_dhcp::{
    BindingState, Change, Client, ClientKey, LeaseBook, Outcome, Refusal, Ticket, Time,
};

use super::link::Link;
use super::proposals::{Assent, Grant, Proposal};
use super::{Fault, Pair, PairOutput};
use crate::merge::free;

/// A reply that had to wait longer than this gives a lease that is shorter by the wait, because
/// the binding's expiry counts from the proposal.
const UNNOTICED: Duration = Duration::from_secs(1);

impl Pair {
    /// Binds `addr` to `client`; the caller has asked R1.
    pub(super) fn propose_grant(
        &mut self,
        now: Time,
        addr: Ipv4Addr,
        client: Client,
        desired: Duration,
    ) -> Ticket {
        self.offered.take(addr);
        let mut binding = self.table.get_or_untouched(addr);
        let key = client.key.clone();
        let prolongs = binding.is_leased_to(&key);
        if !prolongs {
            self.begin_lease(&mut binding, &key);
        }
        let grant = Grant {
            client: key,
            desired,
            proposed_at: now,
            promised: binding.client_expiry,
            common: binding.common_potential(),
            assent: self.assent_wanted(now),
        };
        let lease = match grant.assent {
            Assent::Forgone => self.capped(now, grant.common, desired),
            _ => desired,
        };
        binding.state = BindingState::Active;
        // The version that this change makes.
        binding.granted = binding.versions.bumped(self.rank);
        binding.client = Some(client);
        binding.cltt = now;
        binding.client_expiry = binding.client_expiry.max(now + lease);
        // Half a lease more than is asked for: who renews at half time while the partner is away
        // can still be given the full time.
        binding.sent_potential = binding.sent_potential.max(now + desired + desired / 2);
        self.submit(binding, Some(grant))
    }

    /// Clears what was agreed of an earlier lease: it says nothing about the one that begins.
    fn begin_lease(&mut self, binding: &mut crate::Binding, client: &ClientKey) {
        // A partner that has not agreed to the end of the client's last lease may prolong it up
        // to the MCLT beyond what it knows: this node must go on knowing of that much.
        let open = matches!(binding.state, BindingState::Expired | BindingState::Released)
            && binding.is_of(client);
        binding.sent_potential = if open {
            binding.sent_potential.max(binding.common_potential()).max(binding.client_expiry)
        } else {
            Time::ZERO
        };
        binding.client_expiry = Time::ZERO;
        binding.acked_potential = Time::ZERO;
        binding.recv_potential = Time::ZERO;
        if let Some(link) = &mut self.link {
            link.void_promises(binding.addr);
        }
    }

    fn assent_wanted(&self, now: Time) -> Assent {
        if self.is_alone() || self.is_partner_down() {
            Assent::NotNeeded
        } else if self.link.as_ref().is_some_and(Link::is_accepted) {
            Assent::AwaitedUntil(now + self.config.times.sync_wait)
        } else {
            Assent::Forgone
        }
    }

    /// Ends the lease of `client` on `addr`.
    pub(super) fn propose_release(
        &mut self,
        _now: Time,
        addr: Ipv4Addr,
        client: &ClientKey,
    ) -> Ticket {
        let mut binding = self.table.get_or_untouched(addr);
        if let Some(refusal) = self.may_end(binding.is_leased_to(client)) {
            return self.refuse(refusal);
        }
        self.end(&mut binding, BindingState::Released);
        let ticket = self.submit(binding, None);
        self.overtake(addr);
        ticket
    }

    /// Ends a lease by hand. The client does not know of it, so the address stays its own until
    /// the time it was promised is over. `None` where there is no lease.
    pub fn release_by_hand(&mut self, now: Time, addr: Ipv4Addr) -> Option<Ticket> {
        let binding = self.table.get(addr)?;
        let client = binding.client.as_ref()?.key.clone();
        if !binding.is_leased_to(&client) || self.may_end(true).is_some() {
            return None;
        }
        let mut held = binding.clone();
        held.hold_until = held.hold_until.max(held.client_expiry + self.config.times.guard);
        self.table.put(held);
        Some(self.propose(now, Change::Release { addr, client }))
    }

    /// Takes `addr` out of service for `hold`.
    pub(super) fn propose_decline(&mut self, now: Time, addr: Ipv4Addr, hold: Duration) -> Ticket {
        if let Some(refusal) = self.may_end(true) {
            return self.refuse(refusal);
        }
        let mut binding = self.table.get_or_untouched(addr);
        binding.state = BindingState::Declined;
        binding.client_expiry = now + hold;
        let ticket = self.submit(binding, None);
        self.overtake(addr);
        ticket
    }

    /// Why a binding may not be ended by this node now.
    fn may_end(&self, is_theirs: bool) -> Option<Refusal> {
        if self.unfit.is_some() {
            Some(Refusal::NotDurable)
        } else if !self.is_serving() {
            Some(Refusal::NotServing)
        } else {
            (!is_theirs).then_some(Refusal::InUse)
        }
    }

    fn refuse(&mut self, refusal: Refusal) -> Ticket {
        let ticket = self.proposals.ticket();
        let outcome = Outcome::Refused(refusal);
        self.out.push_back(PairOutput::Outcome { ticket, outcome });
        ticket
    }

    fn submit(&mut self, binding: crate::Binding, grant: Option<Grant>) -> Ticket {
        let addr = binding.addr;
        let seq = self.change(binding);
        let versions = self.table.get_or_untouched(addr).versions;
        self.proposals.add(seq, Proposal { addr, versions, durable: false, grant })
    }

    /// Ends a lease: for good where nobody else could know of it (R3), else until the partner
    /// agrees.
    fn end(&self, binding: &mut crate::Binding, how: BindingState) {
        let private = self.owns(binding.addr) && !binding.partner_knows;
        if self.is_alone() || private || self.fault == Some(Fault::NoAgreement) {
            free(binding);
        } else {
            binding.state = how;
        }
    }

    /// Ends what time has ended.
    pub(super) fn expire(&mut self, now: Time) {
        if !self.may_change() {
            return;
        }
        while let Some(addr) = self.table.first_due(now) {
            let mut binding = self.table.get_or_untouched(addr);
            self.end(&mut binding, BindingState::Expired);
            self.change(binding);
            self.overtake(addr);
        }
    }

    /// The partner will not be heard on this proposal any more.
    pub(super) fn forgo(&mut self, now: Time, ticket: Ticket) {
        let awaited = |grant: &Grant| matches!(grant.assent, Assent::AwaitedUntil(_));
        if self.proposals.get(ticket).and_then(|p| p.grant.as_ref()).is_some_and(awaited) {
            self.proposals.set_assent(ticket, Assent::Forgone);
            self.settle_if_ready(now, ticket);
        }
    }

    /// Gives a proposal its outcome when both disks, or the rules, allow it.
    pub(super) fn settle_if_ready(&mut self, now: Time, ticket: Ticket) {
        let Some(proposal) = self.proposals.get(ticket).cloned() else { return };
        if !proposal.durable {
            return;
        }
        let Some(grant) = &proposal.grant else {
            self.settle(ticket, Outcome::Committed { lease: Duration::ZERO });
            return;
        };
        let binding = self.table.get_or_untouched(proposal.addr);
        if !binding.is_leased_to(&grant.client) {
            self.settle(ticket, Outcome::Refused(Refusal::Overtaken));
            return;
        }
        let lease = match grant.assent {
            Assent::AwaitedUntil(_) => return,
            Assent::NotNeeded | Assent::Given => grant.desired,
            Assent::Forgone => {
                whole_seconds(self.capped(grant.proposed_at, grant.common, grant.desired))
            }
        };
        let waited = now.since(grant.proposed_at);
        let told = if waited > UNNOTICED { lease.saturating_sub(waited) } else { lease };
        if told.is_zero() {
            self.settle(ticket, Outcome::Refused(Refusal::NotDurable));
            return;
        }
        let expiry = grant.promised.max(grant.proposed_at + lease);
        if binding.versions == proposal.versions && binding.client_expiry > expiry {
            // It was written down for longer, in the hope of the partner's assent.
            self.change(crate::Binding { client_expiry: expiry, ..binding });
        }
        self.note_told(proposal.addr, now + told);
        self.settle(ticket, Outcome::Committed { lease: told });
    }

    /// The partner has `versions` of `addr` on its disk.
    pub(super) fn assent_given(&mut self, now: Time, addr: Ipv4Addr, versions: crate::Versions) {
        for ticket in self.proposals.at(addr) {
            let covered = self.proposals.get(ticket).is_some_and(|p| versions.covers(p.versions));
            if covered {
                self.proposals.set_assent(ticket, Assent::Given);
                self.settle_if_ready(now, ticket);
            }
        }
    }

    /// Refuses the grants on `addr` whose client has it no more: it ended the lease, or lost it in
    /// a merge. One that went on waiting would be acknowledged by the client's next lease, which
    /// is not written yet.
    pub(super) fn overtake(&mut self, addr: Ipv4Addr) {
        let binding = self.table.get_or_untouched(addr);
        for ticket in self.proposals.at(addr) {
            let lost = self
                .proposals
                .get(ticket)
                .and_then(|proposal| proposal.grant.as_ref())
                .is_some_and(|grant| !binding.is_leased_to(&grant.client));
            if lost {
                self.settle(ticket, Outcome::Refused(Refusal::Overtaken));
            }
        }
    }
}

/// Lease times are told in seconds; a fraction is not given away.
fn whole_seconds(lease: Duration) -> Duration {
    Duration::from_secs(lease.as_secs())
}
