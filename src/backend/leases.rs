//! Leases, reservations and networks as pages and API show them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use lanward_dhcp::{BindingState, Client, HwAddr, Lease, Network, Reservation as Scoped};
use lanward_ha::PairState;
use lanward_web::view::{LeaseRow, LeaseState, NetworkView, ReservationView, Reserved};

use crate::control::Reading;
use crate::names;
use crate::settings::records::{Record, Reservation};
use crate::settings::{Effective, Severity};

/// Whom an address is leased to.
pub(super) fn tenant<'r>(reading: &'r Reading<'_>, addr: IpAddr) -> Option<&'r Client> {
    let IpAddr::V4(addr) = addr else { return None };
    reading.node.pair().binding(addr)?.tenant()
}

/// Every binding that is not free, and every reservation without one.
pub(super) fn rows(reading: &Reading<'_>) -> Vec<LeaseRow> {
    let settings = reading.node.effective();
    let reserved = reservations(reading);
    let by_addr: BTreeMap<Ipv4Addr, &ReservationView> =
        reserved.iter().map(|r| (r.addr, r)).collect();
    let status = reading.node.pair().status();
    let partner = status.partner.as_ref().map(|p| p.name.clone());
    let mut seen = BTreeSet::new();
    let mut rows: Vec<LeaseRow> = reading
        .node
        .pair()
        .bindings()
        .filter(|binding| binding.state != BindingState::Free)
        .map(|binding| {
            let lease = binding.lease();
            let mut row = row(reading, settings, &lease);
            // In NORMAL the owner of an address answers for it; otherwise whoever is here does.
            let own = u32::from(lease.addr) as usize & 1 == reading.node.pair().rank().index();
            row.served_by = match (&partner, status.state) {
                (Some(partner), PairState::Normal) if !own => Some(partner.clone()),
                _ => Some(status.node.clone()),
            };
            if let Some(view) = by_addr.get(&lease.addr)
                && view.hw.is_none_or(|hw| row.hw.is_none_or(|theirs| theirs == hw))
            {
                seen.insert(view.id.clone());
                row.reserved = Some(Reserved { id: view.id.clone(), staged: view.staged.clone() });
                row.name = view.name.clone().or(row.name);
            }
            row
        })
        .collect();
    rows.extend(reserved.iter().filter(|view| !seen.contains(&view.id)).map(|view| LeaseRow {
        addr: view.addr,
        network: view.network.clone(),
        state: LeaseState::Idle,
        name: view.name.clone(),
        hw: view.hw,
        vendor_class: None,
        reserved: Some(Reserved { id: view.id.clone(), staged: view.staged.clone() }),
        expires: None,
        last_seen: None,
        served_by: None,
    }));
    rows
}

fn row(reading: &Reading<'_>, settings: &Effective, lease: &Lease) -> LeaseRow {
    let state = match lease.state {
        BindingState::Active => LeaseState::Active,
        BindingState::Declined => LeaseState::Declined,
        BindingState::Released => LeaseState::Released,
        BindingState::Expired | BindingState::Free => LeaseState::Expired,
    };
    let ends = matches!(lease.state, BindingState::Active | BindingState::Declined);
    let client = lease.client.as_ref();
    LeaseRow {
        addr: lease.addr,
        network: network_id(settings, lease.addr),
        state,
        name: client.and_then(|c| c.hostname.as_deref().map(str::to_owned)),
        hw: client.map(|c| c.hw),
        vendor_class: client
            .and_then(|c| c.vendor_class.as_deref())
            .map(|class| String::from_utf8_lossy(class).into_owned()),
        reserved: None,
        expires: ends.then(|| reading.date(lease.expiry)),
        last_seen: client.map(|_| reading.date(lease.cltt)),
        served_by: None,
    }
}

fn network_id(settings: &Effective, addr: Ipv4Addr) -> String {
    let all = settings.networks.iter().filter(|n| n.subnet.contains(&addr));
    all.max_by_key(|n| n.subnet.prefix_len()).map(|n| n.id.to_string()).unwrap_or_default()
}

/// Every reservation among the records.
pub(super) fn reservations(reading: &Reading<'_>) -> Vec<ReservationView> {
    let prefix = Reservation::key("");
    let settings = reading.node.effective();
    let records = reading.node.records().range(prefix.clone()..);
    records
        .take_while(|(key, _)| key.starts_with(&prefix))
        .filter_map(|(key, json)| {
            let record = Reservation::from_json(key, json, &mut Vec::new())?;
            let problem = settings
                .problems
                .iter()
                .find(|p| p.place.key == *key && p.severity == Severity::Error);
            let hw = record.mac.map(|mac| HwAddr::ethernet(mac.0));
            let staged =
                problem.map(|p| p.message.clone()).or_else(|| staged(reading, settings, &record));
            Some(ReservationView {
                id: key[prefix.len()..].to_owned(),
                network: record.network.as_str().to_owned(),
                hw,
                addr: record.address,
                name: record.name.map(|name| name.to_string()),
                comment: record.comment,
                staged,
                locked: super::locked(reading.node.records(), key),
            })
        })
        .collect()
}

/// Why a valid reservation is not in force yet: somebody else has its address.
fn staged(reading: &Reading<'_>, settings: &Effective, record: &Reservation) -> Option<String> {
    let network = names::network_of(settings, record.address)?;
    let lease = reading.node.pair().binding(record.address)?.lease();
    let theirs = network.reservations.iter().find(|r| r.addr == record.address)?;
    let client = lease.client.as_ref()?;
    if lease.state != BindingState::Active || matches(theirs, client) {
        return None;
    }
    let who = client.hostname.as_deref().map_or_else(|| client.hw.to_string(), str::to_owned);
    Some(format!("{} is leased to {who}; it becomes free when that lease ends.", record.address))
}

fn matches(reservation: &Scoped, client: &lanward_dhcp::Client) -> bool {
    reservation.hw == Some(client.hw) || reservation.client_id.as_ref() == Some(&client.key)
}

/// All networks, in the order of the settings.
pub(super) fn networks(reading: &Reading<'_>) -> Vec<NetworkView> {
    let settings = reading.node.effective();
    let used: Vec<Lease> = reading
        .node
        .pair()
        .bindings()
        .filter(|binding| binding.state != BindingState::Free)
        .map(lanward_ha::Binding::lease)
        .collect();
    settings
        .networks
        .iter()
        .map(|network| {
            let scope = settings.dhcp.networks.get(&network.id);
            let pools = scope.map_or(&[][..], |s| &s.pools[..]);
            let in_pool = |l: &&Lease| pools.iter().any(|pool| pool.contains(&l.addr));
            let here = |l: &&Lease| network.subnet.contains(&l.addr);
            NetworkView {
                id: network.id.to_string(),
                vlan: network.vlan,
                subnet: network.subnet.to_string(),
                router: network.router,
                policy: Some(network.policy.to_string()),
                dhcp: network.dhcp,
                pools: pools.iter().map(|p| format!("{}-{}", p.start(), p.end())).collect(),
                pool_size: pools.iter().map(size).sum(),
                pool_used: used.iter().filter(in_pool).count() as u64,
                active: used.iter().filter(here).filter(|l| l.state == BindingState::Active).count()
                    as u64,
                reserved: scope.map_or(0, |s: &Network| s.reservations.len()) as u64,
                lease_secs: scope.map_or(0, |s| s.lease_time.as_secs()),
            }
        })
        .collect()
}

fn size(pool: &std::ops::RangeInclusive<Ipv4Addr>) -> u64 {
    u64::from(u32::from(*pool.end()).saturating_sub(u32::from(*pool.start()))) + 1
}
