//! The promises, checked as things happen.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use lanward::node::Node;
use lanward_dhcp::{BindingState, ClientKey, Dropped, HwAddr, Refusal, Time};
use lanward_ha::{Batch, Binding, PairState, Rank, Versions};

use super::client::Held;
use super::host::Moment;
use super::world::{LEASE_SECS, MCLT, World};
use crate::dhcp_client::{Kind, Reply};

/// What delays may add between the two disks: a promise may be as old as silence may last when
/// it is heard. The guard covers it.
pub(super) const SLACK_MS: u64 = 13_000;
/// How long after an offer its client may still ask for it: as long as a node waits for that.
const HONOURED_FOR: Moment = 20_000;
/// How many addresses one node lets a device decline.
const DECLINES: u32 = 5;

/// How long a lone node prolongs a lease that it cannot save.
const UNSAVED: Duration = Duration::from_secs(3600);

/// What is remembered of the nodes, to see what they change.
#[derive(Debug, Default)]
pub(super) struct Shadow {
    hosts: [Seen; 2],
}

#[derive(Debug, Default)]
struct Seen {
    bindings: Vec<Option<Known>>,
    /// Declines believed, by device, since the node started.
    declines: Vec<u32>,
    /// When the node last offered something to each device, and in which exchange, since it
    /// started.
    offers: Vec<Option<(u32, Moment)>>,
    /// The addresses declined: for an hour, longer than a run lasts, the node offers them to
    /// nobody, even where the lease went on at its partner.
    declined: BTreeSet<Ipv4Addr>,
}

/// A binding as it was.
#[derive(Clone, Debug)]
struct Known {
    state: BindingState,
    client: Option<ClientKey>,
    versions: Versions,
}

impl Known {
    fn of(binding: &Binding) -> Known {
        let client = binding.client.as_ref().map(|client| client.key.clone());
        Known { state: binding.state, client, versions: binding.versions }
    }
}

impl Shadow {
    /// A node has started with what its disk held.
    pub(super) fn restart(&mut self, host: usize, node: &Node) {
        let seen = &mut self.hosts[host];
        seen.bindings = vec![None; 256];
        seen.declines = vec![0; 256];
        seen.offers = vec![None; 256];
        seen.declined.clear();
        for binding in node.pair().bindings() {
            seen.bindings[usize::from(binding.addr.octets()[3])] = Some(Known::of(binding));
        }
    }

    /// The owner changed the place the node has: while that is written down, it is of neither.
    pub(super) fn forget_offers(&mut self, host: usize) {
        self.hosts[host].offers.fill(None);
    }

    /// Whether a device declined the address at this node.
    pub(super) fn was_declined(&self, host: usize, addr: Ipv4Addr) -> bool {
        self.hosts[host].declined.contains(&addr)
    }
}

/// Whether the settings in force on a node reserve an address for a client.
fn is_reserved(node: &Node, addr: Ipv4Addr, client: &lanward_dhcp::Client) -> bool {
    node.effective().dhcp.networks.values().any(|network| {
        network.reservations.iter().any(|reservation| {
            reservation.addr == addr && reservation.is_for(&client.hw, &client.key)
        })
    })
}

impl World {
    /// I1: at the moment a client accepts a lease, nobody else believes to hold the address.
    pub(super) fn check_unique(&self, client: usize, held: Held) -> Result<(), String> {
        let other = (0..self.clients.len()).find(|other| {
            let theirs = self.clients[*other].valid(self.now);
            *other != client && theirs.is_some_and(|theirs| theirs.addr == held.addr)
        });
        match other {
            Some(other) => {
                self.promise(|| format!("I1: devices {client} and {other} both hold {}", held.addr))
            }
            None => Ok(()),
        }
    }

    /// I6: a device is not denied an address it rightly holds, unless the owner reserved it for
    /// another one since (pair protocol, section 5).
    pub(super) fn check_denial(
        &self,
        client: usize,
        held: Option<Held>,
        reserved: bool,
    ) -> Result<(), String> {
        match held.filter(|held| held.until > self.now && !reserved) {
            Some(held) if !self.clients[client].ended_by_hand => {
                self.promise(|| format!("I6: device {client} was denied its own {}", held.addr))
            }
            _ => Ok(()),
        }
    }

    /// Whether a host, as it answers, has reserved what the device holds.
    pub(super) fn has_reserved_held(&self, host: usize, client: usize) -> bool {
        let held = self.clients.get(client).and_then(|client| client.held);
        let (Some(held), Some(node)) = (held, &self.hosts[host].node) else { return false };
        let networks = node.effective().dhcp.networks.values();
        networks.flat_map(|network| &network.reservations).any(|r| r.addr == held.addr)
    }

    /// I4: whoever binds an address to a new client owns it, and it was free by agreement; a node
    /// whose partner is known not to serve excepted. What a node was `learning` from a frame it
    /// granted nobody, though a node that finds its store to be an old copy numbers what it
    /// learned anew, as if the changes were its own.
    pub(super) fn check_first_grants(
        &mut self,
        host: usize,
        batch: &Batch,
        learning: bool,
    ) -> Result<(), String> {
        let Some(node) = &self.hosts[host].node else { return Ok(()) };
        // One batch may say several things of an address, one after the other.
        for write in &batch.writes {
            let addr = write.key.strip_prefix("binding/").and_then(|addr| addr.parse().ok());
            let Some(addr): Option<Ipv4Addr> = addr else { continue };
            let slot = usize::from(addr.octets()[3]);
            let Some(seen) = self.shadow.hosts[host].bindings.get_mut(slot) else { continue };
            let value = write.value.as_deref();
            let Some(binding) = value.and_then(|value| Binding::from_store(&write.key, value))
            else {
                *seen = None;
                continue;
            };
            let new = Known::of(&binding);
            let old = seen.replace(new.clone());
            let rank = node.pair().rank();
            // A change of this node counts its own version up, and no other; what it was told
            // is not dirty.
            let Versions(was) = old.as_ref().map_or(Versions::default(), |old| old.versions);
            let Versions(is) = new.versions;
            let (own, other) = (rank.index(), rank.other().index());
            let counted = binding.dirty && is[own] > was[own] && is[other] == was[other];
            let by_this_node = counted && binding.cltt == self.hosts[host].clock(self.now);
            if new.state != BindingState::Active || !by_this_node || learning {
                continue;
            }
            // What stands for a record that could not be read is replaced, not granted.
            let stood_in = old.as_ref().is_some_and(|old| {
                old.state == BindingState::Declined && old.versions == Versions::default()
            });
            if stood_in {
                continue;
            }
            let (before, last) =
                old.map_or((BindingState::Free, None), |old| (old.state, old.client));
            let same = last == new.client;
            let owned = Rank::from_index(u32::from(addr) & 1) == Some(rank);
            let fair = match before {
                BindingState::Active => true,
                BindingState::Free => owned,
                BindingState::Expired | BindingState::Released => same && owned,
                BindingState::Declined => false,
            };
            // An address that is pledged to a reservation's client goes to nobody else.
            let fair = fair
                || binding.client.as_ref().is_some_and(|client| is_reserved(node, addr, client));
            let alone =
                matches!(self.hosts[host].state, PairState::Standalone | PairState::PartnerDown);
            if !fair && !alone {
                let state = self.hosts[host].state;
                return self.promise(|| {
                    format!("I4: {addr}, which was {before:?}, was granted in {state}")
                });
            }
        }
        Ok(())
    }

    /// I11: no device takes more than a few addresses out of service.
    pub(super) fn check_misuse(
        &mut self,
        host: usize,
        event: &lanward_dhcp::Event,
    ) -> Result<(), String> {
        let lanward_dhcp::Event::Declined { client: ClientKey::Hw(hw), addr, .. } = event else {
            return Ok(());
        };
        self.shadow.hosts[host].declined.insert(*addr);
        let device = usize::from(*hw.bytes().last().unwrap_or(&0));
        let Some(count) = self.shadow.hosts[host].declines.get_mut(device) else { return Ok(()) };
        *count += 1;
        if *count > DECLINES {
            return Err(format!("I11: device {device} declined {count} addresses at one node"));
        }
        Ok(())
    }

    /// What a device has, or what is reserved for it, it may lose for reasons of its own before it
    /// asks: the offer of such an address promises nothing.
    pub(super) fn remember_offer(&mut self, host: usize, reply: &Reply) {
        let Some(node) = &self.hosts[host].node else { return };
        let hw = HwAddr::ethernet(reply.mac);
        let has = |binding: &Binding| {
            let client = binding.client.as_ref();
            let theirs = client.is_some_and(|client| client.key == ClientKey::Hw(hw));
            theirs && binding.state == BindingState::Active
        };
        let networks = node.effective().dhcp.networks.values();
        let mut reservations = networks.flat_map(|network| &network.reservations);
        // With its partner about it offers nothing of the other half but to who has it, and whether
        // somebody has given that back in the meantime is the partner's to say.
        let promises = reply.kind == Kind::Offer
            && node.pair().status().state == PairState::PartnerDown
            && !node.pair().binding(reply.yiaddr).is_some_and(has)
            && !reservations.any(|reservation| reservation.addr == reply.yiaddr);
        if let Some(slot) = self.shadow.hosts[host].offers.get_mut(usize::from(reply.mac[5])) {
            *slot = promises.then_some((reply.xid, self.now));
        }
    }

    /// I12: a node that goes on serving does not refuse what it offered a moment ago because of
    /// whose half it is: the partner knows nothing of the offer.
    pub(super) fn check_honoured(
        &self,
        host: usize,
        client: usize,
        xid: u32,
        reason: &Dropped,
    ) -> Result<(), String> {
        let Dropped::Refused(Refusal::PartnersHalf) = reason else { return Ok(()) };
        let offered = self.shadow.hosts[host].offers.get(client).copied().flatten();
        match offered.filter(|(of, at)| *of == xid && self.now < at + HONOURED_FOR) {
            Some((_, at)) => self.promise(|| {
                let (name, ago) = (self.hosts[host].name, self.now - at);
                format!("I12: {name} refuses device {client} its offer of {ago} ms ago: {reason}")
            }),
            None => Ok(()),
        }
    }

    /// I3, I5, I9 and R4, for what a node says to a client.
    pub(super) fn check_reply(&self, host: usize, reply: &Reply) -> Result<(), String> {
        let Some(node) = &self.hosts[host].node else {
            return Err("a node that is down answered".to_owned());
        };
        let status = node.pair().status();
        // A node that stops brings to its end what is under way.
        let drains = self.hosts[host].stopping.is_some() && reply.kind == Kind::Ack;
        if !status.serving && !status.prolongs_unsaved && !drains {
            return Err(format!("I5: {:?} said in the state {}", reply.kind, status.state));
        }
        self.check_sole(host, status.state)?;
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
        let moment = Duration::from_secs(2);
        // A lone node that cannot save relies on the patience of its own next start.
        let unsaved = status.prolongs_unsaved && status.state == PairState::Standalone;
        let relied_on = if unsaved { own.clock(self.now) + UNSAVED } else { Time::ZERO };
        let written = own
            .disk
            .binding(reply.yiaddr)
            .filter(is_theirs)
            .filter(|binding| binding.state == BindingState::Active)
            .is_some_and(|binding| binding.client_expiry.max(relied_on) + moment >= promised);
        if !written {
            return Err(format!("R4: {} was promised before it was written", reply.yiaddr));
        }
        let bounded =
            matches!(status.state, PairState::Normal | PairState::CommunicationsInterrupted);
        // A disk that was lost knows nothing; its node serves nobody before it has learned.
        if !bounded || !self.exclude.knows[1 - host] || self.hosts[1 - host].paired.is_none() {
            return Ok(());
        }
        // The partner's disk as it is now, on the partner's clock.
        let partner = &self.hosts[1 - host];
        let now = partner.clock(self.now);
        let known = partner.disk.binding(reply.yiaddr).filter(is_theirs).map_or(now, |binding| {
            let told = binding.recv_potential.max(binding.sent_potential);
            told.max(binding.client_expiry)
        });
        let allowed = known.since(now) + MCLT + Duration::from_millis(SLACK_MS);
        if u64::from(secs) > allowed.as_secs() {
            return self.promise(|| {
                format!(
                    "I3: {secs} s of {} for device {}, where the partner's disk allows {} s",
                    reply.yiaddr,
                    reply.mac[5],
                    allowed.as_secs()
                )
            });
        }
        Ok(())
    }

    /// I9, as it shows: while one node serves everybody with every address, the other serves
    /// nobody.
    fn check_sole(&self, host: usize, state: PairState) -> Result<(), String> {
        let partner = &self.hosts[1 - host];
        let Some(node) = &partner.node else { return Ok(()) };
        let everything = partner.state == PairState::PartnerDown && node.pair().status().serving;
        if everything && partner.paired.is_some() {
            return self.promise(|| format!("I9: a node serves in {state} beside PARTNER-DOWN"));
        }
        Ok(())
    }
}
