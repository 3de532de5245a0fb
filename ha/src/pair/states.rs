//! The states a node of a pair is in, one type each.

use lanward_dhcp::Time;

use crate::PairState;

/// The state in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Standalone(Standalone),
    Startup(Startup),
    Normal(Normal),
    Interrupted(Interrupted),
    PartnerDown(PartnerDown),
    Recover(Recover),
    RecoverWait(RecoverWait),
    RecoverDone(RecoverDone),
    Conflict(Conflict),
    Shutdown(Shutdown),
}

/// STANDALONE: there is no partner, or none that ever served.
///
/// **Owns** every address.
/// **May** grant any free address for the full time, and free an ended lease by itself. While a
/// partner that never served pulls the table, it keeps the rules of the pair already.
/// **Leaves by** the partner having everything: NORMAL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standalone;

/// STARTUP: the process has just begun.
///
/// **Owns** nothing.
/// **May** answer nobody; it exchanges what is dirty, or pulls everything when it never served.
/// **Leaves by** being in step with the partner: NORMAL; by meeting a partner in PARTNER-DOWN, or
/// having lost its disk: RECOVER; or by `until`: the state it was in before, which is PARTNER-DOWN
/// or COMMUNICATIONS-INTERRUPTED. A node that never served has no `until`: what it does not know
/// might be promised to somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Startup {
    /// When to go on without the partner.
    pub(crate) until: Option<Time>,
}

/// NORMAL: connected and in step.
///
/// **Owns** the addresses whose lowest bit is its rank.
/// **May** grant free addresses of its half, for the full time once the partner has the lease on
/// its disk; prolongs any lease; leaves the clients it is not responsible for to the partner.
/// **Leaves by** the end of the link, or silence on it: COMMUNICATIONS-INTERRUPTED; by the
/// partner's orderly stop: PARTNER-DOWN; by its own: SHUTDOWN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Normal;

/// COMMUNICATIONS-INTERRUPTED: the partner may be serving unseen.
///
/// **Owns** the addresses whose lowest bit is its rank.
/// **May** answer everybody: grant free addresses of its half and prolong any lease, up to the
/// maximum client lead time beyond what the partner is known to have.
/// **Leaves by** a link to the partner over which both have sent all that is dirty: NORMAL; by
/// the partner having lost its disk, having stopped in order, or somebody saying that it is off:
/// PARTNER-DOWN; by meeting a partner in PARTNER-DOWN: CONFLICT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interrupted;

/// PARTNER-DOWN: the partner is known not to serve, and cannot again without asking this node.
///
/// **Owns** its half; the partner's half when what the partner may have promised is over.
/// **May** answer everybody, grant and prolong for the full time.
/// **Leaves by** the partner having recovered, and having all this node has: NORMAL; by the
/// partner having served after all: CONFLICT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartnerDown {
    /// Up to when the partner may have promised what this node does not know; zero: it told all.
    pub(crate) since: Time,
}

/// RECOVER: the partner served alone, or this node lost its disk.
///
/// **Owns** nothing.
/// **May** answer nobody; it learns everything from its partner, and tells all it still has.
/// **Leaves by** both having everything of the other: RECOVER-WAIT after a lost disk, else
/// RECOVER-DONE; by `solo_at` without a partner: COMMUNICATIONS-INTERRUPTED, alone and probing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recover {
    /// When to serve alone all the same; `None` for a node that knows nothing.
    pub(crate) solo_at: Option<Time>,
}

/// RECOVER-WAIT: leases this node gave before it lost its disk may still run.
///
/// **Owns** nothing.
/// **May** answer nobody.
/// **Leaves by** `until`, when the last of them is over: RECOVER-DONE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecoverWait {
    pub(crate) until: Time,
}

/// RECOVER-DONE: ready to serve; the partner must leave PARTNER-DOWN first.
///
/// **Owns** nothing.
/// **May** answer nobody.
/// **Leaves by** the partner being in NORMAL, durably: NORMAL; by the partner being in SHUTDOWN:
/// PARTNER-DOWN; by the end of the link: RECOVER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecoverDone;

/// CONFLICT: both served as if the other was down.
///
/// **Owns** nothing.
/// **May** prolong leases, as in COMMUNICATIONS-INTERRUPTED; no new client gets an address.
/// **Leaves by** both having sent all they have: NORMAL; by the end of the link:
/// COMMUNICATIONS-INTERRUPTED.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict;

/// SHUTDOWN: stopped in order; the partner serves everybody.
///
/// **Owns** nothing.
/// **May** answer nobody.
/// **Leaves by** being asked to go on, or the next start: RECOVER, over another link: on this one
/// the partner may act on it for as long as it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shutdown;

impl State {
    /// Its name.
    pub(crate) fn name(&self) -> PairState {
        match self {
            State::Standalone(_) => PairState::Standalone,
            State::Startup(_) => PairState::Startup,
            State::Normal(_) => PairState::Normal,
            State::Interrupted(_) => PairState::CommunicationsInterrupted,
            State::PartnerDown(_) => PairState::PartnerDown,
            State::Recover(_) => PairState::Recover,
            State::RecoverWait(_) => PairState::RecoverWait,
            State::RecoverDone(_) => PairState::RecoverDone,
            State::Conflict(_) => PairState::Conflict,
            State::Shutdown(_) => PairState::Shutdown,
        }
    }
}

impl PairState {
    /// Whether a node in this state answers clients.
    pub(crate) fn serves(self) -> bool {
        match self {
            PairState::Standalone
            | PairState::Normal
            | PairState::CommunicationsInterrupted
            | PairState::PartnerDown
            | PairState::Conflict => true,
            PairState::Startup
            | PairState::Recover
            | PairState::RecoverWait
            | PairState::RecoverDone
            | PairState::Shutdown => false,
        }
    }

    /// Whether a node in this state must learn from its partner before it may serve.
    pub(crate) fn recovers(self) -> bool {
        matches!(self, PairState::Recover | PairState::RecoverWait | PairState::RecoverDone)
    }
}
