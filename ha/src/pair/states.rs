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
/// **Leaves by** being in step with the partner: NORMAL; or by `until`: the interrupted state.
/// A node that never served has no `until`: what it does not know might be promised to somebody.
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
/// **Leaves by** the end of the link, or silence on it: COMMUNICATIONS-INTERRUPTED.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Normal;

/// COMMUNICATIONS-INTERRUPTED: the partner may be serving unseen.
///
/// **Owns** the addresses whose lowest bit is its rank.
/// **May** answer everybody: grant free addresses of its half and prolong any lease, up to the
/// maximum client lead time beyond what the partner is known to have.
/// **Leaves by** a link to the partner over which both have sent all that is dirty: NORMAL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interrupted;

impl State {
    /// Its name.
    pub(crate) fn name(&self) -> PairState {
        match self {
            State::Standalone(_) => PairState::Standalone,
            State::Startup(_) => PairState::Startup,
            State::Normal(_) => PairState::Normal,
            State::Interrupted(_) => PairState::CommunicationsInterrupted,
        }
    }

    /// Whether clients are answered at all.
    pub(crate) fn serves(&self) -> bool {
        !matches!(self, State::Startup(_))
    }
}
