//! Lanward's pair: the replicated lease table and the settings document.

mod binding;
mod config;
mod journal;
mod merge;
mod pair;
mod record;
mod sessions;
mod settings;
mod status;
mod store;
mod table;
mod wire;

pub use binding::{Binding, Versions};
pub use config::{ClusterId, PairConfig, Partner, Rank, StoreId, Times};
#[doc(hidden)]
pub use pair::Fault;
pub use pair::{Aside, Pair, PairOutput, PartnerOffRefusal, ServiceReport};
pub use sessions::{SessionKey, Sessions, SessionsOutput, Stamp};
pub use settings::{
    AutomergeDocument, BadMessage, ChangeId, CollidingValue, DocumentOutput, SettingsChange,
    SettingsDocument,
};
pub use status::{Event, EventKind, FreeCounts, PairState, PairStatus, PartnerStatus};
pub use store::{Batch, Restored, Write};
