//! What the simulator, the network lab and the end-to-end tests are made of.

pub mod dhcp_client;
pub mod faults;
pub mod lab;
pub mod sim;
