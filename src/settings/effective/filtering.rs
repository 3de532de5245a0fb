//! Policies, lists and rules.

use std::sync::Arc;

use lanward_dns::{BlockMode, PolicyId};

use super::{Effective, Household, ListSpec, RuleSpec};
use crate::settings::problem::{Place, Problem};
use crate::settings::records::{self, List, Policy, Record, Rule};
use crate::settings::words::Id;

pub(super) fn derive(household: &Household, effective: &mut Effective) {
    effective.lists = household
        .lists
        .iter()
        .map(|(id, list)| ListSpec {
            id: id.as_str().into(),
            name: list.name.as_deref().unwrap_or(id).into(),
            source: list.source.clone(),
            mirrors: list.mirrors.clone(),
            kind: list.kind,
            enabled: list.enabled,
            allow_private: list.allow_private,
        })
        .collect();
    for (id, policy) in &household.policies {
        let lists = lists_of(id, policy, household, &mut effective.problems);
        effective.policy_lists.push(lists);
        effective.policies.policies.push(lanward_dns::Policy {
            name: id.clone(),
            filtering: policy.blocking,
            block_mode: match policy.block_mode {
                records::BlockMode::Null => BlockMode::Null,
                records::BlockMode::NxDomain => BlockMode::NxDomain,
                records::BlockMode::NoData => BlockMode::NoData,
                records::BlockMode::Addresses { ipv4, ipv6 } => BlockMode::Address(ipv4, ipv6),
            },
            blocked_ttl_secs: u32::try_from(policy.blocked_ttl.0.as_secs()).unwrap_or(u32::MAX),
            upstreams: policy.upstreams.as_ref().map(|id| id.as_str().into()),
            history: policy.history,
            dnssec: policy.dnssec,
            dns64: policy.dns64.map(|nat64| nat64.0),
        });
    }
    for (id, list) in &household.lists {
        known_policies(&List::key(id), &list.policies, household, &mut effective.problems);
    }
    for (id, rule) in &household.rules {
        let policies = policies_of(id, rule, household, &mut effective.problems);
        if policies.is_empty() {
            continue;
        }
        effective.rules.push(RuleSpec {
            id: id.as_str().into(),
            kind: rule.kind,
            name: rule.name.as_str().into(),
            subdomains: rule.subdomains,
            policies,
        });
    }
}

/// The number of the policy `id`: policies are numbered in the order of their ids.
pub(super) fn policy_id(household: &Household, id: &str) -> Option<PolicyId> {
    let index = household.policies.keys().position(|policy| policy == id)?;
    u16::try_from(index).ok().map(PolicyId)
}

fn lists_of(
    id: &str,
    policy: &Policy,
    household: &Household,
    problems: &mut Vec<Problem>,
) -> Vec<Arc<str>> {
    let mut lists: Vec<Arc<str>> = Vec::new();
    for (i, list) in policy.lists.iter().enumerate() {
        let Some(found) = household.lists.get(list.as_str()) else {
            problems.push(unknown(
                Place::new(Policy::key(id), format!("lists[{i}]")),
                "list",
                list.as_str(),
                household.lists.keys(),
            ));
            continue;
        };
        if found.enabled && !lists.iter().any(|known| **known == *list.as_str()) {
            lists.push(list.as_str().into());
        }
    }
    for (list, record) in &household.lists {
        let wants = record.enabled && record.policies.iter().any(|policy| policy.as_str() == id);
        if wants && !lists.iter().any(|known| **known == **list) {
            lists.push(list.as_str().into());
        }
    }
    lists
}

fn policies_of(
    id: &str,
    rule: &Rule,
    household: &Household,
    problems: &mut Vec<Problem>,
) -> Vec<PolicyId> {
    if rule.policies.is_empty() {
        return household.policies.keys().filter_map(|id| policy_id(household, id)).collect();
    }
    known_policies(&Rule::key(id), &rule.policies, household, problems)
}

/// The numbers of the policies a record names in its `policies`.
fn known_policies(
    key: &str,
    named: &[Id],
    household: &Household,
    problems: &mut Vec<Problem>,
) -> Vec<PolicyId> {
    let mut ids = Vec::new();
    for (i, policy) in named.iter().enumerate() {
        match policy_id(household, policy.as_str()) {
            Some(policy) => ids.push(policy),
            None => problems.push(unknown(
                Place::new(key, format!("policies[{i}]")),
                "policy",
                policy.as_str(),
                household.policies.keys(),
            )),
        }
    }
    ids
}

/// A name of something that does not exist.
pub(super) fn unknown<'k>(
    place: Place,
    what: &str,
    id: &str,
    known: impl Iterator<Item = &'k String>,
) -> Problem {
    let known: Vec<&str> = known.map(String::as_str).collect();
    let fix = match crate::settings::fields::nearest(id, &known) {
        Some(near) => format!("Did you mean `{near}`?"),
        None if known.is_empty() => format!("Add a {what} with the id `{id}`."),
        None => format!("There are: {}.", known.join(", ")),
    };
    let missing = Place::new(format!("{what}/{id}"), "");
    Problem::error(place, format!("There is no {what} *{id}*."), fix).with(missing)
}

impl Policy {
    /// A policy that blocks what `lists` say, and everything else by default.
    pub fn of_lists(lists: Vec<Id>) -> Policy {
        Policy {
            lists,
            blocking: true,
            block_mode: records::BlockMode::Null,
            blocked_ttl: crate::settings::words::Period(lanward_dns::Policy::BLOCKED_TTL),
            upstreams: None,
            history: true,
            dnssec: true,
            dns64: None,
        }
    }
}
