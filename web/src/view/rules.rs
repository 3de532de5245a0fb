//! Rules made by hand.

use serde::{Deserialize, Serialize};

use super::InForce;

/// A rule for a name, and those below it, for everybody who has a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRule {
    /// Whether the name is never blocked, or always.
    pub allow: bool,
    /// The name, in ASCII.
    pub name: String,
    /// The id of the policy.
    pub policy: String,
}

/// A rule that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MadeRule {
    /// The id of the change of the settings, by which it can be undone; `None` when nothing had to
    /// be changed.
    pub change: Option<String>,
    /// Where it is in force.
    #[serde(flatten)]
    pub in_force: InForce,
}
