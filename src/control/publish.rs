//! From what is in force to what the data plane reads: pure conversions.

use ipnet::IpNet;
use lanward_dns::{
    LocalError, LocalHost, LocalNames, LocalRecord, LocalZone, Name, NameError, RecordData,
};
use tracing::debug;

use crate::names::HostName;
use crate::settings::Effective;
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
}

/// The local names of the household: its zones, its records, its devices and its nodes.
/// `serial` is the SOA's; `node` and `own` are this node's name and addresses.
pub(super) fn local_names(
    settings: &Effective,
    hosts: &[HostName],
    nodes: &[(String, Vec<std::net::IpAddr>)],
    serial: u32,
) -> LocalNames {
    let mut builder = LocalNames::builder();
    let domain = settings.domain.as_ref();
    let server = nodes.first().map_or_else(|| "lanward".to_owned(), |(name, _)| name.clone());
    let Ok(name_server) = format!("{server}.{domain}").parse::<Name>() else {
        return builder.build();
    };
    let zone = |apex: &str| {
        let apex = apex.parse().ok()?;
        Some(LocalZone {
            apex,
            name_server: name_server.clone(),
            serial,
            negative_ttl_secs: NEGATIVE_TTL_SECS,
        })
    };
    let add = |what: &str, result: Result<(), NotPublished>| {
        if let Err(error) = result {
            debug!("{what} is not in DNS: {error}");
        }
    };
    let domains = std::iter::once(domain).chain(settings.networks.iter().map(|n| &*n.domain));
    for zone in domains.filter_map(zone) {
        builder.zone(&zone);
    }
    if let Some(like) = zone(domain) {
        for network in &settings.networks {
            builder.reverse(IpNet::V4(network.subnet), &like);
        }
    }
    for record in &settings.records {
        add(&record.name, record_of(record).and_then(|r| Ok(builder.record(&r).map(drop)?)));
    }
    let own = nodes.iter().map(|(name, addresses)| (format!("{name}.{domain}"), addresses.clone()));
    let devices = hosts.iter().map(|h| (h.name.to_string(), vec![h.addr.into()]));
    for (name, addresses) in own.chain(devices) {
        let host = name.parse().map_err(NotPublished::from);
        let host = host.map(|name| LocalHost { name, addresses, ttl_secs: LEASE_TTL_SECS });
        add(&name, host.and_then(|host| Ok(builder.host(&host).map(drop)?)));
    }
    builder.build()
}

fn record_of(
    record: &crate::settings::effective::NamedRecord,
) -> Result<LocalRecord, NotPublished> {
    let data = match &record.data {
        Setting::A(addr) => RecordData::A(*addr),
        Setting::Aaaa(addr) => RecordData::Aaaa(*addr),
        Setting::Cname(target) => RecordData::Cname(target.as_str().parse()?),
        Setting::Ptr(target) => RecordData::Ptr(target.as_str().parse()?),
        Setting::Txt(text) => RecordData::Txt(strings(text)),
        Setting::Srv(priority, weight, port, target) => RecordData::Srv {
            priority: *priority,
            weight: *weight,
            port: *port,
            target: target.as_str().parse()?,
        },
        Setting::Mx(preference, exchange) => {
            RecordData::Mx { preference: *preference, exchange: exchange.as_str().parse()? }
        }
    };
    Ok(LocalRecord { name: record.name.parse()?, ttl_secs: record.ttl_secs, data })
}

/// A text as the strings of one TXT record, 255 bytes each (RFC 1035 section 3.3.14).
fn strings(text: &str) -> Vec<Vec<u8>> {
    if text.is_empty() {
        return vec![Vec::new()];
    }
    text.as_bytes().chunks(255).map(<[u8]>::to_vec).collect()
}
