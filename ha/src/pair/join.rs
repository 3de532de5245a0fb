//! How two nodes meet: introduction, what speaks against NORMAL, and getting in step.

use lanward_dhcp::Time;

use super::link::PartnerFacts;
use super::states::State;
use super::{Pair, PairOutput};
use crate::wire::{
    Announce, Body, Contact, Empty, FreeCount, Hello, Host, PROTOCOL, PROTOCOL_OLDEST, WireError,
    agree, id_from, pair_state_from, pair_state_number, rank_from,
};
use crate::{ClusterId, EventKind, PairState, StoreId};

impl Pair {
    /// What this node says of itself, first on every link.
    pub(super) fn hello(&self, cluster: ClusterId) -> Body {
        let partner_store = self.remembered.partner_store;
        Body::Hello(Hello {
            newest: PROTOCOL,
            oldest: PROTOCOL_OLDEST,
            cluster: cluster.0.to_vec(),
            node: self.config.node.clone(),
            rank: self.rank.index() as u32,
            store: self.config.store.0.to_vec(),
            state: pair_state_number(self.state.name()),
            served: self.remembered.served,
            mclt_ms: u64::try_from(self.config.times.mclt.as_millis()).unwrap_or(u64::MAX),
            your_store: partner_store.map(|id| id.0.to_vec()).unwrap_or_default(),
            incarnation: self.remembered.incarnation,
        })
    }

    /// The partner said who it is.
    pub(super) fn introduced(&mut self, now: Time, hello: &Hello) -> Result<(), WireError> {
        let rank = rank_from(hello.rank)?;
        let state = pair_state_from(hello.state)?;
        let store = StoreId(id_from(&hello.store)?.ok_or(WireError::Field("a store id"))?);
        let cluster = id_from(&hello.cluster)?.map(ClusterId);
        if cluster.is_none() || cluster != self.cluster() {
            let reason = format!("{} is of another pair: join the two anew", hello.node);
            self.hang_up(now, &reason);
            return Ok(());
        }
        if agree(hello.oldest, hello.newest).is_none() {
            let reason = format!(
                "{} speaks versions {} to {} of the pair protocol and this node {PROTOCOL_OLDEST} \
                 to {PROTOCOL}: update the older one",
                hello.node, hello.oldest, hello.newest
            );
            self.hang_up(now, &reason);
            return Ok(());
        }
        self.seen.name.clone_from(&hello.node);
        let facts = PartnerFacts { rank, store, served: hello.served, state, serving: false };
        let refusal = self.objection(hello, &facts)?;
        let Some(link) = &mut self.link else { return Ok(()) };
        link.partner = Some(facts);
        link.refusal.clone_from(&refusal);
        self.out.push_back(PairOutput::SettingsLinkUp);
        self.tell_addresses();
        match refusal {
            Some(why) => self.event(now, EventKind::Refused, &why),
            None => self.start_resync(),
        }
        self.partner_entered(now, state, "it introduced itself");
        Ok(())
    }

    /// Why the two may not get in step, and what to do about it; `None` where nothing speaks
    /// against it.
    fn objection(
        &self,
        hello: &Hello,
        partner: &PartnerFacts,
    ) -> Result<Option<String>, WireError> {
        let name = &hello.node;
        let mclt = u64::try_from(self.config.times.mclt.as_millis()).unwrap_or(u64::MAX);
        let my_store = id_from(&hello.your_store)?.map(StoreId);
        Ok(if partner.rank == self.rank {
            Some(format!("{name} has the same rank as this node: join the two anew"))
        } else if hello.mclt_ms != mclt {
            Some(format!(
                "{name} has a maximum client lead time of {} s and this node {} s: make them equal",
                hello.mclt_ms / 1000,
                mclt / 1000
            ))
        } else if self.remembered.partner_store.is_some_and(|known| known != partner.store) {
            Some(format!(
                "{name} has lost its disk and with it the leases it gave: this node goes on alone \
                 with its own half of the addresses"
            ))
        } else if my_store.is_some_and(|known| known != self.config.store) {
            Some(format!(
                "this node has lost its disk and with it the leases it gave: {name} goes on alone"
            ))
        } else if self.remembered.served
            && partner.served
            && (self.state.name() == PairState::Standalone
                || partner.state == PairState::Standalone)
        {
            Some(format!(
                "{name} and this node have both served alone: remove one, and join it as new"
            ))
        } else {
            objection_to_state(name, partner.state)
        })
    }

    /// Queues what the partner lacks.
    fn start_resync(&mut self) {
        let everything = self
            .link
            .as_ref()
            .is_some_and(|link| link.partner.as_ref().is_some_and(|partner| !partner.served));
        let Some(link) = &mut self.link else { return };
        link.resync = if everything {
            self.table.iter().map(|binding| binding.addr).collect()
        } else {
            self.table.dirty().clone()
        };
        for addr in link.resync.clone() {
            link.enqueue(addr);
        }
    }

    /// The partner announced a state.
    pub(super) fn partner_entered(&mut self, now: Time, state: PairState, reason: &str) {
        let name = self.seen.name.clone();
        let Some(link) = &mut self.link else { return };
        let Some(partner) = &mut link.partner else { return };
        partner.state = state;
        partner.served |= state == PairState::Normal;
        if link.refusal.is_none() {
            link.refusal = objection_to_state(&name, state);
        }
        if self.seen.state.replace(state) != Some(state) {
            self.event(now, EventKind::PartnerEntered(state), reason);
        }
    }

    /// Enters NORMAL when both are in step.
    pub(super) fn get_in_step(&mut self, now: Time) {
        if self.unfit.is_some() {
            return;
        }
        let Some(link) = self.link.as_mut().filter(|link| link.is_accepted()) else { return };
        if link.resync.is_empty() && !link.updates_done_sent {
            link.updates_done_sent = true;
            self.out.push_back(PairOutput::Send(Body::UpdatesDone(Empty {}).into_frame()));
        }
        let Some(partner) = link.partner.clone() else { return };
        // The node whose table counts: the one that served, or rank 0 where neither did.
        let gives = self.remembered.served || (!partner.served && self.rank == crate::Rank::Zero);
        let in_step = if gives {
            link.updates_done_sent && (!partner.served || link.updates_done_heard)
        } else {
            link.updates_done_heard && partner.state == PairState::Normal
        };
        let waits = !matches!(self.state, State::Normal(_)) && self.entering.is_none();
        if waits && in_step {
            self.remembered.partner_store = Some(partner.store);
            let why = format!("connected to {}, and both have all leases", self.seen.name);
            self.enter(now, PairState::Normal, why);
        }
    }

    /// Tells the partner where else this node can be reached.
    pub(super) fn tell_addresses(&mut self) {
        if self.is_connected() {
            let body = Body::Host(Host::of(&self.addresses));
            self.out.push_back(PairOutput::Send(body.into_frame()));
        }
    }

    /// Tells the partner the state in effect, and at once what follows from it: a partner that
    /// knows the state but not that this node serves would go on answering everybody.
    pub(super) fn announce(&mut self, now: Time) {
        if self.is_connected() {
            let state = pair_state_number(self.state.name());
            let body = Body::State(Announce { state, reason: self.reason.clone() });
            self.out.push_back(PairOutput::Send(body.into_frame()));
            self.contact(now);
        }
    }

    /// Tells the partner that this node is there, and how many addresses it has left.
    pub(super) fn contact(&mut self, now: Time) {
        let counts: Vec<_> = self
            .pools
            .iter()
            .map(|(network, pools)| (network.clone(), self.table.count_free(now, self.rank, pools)))
            .collect();
        self.own_free = counts.iter().cloned().collect();
        let contact = Contact {
            serving: self.is_serving(),
            free: counts
                .into_iter()
                .map(|(network, free)| FreeCount { network: network.to_string(), free })
                .collect(),
            clock_ms: now.as_millis(),
        };
        if let Some(link) = &mut self.link {
            link.next_contact = now + self.config.times.contact;
            // Before it knows who listens, a node says its HELLO and no more.
            if link.partner.is_some() {
                self.out.push_back(PairOutput::Send(Body::Contact(contact).into_frame()));
            }
        }
    }
}

/// Why a node cannot work with a partner in `state`.
fn objection_to_state(name: &str, state: PairState) -> Option<String> {
    match state {
        PairState::Standalone
        | PairState::Startup
        | PairState::Normal
        | PairState::CommunicationsInterrupted => None,
        PairState::PartnerDown
        | PairState::Recover
        | PairState::RecoverWait
        | PairState::RecoverDone
        | PairState::Conflict
        | PairState::Shutdown => Some(format!(
            "{name} is in the state {state}, which this version does not take part in: update \
             this node"
        )),
    }
}
