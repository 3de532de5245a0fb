//! The wall clock, for people. Nothing is decided by it.
#![allow(clippy::disallowed_methods, reason = "the composition hands the time to the pure parts")]

use jiff::Timestamp;

/// Now, by the wall clock.
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}
