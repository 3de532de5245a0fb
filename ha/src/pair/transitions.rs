//! From one state to the next: how a state is entered, and what each does as time, the disk and
//! the partner allow.

use std::time::Duration;

use lanward_dhcp::Time;

use super::states::{
    Conflict, Interrupted, Normal, PartnerDown, Recover, RecoverDone, RecoverWait, Shutdown,
    Standalone, Startup, State,
};
use super::{Entering, Fault, Pair, PairOutput};
use crate::record::STATE_KEY;
use crate::wire::{Body, Empty};
use crate::{EventKind, PairState, Rank};

impl Pair {
    /// Writes down that `to` is to be entered; it takes effect when it is durable.
    pub(super) fn enter(&mut self, now: Time, to: PairState, reason: String) {
        self.remembered.state = to;
        self.remembered.since = now;
        self.remembered.reason.clone_from(&reason);
        self.remembered.served |= to.serves();
        if to != PairState::PartnerDown {
            self.remembered.partner_down_since = None;
        }
        if to == PairState::Normal {
            self.remember_partner();
        }
        let seq = self.write_state();
        self.entering = Some(Entering { seq, to, reason });
    }

    /// Enters PARTNER-DOWN: up to `since` the partner may have promised what this node does not
    /// know.
    pub(super) fn enter_partner_down(&mut self, now: Time, since: Time, reason: String) {
        self.remembered.partner_down_since = Some(since);
        self.enter(now, PairState::PartnerDown, reason);
    }

    /// The state in effect, or the one that is written down and will be.
    pub(super) fn heading(&self) -> PairState {
        self.entering.as_ref().map_or(self.state.name(), |entering| entering.to)
    }

    /// Has what survives a restart written down; gives the batch.
    pub(super) fn write_state(&mut self) -> u64 {
        let value = Some(self.remembered.encode());
        self.state_written = self.journal.write(STATE_KEY.to_owned(), value);
        self.state_written
    }

    /// In NORMAL both know each other, and nothing of what was lost matters any more.
    fn remember_partner(&mut self) {
        let partner = self.link.as_ref().and_then(|link| link.partner.as_ref());
        let Some(partner) = partner else { return };
        self.remembered.agreed_mclt = self.config.times.mclt;
        self.remembered.partner_store = Some(partner.store);
        self.remembered.cluster = self.config.partner.as_ref().map(|partner| partner.cluster);
        self.remembered.partner_life = partner.life;
        self.remembered.meetings = self.remembered.meetings.max(partner.meetings) + 1;
        if partner.protocol < 2 {
            // It does not count, and must not be taken for an older copy when it begins to.
            self.remembered.met = 0;
        } else if partner.state == PairState::Normal {
            self.remembered.met = self.remembered.meetings;
        }
        self.remembered.partner_lost = false;
        self.remembered.disk_lost = false;
        self.remembered.solo = false;
    }

    /// The state that was written down is in effect now.
    pub(super) fn take_effect(&mut self, now: Time) {
        let Some(Entering { to, reason, .. }) = self.entering.take() else { return };
        self.state = self.state_of(to, now);
        self.since = now;
        self.reason.clone_from(&reason);
        self.event(now, EventKind::Entered(to), &reason);
        self.announce(now);
        self.review_pledges();
    }

    fn state_of(&self, name: PairState, now: Time) -> State {
        match name {
            PairState::Standalone => State::Standalone(Standalone),
            PairState::Startup => State::Startup(Startup { until: None }),
            PairState::Normal => State::Normal(Normal),
            PairState::CommunicationsInterrupted => State::Interrupted(Interrupted),
            PairState::PartnerDown => {
                let since = self.remembered.partner_down_since.unwrap_or(now);
                State::PartnerDown(PartnerDown { since })
            }
            PairState::Recover => State::Recover(self.recover(now)),
            PairState::RecoverWait => {
                State::RecoverWait(RecoverWait { until: self.remembered.wait_until })
            }
            PairState::RecoverDone => State::RecoverDone(RecoverDone),
            PairState::Conflict => State::Conflict(Conflict),
            PairState::Shutdown => State::Shutdown(Shutdown),
        }
    }

    /// RECOVER from `now` on. A node that knows nothing cannot serve alone, however long it waits.
    pub(super) fn recover(&self, now: Time) -> Recover {
        Recover { solo_at: self.knows_something().then(|| now + self.config.times.solo_after) }
    }

    /// Whether it has leases of a pair it was in NORMAL with: enough to serve alone by, in need.
    pub(super) fn knows_something(&self) -> bool {
        self.table.len() > 0 && self.remembered.meetings > 0
    }

    /// The longest lead time the partner may have given leases by: the one agreed when the two
    /// were last in NORMAL, or the one in the settings since.
    pub(super) fn longest_lead(&self) -> Duration {
        self.config.times.mclt.max(self.remembered.agreed_mclt)
    }

    pub(super) fn lose_link(&mut self, now: Time, reason: &str) {
        let Some(link) = self.link.take() else { return };
        self.journal.hurry();
        self.event(now, EventKind::LinkDown, reason);
        if link.partner.is_some() {
            self.out.push_back(PairOutput::SettingsLinkDown);
        }
        if link.is_accepted() {
            for ticket in self.proposals.tickets() {
                self.forgo(now, ticket);
            }
        }
        let why = format!("the link to {} is lost: {reason}", self.seen.name);
        match self.heading() {
            PairState::Normal | PairState::Conflict => {
                self.enter(now, PairState::CommunicationsInterrupted, why);
            }
            PairState::RecoverDone => self.enter(now, PairState::Recover, why),
            _ => {}
        }
        if let State::Recover(_) = self.state {
            self.state = State::Recover(self.recover(now));
        }
        self.stop_without_partner(now);
    }

    /// Does what the disk, the partner or time has made possible.
    pub(super) fn advance(&mut self, now: Time) {
        self.clock = self.clock.max(now);
        let fault = self.fault;
        let journal = &self.journal;
        let durable = |seq| journal.is_durable(seq) || fault == Some(Fault::NoDurability);
        for ticket in self.proposals.stored(durable) {
            self.settle_if_ready(now, ticket);
        }
        self.pump(now);
        if let Some(entering) = &self.entering
            && self.is_durable(entering.seq)
        {
            self.take_effect(now);
        }
        self.introduce(now);
        self.meet(now);
        self.get_in_step(now);
        self.go_on_stopping(now);
        self.renew_pledges();
    }

    /// Takes the step the exchange with the partner allows.
    fn get_in_step(&mut self, now: Time) {
        if self.unfit.is_some() {
            return;
        }
        let Some(link) = self.link.as_mut().filter(|link| link.is_accepted()) else { return };
        if link.resync.is_empty() && !link.updates_done_sent {
            link.updates_done_sent = true;
            self.out.push_back(PairOutput::Send(Body::UpdatesDone(Empty {}).into_frame()));
        }
        if self.entering.is_some() || self.is_stopping() {
            return;
        }
        if self.stopping.is_some() {
            // It serves nobody, and must not keep a partner from it that has recovered. In NORMAL
            // it was let in: a meeting counts once.
            if self.state.name().serves() && !matches!(self.state, State::Normal(_)) {
                self.let_partner_in(now);
            }
            return;
        }
        match self.state {
            State::Standalone(_)
            | State::Startup(_)
            | State::Interrupted(_)
            | State::Conflict(_) => self.join_in(now),
            State::PartnerDown(_) => self.let_partner_in(now),
            State::Recover(_) | State::RecoverWait(_) | State::RecoverDone(_) => {
                self.go_on_recovering(now);
            }
            State::Normal(_) | State::Shutdown(_) => {}
        }
    }

    /// A node that serves, or did until a moment ago, enters NORMAL when both are in step.
    fn join_in(&mut self, now: Time) {
        let Some(link) = &self.link else { return };
        let Some(partner) = &link.partner else { return };
        let in_step = match partner.state {
            PairState::RecoverDone => return self.let_partner_in(now),
            // It goes first to where the two can meet.
            PairState::Recover
            | PairState::RecoverWait
            | PairState::Shutdown
            | PairState::PartnerDown => false,
            _ if partner.stance().recovers() || partner.stance() == PairState::Shutdown => false,
            _ => {
                // The node whose table counts: the one that served, or rank 0 where neither did.
                let served = self.remembered.served;
                let gives = served || (!partner.served && self.rank == Rank::Zero);
                if gives {
                    link.updates_done_sent && (!partner.served || link.updates_done_heard)
                } else {
                    link.updates_done_heard && partner.state == PairState::Normal
                }
            }
        };
        let alone = matches!(self.state, State::Standalone(_));
        if in_step && (!alone || self.is_free_of_offers(now)) {
            let why = format!("connected to {}, and both have all leases", self.seen.name);
            self.enter(now, PairState::Normal, why);
        }
    }

    /// A partner that has recovered is let in: this node enters NORMAL first, and says so.
    fn let_partner_in(&mut self, now: Time) {
        let recovered =
            self.partner().is_some_and(|partner| partner.state == PairState::RecoverDone);
        if recovered && self.is_drained() && self.is_free_of_offers(now) {
            let why = format!("{} has recovered, and both have all leases", self.seen.name);
            self.enter(now, PairState::Normal, why);
        }
    }

    fn go_on_recovering(&mut self, now: Time) {
        if !self.is_drained() {
            return;
        }
        let Some(partner) = self.partner() else { return };
        let (partner_state, name) = (partner.state, self.seen.name.clone());
        let waits = self.remembered.disk_lost && now < self.remembered.wait_until;
        match &self.state {
            State::Recover(_) if waits && self.fault != Some(Fault::NoWait) => {
                let why = format!(
                    "all leases were learned from {name}; this host lost its disk, so it waits \
                     for leases it may have given before"
                );
                self.enter(now, PairState::RecoverWait, why);
            }
            State::Recover(_) | State::RecoverWait(_) if self.fault == Some(Fault::NoHandshake) => {
                self.enter(now, PairState::Normal, "all leases were learned".to_owned());
            }
            State::RecoverWait(_) if waits && self.fault != Some(Fault::NoWait) => {}
            State::Recover(_) | State::RecoverWait(_) => {
                let why = format!("all leases were learned from {name}");
                self.enter(now, PairState::RecoverDone, why);
            }
            State::RecoverDone(_) => {
                if partner_state == PairState::Shutdown {
                    // Both were stopped; it told all it had, and stays silent until it asks.
                    let why = format!("{name} was stopped in order and told all it had");
                    self.enter_partner_down(now, Time::ZERO, why);
                    return;
                }
                // Where both had to recover, rank 0 goes first.
                let first = partner_state == PairState::RecoverDone && self.rank == Rank::Zero;
                if first || partner_state == PairState::Normal {
                    let why = format!("connected to {name}, and both have all leases");
                    self.enter(now, PairState::Normal, why);
                }
            }
            _ => {}
        }
    }

    /// Whether each has, on its disk, all that the other had to tell.
    fn is_drained(&self) -> bool {
        let Some(link) = &self.link else { return false };
        let told = link.updates_done_sent && link.updates_done_heard;
        told && (self.is_told() || self.fault == Some(Fault::NotDrained))
    }

    /// The search for the partner, the wait of a lost disk, or the patience of a recovering node
    /// is over.
    pub(super) fn state_timeout(&mut self, now: Time) {
        if self.entering.is_some() || self.unfit.is_some() {
            return;
        }
        let name = self.seen.name.clone();
        match self.state {
            State::Startup(Startup { until: Some(until) }) if until <= now => {
                let why = format!("no answer from {name} after the start");
                match self.remembered.partner_down_since {
                    Some(since) => self.enter_partner_down(now, since, why),
                    None => self.enter(now, PairState::CommunicationsInterrupted, why),
                }
            }
            State::Recover(Recover { solo_at: Some(at) })
                if at <= now && self.link.is_none() && self.stopping.is_none() =>
            {
                self.go_solo(now, &format!("no answer from {name}, which has newer leases"));
            }
            _ => {}
        }
    }

    /// Two faults at once: serving alone, by probing, is better for a house than not serving.
    pub(super) fn go_solo(&mut self, now: Time, why: &str) {
        self.remembered.solo = true;
        let why = format!("{why}: serving alone, every address is probed before it is given");
        self.event(now, EventKind::Solo, &why);
        self.enter(now, PairState::CommunicationsInterrupted, why);
    }

    /// When the state wants to be woken, and why.
    pub(super) fn state_wake(&self) -> Option<(Time, &'static str)> {
        if self.entering.is_some() || self.unfit.is_some() {
            return None;
        }
        match self.state {
            State::Startup(Startup { until }) => {
                until.map(|until| (until, "the search for the partner ends"))
            }
            State::Recover(Recover { solo_at }) if self.link.is_none() => solo_at
                .filter(|_| self.stopping.is_none())
                .map(|at| (at, "the patience of a recovering node ends")),
            State::PartnerDown(_) | State::Standalone(_) if self.partner().is_some() => self
                .offered
                .open_until(self.clock)
                .map(|until| (until, "an offer of the partner's half ends")),
            State::RecoverWait(RecoverWait { until }) if self.clock < until => {
                Some((until, "the wait after a lost disk ends"))
            }
            _ => None,
        }
    }
}
