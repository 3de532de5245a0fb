//! Upstream servers: groups, and zones that have servers of their own.

use lanward_dns::{ForwardZone, Order, Upstreams};

use super::{Effective, HostView, Household};
use crate::settings::problem::{Place, Problem};
use crate::settings::records::{
    Forward, PlainServer, Policy, Record, Upstream, UpstreamGroup, default_upstreams,
};
use crate::settings::words::Zone;

/// The id of the group that is asked where nothing else is said.
const DEFAULT: &str = "default";

pub(super) fn derive(household: &Household, host: &HostView, effective: &mut Effective) {
    if let Some(pair) = host.pair.as_ref().filter(|pair| pair.awaits_settings) {
        // The household may well have named servers so that the built-in ones learn nothing.
        effective.problems.push(Problem::warning(
            Place::new("setting/upstreams", "upstreams"),
            format!(
                "No upstream server is asked: the settings of *{}* have not come.",
                pair.partner
            ),
            format!("Start *{}*, or remove it from the pair (lanward pair remove).", pair.partner),
        ));
        return;
    }
    let settings = &household.settings;
    let bootstrap = settings.bootstrap.iter().flatten().filter_map(PlainServer::addr);
    let bootstrap: Vec<_> = bootstrap.collect();
    let time_names = settings.time_servers.iter().flatten();
    let time_names = time_names.filter_map(|name| name.as_str().parse().ok()).collect();
    let mut upstreams = Upstreams { bootstrap, time_names, ..Upstreams::default() };
    let of_setting = settings.upstreams.clone().filter(|given| !given.is_empty());
    match household.upstreams.get(DEFAULT) {
        Some(group) => {
            add(&mut upstreams, DEFAULT, &group.servers, group.order);
            if of_setting.is_some() {
                effective.problems.push(Problem::warning(
                    Place::new("setting/upstreams", "upstreams"),
                    "The group of upstream servers *default* is asked instead of these.",
                    "Leave out one of the two.",
                ));
            }
        }
        None => {
            let servers = of_setting.unwrap_or_else(default_upstreams);
            unresolved("setting/upstreams", "upstreams", &servers, &upstreams, effective);
            add(&mut upstreams, DEFAULT, &servers, Order::Listed);
        }
    }
    for (id, group) in &household.upstreams {
        let key = UpstreamGroup::key(id);
        unresolved(&key, "servers", &group.servers, &upstreams, effective);
        if id != DEFAULT {
            add(&mut upstreams, id, &group.servers, group.order);
        }
    }
    for (id, policy) in &household.policies {
        let Some(wanted) = policy.upstreams.as_ref().filter(|id| id.as_str() != DEFAULT) else {
            continue;
        };
        if !household.upstreams.contains_key(wanted.as_str()) {
            effective.problems.push(Problem::error(
                Place::new(Policy::key(id), "upstreams"),
                format!("There is no group of upstream servers *{}*.", wanted.as_str()),
                format!("Add it as [[upstream]] with id = \"{}\".", wanted.as_str()),
            ));
        }
    }
    for (id, forward) in &household.forwards {
        conditional(id, forward, &mut upstreams, effective);
    }
    effective.upstreams = upstreams;
}

fn conditional(id: &str, forward: &Forward, upstreams: &mut Upstreams, effective: &mut Effective) {
    let key = Forward::key(id);
    unresolved(&key, "servers", &forward.servers, upstreams, effective);
    let mut networks = Vec::new();
    for (index, wanted) in forward.networks.iter().enumerate() {
        match effective.networks.iter().find(|network| *network.id == *wanted.as_str()) {
            Some(network) => networks.extend(network.clients()),
            None => effective.problems.push(Problem::error(
                Place::new(&key, format!("networks[{index}]")),
                format!("There is no network *{}*.", wanted.as_str()),
                "Name one of the networks by its id.",
            )),
        }
    }
    // None of the networks it is for is there: for nobody, rather than for everybody.
    if networks.is_empty() && !forward.networks.is_empty() {
        return;
    }
    let group = upstreams.groups.len();
    add(upstreams, &key, &forward.servers, Order::Listed);
    let zones = forward.zones.iter().flat_map(Zone::names);
    upstreams.zones.extend(zones.map(|zone| ForwardZone {
        zone,
        networks: networks.clone(),
        group,
    }));
}

fn add(upstreams: &mut Upstreams, id: &str, servers: &[Upstream], order: Order) {
    let servers = servers.iter().map(|server| server.server().clone()).collect();
    upstreams.groups.push(lanward_dns::UpstreamGroup { id: id.into(), servers, order });
}

/// Tells of servers that nobody can say the address of.
fn unresolved(
    key: &str,
    field: &str,
    servers: &[Upstream],
    upstreams: &Upstreams,
    effective: &mut Effective,
) {
    if !upstreams.bootstrap.is_empty() {
        return;
    }
    for (index, server) in servers.iter().enumerate().filter(|(_, it)| it.needs_bootstrap()) {
        effective.problems.push(Problem::error(
            Place::new(key, format!("{field}[{index}]")),
            format!("Nobody can say where {server} is: it cannot be asked for its own address."),
            format!(
                "Write {{ url = \"{server}\", addresses = [\"9.9.9.9\"] }} with its addresses, or \
                 set bootstrap = [\"9.9.9.9\"]."
            ),
        ));
    }
}

#[cfg(test)]
mod tests;
