//! What the world does not do, and why.
//!
//! The pair promises uniqueness for any *single* fault: a crash, a lost disk, a partition of any
//! length, a clock step. Two faults that each alone are harmless can leave no host that knows a
//! lease. Such combinations are left out here, one by one and by name, so that everything else
//! is in:
//!
//! 1. *The disk of one host is lost, set back or damaged while the other does not know what was
//!    on it*: the other never was in step, or is off and taken for off, or is learning itself.
//!    Then nobody knows the leases ([`Exclusions::knows`]).
//! 2. *A host that was said to be off, or whose disk was set back without a trace, begins to
//!    serve without hearing its partner*: its own disk says that it may. Its start waits until
//!    the partner runs and the link is whole, and nothing is done to either until it has heard
//!    that it may not serve, or is in step ([`Exclusions::must_hear`]).
//! 3. *A host's disk is set back without a trace, and its last leases were given while it was cut
//!    off*: the copy does not have them, the partner never heard of them, and nothing says that
//!    anything is missing ([`World::has_told_all`]). A store that went back by itself says so,
//!    and so does one whose partner knows a later version of anything. Likewise a copy that was
//!    made outside NORMAL: it says of the partner what is not so any more.
//! 4. *Somebody says that a host is off which is not.* The shell asks all addresses of the
//!    partner first; the world refuses for it while the partner's host runs and any network is
//!    whole. What that test cannot see happens only in worlds whose plan says so
//!    (`Shape::lies`): there no promise of uniqueness is left, and what is checked is that the two find
//!    together again.
//! 5. *A node that serves alone after two faults* (pair protocol, section 4: "double fault")
//!    promises to do its best: from then on uniqueness is not checked in that world.

use lanward_ha::PairState;

use super::host::{Down, Paired};
use super::world::World;

/// Which further faults would be one too many.
#[derive(Debug, Default)]
pub(super) struct Exclusions {
    /// Whether this host's disk, with the rules, protects every lease the other could have given.
    pub(super) knows: [bool; 2],
    /// This host has to hear its partner before its disk's word may count.
    pub(super) must_hear: [bool; 2],
    /// Whether that was so before somebody tried to say that this host is off.
    pub(super) had_to_hear: bool,
    /// Why uniqueness is not checked any more.
    pub(super) best_effort: Option<&'static str>,
    /// Who was whose partner when a copy of the disk was made.
    pub(super) copied: [Option<Paired>; 2],
}

impl World {
    /// Checks a promise of uniqueness, if one is left.
    pub(super) fn promise(&self, broken: impl FnOnce() -> String) -> Result<(), String> {
        if self.exclude.best_effort.is_some() { Ok(()) } else { Err(broken()) }
    }

    pub(super) fn give_up_uniqueness(&mut self, why: &'static str) {
        if self.exclude.best_effort.is_none() {
            self.note(|| format!("from here on uniqueness is not promised: {why}"));
            self.exclude.best_effort = Some(why);
            self.outcome.best_effort += 1;
        }
    }

    /// Whether the disk of `host` may be lost (1).
    pub(super) fn may_lose_disk(&self, host: usize) -> bool {
        self.exclude.knows[1 - host] && !self.exclude.must_hear.contains(&true)
    }

    /// Whether a host that must hear its partner runs and has not: nothing else is done then (2).
    pub(super) fn is_fragile(&self) -> bool {
        (0..2).any(|host| self.exclude.must_hear[host] && self.hosts[host].node.is_some())
    }

    /// Whether `host` may start now (2).
    pub(super) fn may_start(&self, host: usize) -> bool {
        let partner = &self.hosts[1 - host];
        !self.exclude.must_hear[host] || (partner.runs(self.now) && self.link.is_whole())
    }

    /// Whether the partner has everything a host has (3).
    pub(super) fn has_told_all(&self, host: usize) -> bool {
        let node = self.hosts[host].node.as_ref();
        node.is_some_and(|node| {
            let status = node.pair().status();
            status.state == PairState::Normal && status.unsynced == 0
        })
    }

    /// Whether the shell of the other host finds that no address of `host` answers (4).
    pub(super) fn looks_off(&self, host: usize) -> bool {
        self.hosts[host].down == Some(Down::Power)
            || self.hosts[host].paused_until > self.now
            || self.link.is_cut_everywhere()
    }

    /// A node is in another state.
    pub(super) fn entered(&mut self, host: usize, state: PairState) -> Result<(), String> {
        let was = std::mem::replace(&mut self.hosts[host].state, state);
        let partner = self.hosts[1 - host].state;
        match state {
            PairState::Normal => {
                if partner == PairState::PartnerDown || partner == PairState::Standalone {
                    self.promise(|| {
                        format!(
                            "I9: {} is in NORMAL, and its partner in {partner}",
                            self.hosts[host].name
                        )
                    })?;
                }
                self.exclude.knows[host] = true;
                self.exclude.must_hear[host] = false;
            }
            PairState::Recover | PairState::RecoverWait | PairState::RecoverDone => {
                self.exclude.must_hear[host] = false;
            }
            PairState::PartnerDown | PairState::Standalone => {
                self.exclude.knows[1 - host] = false;
            }
            PairState::Conflict => {
                self.promise(|| format!("I9: CONFLICT after {was}, although nobody erred"))?;
            }
            _ => {}
        }
        Ok(())
    }
}
