//! Where a pair begins: with what its store held, or by becoming one of two.

use std::time::Duration;

use lanward_dhcp::{Refusal, Time};
use prost::Message;

use super::states::{Standalone, Startup, State};
use super::{Pair, PartnerSeen, rank_of};
use crate::record::{
    PARTNER_HOST_KEY, Remembered, STATE_KEY, binding_addr, binding_key, decode_binding,
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
                    Err(_) => damaged.push(key),
                }
            } else if key == PARTNER_HOST_KEY {
                // Told anew on every link; without it the partner's addresses are not known yet.
                let host = wire::Host::decode(value.as_slice()).ok();
                self.partner_addresses = host.and_then(|host| host.read().ok()).unwrap_or_default();
            } else if let Some(addr) = binding_addr(key) {
                match decode_binding(value) {
                    Ok(binding) if binding.addr == addr => self.table.put(binding),
                    _ => damaged.push(key),
                }
            }
        }
        for key in damaged {
            if key == STATE_KEY {
                self.event(now, EventKind::Damaged, "the node's own state could not be read");
                // Without it nothing says that this store was never served from.
                self.remembered.served = self.table.len() > 0;
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
            }
        }
    }

    /// The first state after a start.
    pub(super) fn begin(&mut self, now: Time) {
        self.remembered.incarnation += 1;
        let served = self.remembered.served;
        match (&self.config.partner, self.remembered.state) {
            (None, PairState::Standalone) => {
                self.state = State::Standalone(Standalone);
                self.reason = "this node has no partner".to_owned();
            }
            (None, _) => {
                self.enter(now, PairState::Standalone, "this node has no partner".to_owned());
                return;
            }
            (Some(partner), PairState::Standalone) => {
                self.reason = format!("{} has not joined yet", partner.name);
                self.state = State::Standalone(Standalone);
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
        let record = self.remembered.encode();
        self.journal.write(STATE_KEY.to_owned(), Some(record));
    }

    /// A lone node became one of a pair. The node of rank 0 keeps its table and goes on serving
    /// until its partner has it; the one of rank 1 forgets what it held and takes over the
    /// partner's, so whoever calls this for it has saved its data first.
    pub fn handle_paired(&mut self, now: Time, config: PairConfig) {
        self.lose_link(now, "the node was paired anew");
        self.rank = rank_of(&config);
        self.config = config;
        let partner = self.config.partner.clone();
        self.seen = PartnerSeen::default();
        self.seen.name = partner.as_ref().map(|p| p.name.clone()).unwrap_or_default();
        let mut table = Table::new(self.rank, self.config.times.guard);
        if self.rank == Rank::Zero {
            self.table.iter().cloned().for_each(|binding| table.put(binding));
            self.reason = format!("{} has not joined yet", self.seen.name);
        } else {
            for binding in self.table.iter() {
                self.journal.write(binding_key(binding.addr), None);
            }
            self.refuse_all(Refusal::NotServing);
            self.remembered.state = PairState::Startup;
            self.remembered.served = false;
            self.state = State::Startup(Startup { until: None });
            self.entering = None;
            self.since = now;
            self.reason = format!("waiting for {}, to learn its leases", self.seen.name);
        }
        self.table = table;
        self.leases_changed = true;
        self.remembered.cluster = partner.map(|partner| partner.cluster);
        self.remembered.partner_store = None;
        let record = self.remembered.encode();
        self.journal.write(STATE_KEY.to_owned(), Some(record));
    }
}
