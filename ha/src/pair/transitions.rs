//! From one state to the next.

use lanward_dhcp::Time;

use super::states::{Interrupted, Normal, Standalone, State};
use super::{Entering, Fault, Pair, PairOutput};
use crate::record::STATE_KEY;
use crate::{EventKind, PairState};

impl Pair {
    /// Writes down that `to` is to be entered; it takes effect when it is durable.
    pub(super) fn enter(&mut self, now: Time, to: PairState, reason: String) {
        self.remembered.state = to;
        self.remembered.since = now;
        self.remembered.reason.clone_from(&reason);
        self.remembered.served = true;
        let seq = self.journal.write(STATE_KEY.to_owned(), Some(self.remembered.encode()));
        self.entering = Some(Entering { seq, to, reason });
    }

    /// The state that was written down is in effect now.
    pub(super) fn take_effect(&mut self, now: Time) {
        let Some(Entering { to, reason, .. }) = self.entering.take() else { return };
        self.state = match to {
            PairState::Standalone => State::Standalone(Standalone),
            PairState::Normal => State::Normal(Normal),
            // Everything else this version can be asked to enter is the cautious one.
            _ => State::Interrupted(Interrupted),
        };
        self.since = now;
        self.reason.clone_from(&reason);
        self.event(now, EventKind::Entered(self.state.name()), &reason);
        self.announce(now);
    }

    pub(super) fn lose_link(&mut self, now: Time, reason: &str) {
        let Some(link) = self.link.take() else { return };
        self.event(now, EventKind::LinkDown, reason);
        if link.partner.is_some() {
            self.out.push_back(PairOutput::SettingsLinkDown);
        }
        if link.is_accepted() {
            for ticket in self.proposals.tickets() {
                self.forgo(now, ticket);
            }
        }
        let in_step = matches!(self.state, State::Normal(_))
            || self.entering.as_ref().is_some_and(|entering| entering.to == PairState::Normal);
        if in_step {
            let why = format!("the link to {} is lost: {reason}", self.seen.name);
            self.enter(now, PairState::CommunicationsInterrupted, why);
        }
    }

    /// Does what the disk, the partner or time has made possible.
    pub(super) fn advance(&mut self, now: Time) {
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
        self.get_in_step(now);
    }
}
