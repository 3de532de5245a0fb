//! This host's own settings: `lanward.toml`, version 1.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::fields::{Fields, Read, Wrong, shown};
use super::problem::Problem;
use super::report::Report;
use super::toml_file::TomlFile;
use super::words::{Id, Size};
use crate::certificates::Files;

/// What is in force on this host only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostConfig {
    /// Who this host is, and where it keeps what it knows.
    pub node: Node,
    /// The file that declares the household, if one does.
    pub household: Option<PathBuf>,
    /// The DNS server.
    pub dns: Dns,
    /// The DHCP server.
    pub dhcp: Dhcp,
    /// The web pages.
    pub web: Web,
    /// The link to the partner.
    pub pair: Pair,
    /// The log.
    pub log: Log,
}

/// `[node]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its name; each host of a pair has its own.
    pub name: String,
    /// Where leases, settings, keys and lists are kept.
    pub data_dir: PathBuf,
    /// The admin socket; none: `admin.sock` in the service manager's runtime folder, else in
    /// `data_dir`.
    pub socket: Option<PathBuf>,
}

/// `[dns]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dns {
    /// Addresses that are served, over UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// UDP threads for each address; none: one for each core.
    pub workers: Option<NonZeroUsize>,
    /// Bound of the cache of answers, bytes.
    pub cache_size: u64,
    /// A file of addresses and names, as `/etc/hosts`, for the clients of this host.
    pub hosts_file: Option<PathBuf>,
    /// Addresses of DNS over TLS and over QUIC.
    pub tls_listen: Vec<SocketAddr>,
    /// Addresses of DNS over HTTPS.
    pub https_listen: Vec<SocketAddr>,
    /// The certificate of encrypted DNS and its key; none: the household's own.
    pub tls_files: Option<Files>,
}

/// `[dhcp]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dhcp {
    /// Whether this host serves DHCP at all.
    pub enabled: bool,
    /// The address relayed and unicast messages are taken at.
    pub listen: Ipv4Addr,
    /// The port of servers (67).
    pub server_port: u16,
    /// The port of clients (68).
    pub client_port: u16,
    /// Whether a new host serves although another DHCP server answers on its networks.
    pub next_to_others: bool,
}

/// `[web]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Web {
    /// Addresses of the pages and the API.
    pub listen: Vec<SocketAddr>,
}

/// `[pair]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// Where the partner connects to.
    pub listen: SocketAddr,
    /// Where the partner is told to connect to; none: this host's own addresses.
    pub advertise: Vec<SocketAddr>,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Log {
    /// What is logged, such as `info` or `info,lanward_ha=debug`.
    pub filter: String,
}

impl HostConfig {
    /// The settings of a host that has no file: everything on loopback, on ports that need no
    /// rights unless `privileged` (then DNS is on its own port). DHCP stays off.
    pub fn unconfigured(name: &str, data_dir: PathBuf, privileged: bool) -> HostConfig {
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut config = HostConfig::defaults(name, data_dir);
        config.dns.listen = vec![loopback(if privileged { 53 } else { 5300 })];
        config.dns.tls_listen = Vec::new();
        config.dns.https_listen = Vec::new();
        config.dhcp.enabled = false;
        config.web.listen = vec![loopback(8053)];
        config.pair.listen = loopback(6470);
        config
    }

    /// What is in force where a file says nothing.
    fn defaults(name: &str, data_dir: PathBuf) -> HostConfig {
        let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let any6 = |port| SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port));
        HostConfig {
            node: Node { name: name.to_owned(), data_dir, socket: None },
            household: None,
            dns: Dns {
                listen: vec![any(53), any6(53)],
                workers: None,
                cache_size: 32 << 20,
                hosts_file: None,
                tls_listen: vec![any(853), any6(853)],
                https_listen: vec![any(443), any6(443)],
                tls_files: None,
            },
            dhcp: Dhcp {
                enabled: true,
                listen: Ipv4Addr::UNSPECIFIED,
                server_port: 67,
                client_port: 68,
                next_to_others: false,
            },
            web: Web { listen: vec![any(8053), any6(8053)] },
            // 647 is IANA's dhcp-failover.
            pair: Pair { listen: any(647), advertise: Vec::new() },
            log: Log { filter: "info".to_owned() },
        }
    }

    /// Reads the text of a `lanward.toml`; `folder` is where it stands (for relative paths),
    /// `hostname` the host's own name.
    pub fn parse(
        file: &str,
        text: String,
        folder: &Path,
        hostname: &str,
    ) -> Result<HostConfig, Report> {
        let file = TomlFile::parse(file, text);
        let mut problems: Vec<Problem> = Vec::new();
        let config = if file.errors.is_empty() {
            Fields::read_all("", &file.value, &mut problems, |fields| {
                Some(HostConfig::read(fields, folder, hostname))
            })
        } else {
            None
        };
        let report = Report::new(&file, &problems, |place| Some(place.field.clone()));
        match config {
            Some(config) if !report.has_errors() => Ok(config),
            _ => Err(report),
        }
    }

    fn read(fields: &mut Fields<'_>, folder: &Path, hostname: &str) -> HostConfig {
        read_version(fields);
        let mut config = HostConfig::defaults(hostname, PathBuf::from("/var/lib/lanward"));
        config.household = fields.optional::<String>("household").map(|file| folder.join(file));
        fields.table("node", |fields| {
            if let Some(name) = fields.optional::<NodeName>("name") {
                config.node.name = name.0;
            }
            if let Some(dir) = fields.optional::<String>("data_dir") {
                config.node.data_dir = folder.join(dir);
            }
            config.node.socket =
                fields.optional::<String>("socket").map(|socket| folder.join(socket));
            Some(())
        });
        fields.table("dns", |fields| {
            let dns = &mut config.dns;
            read_listen(fields, "listen", &mut dns.listen);
            // A host that serves plain DNS elsewhere, in a test bed or behind something, is not
            // one whose encrypted DNS belongs on the well-known ports.
            let beside = |port| {
                let plain = dns.listen.iter().filter(|addr| addr.port() == 53);
                plain.map(|addr| SocketAddr::new(addr.ip(), port)).collect()
            };
            (dns.tls_listen, dns.https_listen) = (beside(853), beside(443));
            read_listen(fields, "tls_listen", &mut dns.tls_listen);
            read_listen(fields, "https_listen", &mut dns.https_listen);
            dns.tls_files = read_files(fields, folder);
            config.dns.workers = fields.optional::<Workers>("workers").map(|workers| workers.0);
            config.dns.cache_size =
                fields.or("cache_size", Size(config.dns.cache_size)).0.max(1 << 20);
            config.dns.hosts_file =
                fields.optional::<String>("hosts_file").map(|file| folder.join(file));
            Some(())
        });
        fields.table("dhcp", |fields| {
            let dhcp = &mut config.dhcp;
            dhcp.enabled = fields.or("enabled", dhcp.enabled);
            dhcp.listen = fields.or("listen", dhcp.listen);
            dhcp.server_port = fields.or("server_port", dhcp.server_port);
            dhcp.client_port = fields.or("client_port", dhcp.client_port);
            dhcp.next_to_others = fields.or("next_to_others", dhcp.next_to_others);
            Some(())
        });
        fields.table("web", |fields| {
            read_listen(fields, "listen", &mut config.web.listen);
            Some(())
        });
        fields.table("pair", |fields| {
            config.pair.listen = fields.or("listen", config.pair.listen);
            config.pair.advertise = fields.list("advertise");
            Some(())
        });
        fields.table("log", |fields| {
            if let Some(filter) = fields.optional::<LogFilter>("filter") {
                config.log.filter = filter.0;
            }
            Some(())
        });
        config
    }

    /// Where the admin socket is. `runtime_dir` is the folder the service manager made for it.
    pub fn socket(&self, runtime_dir: Option<&Path>) -> PathBuf {
        let folder = runtime_dir.unwrap_or(&self.node.data_dir);
        self.node.socket.clone().unwrap_or_else(|| folder.join("admin.sock"))
    }
}

/// The version of the file's format; only version 1 exists.
pub(super) fn read_version(fields: &mut Fields<'_>) {
    if let Some(version) = fields.optional::<u32>("version")
        && version != 1
    {
        let message = format!("This Lanward knows files of version 1, not {version}.");
        fields.wrong("version", Wrong::new(message, "Write version = 1, or leave it out."));
    }
}

/// The certificate and its key: both, or neither.
fn read_files(fields: &mut Fields<'_>, folder: &Path) -> Option<Files> {
    let mut path = |key| fields.optional::<String>(key).map(|file| folder.join(file));
    match (path("tls_cert"), path("tls_key")) {
        (Some(certificate), Some(key)) => Some(Files { certificate, key }),
        (None, None) => None,
        (Some(_), None) => {
            let fix = "Write tls_key = \"FILE\" with its private key beside it.";
            fields
                .wrong("tls_cert", Wrong::new("A certificate is of no use without its key.", fix));
            None
        }
        (None, Some(_)) => {
            let fix = "Write tls_cert = \"FILE\" with the certificate beside it.";
            fields.wrong("tls_key", Wrong::new("A key is of no use without its certificate.", fix));
            None
        }
    }
}

fn read_listen(fields: &mut Fields<'_>, key: &'static str, listen: &mut Vec<SocketAddr>) {
    if !fields.has(key) {
        return;
    }
    *listen = fields.list(key);
    let given = fields.peek(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for i in (1..given.len()).filter(|i| given[..*i].contains(&given[*i])) {
        let message = format!("{} is there twice.", shown(&given[i]));
        fields.wrong(&format!("{key}[{i}]"), Wrong::new(message, "Leave one of them out."));
    }
}

struct NodeName(String);

impl Read for NodeName {
    fn read(value: &Value) -> Result<NodeName, Wrong> {
        let text = String::read(value)?;
        Id::parse(&text.to_ascii_lowercase()).map(|_| NodeName(text.clone())).map_err(|_| {
            Wrong::new(
                format!("{} is not a host's name.", shown(&Value::from(text))),
                "Use 1 to 63 letters, digits, hyphens, underscores and dots.",
            )
        })
    }
}

struct Workers(NonZeroUsize);

impl Read for Workers {
    fn read(value: &Value) -> Result<Workers, Wrong> {
        let number = value.as_u64().filter(|number| (1..=256).contains(number));
        let number = number.and_then(|number| NonZeroUsize::new(number as usize));
        number.map(Workers).ok_or_else(|| {
            Wrong::new(
                format!("{} is not a number of threads.", shown(value)),
                "Write 1 to 256, or leave it out for one on each core.",
            )
        })
    }
}

struct LogFilter(String);

impl Read for LogFilter {
    fn read(value: &Value) -> Result<LogFilter, Wrong> {
        let text = String::read(value)?;
        match tracing_subscriber::EnvFilter::try_new(&text) {
            Ok(_) => Ok(LogFilter(text)),
            Err(error) => Err(Wrong::new(
                format!("{} is not a log filter: {error}.", shown(value)),
                "Write error, warn, info, debug or trace, or such as \"info,lanward_ha=debug\".",
            )),
        }
    }
}

#[cfg(test)]
mod tests;
