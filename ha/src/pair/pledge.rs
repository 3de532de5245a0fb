//! Reserved addresses that either node may grant (pair protocol, section 8).
//!
//! A reservation is a preference and bypasses no rule: the address stays of its owner's half. But
//! an owner that has the reservation in its settings can *pledge* the address: from then on it
//! grants it to nobody but the reservation's client. Once the partner has the pledge on its disk,
//! it may grant the address to that client too, cut off or not: whoever of the two does, it is
//! the same client. A pledge is taken back in the same way: the owner asks, and grants the address
//! to others only when the partner has agreed.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;
use std::net::Ipv4Addr;

use lanward_dhcp::{BindingState, Client, Reservation};
use siphasher::sip::SipHasher13;

use super::Pair;
use super::states::State;
use crate::Binding;

/// The reservations in force on this node, by address.
#[derive(Clone, Debug, Default)]
pub(super) struct Reserved {
    by_addr: BTreeMap<Ipv4Addr, (u64, Reservation)>,
    /// Where a pledge may have to be made or taken back.
    due: BTreeSet<Ipv4Addr>,
}

impl Reserved {
    /// A record changed: a pledge of its address may be possible now.
    pub(super) fn touched(&mut self, binding: &Binding) {
        if binding.pledge != self.pledge_of(binding.addr) || binding.withdrawing {
            self.due.insert(binding.addr);
        }
    }

    /// What a pledge of `addr` would be; 0 where nothing is reserved.
    fn pledge_of(&self, addr: Ipv4Addr) -> u64 {
        self.by_addr.get(&addr).map_or(0, |(pledge, _)| *pledge)
    }
}

impl Pair {
    /// The reservations of the household that are in force on this node.
    pub fn set_reservations(&mut self, reservations: impl IntoIterator<Item = Reservation>) {
        let named =
            |reservation: Reservation| (reservation.addr, (fingerprint(&reservation), reservation));
        self.reserved.by_addr = reservations.into_iter().map(named).collect();
        self.review_pledges();
    }

    /// Has every pledge looked at again.
    pub(super) fn review_pledges(&mut self) {
        let reserved = self.reserved.by_addr.keys().copied();
        let pledged = self.table.iter().filter(|binding| binding.pledge != 0).map(|b| b.addr);
        self.reserved.due = reserved.chain(pledged).collect();
    }

    /// Reserved addresses that only their owner may grant yet: the other node has not confirmed,
    /// or another client still has them. Empty for a lone node.
    pub fn staged_reservations(&self) -> Vec<Ipv4Addr> {
        if matches!(self.state, State::Standalone(_)) {
            return Vec::new();
        }
        let staged = |(addr, (pledge, _)): (&Ipv4Addr, &(u64, Reservation))| {
            let confirmed = self.table.get(*addr).is_some_and(|binding| {
                binding.pledge == *pledge && !binding.withdrawing && !binding.dirty
            });
            (!confirmed).then_some(*addr)
        };
        self.reserved.by_addr.iter().filter_map(staged).collect()
    }

    /// Whether the address is pledged to this client, so that no other can have got it from
    /// anybody since.
    pub(super) fn is_pledged_to(&self, binding: &Binding, client: &Client) -> bool {
        binding.pledge != 0
            && !binding.withdrawing
            && self.reserved.by_addr.get(&binding.addr).is_some_and(|(pledge, reservation)| {
                *pledge == binding.pledge && reservation.is_for(&client.hw, &client.key)
            })
    }

    /// Whether the partner may still grant the address by a pledge that is none of this node's
    /// reservations any more.
    pub(super) fn is_pledged_otherwise(&self, binding: &Binding) -> bool {
        let meant = self.reserved.pledge_of(binding.addr);
        binding.pledge != 0 && (binding.withdrawing || binding.pledge != meant)
    }

    /// Makes the pledges that are due, and takes back those that are not meant any more.
    pub(super) fn renew_pledges(&mut self) {
        let paired = !matches!(self.state, State::Standalone(_));
        let able = self.may_change() && self.entering.is_none() && self.stopping.is_none();
        if !paired || !able || self.remembered.partner_protocol < 2 {
            return;
        }
        for addr in std::mem::take(&mut self.reserved.due) {
            if self.owns(addr) {
                self.renew_pledge(addr);
            }
        }
    }

    fn renew_pledge(&mut self, addr: Ipv4Addr) {
        let mut binding = self.table.get_or_untouched(addr);
        let meant = self.reserved.pledge_of(addr);
        if binding.withdrawing || binding.pledge == meant {
            return;
        }
        if binding.pledge != 0 {
            binding.withdrawing = true;
            self.change(binding);
            return;
        }
        let is_theirs = |client: &Client| {
            let reserved = self.reserved.by_addr.get(&addr);
            reserved.is_some_and(|(_, reservation)| reservation.is_for(&client.hw, &client.key))
        };
        let open = match binding.state {
            BindingState::Free => true,
            BindingState::Active => binding.client.as_ref().is_some_and(is_theirs),
            BindingState::Expired | BindingState::Released | BindingState::Declined => false,
        };
        if open {
            binding.pledge = meant;
            self.change(binding);
        }
    }
}

/// Names the client a reservation is for; never 0. Both nodes compute the same.
fn fingerprint(reservation: &Reservation) -> u64 {
    let mut hasher = SipHasher13::new();
    if let Some(hw) = &reservation.hw {
        hasher.write_u8(hw.htype());
        hasher.write(hw.bytes());
    }
    hasher.write_u8(0xff);
    if let Some(id) = &reservation.client_id {
        id.feed(&mut hasher);
    }
    hasher.finish().max(1)
}
