//! The network lab: a household in network namespaces of one Linux machine, with two real hosts,
//! a router, and real DHCP clients.
//!
//! It needs root, a kernel with namespaces, veth, bridges and nftables, and the Debian packages
//! that `.ci/run` installs. Elsewhere its scenarios are skipped, loudly; with
//! `LANWARD_REQUIRE_LAB=1` they fail instead. Nothing outside its own namespaces and a temporary
//! folder is touched.
//!
//! A scenario is a [`Story`] told over a [`Lab`]: build it, switch devices on, kill, cut, heal,
//! and look at what the devices have.
#![allow(
    clippy::disallowed_methods,
    reason = "the lab is a shell: it waits for real programs on the real clock"
)]

pub mod clock;
pub mod crowd;
pub mod daemon;
pub mod device;
pub mod dig;
pub mod household;
pub mod netns;
mod pair;
pub mod process;
pub mod story;
pub mod stub;
pub mod upstream;
pub(crate) mod wire;

use std::time::Duration;

use tempfile::TempDir;

pub use clock::HostClock;
pub use crowd::{Crowd, Grant, shared};
pub use daemon::{Daemon, LEASE_SECS};
pub use device::{Device, Lease, Program, Turn};
pub use household::{Cut, Household, Place, Side, Vlan};
pub use netns::Netns;
pub use process::{Process, wait_for};
pub use story::Story;
pub use stub::{Lookups, Stub};
pub use upstream::Upstream;

/// Seconds, for short.
pub const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A household with two hosts. Nothing runs on them until it is started.
#[derive(Debug)]
pub struct Lab {
    /// The wires, the hosts' namespaces and the router.
    pub household: Household,
    /// A computer with a fixed address on the home network, to look at things from.
    pub desk: Netns,
    /// The Internet's names.
    pub upstream: Upstream,
    daemons: [Daemon; 2],
    crowds: u8,
    // Removed last: logs are read until then.
    dir: TempDir,
}

impl Lab {
    /// Builds it.
    ///
    /// # Panics
    /// When the kernel or a tool refuses.
    pub fn build(label: &str) -> Lab {
        let dir = netns::folder();
        let mut household = Household::build(label, dir.path());
        let desk = household.plug_in("desk", Vlan::Home, Place::Middle);
        desk.ip(&format!("addr add {}/24 dev eth0", Vlan::Home.address(9)));
        desk.ip(&format!("route add default via {}", Vlan::Home.router()));
        let upstream = Upstream::start(household.router());
        let daemons = Side::BOTH.map(|side| Daemon::new(side, dir.path()));
        Lab { household, desk, upstream, daemons, crowds: 0, dir }
    }

    /// The folder for logs and settings.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Plugs in a device; it is not switched on yet.
    pub fn device(&mut self, name: &str, program: Program, vlan: Vlan) -> Device {
        let netns = self.household.plug_in(name, vlan, Place::Middle);
        let mac = self.household.last_mac();
        Device::new(name, (vlan, mac), program, netns, self.dir.path())
    }

    /// Plugs in `count` devices that nobody has seen before.
    pub fn crowd(&mut self, count: u16, vlan: Vlan, place: Place) -> Crowd {
        self.crowds += 1;
        let netns = self.household.plug_in(&format!("crowd{}", self.crowds), vlan, place);
        Crowd::new(netns, self.crowds, count)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for side in Side::BOTH {
            story::say(&format!("-- log of {side}:\n{}\n", self.daemon(side).log_tail(60)));
        }
        story::say(&format!("-- log of the relay agent:\n{}\n", self.household.relay_log()));
    }
}
