//! The kinds of rule a list can have for one name, as bits.

use crate::syntax::{Action, Rule, Scope};

/// A set of kinds of rule. Bit 0: block the tree, 1: allow the tree, 2: block exactly, 3: allow
/// exactly; bits 4 to 7: the same, important.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kinds(pub(crate) u8);

impl Kinds {
    /// What matches names below the rule's own.
    const SUBTREE: Self = Self(0b0011_0011);
    /// From the strongest to the weakest: the first that is present decides.
    pub(crate) const RANKS: [Rank; 4] = [
        Rank { kinds: Self(0b1010_0000), action: Action::Allow },
        Rank { kinds: Self(0b0101_0000), action: Action::Block },
        Rank { kinds: Self(0b0000_1010), action: Action::Allow },
        Rank { kinds: Self(0b0000_0101), action: Action::Block },
    ];

    pub(crate) fn of(rule: &Rule) -> Self {
        let action = match rule.action {
            Action::Block => 0b01,
            Action::Allow => 0b10,
        };
        let scope = match rule.scope {
            Scope::Subtree => 0,
            Scope::Exact => 2,
        };
        Self(action << scope << if rule.important { 4 } else { 0 })
    }

    /// Those that match the asked name: all at the whole name, the tree rules at a suffix.
    pub(crate) fn matching(self, whole: bool) -> Self {
        if whole { self } else { self.and(Self::SUBTREE) }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each kind in it by itself.
    pub(crate) fn each(self) -> impl Iterator<Item = Self> {
        (0..8).map(|bit| Self(1 << bit)).filter(move |kind| !self.and(*kind).is_empty())
    }

    /// What a single kind says.
    pub(crate) fn describe(self) -> (Action, Scope, bool) {
        let action = if self.0 & 0b0101_0101 != 0 { Action::Block } else { Action::Allow };
        let scope = if self.and(Self::SUBTREE).is_empty() { Scope::Exact } else { Scope::Subtree };
        (action, scope, self.0 >= 0b1_0000)
    }
}

/// One step of the order in which kinds of rule decide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rank {
    pub(crate) kinds: Kinds,
    pub(crate) action: Action,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WireName;

    #[test]
    fn every_kind_says_what_it_was_made_of() {
        let name = WireName::parse("ads.example").unwrap();
        let mut seen = Kinds::default();
        for action in [Action::Block, Action::Allow] {
            for scope in [Scope::Exact, Scope::Subtree] {
                for important in [false, true] {
                    let kind = Kinds::of(&Rule { name, scope, action, important });
                    assert_eq!(kind.describe(), (action, scope, important));
                    let rank = Kinds::RANKS.iter().find(|r| !r.kinds.and(kind).is_empty()).unwrap();
                    assert_eq!(rank.action, action);
                    assert_eq!(kind.matching(false).is_empty(), scope == Scope::Exact);
                    seen = seen.or(kind);
                }
            }
        }
        assert_eq!(seen, Kinds(0xff));
        assert_eq!(seen.each().count(), 8);
    }
}
