//! Settings: this host's `lanward.toml`, the household's records, and what follows from them.
//!
//! One record of the household is one JSON text under a key such as `network/iot`. The same
//! words stand in `household.toml`. Both are read by the same readers ([`fields`]), and one
//! deterministic function ([`derive`]) turns all of them into what is in force ([`Effective`]).

pub mod effective;
pub mod export;
pub mod fields;
pub mod host;
pub mod household;
pub mod load;
pub mod problem;
pub mod records;
pub mod report;
mod toml_file;
pub mod words;

pub use effective::{Effective, HostView, derive};
pub use host::HostConfig;
pub use household::{Declared, declared_by, differences};
pub use load::{Loaded, load};
pub use problem::{Place, Problem, Severity};
pub use report::{Finding, Report};
