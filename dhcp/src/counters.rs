//! What the server counted since it started.

use std::collections::BTreeMap;

use crate::Dropped;

/// What the server counted since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// DISCOVER messages received.
    pub discovers: u64,
    /// REQUEST messages received.
    pub requests: u64,
    /// DECLINE messages received.
    pub declines: u64,
    /// RELEASE messages received.
    pub releases: u64,
    /// INFORM messages received.
    pub informs: u64,
    /// OFFER messages sent.
    pub offers: u64,
    /// ACK messages sent, those for INFORM included.
    pub acks: u64,
    /// NAK messages sent.
    pub naks: u64,
    /// Probes asked for.
    pub probes: u64,
    /// Probes that somebody answered.
    pub conflicts: u64,
    /// Probes the host would not do.
    pub probes_unavailable: u64,
    /// Messages answered although the partner is responsible, because it did not answer.
    pub stepped_in: u64,
    /// Addresses given to clients that claimed to have them and that no record knew.
    pub adopted: u64,
    /// Changes the lease book settled after the reply had been given up.
    pub settled_late: u64,
    /// Packets not answered, by reason.
    pub dropped: BTreeMap<Dropped, u64>,
}
