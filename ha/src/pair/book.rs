//! The pair as the DHCP server sees it: may this address be granted, by this node, for how long.

use std::hash::Hasher;
use std::net::Ipv4Addr;
use std::time::Duration;

use lanward_dhcp::{
    Answering, Asking, BindingState, Change, Client, ClientKey, Lease, LeaseBook, NetworkId,
    Outcome, Refusal, Ticket, Time,
};
use siphasher::sip::SipHasher13;

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
            return Err(Refusal::NotDurable);
        }
        if !self.is_serving() {
            return Err(Refusal::NotServing);
        }
        match self.table.get(addr) {
            Some(binding) => self.may_rebind(now, binding, &client.key),
            None => self.may_first_grant(addr),
        }
    }

    fn assured_lease(
        &self,
        now: Time,
        addr: Ipv4Addr,
        client: &ClientKey,
        desired: Duration,
    ) -> Duration {
        if self.is_alone() {
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
        if !self.is_serving() {
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
        match change {
            Change::Grant { addr, client, desired } => match self.may_grant(now, addr, &client) {
                Ok(()) => self.propose_grant(now, addr, client, desired),
                Err(refusal) => self.refused(refusal),
            },
            Change::Adopt { addr, client, desired } => {
                if self.may_adopt(now, addr, &client.key) {
                    return self.propose_grant(now, addr, client, desired);
                }
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
    fn may_rebind(&self, now: Time, binding: &Binding, client: &ClientKey) -> Result<(), Refusal> {
        let same = binding.is_of(client);
        if now < binding.hold_until && !same {
            return Err(Refusal::Held);
        }
        match binding.state {
            BindingState::Active if same => Ok(()),
            BindingState::Active => Err(Refusal::InUse),
            BindingState::Free => self.may_first_grant(binding.addr),
            BindingState::Declined => Err(Refusal::Held),
            BindingState::Expired | BindingState::Released => {
                // The partner may already have agreed, so it is not this client's any more
                // unless nobody but this node could have given it away.
                let own = self.owns(binding.addr);
                if self.is_alone()
                    || (same && own)
                    || (own && self.fault == Some(Fault::NoAgreement))
                {
                    Ok(())
                } else {
                    Err(Refusal::AwaitingPartner)
                }
            }
        }
    }

    /// R1 for a free address.
    fn may_first_grant(&self, addr: Ipv4Addr) -> Result<(), Refusal> {
        if self.owns(addr) || self.is_alone() || self.fault == Some(Fault::PartnersHalf) {
            Ok(())
        } else {
            Err(Refusal::PartnersHalf)
        }
    }

    /// R2: at most the MCLT beyond what both have on their disks.
    pub(super) fn capped(&self, now: Time, common: Time, desired: Duration) -> Duration {
        if self.fault == Some(Fault::NoMclt) {
            return desired;
        }
        desired.min(common.since(now) + self.config.times.mclt)
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
    fn refused(&mut self, refusal: Refusal) -> Ticket {
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
