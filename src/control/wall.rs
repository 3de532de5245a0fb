//! The wall clock, for people. Nothing is decided by it.
#![allow(clippy::disallowed_methods, reason = "the composition hands the time to the pure parts")]

use jiff::Timestamp;
use lanward_dhcp::Time;

/// Now, by the wall clock.
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

/// Now, as the milliseconds since 1970 that dates in the change log are made of.
pub(super) fn date() -> Time {
    Time::from_millis(u64::try_from(now().as_millisecond()).unwrap_or(0))
}
