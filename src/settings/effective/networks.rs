//! Networks with their scopes, reservations and names.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use lanward_dhcp::EncryptedDns;
use lanward_dns::{ClientNetwork, PolicyId};

use super::pools::pools;
use super::reservations::reservations;
use super::service::service_addresses;
use super::{Effective, HostView, Household, NetworkView, filtering, options};
use crate::settings::problem::{Place, Problem};
use crate::settings::records::{Dhcp, Network, Record, Reservation};
use crate::settings::words::Range;

/// Below this a device has hardly asked before its lease is over.
const LEASE_LEAST_SECS: u64 = 10;

pub(super) fn derive(household: &Household, host: &HostView, effective: &mut Effective) {
    let default = filtering::policy_id(household, "default").unwrap_or_default();
    for loopback in ["127.0.0.0/8", "::1/128"] {
        if let Ok(subnet) = loopback.parse() {
            effective.policies.networks.push(ClientNetwork { subnet, policy: default });
        }
    }
    let mut accepted: Vec<(&str, &Network)> = Vec::new();
    for (id, network) in &household.networks {
        if let Some((other, overlapping)) =
            accepted.iter().find(|(_, other)| overlap(other.subnet, network.subnet))
        {
            effective.problems.push(
                Problem::error(
                    Place::new(Network::key(id), "subnet"),
                    format!(
                        "{} of *{id}* overlaps {} of *{other}*.",
                        network.subnet, overlapping.subnet
                    ),
                    "Give each network a subnet of its own.",
                )
                .with(Place::new(Network::key(other), "subnet")),
            );
            continue;
        }
        accepted.push((id, network));
        one(id, network, household, host, default, effective);
    }
    for (id, reservation) in &household.reservations {
        if !household.networks.contains_key(reservation.network.as_str()) {
            effective.problems.push(filtering::unknown(
                Place::new(Reservation::key(id), "network"),
                "network",
                reservation.network.as_str(),
                household.networks.keys(),
            ));
        }
    }
}

/// Derives one network whose subnet is its own.
fn one(
    id: &str,
    network: &Network,
    household: &Household,
    host: &HostView,
    default: PolicyId,
    effective: &mut Effective,
) {
    let key = Network::key(id);
    let policy = filtering::policy_id(household, network.policy.as_str());
    if policy.is_none() {
        effective.problems.push(filtering::unknown(
            Place::new(&key, "policy"),
            "policy",
            network.policy.as_str(),
            household.policies.keys(),
        ));
    }
    let clients = std::iter::once(IpNet::V4(network.subnet)).chain(network.prefixes6.clone());
    for subnet in clients {
        let policy = policy.unwrap_or(default);
        effective.policies.networks.push(ClientNetwork { subnet, policy });
    }
    let domain: Arc<str> =
        network.domain.as_ref().map_or(effective.domain.clone(), |name| name.as_str().into());
    let mut inside = Inside { id, subnet: network.subnet, key: &key, effective };
    let router = network.router.filter(|router| inside.usable(*router, "router"));
    let service_addresses = service_addresses(id, network, household, host, effective);
    let shared: Vec<Ipv4Addr> =
        service_addresses.iter().filter_map(|service| v4(service.addr)).collect();
    let own = own_in(&host.addresses, network.subnet, &shared);
    let partner = own_in(&host.partner_addresses, network.subnet, &shared);
    let dns_servers = match network.dhcp.as_ref().and_then(|dhcp| dhcp.dns.clone()) {
        Some(given) => given,
        None if !shared.is_empty() && !host.without_service_addresses => shared,
        None => both_hosts(host, own, partner),
    };
    let reservations = reservations(id, network, &domain, household, effective);
    let view = NetworkView {
        id: id.into(),
        name: network.name.as_deref().unwrap_or(id).into(),
        vlan: network.vlan,
        subnet: network.subnet,
        prefixes6: network.prefixes6.clone(),
        router,
        own,
        partner,
        service_addresses,
        dns_servers,
        policy: network.policy.as_str().into(),
        domain,
        dhcp: network.dhcp.as_ref().is_some_and(|dhcp| dhcp.enabled),
    };
    if let Some(dhcp) = network.dhcp.as_ref().filter(|dhcp| dhcp.enabled) {
        let scope = scope(dhcp, &view, host, reservations, effective);
        effective.dhcp.networks.insert(view.id.clone(), scope);
    }
    effective.networks.push(view);
}

fn scope(
    dhcp: &Dhcp,
    view: &NetworkView,
    host: &HostView,
    reservations: Vec<lanward_dhcp::Reservation>,
    effective: &mut Effective,
) -> lanward_dhcp::Network {
    let key = Network::key(&view.id);
    let mut taken: Vec<Range> = dhcp.exclude.clone();
    // Whatever the record says, nobody is lent an address that is somebody's already.
    let fixed = [view.router, view.own, view.partner].into_iter().flatten();
    let services = view.service_addresses.iter().filter_map(|service| v4(service.addr));
    taken.extend(fixed.chain(services).map(Range::one));
    let pools = pools(dhcp, view, &taken, effective);
    let place = Place::new(&key, "dhcp.lease_time");
    if dhcp.lease_time.0.as_secs() < LEASE_LEAST_SECS {
        effective.problems.push(Problem::error(
            place,
            format!("A lease of {} is too short to be renewed in time.", dhcp.lease_time),
            "Use 10s or more; 24h suits a household.",
        ));
    } else if dhcp.lease_time.0.as_secs() < 60 {
        effective.problems.push(Problem::warning(
            place,
            format!("With a lease of {} devices renew all the time.", dhcp.lease_time),
            "24h suits a household.",
        ));
    }
    let longest = u64::from(u32::MAX - 1);
    let secs = |time: std::time::Duration| {
        std::time::Duration::from_secs(time.as_secs().clamp(LEASE_LEAST_SECS, longest))
    };
    let lease_time = secs(dhcp.lease_time.0);
    let max_lease_time = secs(dhcp.max_lease_time.map_or(lease_time, |time| time.0));
    if max_lease_time < lease_time {
        effective.problems.push(
            Problem::error(
                Place::new(&key, "dhcp.max_lease_time"),
                "The longest lease time is shorter than the lease time.",
                format!("Use {} or more.", dhcp.lease_time),
            )
            .with(Place::new(&key, "dhcp.lease_time")),
        );
    }
    lanward_dhcp::Network {
        subnet: (view.subnet.network(), view.subnet.prefix_len()),
        server_addr: view.own,
        pools,
        use_client_id: dhcp.client_id,
        lease_time,
        max_lease_time: max_lease_time.max(lease_time),
        authoritative: dhcp.authoritative,
        probe: dhcp.probe,
        options: dhcp_options(dhcp, view, host, effective),
        domain: view.domain.clone(),
        reservations,
    }
}

/// All options of a scope, encoded.
fn dhcp_options(
    dhcp: &Dhcp,
    view: &NetworkView,
    host: &HostView,
    effective: &mut Effective,
) -> BTreeMap<u8, Vec<u8>> {
    let key = Network::key(&view.id);
    let mut all: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    let mut set = |code: u8, field: &str, value: Vec<u8>| {
        if value.is_empty() {
            return;
        }
        if value.len() > options::LONGEST {
            effective.problems.push(Problem::error(
                Place::new(&key, field),
                format!("This makes {} bytes, and a DHCP option holds 255.", value.len()),
                "Leave some of it out.",
            ));
            return;
        }
        all.insert(code, value);
    };
    let router: Vec<Ipv4Addr> = view.router.into_iter().collect();
    set(1, "subnet", view.subnet.netmask().octets().to_vec());
    set(3, "router", options::addresses(&router));
    set(6, "dhcp.dns", options::addresses(&view.dns_servers));
    set(15, "domain", view.domain.as_bytes().to_vec());
    if view.subnet.prefix_len() < 31 {
        set(28, "subnet", view.subnet.broadcast().octets().to_vec());
    }
    set(42, "dhcp.ntp", options::addresses(&dhcp.ntp));
    set(119, "dhcp.search", options::search_list(&dhcp.search));
    if !dhcp.routes.is_empty() {
        set(121, "dhcp.routes", options::routes(&dhcp.routes, view.router));
    }
    // Without any address the host is not known at all: a file is being checked.
    let nobody = dhcp.dns.is_none() && view.dns_servers.is_empty() && !host.addresses.is_empty();
    let mut problems = Vec::new();
    for (i, option) in dhcp.options.iter().enumerate() {
        let place = Place::new(&key, format!("dhcp.options[{i}]"));
        match options::raw(option) {
            Ok(_) if all.contains_key(&option.code) => problems.push(Problem::error(
                place,
                format!("Option {} is given twice.", option.code),
                "Leave one of them out.",
            )),
            Ok(value) => {
                all.insert(option.code, value);
            }
            Err(wrong) => problems.push(Problem::error(place, wrong.message, wrong.fix)),
        }
    }
    let given_by_hand = all.contains_key(&162);
    let told = EncryptedDns::encode(&options::encrypted_dns(view, host, &effective.domain));
    if !told.is_empty() && !given_by_hand {
        all.insert(162, told);
    }
    if nobody {
        problems.push(Problem::warning(
            Place::new(&key, "service_addresses"),
            format!(
                "Devices on *{}* are told no DNS server: no address of this host is known.",
                view.id
            ),
            "Give this host an address in the subnet, or set `dns` in its dhcp table.",
        ));
    }
    effective.problems.append(&mut problems);
    all
}

/// Checks addresses against the subnet they must lie in.
pub(super) struct Inside<'a> {
    pub(super) id: &'a str,
    pub(super) subnet: Ipv4Net,
    pub(super) key: &'a str,
    pub(super) effective: &'a mut Effective,
}

impl Inside<'_> {
    /// Whether a device can have `addr`; tells when not.
    pub(super) fn usable(&mut self, addr: Ipv4Addr, field: &str) -> bool {
        let (lowest, highest) = hosts(self.subnet);
        if (lowest..=highest).contains(&addr) {
            return true;
        }
        let message = if self.subnet.contains(&addr) {
            format!("{addr} is no device's address: it names *{}* or its broadcast.", self.id)
        } else {
            format!("{addr} is outside *{}* {}.", self.id, self.subnet)
        };
        let problem = Problem::error(
            Place::new(self.key, field),
            message,
            format!("Use an address from {lowest} to {highest}."),
        );
        let subnet = Place::new(Network::key(self.id), "subnet");
        self.effective.problems.push(problem.with(subnet));
        false
    }
}

/// The lowest and the highest address a device may have.
pub(super) fn hosts(subnet: Ipv4Net) -> (Ipv4Addr, Ipv4Addr) {
    let (network, broadcast) = (subnet.network(), subnet.broadcast());
    if subnet.prefix_len() >= 31 {
        return (network, broadcast);
    }
    (Ipv4Addr::from(u32::from(network) + 1), Ipv4Addr::from(u32::from(broadcast) - 1))
}

fn v4(addr: IpAddr) -> Option<Ipv4Addr> {
    match addr {
        IpAddr::V4(addr) => Some(addr),
        IpAddr::V6(_) => None,
    }
}

fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

/// A host's own address in `subnet`: the first that is not one of the shared ones, which may move
/// to the partner; else the first at all, for those who share their only addresses.
fn own_in(addresses: &[IpAddr], subnet: Ipv4Net, shared: &[Ipv4Addr]) -> Option<Ipv4Addr> {
    let inside = || {
        addresses.iter().filter_map(|addr| match addr {
            IpAddr::V4(addr) if subnet.contains(addr) => Some(*addr),
            _ => None,
        })
    };
    inside().find(|addr| !shared.contains(addr)).or_else(|| inside().next())
}

/// Both hosts' addresses for option 6, in an order both hosts agree on. On a network they are
/// not attached to, the first address each of them has elsewhere.
fn both_hosts(host: &HostView, own: Option<Ipv4Addr>, partner: Option<Ipv4Addr>) -> Vec<Ipv4Addr> {
    let elsewhere = |addresses: &[IpAddr]| {
        addresses.iter().find_map(|addr| match addr {
            IpAddr::V4(addr) if !addr.is_loopback() && !addr.is_unspecified() => Some(*addr),
            _ => None,
        })
    };
    let own = own.or_else(|| elsewhere(&host.addresses));
    let partner = partner.or_else(|| elsewhere(&host.partner_addresses));
    let mut both: Vec<Ipv4Addr> = own.into_iter().chain(partner).collect();
    both.sort_unstable();
    both.dedup();
    both
}
