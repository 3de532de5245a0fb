//! The household's own rules: a small table beside the big one, so that adding one rebuilds
//! nothing else.

use std::collections::BTreeMap;

use lanward_dns::PolicyId;

use crate::hash::{HashKey, NameHasher, Suffix};
use crate::name::WireName;
use crate::syntax::{Action, Scope};

/// A rule that the household made itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRule {
    /// Its id in the settings.
    pub id: String,
    /// The name it is about; may be a single label, unlike in a list.
    pub name: WireName,
    /// That name alone, or also all below it.
    pub scope: Scope,
    /// Block or allow.
    pub action: Action,
    /// The policies it holds for.
    pub policies: RulePolicies,
}

/// The policies a rule of the household holds for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RulePolicies {
    /// Every policy.
    #[default]
    All,
    /// These.
    These(Vec<PolicyId>),
}

/// User rules by the hash of their name. Whatever it finds is compared with the name itself, so
/// there are no false positives here.
#[derive(Clone, Debug, Default)]
pub(crate) struct UserTable {
    rules: Vec<UserRule>,
    /// Sorted hashes, with the indices of the rules that have them.
    index: Vec<(u64, u32)>,
}

impl RulePolicies {
    pub(crate) fn include(&self, policy: PolicyId) -> bool {
        match self {
            Self::All => true,
            Self::These(policies) => policies.contains(&policy),
        }
    }
}

impl UserTable {
    /// Later rules for the same name, scope, action and policies change nothing.
    pub(crate) fn new(key: &HashKey, rules: Vec<UserRule>) -> Self {
        let hasher = NameHasher::new(key);
        let mut index: Vec<(u64, u32)> = rules
            .iter()
            .zip(0_u32..)
            .map(|(rule, i)| (hasher.whole(rule.name.as_bytes()), i))
            .collect();
        index.sort_unstable();
        Self { rules, index }
    }

    /// The rules that match the asked name at this suffix of it, for any policy.
    pub(crate) fn matching(&self, name: &[u8], suffix: Suffix) -> impl Iterator<Item = &UserRule> {
        let from = self.index.partition_point(|(hash, _)| *hash < suffix.hash);
        self.index
            .iter()
            .skip(from)
            .take_while(move |(hash, _)| *hash == suffix.hash)
            .filter_map(|(_, i)| self.rules.get(*i as usize))
            .filter(move |rule| {
                name.get(usize::from(suffix.offset)..) == Some(rule.name.as_bytes())
                    && (suffix.whole || rule.scope == Scope::Subtree)
            })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// Names whose trees no list may touch: the household's own domain, and what must always work.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProtectedNames(BTreeMap<u64, WireName>);

impl ProtectedNames {
    pub(crate) fn new(key: &HashKey, names: &[WireName]) -> Self {
        let hasher = NameHasher::new(key);
        Self(names.iter().map(|name| (hasher.whole(name.as_bytes()), *name)).collect())
    }

    /// Whether the asked name is in the tree of a protected one that stands at this suffix.
    pub(crate) fn holds(&self, name: &[u8], suffix: Suffix) -> bool {
        !self.0.is_empty()
            && self.0.get(&suffix.hash).is_some_and(|protected| {
                name.get(usize::from(suffix.offset)..) == Some(protected.as_bytes())
            })
    }
}
