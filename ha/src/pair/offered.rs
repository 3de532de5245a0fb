//! Offers that a later state would not honour.
//!
//! A node that serves alone offers addresses of both halves. Once its partner serves again, the
//! other half is the partner's, and a client that asks for such an address then is refused by the
//! one and unknown to the other: it has to begin anew. So the node makes no such offer any more
//! once its partner is ready, and enters NORMAL when those it made are taken, or too old for their
//! clients to be about to ask. The partner waits for that moment in any case, and learns of what
//! was taken before it: nothing is to be told of an offer.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;

use lanward_dhcp::{Client, ClientKey, Time};

use super::states::State;
use super::{Fault, Pair};
use crate::PairState;

/// Offers of the partner's half, for as long as their clients may be about to ask.
#[derive(Clone, Debug, Default)]
pub(super) struct Offered {
    open: BTreeMap<Ipv4Addr, (ClientKey, Time)>,
    /// In the order of their ends; the last one is open, the others may be taken.
    ends: VecDeque<(Time, Ipv4Addr)>,
}

impl Offered {
    /// `addr` was offered, to be asked for before `end`, which is no earlier than any before it.
    fn add(&mut self, now: Time, addr: Ipv4Addr, client: ClientKey, end: Time) {
        while let Some((over, addr)) = self.ends.front().copied().filter(|(end, _)| *end <= now) {
            self.ends.pop_front();
            if self.open.get(&addr).is_some_and(|(_, end)| *end == over) {
                self.open.remove(&addr);
            }
        }
        self.open.insert(addr, (client, end));
        self.ends.push_back((end, addr));
    }

    /// `addr` was asked for.
    pub(super) fn take(&mut self, addr: Ipv4Addr) {
        self.open.remove(&addr);
        while let Some((end, addr)) = self.ends.back()
            && self.open.get(addr).is_none_or(|(_, open_until)| open_until != end)
        {
            self.ends.pop_back();
        }
    }

    /// Whether `addr` was offered to `client`.
    fn is_to(&self, now: Time, addr: Ipv4Addr, client: &ClientKey) -> bool {
        self.open.get(&addr).is_some_and(|(holder, end)| holder == client && now < *end)
    }

    /// When the last of them is over; `None` where none is open.
    pub(super) fn open_until(&self, now: Time) -> Option<Time> {
        self.ends.back().map(|(end, _)| *end).filter(|end| now < *end)
    }
}

impl Pair {
    /// Whether an offer of `addr` would not be honoured in NORMAL.
    fn is_only_for_now(&self, addr: Ipv4Addr, client: &Client) -> bool {
        let lasts = |binding: &crate::Binding| {
            binding.is_leased_to(&client.key) || self.is_pledged_to(binding, client)
        };
        !self.owns(addr) && !self.table.get(addr).is_some_and(lasts)
    }

    /// Whether `addr`, which may be granted, may be offered as well.
    pub(super) fn is_worth_an_offer(&self, addr: Ipv4Addr, client: &Client) -> bool {
        let ready = |pair: &Pair| {
            pair.partner().is_some_and(|partner| partner.state == PairState::RecoverDone)
        };
        let ends_soon = matches!(self.state, State::PartnerDown(_)) && ready(self);
        !ends_soon
            || self.fault == Some(Fault::OffersForgotten)
            || !self.is_only_for_now(addr, client)
    }

    pub(super) fn note_offer(&mut self, now: Time, addr: Ipv4Addr, client: &Client) {
        let alone = matches!(self.state, State::Standalone(_) | State::PartnerDown(_));
        if alone && self.is_only_for_now(addr, client) {
            let end = now + self.config.times.offer;
            self.offered.add(now, addr, client.key.clone(), end);
        }
    }

    /// Whether the client was offered `addr` before there was a partner that may not hear of it
    /// yet.
    pub(super) fn was_offered_alone(&self, now: Time, addr: Ipv4Addr, client: &ClientKey) -> bool {
        let alone = matches!(self.state, State::Standalone(_)) && self.entering.is_none();
        alone && self.offered.is_to(now, addr, client)
    }

    /// Whether no client is about to ask for what it will not get in NORMAL.
    pub(super) fn is_free_of_offers(&self, now: Time) -> bool {
        let forgets = self.fault == Some(Fault::OffersForgotten);
        forgets || self.offered.open_until(now).is_none()
    }
}
