//! Lanward's DHCP server: a pure core.
//!
//! (module list and the story of one DISCOVER: see `server`)

mod book;
mod config;
mod lease;
mod time;

pub use book::{Answering, Asking, Change, LeaseBook, Outcome, Refusal, Ticket};
pub use config::{Config, Network, NetworkId, Reservation};
pub use lease::{BindingState, Client, ClientKey, HwAddr, Lease};
pub use time::Time;
