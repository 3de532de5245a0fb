//! What a pair is told of itself. A value of these types is valid.

use std::time::Duration;

/// A node's place in the pair: it owns the addresses whose lowest bit equals its rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rank {
    /// Owns the even addresses. A lone node has this rank, and so has the node that invited.
    Zero,
    /// Owns the odd addresses. The node that joined.
    One,
}

impl Rank {
    /// 0 or 1.
    pub const fn index(self) -> usize {
        match self {
            Rank::Zero => 0,
            Rank::One => 1,
        }
    }

    /// The partner's rank.
    pub const fn other(self) -> Rank {
        match self {
            Rank::Zero => Rank::One,
            Rank::One => Rank::Zero,
        }
    }

    /// Rank 0 or 1; `None` for anything else.
    pub const fn from_index(index: u32) -> Option<Rank> {
        match index {
            0 => Some(Rank::Zero),
            1 => Some(Rank::One),
            _ => None,
        }
    }
}

/// Names one life of one node's store: made at random when the store is created, and never used
/// again. A partner that comes back with another store id has lost its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub [u8; 16]);

/// Names one pair: made at random by the node that invites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub [u8; 16]);

/// What a [`crate::Pair`] is told of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairConfig {
    /// This node's name, for people.
    pub node: String,
    /// This node's store.
    pub store: StoreId,
    /// The other node; `None` for a lone node.
    pub partner: Option<Partner>,
    /// The protocol's times.
    pub times: Times,
}

/// A node's view of the pair it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partner {
    /// The partner's name, for people, until it tells its own.
    pub name: String,
    /// The pair.
    pub cluster: ClusterId,
    /// This node's own rank in it.
    pub rank: Rank,
}

/// The protocol's times. [`Times::default`] is for households; [`Times::scaled`] is for tests and
/// demonstrations that have not got an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Maximum client lead time: how far beyond what the partner has on its disk a lease may
    /// run. Never zero. Below one hour some devices go on using an address that has expired.
    pub(crate) mclt: Duration,
    /// What clocks may drift and packets may be late: waited on top of a client's expiry. At
    /// least `silence`, because a promise of the partner may be that old when it is heard.
    pub(crate) guard: Duration,
    /// How often each node tells the other that it is there. Shorter than `silence`.
    pub(crate) contact: Duration,
    /// The partner is taken for unreachable after this long without a word.
    pub(crate) silence: Duration,
    /// How long a starting node looks for its partner before it serves alone.
    pub(crate) startup: Duration,
    /// How long a client waits for the partner's disk before the MCLT rule decides.
    pub(crate) sync_wait: Duration,
    /// How long a node that must learn from its partner waits for it, before it serves alone by
    /// probing every address.
    pub(crate) solo_after: Duration,
    /// How long an orderly stop may take.
    pub(crate) stop: Duration,
    /// How long after an offer its client may be about to ask for it.
    pub(crate) offer: Duration,
}

impl Default for Times {
    fn default() -> Times {
        Times {
            mclt: Duration::from_secs(3600),
            guard: Duration::from_secs(60),
            contact: Duration::from_secs(1),
            silence: Duration::from_secs(3),
            startup: Duration::from_secs(10),
            sync_wait: Duration::from_millis(300),
            solo_after: Duration::from_secs(120),
            stop: Duration::from_secs(3),
            offer: Duration::from_secs(5),
        }
    }
}

impl Times {
    /// The household's times with another maximum client lead time; `None` for zero.
    pub fn with_mclt(mclt: Duration) -> Option<Times> {
        (!mclt.is_zero()).then(|| Times { mclt, ..Times::default() })
    }

    /// These times with another MCLT; zero changes nothing.
    pub fn or_mclt(self, mclt: Duration) -> Times {
        if mclt.is_zero() { self } else { Times { mclt, ..self } }
    }

    /// Times for tests and demonstrations: `mclt` and `guard` as given, CONTACT every `contact`,
    /// silence three times that (and `guard` no less), ten times that for a starting node. `None`
    /// when `mclt` or `contact` is zero.
    pub fn scaled(mclt: Duration, guard: Duration, contact: Duration) -> Option<Times> {
        (!mclt.is_zero() && !contact.is_zero()).then(|| Times {
            mclt,
            guard: guard.max(contact * 3),
            contact,
            silence: contact * 3,
            startup: contact * 10,
            sync_wait: Duration::from_millis(300),
            solo_after: contact * 120,
            stop: contact * 3,
            offer: contact * 5,
        })
    }

    /// Maximum client lead time.
    pub fn mclt(&self) -> Duration {
        self.mclt
    }

    /// What is waited on top of a client's expiry.
    pub fn guard(&self) -> Duration {
        self.guard
    }
}
