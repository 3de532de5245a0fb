//! IPv6 addresses that stand for IPv4 addresses (RFC 6052), for clients of a network that reaches
//! IPv4 through a NAT64 only (DNS64, RFC 6147).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::protection::{is_private_v4, is_shared_v4};
use crate::{Name, RecordType};

/// The prefix of a NAT64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix64 {
    /// Zero after the prefix.
    octets: [u8; 16],
    /// Bytes of it: 4 to 8, or 12.
    len: u8,
}

/// Why a text is no such prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Prefix64Error {
    /// Not `address/length`.
    #[error("it is not an IPv6 prefix")]
    Malformed,
    /// RFC 6052, 2.2.
    #[error("its length is none of 32, 40, 48, 56, 64 and 96")]
    Length,
    /// Bits are set after the prefix.
    #[error("bits are set after the prefix")]
    Host,
    /// RFC 6052, 2.2: bits 64 to 71 are zero in all of them.
    #[error("bits 64 to 71 are not zero")]
    ReservedBits,
}

impl Prefix64 {
    /// The well-known prefix, `64:ff9b::/96` (RFC 6052, 2.1).
    pub const WELL_KNOWN: Self =
        Self { octets: [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], len: 12 };

    /// The address that stands for `v4`.
    pub fn embed(&self, v4: Ipv4Addr) -> Ipv6Addr {
        let mut octets = self.octets;
        for (slot, byte) in self.slots().zip(v4.octets()) {
            octets[slot] = byte;
        }
        octets.into()
    }

    /// What `v6` stands for, when it has this prefix.
    pub fn extract(&self, v6: Ipv6Addr) -> Option<Ipv4Addr> {
        let octets = v6.octets();
        let len = usize::from(self.len);
        if octets[..len] != self.octets[..len] || octets[8] != 0 {
            return None;
        }
        let mut v4 = [0; 4];
        for (byte, slot) in v4.iter_mut().zip(self.slots()) {
            *byte = octets[slot];
        }
        Some(v4.into())
    }

    /// Whether an address of this house may stand behind the prefix. Those of one host or link never
    /// do; private ones not behind the well-known prefix (RFC 6052, 3.1).
    pub(crate) fn may_carry(&self, v4: Ipv4Addr) -> bool {
        let routed = v4.is_private() || is_shared_v4(v4);
        !is_private_v4(v4) || routed && *self != Self::WELL_KNOWN
    }

    /// The address that the name of a reverse zone of this prefix stands for.
    pub(crate) fn extract_name(&self, name: &[u8]) -> Option<Ipv4Addr> {
        let nibbles = name.strip_suffix(b"\x03ip6\x04arpa\0")?;
        if nibbles.len() != 64 {
            return None;
        }
        let mut octets = [0; 16];
        for (octet, pair) in octets.iter_mut().rev().zip(nibbles.chunks_exact(4)) {
            let [1, low, 1, high] = pair else { return None };
            let digit = |byte: &u8| char::from(*byte).to_digit(16);
            *octet = (digit(high)? << 4 | digit(low)?) as u8;
        }
        self.extract(octets.into())
    }

    /// Whether the answer to a question differs for clients behind this NAT64. Who sets both DO and
    /// CD validates by itself, and must see what the zone says (RFC 6147, 5.5).
    pub(crate) fn concerns(
        &self,
        name: &[u8],
        qtype: RecordType,
        dnssec_ok: bool,
        cd: bool,
    ) -> bool {
        match qtype {
            RecordType::AAAA => !(dnssec_ok && cd),
            RecordType::PTR => !(dnssec_ok && cd) && self.extract_name(name).is_some(),
            _ => false,
        }
    }

    /// A number that differs from prefix to prefix and is never 0: what is kept for its clients is
    /// kept apart. Stable from run to run.
    pub(crate) fn tag(&self) -> u64 {
        let bits = u128::from_be_bytes(self.octets);
        let folded = (bits >> 64) as u64 ^ (bits as u64).rotate_left(29) ^ u64::from(self.len);
        folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
    }

    /// Where the four bytes of an IPv4 address stand: after the prefix, around bits 64 to 71.
    fn slots(&self) -> impl Iterator<Item = usize> + use<> {
        (usize::from(self.len)..16).filter(|at| *at != 8)
    }
}

impl FromStr for Prefix64 {
    type Err = Prefix64Error;

    fn from_str(text: &str) -> Result<Self, Prefix64Error> {
        let net: ipnet::Ipv6Net = text.parse().map_err(|_| Prefix64Error::Malformed)?;
        let len = match net.prefix_len() {
            len @ (32 | 40 | 48 | 56 | 64 | 96) => len / 8,
            _ => return Err(Prefix64Error::Length),
        };
        if net.addr() != net.network() {
            return Err(Prefix64Error::Host);
        }
        let octets = net.addr().octets();
        if octets[8] != 0 {
            return Err(Prefix64Error::ReservedBits);
        }
        Ok(Self { octets, len })
    }
}

impl fmt::Display for Prefix64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv6Addr::from(self.octets), self.len * 8)
    }
}

/// The name whose PTR records those of an address in the prefix are.
pub(crate) fn reverse_of(v4: Ipv4Addr) -> Name {
    Name::reverse_of(v4.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 6052, 2.4.
    const EXAMPLES: [(&str, &str); 7] = [
        ("2001:db8::/32", "2001:db8:c000:221::"),
        ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
        ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
        ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
        ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
        ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
        ("64:ff9b::/96", "64:ff9b::192.0.2.33"),
    ];

    #[test]
    fn addresses_stand_where_the_standard_puts_them() {
        let v4: Ipv4Addr = "192.0.2.33".parse().expect("an address");
        for (prefix, expected) in EXAMPLES {
            let prefix: Prefix64 = prefix.parse().expect(prefix);
            let v6: Ipv6Addr = expected.parse().expect(expected);
            assert_eq!(prefix.embed(v4), v6, "{prefix}");
            assert_eq!(prefix.extract(v6), Some(v4), "{prefix}");
            let name = Name::reverse_of(v6.into());
            assert_eq!(prefix.extract_name(name.as_wire()), Some(v4), "{prefix}");
            assert_eq!(prefix.to_string().parse(), Ok(prefix));
        }
        assert_eq!("64:ff9b::/96".parse(), Ok(Prefix64::WELL_KNOWN));
    }

    #[test]
    fn what_is_no_prefix_of_a_nat64_is_refused() {
        for (text, why) in [
            ("192.0.2.0/24", Prefix64Error::Malformed),
            ("64:ff9b::", Prefix64Error::Malformed),
            ("64:ff9b::/95", Prefix64Error::Length),
            ("2001:db8::/128", Prefix64Error::Length),
            ("64:ff9b::1/96", Prefix64Error::Host),
            ("2001:db8:0:0:ff00::/96", Prefix64Error::ReservedBits),
        ] {
            assert_eq!(text.parse::<Prefix64>(), Err(why), "{text}");
        }
    }

    #[test]
    fn private_addresses_stand_behind_a_prefix_of_ones_own_only() {
        let own: Prefix64 = "fd00:64::/96".parse().expect("a prefix");
        for (v4, behind_own, behind_well_known) in [
            ("198.51.100.7", true, true),
            ("10.0.30.20", true, false),
            ("192.168.1.1", true, false),
            ("100.64.0.1", true, false),
            ("127.0.0.1", false, false),
            ("169.254.1.1", false, false),
            ("0.0.0.0", false, false),
        ] {
            let v4: Ipv4Addr = v4.parse().expect(v4);
            let may = [own, Prefix64::WELL_KNOWN].map(|prefix| prefix.may_carry(v4));
            assert_eq!(may, [behind_own, behind_well_known], "{v4}");
        }
    }

    #[test]
    fn other_addresses_and_names_stand_for_nothing() {
        let prefix = Prefix64::WELL_KNOWN;
        assert_eq!(prefix.extract("64:ff9b:1::192.0.2.1".parse().expect("an address")), None);
        for name in ["1.ip6.arpa", "33.2.0.192.in-addr.arpa", "ip6.arpa"] {
            let name: Name = name.parse().expect(name);
            assert_eq!(prefix.extract_name(name.as_wire()), None);
        }
        let long = format!("{}.ip6.arpa", ["zz"; 21].join("."));
        let long: Name = long.parse().expect("a name");
        assert_eq!(prefix.extract_name(long.as_wire()), None);
    }

    #[test]
    fn prefixes_are_told_apart() {
        let tags: std::collections::HashSet<u64> = EXAMPLES
            .iter()
            .map(|(prefix, _)| prefix.parse::<Prefix64>().expect("a prefix").tag())
            .collect();
        assert_eq!(tags.len(), EXAMPLES.len());
        assert!(!tags.contains(&0));
    }
}
