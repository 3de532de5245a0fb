//! The node: one pure machine that joins the DHCP server, the pair and the settings document.
//!
//! It routes and orders; it never interprets a packet. The shell and the simulator drive the very
//! same code: feed [`Input`]s with [`Node::handle`], drain [`Output`]s with [`Node::poll_output`]
//! after each, and wake it at [`Node::poll_timeout`] with [`Input::Timeout`].

mod words;

pub use words::{EditError, Input, NodeConfig, Output};
