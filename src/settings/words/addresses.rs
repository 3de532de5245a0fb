//! Addresses and subnets as they are written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};
use serde_json::Value;

use super::text;
use crate::settings::fields::{Read, Wrong, shown};

impl Read for Ipv4Addr {
    fn read(value: &Value) -> Result<Ipv4Addr, Wrong> {
        let text = text(value, "an IPv4 address", "10.0.20.5")?;
        parse_ipv4(&text)
    }
}

pub(super) fn parse_ipv4(text: &str) -> Result<Ipv4Addr, Wrong> {
    text.parse().map_err(|_| {
        let parts: Vec<&str> = text.split('.').collect();
        let number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let why = if parts.len() != 4 || !parts.iter().all(number) {
            "it has four numbers with dots between them"
        } else if parts.iter().any(|part| part.len() > 1 && part.starts_with('0')) {
            "a part must not begin with 0"
        } else {
            "each part goes to 255"
        };
        Wrong::new(
            format!("{} is not an IPv4 address: {why}.", shown(&Value::from(text))),
            "Write an address such as 10.0.20.5.",
        )
    })
}

impl Read for Ipv6Addr {
    fn read(value: &Value) -> Result<Ipv6Addr, Wrong> {
        let text = text(value, "an IPv6 address", "fd00::5")?;
        text.parse().map_err(|_| {
            Wrong::new(
                format!("{} is not an IPv6 address.", shown(value)),
                "Write an address such as fd00::5.",
            )
        })
    }
}

impl Read for IpAddr {
    fn read(value: &Value) -> Result<IpAddr, Wrong> {
        let text = text(value, "an IP address", "10.0.20.5")?;
        if text.contains(':') {
            return Ipv6Addr::read(value).map(IpAddr::from);
        }
        parse_ipv4(&text).map(IpAddr::from)
    }
}

impl Read for SocketAddr {
    fn read(value: &Value) -> Result<SocketAddr, Wrong> {
        let text = text(value, "an address with a port", "0.0.0.0:53")?;
        text.parse().map_err(|_| {
            Wrong::new(
                format!("{} is not an address with a port.", shown(value)),
                "Write it such as 0.0.0.0:53 or [::]:53.",
            )
        })
    }
}

impl Read for Ipv4Net {
    fn read(value: &Value) -> Result<Ipv4Net, Wrong> {
        let text = text(value, "a subnet", "10.0.20.0/24")?;
        let Some((addr, len)) = text.split_once('/') else {
            return Err(Wrong::new(
                format!("{} is not a subnet: it has no prefix length.", shown(value)),
                "Write it such as 10.0.20.0/24.",
            ));
        };
        let addr = parse_ipv4(addr)?;
        let net =
            len.parse().ok().and_then(|len| Ipv4Net::new(addr, len).ok()).ok_or_else(|| {
                Wrong::new(
                    format!("/{len} is not a prefix length: it goes from 0 to 32."),
                    format!("Write it such as {addr}/24."),
                )
            })?;
        whole_net(IpNet::V4(net)).map(|_| net)
    }
}

impl Read for IpNet {
    fn read(value: &Value) -> Result<IpNet, Wrong> {
        let text = text(value, "a subnet", "fd00:20::/64")?;
        if !text.contains(':') {
            return Ipv4Net::read(value).map(IpNet::from);
        }
        let net = text.parse().map_err(|_| {
            Wrong::new(
                format!("{} is not a subnet.", shown(value)),
                "Write it such as fd00:20::/64.",
            )
        })?;
        whole_net(net)
    }
}

fn whole_net(net: IpNet) -> Result<IpNet, Wrong> {
    if net.addr() == net.network() {
        return Ok(net);
    }
    Err(Wrong::new(
        format!("{} is an address inside {}, not the subnet.", net.addr(), net.trunc()),
        format!("Write {}.", net.trunc()),
    ))
}
