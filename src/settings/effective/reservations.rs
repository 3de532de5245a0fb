//! Reservations: which of them can be in force, and their names.

use std::sync::Arc;

use lanward_dhcp::{ClientKey, HwAddr};

use super::networks::Inside;
use super::{Effective, Household, ReservedName};
use crate::settings::problem::{Place, Problem};
use crate::settings::records::{Network, Record, Reservation};

/// The reservations of one network that can be in force, and their names.
pub(super) fn reservations(
    network_id: &str,
    network: &Network,
    domain: &Arc<str>,
    household: &Household,
    effective: &mut Effective,
) -> Vec<lanward_dhcp::Reservation> {
    let mut kept: Vec<(&str, &Reservation)> = Vec::new();
    let here = household.reservations.iter().filter(|(_, r)| r.network.as_str() == network_id);
    for (id, reservation) in here {
        let key = Reservation::key(id);
        let mut inside = Inside { id: network_id, subnet: network.subnet, key: &key, effective };
        if !inside.usable(reservation.address, "address") {
            continue;
        }
        if let Some((other, field, message)) = clash(&kept, reservation) {
            effective.problems.push(
                Problem::error(
                    Place::new(&key, field),
                    message,
                    "Keep one of the two reservations, or change this one.",
                )
                .with(Place::new(Reservation::key(other), field)),
            );
            continue;
        }
        let somebodys = network.router == Some(reservation.address)
            || network.service_addresses.iter().any(|it| it.address == reservation.address);
        if somebodys {
            effective.problems.push(
                Problem::error(
                    Place::new(&key, "address"),
                    format!("{} is the network's own.", reservation.address),
                    "Reserve an address that neither the router nor this pair uses.",
                )
                .with(Place::new(Network::key(network_id), "")),
            );
            continue;
        }
        kept.push((id, reservation));
    }
    for (_, reservation) in &kept {
        if let Some(name) = &reservation.name {
            let name = format!("{name}.{domain}").into();
            effective.reserved_names.push(ReservedName { name, addr: reservation.address });
        }
    }
    kept.iter()
        .map(|(_, reservation)| lanward_dhcp::Reservation {
            hw: reservation.mac.map(|mac| HwAddr::ethernet(mac.0)),
            client_id: reservation
                .client_id
                .as_ref()
                .map(|id| ClientKey::Id(id.0.as_slice().into())),
            addr: reservation.address,
            hostname: reservation.name.as_ref().map(|name| name.as_str().into()),
        })
        .collect()
}

/// The earlier reservation that `new` cannot stand beside: its id, the field, and why.
fn clash<'h>(
    kept: &[(&'h str, &Reservation)],
    new: &Reservation,
) -> Option<(&'h str, &'static str, String)> {
    kept.iter().find_map(|(id, old)| {
        let holder = || match (&old.name, old.mac, &old.client_id) {
            (Some(name), Some(mac), _) => format!("*{name}* ({mac})"),
            (Some(name), None, _) => format!("*{name}*"),
            (None, Some(mac), _) => mac.to_string(),
            (None, None, Some(id)) => format!("client {id}"),
            (None, None, None) => "another device".to_owned(),
        };
        if old.address == new.address {
            return Some((
                *id,
                "address",
                format!("{} is reserved for {}.", old.address, holder()),
            ));
        }
        if old.mac.is_some() && old.mac == new.mac {
            return Some((*id, "mac", format!("{} has {} already.", holder(), old.address)));
        }
        if old.client_id.is_some() && old.client_id == new.client_id {
            return Some((*id, "client_id", format!("{} has {} already.", holder(), old.address)));
        }
        if old.name.is_some() && old.name == new.name {
            return Some((*id, "name", format!("{} is called so already.", old.address)));
        }
        None
    })
}
