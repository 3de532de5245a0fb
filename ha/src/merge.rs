//! The merge of a binding the partner told with the one in the table (pair protocol, section 7).
//!
//! Both nodes run the same table on the same two bindings, mirrored, and must come to the same
//! end without asking each other again; a rule that looks at a clock therefore leaves a version
//! of its own behind, so that a disagreement is seen and settled in the next round.

#[cfg(test)]
mod tests;

use std::time::Duration;

use lanward_dhcp::{BindingState, Client, ClientKey, Time};

use crate::Rank;
use crate::binding::{Binding, Knowledge, owner};

/// What became of a binding the partner told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Merged {
    /// Nothing new; it is confirmed once what the table holds is durable.
    Known,
    /// The partner knows better: this is the record now.
    Taken(Binding),
    /// This node knows better, and tells the partner.
    Kept,
    /// Both had something new: this is the record now, and the partner is told of it.
    Joined {
        /// The record.
        binding: Binding,
        /// Whether the partner's promise to its client is part of it.
        accepted: bool,
        /// Whether two clients held the address.
        collision: bool,
    },
}

/// What the merge needs to know besides the two bindings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    pub(crate) now: Time,
    pub(crate) guard: Duration,
    /// This node's rank.
    pub(crate) rank: Rank,
    /// The partner was recovering from a lost disk when it sent this.
    pub(crate) partner_recovers: bool,
    /// This node is recovering from a lost disk.
    pub(crate) recovers: bool,
}

/// Merges what the partner told (`theirs`, on this node's clock) with what the table holds.
pub(crate) fn merge(mine: &Binding, theirs: Binding, around: Circumstances) -> Merged {
    match theirs.versions.against(mine.versions) {
        Knowledge::Equal if is_same(mine, &theirs) => same_version(mine, &theirs, around.rank),
        Knowledge::Newer => Merged::Taken(taken(mine, theirs)),
        Knowledge::Older => Merged::Kept,
        // One version with two meanings is possible only after a store was set back to an
        // older copy; it is settled like any other disagreement.
        Knowledge::Equal | Knowledge::Concurrent => concurrent(mine, theirs, around),
    }
}

/// Whether one version means one thing at both. An ended lease becomes free at the receiver
/// first and at its sender when it is confirmed, under one version.
fn is_same(mine: &Binding, theirs: &Binding) -> bool {
    let folded = |state| match state {
        BindingState::Expired | BindingState::Released => BindingState::Free,
        other => other,
    };
    let same_client = key(&mine.client) == key(&theirs.client);
    folded(mine.state) == folded(theirs.state)
        && (same_client || folded(mine.state) != BindingState::Active)
}

fn key(client: &Option<Client>) -> Option<&ClientKey> {
    client.as_ref().map(|client| &client.key)
}

fn same_version(mine: &Binding, theirs: &Binding, rank: Rank) -> Merged {
    let mut binding = mine.clone();
    binding.dirty = false;
    match mine.state {
        BindingState::Expired | BindingState::Released => free(&mut binding),
        BindingState::Active => {
            binding.recv_potential = mine.recv_potential.max(theirs.recv_potential);
            // The same two changes, merged in another order, may have kept another expiry.
            binding.client_expiry = mine.client_expiry.max(theirs.client_expiry);
            binding.granted = mine.granted.joined(theirs.granted);
            binding.dirty = mine.dirty && mine.client_expiry > theirs.client_expiry;
        }
        BindingState::Free | BindingState::Declined => {}
    }
    binding.hold_until = mine.hold_until.max(theirs.hold_until);
    binding.partner_knows = binding.state != BindingState::Free;
    // Whose a free address was last may have come out differently, by what was heard first: rank 0
    // says so, and is believed.
    if key(&mine.client) != key(&theirs.client) {
        match rank {
            Rank::Zero => binding.dirty = true,
            Rank::One => {
                binding.client.clone_from(&theirs.client);
                binding.granted = theirs.granted;
            }
        }
    }
    if binding == *mine { Merged::Known } else { Merged::Taken(binding) }
}

/// The partner's binding as the record of this node. Taking an ended lease is the point of
/// agreement: from here on both call the address free (rule R3).
fn taken(mine: &Binding, theirs: Binding) -> Binding {
    let same_client = theirs.state == BindingState::Active
        && theirs.client.as_ref().is_some_and(|client| mine.is_of(&client.key));
    let mut binding = Binding {
        hold_until: mine.hold_until.max(theirs.hold_until),
        partner_knows: theirs.state != BindingState::Free,
        dirty: false,
        written: mine.written,
        ..theirs
    };
    if binding.withdrawing {
        // Taking it is agreeing to it.
        withdraw(&mut binding);
    }
    if same_client && mine.state != BindingState::Free {
        // The partner may rely on this node's knowing of what it told, even where this node had
        // ended the lease and the partner did not agree.
        binding.sent_potential = mine.sent_potential;
    }
    if same_client && mine.state == BindingState::Active {
        // What it told before counts no more: where it tells less now, it has given the client
        // another lease since, and knows nothing of the first.
        binding.acked_potential = mine.acked_potential;
    }
    if matches!(binding.state, BindingState::Expired | BindingState::Released) {
        free(&mut binding);
    }
    binding
}

/// Ends a pledge for good.
pub(crate) fn withdraw(binding: &mut Binding) {
    binding.pledge = 0;
    binding.withdrawing = false;
}

/// Ends a lease for good.
pub(crate) fn free(binding: &mut Binding) {
    binding.state = BindingState::Free;
    binding.sent_potential = Time::ZERO;
    binding.acked_potential = Time::ZERO;
    binding.recv_potential = Time::ZERO;
    binding.partner_knows = false;
}

fn concurrent(mine: &Binding, theirs: Binding, around: Circumstances) -> Merged {
    let versions = mine.versions.joined(theirs.versions);
    let hold_until = mine.hold_until.max(theirs.hold_until);
    // The owner's word on its pledge counts.
    let (pledge, withdrawing) = match (owner(mine.addr) == around.rank, theirs.withdrawing) {
        (true, _) => (mine.pledge, mine.withdrawing),
        (false, true) => (0, false),
        (false, false) => (theirs.pledge, false),
    };
    let active = |binding: &Binding| binding.state == BindingState::Active;
    // What a node says while it recovers is what an old copy of its store held: no promise that
    // anybody relies on.
    let recovering = around.recovers != around.partner_recovers;
    let (accepted, disagreed, mut binding) = match (active(mine), active(&theirs)) {
        (true, true) if is_same(mine, &theirs) => (true, false, both_prolonged(mine, theirs)),
        (true, true) => {
            let mine_stays = stays(mine, &theirs, around);
            let frozen = mine.client_expiry.max(theirs.client_expiry) + around.guard;
            let mut winner = if mine_stays { mine.clone() } else { taken(mine, theirs) };
            winner.hold_until = hold_until.max(frozen);
            (!mine_stays, true, winner)
        }
        // What was released by hand still is its client's; an old copy knows nothing of that.
        (true, false) if recovering && around.recovers && keeps(&theirs, &mine.client, around) => {
            (true, false, taken(mine, theirs))
        }
        (false, true)
            if recovering && around.partner_recovers && keeps(mine, &theirs.client, around) =>
        {
            (false, false, mine.clone())
        }
        // Whoever ended it knew of all that was promised by it; the other heard of the one and not
        // of the other yet.
        (true, false) if theirs.ends(mine) => {
            (true, false, both_idle(&ended(mine), theirs, around.rank))
        }
        (false, true) if mine.ends(&theirs) => {
            (false, false, both_idle(mine, ended(&theirs), around.rank))
        }
        // Otherwise a running lease beats any idea that the address is idle: it only delays re-use.
        (true, false) => (false, false, mine.clone()),
        (false, true) => (true, false, taken(mine, theirs)),
        (false, false) => (true, false, both_idle(mine, theirs, around.rank)),
    };
    binding.versions = if disagreed { versions.bumped(around.rank) } else { versions };
    binding.hold_until = binding.hold_until.max(hold_until);
    (binding.pledge, binding.withdrawing) = (pledge, withdrawing);
    binding.dirty = true;
    binding.partner_knows = true;
    binding.written = mine.written;
    Merged::Joined { binding, accepted, collision: disagreed && !recovering }
}

/// Both prolonged the same client's lease: the longer of each.
fn both_prolonged(mine: &Binding, theirs: Binding) -> Binding {
    Binding {
        cltt: mine.cltt.max(theirs.cltt),
        client_expiry: mine.client_expiry.max(theirs.client_expiry),
        sent_potential: mine.sent_potential.max(theirs.recv_potential),
        acked_potential: mine.acked_potential,
        recv_potential: mine.recv_potential.max(theirs.recv_potential),
        granted: mine.granted.joined(theirs.granted),
        ..if mine.cltt >= theirs.cltt { mine.clone() } else { theirs }
    }
}

/// Whether this node's client keeps the address that both nodes leased, to different clients.
fn stays(mine: &Binding, theirs: &Binding, around: Circumstances) -> bool {
    let over = |binding: &Binding| binding.client_expiry <= around.now;
    match (around.recovers, around.partner_recovers) {
        (true, false) => return false,
        (false, true) => return true,
        _ => {}
    }
    match (over(mine), over(theirs)) {
        (true, false) => false,
        (false, true) => true,
        _ => around.rank == Rank::Zero,
    }
}

/// Whether an ended lease is held for its client, who was told of a time that is not over, and who
/// is not `other`.
fn keeps(ended: &Binding, other: &Option<Client>, around: Circumstances) -> bool {
    let held = around.now < ended.hold_until.min(ended.client_expiry);
    held && ended.client.is_some() && key(&ended.client) != key(other)
}

/// A lease whose end is known, as it would be here had this node ended it.
fn ended(lease: &Binding) -> Binding {
    Binding { state: BindingState::Released, ..lease.clone() }
}

/// Neither runs: out of service if either says so, else free by agreement.
fn both_idle(mine: &Binding, theirs: Binding, rank: Rank) -> Binding {
    let declined = |binding: &Binding| binding.state == BindingState::Declined;
    let until = [mine, &theirs]
        .into_iter()
        .filter(|binding| declined(binding))
        .map(|binding| binding.client_expiry)
        .max();
    let mut binding = match (declined(mine), declined(&theirs)) {
        (true, false) => mine.clone(),
        (false, true) => theirs,
        _ if rank == Rank::Zero => mine.clone(),
        _ => theirs,
    };
    match until {
        Some(until) => binding.client_expiry = until,
        None => free(&mut binding),
    }
    binding
}
