//! The kinds of hostility.

use std::fmt::{self, Display};

use crate::keys::Make;

/// Keys of a hostile zone, and signatures of a hostile set.
pub(crate) const MANY: usize = 40;

/// Records of a large set. More would be longer than a message in canonical form (RFC 4034, 6.2: names
/// in full), which hickory does not check at all.
pub(crate) const LARGE: usize = 1300;

/// What a zone does to those who validate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Honest,
    /// Each set has many signatures, all wrong, by many keys with one tag (CVE-2023-50387).
    Crowd(Make),
    /// The same, but no more than two keys share a tag: that can happen to honest zones.
    Pairs(Make),
    /// The same of the keys themselves: the parent vouches for each of them, and none signs.
    Keys(Make),
    /// Many denials, each with wrong signatures like those of [`Kind::Pairs`].
    Denials(Make),
    /// Denials whose names are hashed so many times, with the longest salt (CVE-2023-50868).
    Hashed(u16),
    /// Sets as large as can be, with many wrong signatures.
    Large,
    /// The same, rightly signed.
    LargeRight,
    /// A set as large as can be in a zone without signatures.
    LargeUnsigned,
}

impl Kind {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let makes = [Make::Ed25519, Make::P256, Make::P384, Make::Rsa(2048), Make::Rsa(4096)];
        let crowds = makes.into_iter().map(Self::Crowd);
        let pairs = makes.into_iter().map(Self::Pairs);
        let keys = [Make::Ed25519, Make::P384, Make::Rsa(4096)].map(Self::Keys);
        let denials = [Make::Ed25519, Make::P384].map(Self::Denials);
        let hashed = [50, 100, 150, 500].map(Self::Hashed);
        let large = [Self::Large, Self::LargeRight, Self::LargeUnsigned];
        // Nobody may sign with so large a key (RFC 3110, 2), but ring would take it.
        let over = [Self::Pairs(Make::Rsa(8192))];
        let all = [Self::Honest].into_iter().chain(crowds).chain(pairs).chain(over);
        all.chain(keys).chain(denials).chain(hashed).chain(large)
    }

    /// Whose keys and signatures are wrong here, and how many keys share a tag.
    pub(crate) fn make(self) -> Option<(Make, usize)> {
        match self {
            Self::Crowd(make) => Some((make, MANY)),
            Self::Pairs(make) | Self::Keys(make) | Self::Denials(make) => Some((make, 2)),
            Self::Large => Some((Make::Ed25519, 2)),
            Self::Honest | Self::Hashed(_) | Self::LargeRight | Self::LargeUnsigned => None,
        }
    }
}

impl Display for Kind {
    /// The label of its zone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let make = |make: &Make| match make {
            Make::Ed25519 => "ed25519".to_owned(),
            Make::P256 => "p256".to_owned(),
            Make::P384 => "p384".to_owned(),
            Make::Rsa(bits) => format!("rsa{bits}"),
        };
        match self {
            Self::Honest => f.write_str("honest"),
            Self::Crowd(of) => write!(f, "crowd-{}", make(of)),
            Self::Pairs(of) => write!(f, "pairs-{}", make(of)),
            Self::Keys(of) => write!(f, "keys-{}", make(of)),
            Self::Denials(of) => write!(f, "denials-{}", make(of)),
            Self::Hashed(times) => write!(f, "hashed-{times}"),
            Self::Large => f.write_str("large"),
            Self::LargeRight => f.write_str("large-right"),
            Self::LargeUnsigned => f.write_str("large-unsigned"),
        }
    }
}
