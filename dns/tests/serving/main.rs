//! A running server on loopback sockets, with a small upstream of the test's own.
#![allow(clippy::disallowed_methods, reason = "these tests run on real time")]

mod browser;
mod clients;
mod compliance;
mod costs;
mod dns64;
mod encrypted;
mod encrypted_upstreams;
mod faults;
mod flood;
mod forwarding;
mod limits;
mod listeners;
mod longest;
mod lying;
#[path = "../../src/fuzz/mutate.rs"]
mod mutate;
mod odd_records;
mod secure;
mod secure_upstream;
mod support;
mod unguessable;
mod upstreams;
mod waiting;
