//! The promises that are checked when everything is mended: the two find together again, nothing
//! was forgotten, and whoever is left serves.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use lanward::node::Node;
use lanward_dhcp::{BindingState, ClientKey, HwAddr, LeaseBook};
use lanward_ha::{PairState, Versions};

use super::check::SLACK_MS;
use super::client::{Client, Manner};
use super::host::Moment;
use super::plan::Cut;
use super::world::{GUARD, MCLT, World};
use crate::dhcp_client::Mac;

/// How long two mended nodes may take to become equal, when nobody has to wait for leases that
/// nobody knows of. What was offered to nobody who asked is free again by then, too.
const CONVERGED_WITHIN: Moment = 62_000;
/// How long a table may be on its way from one equal state to the next.
const BETWEEN: Moment = 30_000;
/// How long a new device may look for an address.
const SERVED_WITHIN: Moment = 20_000;
/// How long it takes both to notice a cut.
const NOTICED_WITHIN: Moment = 20_000;

/// Both directions, unannounced, for good.
const FOR_GOOD: Cut = Cut {
    silences: [true; 2],
    only_reset: false,
    kept: false,
    everywhere: false,
    noticed: [None; 2],
    lasts: 100_000_000,
};

impl World {
    /// I7: mended and left alone, the two become equal, and stay it.
    pub(super) fn check_converges(&mut self) -> Result<(), String> {
        self.run_until(self.now + CONVERGED_WITHIN)?;
        // A node that lost its disk waits for the leases it may have given: MCLT and guard.
        let waits = self.hosts.iter().any(|host| host.state == PairState::RecoverWait);
        if waits {
            self.run_until(self.now + (MCLT + GUARD).as_millis() as u64)?;
        }
        // Leases go on ending; between two steps of that the tables must be equal.
        let patience = self.now + BETWEEN;
        loop {
            match self.differences() {
                None => return Ok(()),
                Some(differences) if self.now >= patience => {
                    return Err(format!("I7: mended for 90 s, and {differences}"));
                }
                Some(_) => {
                    if !self.step(patience)? {
                        self.now = patience;
                    }
                }
            }
        }
    }

    fn differences(&self) -> Option<String> {
        let [Some(a), Some(b)] = [&self.hosts[0].node, &self.hosts[1].node] else {
            return Some("a node is down".to_owned());
        };
        for node in [a, b] {
            let status = node.pair().status();
            if status.state != PairState::Normal {
                let refusal = status.partner.and_then(|partner| partner.refusal);
                return Some(format!("{} is in {}: {refusal:?}", status.node, status.state));
            }
            if status.unsynced > 0 {
                return Some(format!("{} has {} bindings to tell", status.node, status.unsynced));
            }
        }
        if a.records() != b.records() || a.collisions() != b.collisions() {
            return Some("the settings differ".to_owned());
        }
        let (left, right) = (table(a), table(b));
        if left != right {
            let differs = |addr: &&Ipv4Addr| left.get(*addr) != right.get(*addr);
            let addr = left.keys().chain(right.keys()).find(differs)?;
            let (left, right) = (left.get(addr), right.get(addr));
            return Some(format!("{addr} is {left:?} at a and {right:?} at b"));
        }
        a.pair().bindings().filter(|binding| binding.state == BindingState::Active).find_map(
            |binding| {
                let other = b.pair().binding(binding.addr)?.client_expiry;
                let left = binding.client_expiry.since(self.hosts[0].clock(self.now));
                let right = other.since(self.hosts[1].clock(self.now));
                let differ = left.abs_diff(right) > Duration::from_millis(SLACK_MS);
                differ.then(|| format!("{} ends in {left:?} at a, {right:?} at b", binding.addr))
            },
        )
    }

    /// I2: after all that happened, no address that a device rightly believes to hold can go to
    /// another.
    pub(super) fn check_kept(&self) -> Result<(), String> {
        let stranger = named([2, 0, 0x5e, 0x10, 1, 1]);
        for (number, client) in self.clients.iter().enumerate() {
            let Some(held) = client.valid(self.now) else { continue };
            for host in &self.hosts {
                let node = host.node.as_ref();
                let now = host.clock(self.now);
                let free = |node: &Node| node.pair().may_grant(now, held.addr, &stranger).is_ok();
                if node.is_some_and(free) {
                    return self.promise(|| {
                        format!("I2: {} forgot that device {number} has {}", host.name, held.addr)
                    });
                }
            }
        }
        Ok(())
    }

    /// I8: a new device is served by the pair, and by each node alone while its half lasts; a
    /// device that has a lease keeps it.
    pub(super) fn check_service(&mut self) -> Result<(), String> {
        self.check_served(&[0, 1])?;
        self.cut(FOR_GOOD);
        self.run_until(self.now + NOTICED_WITHIN)?;
        for (host, alone) in [(0, &[0][..]), (1, &[1][..])] {
            let state = self.hosts[host].state;
            if state != PairState::CommunicationsInterrupted {
                let after = NOTICED_WITHIN / 1000;
                return Err(format!(
                    "I8: {after} s after a cut {} is in {state}",
                    self.hosts[host].name
                ));
            }
            self.check_served(alone)?;
            self.check_rebinds(alone)?;
        }
        Ok(())
    }

    fn check_served(&mut self, hosts: &'static [usize]) -> Result<(), String> {
        let number = self.clients.len() as u8;
        let client = usize::from(number);
        self.clients.push(Client::new(number, Manner::Polite));
        let stranger = named(self.clients[client].mac);
        let free = self.dynamic_addresses().find(|addr| {
            hosts.iter().any(|host| {
                let now = self.hosts[*host].clock(self.now);
                let node = self.hosts[*host].node.as_ref();
                let granted = |node: &Node| node.pair().may_grant(now, *addr, &stranger).is_ok();
                node.is_some_and(granted) && !self.shadow.was_declined(*host, *addr)
            })
        });
        self.reach = Some(hosts);
        self.discover(client);
        let end = self.now + SERVED_WITHIN;
        while self.clients[client].valid(self.now).is_none() && self.step(end)? {}
        if let Some(addr) = free.filter(|_| self.clients[client].valid(self.now).is_none()) {
            return Err(format!("I8: a new device was not served by {hosts:?}, with {addr} free"));
        }
        Ok(())
    }

    /// The first device with a lease that the host knows asks it to prolong it.
    fn check_rebinds(&mut self, hosts: &'static [usize]) -> Result<(), String> {
        let polite = |client: &&Client| client.manner == Manner::Polite;
        let known = |client: &Client, addr| {
            hosts.iter().all(|host| {
                let node = self.hosts[*host].node.as_ref();
                node.and_then(|node| node.pair().binding(addr)).is_some_and(|binding| {
                    binding.state == BindingState::Active
                        && binding.client.as_ref().is_some_and(|c| c.hw.bytes() == client.mac)
                })
            })
        };
        let lasting = |client: &Client| {
            client
                .valid(self.now + SERVED_WITHIN)
                .filter(|held| self.is_dynamic(held.addr) && known(client, held.addr))
        };
        let found = self.clients.iter().enumerate().find_map(|(number, client)| {
            let held = lasting(client).filter(|_| polite(&client))?;
            Some((number, held))
        });
        let Some((number, held)) = found.filter(|(n, _)| !self.clients[*n].ended_by_hand) else {
            return Ok(());
        };
        self.reach = Some(hosts);
        let before = self.outcome.leases;
        let packet = self.clients[number].rebind(held, 8);
        self.send_packet(&packet);
        let end = self.now + 6_000;
        while self.outcome.leases == before && self.step(end)? {}
        if self.outcome.leases == before {
            return Err(format!(
                "I8: device {number} could not prolong {} at {hosts:?}",
                held.addr
            ));
        }
        Ok(())
    }

    /// Whether the settings in force let anybody have an address.
    fn is_dynamic(&self, addr: Ipv4Addr) -> bool {
        let Some(node) = &self.hosts[0].node else { return false };
        node.effective().dhcp.networks.values().any(|network| {
            network.pools.iter().any(|pool| pool.contains(&addr))
                && !network.reservations.iter().any(|reservation| reservation.addr == addr)
        })
    }

    fn dynamic_addresses(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        let all = (100..200).map(|last| Ipv4Addr::new(10, 0, 30, last));
        all.filter(|addr| self.is_dynamic(*addr))
    }
}

/// A device as the lease book knows it.
fn named(mac: Mac) -> lanward_dhcp::Client {
    let hw = HwAddr::ethernet(mac);
    let key = ClientKey::Hw(hw);
    lanward_dhcp::Client { key, hw, hostname: None, vendor_class: None, relay_info: None }
}

/// What two equal tables have in common.
fn table(node: &Node) -> BTreeMap<Ipv4Addr, (BindingState, Option<ClientKey>, Versions)> {
    node.pair()
        .bindings()
        .map(|binding| {
            let client = binding.client.as_ref().map(|client| client.key.clone());
            (binding.addr, (binding.state, client, binding.versions))
        })
        .collect()
}
