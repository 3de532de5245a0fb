//! The simulator: two real nodes, a simulated world, and the promises checked after every event.
//!
//! The nodes are the daemon's own [`lanward::node::Node`]s; they exchange their real frames over
//! a link that delays, stalls, breaks one way or both, and comes back; write to disks that lose
//! what was not synced, tear, fail, and are lost or set back; run on the daemon's own clock over
//! boot clocks that drift and wall clocks that are wrong after a boot; crash, stop in order and
//! restart; their operators press the button at the right moment and at the wrong one. The
//! clients speak real DHCP through a relay agent that reaches one node or both, loses packets and
//! doubles them. One seed decides everything, so a failing seed replays bit for bit
//! ([`Outcome::digest`] covers every frame and packet). What is done to the world is drawn as
//! data first ([`Plan`]), so a failing seed also shrinks ([`shrink`]).
//!
//! What is checked, in true time (pair protocol, section 9):
//! - I1, at every lease a client accepts: no other client rightly believes to hold the address;
//!   and no node finds that two clients were promised one address;
//! - I2, when everything is mended: no address that a device rightly believes to hold could go to
//!   another (that what was acknowledged in NORMAL is on both disks is I3);
//! - I3, at every ACK in NORMAL or apart: the lease ends at most the MCLT after what the
//!   partner's *disk* knows of it;
//! - I4, at every write of the store: a node binds to a new client only what it owns and what was
//!   free by agreement, unless its partner is known not to serve;
//! - R4, at every ACK: the lease is on the node's own disk;
//! - I5, at every OFFER and ACK: the node serves in its present state;
//! - I6, at every NAK: the client does not rightly hold the address;
//! - I7, after everything is mended and quiet: both are in NORMAL, and both tables and both
//!   settings documents are equal;
//! - I8, then with the link cut for good: each node serves a new client while its half is not
//!   used up, and prolongs a lease it or its partner gave;
//! - I9: no node serves beside one that serves everybody with every address, or enters NORMAL
//!   before that one has left PARTNER-DOWN;
//! - I10: all of the above, with clocks that are a day off or at 1970 after a boot;
//! - I11: no device takes more than five addresses a node out of service;
//! - I12, at every REQUEST: a node that runs on honours what it offered a moment ago, whatever
//!   state it has entered meanwhile.
//!
//! What is left out, and why, is in `sim/exclude.rs`.

mod cable;
mod check;
mod client;
mod disk;
mod exclude;
mod faults;
mod finale;
mod host;
mod link;
mod plan;
mod rng;
mod script;
mod shrink;
mod world;

use std::fmt;

pub use lanward_ha::Fault;

pub use plan::Plan;
pub use shrink::shrink;

use world::World;

/// What a run is mostly about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Focus {
    /// Everything, in proportions that every seed draws for itself.
    #[default]
    Everything,
    /// Hosts that are off, and said to be.
    PartnerDown,
    /// Disks that are lost, cuts around it.
    LostDisks,
    /// Hosts that are alone, and whose disks fail.
    Alone,
    /// Operators that err.
    Lies,
}

/// How a run is to be made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// A rule to break in both nodes.
    pub fault: Option<Fault>,
    /// What it is mostly about.
    pub focus: Focus,
    /// Whether to keep a readable trace.
    pub trace: bool,
}

/// What happened in a run.
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
    /// Disks lost, torn, damaged or set back.
    pub disks: u64,
    /// Orderly stops asked for, and those the partner took over from.
    pub stops: u64,
    /// Orderly stops after which the partner had everything.
    pub handed_over: u64,
    /// Times somebody said that the other node is off, and was believed.
    pub partner_offs: u64,
    /// Hosts replaced by new ones.
    pub replaced: u64,
    /// 1 where uniqueness was given up for the rest of the run.
    pub best_effort: u64,
    /// The states entered, a bit each.
    pub entered: u32,
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

impl Failure {
    /// The promise's name, such as `I1`.
    pub fn promise(&self) -> &str {
        self.broken.split(':').next().unwrap_or_default()
    }
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
    run_plan(&Plan::draw(seed, options.focus), options).0
}

/// What a seed is going to do.
pub fn plan(seed: u64, focus: Focus) -> Plan {
    Plan::draw(seed, focus)
}

/// Runs a plan; gives the trace as well, if it was asked for.
pub fn run_plan(plan: &Plan, options: Options) -> (Result<Outcome, Box<Failure>>, Vec<String>) {
    let mut world = World::new(plan, options);
    let broken = world.run().err();
    let (outcome, trace) = world.finish();
    match broken {
        None => (Ok(outcome), trace),
        Some(broken) => {
            let failure = Failure { seed: plan.seed, broken, trace };
            (Err(Box::new(failure)), Vec::new())
        }
    }
}
