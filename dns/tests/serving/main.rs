//! A running server on loopback sockets, with a small upstream of the test's own.

mod faults;
mod forwarding;
mod listeners;
mod support;
