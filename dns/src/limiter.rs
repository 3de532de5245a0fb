//! How much each client asks: a token bucket for each, in a table that needs no lock.
//!
//! The buckets are of the kind called GCRA: all that is kept of a client is the moment at which its
//! bucket will be full again, which fits, with a tag that tells clients apart, into one atomic. A
//! place in the table is one cache line of eight such words; who finds none of its own there takes
//! the one that has been quiet for longest. Thus memory is fixed, and a flood from made-up sources
//! can make the table forget, but never refuse, somebody.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::offenders::Offenders;
use crate::{Now, RateLimit};

const PLACES: usize = 1024;
const TAG_BITS: u32 = 16;
const TIME_BITS: u32 = 64 - TAG_BITS;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// The table.
pub(crate) struct Limiter {
    places: Box<[Place]>,
    /// Seeded: nobody can choose sources that share a place.
    hasher: RandomState,
    pub(crate) over: Offenders,
}

#[derive(Default)]
#[repr(align(64))]
struct Place([AtomicU64; 8]);

impl Default for Limiter {
    fn default() -> Self {
        Self {
            places: (0..PLACES).map(|_| Place::default()).collect(),
            hasher: RandomState::new(),
            over: Offenders::default(),
        }
    }
}

impl Limiter {
    /// Counts a question; false when the client has asked too much.
    pub(crate) fn admits(&self, source: IpAddr, limit: RateLimit, now: Now) -> bool {
        let client = source.to_canonical();
        let hash = self.hasher.hash_one(client);
        let tag = hash >> TIME_BITS;
        let now_micros = (now.0.as_micros() as u64) & TIME_MASK;
        let Some(Place(words)) = self.places.get(hash as usize % PLACES) else { return true };
        let mine = words.iter().find(|word| word.load(Ordering::Relaxed) >> TIME_BITS == tag);
        let quietest = || words.iter().min_by_key(|word| word.load(Ordering::Relaxed) & TIME_MASK);
        let Some(word) = mine.or_else(quietest) else { return true };
        let old = word.load(Ordering::Relaxed);
        let full_at = if old >> TIME_BITS == tag { old & TIME_MASK } else { 0 };
        let each = 1_000_000 / u64::from(limit.per_second.max(1));
        let next = full_at.max(now_micros) + each;
        if next - now_micros > each * u64::from(limit.burst.max(1)) {
            self.over.note(client, now);
            return false;
        }
        // Another core may have counted for the same client just now: one question too many is
        // let through, which is cheaper than to try again.
        let new = tag << TIME_BITS | (next & TIME_MASK);
        let _ = word.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed);
        true
    }
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limiter").field("over", &self.over).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::offenders::Over;

    const LIMIT: RateLimit = RateLimit { per_second: 100, burst: 50 };

    fn at(millis: u64) -> Now {
        Now(Duration::from_millis(1_000_000 + millis))
    }

    fn admitted(limiter: &Limiter, source: &str, times: usize, now: Now) -> usize {
        let source = source.parse().unwrap();
        (0..times).filter(|_| limiter.admits(source, LIMIT, now)).count()
    }

    #[test]
    fn a_burst_is_admitted_and_then_the_rate() {
        let limiter = Limiter::default();
        assert_eq!(admitted(&limiter, "10.0.0.1", 500, at(0)), 50);
        assert_eq!(admitted(&limiter, "10.0.0.1", 500, at(100)), 10);
        assert_eq!(admitted(&limiter, "10.0.0.1", 500, at(100_000)), 50, "quiet for long");
        let steady = (0..1000).map(|i| admitted(&limiter, "10.0.0.1", 1, at(200_000 + i * 10)));
        assert_eq!(steady.sum::<usize>(), 1000, "a client at the rate is never refused");
    }

    #[test]
    fn one_client_over_its_limit_takes_nothing_from_its_neighbours() {
        let limiter = Limiter::default();
        assert_eq!(admitted(&limiter, "10.0.0.1", 10_000, at(0)), 50);
        for last in 2..250 {
            assert_eq!(admitted(&limiter, &format!("10.0.0.{last}"), 20, at(0)), 20, "{last}");
        }
        let over = limiter.over.all();
        assert_eq!(over, [("10.0.0.1".parse().unwrap(), Over { last: at(0), refused: 9950 })]);
    }

    #[test]
    fn devices_of_one_ipv6_network_do_not_share_a_limit() {
        let limiter = Limiter::default();
        for device in 1..100 {
            assert_eq!(admitted(&limiter, &format!("fd00:10::{device:x}"), 60, at(0)), 50);
        }
        assert_eq!(admitted(&limiter, "::ffff:10.0.0.9", 40, at(0)), 40);
        assert_eq!(admitted(&limiter, "10.0.0.9", 40, at(0)), 10, "the same client as IPv4");
    }

    #[test]
    fn a_flood_of_made_up_sources_makes_nobody_be_refused() {
        let limiter = Limiter::default();
        for i in 0..200_000_u32 {
            let source = IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 | i));
            assert!(limiter.admits(source, LIMIT, at(0)));
        }
        assert!(limiter.over.all().is_empty());
    }
}
