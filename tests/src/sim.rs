//! The simulator: two real nodes, a simulated world, and the promises checked after every event.
//!
//! The nodes are the daemon's own [`lanward::node::Node`]s; they exchange their real frames over
//! a link that delays, stalls and breaks, write to disks that lose what was not synced, run on
//! clocks that differ and drift, crash and restart. The clients speak real DHCP through a relay
//! agent that reaches one node or both. One seed decides everything, so a failing seed replays
//! bit for bit ([`Outcome::digest`] covers every frame and packet).
//!
//! What is checked:
//! - I1, at every lease a client accepts: no other client believes to hold the address, in true
//!   time;
//! - I3, at every ACK of a paired node: the lease ends at most the MCLT after what the partner's
//!   *disk* knows of it;
//! - R4, at every ACK: the lease is on the node's own disk;
//! - I5, at every OFFER and ACK: the node serves in its present state;
//! - I6, at every NAK: the client does not rightly hold the address;
//! - I7, after everything is mended and quiet: both tables and both settings documents are equal;
//! - I8, with the link cut for good: a node whose half is not used up serves a new client.

mod check;
mod client;
mod host;
mod link;
mod rng;
mod script;
mod world;

use std::fmt;

pub use lanward_ha::Fault;

use world::World;

/// How a run is to be made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// A rule to break in both nodes.
    pub fault: Option<Fault>,
    /// Whether to keep a readable trace.
    pub trace: bool,
}

/// A run that kept all promises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// A digest of everything that was sent by anybody, in order.
    pub digest: u64,
    /// Events handled.
    pub events: u64,
    /// Leases accepted by clients.
    pub leases: u64,
    /// Crashes.
    pub crashes: u64,
    /// Breaks of the link.
    pub cuts: u64,
    /// Times a node entered NORMAL.
    pub normals: u64,
    /// The trace, when asked for.
    pub trace: Vec<String>,
}

/// A run that broke a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The seed that shows it.
    pub seed: u64,
    /// Which promise, and how.
    pub broken: String,
    /// What led to it, when asked for.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        write!(f, "seed {}: {}", self.seed, self.broken)
    }
}

/// Runs one seed.
pub fn run(seed: u64, options: Options) -> Result<Outcome, Box<Failure>> {
    let mut world = World::new(seed, options);
    let broken = world.run().err();
    let (outcome, trace) = world.finish();
    match broken {
        None => Ok(Outcome { trace, ..outcome }),
        Some(broken) => Err(Box::new(Failure { seed, broken, trace })),
    }
}
