//! The small values settings are made of: how they are written, and what is said when they are
//! written wrong.

mod addresses;
mod names;
mod size;

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::fields::{Read, Wrong, shown};

use addresses::parse_ipv4;
pub use names::{Id, Name, Owner};
pub use size::Size;

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

/// A zone, written as a domain (`corp.example`) or, for the names of addresses, as a network
/// (`192.168.0.0/16`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Zone {
    /// The domain and all names below it.
    Domain(Name),
    /// The reverse zones of its addresses.
    Reverse(IpNet),
}

impl Zone {
    /// The zones' names.
    pub fn names(&self) -> Vec<lanward_dns::Name> {
        match self {
            Zone::Domain(name) => name.as_str().parse().into_iter().collect(),
            Zone::Reverse(network) => lanward_dns::Name::reverse_zones(*network),
        }
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

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Zone::Domain(name) => name.fmt(f),
            Zone::Reverse(network) => network.fmt(f),
        }
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
serialize_by_display!(Period, Range, Mac, Hex, Name, Owner, Zone, Id, Size);

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

impl Read for Zone {
    fn read(value: &Value) -> Result<Zone, Wrong> {
        let text = text(value, "a zone", "corp.example")?;
        if text.contains('/') {
            let network: IpNet = text.parse().map_err(|_| {
                Wrong::new(
                    format!("{} is not a network.", shown(value)),
                    "Write a domain, or a network such as 192.168.0.0/16.",
                )
            })?;
            return Ok(Zone::Reverse(network.trunc()));
        }
        Name::parse(&text).map(Zone::Domain)
    }
}

#[cfg(test)]
mod tests;
