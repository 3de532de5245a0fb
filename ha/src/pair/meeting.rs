//! What two nodes make of each other when they meet: who must learn from whom.

use lanward_dhcp::BindingState::Free;
use lanward_dhcp::Time;

use super::link::PartnerFacts;
use super::states::{PartnerDown, State};
use super::{Fault, Pair};
use crate::binding::{Versions, owner};
use crate::{Binding, EventKind, PairState, Rank, StoreId};

impl Pair {
    /// The partner, where the two may exchange bindings.
    pub(super) fn partner(&self) -> Option<&PartnerFacts> {
        self.link.as_ref().filter(|link| link.is_accepted())?.partner.as_ref()
    }

    /// Goes where the partner's state sends this node. Asked again after every word of the
    /// partner and every step of this node, so it does nothing where nothing is to be done.
    pub(super) fn meet(&mut self, now: Time) {
        if self.entering.is_some() || self.unfit.is_some() {
            return;
        }
        let Some(partner) = self.partner().filter(|partner| partner.protocol >= 2).cloned() else {
            return;
        };
        if self.has_another_store(&partner) {
            self.partner_lost_its_disk(now, partner.store);
            return;
        }
        let name = &self.seen.name;
        let is_down = partner.stance() == PairState::PartnerDown;
        // Asked for every frame: said only when it is so.
        let both_served = || format!("{name} and this host both served as if the other was down");
        match &self.state {
            State::Startup(_) if self.remembered.disk_lost => {
                let why = format!("this host lost its disk and learns the leases from {name}");
                self.enter(now, PairState::Recover, why);
            }
            State::Startup(_) => match self.remembered.partner_down_since {
                Some(_) if is_down || partner.state.serves() => {
                    self.enter(now, PairState::Conflict, both_served());
                }
                Some(since) => {
                    let why = format!("{name} did not serve since, and learns what changed");
                    self.enter_partner_down(now, since, why);
                }
                None if is_down => {
                    let why = format!("{name} served alone; this host learns what changed");
                    self.enter(now, PairState::Recover, why);
                }
                None => {}
            },
            State::Normal(_) | State::Interrupted(_) if is_down => {
                self.enter(now, PairState::Conflict, both_served());
            }
            State::Normal(_) | State::Interrupted(_)
                if partner.state == PairState::Shutdown && self.stopping.is_none() =>
            {
                let why = format!("{name} was stopped in order and told all it had");
                self.enter_partner_down(now, Time::ZERO, why);
            }
            State::PartnerDown(_) if is_down || partner.state.serves() => {
                self.enter(now, PairState::Conflict, both_served());
            }
            _ => {}
        }
    }

    /// Whether the partner has another store than the one this node knows it by.
    pub(super) fn has_another_store(&self, partner: &PartnerFacts) -> bool {
        self.remembered.partner_store.is_some_and(|known| known != partner.store)
    }

    /// Until when an address is held back of which more may have been promised, unseen, than the
    /// latest promise that is known.
    pub(super) fn beyond(&self, now: Time, promised: Time) -> Time {
        promised.max(now) + self.longest_lead() + self.config.times.guard
    }

    /// The partner came back with another store: it may have promised what nobody knows now.
    fn partner_lost_its_disk(&mut self, now: Time, store: StoreId) {
        let name = self.seen.name.clone();
        self.remembered.partner_store = Some(store);
        self.remembered.met = 0;
        self.remembered.partner_lost = true;
        let why = format!(
            "{name} lost its disk and with it the leases it gave: until they are over, its \
             addresses are held back"
        );
        self.event(now, EventKind::PartnerLostDisk, &why);
        let since = match &self.state {
            State::PartnerDown(PartnerDown { since }) => *since,
            _ => self.remembered.partner_down_since.unwrap_or(now),
        };
        match self.state.name() {
            PairState::Standalone => {
                self.write_state();
            }
            state if state.recovers() || state == PairState::Shutdown => {
                if self.remembered.disk_lost {
                    // Neither knows what the other promised: both wait.
                    self.write_state();
                    return;
                }
                // What the partner gave while this node was away is gone for good.
                self.remembered.solo = true;
                self.hold_after_loss(now, Some(self.rank));
                self.event(now, EventKind::Solo, "every address is probed before it is given");
                self.enter_partner_down(now, now, why);
            }
            _ => {
                self.hold_after_loss(now, Some(self.rank));
                self.enter_partner_down(now, since, why);
            }
        }
    }

    /// Holds back every address the partner may have granted or prolonged unseen: all but the
    /// free ones of the half this node has by its `rank`, if that is known. Of those the partner
    /// may have granted what is pledged, to the reservation's client: when the owner takes the
    /// pledge back it has forgotten that, and would agree.
    pub(super) fn hold_after_loss(&mut self, now: Time, rank: Option<Rank>) {
        if self.fault == Some(Fault::NoHold) {
            return;
        }
        let concerned = |binding: &&Binding| {
            let own_and_free = Some(owner(binding.addr)) == rank && binding.state == Free;
            !own_and_free || binding.pledge != 0
        };
        let held: Vec<Binding> = self.table.iter().filter(concerned).cloned().collect();
        for mut binding in held {
            let until = self.beyond(now, binding.latest_promise());
            if binding.state == Free && binding.hold_until <= now {
                // The last client has no claim to it, and is not in the way of the pledge's.
                binding.client = None;
            }
            binding.hold_until = binding.hold_until.max(until);
            self.change(binding);
        }
    }

    /// This node's store does not hold all it told its partner: a lost disk, an older copy put
    /// back, or a generation that could not be read. What it still has is kept for the time
    /// without a partner, and yields to whatever the partner knows.
    pub(super) fn forget_own_versions(&mut self, now: Time, other_store: bool) {
        let until = now + self.longest_lead() + self.config.times.guard;
        self.remembered.served = false;
        self.remembered.disk_lost = true;
        self.remembered.wait_until = self.remembered.wait_until.max(until);
        if other_store {
            // The partner must notice: it knows this store by its name.
            self.remembered.epoch += 1;
        }
        let bindings: Vec<Binding> = self.table.iter().cloned().collect();
        for mut binding in bindings {
            binding.versions = Versions::default().bumped(self.rank);
            binding.granted = binding.versions;
            binding.acked_potential = Time::ZERO;
            binding.recv_potential = Time::ZERO;
            binding.dirty = true;
            binding.partner_knows = true;
            self.put(binding);
        }
        self.write_state();
    }

    /// The partner has heard from this node what this node does not know of itself.
    pub(super) fn found_rolled_back(&mut self, now: Time) {
        let why = format!(
            "{} knows leases of this host that its own store does not have: an older copy of the \
             store was put back; it is treated as a lost disk",
            self.seen.name
        );
        self.event(now, EventKind::RolledBack, &why);
        self.forget_own_versions(now, true);
        self.refuse_all(lanward_dhcp::Refusal::Overtaken);
        self.enter(now, PairState::Recover, why.clone());
        self.hang_up(now, &why);
    }

    /// The name of this node's store: another one each time the store turned out not to hold what
    /// was told from it.
    pub(super) fn store(&self) -> StoreId {
        let StoreId(mut id) = self.config.store;
        for (byte, epoch) in id.iter_mut().rev().zip(self.remembered.epoch.to_le_bytes()) {
            *byte ^= epoch;
        }
        StoreId(id)
    }
}
