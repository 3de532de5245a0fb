//! Who is asked what the household does not know.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use lanward_dns::{Order, UpstreamServer, UpstreamTransport};

use super::{Record, word};
use crate::settings::fields::{Fields, Read, Wrong, shown};
use crate::settings::words::{Id, Name, Zone};

/// How own recursion is written, in the place of a server.
const RECURSIVE: &str = "recursive";

/// A server that is asked, written `9.9.9.9`, `9.9.9.9:5353`, `tls://9.9.9.9#dns.quad9.net`,
/// `https://dns.quad9.net/dns-query` or `quic://dns.adguard-dns.com`; or as a table of `url` and
/// `addresses`. `recursive` is no server: the zones' own servers are asked, from the root's down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// As it was written.
    text: String,
    /// Where a server is whose name does not tell.
    addresses: Vec<IpAddr>,
    server: UpstreamServer,
}

/// A server without encryption, written `9.9.9.9` or `9.9.9.9:5353`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PlainServer(Upstream);

impl PlainServer {
    /// Its address.
    pub fn addr(&self) -> Option<SocketAddr> {
        let server = self.0.server();
        server.addresses.first().map(|address| SocketAddr::new(*address, server.port))
    }
}

impl Read for PlainServer {
    fn read(value: &Value) -> Result<Self, Wrong> {
        let server = Upstream::read(value)?;
        if server.server.transport != UpstreamTransport::Plain {
            let message = format!("{server} is not a plain server at an address.");
            return Err(Wrong::new(message, "Write the address of a plain one, such as 9.9.9.9."));
        }
        Ok(Self(server))
    }
}

/// A group of servers of which any may be asked. The group `default` is asked where nothing else
/// is said, in place of the setting `upstreams`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpstreamGroup {
    /// Who is in it.
    pub servers: Vec<Upstream>,
    /// Who is asked first (default `listed`).
    #[serde(serialize_with = "write_order")]
    pub order: Order,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Zones whose names are asked of servers of their own (conditional forwarding).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Forward {
    /// Domains, or networks for the names of their addresses.
    pub zones: Vec<Zone>,
    /// Who is asked.
    pub servers: Vec<Upstream>,
    /// Only for clients of these networks; none: for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Id>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl Record for UpstreamGroup {
    const KIND: &'static str = "upstream";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let servers = servers(fields);
        let order = fields.optional::<OrderWord>("order").map_or(Order::Listed, |order| order.0);
        let comment = fields.optional("comment");
        Some(Self { servers: servers?, order, comment })
    }
}

impl Record for Forward {
    const KIND: &'static str = "forward";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        if !fields.has("zones") {
            let wrong = Wrong::new("`zones` is missing.", "Add zones = [\"corp.example\"]");
            fields.wrong("", wrong);
        }
        let zones: Vec<Zone> = fields.list("zones");
        let servers = servers(fields);
        let networks = fields.list("networks");
        let comment = fields.optional("comment");
        (!zones.is_empty()).then_some(())?;
        Some(Self { zones, servers: servers?, networks, comment })
    }
}

fn servers(fields: &mut Fields<'_>) -> Option<Vec<Upstream>> {
    let servers: Vec<Upstream> = fields.list("servers");
    match fields.peek("servers") {
        None => fields
            .wrong("", Wrong::new("`servers` is missing.", "Add servers = [\"tls://9.9.9.9\"]")),
        Some(Value::Array(given)) if given.is_empty() => {
            let wrong =
                Wrong::new("Nobody is named to ask.", "Write servers = [\"tls://9.9.9.9\"]");
            fields.wrong("servers", wrong);
        }
        Some(_) => {}
    }
    (!servers.is_empty()).then_some(servers)
}

struct OrderWord(Order);

impl Read for OrderWord {
    fn read(value: &Value) -> Result<Self, Wrong> {
        let order = word(value, "an order of servers", &["listed", "shuffled", "fastest"])?;
        Ok(Self(match order {
            "shuffled" => Order::Shuffled,
            "fastest" => Order::Fastest,
            _ => Order::Listed,
        }))
    }
}

fn write_order<S: Serializer>(order: &Order, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match order {
        Order::Listed => "listed",
        Order::Shuffled => "shuffled",
        Order::Fastest => "fastest",
    })
}

impl Upstream {
    /// The server, for the resolver.
    pub fn server(&self) -> &UpstreamServer {
        &self.server
    }

    /// Whether somebody must be asked where it is.
    pub fn needs_bootstrap(&self) -> bool {
        self.server.addresses.is_empty()
    }

    /// A plain server.
    pub fn plain(addr: SocketAddr) -> Self {
        let server = UpstreamServer::plain(addr);
        Self { text: server.label.to_string(), addresses: Vec::new(), server }
    }

    /// Reads the short form; `addresses` for a server that is written by its name.
    fn parse(text: &str, addresses: Vec<IpAddr>) -> Result<Self, Wrong> {
        if text == RECURSIVE {
            let mut server = UpstreamServer::recursion();
            if !addresses.is_empty() {
                server.addresses.clone_from(&addresses);
            }
            return Ok(Self { text: text.to_owned(), addresses, server });
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            if !addresses.is_empty() {
                let fix = "Write the address itself, such as \"9.9.9.9\".";
                return Err(Wrong::new("A plain server has one address.", fix));
            }
            let plain = text.parse::<IpAddr>().map(|addr| SocketAddr::new(addr, 53));
            return plain.or_else(|_| text.parse()).map(Self::plain).map_err(|_| {
                Wrong::new(
                    format!("{} is not the address of a resolver.", shown(&Value::from(text))),
                    "Write an IP address such as 9.9.9.9 or 9.9.9.9:5353, or an encrypted \
                     server: tls://9.9.9.9#dns.quad9.net, https://dns.quad9.net/dns-query.",
                )
            });
        };
        let default_port = match scheme {
            "tls" | "quic" => 853,
            "https" => 443,
            "sdns" => {
                let message = "DNSCrypt stamps (sdns://) are not read: they name servers of a \
                               protocol that is not spoken here.";
                let fix = "Write the same operator's server as tls://, https:// or quic://.";
                return Err(Wrong::new(message, fix));
            }
            "h3" => {
                let message = "HTTP/3 is not spoken to upstream servers.";
                return Err(Wrong::new(message, "Write https:// (HTTP/2) or quic:// instead."));
            }
            _ => {
                let message = format!("{scheme}:// is not a way to ask a resolver.");
                return Err(Wrong::new(message, "Write tls://, https://, quic:// or an address."));
            }
        };
        let (rest, proven) = match rest.split_once('#') {
            Some((rest, name)) => (rest, Some(name)),
            None => (rest, None),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if scheme != "https" && !path.is_empty() && path != "/" {
            let message = format!("{scheme}:// has no path.");
            return Err(Wrong::new(message, "Leave out everything from the slash on."));
        }
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Wrong::new("The path is none.", "Write it as in a browser: /dns-query."));
        }
        let (host, port) = host_and_port(authority, default_port)?;
        let addresses_given = addresses.clone();
        let addresses = match host.parse::<IpAddr>() {
            Ok(_) if !addresses.is_empty() => {
                let fix = "Leave `addresses` out.";
                return Err(Wrong::new("The server's address stands in its URL already.", fix));
            }
            Ok(address) => vec![address],
            Err(_) => addresses,
        };
        let name = proven.unwrap_or(host);
        if name.parse::<IpAddr>().is_err() {
            Name::parse(name)?;
        }
        let name = name.to_ascii_lowercase().into();
        let transport = match scheme {
            "tls" => UpstreamTransport::Tls { name },
            "quic" => UpstreamTransport::Quic { name },
            _ => {
                let path = if path.is_empty() { "/dns-query" } else { path }.into();
                UpstreamTransport::Https { name, path }
            }
        };
        let server = UpstreamServer { label: text.into(), transport, addresses, port };
        Ok(Self { text: text.to_owned(), addresses: addresses_given, server })
    }
}

fn host_and_port(authority: &str, default: u16) -> Result<(&str, u16), Wrong> {
    let wrong = || {
        let message = format!("{} is not a server.", shown(&Value::from(authority)));
        Wrong::new(message, "Write its name or address, such as tls://9.9.9.9#dns.quad9.net.")
    };
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
            (host, port.strip_prefix(':'))
        }
        // Without brackets more than one colon is an IPv6 address.
        None if authority.matches(':').count() > 1 => (authority, None),
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err(wrong());
    }
    match port {
        None => Ok((host, default)),
        Some(port) => Ok((host, port.parse().map_err(|_| wrong())?)),
    }
}

impl Read for Upstream {
    fn read(value: &Value) -> Result<Self, Wrong> {
        match value {
            Value::String(text) => Self::parse(text.trim(), Vec::new()),
            Value::Object(table) => {
                let odd = table.keys().find(|key| !matches!(key.as_str(), "url" | "addresses"));
                if let Some(odd) = odd {
                    let message = format!("A server has no field `{odd}`.");
                    return Err(Wrong::new(message, "Known here: url, addresses."));
                }
                let url = table.get("url").and_then(Value::as_str).ok_or_else(|| {
                    Wrong::new("`url` is missing.", "Add url = \"https://dns.quad9.net/dns-query\"")
                })?;
                let addresses = match table.get("addresses") {
                    None => Vec::new(),
                    Some(Value::Array(given)) => {
                        given.iter().map(IpAddr::read).collect::<Result<_, _>>()?
                    }
                    Some(other) => {
                        let message = format!("{} is not a list.", shown(other));
                        return Err(Wrong::new(message, "Write addresses = [\"9.9.9.9\"]"));
                    }
                };
                Self::parse(url.trim(), addresses)
            }
            other => {
                let message = format!("{} is not a server.", shown(other));
                Err(Wrong::new(message, "Write it in quotes: \"tls://9.9.9.9#dns.quad9.net\"."))
            }
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Upstream {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.addresses.is_empty() {
            return serializer.serialize_str(&self.text);
        }
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("url", &self.text)?;
        map.serialize_entry("addresses", &self.addresses)?;
        map.end()
    }
}

#[cfg(test)]
mod tests;
