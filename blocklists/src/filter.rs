//! The filter that the DNS pipeline asks: the table, the household's rules, and who uses what.

use std::sync::Arc;

use lanward_dns::{Filter, ListId, PolicyId, RuleRef, Verdict};

use crate::hash::{HashKey, Suffix};
use crate::kinds::Kinds;
use crate::list::ListMask;
use crate::name::WireName;
use crate::syntax::Action;
use crate::table::Table;
use crate::user::{ProtectedNames, UserRule, UserTable};

/// The number under which the household's own rules appear as a "list".
pub const USER_RULES: ListId = ListId(u16::MAX);

/// What a filter is made of, apart from the table. Small: building a filter from it copies no
/// rules of lists.
#[derive(Clone, Debug, Default)]
pub struct FilterParts {
    /// For each [`PolicyId`], the ids of the lists it uses. Ids that the table lacks count for
    /// nothing: that list has not been loaded yet.
    pub policies: Vec<Vec<String>>,
    /// Names for people, by list id; a list without one goes by its id.
    pub list_names: Vec<(String, String)>,
    /// The household's own rules.
    pub rules: Vec<UserRule>,
    /// Trees that no list may touch, such as the household's own domain.
    pub protected: Vec<WireName>,
}

/// A compiled filter: an immutable snapshot. Cheap to build anew around the same table.
///
/// What decides, first to last:
/// 1. the household's rules, allow over block;
/// 2. a protected tree: lists have no say there;
/// 3. `$important` rules of the policy's lists, allow over block;
/// 4. the other rules of the policy's lists, allow over block.
///
/// Of several rules of equal rank the longest is named, of several lists the first.
#[derive(Debug)]
pub struct CompiledFilter {
    pub(crate) table: Arc<Table>,
    pub(crate) masks: Box<[ListMask]>,
    pub(crate) names: Box<[Arc<str>]>,
    pub(crate) user: UserTable,
    pub(crate) protected: ProtectedNames,
    user_name: Arc<str>,
}

impl CompiledFilter {
    /// Puts a filter together around a table.
    pub fn new(table: Arc<Table>, parts: &FilterParts) -> Self {
        let number =
            |id: &String| table.lists().iter().position(|list| list.id == *id).map(|i| i as u16);
        let masks = parts.policies.iter().map(|ids| {
            let mut mask = ListMask::default();
            ids.iter().filter_map(number).for_each(|list| mask.insert(list));
            mask
        });
        let names = table.lists().iter().map(|list| {
            let name = parts.list_names.iter().find(|(id, _)| *id == list.id);
            Arc::from(name.map_or(list.id.as_str(), |(_, name)| name.as_str()))
        });
        let (masks, names) = (masks.collect(), names.collect());
        let key = table.key();
        let user = UserTable::new(key, parts.rules.clone());
        let protected = ProtectedNames::new(key, &parts.protected);
        Self { masks, names, user, protected, user_name: Arc::from("household rules"), table }
    }

    /// A filter without rules.
    pub fn empty(key: HashKey) -> Self {
        Self::new(Table::empty(key), &FilterParts::default())
    }

    /// The table it asks.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }
}

/// The best rule of each rank found so far; longer suffixes come later and replace.
#[derive(Default)]
struct Found {
    user_allow: Option<RuleRef>,
    user_block: Option<RuleRef>,
    protected: bool,
    /// As [`Kinds::RANKS`].
    lists: [Option<RuleRef>; Kinds::RANKS.len()],
}

impl Found {
    fn list_rule(&mut self, kinds: Kinds, rule: RuleRef) {
        for (slot, rank) in self.lists.iter_mut().zip(Kinds::RANKS) {
            // Members come in the order of the lists: the first of one suffix stays.
            let better = slot.is_none_or(|old| old.labels < rule.labels);
            if better && !kinds.and(rank.kinds).is_empty() {
                *slot = Some(rule);
            }
        }
    }

    fn verdict(&self) -> Verdict {
        if let Some(rule) = self.user_allow {
            return Verdict::Allowed(rule);
        }
        if let Some(rule) = self.user_block {
            return Verdict::Blocked(rule);
        }
        if self.protected {
            return Verdict::NoMatch;
        }
        for (slot, rank) in self.lists.iter().zip(Kinds::RANKS) {
            if let Some(rule) = *slot {
                return match rank.action {
                    Action::Allow => Verdict::Allowed(rule),
                    Action::Block => Verdict::Blocked(rule),
                };
            }
        }
        Verdict::NoMatch
    }
}

impl Filter for CompiledFilter {
    fn verdict(&self, name: &[u8], policy: PolicyId) -> Verdict {
        let mask = self.masks.get(usize::from(policy.0)).copied().unwrap_or_default();
        let mut found = Found::default();
        self.table.hasher().suffixes(name, |suffix| {
            if !self.user.is_empty() {
                self.user_rules(name, suffix, policy, &mut found);
            }
            found.protected |= self.protected.holds(name, suffix);
            // No list has a rule for a bare top-level name.
            if suffix.labels == 1 {
                return;
            }
            self.table.lookup(suffix.hash, |member| {
                if mask.contains(member.list) {
                    let rule = RuleRef { list: ListId(member.list), labels: suffix.labels };
                    found.list_rule(member.kinds.matching(suffix.whole), rule);
                }
            });
        });
        found.verdict()
    }

    fn list_name(&self, list: ListId) -> &str {
        // The household's own have a number that no list of the table has.
        self.names.get(usize::from(list.0)).unwrap_or(&self.user_name)
    }

    fn list_names(&self) -> Vec<(ListId, Arc<str>)> {
        let names = self.names.iter().zip(0..).map(|(name, list)| (ListId(list), name.clone()));
        names.chain([(USER_RULES, self.user_name.clone())]).collect()
    }
}

impl CompiledFilter {
    fn user_rules(&self, name: &[u8], suffix: Suffix, policy: PolicyId, found: &mut Found) {
        let rule = RuleRef { list: USER_RULES, labels: suffix.labels };
        for user in self.user.matching(name, suffix) {
            if user.policies.include(policy) {
                match user.action {
                    Action::Allow => found.user_allow = Some(rule),
                    Action::Block => found.user_block = Some(rule),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
