//! How much each client asks: a token bucket for each, in a table that needs no lock.
//!
//! The buckets are of the kind called GCRA: all that is kept of a client is the moment at which its
//! bucket will be full again, which fits, with a tag that tells clients apart, into one atomic. A
//! place in the table is one cache line of eight such words; who finds none of its own there takes
//! the one that has been quiet for longest. Thus memory is fixed, and a flood from made-up sources
//! can make the table forget, but never refuse, somebody.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foldhash::quality::RandomState;

use crate::offenders::Offenders;
use crate::{Now, RateLimit};

const PLACES: usize = 1024;
const TAG_BITS: u32 = 16;
const TIME_BITS: u32 = 64 - TAG_BITS;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// What each client has asked lately, and who asked too much.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    /// Over UDP.
    asked: Buckets,
    /// Surplus questions that were sent to TCP.
    referred: Buckets,
    /// Over connections.
    connected: Buckets,
    pub(crate) over: Offenders,
}

/// What becomes of a question over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Admitted,
    /// Too much, but the client may be told to come over TCP.
    Referred,
    /// More than a client that can be told anything would ask.
    Ignored,
}

impl Limiter {
    /// Counts a question over UDP. As many of a client's surplus questions are referred as it may
    /// ask: a flood costs no more than that in answers.
    pub(crate) fn admit(&self, source: IpAddr, limit: RateLimit, now: Now) -> Admission {
        let client = source.to_canonical();
        let at_once = |buckets: &Buckets| buckets.take(client, limit, now, Duration::ZERO);
        if at_once(&self.asked).is_some() {
            return Admission::Admitted;
        }
        self.over.note(client, now);
        match at_once(&self.referred) {
            Some(_) => Admission::Referred,
            None => Admission::Ignored,
        }
    }

    /// Counts a question over a connection: how long it has to wait for its turn. `None` when that
    /// would be longer than `patience`: then it is not counted.
    pub(crate) fn pace(
        &self,
        source: IpAddr,
        limit: RateLimit,
        now: Now,
        patience: Duration,
    ) -> Option<Duration> {
        let client = source.to_canonical();
        let wait = self.connected.take(client, limit, now, patience);
        if wait != Some(Duration::ZERO) {
            self.over.note(client, now);
        }
        wait
    }
}

/// A table of buckets.
struct Buckets {
    places: Box<[Place]>,
    /// Seeded: nobody can choose sources that share a place.
    hasher: RandomState,
}

#[derive(Default)]
#[repr(align(64))]
struct Place([AtomicU64; 8]);

impl Default for Buckets {
    fn default() -> Self {
        Self {
            places: (0..PLACES).map(|_| Place::default()).collect(),
            hasher: RandomState::default(),
        }
    }
}

impl Buckets {
    /// Takes a token out of the client's bucket, which may be in debt for up to `patience`: how long
    /// until the token is there. `None` when it would be longer.
    fn take(
        &self,
        client: IpAddr,
        limit: RateLimit,
        now: Now,
        patience: Duration,
    ) -> Option<Duration> {
        let at_once = Some(Duration::ZERO);
        let hash = self.hasher.hash_one(client);
        let tag = hash >> TIME_BITS;
        let now_micros = (now.0.as_micros() as u64) & TIME_MASK;
        let Some(Place(words)) = self.places.get(hash as usize % PLACES) else { return at_once };
        let mine = words.iter().find(|word| word.load(Ordering::Relaxed) >> TIME_BITS == tag);
        let quietest = || words.iter().min_by_key(|word| word.load(Ordering::Relaxed) & TIME_MASK);
        let Some(word) = mine.or_else(quietest) else { return at_once };
        let old = word.load(Ordering::Relaxed);
        let full_at = if old >> TIME_BITS == tag { old & TIME_MASK } else { 0 };
        let each = 1_000_000 / u64::from(limit.per_second.max(1));
        let next = full_at.max(now_micros) + each;
        let debt = (next - now_micros).saturating_sub(each * u64::from(limit.burst.max(1)));
        let wait = Duration::from_micros(debt);
        if wait > patience {
            return None;
        }
        // Another core may have counted for the same client just now: one question too many is
        // let through, which is cheaper than to try again.
        let new = tag << TIME_BITS | (next & TIME_MASK);
        let _ = word.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed);
        Some(wait)
    }
}

impl std::fmt::Debug for Buckets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buckets").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offenders::Over;

    const LIMIT: RateLimit = RateLimit { per_second: 100, burst: 50 };

    fn at(millis: u64) -> Now {
        Now(Duration::from_millis(1_000_000 + millis))
    }

    fn admitted(limiter: &Limiter, source: &str, times: usize, now: Now) -> usize {
        let source = source.parse().unwrap();
        let admit = |_: &usize| limiter.admit(source, LIMIT, now) == Admission::Admitted;
        (0..times).filter(admit).count()
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
            assert_eq!(limiter.admit(source, LIMIT, at(0)), Admission::Admitted);
        }
        assert!(limiter.over.all().is_empty());
    }

    #[test]
    fn as_much_of_a_surplus_is_referred_as_is_admitted_and_no_more() {
        let limiter = Limiter::default();
        let source = "10.0.0.1".parse().unwrap();
        let asked = |times: usize, now: Now| {
            let all: Vec<Admission> =
                (0..times).map(|_| limiter.admit(source, LIMIT, now)).collect();
            [Admission::Admitted, Admission::Referred, Admission::Ignored]
                .map(|what| all.iter().filter(|one| **one == what).count())
        };
        assert_eq!(asked(80, at(0)), [50, 30, 0], "one that is merely busy hears of it each time");
        assert_eq!(asked(10_000, at(0)), [0, 20, 9980]);
        assert_eq!(asked(5_000, at(100)), [10, 10, 4980]);
    }

    #[test]
    fn a_busy_connection_is_slowed_to_the_rate_and_has_its_turn_whatever_comes_over_udp() {
        let limiter = Limiter::default();
        let source = "10.0.0.1".parse().unwrap();
        let patience = Duration::from_secs(1);
        let waits: Vec<_> =
            (0..200).map(|_| limiter.pace(source, LIMIT, at(0), patience)).collect();
        let millis = |at: usize| waits[at].map(|wait| wait.as_millis());
        assert_eq!((millis(49), millis(50), millis(51)), (Some(0), Some(10), Some(20)));
        assert_eq!((millis(149), millis(150)), (Some(1000), None), "nobody waits for ever");
        assert_eq!(limiter.over.all()[0].1.refused, 150);
        assert_eq!(admitted(&limiter, "10.0.0.1", 100, at(0)), 50, "UDP has its own share");
        assert_eq!(limiter.pace(source, LIMIT, at(0), patience), None);
        assert_eq!(limiter.pace(source, LIMIT, at(500), patience).unwrap().as_millis(), 510);
    }
}
