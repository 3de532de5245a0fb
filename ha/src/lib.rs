//! Lanward's pair: the replicated lease table and the settings document.

mod store;

pub use store::{Batch, Restored, Write};
