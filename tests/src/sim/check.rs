//! The promises.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use lanward::node::Node;
use lanward_dhcp::{BindingState, ClientKey, HwAddr, LeaseBook};
use lanward_ha::{Binding, PairState, Versions};

use super::client::{Client, Held};
use super::host::{Host, Moment};
use super::world::{LEASE_SECS, MCLT, World};
use crate::dhcp_client::{Kind, Reply};

/// How long two mended nodes may take to become equal.
const CONVERGED_WITHIN: Moment = 60_000;
/// How long a new device may look for an address.
const SERVED_WITHIN: Moment = 20_000;
/// What delays may add between the two disks: a promise may be as old as silence may last when
/// it is heard. The guard covers it.
const SLACK_MS: u64 = 13_000;

impl World {
    /// I1: at the moment a client accepts a lease, nobody else believes to hold the address.
    pub(super) fn check_unique(&self, client: usize, held: Held) -> Result<(), String> {
        let other = (0..self.clients.len()).find(|other| {
            let theirs = self.clients[*other].valid(self.now);
            *other != client && theirs.is_some_and(|theirs| theirs.addr == held.addr)
        });
        match other {
            Some(other) => Err(format!("I1: devices {client} and {other} both hold {}", held.addr)),
            None => Ok(()),
        }
    }

    /// I6: a device is not denied an address it rightly holds.
    pub(super) fn check_denial(&self, client: usize, held: Option<Held>) -> Result<(), String> {
        match held.filter(|held| held.until > self.now) {
            Some(held) => Err(format!("I6: device {client} was denied its own {}", held.addr)),
            None => Ok(()),
        }
    }

    /// I3, I5 and R4, for what a node says to a client.
    pub(super) fn check_reply(&self, host: usize, reply: &Reply) -> Result<(), String> {
        let Some(node) = &self.hosts[host].node else {
            return Err("a node that is down answered".to_owned());
        };
        let status = node.pair().status();
        if !status.serving {
            return Err(format!("I5: {:?} said in the state {}", reply.kind, status.state));
        }
        let Some(secs) = reply.lease_secs().filter(|_| reply.kind == Kind::Ack) else {
            return Ok(());
        };
        if u64::from(secs) > LEASE_SECS {
            return Err(format!("a lease of {secs} s was given; {LEASE_SECS} s were configured"));
        }
        let key = ClientKey::Hw(HwAddr::ethernet(reply.mac));
        let is_theirs =
            |binding: &Binding| binding.client.as_ref().is_some_and(|client| client.key == key);
        let own = &self.hosts[host];
        let promised = own.clock(self.now) + Duration::from_secs(u64::from(secs));
        let written = stored(own, reply.yiaddr)
            .filter(is_theirs)
            .is_some_and(|binding| binding.client_expiry + Duration::from_secs(2) >= promised);
        if !written {
            return Err(format!("R4: {} was promised before it was written", reply.yiaddr));
        }
        if status.state == PairState::Standalone {
            return Ok(());
        }
        // The partner's disk as it is now, on the partner's clock.
        let partner = &self.hosts[1 - host];
        let now = partner.clock(self.now);
        let known = stored(partner, reply.yiaddr).filter(is_theirs).map_or(now, |binding| {
            let told = binding.recv_potential.max(binding.sent_potential);
            told.max(binding.client_expiry)
        });
        let allowed = known.since(now) + MCLT + Duration::from_millis(SLACK_MS);
        if u64::from(secs) > allowed.as_secs() {
            return Err(format!(
                "I3: {} s of {} for device {}, where the partner's disk allows {} s",
                secs,
                reply.yiaddr,
                reply.mac[5],
                allowed.as_secs()
            ));
        }
        Ok(())
    }

    /// I7: mended and left alone, the two become equal, and stay it.
    pub(super) fn check_converges(&mut self) -> Result<(), String> {
        let end = self.now + CONVERGED_WITHIN;
        self.run_until(end)?;
        // Leases go on ending; between two steps of that the tables must be equal.
        let patience = self.now + 30_000;
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

    /// I8: a new device is served by the pair, and by each node alone while its half lasts.
    pub(super) fn check_service(&mut self) -> Result<(), String> {
        self.check_served(&[0, 1])?;
        self.cut();
        self.run_until(self.now + 70_000)?;
        for host in 0..2 {
            let state = self.hosts[host].node.as_ref().map(|node| node.pair().status().state);
            if state != Some(PairState::CommunicationsInterrupted) {
                return Err(format!("I8: 70 s after a cut {} is in {state:?}", ["a", "b"][host]));
            }
            self.check_served(&[host])?;
        }
        Ok(())
    }

    fn check_served(&mut self, hosts: &[usize]) -> Result<(), String> {
        // What was offered to nobody who asked is free again after a minute.
        self.run_until(self.now + 61_000)?;
        let number = self.clients.len() as u8;
        let client = usize::from(number);
        self.clients.push(Client::new(number));
        let hw = HwAddr::ethernet(self.clients[client].mac);
        let stranger = lanward_dhcp::Client {
            key: ClientKey::Hw(hw),
            hw,
            hostname: None,
            vendor_class: None,
            relay_info: None,
        };
        let open = (100..=self.pool_last).filter(|last| Some(*last) != self.reserved);
        let free = open.map(|last| Ipv4Addr::new(10, 0, 30, last)).any(|addr| {
            hosts.iter().any(|host| {
                let now = self.hosts[*host].clock(self.now);
                let node = self.hosts[*host].node.as_ref();
                node.is_some_and(|node| node.pair().may_grant(now, addr, &stranger).is_ok())
            })
        });
        self.reach = Some(hosts.to_vec());
        self.discover(client);
        self.run_until(self.now + SERVED_WITHIN)?;
        if free && self.clients[client].valid(self.now).is_none() {
            return Err(format!("I8: a new device was not served by {hosts:?}"));
        }
        Ok(())
    }
}

/// What a host's disk has of an address.
fn stored(host: &Host, addr: Ipv4Addr) -> Option<Binding> {
    let key = Binding::store_key(addr);
    Binding::from_store(&key, host.disk.get(&key)?)
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
