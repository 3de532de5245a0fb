//! Where a pair begins: with what its store held, or by becoming one of two.

use std::time::Duration;

use lanward_dhcp::{Refusal, Time};
use prost::Message;

use super::states::{Standalone, Startup, State};
use super::{Fault, Pair, PartnerSeen, rank_of};
use crate::record::{
    PARTNER_HOST_KEY, Remembered, STATE_KEY, binding_addr, binding_key, decode_binding,
    encode_binding,
};
use crate::table::Table;
use crate::{Binding, EventKind, PairConfig, PairState, Rank, Restored, wire};

impl Pair {
    /// Reads the store's entries; what is damaged is held back rather than taken for free.
    pub(super) fn restore(&mut self, restored: &Restored, now: Time) {
        let mut damaged: Vec<&str> = restored.damaged.iter().map(String::as_str).collect();
        for (key, value) in &restored.entries {
            if key == STATE_KEY {
                match Remembered::decode(value) {
                    Ok(remembered) => self.remembered = remembered,
                    Err(_) => damaged.push(key.as_str()),
                }
            } else if key == PARTNER_HOST_KEY {
                // Told anew on every link; without it the partner's addresses are not known yet.
                let host = wire::Host::decode(value.as_slice()).ok();
                self.partner_addresses = host.and_then(|host| host.read().ok()).unwrap_or_default();
            } else if let Some(addr) = binding_addr(key) {
                match decode_binding(value) {
                    Ok(binding) if binding.addr == addr && restored.downtime_unknown => {
                        // Written down at once: the next start of the process, whose clock runs
                        // on, must not find it otherwise. The partner is told no more of it than
                        // the disk has, so telling does not wait for that: a host whose disk has
                        // failed can still say what it knows to one whose store is an old copy.
                        let binding = binding.after_unknown_downtime();
                        self.journal.write(key.clone(), Some(encode_binding(&binding)));
                        self.table.put(binding);
                    }
                    Ok(binding) if binding.addr == addr => self.table.put(binding),
                    _ => damaged.push(key),
                }
            }
        }
        for key in damaged {
            if key == STATE_KEY {
                self.event(now, EventKind::Damaged, "the node's own state could not be read");
                // Without it nothing says that this store was never served from, or that the
                // partner did not serve alone since.
                self.remembered.served = self.table.len() > 0;
                if self.remembered.served {
                    self.remembered.state = PairState::Recover;
                }
            } else if let Some(addr) = binding_addr(key) {
                let why = format!("the record of {addr} is damaged: the address is held back");
                self.event(now, EventKind::Damaged, &why);
                // Declined without a version of its own: the partner's record replaces it at the
                // next exchange; alone, it comes back when no lease can still be running.
                let held = Duration::from_secs(24 * 3600).max(self.config.times.mclt);
                let mut binding = Binding::untouched(addr);
                binding.state = lanward_dhcp::BindingState::Declined;
                binding.client_expiry = now + held + self.config.times.guard;
                binding.dirty = true;
                binding.partner_knows = true;
                self.table.put(binding);
                self.damaged.insert(addr);
            }
        }
    }

    /// The first state after a start.
    pub(super) fn begin(&mut self, now: Time, rolled_back: bool) {
        self.remembered.incarnation += 1;
        let lone = self.remembered.state == PairState::Standalone;
        if lone && self.fault != Some(Fault::UnsavedForgotten) {
            self.keep_what_was_unsaved(now);
        }
        let other_pair =
            self.remembered.cluster.is_some() && self.remembered.cluster != self.cluster();
        if other_pair {
            // Its partner of then was removed while the store could not take it down.
            let joined = self.remembered.state != PairState::Standalone;
            let since = self.remembered.partner_down_since.or((!joined).then_some(Time::ZERO));
            self.hold_for_parted(now, since, self.remembered.rank);
        }
        if let Some(partner) = &self.config.partner {
            self.remembered.rank = Some(partner.rank);
        }
        if self.config.partner.is_some() && (rolled_back || other_pair) {
            self.begin_from_old_store(now);
            return;
        }
        let served = self.remembered.served;
        match (&self.config.partner, self.remembered.state) {
            (None, PairState::Standalone) => {
                self.state = State::Standalone(Standalone);
                self.reason = "this node has no partner".to_owned();
            }
            (None, _) => {
                self.forget_pair();
                self.enter(now, PairState::Standalone, "this node has no partner".to_owned());
                return;
            }
            (Some(partner), PairState::Standalone) if self.remembered.cluster.is_none() => {
                // Either it was stopped in the middle of pairing, or an old copy of the store was
                // put back: the partner will tell.
                self.reason = format!("looking for {} after a start", partner.name);
                let keeps = self.rank == Rank::Zero;
                let until = keeps.then(|| now + self.config.times.startup);
                self.state = State::Startup(Startup { until });
                if !keeps {
                    // It was to take over the partner's leases, and its own count for nothing.
                    self.drop_table();
                    self.remembered.served = false;
                }
            }
            (Some(partner), PairState::Standalone) => {
                self.reason = format!("{} has not joined yet", partner.name);
                self.state = State::Standalone(Standalone);
            }
            (Some(partner), state) if state == PairState::Shutdown || state.recovers() => {
                self.reason = format!("{} may have served alone; looking for it", partner.name);
                self.state = State::Recover(self.recover(now));
            }
            (Some(partner), _) if served => {
                self.reason = format!("looking for {} after a start", partner.name);
                let until = Some(now + self.config.times.startup);
                self.state = State::Startup(Startup { until });
            }
            (Some(partner), _) => {
                self.reason = format!("waiting for {}, to learn its leases", partner.name);
            }
        }
        // Which start of the node it is, the partner may hear before it is on the disk: a host
        // whose disk has failed can still say that it served alone.
        let before = self.state_written;
        self.write_state();
        self.state_written = before;
    }

    /// The store is older than what was told from it, and is treated as a lost disk.
    fn begin_from_old_store(&mut self, now: Time) {
        let name = self.seen.name.clone();
        let why = format!("the store is older than what was told from it; looking for {name}");
        self.event(now, EventKind::RolledBack, &why);
        self.remembered.cluster = self.cluster();
        self.remembered.state = PairState::Recover;
        self.reason = why;
        self.forget_own_versions(now, true);
        self.state = State::Recover(self.recover(now));
    }

    /// A lone node became one of a pair. The node of rank 0 keeps its table and goes on serving
    /// until its partner has it; the one of rank 1 forgets what it held and takes over the
    /// partner's, so whoever calls this for it has saved its data first.
    pub fn handle_paired(&mut self, now: Time, config: PairConfig) {
        self.lose_link(now, "the node was paired anew");
        self.rank = rank_of(&config);
        self.config = config;
        // A host that was taken out of its pair was stopped for it. One that is about to stop does.
        if !self.is_stopping() {
            self.stopping = None;
        }
        let partner = self.config.partner.clone();
        self.seen = PartnerSeen::default();
        self.seen.name = partner.as_ref().map(|p| p.name.clone()).unwrap_or_default();
        if self.rank == Rank::Zero {
            self.rebuild_table();
            self.reason = format!("{} has not joined yet", self.seen.name);
        } else {
            self.drop_table();
            self.refuse_all(Refusal::NotServing);
            self.remembered.state = PairState::Startup;
            self.remembered.served = false;
            self.state = State::Startup(Startup { until: None });
            self.entering = None;
            self.since = now;
            self.reason = format!("waiting for {}, to learn its leases", self.seen.name);
        }
        self.leases_changed = Some(true);
        self.remembered.cluster = partner.map(|partner| partner.cluster);
        self.remembered.rank = Some(self.rank);
        self.remembered.partner_store = None;
        (self.remembered.meetings, self.remembered.met) = (0, 0);
        self.write_state();
    }

    /// Forgets all leases, here and on the disk.
    fn drop_table(&mut self) {
        for binding in self.table.iter() {
            self.journal.write(binding_key(binding.addr), None);
        }
        self.table = Table::new(self.rank, self.config.times.guard);
    }
}
