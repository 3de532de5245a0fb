//! The small values settings are made of: how they are written, and what is said when they are
//! written wrong.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::fields::{Read, Wrong, shown};

/// A length of time, written `10s`, `90m`, `24h`, `7d`, or several together (`1h30m`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

/// Addresses from the first to the last, written `10.0.30.100-10.0.30.199`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// The lowest address.
    pub first: Ipv4Addr,
    /// The highest address; not below the first.
    pub last: Ipv4Addr,
}

/// An Ethernet address, written `02:00:5e:10:00:01` (hyphens and dots are read too).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

/// Bytes, written as hex digits (`ff0a0b` or `ff:0a:0b`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hex(pub Vec<u8>);

/// A DNS name: lower case, without the final dot, each label 1 to 63 bytes, 253 in all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

/// An upstream resolver, written `9.9.9.9`, `9.9.9.9:5353` or `[2620:fe::fe]:53`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upstream(pub SocketAddr);

/// An id people give a network, policy or list: 1 to 63 of `a-z 0-9 - _ .`, beginning with a
/// letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(String);

impl Id {
    /// The id, when `text` is one.
    pub fn parse(text: &str) -> Result<Id, Wrong> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let good = text.len() <= 63
            && text.starts_with(fits)
            && text.chars().all(|c| fits(c) || "-_.".contains(c));
        good.then(|| Id(text.to_owned())).ok_or_else(|| {
            Wrong::new(
                format!("{} is not an id.", shown(&Value::from(text))),
                "Use 1 to 63 small letters, digits, hyphens, underscores and dots.",
            )
        })
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Name {
    /// The name, when `text` is one. Letters outside ASCII must stand in their `xn--` form.
    pub fn parse(text: &str) -> Result<Name, Wrong> {
        let bad = |why: &str| {
            Wrong::new(
                format!("{} is not a domain name: {why}.", shown(&Value::from(text))),
                "Write a name such as nas or nas.home.arpa.",
            )
        };
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(bad("it is empty"));
        }
        if !text.is_ascii() {
            return Err(bad("it has letters outside ASCII; write their xn-- form"));
        }
        if text.len() > 253 {
            return Err(bad("it is longer than 253 letters"));
        }
        for label in text.split('.') {
            if label.is_empty() {
                return Err(bad("it has an empty part"));
            }
            if label.len() > 63 {
                return Err(bad("a part is longer than 63 letters"));
            }
            if !label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
                return Err(bad("only letters, digits, hyphens, underscores and dots fit"));
            }
        }
        Ok(Name(text.to_ascii_lowercase()))
    }

    /// The name as text, without the final dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name itself when it has a dot, else the name inside `domain`.
    pub fn in_domain(&self, domain: &str) -> String {
        if self.0.contains('.') { self.0.clone() } else { format!("{}.{domain}", self.0) }
    }

    /// The labels one after another as on the wire, each after its length, ending with a zero.
    pub fn to_wire(&self) -> Vec<u8> {
        let mut wire = Vec::with_capacity(self.0.len() + 2);
        for label in self.0.split('.') {
            wire.push(label.len() as u8);
            wire.extend_from_slice(label.as_bytes());
        }
        wire.push(0);
        wire
    }
}

impl Range {
    /// Whether `addr` is one of them.
    pub fn contains(&self, addr: Ipv4Addr) -> bool {
        self.first <= addr && addr <= self.last
    }

    /// How many addresses there are.
    pub fn count(&self) -> u64 {
        u64::from(u32::from(self.last)) - u64::from(u32::from(self.first)) + 1
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0.as_secs();
        match secs {
            _ if secs >= 172_800 && secs.is_multiple_of(86_400) => write!(f, "{}d", secs / 86_400),
            _ if secs >= 3600 && secs.is_multiple_of(3600) => write!(f, "{}h", secs / 3600),
            _ if secs >= 60 && secs.is_multiple_of(60) => write!(f, "{}m", secs / 60),
            _ => write!(f, "{secs}s"),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return write!(f, "{}", self.first);
        }
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.port() == 53 { write!(f, "{}", self.0.ip()) } else { write!(f, "{}", self.0) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Writes a value the way it is read.
macro_rules! serialize_by_display {
    ($($word:ty),*) => {$(
        impl Serialize for $word {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}
serialize_by_display!(Period, Range, Mac, Hex, Name, Upstream, Id);

fn text(value: &Value, what: &str, example: &str) -> Result<String, Wrong> {
    match value {
        Value::String(text) => Ok(text.trim().to_owned()),
        other => Err(Wrong::new(
            format!("{} is not {what}.", shown(other)),
            format!("Write it in quotes, such as \"{example}\"."),
        )),
    }
}

impl Read for String {
    fn read(value: &Value) -> Result<String, Wrong> {
        text(value, "a text", "like this")
    }
}

impl Read for bool {
    fn read(value: &Value) -> Result<bool, Wrong> {
        value.as_bool().ok_or_else(|| {
            Wrong::new(
                format!("{} is neither true nor false.", shown(value)),
                "Write true or false, without quotes.",
            )
        })
    }
}

/// Reads a whole number of the type's range.
macro_rules! read_number {
    ($($number:ty),*) => {$(
        impl Read for $number {
            fn read(value: &Value) -> Result<$number, Wrong> {
                value.as_u64().and_then(|n| <$number>::try_from(n).ok()).ok_or_else(|| {
                    Wrong::new(
                        format!("{} is not a whole number from 0 to {}.", shown(value), <$number>::MAX),
                        "Write the number without quotes.",
                    )
                })
            }
        }
    )*};
}
read_number!(u8, u16, u32);

impl Read for Ipv4Addr {
    fn read(value: &Value) -> Result<Ipv4Addr, Wrong> {
        let text = text(value, "an IPv4 address", "10.0.20.5")?;
        parse_ipv4(&text)
    }
}

fn parse_ipv4(text: &str) -> Result<Ipv4Addr, Wrong> {
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

impl Read for Period {
    fn read(value: &Value) -> Result<Period, Wrong> {
        let wrong = || {
            Wrong::new(
                format!("{} is not a length of time.", shown(value)),
                "Write a number and a unit in quotes: \"10s\", \"90m\", \"24h\" or \"7d\".",
            )
        };
        let text = value.as_str().map(str::trim).filter(|t| !t.is_empty()).ok_or_else(wrong)?;
        let mut secs: u64 = 0;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let mut tail = tail.chars();
            let unit = match tail.next() {
                Some('s') => 1,
                Some('m') => 60,
                Some('h') => 3600,
                Some('d') => 86_400,
                Some('w') => 604_800,
                _ => return Err(wrong()),
            };
            let number: u64 = number.parse().map_err(|_| wrong())?;
            secs = number.checked_mul(unit).and_then(|n| secs.checked_add(n)).ok_or_else(wrong)?;
            rest = tail.as_str();
        }
        Ok(Period(Duration::from_secs(secs)))
    }
}

impl Read for Range {
    fn read(value: &Value) -> Result<Range, Wrong> {
        let text = text(value, "a range of addresses", "10.0.30.100-10.0.30.199")?;
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        let (first, last) = (parse_ipv4(first.trim())?, parse_ipv4(last.trim())?);
        if last < first {
            return Err(Wrong::new(
                "End of range is before the start.",
                format!("Write {last}-{first}."),
            ));
        }
        Ok(Range { first, last })
    }
}

impl Read for Mac {
    fn read(value: &Value) -> Result<Mac, Wrong> {
        let text = text(value, "a MAC address", "02:00:5e:10:00:01")?;
        let bytes = hex(&text).and_then(|bytes| <[u8; 6]>::try_from(bytes).ok());
        bytes.map(Mac).ok_or_else(|| {
            Wrong::new(
                format!("{} is not a MAC address: it has six pairs of hex digits.", shown(value)),
                "Write it such as 02:00:5e:10:00:01.",
            )
        })
    }
}

impl Read for Hex {
    fn read(value: &Value) -> Result<Hex, Wrong> {
        let text = text(value, "hex digits", "ff0a0b")?;
        hex(&text).map(Hex).ok_or_else(|| {
            Wrong::new(
                format!("{} is not made of pairs of hex digits.", shown(value)),
                "Write it such as ff0a0b or ff:0a:0b.",
            )
        })
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<char> = text.chars().filter(|c| !":-. ".contains(*c)).collect();
    digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some((high.to_digit(16)? * 16 + low.to_digit(16)?) as u8),
            _ => None,
        })
        .collect()
}

impl Read for Name {
    fn read(value: &Value) -> Result<Name, Wrong> {
        Name::parse(&text(value, "a domain name", "nas.home.arpa")?)
    }
}

impl Read for Upstream {
    fn read(value: &Value) -> Result<Upstream, Wrong> {
        let text = text(value, "an upstream resolver", "9.9.9.9")?;
        let plain = text.parse::<IpAddr>().ok().map(|addr| SocketAddr::new(addr, 53));
        plain.or_else(|| text.parse().ok()).map(Upstream).ok_or_else(|| {
            Wrong::new(
                format!("{} is not the address of a resolver.", shown(value)),
                "Write an IP address such as 9.9.9.9, or with a port: 9.9.9.9:5353.",
            )
        })
    }
}

impl Read for Id {
    fn read(value: &Value) -> Result<Id, Wrong> {
        Id::parse(&text(value, "an id", "iot")?)
    }
}

#[cfg(test)]
mod tests;
