//! The shells: sockets, files, threads and clocks. Files in here do not import each other.

pub mod admin_socket;
pub mod background;
pub mod cache_file;
pub mod clock;
pub mod dhcp_socket;
pub mod fetch;
pub mod guard;
pub mod interfaces;
pub mod learned_file;
pub mod link;
pub mod memory;
pub mod neighbours;
pub mod netlink;
pub mod port_owner;
pub mod probe;
pub mod resolve;
pub mod self_test;
pub mod store;
#[cfg(test)]
mod test_namespace;
pub mod timeline_file;
