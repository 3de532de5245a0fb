//! What validation has learned and should not forget with the process: the root's keys, and which
//! upstreams deliver signatures. Shared by all validators.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use hickory_proto::dnssec::PublicKeyBuf;
use hickory_proto::dnssec::rdata::DNSKEY;

use crate::root_keys::{RootKeys, tag};
use crate::{AnchorError, TrustAnchors};

/// Groups that are remembered.
const MAX_PROVEN: usize = 64;

/// How a group is noted, before its tag.
const PROVEN: &str = "proven ";

#[derive(Debug, Default)]
pub(crate) struct Learned {
    keys: Mutex<RootKeys>,
    /// Other keys are trusted than those in force.
    keys_changed: AtomicBool,
    /// The tags of groups that have delivered good signatures.
    proven: Mutex<BTreeSet<u64>>,
}

impl Learned {
    fn keys<T>(&self, with: impl FnOnce(&mut RootKeys) -> T) -> T {
        with(&mut self.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn proven<T>(&self, with: impl FnOnce(&mut BTreeSet<u64>) -> T) -> T {
        with(&mut self.proven.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes note of what the root publishes, validated. `revoked` have signed that themselves.
    pub(crate) fn observe(&self, published: &[DNSKEY], revoked: &[DNSKEY], now: SystemTime) {
        let Ok(now) = now.duration_since(SystemTime::UNIX_EPOCH) else { return };
        let keys = |of: &[DNSKEY]| -> Vec<PublicKeyBuf> {
            of.iter().map(|key| key.public_key().clone()).collect()
        };
        let (published, revoked) = (keys(published), keys(revoked));
        if self.keys(|all| all.observe(&published, &revoked, now.as_secs())) {
            let tags: Vec<u16> = self.keys(|all| all.trusted()).iter().map(tag).collect();
            tracing::warn!(
                ?tags,
                "the root has changed its keys; those with these tags are trusted"
            );
            self.keys_changed.store(true, Ordering::Relaxed);
        }
    }

    /// Whether other keys are trusted than at the last call.
    pub(crate) fn have_keys_changed(&self) -> bool {
        self.keys_changed.swap(false, Ordering::Relaxed)
    }

    /// `anchors` with these keys as the root's, unless the settings name the root's own.
    pub(crate) fn in_place_of_built_in(&self, anchors: &TrustAnchors) -> TrustAnchors {
        self.keys(|all| anchors.with_root(all.trusted()))
    }

    /// The group with this tag has delivered good signatures.
    pub(crate) fn prove(&self, group: u64) {
        self.proven(|all| {
            if !all.contains(&group) && all.len() >= MAX_PROVEN {
                all.pop_first();
            }
            all.insert(group)
        });
    }

    pub(crate) fn is_proven(&self, group: u64) -> bool {
        self.proven(|all| all.contains(&group))
    }

    /// Everything, for [`Learned::restore`].
    pub(crate) fn to_text(&self) -> String {
        let mut text = self.keys(|all| all.to_text());
        text.push_str("; Groups of upstream servers that have delivered signatures.\n");
        for group in self.proven(|all| all.clone()) {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{PROVEN}{group:016x}");
        }
        text
    }

    pub(crate) fn restore(&self, text: &str) -> Result<(), AnchorError> {
        let (proven, keys): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.starts_with(PROVEN));
        let read = RootKeys::parse(&keys.join("\n"))?;
        self.keys(|all| *all = read);
        self.keys_changed.store(true, Ordering::Relaxed);
        for line in proven.into_iter().take(MAX_PROVEN) {
            let group = u64::from_str_radix(&line[PROVEN.len()..], 16);
            let malformed = |_| AnchorError::Malformed("a group of upstream servers".into());
            self.prove(group.map_err(malformed)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_is_taken_back() {
        let learned = Learned::default();
        learned.prove(7);
        learned.prove(u64::MAX);
        let again = Learned::default();
        again.restore(&learned.to_text()).expect("what was written");
        assert!(again.is_proven(7) && again.is_proven(u64::MAX) && !again.is_proven(8));
        assert_eq!(again.to_text(), learned.to_text());
        assert!(again.restore("proven seven").is_err());
    }

    #[test]
    fn no_number_of_groups_fills_the_memory() {
        let learned = Learned::default();
        (0..1000).for_each(|group| learned.prove(group));
        assert_eq!(learned.proven(|all| all.len()), MAX_PROVEN);
        assert!(learned.is_proven(999));
    }
}
