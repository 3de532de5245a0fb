//! What people and programs are told of the pair.

use std::fmt;

use lanward_dhcp::Time;

/// The states of a node (pair protocol, section 4). The names are those of the failover draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PairState {
    /// No partner, or none that ever served: this node serves everybody with every address.
    Standalone,
    /// Looking for the partner after a start; serves nobody.
    Startup,
    /// Connected and in step; the two share the clients.
    Normal,
    /// Cut off from the partner, or not yet in step with it; serves everybody, new clients from
    /// the own half only.
    CommunicationsInterrupted,
    /// The partner is known not to serve.
    PartnerDown,
    /// Must learn from the partner before it may serve.
    Recover,
    /// Has learned, and waits for the leases it may have given before its disk was lost.
    RecoverWait,
    /// Ready; asks the partner to leave PARTNER-DOWN.
    RecoverDone,
    /// Both served as if the other was down; merging.
    Conflict,
    /// Stopped by agreement with the partner.
    Shutdown,
}

impl fmt::Display for PairState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PairState::Standalone => "STANDALONE",
            PairState::Startup => "STARTUP",
            PairState::Normal => "NORMAL",
            PairState::CommunicationsInterrupted => "COMMUNICATIONS-INTERRUPTED",
            PairState::PartnerDown => "PARTNER-DOWN",
            PairState::Recover => "RECOVER",
            PairState::RecoverWait => "RECOVER-WAIT",
            PairState::RecoverDone => "RECOVER-DONE",
            PairState::Conflict => "CONFLICT",
            PairState::Shutdown => "SHUTDOWN",
        })
    }
}

/// The pair as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairStatus {
    /// This node's name.
    pub node: String,
    /// Its state.
    pub state: PairState,
    /// Why it is in this state: one sentence for people.
    pub reason: String,
    /// Since when.
    pub since: Time,
    /// Whether it answers DHCP clients.
    pub serving: bool,
    /// Why it may not write, and therefore gives no lease; `None` while its store works.
    pub unfit: Option<String>,
    /// It may not write, and nobody serves in its place: it prolongs the leases that run, from
    /// memory.
    pub prolongs_unsaved: bool,
    /// Bindings the partner has not confirmed. 0 for a lone node.
    pub unsynced: usize,
    /// Bindings in all, in any state.
    pub bindings: usize,
    /// In PARTNER-DOWN, since when the partner is known not to serve; [`Time::ZERO`] after it
    /// stopped in order, when nothing it promised is unknown.
    pub partner_down_since: Option<Time>,
    /// In RECOVER-WAIT, until when.
    pub wait_until: Option<Time>,
    /// Two faults at once: serving alone without knowing what the partner promised, with every
    /// address probed first.
    pub solo: bool,
    /// The other node; `None` for a lone node.
    pub partner: Option<PartnerStatus>,
}

/// How many addresses of a network may still be granted to new devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FreeCounts {
    /// By this node, from its own half.
    pub own: u64,
    /// From the partner's half, as the partner last said, or as far as this node knows.
    pub partner_half: u64,
}

/// The other node as this one sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerStatus {
    /// Its name.
    pub name: String,
    /// Whether a link to it is up and it has introduced itself.
    pub connected: bool,
    /// The state it last announced; `None` if it never did since this node started.
    pub state: Option<PairState>,
    /// Whether it answers DHCP clients, by its last word.
    pub serving: bool,
    /// The version of the pair protocol the two speak, or last spoke.
    pub protocol: Option<u32>,
    /// When it was last heard; `None` if not since this node started.
    pub last_contact: Option<Time>,
    /// How far its node time was ahead of this node's when it last said, in milliseconds; the
    /// time on the way is not taken out. The rules do not depend on it.
    pub clock_ahead_ms: Option<i64>,
    /// Why the two do not enter NORMAL although they are connected: one sentence with what to do.
    pub refusal: Option<String>,
}

/// Something for the pair's timeline: who, when, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, on this node's clock.
    pub at: Time,
    /// The name of the node it happened to.
    pub who: String,
    /// What.
    pub what: EventKind,
    /// Why: one sentence for people.
    pub why: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// This node entered a state.
    Entered(PairState),
    /// The partner announced a state.
    PartnerEntered(PairState),
    /// The link came up.
    LinkUp,
    /// The link went down.
    LinkDown,
    /// The two may not enter NORMAL.
    Refused,
    /// Two clients held one address; the losing one is told at its next renewal.
    Collision,
    /// A stored binding failed its checksum and is held back until the partner or time settles it.
    Damaged,
    /// The store failed; this node gives no lease until it is restarted.
    Unfit,
    /// Somebody said that the partner is off.
    PartnerOff,
    /// The partner came back without the leases it gave.
    PartnerLostDisk,
    /// This node's store is older than what it told its partner.
    RolledBack,
    /// Two faults at once: this node serves alone, probing every address.
    Solo,
    /// Somebody asked this node to stop in order, or to go on after that.
    StopAsked,
    /// The partner was removed, or removed this node.
    Unpaired,
}
