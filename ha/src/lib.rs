//! Lanward's pair: the replicated lease table and the settings document.

mod config;
mod status;
mod store;

pub use config::{ClusterId, PairConfig, Partner, Rank, StoreId, Times};
pub use status::{Event, EventKind, PairState, PairStatus, PartnerStatus};
pub use store::{Batch, Restored, Write};
