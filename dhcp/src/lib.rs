//! Lanward's DHCP server: a pure core.
//!
//! [`Server`] talks to clients; a [`LeaseBook`] keeps the leases and says what may be granted.
//! Packets, time and one seed go in, packets and probes come out as values: see `server` for the
//! story of one DISCOVER.

mod book;
mod config;
mod counters;
mod encrypted_dns;
mod exchange;
mod expiring;
mod hostname;
mod lease;
mod misuse;
mod offers;
mod options;
mod output;
mod parked;
mod probes;
mod reply;
mod request;
mod scope;
mod server;
mod time;
mod unserved;

pub use book::{Answering, Asking, Change, LeaseBook, Outcome, Refusal, Ticket};
pub use config::{Config, Network, NetworkId, Reservation};
pub use counters::Counters;
pub use encrypted_dns::EncryptedDns;
pub use hostname::{host_name, is_reserved_name};
pub use lease::{BindingState, Client, ClientKey, HwAddr, Lease};
pub use output::{
    Denial, Destination, Dropped, Event, Output, Probe, ProbeHow, ProbeId, ProbeResult, Transmit,
};
pub use request::Malformed;
pub use server::{Received, Server};
pub use time::Time;
