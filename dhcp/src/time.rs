//! Node time: the one clock a core ever sees, always as an argument.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on a node's own time line, in milliseconds.
///
/// Zero is 1970-01-01T00:00:00Z, but the line is *not* the wall clock: the shell starts it at the
/// later of the wall clock and the last time it stored, then moves it with the monotonic clock, so
/// it never runs backwards, also over a restart with a dead clock battery. Two nodes' times are
/// never compared; what travels between them are durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// 1970-01-01T00:00:00Z, before anything that ever happened.
    pub const ZERO: Time = Time(0);
    /// After everything that will ever happen.
    pub const MAX: Time = Time(u64::MAX);

    /// The time `millis` milliseconds after [`Time::ZERO`].
    pub const fn from_millis(millis: u64) -> Time {
        Time(millis)
    }

    /// Milliseconds since [`Time::ZERO`].
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, d: Duration) -> Time {
        Time(self.0.saturating_add(u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;
    fn sub(self, d: Duration) -> Time {
        Time(self.0.saturating_sub(u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
    }
}
