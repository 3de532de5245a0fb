//! The lab's scenarios (tests/src/lab): one binary, one scenario at a time.
//!
//! `cargo build && cargo test --test lab` as root. Each scenario needs a minute or less.
#![allow(clippy::disallowed_methods, reason = "scenarios measure real programs by the real clock")]

mod wires;
