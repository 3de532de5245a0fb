//! The one deterministic validator: household records in, what is in force out.
//!
//! Both nodes run it over the same records and must come to the same answer, except for what
//! depends on the host's own addresses. It never fails: what cannot be used is left out and told
//! as a [`Problem`].

mod aliases;
mod filtering;
mod local;
mod networks;
mod options;
mod pools;
mod reservations;
mod service;
mod upstreams;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use jiff::Timestamp;
use lanward_dns::PolicyId;
use lanward_ha::Rank;
use serde_json::Value;

use super::fields::Fields;
use super::problem::{Place, Problem};
use super::records::{
    Forward, History, List, ListKind, LocalRecord, Network, Pause, PauseScope, Policy, Record,
    RecordData, Reservation, Rule, RuleKind, Settings, Source, UpstreamGroup, default_policy,
};
use crate::history::{HistorySettings, Level};

/// The label of the name, in the household's domain, that leads to its DNS on either host.
pub const DNS_LABEL: &str = "dns";

/// What a node knows of itself when it derives its settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostView {
    /// The node's name.
    pub node: String,
    /// Its own addresses, in the order the system lists them.
    pub addresses: Vec<IpAddr>,
    /// Its partner's addresses, as the partner last told them; empty without a partner.
    pub partner_addresses: Vec<IpAddr>,
    /// The pair it is in; `None` without a partner.
    pub pair: Option<PairView>,
    /// Neither this host nor its partner can hold service addresses, so devices are told the
    /// hosts' own.
    pub without_service_addresses: bool,
    /// The ports that this host serves encrypted DNS on.
    pub encrypted: lanward_dns::Ports,
}

/// What a node knows of its pair when it derives its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairView {
    /// Its own rank.
    pub rank: Rank,
    /// The partner's name.
    pub partner: String,
    /// This node joined it, and the household's settings have not come yet.
    pub awaits_settings: bool,
}

/// What is in force on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effective {
    /// What the DHCP server serves.
    pub dhcp: lanward_dhcp::Config,
    /// Who is served by DNS, and under which policy.
    pub policies: lanward_dns::Policies,
    /// The enabled lists of each policy, by list id; indexed by [`PolicyId`].
    pub policy_lists: Vec<Vec<Arc<str>>>,
    /// All lists, by id.
    pub lists: Vec<ListSpec>,
    /// The rules made by hand, by id.
    pub rules: Vec<RuleSpec>,
    /// The household's own DNS records.
    pub records: Vec<NamedRecord>,
    /// Names of reserved addresses, in force whether or not a lease exists.
    pub reserved_names: Vec<ReservedName>,
    /// The household's domain, lower case, without the final dot.
    pub domain: Arc<str>,
    /// Limits of what devices ask, and rebinding.
    pub protection: lanward_dns::Protection,
    /// Who is asked what nobody here knows.
    pub upstreams: lanward_dns::Upstreams,
    /// What DNSSEC validation goes by.
    pub dnssec: lanward_dns::Dnssec,
    /// How long one host may lend alone beyond what the other knows (MCLT).
    pub mclt: Duration,
    /// After how long a silence the partner is taken for off without anybody saying so.
    pub auto_partner_down: Option<Duration>,
    /// All networks, by id, for whoever shows them or binds to them.
    pub networks: Vec<NetworkView>,
    /// The pauses of blocking there are, ended ones included: what is in force of them is a
    /// matter of the clock ([`crate::pauses`]).
    pub pauses: Vec<PauseSpec>,
    /// What is kept of the questions.
    pub history: HistorySettings,
    /// What is wrong with the records.
    pub problems: Vec<Problem>,
}

/// A list to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListSpec {
    /// Its id.
    pub id: Arc<str>,
    /// What people call it.
    pub name: Arc<str>,
    /// Where it comes from.
    pub source: Source,
    /// Where else, in order.
    pub mirrors: Vec<String>,
    /// Whether it blocks or allows.
    pub kind: ListKind,
    /// Whether it is used.
    pub enabled: bool,
    /// Whether it may be fetched from a private address.
    pub allow_private: bool,
}

/// A pause of blocking, with its scope.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PauseSpec {
    /// For whom.
    pub scope: PauseScope,
    /// When it was asked for.
    pub from: Timestamp,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// A rule made by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSpec {
    /// Its id.
    pub id: Arc<str>,
    /// Whether it allows or denies.
    pub kind: RuleKind,
    /// The name, lower case, without the final dot.
    pub name: Arc<str>,
    /// Whether names below it are meant too.
    pub subdomains: bool,
    /// The policies it belongs to; all of them where the record names none.
    pub policies: Vec<PolicyId>,
}

/// A DNS record with its full owner name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedRecord {
    /// The owner, lower case, without the final dot.
    pub name: Arc<str>,
    /// Type and value.
    pub data: RecordData,
    /// Seconds others may keep it.
    pub ttl_secs: u32,
    /// The ids of the networks whose clients see it; none: all clients.
    pub networks: Vec<Arc<str>>,
}

/// The name of a reserved address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReservedName {
    /// The full name, lower case, without the final dot.
    pub name: Arc<str>,
    /// The address.
    pub addr: Ipv4Addr,
}

/// A network as it is shown, and as sockets are bound to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkView {
    /// Its id.
    pub id: Arc<str>,
    /// What people call it.
    pub name: Arc<str>,
    /// Its VLAN id.
    pub vlan: Option<u16>,
    /// Its subnet.
    pub subnet: Ipv4Net,
    /// Its IPv6 prefixes.
    pub prefixes6: Vec<IpNet>,
    /// Its router.
    pub router: Option<Ipv4Addr>,
    /// This host's own address in it.
    pub own: Option<Ipv4Addr>,
    /// The partner's address in it.
    pub partner: Option<Ipv4Addr>,
    /// The addresses for DNS that move from host to host.
    pub service_addresses: Vec<ServiceView>,
    /// What devices are told to use for DNS (option 6).
    pub dns_servers: Vec<Ipv4Addr>,
    /// The id of its policy.
    pub policy: Arc<str>,
    /// The domain of its devices.
    pub domain: Arc<str>,
    /// Whether DHCP is served here.
    pub dhcp: bool,
}

/// A service address: devices ask it for DNS, and either host may hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceView {
    /// The address.
    pub addr: IpAddr,
    /// The rank of the host that holds it while both are well.
    pub home: Rank,
}

impl NetworkView {
    /// Where its clients are.
    pub fn clients(&self) -> impl Iterator<Item = IpNet> {
        std::iter::once(IpNet::V4(self.subnet)).chain(self.prefixes6.iter().copied())
    }
}

/// The records used while nothing is configured: one policy with the built-in list, no networks,
/// no DHCP.
pub fn default_household() -> BTreeMap<String, String> {
    let list = List {
        source: Source::Builtin,
        name: Some("Built-in".into()),
        kind: ListKind::Block,
        enabled: true,
        mirrors: Vec::new(),
        allow_private: false,
        policies: Vec::new(),
        comment: None,
    };
    let builtin = super::words::Id::parse("builtin").unwrap_or_else(|_| default_policy());
    let policy = Policy::of_lists(vec![builtin]);
    BTreeMap::from([
        (List::key("builtin"), list.to_json()),
        (Policy::key("default"), policy.to_json()),
    ])
}

/// Derives what is in force from the household's records (key such as `network/iot`, value its
/// JSON) for one host. Total: a record that cannot be used is left out and told as a problem.
/// Records of kinds that are not settings (`user/..`, `device/..`) are passed over.
pub fn derive(records: &BTreeMap<String, String>, host: &HostView) -> Effective {
    let mut problems = Vec::new();
    let mut household = Household::read(records, &mut problems);
    let defaults = default_household();
    if household.lists.is_empty() && household.policies.is_empty() {
        // Nothing is said about filtering: the built-in list is in force.
        household.lists = Household::read_kind(&defaults, &mut problems);
        household.policies = Household::read_kind(&defaults, &mut problems);
    } else if !household.policies.contains_key("default") {
        // Whoever has no policy of his own has every list there is.
        let lists =
            household.lists.keys().filter_map(|id| super::words::Id::parse(id).ok()).collect();
        household.policies.insert("default".into(), Policy::of_lists(lists));
    }
    let domain: Arc<str> =
        household.settings.domain.as_ref().map_or("home.arpa".into(), |name| name.as_str().into());
    let mut effective = Effective { domain, problems, ..Effective::default() };
    filtering::derive(&household, &mut effective);
    networks::derive(&household, host, &mut effective);
    local::derive(&household, &mut effective);
    upstreams::derive(&household, host, &mut effective);
    pauses(&household, &mut effective);
    effective.history =
        household.settings.history.as_ref().map(History::settings).unwrap_or_default();
    if effective.history.level == Level::Off {
        effective.policies.policies.iter_mut().for_each(|policy| policy.history = false);
    }
    effective
}

fn pauses(household: &Household, effective: &mut Effective) {
    for (id, pause) in &household.pauses {
        match PauseScope::parse(id) {
            Some(scope) => {
                let Pause { from, until } = *pause;
                effective.pauses.push(PauseSpec { scope, from, until });
            }
            None => effective.problems.push(Problem::error(
                Place::new(Pause::key(id), ""),
                format!("Nobody is called *{id}*, so blocking is not paused."),
                "Pause all, network/ID, or device/MAC.",
            )),
        }
    }
}

/// The records by kind and id, read.
#[derive(Debug, Default)]
struct Household {
    networks: BTreeMap<String, Network>,
    reservations: BTreeMap<String, Reservation>,
    policies: BTreeMap<String, Policy>,
    lists: BTreeMap<String, List>,
    rules: BTreeMap<String, Rule>,
    records: BTreeMap<String, LocalRecord>,
    upstreams: BTreeMap<String, UpstreamGroup>,
    forwards: BTreeMap<String, Forward>,
    pauses: BTreeMap<String, Pause>,
    settings: Settings,
}

impl Household {
    fn read(records: &BTreeMap<String, String>, problems: &mut Vec<Problem>) -> Household {
        Household {
            networks: Household::read_kind(records, problems),
            reservations: Household::read_kind(records, problems),
            policies: Household::read_kind(records, problems),
            lists: Household::read_kind(records, problems),
            rules: Household::read_kind(records, problems),
            records: Household::read_kind(records, problems),
            upstreams: Household::read_kind(records, problems),
            forwards: Household::read_kind(records, problems),
            pauses: Household::read_kind(records, problems),
            settings: Household::read_settings(records, problems),
        }
    }

    fn read_kind<R: Record>(
        records: &BTreeMap<String, String>,
        problems: &mut Vec<Problem>,
    ) -> BTreeMap<String, R> {
        let prefix = R::key("");
        records
            .range(prefix.clone()..)
            .take_while(|(key, _)| key.starts_with(&prefix))
            .filter_map(|(key, json)| {
                let record = R::from_json(key, json, problems)?;
                Some((key[prefix.len()..].to_owned(), record))
            })
            .collect()
    }

    fn read_settings(records: &BTreeMap<String, String>, problems: &mut Vec<Problem>) -> Settings {
        let mut settings = Settings::default();
        for name in Settings::KEYS {
            let key = format!("setting/{name}");
            let Some(json) = records.get(&key) else { continue };
            let value = match serde_json::from_str::<Value>(json) {
                Ok(value) => Value::from_iter([(name, value)]),
                Err(error) => {
                    problems.push(Problem::error(
                        Place::new(&key, ""),
                        format!("The setting is not JSON: {error}."),
                        "Set it anew.",
                    ));
                    continue;
                }
            };
            let read = Fields::read_all(&key, &value, problems, |f| Some(Settings::read(f)));
            let read = read.unwrap_or_default();
            settings.domain = settings.domain.or(read.domain);
            settings.upstreams = settings.upstreams.or(read.upstreams);
            settings.bootstrap = settings.bootstrap.or(read.bootstrap);
            settings.time_servers = settings.time_servers.or(read.time_servers);
            settings.rate_limit = settings.rate_limit.or(read.rate_limit);
            settings.rebinding_protection =
                settings.rebinding_protection.or(read.rebinding_protection);
            settings.private_names = settings.private_names.or(read.private_names);
            settings.dnssec = settings.dnssec.or(read.dnssec);
            settings.dnssec_exempt = settings.dnssec_exempt.or(read.dnssec_exempt);
            settings.trust_anchors = settings.trust_anchors.or(read.trust_anchors);
            settings.mclt = settings.mclt.or(read.mclt);
            settings.auto_partner_down = settings.auto_partner_down.or(read.auto_partner_down);
            settings.history = settings.history.or(read.history);
        }
        settings
    }
}

#[cfg(test)]
mod tests;
