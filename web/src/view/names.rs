//! The names that this host answers itself.

use std::net::IpAddr;

use serde::Serialize;

/// All local names of one host, and those that are not in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LocalNames {
    /// Sorted by name, then by type and value.
    pub names: Vec<NameRow>,
    /// Names that somebody asked for and did not get.
    pub refused: Vec<RefusedName>,
    /// Lines of the hosts file that are not used: number, and why.
    pub mistakes: Vec<(u32, String)>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NameRow {
    /// Its owner, complete, without the final dot; `*.` begins a wildcard.
    pub name: String,
    /// Its type, such as `AAAA`.
    #[serde(rename = "type")]
    pub rtype: String,
    /// Its value as it is written. Untrusted text.
    pub value: String,
    /// Where it comes from.
    pub source: NameSource,
    /// The line of the hosts file.
    pub line: Option<u32>,
    /// The networks whose clients see it; none: all clients.
    pub networks: Vec<String>,
}

/// Where a name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NameSource {
    /// A record of the household.
    Record,
    /// A reservation, leased or not.
    Reservation,
    /// One of the pair's hosts.
    Host,
    /// This host's hosts file.
    HostsFile,
    /// The addresses of the pair that devices are told to ask.
    Service,
    /// The router of a network.
    Router,
    /// A device that has a lease calls itself so.
    Lease,
}

impl NameSource {
    /// In words.
    pub fn label(self) -> &'static str {
        match self {
            NameSource::Record => "Record",
            NameSource::Reservation => "Reservation",
            NameSource::Host => "Host of the pair",
            NameSource::HostsFile => "Hosts file",
            NameSource::Service => "The pair",
            NameSource::Router => "Router",
            NameSource::Lease => "Lease",
        }
    }
}

/// A name that is not given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedName {
    /// The full name.
    pub name: String,
    /// The address it was to have.
    pub addr: IpAddr,
    /// Why not, as a sentence without its dot.
    pub why: String,
}
