//! Lanward's DNS: names, answering, cache, upstreams and the DNS listeners.

mod filter;
mod policy;

pub use filter::{EmptyFilter, Filter, ListId, PolicyId, RuleRef, Verdict};
pub use policy::{BlockMode, ClientNetwork, Policies, Policy};
