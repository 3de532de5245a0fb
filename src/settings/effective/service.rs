//! Service addresses: which of them can be in force, and where each is at home.

use std::net::IpAddr;

use lanward_ha::Rank;

use super::networks::Inside;
use super::{Effective, HostView, Household, ServiceView};
use crate::settings::problem::{Place, Problem};
use crate::settings::records::{Network, Record, Reservation, ServiceAddress};

/// Of each family a network has two at most: one for each host.
const OF_A_FAMILY: usize = 2;

/// The service addresses of a network that can be in force. Without a word on it the first of a
/// family is at home on the host of rank 0 and the second on the other.
pub(super) fn service_addresses(
    id: &str,
    network: &Network,
    household: &Household,
    host: &HostView,
    effective: &mut Effective,
) -> Vec<ServiceView> {
    let key = Network::key(id);
    let mut kept: Vec<ServiceView> = Vec::new();
    for (i, service) in network.service_addresses.iter().enumerate() {
        let place = Place::new(&key, format!("service_addresses[{i}]"));
        let mut inside = Inside { id, subnet: network.subnet, key: &key, effective };
        let lies_inside = match service.address {
            IpAddr::V4(addr) => inside.usable(addr, &place.field),
            IpAddr::V6(addr) => {
                network.prefixes6.iter().any(|prefix| prefix.contains(&IpAddr::V6(addr))) || {
                    let message = format!("{addr} is in none of the prefixes6 of *{id}*.");
                    let fix = "Add its prefix to prefixes6, or use an address inside one of them.";
                    effective.problems.push(Problem::error(place.clone(), message, fix));
                    false
                }
            }
        };
        if !lies_inside {
            continue;
        }
        let (problem, other) = objection(service.address, network, household, host, &kept, &key);
        if let Some((message, fix)) = problem {
            let problem = Problem::error(place, message, fix);
            effective.problems.push(match other {
                Some(other) => problem.with(other),
                None => problem,
            });
            continue;
        }
        let same = |kept: &&ServiceView| kept.addr.is_ipv4() == service.address.is_ipv4();
        let home = match home(service, host) {
            Ok(Some(home)) => home,
            Ok(None) if kept.iter().filter(same).any(|kept| kept.home == Rank::Zero) => Rank::One,
            Ok(None) => Rank::Zero,
            Err((message, fix)) => {
                effective.problems.push(Problem::warning(place, message, fix));
                if kept.iter().any(|kept| same(&kept)) { Rank::One } else { Rank::Zero }
            }
        };
        kept.push(ServiceView { addr: service.address, home });
    }
    kept
}

type Objection = (Option<(String, String)>, Option<Place>);

/// Why an address of the right network cannot be a service address, and what it clashes with.
fn objection(
    addr: IpAddr,
    network: &Network,
    household: &Household,
    host: &HostView,
    kept: &[ServiceView],
    key: &str,
) -> Objection {
    let at = |field: &str| Some(Place::new(key, field));
    let told = |message: String, fix: &str| Some((message, fix.to_owned()));
    if kept.iter().any(|kept| kept.addr == addr) {
        return (told(format!("{addr} is there twice."), "Leave one of them out."), None);
    }
    if kept.iter().filter(|kept| kept.addr.is_ipv4() == addr.is_ipv4()).count() >= OF_A_FAMILY {
        let message = format!("{addr} is one too many: a pair has two hosts.");
        return (told(message, "Keep two IPv4 and two IPv6 addresses at most."), None);
    }
    let owner = match () {
        () if host.addresses.contains(&addr) => Some("this host's"),
        () if host.partner_addresses.contains(&addr) => Some("the other host's"),
        () => None,
    };
    if let Some(owner) = owner {
        let message = format!("{addr} is {owner} own address, and a service address moves.");
        return (told(message, "Use an address that no host and no device has."), None);
    }
    let IpAddr::V4(v4) = addr else { return (None, None) };
    if network.router == Some(v4) {
        let fix = "Use an address that no host and no device has.";
        return (told(format!("{addr} is the router's address."), fix), at("router"));
    }
    let dhcp = network.dhcp.as_ref().filter(|dhcp| dhcp.enabled);
    let holds = |range: &crate::settings::words::Range| range.first <= v4 && v4 <= range.last;
    if let Some(dhcp) = dhcp.filter(|dhcp| !dhcp.exclude.iter().any(holds))
        && let Some(i) = dhcp.pools.iter().position(holds)
    {
        let message = format!("{addr} is in the pool {}.", dhcp.pools[i]);
        let fix = "Use an address outside the pools, or add it to `exclude`.";
        return (told(message, fix), at(&format!("dhcp.pools[{i}]")));
    }
    let reserved = household.reservations.iter().find(|(_, r)| r.address == v4);
    if let Some((id, _)) = reserved {
        let fix = "Use another address, or remove the reservation.";
        let other = Some(Place::new(Reservation::key(id), "address"));
        return (told(format!("{addr} is reserved for a device."), fix), other);
    }
    (None, None)
}

/// The rank of the host an address names as its home; what is wrong, and how to mend it, when there
/// is no such host.
/// While there is no pair, the name of the host to come is not known: not judged.
fn home(service: &ServiceAddress, host: &HostView) -> Result<Option<Rank>, (String, String)> {
    let Some(name) = &service.home else { return Ok(None) };
    let is = |other: &str| other.eq_ignore_ascii_case(name);
    let rank = host.pair.as_ref().map_or(Rank::Zero, |pair| pair.rank);
    match &host.pair {
        _ if is(&host.node) => Ok(Some(rank)),
        Some(pair) if is(&pair.partner) => Ok(Some(rank.other())),
        Some(pair) => Err((
            format!("No host of this pair is called {name}: the home goes by the order."),
            format!("Write {} or {}, or leave `home` out.", host.node, pair.partner),
        )),
        None if host.node.is_empty() => Ok(None),
        None => Ok(Some(Rank::One)),
    }
}
