//! The state of the node and of what it serves.

use jiff::Timestamp;
use serde::Serialize;

use super::{PairStatus, PauseView, json};

/// How bad something is. Shown as icon, word and colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Info,
    /// Should be looked at.
    Warning,
    /// Something does not work.
    Bad,
}

/// What every page needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The household's name for people.
    pub household: String,
    /// The daemon's version.
    pub version: String,
    /// When the daemon on this node started.
    #[serde(serialize_with = "json::text")]
    pub started: Timestamp,
    /// The two hosts.
    pub pair: PairStatus,
    /// DNS on this node since [`Status::started`].
    pub dns: DnsCounters,
    /// Rules in force on this node, over all lists.
    pub blocked_names: u64,
    /// The addresses devices ask for DNS that either host may hold, and who does.
    pub service_addresses: Vec<ServiceAddress>,
    /// Who is asked what this house does not know, group after group.
    pub upstreams: Vec<UpstreamView>,
    /// The ids of all networks, in the order of the settings.
    pub networks: Vec<String>,
    /// Who is not filtered at present.
    pub pauses: Vec<PauseView>,
    /// Records that wait for somebody to choose between two edits.
    pub collisions: u64,
    /// What needs attention, worst first. The pair's own condition is not repeated here.
    pub problems: Vec<Problem>,
}

/// Counted since the daemon started, on this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DnsCounters {
    /// Questions taken.
    pub queries: u64,
    /// Answered by a block rule.
    pub blocked: u64,
    /// Answered from the cache.
    pub cached: u64,
    /// Answered from leases and local records.
    pub local: u64,
    /// Answered by an upstream.
    pub forwarded: u64,
    /// Answered with SERVFAIL, or not at all.
    pub failed: u64,
    /// Not asked of an upstream because too many questions waited for one: answered with an expired
    /// answer, or failed.
    pub crowded: u64,
}

/// An upstream server of one group, as this node sees it; counted since it was set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpstreamView {
    /// The group's id; `forward/ID` for the servers of a zone.
    pub group: String,
    /// The server as the settings write it.
    pub server: String,
    /// How it is spoken to: `plain`, `tls`, `https`, `quic`, or `recursive`.
    pub transport: &'static str,
    /// `up`, `slow` or `down`.
    pub state: &'static str,
    /// Why it is not up, such as `it does not answer`.
    pub reason: Option<String>,
    /// For how many seconds it has not been up.
    pub for_secs: Option<u64>,
    /// Usual time of its answers, microseconds.
    pub latency_us: Option<u64>,
    /// Questions it was asked, probes included.
    pub asked: u64,
    /// Of those, how many it did not answer, or with an error.
    pub failed: u64,
    /// How often the next server was asked because this one was slow.
    pub late: u64,
    /// Packets that looked like its answers and were none.
    pub ignored: u64,
    /// Questions that wait for it now.
    pub in_flight: u64,
    /// Sum of the times of all its answers, microseconds.
    pub latency_sum_us: u64,
    /// Answers by time: upper bound in microseconds (none: no bound), and how many.
    pub latency_buckets: Vec<(Option<u64>, u64)>,
}

/// What a problem is about, so that the page can point there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum About {
    /// A list, by its id.
    List(String),
    /// A network, by its id.
    Network(String),
    /// Settings with two values.
    Settings,
    /// The upstream servers.
    Upstreams,
    /// The partner.
    Partner,
    /// This host.
    Host,
}

/// Something that needs attention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub about: About,
    /// What is wrong, in one sentence.
    pub what: String,
    /// What to do about it, in one sentence.
    pub fix: String,
}

/// One network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NetworkView {
    /// Its id, such as `iot`.
    pub id: String,
    /// VLAN tag.
    pub vlan: Option<u16>,
    /// Such as `10.0.30.0/24`.
    pub subnet: String,
    /// The router devices are told to use.
    pub router: Option<std::net::Ipv4Addr>,
    /// The id of its policy.
    pub policy: Option<String>,
    /// Whether DHCP is served here.
    pub dhcp: bool,
    /// The dynamic ranges, such as `10.0.30.100-10.0.30.199`.
    pub pools: Vec<String>,
    /// How many addresses they hold.
    pub pool_size: u64,
    /// How many of those are not free: leased, awaiting the partner, declined.
    pub pool_used: u64,
    /// Devices that have a lease now, dynamic or reserved.
    pub active: u64,
    /// Reservations.
    pub reserved: u64,
    /// The usual lease time.
    pub lease_secs: u64,
}

/// One policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyView {
    /// Its id, such as `strict`.
    pub id: String,
    /// The networks that have it.
    pub networks: Vec<String>,
}

/// Whether this host answers DNS, for whoever sends devices to it or away from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It has just started and has not asked itself yet.
    Starting,
    /// It answered its own question within the last two seconds.
    Answers,
    /// It did not.
    Silent,
    /// It is stopping: the other host is to be asked from now on.
    Stopping,
}

impl Health {
    /// Whether devices may be sent to it.
    pub fn is_well(self) -> bool {
        self == Health::Answers
    }

    /// One sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Health::Starting => "This host has just started.",
            Health::Answers => "This host answers DNS.",
            Health::Silent => "This host's DNS server does not answer.",
            Health::Stopping => "This host is stopping.",
        }
    }
}

/// A service address: devices ask it for DNS, and either host may hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceAddress {
    /// The address.
    pub address: std::net::IpAddr,
    /// The id of its network.
    pub network: String,
    /// The name of the host that holds it while both are well.
    pub home: String,
    /// Who holds it: a host's name, or a hardware address; `None`: nobody is known to.
    pub holder: Option<String>,
    /// Whether that is how it should be.
    pub well: bool,
    /// Why it is so, in one sentence.
    pub why: String,
}
