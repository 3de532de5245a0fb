//! What people tell a node: the other one is off, stop in order, go on, the other one is gone.

use std::time::Duration;

use lanward_dhcp::Time;

use super::states::{PartnerDown, State};
use super::{Fault, Pair, PairOutput, PartnerSeen, rank_of};
use crate::table::Table;
use crate::wire::{Body, Empty};
use crate::{EventKind, PairConfig, PairState, Rank};

/// Why this node does not take the partner for switched off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartnerOffRefusal {
    /// There is no partner.
    #[error("this host has no partner")]
    NoPartner,
    /// It is there.
    #[error("{0} is connected: it is not off")]
    Connected(String),
    /// It could not recover afterwards.
    #[error("{0} runs a version that cannot come back from this: update it first, or remove it")]
    TooOld(String),
    /// The state does not allow it.
    #[error("this host is in the state {0}: nothing would change, or it must learn first")]
    NotNow(PairState),
}

/// An orderly stop on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stopping {
    phase: Phase,
    /// When this phase ends by itself.
    until: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The partner is asked to answer everybody; until it says that it does, this node goes on.
    HandingOver,
    /// The partner answers whoever asks from now on; a client that this node has begun to answer,
    /// by a conflict probe or an offer, knows of no other and is answered here.
    Leaving,
    /// No more answers; what is under way is brought to its end.
    Draining,
    /// The same without a partner to hand over to.
    Finishing,
    /// The partner is told, and has to write it down.
    Telling,
    /// Over.
    Ended,
}

impl Pair {
    /// Somebody (`by`) says that the partner is off. The caller has seen that none of its
    /// addresses answers: were it serving, two clients could get one address.
    pub fn partner_is_off(&mut self, now: Time, by: &str) -> Result<(), PartnerOffRefusal> {
        let name = self.seen.name.clone();
        if self.config.partner.is_none() {
            return Err(PartnerOffRefusal::NoPartner);
        }
        if self.link.is_some() && self.fault != Some(Fault::FalsePartnerDown) {
            return Err(PartnerOffRefusal::Connected(name));
        }
        if self.remembered.partner_protocol < 2 {
            return Err(PartnerOffRefusal::TooOld(name));
        }
        let why = format!("{by} said that {name} is off");
        let state = self.state.name();
        if self.entering.is_some() || self.unfit.is_some() || self.stopping.is_some() {
            return Err(PartnerOffRefusal::NotNow(state));
        }
        match self.state {
            State::Interrupted(_) => self.enter_partner_down(now, now, why.clone()),
            State::Recover(_) if self.knows_something() => self.go_solo(now, &why),
            _ => return Err(PartnerOffRefusal::NotNow(state)),
        }
        self.event(now, EventKind::PartnerOff, &why);
        self.advance(now);
        Ok(())
    }

    /// Stops in order: the partner takes over before this node falls silent.
    /// [`PairOutput::Stopped`] tells the end, within a few seconds.
    pub fn stop(&mut self, now: Time, why: &str) {
        if self.stopping.is_some() {
            return;
        }
        self.event(now, EventKind::StopAsked, why);
        let able = matches!(self.state, State::Normal(_) | State::Interrupted(_))
            && self.entering.is_none()
            && self.unfit.is_none()
            && self.partner().is_some_and(|partner| partner.protocol >= 2 && partner.serving);
        if able {
            if let Some(partner) = self.link.as_mut().and_then(|link| link.partner.as_mut()) {
                // What it said of an earlier time does not count.
                partner.covering = false;
            }
            self.stopping = Some(Stopping {
                phase: Phase::HandingOver,
                until: now + self.config.times.stop / 4,
            });
            self.contact(now);
        } else {
            self.finish_alone(now);
        }
        self.advance(now);
    }

    /// Goes on after an orderly stop. Out of SHUTDOWN, the two introduce themselves anew: the
    /// partner may be about to act on that state, and what it last said of itself may be older.
    pub fn resume(&mut self, now: Time) {
        if self.stopping.take().is_none() {
            return;
        }
        self.event(now, EventKind::StopAsked, "this host goes on serving");
        if self.heading() == PairState::Shutdown {
            let why = format!("{} served meanwhile; this host learns what changed", self.seen.name);
            self.enter(now, PairState::Recover, why.clone());
            self.hang_up(now, &why);
        }
        if self.link.is_some() {
            self.contact(now);
        }
        self.advance(now);
    }

    /// Tells the partner that it is out of the pair: it stops in order, after which this node is
    /// in PARTNER-DOWN and may be [made a lone one](Pair::handle_unpaired).
    pub fn remove_partner(&mut self, now: Time, by: &str) -> bool {
        if self.partner().is_none_or(|partner| partner.protocol < 2) {
            return false;
        }
        let why = format!("{by} takes {} out of the pair", self.seen.name);
        self.event(now, EventKind::Unpaired, &why);
        self.out.push_back(PairOutput::Send(Body::Removed(Empty {}).into_frame()));
        true
    }

    /// The partner said that this node is out of the pair.
    pub(super) fn removed(&mut self, now: Time) {
        let why = format!("{} took this host out of the pair", self.seen.name);
        self.event(now, EventKind::Unpaired, &why);
        self.out.push_back(PairOutput::Removed);
        self.stop(now, &why);
    }

    /// This node has no partner any more. What the partner may have promised unseen is held back;
    /// nothing is after it stopped in order.
    pub fn handle_unpaired(&mut self, now: Time, config: PairConfig) {
        let since = match &self.state {
            State::Standalone(_) => Some(Time::ZERO),
            State::PartnerDown(PartnerDown { since }) => Some(*since),
            _ => None,
        };
        let why = format!("{} was removed from the pair", self.seen.name);
        let stops = self.is_stopping();
        self.lose_link(now, &why);
        self.event(now, EventKind::Unpaired, &why);
        self.hold_for_parted(now, since, Some(self.rank));
        self.forget_pair();
        self.config = config;
        self.rank = rank_of(&self.config);
        self.rebuild_table();
        self.seen = PartnerSeen::default();
        if !stops {
            self.stopping = None;
        }
        self.enter(now, PairState::Standalone, why);
        self.advance(now);
    }

    /// Holds back what a partner that is gone for good may have promised unseen up to `since`
    /// (absent: up to now; zero: nothing). `rank` is the one this node had in that pair, if it is
    /// known.
    pub(super) fn hold_for_parted(&mut self, now: Time, since: Option<Time>, rank: Option<Rank>) {
        if since == Some(Time::ZERO) {
            return;
        }
        self.hold_after_loss(now, rank);
        let until = since.unwrap_or(now) + self.longest_lead() + self.config.times.guard;
        for half in [Rank::Zero, Rank::One].into_iter().filter(|half| Some(*half) != rank) {
            let held = &mut self.remembered.halves_held[half.index()];
            *held = (*held).max(until);
        }
    }

    /// What was so of the pair counts no more.
    pub(super) fn forget_pair(&mut self) {
        self.remembered.rank = None;
        self.remembered.cluster = None;
        self.remembered.agreed_mclt = Duration::ZERO;
        self.remembered.partner_store = None;
        (self.remembered.meetings, self.remembered.met) = (0, 0);
        self.remembered.partner_lost = false;
        self.remembered.disk_lost = false;
        self.remembered.partner_protocol = 0;
    }

    /// The same bindings under another rank, or other times.
    pub(super) fn rebuild_table(&mut self) {
        let mut table = Table::new(self.rank, self.config.times.guard);
        self.table.iter().cloned().for_each(|binding| table.put(binding));
        self.table = table;
    }

    /// Whether this node keeps silent because it stops, or has stopped.
    pub(super) fn is_silenced(&self) -> bool {
        let answers = [Phase::HandingOver, Phase::Leaving];
        self.stopping.is_some_and(|stopping| !answers.contains(&stopping.phase))
    }

    /// Whether only those are answered who have been told of this node already.
    pub(super) fn is_leaving(&self) -> bool {
        self.stopping.is_some_and(|stopping| stopping.phase == Phase::Leaving)
    }

    /// Whether answers that are under way are still brought to their end.
    pub(super) fn is_draining(&self) -> bool {
        let drains = [Phase::Draining, Phase::Finishing];
        self.stopping.is_some_and(|stopping| drains.contains(&stopping.phase))
    }

    /// When a stop wants to be woken.
    pub(super) fn stop_wake(&self) -> Option<(Time, &'static str)> {
        self.stopping
            .filter(|stopping| stopping.phase != Phase::Ended)
            .map(|stopping| (stopping.until, "a phase of an orderly stop ends"))
    }

    /// Takes the next step of an orderly stop.
    pub(super) fn go_on_stopping(&mut self, now: Time) {
        let Some(stopping) = self.stopping else { return };
        let phase_lasts = self.config.times.stop / 4;
        let late = stopping.until <= now;
        let to = |phase, lasts: Duration| Some(Stopping { phase, until: now + lasts });
        match stopping.phase {
            Phase::HandingOver => {
                if self.partner().is_some_and(|partner| partner.covering) {
                    self.stopping = to(Phase::Leaving, self.config.times.stop / 5);
                } else if late {
                    self.stopping = to(Phase::Draining, phase_lasts);
                    self.go_on_stopping(now);
                }
            }
            Phase::Leaving => {
                if late {
                    self.stopping = to(Phase::Draining, phase_lasts);
                    self.go_on_stopping(now);
                }
            }
            Phase::Draining => {
                let quiet = self.proposals.is_empty() && self.is_told();
                if quiet && self.entering.is_none() {
                    self.stopping = to(Phase::Telling, phase_lasts);
                    let why = format!("stopped in order; {} serves everybody", self.seen.name);
                    self.enter(now, PairState::Shutdown, why);
                } else if late {
                    self.end_stop(false);
                }
            }
            Phase::Finishing => {
                if late || self.proposals.is_empty() {
                    self.end_stop(false);
                }
            }
            Phase::Telling => {
                let taken_over =
                    self.partner().is_some_and(|partner| partner.state == PairState::PartnerDown);
                if taken_over && matches!(self.state, State::Shutdown(_)) {
                    self.end_stop(true);
                } else if late {
                    self.end_stop(false);
                }
            }
            Phase::Ended => {}
        }
    }

    /// The partner is gone: nobody is there to hand over to.
    pub(super) fn stop_without_partner(&mut self, now: Time) {
        if self.is_stopping() {
            self.finish_alone(now);
        }
    }

    /// Whether a stop is under way.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.is_some_and(|stopping| stopping.phase != Phase::Ended)
    }

    fn finish_alone(&mut self, now: Time) {
        let until = now + self.config.times.stop / 4;
        self.stopping = Some(Stopping { phase: Phase::Finishing, until });
        self.go_on_stopping(now);
    }

    fn end_stop(&mut self, handed_over: bool) {
        self.refuse_all(lanward_dhcp::Refusal::NotServing);
        self.stopping = Some(Stopping { phase: Phase::Ended, until: Time::ZERO });
        self.out.push_back(PairOutput::Stopped { handed_over });
    }
}
