//! The names of policies and lists that an event refers to by number.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::shared::Snapshot;
use crate::{ListId, PolicyId};

/// How many sets of names are remembered. An event is read a second after it was written, and one
/// change of the settings makes one set.
const REMEMBERED: usize = 32;

/// The names that numbers stand for while one filter and one set of policies are in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels {
    /// Differs from those of the sets before and after it.
    pub(crate) generation: u16,
    lists: Vec<(ListId, Arc<str>)>,
    policies: Vec<Arc<str>>,
}

/// The latest sets of names.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    sets: Mutex<VecDeque<Arc<Labels>>>,
}

impl Labels {
    /// The names for `snapshot`, which takes the place of one with the names `before`.
    pub(crate) fn of(snapshot: &Snapshot, before: &Labels) -> Arc<Labels> {
        let mut lists = snapshot.filter.list_names();
        lists.sort_by_key(|(list, _)| *list);
        let policies = &snapshot.policies.policies;
        Arc::new(Labels {
            generation: before.generation.wrapping_add(1),
            lists,
            policies: policies.iter().map(|policy| policy.name.as_str().into()).collect(),
        })
    }

    pub(super) fn list(&self, list: ListId) -> Option<Arc<str>> {
        let at = self.lists.binary_search_by_key(&list, |(list, _)| *list).ok()?;
        self.lists.get(at).map(|(_, name)| name.clone())
    }

    pub(super) fn policy(&self, policy: PolicyId) -> Option<Arc<str>> {
        self.policies.get(usize::from(policy.0)).cloned()
    }
}

impl Shelf {
    pub(super) fn put(&self, labels: &Arc<Labels>) {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.push_front(labels.clone());
        sets.truncate(REMEMBERED);
    }

    pub(super) fn find(&self, generation: u16) -> Option<Arc<Labels>> {
        let sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.iter().find(|labels| labels.generation == generation).cloned()
    }
}
