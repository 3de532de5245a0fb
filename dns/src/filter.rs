//! What the pipeline asks of a compiled set of blocklists.

use std::sync::Arc;

/// Which policy applies to a client: an index into [`crate::Policies`], and the index under which
/// a filter knows which lists that policy uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyId(pub u16);

/// A list as a filter numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListId(pub u16);

/// The rule that decided, in a form that costs no allocation: the rule's text is a suffix of the
/// name that was asked, so its number of labels is all that need be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleRef {
    /// The list it stands in (the first of them, when several have it).
    pub list: ListId,
    /// How many labels of the asked name, counted from the right, the rule has.
    pub labels: u8,
}

/// A filter's word on one name for one policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No rule matches.
    NoMatch,
    /// An allow rule decides.
    Allowed(RuleRef),
    /// A block rule decides.
    Blocked(RuleRef),
}

/// A compiled, immutable set of rules for all policies. Reached through a snapshot; asked for
/// every query on the fast path, so it must not lock, allocate or block.
pub trait Filter: Send + Sync {
    /// The verdict on `name`: wire format, lower case, uncompressed, ending with the root label's
    /// zero byte; 1 to 255 bytes.
    fn verdict(&self, name: &[u8], policy: PolicyId) -> Verdict;

    /// The list's name for people, for the text of EDE 15.
    fn list_name(&self, list: ListId) -> &str;

    /// The names of all lists that a verdict may name. Asked once, off the fast path.
    fn list_names(&self) -> Vec<(ListId, Arc<str>)>;
}

/// Blocks nothing: in force until the first list is loaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmptyFilter;

impl Filter for EmptyFilter {
    fn verdict(&self, _name: &[u8], _policy: PolicyId) -> Verdict {
        Verdict::NoMatch
    }

    fn list_name(&self, _list: ListId) -> &str {
        "none"
    }

    fn list_names(&self) -> Vec<(ListId, Arc<str>)> {
        Vec::new()
    }
}
