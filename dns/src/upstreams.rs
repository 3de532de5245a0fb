//! Who is asked what we do not know.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::Name;
use crate::protection::{is_private_v4, is_private_v6};

/// How a server is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamTransport {
    /// UDP, and TCP when an answer does not fit or seems forged.
    Plain,
    /// DNS over TLS (RFC 7858).
    Tls {
        /// The name or address that its certificate must be for.
        name: Arc<str>,
    },
    /// DNS over HTTPS, HTTP/2 (RFC 8484).
    Https {
        /// The name or address that its certificate must be for.
        name: Arc<str>,
        /// Where it answers, e.g. `/dns-query`.
        path: Arc<str>,
    },
    /// DNS over dedicated QUIC connections (RFC 9250).
    Quic {
        /// The name or address that its certificate must be for.
        name: Arc<str>,
    },
    /// It is no server: the name servers of the zones are asked, from the root's, which its
    /// addresses are, down.
    Recursion,
}

/// One server that answers questions for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamServer {
    /// As the settings write it, for people.
    pub label: Arc<str>,
    /// How it is spoken to.
    pub transport: UpstreamTransport,
    /// Where it is; when a connection to one fails the next is tried. None: wherever the bootstrap
    /// servers say that the transport's name is.
    pub addresses: Vec<IpAddr>,
    /// The port of all of them.
    pub port: u16,
}

/// Which server of a group is asked first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As listed.
    #[default]
    Listed,
    /// Whichever comes, so that each of them learns a part of the questions only.
    Shuffled,
    /// The one that has answered fastest lately.
    Fastest,
}

/// Servers of which any may answer a question: the others are asked when one fails or is slow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamGroup {
    /// Its id in the settings.
    pub id: Arc<str>,
    /// Who is in it. None: every question that would be asked of it fails, with the reason.
    pub servers: Vec<UpstreamServer>,
    /// Who is asked first.
    pub order: Order,
}

/// A zone whose names are asked of a group of its own: a directory server's, a cluster's, those of
/// the router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardZone {
    /// It and all names below it; of two zones the longer one counts.
    pub zone: Name,
    /// Only for clients of these networks; empty: for all.
    pub networks: Vec<IpNet>,
    /// Index into [`Upstreams::groups`].
    pub group: usize,
}

/// All groups, and which names they are asked for: an immutable snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstreams {
    /// The first is asked where nothing else is said. None: whatever is not local is answered
    /// SERVFAIL, with the reason.
    pub groups: Vec<UpstreamGroup>,
    /// Zones with groups of their own.
    pub zones: Vec<ForwardZone>,
    /// Plain servers that resolve the names of servers whose settings give no address.
    pub bootstrap: Vec<SocketAddr>,
    /// Names of time servers beside the well-known ones, with those below them: they are found even
    /// while certificates and signatures are refused because the clock is wrong.
    pub time_names: Vec<Name>,
    /// After this a question counts as failed, all servers taken together.
    pub timeout: Duration,
    /// When a server has not answered for so long, the next is asked as well.
    pub hedge_after: Duration,
    /// When nothing has come for so long and an expired answer is at hand, that is served (RFC
    /// 8767, 5: the client response timer, 1.8 s).
    pub stale_after: Duration,
    /// Distinct questions asked upstream at once; more are answered SERVFAIL or stale.
    pub max_in_flight: usize,
}

impl Default for Upstreams {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            zones: Vec::new(),
            bootstrap: Vec::new(),
            time_names: Vec::new(),
            timeout: Duration::from_secs(5),
            hedge_after: Duration::from_millis(300),
            stale_after: Duration::from_millis(1800),
            max_in_flight: 2000,
        }
    }
}

impl Upstreams {
    /// One group of plain servers, asked in this order.
    pub fn plain(servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        let group = UpstreamGroup {
            id: "default".into(),
            servers: servers.into_iter().map(UpstreamServer::plain).collect(),
            order: Order::Listed,
        };
        Self { groups: vec![group], ..Self::default() }
    }
}

impl UpstreamTransport {
    /// A word for it: `plain`, `tls`, `https`, `quic` or `recursive`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tls { .. } => "tls",
            Self::Https { .. } => "https",
            Self::Quic { .. } => "quic",
            Self::Recursion => "recursive",
        }
    }

    /// The name that the server must prove to have.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Plain | Self::Recursion => None,
            Self::Tls { name } | Self::Https { name, .. } | Self::Quic { name } => Some(name),
        }
    }
}

impl UpstreamServer {
    /// Own recursion from the root's name servers down.
    pub fn recursion() -> Self {
        Self {
            label: "recursive".into(),
            transport: UpstreamTransport::Recursion,
            addresses: crate::forward::ROOT_SERVERS.to_vec(),
            port: 53,
        }
    }

    /// Whether it is at public addresses, or proves who it is: it will still be the same tomorrow.
    pub(crate) fn is_public(&self) -> bool {
        let is_public = |address: &IpAddr| match address {
            IpAddr::V4(v4) => !is_private_v4(*v4),
            IpAddr::V6(v6) => !is_private_v6(*v6),
        };
        self.transport.name().is_some() || self.addresses.iter().all(is_public)
    }

    /// A server spoken to over UDP and TCP.
    pub fn plain(addr: SocketAddr) -> Self {
        let label = match addr.port() {
            53 => addr.ip().to_string(),
            _ => addr.to_string(),
        };
        Self {
            label: label.into(),
            transport: UpstreamTransport::Plain,
            addresses: vec![addr.ip()],
            port: addr.port(),
        }
    }
}

impl UpstreamGroup {
    /// A number that differs from group to group and changes when the group's servers do, and with
    /// nothing else: what the answers of one group are kept under. Stable from run to run.
    pub(crate) fn tag(&self) -> u64 {
        // FNV-1a over the id and all servers, each field ended by a byte that no text has.
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        let mut add = |bytes: &[u8]| {
            for byte in bytes.iter().chain(&[0xff]) {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        add(self.id.as_bytes());
        for server in &self.servers {
            let parts: &[&str] = match &server.transport {
                UpstreamTransport::Plain => &["plain"],
                UpstreamTransport::Recursion => &["recursion"],
                UpstreamTransport::Tls { name } => &["tls", name],
                UpstreamTransport::Https { name, path } => &["https", name, path],
                UpstreamTransport::Quic { name } => &["quic", name],
            };
            parts.iter().for_each(|part| add(part.as_bytes()));
            for address in &server.addresses {
                add(address.to_string().as_bytes());
            }
            add(&server.port.to_be_bytes());
        }
        hash
    }
}
