//! The Lanward daemon as a library: what the binary, the simulator and the lab are made of.

pub mod admin;
pub mod aside;
pub mod backend;
pub mod certificates;
pub mod cli;
pub mod control;
pub mod demo;
pub mod history;
pub mod hosts_file;
pub mod identity;
pub mod io;
pub mod lists;
pub mod names;
pub mod node;
pub mod packet_socket;
pub mod pairing;
pub mod pauses;
pub mod service_addresses;
pub mod settings;
pub mod timeline;
