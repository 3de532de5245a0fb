//! What a node may still say when its store has failed.
//!
//! Nothing it says can be kept any more, so nothing new is promised: no address for a new client,
//! no end of a lease, no change the partner would have to hear of. But where nobody else serves, a
//! lease that runs may be said again.
//!
//! **A node of a pair repeats what it told the client itself since it started**, for the time that
//! is left of it, to a client that asks for it by itself: one that begins anew, with a DISCOVER, may
//! have given the lease back to the partner. Not what its disk says: a record the partner told may name an end that the
//! partner hoped for and did not promise, and a clock that stood still makes of a repetition a new
//! promise.
//!
//! **A lone node prolongs a running lease by no more than [`AT_A_TIME`], and every start of a lone
//! node lets no lease it finds running end before that much has passed.** Nobody but its own next
//! start could break its word. Whatever the life before promised unsaved is over by then, however
//! often the node starts in between and whether or not any of its disks worked. So a house whose
//! only host has a full or a dead disk keeps its addresses, an hour at a time, until somebody looks.

use std::net::Ipv4Addr;
use std::time::Duration;

use lanward_dhcp::{BindingState, Change, ClientKey, Outcome, Refusal, Ticket, Time};

use super::{Pair, PairOutput};
use crate::{Binding, Versions};

/// How far beyond now a lone node prolongs a lease that it cannot save. Not the household's MCLT:
/// the next start must know it before it knows the household's settings.
pub(super) const AT_A_TIME: Duration = Duration::from_secs(3600);

/// What this node told the client of an address: until when it is the client's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    /// The version of the binding then. Another one is not what was told.
    versions: Versions,
    until: Time,
}

impl Pair {
    /// A client is told that `addr` is its own.
    pub(super) fn note_told(&mut self, addr: Ipv4Addr, until: Time) {
        let versions = self.table.get_or_untouched(addr).versions;
        self.told.insert(addr, Told { versions, until });
    }

    /// Whether running leases are said again from memory: the store has failed, and no partner
    /// serves in this node's place.
    pub(super) fn serves_unsaved(&self) -> bool {
        let next_serves = self.entering.as_ref().is_none_or(|entering| entering.to.serves());
        let covered = self.partner().is_some_and(|partner| partner.serving);
        self.unfit.is_some()
            && self.state.name().serves()
            && next_serves
            && !covered
            && !self.is_silenced()
    }

    /// Whether a client that begins anew may have given its lease back to a partner that serves.
    pub(super) fn may_be_given_back_elsewhere(&self) -> bool {
        !self.is_alone() && !self.is_partner_down()
    }

    /// The lease `client` may be told of `addr` although it cannot be saved.
    pub(super) fn unsaved_lease(
        &self,
        now: Time,
        addr: Ipv4Addr,
        client: &ClientKey,
        desired: Duration,
    ) -> Option<Duration> {
        let binding = self.table.get(addr).filter(|binding| binding.is_leased_to(client))?;
        let may = if self.is_alone() {
            binding.client_expiry.since(now).max(AT_A_TIME)
        } else {
            let told = self.told.get(&addr).filter(|told| told.versions == binding.versions)?;
            told.until.since(now)
        };
        let lease = Duration::from_secs(desired.min(may).as_secs());
        let began = binding.client_expiry > Time::ZERO;
        (began && self.serves_unsaved() && !lease.is_zero()).then_some(lease)
    }

    /// A change proposed to a node that can save none.
    pub(super) fn propose_unsaved(&mut self, now: Time, change: Change) -> Ticket {
        let (Change::Grant { addr, client, desired } | Change::Adopt { addr, client, desired }) =
            change
        else {
            return self.refused(Refusal::NotDurable);
        };
        let Some(lease) = self.unsaved_lease(now, addr, &client.key, desired) else {
            return self.refused(Refusal::NotDurable);
        };
        if self.is_alone() {
            let binding = self.table.get_or_untouched(addr);
            let client_expiry = binding.client_expiry.max(now + lease);
            self.table.put(Binding { cltt: now, client_expiry, ..binding });
        }
        let ticket = self.proposals.ticket();
        self.out.push_back(PairOutput::Outcome { ticket, outcome: Outcome::Committed { lease } });
        ticket
    }

    /// The store failed under these proposals: the table goes back to what each client was
    /// promised before. A lease that had not begun has no time.
    pub(super) fn take_back_unsaved(&mut self) {
        for ticket in self.proposals.tickets().into_iter().rev() {
            let Some(proposal) = self.proposals.get(ticket).filter(|it| !it.durable) else {
                continue;
            };
            let Some(grant) = &proposal.grant else { continue };
            let binding = self.table.get_or_untouched(proposal.addr);
            if binding.is_leased_to(&grant.client) {
                let client_expiry = grant.promised;
                self.table.put(Binding { client_expiry, ..binding });
            }
        }
    }

    /// A lone node begins: its life before may have prolonged what runs without saving it. Written
    /// down with its first state, so that a node that is a lone one no more knows it too.
    pub(super) fn keep_what_was_unsaved(&mut self, now: Time) {
        let until = now + AT_A_TIME;
        let ends_sooner = |binding: &&Binding| {
            binding.state == BindingState::Active && binding.client_expiry < until
        };
        let kept: Vec<Binding> = self.table.iter().filter(ends_sooner).cloned().collect();
        for binding in kept {
            self.put(Binding { client_expiry: until, ..binding });
        }
    }
}
