//! "Why is this name blocked?"

use serde::Serialize;

use super::{ListKind, PauseView};

/// The question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhyQuestion {
    /// The name in presentation form, lower case, A-labels, without the final dot.
    pub name: String,
    /// Only this policy, by its id; `None`: every one.
    pub policy: Option<String>,
    /// Only the pauses that cover this client.
    pub client: Option<std::net::IpAddr>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WhyAnswer {
    /// The name that was judged.
    pub name: String,
    /// Why the filter is never asked about this name (a local name, say), in one sentence.
    pub exempt: Option<String>,
    /// Pauses in force: whoever they cover has nothing blocked, whatever the policies say.
    pub paused: Vec<PauseView>,
    /// One answer for each policy.
    pub policies: Vec<WhyPolicy>,
}

/// What one policy does with the name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WhyPolicy {
    /// The policy's id.
    pub policy: String,
    /// The networks that have it.
    pub networks: Vec<String>,
    /// What becomes of the name.
    pub verdict: WhyVerdict,
    /// Every rule of every list that matches, the one that decides first.
    pub matches: Vec<WhyMatch>,
}

/// What becomes of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyVerdict {
    /// Blocked by a rule.
    Blocked,
    /// Matched by a block rule, or not, and allowed by an allow rule.
    Allowed,
    /// No rule in use matches.
    NotListed,
    /// The policy filters nothing.
    FilteringOff,
}

/// One rule that matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WhyMatch {
    /// The list's id.
    pub list: String,
    /// The list's name. Untrusted text.
    pub list_name: String,
    /// The rule, as a name or as it stands in the list. Untrusted text.
    pub rule: String,
    /// What it does.
    pub kind: ListKind,
    /// Whether this policy uses the list, and the list is on.
    pub in_use: bool,
    /// Whether this rule decided.
    pub decides: bool,
}
