//! Settings: this host's `lanward.toml`, the household's records, and what follows from them.

pub mod effective;

pub use effective::{Effective, HostView};
