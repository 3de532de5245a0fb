//! Local DNS records, and the other settings the household has once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lanward_dns::{Dnssec, NegativeAnchor, Protection, RateLimit, Rebinding, TrustAnchors};

use super::{Effective, Household, NamedRecord, aliases, filtering};
use crate::settings::problem::{Place, Problem};
use crate::settings::records::{LocalRecord, Network, Record, RecordData, Settings};
use crate::settings::words::Name;

/// Default MCLT: an hour bounds what may be lost to one lease, and old phones do not mind it.
const MCLT: Duration = Duration::from_secs(3600);
const MCLT_LEAST: Duration = Duration::from_secs(5);
/// The shortest silence after which a partner may be taken for off without anybody saying so.
const AUTO_DOWN_LEAST: Duration = Duration::from_secs(86_400);
const MCLT_MOST: Duration = Duration::from_secs(86_400);

/// At once a device may ask for as many seconds' worth of questions: what a page with everything it
/// embeds needs, and a device that wakes up.
const BURST_SECS: u32 = 5;
/// Media servers in the house are found by public names with private addresses.
const PRIVATE_NAMES: [&str; 1] = ["plex.direct"];

fn protection(settings: &Settings) -> Protection {
    let rate_limit = match settings.rate_limit {
        None => Protection::default().rate_limit,
        Some(0) => None,
        Some(per_second) => {
            Some(RateLimit { per_second, burst: per_second.saturating_mul(BURST_SECS) })
        }
    };
    let names: Vec<&str> = match &settings.private_names {
        None => PRIVATE_NAMES.into(),
        Some(names) => names.iter().map(Name::as_str).collect(),
    };
    let names = names.into_iter().filter_map(|name| name.parse().ok());
    let rebinding = settings.rebinding_protection.unwrap_or(true);
    let rebinding = rebinding.then(|| Rebinding::allowing(names));
    Protection { rate_limit, rebinding }
}

/// What validation goes by. Each name and key has been read once already.
fn dnssec(settings: &Settings) -> Dnssec {
    let negative = settings.dnssec_exempt.iter().flatten().filter_map(|exemption| {
        let name = exemption.name.as_str().parse().ok()?;
        Some(NegativeAnchor { name, until: exemption.until.map(Into::into) })
    });
    let lines = settings.trust_anchors.iter().flatten().map(|anchor| anchor.0.as_str());
    let lines: Vec<&str> = lines.collect();
    Dnssec {
        mode: settings.dnssec.unwrap_or_default().0,
        anchors: TrustAnchors::parse(&lines.join("\n")).unwrap_or_default().or_root(),
        negative: negative.collect(),
    }
}

pub(super) fn derive(household: &Household, effective: &mut Effective) {
    effective.protection = protection(&household.settings);
    effective.dnssec = dnssec(&household.settings);
    let mclt = household.settings.mclt.map_or(MCLT, |mclt| mclt.0);
    effective.mclt = mclt.clamp(MCLT_LEAST, MCLT_MOST);
    if effective.mclt != mclt {
        effective.problems.push(Problem::error(
            Place::new("setting/mclt", "mclt"),
            format!("An MCLT of {} seconds is not used.", mclt.as_secs()),
            "Use 5s to 24h; 1h suits a household.",
        ));
    }
    let silence = household.settings.auto_partner_down.map(|silence| silence.0);
    effective.auto_partner_down = silence.filter(|silence| *silence >= AUTO_DOWN_LEAST);
    if let Some(silence) = silence.filter(|silence| *silence < AUTO_DOWN_LEAST) {
        effective.problems.push(Problem::error(
            Place::new("setting/auto_partner_down", "auto_partner_down"),
            format!("A silence of {} seconds is not used.", silence.as_secs()),
            "Use 24h or more: a shorter one would take a cut cable for a dead host.",
        ));
    }
    domains(household, effective);
    records(household, effective);
}

/// A record that is in force, for those after it.
struct Earlier<'h> {
    id: &'h str,
    record: &'h LocalRecord,
}

fn records(household: &Household, effective: &mut Effective) {
    let mut owners: BTreeMap<String, Vec<Earlier<'_>>> = BTreeMap::new();
    let mut kept: Vec<(&str, NamedRecord)> = Vec::new();
    for (id, record) in &household.records {
        let Some(name) = owner_name(id, record, effective) else { continue };
        if let Some(problem) = unseen(id, record, &name, effective) {
            effective.problems.push(problem);
            continue;
        }
        let networks = networks(id, record, household, effective);
        if networks.is_empty() && !record.networks.is_empty() {
            continue;
        }
        let is_cname = |record: &LocalRecord| matches!(record.data, RecordData::Cname(_));
        let earlier = owners.entry(name.clone()).or_default();
        let clash = earlier.iter().find(|first| {
            (is_cname(record) || is_cname(first.record)) && seen_together(record, first.record)
        });
        if let Some(first) = clash {
            effective.problems.push(
                Problem::error(
                    Place::new(LocalRecord::key(id), "name"),
                    format!("{name} is another name for a host and has other records too."),
                    "Keep the CNAME or the other records.",
                )
                .with(Place::new(LocalRecord::key(first.id), "name")),
            );
            continue;
        }
        earlier.push(Earlier { id, record });
        let record = NamedRecord {
            name: name.into(),
            data: record.data.clone(),
            ttl_secs: u32::try_from(record.ttl.0.as_secs()).unwrap_or(u32::MAX),
            networks,
        };
        kept.push((id, record));
    }
    let mut problems = aliases::problems(&kept, &effective.domain);
    for (at, (_, record)) in kept.into_iter().enumerate() {
        match problems.remove(&at) {
            Some(problem) => effective.problems.push(problem),
            None => effective.records.push(record),
        }
    }
}

/// Why nobody would ever see a record of that name.
fn unseen(id: &str, record: &LocalRecord, name: &str, effective: &Effective) -> Option<Problem> {
    let place = Place::new(LocalRecord::key(id), "name");
    if has_fixed_answer(name) {
        let message = format!("{name} is answered as the standards say, whatever records it has.");
        return Some(Problem::error(place, message, "Use another name."));
    }
    // It has SOA and NS records (RFC 1034, 3.6.2).
    let mut domains = effective.networks.iter().map(|network| &network.domain);
    let is_domain = *effective.domain == *name || domains.any(|domain| **domain == *name);
    (is_domain && matches!(record.data, RecordData::Cname(_))).then(|| {
        let message = format!("{name} is a domain of the household and cannot be another name.");
        Problem::error(place, message, "Give it an A or AAAA record.")
    })
}

fn has_fixed_answer(name: &str) -> bool {
    name.parse().is_ok_and(|name| lanward_dns::has_fixed_answer(&name))
}

/// Tells of domains whose names are not found, or not by everybody.
fn domains(household: &Household, effective: &mut Effective) {
    let network = |(id, network): (&String, &Network)| {
        Some((Place::new(Network::key(id), "domain"), network.domain.clone()?))
    };
    let own = household.settings.domain.clone();
    let own = own.map(|domain| (Place::new("setting/domain", "domain"), domain));
    for (place, domain) in own.into_iter().chain(household.networks.iter().filter_map(network)) {
        let name = domain.as_str();
        if has_fixed_answer(name) {
            effective.problems.push(Problem::warning(
                place,
                format!("Names of {name} are answered as the standards say, not with devices."),
                "Use home.arpa, or a domain of your own.",
            ));
        } else if name == "local" || name.ends_with(".local") {
            effective.problems.push(Problem::warning(
                place,
                format!("Many devices ask the network for names of {name}, not a DNS server."),
                "Use home.arpa, or a domain of your own (RFC 6762).",
            ));
        }
    }
}

/// Whether some client sees both: a network's own stand in place of everybody's.
fn seen_together(a: &LocalRecord, b: &LocalRecord) -> bool {
    a.networks.is_empty() && b.networks.is_empty()
        || a.networks.iter().any(|network| b.networks.contains(network))
}

/// The networks of a record that there are; the others are told.
fn networks(
    id: &str,
    record: &LocalRecord,
    household: &Household,
    effective: &mut Effective,
) -> Vec<Arc<str>> {
    let mut known = Vec::new();
    for (i, network) in record.networks.iter().enumerate() {
        if household.networks.contains_key(network.as_str()) {
            known.push(network.as_str().into());
        } else {
            effective.problems.push(filtering::unknown(
                Place::new(LocalRecord::key(id), format!("networks[{i}]")),
                "network",
                network.as_str(),
                household.networks.keys(),
            ));
        }
    }
    known
}

/// The full owner name.
fn owner_name(id: &str, record: &LocalRecord, effective: &mut Effective) -> Option<String> {
    let name = record.name.as_str();
    if !matches!(record.data, RecordData::Ptr(_)) {
        return Some(record.name.in_domain(&effective.domain));
    }
    if name.ends_with(".in-addr.arpa") || name.ends_with(".ip6.arpa") {
        return Some(name.to_owned());
    }
    effective.problems.push(Problem::error(
        Place::new(LocalRecord::key(id), "name"),
        format!("{name} is not the name of an address."),
        "Write the address, such as 10.0.20.5.",
    ));
    None
}
