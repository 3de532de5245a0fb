//! How two nodes begin to talk: introduction, what speaks against NORMAL, what is to be told.

use std::time::Duration;

use lanward_dhcp::Time;

use super::link::PartnerFacts;
use super::{Pair, PairOutput};
use crate::wire::{
    Announce, Body, Contact, FreeCount, Hello, Host, PROTOCOL, PROTOCOL_OLDEST, WireError, agree,
    id_from, pair_state_number,
};
use crate::{ClusterId, EventKind, PairState, StoreId};

impl Pair {
    /// What this node says of itself, first on every link.
    fn hello(&self, now: Time, cluster: ClusterId) -> Body {
        let remembered = &self.remembered;
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let [even_held, odd_held] = remembered.halves_held.map(|until| millis(until.since(now)));
        Body::Hello(Hello {
            newest: PROTOCOL,
            oldest: PROTOCOL_OLDEST,
            cluster: cluster.0.to_vec(),
            node: self.config.node.clone(),
            rank: self.rank.index() as u32,
            store: self.store().0.to_vec(),
            state: pair_state_number(self.state.name()),
            served: remembered.served,
            mclt_ms: millis(self.config.times.mclt),
            your_store: remembered.partner_store.map(|id| id.0.to_vec()).unwrap_or_default(),
            incarnation: remembered.incarnation,
            you_lost: remembered.partner_lost,
            resumes: pair_state_number(remembered.state),
            started_ms: self.started.as_millis(),
            even_held_ms: even_held,
            odd_held_ms: odd_held,
            meetings: remembered.meetings,
            met: remembered.met,
        })
    }

    /// Says the HELLO once all it tells is on the disk: the partner acts on it, and nothing may be
    /// different after a crash. A HELLO in a state that is about to be left would count for that
    /// state, too: NORMAL for a meeting that this node never entered.
    pub(super) fn introduce(&mut self, now: Time) {
        let Some(cluster) = self.cluster() else { return };
        let waits = self.link.as_ref().is_some_and(|link| !link.introduced);
        if !waits || !self.is_durable(self.state_written) {
            return;
        }
        let hello = self.hello(now, cluster);
        self.out.push_back(PairOutput::Send(hello.into_frame()));
        let Some(link) = &mut self.link else { return };
        link.introduced = true;
        if let Some(early) = link.early.take() {
            self.heard(now, &early);
        }
    }

    /// The partner said who it is.
    pub(super) fn introduced(&mut self, now: Time, hello: &Hello) -> Result<(), WireError> {
        let cluster = id_from(&hello.cluster)?.map(ClusterId);
        if cluster.is_none() || cluster != self.cluster() {
            let reason = format!("{} is of another pair: join the two anew", hello.node);
            self.hang_up(now, &reason);
            return Ok(());
        }
        let Some(protocol) = agree(hello.oldest, hello.newest) else {
            let reason = format!(
                "{} speaks versions {} to {} of the pair protocol and this node {PROTOCOL_OLDEST} \
                 to {PROTOCOL}: update the older one",
                hello.node, hello.oldest, hello.newest
            );
            self.hang_up(now, &reason);
            return Ok(());
        };
        self.seen.name.clone_from(&hello.node);
        let facts = PartnerFacts::of(hello, protocol)?;
        let state = facts.state;
        let my_store = id_from(&hello.your_store)?.map(StoreId);
        let met_in_vain = hello.met > self.remembered.meetings && my_store == Some(self.store());
        let older_copy = met_in_vain || self.remembered.cluster.is_none() && facts.served;
        // Of two that do not remember the same meetings, the one that remembers fewer is wrong
        // about the other.
        let is_behind = hello.met > self.remembered.meetings;
        let is_ahead = self.remembered.met > hello.meetings;
        let knows_another = my_store.is_some_and(|known| known != self.store());
        let i_lost = !is_ahead && (hello.you_lost || knows_another);
        if is_behind && self.remembered.partner_store.is_some() {
            self.remembered.partner_store = Some(facts.store);
        }
        let refusal = self.objection(hello, &facts, i_lost);
        if self.remembered.partner_protocol != protocol {
            self.remembered.partner_protocol = protocol;
            self.write_state();
        }
        let Some(link) = &mut self.link else { return Ok(()) };
        link.partner = Some(facts);
        link.refusal.clone_from(&refusal);
        self.out.push_back(PairOutput::SettingsLinkUp);
        self.tell_addresses();
        match refusal {
            Some(why) => self.event(now, EventKind::Refused, &why),
            None => {
                if met_in_vain || older_copy && !self.remembered.disk_lost {
                    self.found_rolled_back(now);
                    return Ok(());
                }
                if i_lost && !self.remembered.disk_lost {
                    self.lost_disk(now);
                }
                self.hold_halves(now, hello);
                self.start_resync();
            }
        }
        self.partner_entered(now, state, "it introduced itself");
        Ok(())
    }

    /// The partner knows this node by another store: what it promised from that one is lost.
    fn lost_disk(&mut self, now: Time) {
        let served = self.remembered.served;
        self.forget_own_versions(now, false);
        // Only what was given before this start is unknown, if this start served nobody.
        if !served {
            let beyond = self.longest_lead() + self.config.times.guard;
            self.remembered.wait_until = self.started + beyond;
        }
        if self.state.name().serves() {
            let why = format!("{} knows another store of this host", self.seen.name);
            self.enter(now, PairState::Recover, why);
        }
    }

    /// A host that was removed from the pair may have granted addresses neither node knows of.
    fn hold_halves(&mut self, now: Time, hello: &Hello) {
        let told = [hello.even_held_ms, hello.odd_held_ms].map(Duration::from_millis);
        let before = self.remembered.halves_held;
        for (held, told) in self.remembered.halves_held.iter_mut().zip(told) {
            // What travelled back and forth does not grow by the way.
            if told > held.since(now) + self.config.times.guard / 2 {
                *held = now + told;
            }
        }
        if self.remembered.halves_held != before {
            self.write_state();
        }
    }

    /// Why the two may not get in step, and what to do about it; `None` where nothing speaks
    /// against it.
    fn objection(&self, hello: &Hello, partner: &PartnerFacts, i_lost: bool) -> Option<String> {
        let name = &hello.node;
        let mclt = u64::try_from(self.config.times.mclt.as_millis()).unwrap_or(u64::MAX);
        let remembered = &self.remembered;
        let partner_lost = self.has_another_store(partner);
        let standalone = PairState::Standalone;
        let set_back = !partner_lost && remembered.met > partner.meetings && partner.protocol >= 2;
        if set_back {
            Some(format!(
                "{name} has an older copy of its store: it forgets what it said and learns anew"
            ))
        } else if partner.rank == self.rank {
            Some(format!("{name} has the same rank as this node: join the two anew"))
        } else if hello.mclt_ms != mclt {
            Some(format!(
                "{name} has a maximum client lead time of {} s and this node {} s: make them equal",
                hello.mclt_ms / 1000,
                mclt / 1000
            ))
        } else if remembered.served
            && partner.served
            && (self.state.name() == standalone || partner.state == standalone)
            && !self.state.name().recovers()
            && !partner.stance().recovers()
        {
            Some(format!(
                "{name} and this node have both served alone: remove one, and join it as new"
            ))
        } else if partner.protocol < 2
            && (partner_lost || i_lost || remembered.disk_lost || !is_of_version_one(self))
        {
            Some(format!(
                "{name} runs an older version, which cannot recover from what happened: update it; \
                 until then this host goes on alone"
            ))
        } else {
            None
        }
    }

    /// Queues what the partner lacks: all, where it is not the process and the store this node
    /// was last in step with, because its store may have been set back; else what is dirty.
    fn start_resync(&mut self) {
        let known = self.remembered.partner_life;
        let everything =
            self.link.as_ref().and_then(|link| link.partner.as_ref()).is_some_and(|partner| {
                let lost = self.has_another_store(partner) || self.remembered.partner_lost;
                !partner.served || lost || partner.life != known
            });
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
        let Some(link) = &mut self.link else { return };
        let Some(partner) = &mut link.partner else { return };
        partner.state = state;
        partner.served |= state.serves();
        let both = state == PairState::Normal && self.remembered.state == PairState::Normal;
        let counts = partner.protocol >= 2;
        if both && counts && self.remembered.met != self.remembered.meetings {
            self.remembered.met = self.remembered.meetings;
            self.write_state();
        }
        if self.seen.state.replace(state) != Some(state) {
            self.event(now, EventKind::PartnerEntered(state), reason);
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
            serving: self.is_serving() && self.stopping.is_none(),
            free: counts
                .into_iter()
                .map(|(network, free)| FreeCount { network: network.to_string(), free })
                .collect(),
            clock_ms: now.as_millis(),
            covering: self.is_serving() && self.partner().is_some_and(|partner| !partner.serving),
        };
        self.journal.hurry();
        if let Some(link) = &mut self.link {
            link.next_contact = now + self.config.times.contact;
            // Before it knows who listens, a node says its HELLO and no more.
            if link.partner.is_some() {
                self.out.push_back(PairOutput::Send(Body::Contact(contact).into_frame()));
            }
        }
    }
}

/// Whether the first version of the protocol knows the state this node is in, or comes from.
fn is_of_version_one(pair: &Pair) -> bool {
    [pair.state.name(), pair.remembered.state].into_iter().all(|state| {
        matches!(
            state,
            PairState::Standalone
                | PairState::Startup
                | PairState::Normal
                | PairState::CommunicationsInterrupted
        )
    })
}
