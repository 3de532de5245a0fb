//! What the two nodes say of bindings, and what they make of it.

use std::net::Ipv4Addr;

use lanward_dhcp::{BindingState, Time};
use prost::Message;

use super::link::{Flight, Link, WINDOW};
use super::{Aside, Fault, Pair, PairOutput};
use crate::EventKind;
use crate::PairState;
use crate::binding::Binding;
use crate::merge::{Circumstances, Merged, free, merge, withdraw};
use crate::record::{PARTNER_HOST_KEY, binding_key, encode_binding};
use crate::wire::{
    Ack, Acks, Body, SETTINGS_LARGEST, UPDATES_A_FRAME, Update, Updates, WireError,
    pair_state_from, pair_state_number,
};

impl Pair {
    /// Reads one frame. A partner that says what cannot be understood is hung up on: the bytes
    /// came over an authenticated and checksummed link, so one of the two programs is wrong.
    pub(super) fn exchange(&mut self, now: Time, frame: &[u8]) {
        let Some(link) = &mut self.link else { return };
        if link.heard + self.config.times.silence < now {
            // This host stood still. What was sent meanwhile is older than it says, and the
            // partner has given the link up.
            let reason = format!("nothing was heard from {} for too long", self.seen.name);
            self.hang_up(now, &reason);
            self.advance(now);
            return;
        }
        link.heard = now;
        self.seen.heard = Some(now);
        if link.introduced {
            self.heard(now, frame);
        } else if link.early.replace(frame.to_vec()).is_some() {
            // Before it knows who listens, a node says its HELLO and no more.
            let reason = format!("{} did not wait for the HELLO", self.seen.name);
            self.hang_up(now, &reason);
        }
        self.advance(now);
    }

    /// A frame is looked into once this node has introduced itself.
    pub(super) fn heard(&mut self, now: Time, frame: &[u8]) {
        let result = match Body::from_frame(frame) {
            Ok(Some(body)) => self.dispatch(now, body),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            let reason = format!("{} is not understood: {error}", self.seen.name);
            self.hang_up(now, &reason);
        }
    }

    fn dispatch(&mut self, now: Time, body: Body) -> Result<(), WireError> {
        if let Body::Hello(hello) = body {
            return self.introduced(now, &hello);
        }
        let Some(link) = self.link.as_mut().filter(|link| link.partner.is_some()) else {
            return Err(WireError::Field("the HELLO that comes before everything"));
        };
        match body {
            Body::Contact(contact) => {
                if let Some(partner) = &mut link.partner {
                    // A partner that is about to fall silent waits to hear that it may.
                    if partner.serving && !contact.serving {
                        link.next_contact = now;
                    }
                    partner.serving = contact.serving;
                    partner.covering = contact.covering;
                }
                let signed = |millis| i64::try_from(millis).unwrap_or(i64::MAX);
                link.clock_ahead_ms = Some(signed(contact.clock_ms) - signed(now.as_millis()));
                link.partner_free =
                    contact.free.into_iter().map(|count| (count.network, count.free)).collect();
            }
            Body::State(announce) => {
                let state = pair_state_from(announce.state)?;
                self.partner_entered(now, state, &announce.reason);
            }
            Body::Host(host) => {
                let addresses = host.read()?;
                if self.partner_addresses != addresses {
                    self.partner_addresses = addresses;
                    self.journal.write(PARTNER_HOST_KEY.to_owned(), Some(host.encode_to_vec()));
                    self.out.push_back(PairOutput::PartnerAddresses);
                }
            }
            Body::Sessions(message) => self.aside(Aside::Sessions, message)?,
            Body::Lists(message) => self.aside(Aside::Lists, message)?,
            Body::Authority(message) => self.aside(Aside::Authority, message)?,
            Body::Service(service) => self.service_reported(&service)?,
            Body::Settings(part) => {
                link.settings.extend(part.bytes);
                if link.settings.len() > SETTINGS_LARGEST {
                    return Err(WireError::Field("a settings message of a sensible size"));
                }
                if !part.more {
                    let message = std::mem::take(&mut link.settings);
                    self.out.push_back(PairOutput::Settings(message));
                }
            }
            // Bindings count for nothing between nodes that may not get in step.
            Body::Updates(_) | Body::Acks(_) | Body::UpdatesDone(_) if !link.is_accepted() => {}
            Body::Updates(updates) => {
                let state = pair_state_from(updates.state)?;
                for update in updates.updates {
                    if self.link.is_none() {
                        break;
                    }
                    self.updated(now, state, update)?;
                }
            }
            Body::Acks(acks) => acks.acks.iter().for_each(|ack| self.answered(now, ack)),
            Body::UpdatesDone(_) => link.updates_done_heard = true,
            Body::Removed(_) => self.removed(now),
            Body::Hello(_) => {}
        }
        Ok(())
    }

    /// The states this node and its partner act from: in STARTUP, the one it would go on in.
    fn stances(&self, sent_in: PairState) -> (PairState, PairState) {
        let mine = match self.state.name() {
            PairState::Startup => self.remembered.state,
            state => state,
        };
        let theirs = match (sent_in, &self.link) {
            (PairState::Startup, Some(Link { partner: Some(partner), .. })) => partner.resumes(),
            (state, _) => state,
        };
        (mine, theirs)
    }

    /// One binding of the partner.
    fn updated(&mut self, now: Time, sent_in: PairState, update: Update) -> Result<(), WireError> {
        let id = update.id;
        let theirs = update.read(now)?;
        let addr = theirs.addr;
        let mine = self.table.get_or_untouched(addr);
        let forgot = theirs.versions.by(self.rank) > mine.versions.by(self.rank);
        let was_damaged = self.damaged.contains(&addr);
        if forgot && self.remembered.served && !was_damaged {
            self.found_rolled_back(now);
            return Ok(());
        }
        let yields = self.fault != Some(Fault::RecoveringWins);
        let (mine_from, theirs_from) = self.stances(sent_in);
        let (promised, was_free) = (theirs.latest_promise(), theirs.state == BindingState::Free);
        let around = Circumstances {
            now,
            guard: self.config.times.guard,
            rank: self.rank,
            partner_recovers: must_learn(theirs_from, mine_from) && yields,
            recovers: must_learn(mine_from, theirs_from) && yields,
        };
        let (seq, accepted) = match merge(&mine, theirs, around) {
            Merged::Known => (mine.written, true),
            Merged::Taken(binding) => {
                if !binding.dirty {
                    self.forget(&binding);
                } else if let Some(link) = &mut self.link {
                    link.enqueue(addr);
                }
                (self.put(binding), true)
            }
            Merged::Kept => {
                self.tell_again(mine);
                (0, false)
            }
            Merged::Joined { binding, accepted, collision } => {
                if collision {
                    let why = format!("{addr} was leased to two clients; one of them is to move");
                    self.event(now, EventKind::Collision, &why);
                }
                let seq = self.put(binding);
                if let Some(link) = &mut self.link {
                    link.enqueue(addr);
                }
                (seq, accepted)
            }
        };
        // The partner must not act on its own word before it knows of the hold.
        let (seq, accepted) = if was_damaged {
            (self.hold_damaged(now, addr, promised, was_free), false)
        } else {
            (seq, accepted)
        };
        self.overtake(addr);
        if let Some(link) = &mut self.link {
            link.acks.push_back((seq, Ack { id, accepted }));
        }
        Ok(())
    }

    /// The record could not be read, and the partner told what it knows, up to a promise: what this
    /// node promised its last client unseen, beyond that, is held back, on both nodes. Where the
    /// partner calls it free, this node may have given it to another client since: the last one
    /// the partner knows of has no claim to it.
    fn hold_damaged(&mut self, now: Time, addr: Ipv4Addr, promised: Time, was_free: bool) -> u64 {
        let mut binding = self.table.get_or_untouched(addr);
        if was_free {
            binding.client = None;
        }
        let until = self.beyond(now, promised.max(binding.latest_promise()));
        binding.hold_until = binding.hold_until.max(until);
        self.change(binding)
    }

    /// The partner has this version: there is nothing to tell of it.
    fn forget(&mut self, binding: &Binding) {
        if let Some(link) = &mut self.link {
            link.forget(binding.addr);
        }
    }

    /// The partner has an older version than this one, which it may have confirmed before its
    /// store was set back.
    fn tell_again(&mut self, mine: Binding) {
        let addr = mine.addr;
        if !mine.dirty {
            self.put(Binding { dirty: true, partner_knows: true, ..mine });
        }
        if let Some(link) = &mut self.link {
            link.enqueue(addr);
        }
    }

    /// The partner answered one update.
    fn answered(&mut self, now: Time, ack: &Ack) {
        let Some(link) = &mut self.link else { return };
        let Some(flight) = link.in_flight.remove(&ack.id) else { return };
        if !ack.accepted {
            link.resync.remove(&flight.addr);
            return;
        }
        let old = self.table.get_or_untouched(flight.addr);
        let mut binding = old.clone();
        let same_client = flight.client.as_ref().is_some_and(|key| binding.is_leased_to(key));
        let promise = flight.potential.filter(|_| same_client);
        if let Some(potential) = promise {
            binding.acked_potential = binding.acked_potential.max(potential);
        }
        if binding.versions == flight.versions {
            link.resync.remove(&flight.addr);
            binding.dirty = false;
            if matches!(binding.state, BindingState::Expired | BindingState::Released) {
                free(&mut binding);
            }
            if binding.withdrawing {
                withdraw(&mut binding);
            }
            binding.partner_knows = binding.state != BindingState::Free;
        }
        if binding != old {
            self.note(binding);
        }
        if promise.is_some() {
            self.assent_given(now, flight.addr, flight.versions);
        }
    }

    /// Sends what is durable: answers, then updates.
    pub(super) fn pump(&mut self, now: Time) {
        if !self.link.as_ref().is_some_and(Link::is_accepted) {
            return;
        }
        self.pump_acks();
        let mut updates = Vec::new();
        while let Some(update) = self.next_update(now) {
            updates.extend(update);
            if updates.len() >= UPDATES_A_FRAME {
                self.send_updates(std::mem::take(&mut updates));
            }
        }
        if !updates.is_empty() {
            self.send_updates(updates);
        }
    }

    fn pump_acks(&mut self) {
        let mut acks = Vec::new();
        if let Some(link) = &mut self.link {
            while let Some((seq, ack)) = link.acks.front()
                && (self.journal.is_durable(*seq) || self.fault == Some(Fault::NoDurability))
            {
                acks.push(ack.clone());
                link.acks.pop_front();
            }
        }
        if !acks.is_empty() {
            self.out.push_back(PairOutput::Send(Body::Acks(Acks { acks }).into_frame()));
        }
    }

    /// Looks at the next address of the outbox. `None`: nothing more can be sent now.
    fn next_update(&mut self, now: Time) -> Option<Option<Update>> {
        let link = self.link.as_mut().filter(|link| link.in_flight.len() < WINDOW)?;
        let all = self.fault == Some(Fault::NoDurability);
        let addr = link.next(|batch| all || self.journal.is_durable(batch))?;
        let mut binding = self.table.get_or_untouched(addr);
        if !binding.partner_knows && binding.state != BindingState::Free {
            // From the moment it leaves, the partner has a say in freeing it: written down first.
            binding.partner_knows = true;
            let value = encode_binding(&binding);
            binding.written = self.journal.write(binding_key(addr), Some(value));
            self.table.put(binding.clone());
        }
        if !self.is_durable(binding.written) {
            if let Some(link) = &mut self.link {
                link.postpone(addr, binding.written);
            }
            return Some(None);
        }
        let link = self.link.as_mut()?;
        let id = link.depart(Flight {
            addr,
            versions: binding.versions,
            client: binding.client.as_ref().map(|client| client.key.clone()),
            potential: (binding.state == BindingState::Active).then_some(binding.told_potential()),
        });
        Some(Some(Update::of(id, &binding, now)))
    }

    fn send_updates(&mut self, updates: Vec<Update>) {
        let state = pair_state_number(self.state.name());
        self.out
            .push_back(PairOutput::Send(Body::Updates(Updates { state, updates }).into_frame()));
    }

    /// Whether the partner has confirmed all this node has to tell, and this node all it heard.
    pub(super) fn is_told(&self) -> bool {
        let quiet = |link: &Link| link.in_flight.is_empty() && link.acks.is_empty();
        self.table.dirty().is_empty() && self.link.as_ref().is_some_and(quiet)
    }

    /// Ends the link from this side.
    pub(super) fn hang_up(&mut self, now: Time, reason: &str) {
        if self.link.is_none() {
            return;
        }
        self.out.push_back(PairOutput::CloseLink { reason: reason.to_owned() });
        self.lose_link(now, reason);
    }
}

/// Whether a node that acts from the state `mine` has to learn from one that acts from `other`: it
/// recovers, or is about to see that it must, because the other served alone.
fn must_learn(mine: PairState, other: PairState) -> bool {
    let served_alone = other == PairState::PartnerDown;
    mine.recovers() || (served_alone && mine != PairState::PartnerDown)
}
