//! Why a name is blocked, or is not: every list and rule that matches, and which decided.

use std::fmt;

use lanward_dns::{Filter as _, ListId, PolicyId, Verdict};

use crate::filter::{CompiledFilter, USER_RULES};
use crate::name::WireName;
use crate::syntax::{Action, Scope};

/// The answer to "why?" for one name and one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The name that was asked about.
    pub name: WireName,
    /// For whom.
    pub policy: PolicyId,
    /// What the filter says, exactly as the pipeline gets it.
    pub verdict: Verdict,
    /// The name is in a tree that no list may touch.
    pub protected: bool,
    /// Everything that matches, whether or not this policy uses it. The household's rules come
    /// first, then longer rules before shorter ones, then lists in their order.
    pub matches: Vec<Match>,
}

/// One rule that matches, in one list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The list's number, or [`USER_RULES`].
    pub list: ListId,
    /// The list's id in the settings, or the rule's own for a rule of the household.
    pub list_id: String,
    /// The list's name for people.
    pub list_name: String,
    /// The name in the rule: the asked one, or one above it.
    pub rule_name: WireName,
    /// Whether the rule is about that name alone or all below it too.
    pub scope: Scope,
    /// Block or allow.
    pub action: Action,
    /// `$important`.
    pub important: bool,
    /// Whether the policy asked for uses this list, or has this rule.
    pub applies: bool,
    /// All policies that do.
    pub policies: Vec<PolicyId>,
    /// This one decided.
    pub decided: bool,
}

impl CompiledFilter {
    /// Explains the verdict on `name` for `policy`. Not for the query path: it allocates.
    pub fn explain(&self, name: &WireName, policy: PolicyId) -> Explanation {
        let wire = name.as_bytes();
        let verdict = self.verdict(wire, policy);
        let mut protected = false;
        let mut matches = Vec::new();
        self.table.hasher().suffixes(wire, |suffix| {
            let rule_name = name.suffix(usize::from(suffix.labels));
            protected |= self.protected.holds(wire, suffix);
            for rule in self.user.matching(wire, suffix) {
                matches.push(Match {
                    list: USER_RULES,
                    list_id: rule.id.clone(),
                    list_name: self.list_name(USER_RULES).to_owned(),
                    rule_name,
                    scope: rule.scope,
                    action: rule.action,
                    important: false,
                    applies: rule.policies.include(policy),
                    policies: self.policies(|p| rule.policies.include(p)),
                    decided: false,
                });
            }
            self.table.lookup(suffix.hash, |member| {
                let uses = |p: PolicyId| {
                    self.masks.get(usize::from(p.0)).is_some_and(|m| m.contains(member.list))
                };
                for kind in member.kinds.matching(suffix.whole).each() {
                    let (action, scope, important) = kind.describe();
                    let list = ListId(member.list);
                    let stored = self.table.lists().get(usize::from(member.list));
                    matches.push(Match {
                        list,
                        list_id: stored.map(|list| list.id.clone()).unwrap_or_default(),
                        list_name: self.list_name(list).to_owned(),
                        rule_name,
                        scope,
                        action,
                        important,
                        applies: uses(policy),
                        policies: self.policies(uses),
                        decided: false,
                    });
                }
            });
        });
        matches.sort_by_key(|m| {
            let user = m.list != USER_RULES;
            (user, std::cmp::Reverse(m.rule_name.as_bytes().len()), m.list, m.scope, m.action)
        });
        mark_decided(&mut matches, verdict);
        Explanation { name: *name, policy, verdict, protected, matches }
    }

    fn policies(&self, uses: impl Fn(PolicyId) -> bool) -> Vec<PolicyId> {
        (0..self.masks.len()).map(|p| PolicyId(p as u16)).filter(|&p| uses(p)).collect()
    }
}

/// Marks the match that the verdict names. An important rule is the one when there is one: the
/// verdict would otherwise not be its.
fn mark_decided(matches: &mut [Match], verdict: Verdict) {
    let (action, rule) = match verdict {
        Verdict::NoMatch => return,
        Verdict::Allowed(rule) => (Action::Allow, rule),
        Verdict::Blocked(rule) => (Action::Block, rule),
    };
    let decided = matches
        .iter_mut()
        .filter(|m| {
            m.applies
                && m.action == action
                && m.list == rule.list
                && m.rule_name.labels().count() == usize::from(rule.labels)
        })
        .max_by_key(|m| m.important);
    if let Some(decided) = decided {
        decided.decided = true;
    }
}

impl Explanation {
    /// The rule that decided; `None` when none did.
    pub fn decided(&self) -> Option<&Match> {
        self.matches.iter().find(|m| m.decided)
    }
}

impl Match {
    /// The rule in Adblock syntax, which can say every kind: `||ads.example^`,
    /// `@@|ads.example^$important`.
    pub fn rule(&self) -> String {
        format!(
            "{}{}{}^{}",
            if self.action == Action::Allow { "@@" } else { "" },
            if self.scope == Scope::Subtree { "||" } else { "|" },
            self.rule_name,
            if self.important { "$important" } else { "" },
        )
    }
}

/// One line for people: `blocked by ||ads.example^ of Light (and 1 more)`.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.verdict, self.decided()) {
            (Verdict::NoMatch, _) if self.protected => {
                write!(f, "not blocked: {} is in a protected tree", self.name)
            }
            (Verdict::NoMatch, _) => {
                write!(f, "not blocked: no rule in force matches {}", self.name)
            }
            (Verdict::Blocked(_), by) => self.write_by(f, "blocked", by),
            (Verdict::Allowed(_), by) => self.write_by(f, "allowed", by),
        }
    }
}

impl Explanation {
    fn write_by(&self, f: &mut fmt::Formatter<'_>, what: &str, by: Option<&Match>) -> fmt::Result {
        write!(f, "{} is {what}", self.name)?;
        if let Some(by) = by {
            write!(f, " by {} of {}", by.rule(), by.list_name)?;
        }
        match self.matches.iter().filter(|m| m.applies && !m.decided).count() {
            0 => Ok(()),
            more => write!(f, " (and {more} more)"),
        }
    }
}
