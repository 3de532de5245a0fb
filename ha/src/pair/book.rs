//! The pair as the DHCP server sees it: may this address be granted, by this node, for how long.

use std::hash::Hasher;
use std::net::Ipv4Addr;
use std::time::Duration;

use lanward_dhcp::{
    Answering, Asking, BindingState, Change, Client, ClientKey, Lease, LeaseBook, NetworkId,
    Outcome, Refusal, Ticket, Time,
};
use siphasher::sip::SipHasher13;

use super::states::PartnerDown;
use super::{Fault, Pair, State};
use crate::binding::{Binding, owner};
use crate::{PairState, Rank};

impl LeaseBook for Pair {
    fn lease(&self, addr: Ipv4Addr) -> Option<Lease> {
        self.table.get(addr).map(Binding::lease)
    }

    fn addresses_of(&self, client: &ClientKey) -> Vec<Ipv4Addr> {
        self.table.addresses_of(client)
    }

    fn may_grant(&self, now: Time, addr: Ipv4Addr, client: &Client) -> Result<(), Refusal> {
        if self.unfit.is_some() {
            let lease = self.unsaved_lease(now, addr, &client.key, Duration::MAX);
            return lease.map(drop).ok_or(Refusal::NotDurable);
        }
        if !self.is_serving() {
            return Err(Refusal::NotServing);
        }
        match self.table.get(addr) {
            Some(binding) => self.may_rebind(now, binding, client),
            None => self.may_first_grant(now, &Binding::untouched(addr), client),
        }
    }

    fn may_offer(&self, now: Time, addr: Ipv4Addr, client: &Client) -> Result<(), Refusal> {
        self.may_grant(now, addr, client)?;
        if self.unfit.is_some() && self.may_be_given_back_elsewhere() {
            return Err(Refusal::NotDurable);
        }
        if self.is_worth_an_offer(addr, client) { Ok(()) } else { Err(Refusal::PartnersHalf) }
    }

    fn offered(&mut self, now: Time, addr: Ipv4Addr, client: &Client) {
        if self.may_be_given_back_elsewhere() {
            self.told.remove(&addr);
        }
        self.note_offer(now, addr, client);
    }

    /// In PARTNER-DOWN, and after a double fault, a client may rightly hold a lease of the
    /// partner's that this node never heard of.
    fn may_adopt(&self, now: Time, addr: Ipv4Addr, client: &ClientKey) -> bool {
        let may_hold_unknown = self.is_partner_down()
            || (self.remembered.solo && matches!(self.state, State::Interrupted(_)));
        // One that was released by hand still is its client's, who was not told of it.
        let runs_for_another = self.table.get(addr).is_some_and(|binding| {
            let until = match binding.state {
                BindingState::Active => binding.client_expiry,
                _ => binding.client_expiry.min(binding.hold_until),
            };
            now < until && !binding.is_of(client)
        });
        may_hold_unknown && self.is_serving() && !runs_for_another
    }

    fn probes_everything(&self) -> bool {
        self.remembered.solo
    }

    fn assured_lease(
        &self,
        now: Time,
        addr: Ipv4Addr,
        client: &ClientKey,
        desired: Duration,
    ) -> Duration {
        if self.unfit.is_some() {
            return self.unsaved_lease(now, addr, client, desired).unwrap_or_default();
        }
        if self.is_alone() || self.is_partner_down() {
            return desired;
        }
        let common = self
            .table
            .get(addr)
            .filter(|binding| binding.is_leased_to(client))
            .map_or(Time::ZERO, Binding::common_potential);
        self.capped(now, common, desired)
    }

    fn answering(
        &self,
        _now: Time,
        asking: Asking,
        network: &NetworkId,
        client: &ClientKey,
        bound: Option<Ipv4Addr>,
    ) -> Answering {
        if self.serves_unsaved() {
            return Answering::Yes;
        }
        if !self.is_serving() || (self.is_leaving() && asking != Asking::Addressed) {
            return Answering::No;
        }
        if asking == Asking::Addressed || !self.partner_shares() {
            return Answering::Yes;
        }
        if self.responsible(network, client, bound) == self.rank {
            Answering::Yes
        } else {
            Answering::IfUnserved
        }
    }

    fn propose(&mut self, now: Time, change: Change) -> Ticket {
        if self.unfit.is_some() {
            return self.propose_unsaved(now, change);
        }
        match change {
            Change::Adopt { addr, client, desired } if self.may_adopt(now, addr, &client.key) => {
                self.propose_grant(now, addr, client, desired)
            }
            Change::Grant { addr, client, desired } | Change::Adopt { addr, client, desired } => {
                match self.may_grant(now, addr, &client) {
                    Ok(()) => self.propose_grant(now, addr, client, desired),
                    Err(refusal) => self.refused(refusal),
                }
            }
            Change::Release { addr, client } => self.propose_release(now, addr, &client),
            Change::Decline { addr, hold } => self.propose_decline(now, addr, hold),
        }
    }
}

impl Pair {
    /// R1 for an address with a record.
    fn may_rebind(&self, now: Time, binding: &Binding, client: &Client) -> Result<(), Refusal> {
        let same = binding.is_of(&client.key);
        let pledged = self.is_pledged_to(binding, client);
        // The last client of an ended lease is no better than any other: whoever held it back may
        // have given it to somebody else.
        let theirs = match binding.state {
            BindingState::Active => same,
            // Released by hand and free by agreement: its client was told of a time still to come.
            // Held for nobody in particular: who it is pledged to is the only one who can have it.
            BindingState::Free => {
                (same && !self.is_alone() && now < binding.client_expiry)
                    || (pledged && binding.client.is_none())
            }
            _ => same && !self.is_alone(),
        };
        if now < binding.hold_until && !theirs {
            return Err(Refusal::Held);
        }
        match binding.state {
            BindingState::Active if same => Ok(()),
            BindingState::Active => Err(Refusal::InUse),
            BindingState::Free => self.may_first_grant(now, binding, client),
            BindingState::Declined => Err(Refusal::Held),
            BindingState::Expired | BindingState::Released => {
                // The partner may already have agreed, so it is not this client's any more
                // unless nobody but this node could have given it away.
                let own = self.owns(binding.addr);
                if self.is_alone()
                    || pledged
                    || (same && own)
                    || (own && self.fault == Some(Fault::NoAgreement))
                    || self.is_surely_over(now, binding)
                {
                    Ok(())
                } else {
                    Err(Refusal::AwaitingPartner)
                }
            }
        }
    }

    /// R1 for a free address.
    fn may_first_grant(
        &self,
        now: Time,
        binding: &Binding,
        client: &Client,
    ) -> Result<(), Refusal> {
        let addr = binding.addr;
        if self.is_pledged_to(binding, client) {
            return Ok(());
        }
        if now < self.remembered.halves_held[owner(addr).index()] && binding.cltt == Time::ZERO {
            return Err(Refusal::Held);
        }
        if let State::Conflict(_) = self.state {
            return Err(Refusal::AwaitingPartner);
        }
        let offered = self.was_offered_alone(now, addr, &client.key);
        if self.is_alone() || offered || self.is_surely_over(now, binding) {
            return Ok(());
        }
        if self.is_pledged_otherwise(binding) && self.owns(addr) {
            return Err(Refusal::AwaitingPartner);
        }
        if self.owns(addr) || self.fault == Some(Fault::PartnersHalf) {
            Ok(())
        } else {
            Err(Refusal::PartnersHalf)
        }
    }

    /// In PARTNER-DOWN: whether anything the partner may have promised of it is over. It could
    /// promise, unseen, the MCLT beyond what it knew, and nothing after it went down.
    fn is_surely_over(&self, now: Time, binding: &Binding) -> bool {
        let State::PartnerDown(PartnerDown { since }) = self.state else { return false };
        if !self.is_partner_down() {
            return false;
        }
        if since == Time::ZERO && binding.state == BindingState::Free {
            return true;
        }
        let times = &self.config.times;
        now > since.max(binding.latest_promise()) + self.longest_lead() + times.guard
    }

    /// Whether the partner is known not to serve, so that no lease depends on its disk.
    pub(super) fn is_partner_down(&self) -> bool {
        matches!(self.state, State::PartnerDown(_)) && self.heading() == PairState::PartnerDown
    }

    /// R2: at most the MCLT beyond what both have on their disks.
    pub(super) fn capped(&self, now: Time, common: Time, desired: Duration) -> Duration {
        if self.fault == Some(Fault::NoMclt) {
            return desired;
        }
        // Not beyond what the partner counts on, even where the settings were changed since.
        let agreed = self.remembered.agreed_mclt;
        let mclt = self.config.times.mclt;
        let lead = if agreed.is_zero() { mclt } else { mclt.min(agreed) };
        desired.min(common.since(now) + lead)
    }

    /// Whether the clients are shared with a partner that is there and answers its part.
    fn partner_shares(&self) -> bool {
        matches!(self.state, State::Normal(_))
            && self.entering.is_none()
            && self.link.as_ref().filter(|link| link.is_accepted()).is_some_and(|link| {
                link.partner
                    .as_ref()
                    .is_some_and(|partner| partner.serving && partner.state == PairState::Normal)
            })
    }

    /// Which node answers a client in NORMAL (pair protocol, section 5): the owner of its
    /// address; else, as in RFC 3074, by a hash of its key; but a half that is used up passes
    /// its clients on.
    fn responsible(
        &self,
        network: &NetworkId,
        client: &ClientKey,
        bound: Option<Ipv4Addr>,
    ) -> Rank {
        if let Some(addr) = bound {
            return owner(addr);
        }
        let hashed = hash_bucket(client);
        let partner_free =
            self.link.as_ref().and_then(|link| link.partner_free.get(&**network)).copied();
        let own_free = self.own_free.get(&**network).copied();
        match (own_free, partner_free) {
            (Some(0), Some(1..)) => self.rank.other(),
            (Some(1..), Some(0)) => self.rank,
            _ => hashed,
        }
    }

    /// A ticket for a change that will not be made.
    pub(super) fn refused(&mut self, refusal: Refusal) -> Ticket {
        let ticket = self.proposals.ticket();
        let outcome = Outcome::Refused(refusal);
        self.out.push_back(super::PairOutput::Outcome { ticket, outcome });
        ticket
    }
}

/// One bit of a hash that both nodes compute alike.
fn hash_bucket(client: &ClientKey) -> Rank {
    let mut hasher = SipHasher13::new();
    client.feed(&mut hasher);
    if hasher.finish() & 1 == 0 { Rank::Zero } else { Rank::One }
}
