//! A domain name, as the pipeline compares them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// Longest name in wire format, the root's zero byte included (RFC 1035, 2.3.4).
pub(crate) const MAX_WIRE: usize = 255;

/// A domain name in wire format: lower case, uncompressed, at most 255 bytes, ending with the
/// root label's zero byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

/// Why a text is not a domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Two dots in a row, or a dot at the start.
    #[error("a label is empty")]
    EmptyLabel,
    /// RFC 1035, 2.3.4.
    #[error("a label is longer than 63 bytes")]
    LongLabel,
    /// RFC 1035, 2.3.4.
    #[error("the name is longer than 255 bytes")]
    LongName,
    /// Only printable ASCII is taken; internationalised names come as A-labels.
    #[error("the character {0:?} cannot stand in a name")]
    Character(char),
}

impl Name {
    /// The root.
    pub fn root() -> Self {
        Name(Box::from([0]))
    }

    /// A name from its wire format, which must be uncompressed and exactly one name long; upper
    /// case is lowered.
    pub fn from_wire(wire: &[u8]) -> Option<Self> {
        if wire.len() > MAX_WIRE {
            return None;
        }
        let mut at = 0;
        loop {
            match usize::from(*wire.get(at)?) {
                0 => break,
                len @ 1..=63 => at += 1 + len,
                _ => return None,
            }
        }
        (at + 1 == wire.len()).then(|| Name(wire.to_ascii_lowercase().into()))
    }

    /// The wire format.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// How many labels, the root not counted.
    pub fn labels(&self) -> usize {
        suffixes(&self.0).count() - 1
    }

    /// This name below `parent`.
    pub fn under(&self, parent: &Name) -> Result<Name, NameError> {
        let own = self.0.split_last().map_or(&[][..], |(_, rest)| rest);
        let wire = [own, &parent.0].concat();
        if wire.len() > MAX_WIRE { Err(NameError::LongName) } else { Ok(Name(wire.into())) }
    }

    /// Whether this name is `zone` or below it.
    pub fn is_within(&self, zone: &Name) -> bool {
        suffixes(&self.0).any(|suffix| suffix == &*zone.0)
    }

    /// The name whose PTR record belongs to `address` (RFC 1035, 3.5; RFC 3596, 2.5).
    pub fn reverse_of(address: IpAddr) -> Name {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::reverse_v4(&v4.octets()),
            IpAddr::V6(v6) => {
                let nibbles: Vec<u8> =
                    v6.octets().iter().flat_map(|byte| [byte >> 4, byte & 15]).collect();
                Self::reverse_v6(&nibbles)
            }
        }
    }

    /// The zones that hold the PTR records of `network`: one when the prefix ends at a byte (IPv6:
    /// at a nibble), else those of the next longer such prefix; an IPv4 prefix longer than /24 gets
    /// the zone of its /24.
    pub fn reverse_zones(network: IpNet) -> Vec<Name> {
        match network {
            IpNet::V4(net) => {
                let len = net.prefix_len().min(24).next_multiple_of(8).max(8);
                let wide = ipnet::Ipv4Net::new_assert(net.network(), net.prefix_len().min(24));
                let zone = |net: ipnet::Ipv4Net| {
                    Self::reverse_v4(&net.network().octets()[..len as usize / 8])
                };
                wide.trunc().subnets(len).map_or_else(|_| Vec::new(), |all| all.map(zone).collect())
            }
            IpNet::V6(net) => {
                let len = net.prefix_len().next_multiple_of(4).max(4);
                let zone = |net: ipnet::Ipv6Net| {
                    let octets = net.network().octets();
                    let nibbles = octets.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                    Self::reverse_v6(&nibbles.take(len as usize / 4).collect::<Vec<_>>())
                };
                net.trunc().subnets(len).map_or_else(|_| Vec::new(), |all| all.map(zone).collect())
            }
        }
    }

    fn reverse_v4(octets: &[u8]) -> Name {
        let mut wire = Vec::with_capacity(30);
        for octet in octets.iter().rev() {
            let text = octet.to_string();
            wire.push(text.len() as u8);
            wire.extend_from_slice(text.as_bytes());
        }
        wire.extend_from_slice(b"\x07in-addr\x04arpa\0");
        Name(wire.into())
    }

    fn reverse_v6(nibbles: &[u8]) -> Name {
        let mut wire = Vec::with_capacity(74);
        for nibble in nibbles.iter().rev() {
            wire.extend_from_slice(&[1, b"0123456789abcdef"[usize::from(nibble & 15)]]);
        }
        wire.extend_from_slice(b"\x03ip6\x04arpa\0");
        Name(wire.into())
    }
}

/// The name itself and every name above it, down to the root. `wire` must be a whole name; what is
/// not one ends the walk early.
pub(crate) fn suffixes(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(wire);
    std::iter::from_fn(move || {
        let this = rest?;
        let len = usize::from(*this.first()?);
        rest = if len == 0 { None } else { this.get(1 + len..) };
        Some(this)
    })
}

/// The last `labels` labels of a name.
pub(crate) fn last_labels(name: &[u8], labels: u8) -> &[u8] {
    let skip = suffixes(name).count().saturating_sub(1 + usize::from(labels));
    suffixes(name).nth(skip).unwrap_or(name)
}

/// Writes a wire name as text: no final dot, `.` for the root, unusual bytes as `\DDD`.
pub(crate) fn push_text(out: &mut Vec<u8>, wire: &[u8]) {
    let start = out.len();
    for label in suffixes(wire) {
        let len = usize::from(label[0]);
        let Some(bytes) = label.get(1..1 + len).filter(|bytes| !bytes.is_empty()) else { break };
        if out.len() > start {
            out.push(b'.');
        }
        for &byte in bytes {
            match byte {
                b'.' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                b'!'..=b'~' => out.push(byte),
                _ => {
                    let digits = [b'0' + byte / 100, b'0' + byte / 10 % 10, b'0' + byte % 10];
                    out.push(b'\\');
                    out.extend_from_slice(&digits);
                }
            }
        }
    }
    if out.len() == start {
        out.push(b'.');
    }
}

impl FromStr for Name {
    type Err = NameError;

    /// Takes `printer.home.arpa` with or without the final dot; every name is taken as complete.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Ok(Name::root());
        }
        let mut wire = Vec::with_capacity(text.len() + 2);
        for label in text.split('.') {
            if let Some(odd) = label.chars().find(|c| !c.is_ascii_graphic() || *c == '\\') {
                return Err(NameError::Character(odd));
            }
            match label.len() {
                0 => return Err(NameError::EmptyLabel),
                len @ 1..=63 => wire.push(len as u8),
                _ => return Err(NameError::LongLabel),
            }
            wire.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
        }
        wire.push(0);
        if wire.len() > MAX_WIRE { Err(NameError::LongName) } else { Ok(Name(wire.into())) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(self.0.len());
        push_text(&mut text, &self.0);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

#[cfg(test)]
mod tests;
