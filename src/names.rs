//! Which full name belongs to which address.
//!
//! Derived from the lease table and the settings on each node, never written by one node into the
//! other, so the second node cannot miss one. Only what both nodes hold alike may decide here: no
//! clocks, no order of arrival. A hosts file is the exception, and belongs to its host alone.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use lanward_dhcp::{BindingState, ClientKey, Lease, Network};

use crate::hosts_file::HostsFile;
use crate::settings::Effective;

/// One name of one address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostName {
    /// Full name, lower case, without the final dot.
    pub name: Arc<str>,
    /// Its address.
    pub addr: IpAddr,
    /// Where it comes from.
    pub source: Source,
}

/// Where a name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A reservation has it, leased or not.
    Reservation,
    /// One of the pair's hosts is called so.
    Host,
    /// It stands in this line of the hosts file.
    HostsFile(u32),
    /// It is this pair: the addresses that devices are told to ask.
    Service,
    /// It is the router of a network.
    Router,
    /// A device that has a lease calls itself so.
    Lease,
}

/// Who asks for names beside the settings and the leases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Others<'a> {
    /// The pair's hosts: their names (one label) and addresses.
    pub hosts: &'a [(String, Vec<IpAddr>)],
    /// This host's hosts file.
    pub file: Option<&'a HostsFile>,
}

/// A name that a device or a line asked for and did not get.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// The full name.
    pub name: Arc<str>,
    /// The address it was to have.
    pub addr: IpAddr,
    /// Where it comes from.
    pub source: Source,
    /// Why not.
    pub why: Refusal,
}

/// Why a name is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Others look it up to find something that they trust.
    Special,
    /// A reservation, a record, a host of the pair or a line of the hosts file has it.
    Settled,
    /// Another device has it.
    AnotherDevice,
}

/// All names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Those in force. Of several names of one address the first is the one that the address is
    /// said to have.
    pub hosts: Vec<HostName>,
    /// Those that are not.
    pub refused: Vec<Refused>,
}

/// The name of the pair itself, below the domain.
pub const PAIR: &str = "lanward";
/// The name of every network's router, below its domain.
pub const ROUTER: &str = "router";

/// First labels that no device can have by calling itself so, beside those that the DHCP server
/// knows ([`lanward_dhcp::is_reserved_name`]): programs look for them in the domain they are in,
/// and believe what they find. Mail programs take their servers and passwords from some.
const SPECIAL: [&str; 10] = [
    PAIR,
    ROUTER,
    "autoconfig",
    "autodiscover",
    "mta-sts",
    "local",
    "invalid",
    "test",
    "onion",
    "internal",
];

/// The names of the household: reservations first (whether or not they are leased), then the
/// pair's hosts, the hosts file, the pair and the routers, and active leases last.
///
/// A name that any of the others or a record has cannot be taken by a device that merely calls
/// itself so. When two devices call themselves alike, the one with the lower address has the name;
/// a device with two leases (wired and wireless) has both addresses under it only when it used one
/// client identifier for both.
pub fn derive(
    leases: impl Iterator<Item = Lease>,
    settings: &Effective,
    others: Others<'_>,
) -> Names {
    let mut naming = Naming { taken: BTreeMap::new(), out: Names::default() };
    for record in &settings.records {
        naming.taken.insert(Arc::clone(&record.name), Holder::Settings);
    }
    for reserved in &settings.reserved_names {
        naming.settle(&reserved.name, reserved.addr.into(), Source::Reservation);
    }
    let domain = &settings.domain;
    for (host, addresses) in others.hosts {
        let name = full(host, domain);
        naming.taken.entry(Arc::clone(&name)).or_insert(Holder::Settings);
        for addr in addresses {
            naming.push(&name, *addr, Source::Host);
        }
    }
    for entry in others.file.iter().flat_map(|file| &file.entries) {
        naming.entry(entry, domain);
    }
    for network in &settings.networks {
        for service in &network.service_addresses {
            naming.own(PAIR, domain, service.addr, Source::Service);
        }
    }
    for network in &settings.networks {
        if let Some(router) = network.router {
            naming.own(ROUTER, &network.domain, router.into(), Source::Router);
        }
    }
    for lease in leases.filter(|lease| lease.state == BindingState::Active) {
        if let Some(network) = network_of(settings, lease.addr) {
            naming.lease(&lease, network);
        }
    }
    naming.out
}

/// The network an address lies in; the smallest where they nest.
pub fn network_of(settings: &Effective, addr: Ipv4Addr) -> Option<&Network> {
    let all = settings.dhcp.networks.values().filter(|n| n.contains(addr));
    all.max_by_key(|n| n.subnet.1)
}

/// Whom a name belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Holder {
    /// A record, a reservation or a host.
    Settings,
    File,
    /// The pair or the routers.
    Own,
    Device(ClientKey),
}

struct Naming {
    taken: BTreeMap<Arc<str>, Holder>,
    out: Names,
}

impl Naming {
    fn push(&mut self, name: &Arc<str>, addr: IpAddr, source: Source) {
        self.out.hosts.push(HostName { name: Arc::clone(name), addr, source });
    }

    fn refuse(&mut self, name: Arc<str>, addr: IpAddr, source: Source, why: Refusal) {
        self.out.refused.push(Refused { name, addr, source, why });
    }

    fn settle(&mut self, name: &Arc<str>, addr: IpAddr, source: Source) {
        self.taken.insert(Arc::clone(name), Holder::Settings);
        self.push(name, addr, source);
    }

    fn entry(&mut self, entry: &crate::hosts_file::Entry, domain: &str) {
        let source = Source::HostsFile(entry.line);
        for name in &entry.names {
            let name: Arc<str> = name.in_domain(domain).into();
            match self.taken.entry(Arc::clone(&name)).or_insert(Holder::File) {
                Holder::File => self.push(&name, entry.addr, source),
                _ => self.refuse(name, entry.addr, source, Refusal::Settled),
            }
        }
    }

    /// A name of our own making yields to one that somebody has chosen.
    fn own(&mut self, label: &str, domain: &str, addr: IpAddr, source: Source) {
        let name = full(label, domain);
        if *self.taken.entry(Arc::clone(&name)).or_insert(Holder::Own) == Holder::Own {
            self.push(&name, addr, source);
        }
    }

    fn lease(&mut self, lease: &Lease, network: &Network) {
        let Some(client) = &lease.client else { return };
        // A reserved device has the reservation's name and no other.
        if network.reservations.iter().any(|r| r.addr == lease.addr && r.hostname.is_some()) {
            return;
        }
        let Some(hostname) = &client.hostname else { return };
        let name = full(hostname, &network.domain);
        let addr = lease.addr.into();
        if lanward_dhcp::is_reserved_name(hostname) || SPECIAL.contains(&&**hostname) {
            return self.refuse(name, addr, Source::Lease, Refusal::Special);
        }
        let new = || Holder::Device(client.key.clone());
        match self.taken.entry(Arc::clone(&name)).or_insert_with(new) {
            Holder::Device(key) if *key == client.key => self.push(&name, addr, Source::Lease),
            Holder::Device(_) => self.refuse(name, addr, Source::Lease, Refusal::AnotherDevice),
            _ => self.refuse(name, addr, Source::Lease, Refusal::Settled),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Special => "programs look for services under that name",
            Refusal::Settled => "the settings or the hosts file give it to somebody",
            Refusal::AnotherDevice => "another device has it",
        })
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refused { name, addr, source, why } = self;
        match source {
            Source::HostsFile(line) => {
                write!(f, "line {line} of the hosts file does not name {addr} {name}: {why}")
            }
            _ => write!(f, "the device at {addr} is not called {name}: {why}"),
        }
    }
}

fn full(label: &str, domain: &str) -> Arc<str> {
    format!("{}.{domain}", label.to_ascii_lowercase()).into()
}

#[cfg(test)]
mod tests;
