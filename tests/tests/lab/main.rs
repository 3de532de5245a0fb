//! The lab's scenarios (tests/src/lab): one binary, one scenario at a time.
//!
//! `cargo build && cargo test --test lab` as root. Each scenario needs a minute or less.
#![allow(clippy::disallowed_methods, reason = "scenarios measure real programs by the real clock")]

mod bad_input;
mod cut;
mod disk;
mod edits;
mod faults;
mod forger;
mod kill;
mod leases;
mod limits;
mod lost;
mod orders;
mod pair_orders;
mod service;
mod shared;
mod skew;
mod stop;
mod table;
mod wires;

use lanward_tests::lab::{Device, Lab, Program, Vlan};

/// One device for each client program on each network, switched on.
fn everybody(lab: &mut Lab) -> Vec<Device> {
    let everywhere = Vlan::ALL.into_iter().flat_map(|vlan| Program::ALL.map(|it| (it, vlan)));
    let devices = everywhere.map(|(program, vlan)| {
        let name = format!("{}-{}", program.name(), vlan.id());
        let mut device = lab.device(&name, program, vlan);
        device.switch_on();
        device
    });
    devices.collect()
}
