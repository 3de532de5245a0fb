//! What keeps one device from using everybody up, and strangers from reaching into the house: an
//! immutable snapshot.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::Name;
use crate::name::suffixes;

/// Protection of the household as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protection {
    /// How much one device may ask; `None`: as much as it likes.
    pub rate_limit: Option<RateLimit>,
    /// Whether private addresses are withheld from public names; `None`: they are not.
    pub rebinding: Option<Rebinding>,
}

/// How much one address may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Questions a second in the long run, 1 at least.
    pub per_second: u32,
    /// Questions at once, after a quiet time.
    pub burst: u32,
}

/// DNS rebinding: a public name that resolves to an address in the house makes a browser carry a
/// stranger's page to a device here. Public names therefore have no private addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebinding {
    allowed: HashSet<Box<[u8]>>,
}

impl Protection {
    /// Nothing is limited and nothing withheld.
    pub const OFF: Protection = Protection { rate_limit: None, rebinding: None };
}

impl Default for Protection {
    /// 200 questions a second and 1,000 at once for each device; private addresses are withheld.
    fn default() -> Self {
        let rate_limit = Some(RateLimit { per_second: 200, burst: 1000 });
        Self { rate_limit, rebinding: Some(Rebinding::default()) }
    }
}

impl Rebinding {
    /// Withholds private addresses from all names but these and names below them.
    pub fn allowing(names: impl IntoIterator<Item = Name>) -> Self {
        Self { allowed: names.into_iter().map(|name| name.as_wire().into()).collect() }
    }

    /// Whether `name`, a lower-case wire name, may have private addresses.
    pub(crate) fn allows(&self, name: &[u8]) -> bool {
        !self.allowed.is_empty() && suffixes(name).any(|suffix| self.allowed.contains(suffix))
    }
}

/// Whether an address leads into a house: to this host, this link or a private network. The
/// registries are those of RFC 6890.
pub(crate) fn is_private_v4(addr: Ipv4Addr) -> bool {
    let [a, ..] = addr.octets();
    addr.is_private()
        || addr.is_loopback()
        || addr.is_link_local()
        || addr.is_broadcast()
        // "This network": connecting to 0.0.0.0 reaches this host.
        || a == 0
        || is_shared_v4(addr)
}

/// RFC 6598: behind a carrier's NAT, and what mesh VPNs use.
pub(crate) fn is_shared_v4(addr: Ipv4Addr) -> bool {
    let [a, b, ..] = addr.octets();
    a == 100 && b & 0xc0 == 64
}

/// As [`is_private_v4`]; an address that stands for an IPv4 address is as private as that.
pub(crate) fn is_private_v6(addr: Ipv6Addr) -> bool {
    let segments = addr.segments();
    let embedded = {
        let [.., a, b] = segments;
        Ipv4Addr::from_bits(u32::from(a) << 16 | u32::from(b))
    };
    match segments {
        // ::, ::1 and IPv4-compatible addresses, which nobody needs.
        [0, 0, 0, 0, 0, 0, ..] => true,
        // IPv4-mapped: systems connect to the IPv4 address, and no public name needs it.
        [0, 0, 0, 0, 0, 0xffff, ..] => true,
        // IPv4-translated: what a stateless translator makes of an IPv4 address (RFC 7915).
        [0, 0, 0, 0, 0xffff, 0, ..] => true,
        // NAT64 (RFC 6052), and its local-use prefix (RFC 8215).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_private_v4(embedded),
        [0x64, 0xff9b, 1, ..] => true,
        // 6to4 (RFC 3056).
        [0x2002, a, b, ..] => is_private_v4(Ipv4Addr::from_bits(u32::from(a) << 16 | u32::from(b))),
        // Teredo: the client's IPv4 address stands there inverted (RFC 4380, 4).
        [0x2001, 0, ..] => is_private_v4(Ipv4Addr::from_bits(!embedded.to_bits())),
        // Unique local (RFC 4193), link-local, and site-local of old.
        [first, ..] => {
            first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80 || first & 0xffc0 == 0xfec0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_lead_into_a_house_are_private_however_they_are_written() {
        for private in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.8.9.10",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "192.168.255.255",
            "255.255.255.255",
        ] {
            assert!(is_private_v4(private.parse().unwrap()), "{private}");
        }
        for private in [
            "::",
            "::1",
            "::7f00:1",
            "::ffff:192.168.1.1",
            "::ffff:8.8.8.8",
            "64:ff9b::10.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::1",
            "2002:c0a8:101::1",
            "2002:7f00:1::",
            "::ffff:0:8.8.8.8",
            "2001:0:4136:e378:8000:63bf:3f57:fefe",
            "fc00::1",
            "fd12:3456:789a::1",
            "fdff::",
            "fe80::1",
            "febf::1",
            "fec0::1",
        ] {
            assert!(is_private_v6(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn public_addresses_are_not() {
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.167.1.1",
            "192.169.1.1",
            "11.0.0.1",
            "169.253.1.1",
        ] {
            assert!(!is_private_v4(public.parse().unwrap()), "{public}");
        }
        for public in [
            "2606:4700::1111",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "2001:db8::1",
            "2001:0:4136:e378:8000:63bf:f7f7:f7f7",
            "2001:1::10.0.0.1",
            "fbff::1",
            "fe00::1",
        ] {
            assert!(!is_private_v6(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn what_is_allowed_is_allowed_with_everything_below_it_and_nothing_beside() {
        let rebinding = Rebinding::allowing(["plex.direct".parse().unwrap()]);
        let allows = |name: &str| rebinding.allows(name.parse::<Name>().unwrap().as_wire());
        assert!(allows("plex.direct") && allows("192-168-1-5.abc.plex.direct"));
        assert!(!allows("direct") && !allows("notplex.direct") && !allows("plex.direct.example"));
    }
}
