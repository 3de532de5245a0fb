//! Real faults: a pair of real daemons under load, killed and cut off at random moments, and
//! everything it had acknowledged compared with what its disks hold.
#![allow(
    clippy::disallowed_methods,
    reason = "a shell: it measures real programs by the real clock"
)]

pub mod acks;
pub mod cuts;
pub mod disk;
pub mod kills;
pub mod load;
pub mod meddle;
mod report;
pub mod stored;
mod trial;

pub use acks::{Ack, AckLog};
pub use cuts::power_cuts;
pub use disk::{Disk, Mount, Shelf};
pub use kills::kills;
pub use load::{Load, PATIENT};
pub use meddle::{Call, Meddler};
pub use report::Report;
pub use stored::Stored;
pub use trial::{Plan, Trial};
