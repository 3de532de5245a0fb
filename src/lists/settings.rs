//! What the settings say about lists, as the keeper takes it.

use std::sync::Arc;

use lanward_blocklists::{Action, FilterParts, RulePolicies, Scope, UserRule, WireName};
use lanward_dns::Policies;

use crate::settings::Effective;
use crate::settings::effective::{ListSpec, RuleSpec};
use crate::settings::records::{RuleKind, Source};

/// What is in force of lists and rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListSettings {
    /// All lists, also those that are switched off.
    pub lists: Vec<ListSpec>,
    /// For each [`lanward_dns::PolicyId`], the ids of the lists it uses.
    pub policy_lists: Vec<Vec<Arc<str>>>,
    /// The rules made by hand.
    pub rules: Vec<RuleSpec>,
    /// The policies themselves, published together with the filter that knows them.
    pub policies: Policies,
    /// The household's domain, which no list may block; empty for none.
    pub domain: Arc<str>,
}

impl From<&Effective> for ListSettings {
    fn from(effective: &Effective) -> Self {
        Self {
            lists: effective.lists.clone(),
            policy_lists: effective.policy_lists.clone(),
            rules: effective.rules.clone(),
            policies: effective.policies.clone(),
            domain: effective.domain.clone(),
        }
    }
}

impl ListSettings {
    /// What a filter takes of them. A name that does not parse is left out: the settings have
    /// refused it before.
    pub(super) fn filter_parts(&self) -> FilterParts {
        let policies = self.policy_lists.iter().map(|ids| {
            let enabled = |id: &&Arc<str>| self.list(id).is_some_and(|list| list.enabled);
            ids.iter().filter(enabled).map(ToString::to_string).collect()
        });
        let rules = self.rules.iter().filter_map(|rule| {
            Some(UserRule {
                id: rule.id.to_string(),
                name: WireName::parse(&rule.name).ok()?,
                scope: if rule.subdomains { Scope::Subtree } else { Scope::Exact },
                action: match rule.kind {
                    RuleKind::Allow => Action::Allow,
                    RuleKind::Deny => Action::Block,
                },
                policies: RulePolicies::These(rule.policies.clone()),
            })
        });
        let names = self.lists.iter().map(|list| (list.id.to_string(), list.name.to_string()));
        FilterParts {
            policies: policies.collect(),
            list_names: names.collect(),
            rules: rules.collect(),
            protected: WireName::parse(&self.domain).into_iter().collect(),
        }
    }

    pub(super) fn list(&self, id: &str) -> Option<&ListSpec> {
        self.lists.iter().find(|list| *list.id == *id)
    }
}

/// Where a list comes from, in words that also tell one source from another.
pub(super) fn source_text(source: &Source) -> &str {
    match source {
        Source::Url(text) | Source::File(text) => text,
        Source::Builtin => "",
    }
}
