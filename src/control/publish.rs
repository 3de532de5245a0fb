//! From what is in force to what the data plane reads: pure conversions.

use std::collections::BTreeMap;
use std::net::IpAddr;

use lanward_dns::{
    LocalError, LocalHost, LocalNames, LocalNamesBuilder, LocalRecord, LocalZone, Name, NameError,
    NetworkId, RecordData,
};
use tracing::debug;

use crate::names::HostName;
use crate::settings::Effective;
use crate::settings::effective::{NamedRecord, NetworkView};
use crate::settings::records::RecordData as Setting;

/// TTL of names made from leases: short, because a lease can end at any time.
const LEASE_TTL_SECS: u32 = 60;
/// How long a client may believe that a local name does not exist: it may get its lease now.
const NEGATIVE_TTL_SECS: u32 = 10;

/// Why a name could not be published. Only what slipped through the settings validator or the
/// DHCP server's host name rules gets here.
#[derive(Debug, thiserror::Error)]
enum NotPublished {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error("it is for networks that are not in force")]
    Network,
}

/// The local names of the household: its zones, its records, its devices and its hosts (named
/// `hosts`). `serial` is the SOA's.
pub(super) fn local_names(
    settings: &Effective,
    names: &[HostName],
    hosts: &[(String, Vec<IpAddr>)],
    serial: u32,
) -> LocalNames {
    let mut builder = LocalNames::builder();
    let networks = add_networks(&mut builder, settings);
    add_zones(&mut builder, settings, hosts, serial);
    let add = |what: &str, result: Result<(), NotPublished>| {
        if let Err(error) = result {
            debug!("{what} is not in DNS: {error}");
        }
    };
    for record in &settings.records {
        let record_of = record_of(record, &settings.domain, &networks);
        add(&record.name, record_of.and_then(|r| Ok(builder.record(&r).map(drop)?)));
    }
    for HostName { name, addr, .. } in names {
        let host = name.parse().map_err(NotPublished::from).map(|name| LocalHost {
            name,
            addresses: vec![*addr],
            ttl_secs: LEASE_TTL_SECS,
        });
        add(name, host.and_then(|host| Ok(builder.host(&host).map(drop)?)));
    }
    builder.build()
}

/// The networks of clients, by their ids in the settings.
fn add_networks<'s>(
    builder: &mut LocalNamesBuilder,
    settings: &'s Effective,
) -> BTreeMap<&'s str, NetworkId> {
    if let Ok(domain) = settings.domain.parse() {
        builder.domain(&domain);
    }
    let networks = settings.networks.iter().map(|network| {
        let domain = network.domain.parse().ok();
        (&*network.id, builder.network(network.clients(), domain.as_ref()))
    });
    networks.collect()
}

/// The zones that the pair is the authority for. Both hosts say the same of them, the serial apart:
/// each counts its own changes.
fn add_zones(
    builder: &mut LocalNamesBuilder,
    settings: &Effective,
    hosts: &[(String, Vec<IpAddr>)],
    serial: u32,
) {
    let domain = settings.domain.as_ref();
    let of_host = |(name, _): &(String, Vec<IpAddr>)| format!("{name}.{domain}").parse().ok();
    let mut name_servers: Vec<Name> = hosts.iter().filter_map(of_host).collect();
    name_servers.sort_unstable();
    let zone = |apex: &str| {
        Some(LocalZone {
            apex: apex.parse().ok()?,
            name_servers: name_servers.clone(),
            serial,
            negative_ttl_secs: NEGATIVE_TTL_SECS,
        })
    };
    let domains = std::iter::once(domain).chain(settings.networks.iter().map(|n| &*n.domain));
    for zone in domains.filter_map(zone) {
        builder.zone(&zone);
    }
    if let Some(like) = zone(domain) {
        for subnet in settings.networks.iter().flat_map(NetworkView::clients) {
            builder.reverse(subnet, &like);
        }
    }
}

fn record_of(
    record: &NamedRecord,
    domain: &str,
    networks: &BTreeMap<&str, NetworkId>,
) -> Result<LocalRecord, NotPublished> {
    let host = |name: &crate::settings::words::Name| name.in_domain(domain).parse::<Name>();
    let data = match &record.data {
        Setting::A(addr) => RecordData::A(*addr),
        Setting::Aaaa(addr) => RecordData::Aaaa(*addr),
        Setting::Cname(target) => RecordData::Cname(host(target)?),
        Setting::Ptr(target) => RecordData::Ptr(host(target)?),
        Setting::Txt(text) => RecordData::Txt(strings(text)),
        Setting::Srv(priority, weight, port, target) => RecordData::Srv {
            priority: *priority,
            weight: *weight,
            port: *port,
            target: host(target)?,
        },
        Setting::Mx(preference, exchange) => {
            RecordData::Mx { preference: *preference, exchange: host(exchange)? }
        }
        Setting::Text(kind, text) => kind.data(text)?,
    };
    let only = record.networks.iter().map(|id| networks.get(&**id).copied());
    // A network that is not in force has no clients that could see it.
    let networks: Vec<NetworkId> = only.flatten().collect();
    if networks.is_empty() && !record.networks.is_empty() {
        return Err(NotPublished::Network);
    }
    Ok(LocalRecord { name: record.name.parse()?, ttl_secs: record.ttl_secs, data, networks })
}

/// A text as the strings of one TXT record, 255 bytes each (RFC 1035 section 3.3.14).
fn strings(text: &str) -> Vec<Vec<u8>> {
    if text.is_empty() {
        return vec![Vec::new()];
    }
    text.as_bytes().chunks(255).map(<[u8]>::to_vec).collect()
}
