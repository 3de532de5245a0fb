//! The answer cache: whole answers as wire bytes, bounded in bytes.
//!
//! Keyed by lower-case name, group of upstreams, type, DO and CD (class IN only). Reading takes one shared lock of one
//! shard (`quick_cache`) for the time of a hash lookup; nothing writes on that path but an
//! insertion in the same shard, which needs an upstream's answer first. A copy of the cache for
//! each worker would be free of locks but would multiply memory and misses by the number of cores.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use foldhash::quality::RandomState;
use quick_cache::sync::Cache as Sharded;

use crate::name::MAX_WIRE;
use crate::wire::{CLASS_IN, Ede, Query, Rcode, Reply};
use crate::{Bogus, Name, RecordType};

mod chain;
mod entry;
mod saved;

pub(crate) use chain::to_name;
pub(crate) use entry::{Entry, Use};
pub use saved::DamagedCache;

/// Time since some fixed instant in the past, never going back. The pipeline gets it as an
/// argument, so that tests own the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now(pub Duration);

/// TTL of a record served from an expired answer (RFC 8767, 4).
pub(crate) const STALE_TTL_SECS: u32 = 30;

/// For how long after expiry an answer may still serve when no forwarder answers.
pub(crate) const STALE_FOR: Duration = Duration::from_secs(24 * 3600);

/// A failure is remembered at least so long, and doubling while it goes on, at most so long (RFC
/// 9520, 3.2).
const FAILURE_MIN: Duration = Duration::from_secs(1);
const FAILURE_MAX: Duration = Duration::from_secs(300);

/// One that begins no later than this after the last, or than that one lasted, is the same.
const FAILURE_GOES_ON: Duration = Duration::from_secs(30);

/// While an expired answer stands in, it is at most so long before the true one is asked for again
/// (RFC 8767, 5: the failure recheck timer).
const STALE_RECHECK: Duration = Duration::from_secs(30);

/// How many failed questions are remembered.
const FAILURES: usize = 10_000;

/// Bytes an entry takes beside its own: the map's slot, the two counters of its Arc, allocator.
const OVERHEAD: u64 = 128;

/// Bytes of a key after the name: the group's tag, the type, DO and CD.
const KEY_TAIL: usize = 8 + 2 + 1;

/// What a question's answer is kept under.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    bytes: [u8; MAX_WIRE + KEY_TAIL],
    len: u16,
}

/// Why a question could not be answered, remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) why: FailureKind,
    until: Now,
    lasting: Duration,
}

/// Why no forwarder gave an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// None is configured.
    NoForwarder,
    /// None answered in time.
    Timeout,
    /// None could be reached.
    Unreachable,
    /// None could prove who it is.
    Untrusted,
    /// They could not, because of the dates of their certificates.
    Untimely,
    /// They answered with this error.
    Answered(Rcode),
    /// Their answer to this question cannot be read.
    Garbled,
    /// What they replied was no answer to any question.
    Strange,
    /// Too many questions are in flight already.
    Overload,
    /// Too many questions of this client, or of all, wait already.
    Crowded,
    /// Its aliases lead in a circle or too far.
    Circle,
    /// Finding it would take more questions, or checking it more signatures, than any is worth.
    TooMuch,
    /// No name server of its zone gives a usable answer.
    Lame,
    /// The answer does not validate.
    Bogus(Bogus),
    /// It does, and the name asks for a key to be trusted that is not, or the other way round.
    Sentinel,
}

/// What the cache knows about a question.
#[derive(Clone, Debug)]
pub(crate) enum Cached {
    Missing,
    /// In its time to live.
    Fresh(Arc<Entry>),
    /// Past it, usable when asking fails; and whether asking has just failed.
    Stale(Arc<Entry>, Option<Failure>),
    /// No answer, and asking has just failed.
    Failed(Failure),
}

#[derive(Clone)]
struct Weigh;

impl quick_cache::Weighter<u64, Arc<Entry>> for Weigh {
    fn weight(&self, _hash: &u64, entry: &Arc<Entry>) -> u64 {
        entry.size() as u64 + OVERHEAD
    }
}

/// The cache. Safe to share between threads.
pub(crate) struct Cache {
    /// By the key's hash; the key itself stands in the entry, beside what is read anyway, so that
    /// finding an entry touches less memory. Of two keys with one hash the later is kept.
    answers: Sharded<u64, Arc<Entry>, Weigh>,
    /// By a hash alone, and so by one that nobody can find two names for.
    failures: Sharded<u64, Failure>,
    failure_hasher: std::hash::RandomState,
    /// Seeded anew in every process: nobody can prepare names that collide.
    hasher: RandomState,
}

impl Key {
    /// `name` is lower-case wire format; only its first 255 bytes count.
    pub(crate) fn new(name: &[u8], tag: u64, rtype: RecordType, dnssec_ok: bool, cd: bool) -> Self {
        let mut bytes = [0; MAX_WIRE + KEY_TAIL];
        let len = name.len().min(MAX_WIRE);
        let [high, low] = rtype.0.to_be_bytes();
        bytes[..len].copy_from_slice(&name[..len]);
        bytes[len..len + 8].copy_from_slice(&tag.to_be_bytes());
        let flags = u8::from(dnssec_ok) | u8::from(cd) << 1;
        bytes[len + 8..len + KEY_TAIL].copy_from_slice(&[high, low, flags]);
        Self { bytes, len: (len + KEY_TAIL) as u16 }
    }

    /// A key as [`Key::as_bytes`] gives it.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (rest, flags) = (bytes.get(..bytes.len().checked_sub(1)?)?, *bytes.last()?);
        let (rest, rtype) = rest.split_last_chunk::<2>()?;
        let (name, tag) = rest.split_last_chunk::<8>()?;
        let name = Name::from_wire(name)?;
        let tag = u64::from_be_bytes(*tag);
        let rtype = RecordType(u16::from_be_bytes(*rtype));
        Some(Self::new(name.as_wire(), tag, rtype, flags & 1 != 0, flags & 2 != 0))
    }

    /// The question it is kept for, in wire format.
    fn question(&self) -> Vec<u8> {
        let bytes = self.as_bytes();
        let (name, tail) = bytes.split_at(bytes.len() - KEY_TAIL);
        [name, tail.get(8..10).unwrap_or_default(), &CLASS_IN.to_be_bytes()].concat()
    }

    fn is_for(&self, name: &Name, rtype: u16) -> bool {
        let start = self.as_bytes().strip_prefix(name.as_wire());
        let rest = start.and_then(|rest| rest.get(8..));
        rest.and_then(|rest| rest.strip_prefix(&rtype.to_be_bytes())).is_some_and(|f| f.len() == 1)
    }

    fn dnssec_ok(&self) -> bool {
        self.as_bytes().last().is_some_and(|flags| flags & 1 != 0)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl Cache {
    pub(crate) fn new(bytes: u64) -> Self {
        // An ordinary answer takes about 300 bytes in all.
        let items = (bytes / 300).clamp(100, 10_000_000) as usize;
        Self {
            answers: Sharded::with_weighter(items, bytes, Weigh),
            failures: Sharded::new(FAILURES),
            failure_hasher: std::hash::RandomState::new(),
            hasher: RandomState::default(),
        }
    }

    fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    fn failure_hash(&self, key: &[u8]) -> u64 {
        self.failure_hasher.hash_one(key)
    }

    pub(crate) fn get(&self, key: &[u8], now: Now) -> Cached {
        let hash = self.hash(key);
        let entry = self.answers.get(&hash).filter(|entry| entry.key() == key);
        if let Some(entry) = &entry
            && now < entry.expires()
        {
            return Cached::Fresh(entry.clone());
        }
        let failure = self.failures.get(&self.failure_hash(key));
        let failure = failure.filter(|failure| now < failure.until);
        match (entry.filter(|entry| now.0 < entry.expires().0 + STALE_FOR), failure) {
            (Some(entry), failure) => Cached::Stale(entry, failure),
            (None, Some(failure)) => Cached::Failed(failure),
            (None, None) => Cached::Missing,
        }
    }

    /// Keeps an answer, unless its time to live is zero: then there is none any more, the one before
    /// included.
    pub(crate) fn insert(&self, entry: &Arc<Entry>) {
        let hash = self.hash(entry.key());
        self.failures.remove(&self.failure_hash(entry.key()));
        match entry.lives() {
            true => self.answers.insert(hash, entry.clone()),
            false => self.remove(entry.key()),
        }
    }

    /// Remembers that asking failed.
    pub(crate) fn insert_failure(&self, key: &[u8], why: FailureKind, now: Now) -> Failure {
        let hash = self.failure_hash(key);
        let most =
            if self.answers.contains_key(&self.hash(key)) { STALE_RECHECK } else { FAILURE_MAX };
        let goes_on = |last: &Failure| now.0 < last.until.0 + last.lasting.max(FAILURE_GOES_ON);
        let lasting = match self.failures.get(&hash).filter(goes_on) {
            // Still failing soon after the last try: twice as long.
            Some(last) => (last.lasting * 2).min(most),
            None => FAILURE_MIN,
        };
        let failure = Failure { why, until: Now(now.0 + lasting), lasting };
        self.failures.insert(hash, failure);
        failure
    }

    /// Forgets what failed: whoever was asked then can be reached again.
    pub(crate) fn clear_failures(&self) {
        self.failures.clear();
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.answers.clear();
        self.failures.clear();
    }

    /// Forgets the answer under `key`.
    pub(crate) fn remove(&self, key: &[u8]) {
        self.answers.remove_if(&self.hash(key), |entry| entry.key() == key);
    }

    /// Forgets what is kept under `name`, of any type, and under names below it when `below`. How
    /// many answers those were.
    pub(crate) fn forget(&self, name: &Name, below: bool) -> usize {
        let before = self.answers.len();
        self.answers.retain(|_, entry| {
            let Some(key) = Key::from_bytes(entry.key()) else { return false };
            let question = key.question();
            let asked = question.get(..question.len() - 4).unwrap_or_default();
            let matches = match below {
                true => crate::name::suffixes(asked).any(|suffix| suffix == name.as_wire()),
                false => asked == name.as_wire(),
            };
            // Whoever was led to the name by an alias would be led there again.
            let leads = |target: &Name| target == name || (below && target.is_within(name));
            !matches && !entry.targets().iter().any(leads)
        });
        // They are kept by hash alone.
        self.failures.clear();
        before.saturating_sub(self.answers.len())
    }

    /// Entries and bytes held.
    pub(crate) fn held(&self) -> (usize, u64) {
        (self.answers.len(), self.answers.weight())
    }
}

impl FailureKind {
    /// Whether the failure says something about the question, so that it is worth remembering.
    pub(crate) fn is_lasting(self) -> bool {
        !matches!(self, Self::Overload | Self::Crowded | Self::NoForwarder)
    }

    fn code(self) -> u16 {
        match self {
            Self::NoForwarder | Self::Timeout | Self::Lame => Ede::NO_REACHABLE_AUTHORITY,
            Self::Unreachable
            | Self::Untrusted
            | Self::Untimely
            | Self::Garbled
            | Self::Strange => Ede::NETWORK_ERROR,
            Self::Answered(_) | Self::Circle | Self::TooMuch | Self::Sentinel => Ede::OTHER,
            Self::Overload | Self::Crowded => Ede::OTHER,
            Self::Bogus(why) => why.code(),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::NoForwarder => "no upstream resolver is configured",
            Self::Timeout => "no upstream resolver answered in time",
            Self::Unreachable => "no upstream resolver could be reached",
            Self::Untrusted => "no upstream resolver could prove who it is",
            Self::Untimely => {
                "no upstream resolver's certificate is valid at the time that this host's clock shows"
            }
            Self::Garbled => "the upstream resolver's answer could not be read",
            Self::Strange => "the upstream resolver's reply was no answer",
            Self::Overload => "too many questions are waiting for upstream resolvers",
            Self::Crowded => "too many questions of this client wait for upstream resolvers",
            Self::Answered(Rcode::REFUSED) => "the upstream resolver answered REFUSED",
            Self::Answered(Rcode::SERV_FAIL) => "the upstream resolver answered SERVFAIL",
            Self::Answered(_) => "the upstream resolver answered with an error",
            Self::Circle => "the name's aliases lead in a circle or too far",
            Self::TooMuch => "finding or checking it would take more work than any name is worth",
            Self::Lame => "no name server of the zone gives a usable answer",
            Self::Bogus(why) => why.as_str(),
            Self::Sentinel => {
                "root key sentinel: whether this key is trusted is as the name denies"
            }
        }
    }

    /// Writes SERVFAIL with the reason; `remembered` when the failure is an earlier one's.
    pub(crate) fn write(
        self,
        query: &Query<'_>,
        remembered: bool,
        limit: usize,
        out: &mut Vec<u8>,
    ) {
        // What is wrong with a zone's signatures matters more than when that was found.
        let remembered = remembered && !matches!(self, Self::Bogus(_));
        let code = if remembered { Ede::CACHED_ERROR } else { self.code() };
        let text = |out: &mut Vec<u8>| out.extend_from_slice(self.as_str().as_bytes());
        Reply::to(query, Rcode::SERV_FAIL, out).finish(limit, Some(Ede { code, text: &text }));
    }
}

impl std::fmt::Display for FailureKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("held", &self.held()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
