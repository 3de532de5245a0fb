//! A running server on loopback sockets, with a small upstream of the test's own.
#![allow(clippy::disallowed_methods, reason = "these tests run on real time")]

mod encrypted;
mod faults;
mod forwarding;
mod listeners;
mod lying;
mod secure_upstream;
mod support;
mod upstreams;
