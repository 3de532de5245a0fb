//! Record types by number.

/// A record type (the IANA registry "Resource Record (RR) TYPEs").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordType(pub u16);

#[allow(missing_docs, reason = "the names are those of the registry")]
impl RecordType {
    pub const A: Self = Self(1);
    pub const NS: Self = Self(2);
    pub const CNAME: Self = Self(5);
    pub const SOA: Self = Self(6);
    pub const PTR: Self = Self(12);
    pub const HINFO: Self = Self(13);
    pub const MX: Self = Self(15);
    pub const TXT: Self = Self(16);
    pub const AAAA: Self = Self(28);
    pub const SRV: Self = Self(33);
    pub const NAPTR: Self = Self(35);
    pub const DNAME: Self = Self(39);
    pub const OPT: Self = Self(41);
    pub const DS: Self = Self(43);
    pub const SSHFP: Self = Self(44);
    pub const RRSIG: Self = Self(46);
    pub const NSEC: Self = Self(47);
    pub const NSEC3: Self = Self(50);
    pub const TLSA: Self = Self(52);
    pub const SVCB: Self = Self(64);
    pub const HTTPS: Self = Self(65);
    pub const TKEY: Self = Self(249);
    pub const TSIG: Self = Self(250);
    pub const IXFR: Self = Self(251);
    pub const AXFR: Self = Self(252);
    pub const MAILB: Self = Self(253);
    pub const MAILA: Self = Self(254);
    pub const ANY: Self = Self(255);
    pub const CAA: Self = Self(257);
}

impl RecordType {
    /// Whether a client that asks for this type is after an address: SVCB and HTTPS records carry
    /// address hints (RFC 9460, 7.3).
    pub(crate) fn leads_to_address(self) -> bool {
        matches!(self, Self::A | Self::AAAA | Self::SVCB | Self::HTTPS)
    }
}
