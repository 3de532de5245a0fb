//! DNSSEC in the words of the rest: what validation made of an answer, and what it goes by.

use std::sync::Arc;
use std::time::SystemTime;

use hickory_proto::dnssec::{PublicKeyBuf, TrustAnchors as Keys};
use hickory_proto::rr::{LowerName, Name as HickoryName};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use crate::Name;
use crate::root_keys::tag;

/// What validation made of an answer (RFC 4033, 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Validation {
    /// A chain of signatures from a trust anchor covers all of it.
    Secure,
    /// A part of it is in a zone that provably is not signed.
    Insecure,
    /// It should be signed and is not, or not rightly. It is not given to clients.
    Bogus(Bogus),
    /// Nobody has looked: validation is off or suspended, or the client wanted it unchecked (CD).
    #[default]
    Unchecked,
}

/// Why an answer is bogus, as far as can be told; each has its extended error (RFC 8914, 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bogus {
    /// A signature does not fit.
    Signature,
    /// All signatures have expired.
    Expired,
    /// No signature is valid yet.
    NotYetValid,
    /// The zone has no key that its parent vouches for.
    KeyMissing,
    /// There are no signatures where there must be some.
    SignaturesMissing,
    /// The key is not a zone's.
    NoZoneKey,
    /// That something does not exist is not proven.
    ProofMissing,
}

impl Bogus {
    /// All of them.
    pub const ALL: [Bogus; 7] = [
        Self::Signature,
        Self::Expired,
        Self::NotYetValid,
        Self::KeyMissing,
        Self::SignaturesMissing,
        Self::NoZoneKey,
        Self::ProofMissing,
    ];

    /// The INFO-CODE of the extended error.
    pub fn code(self) -> u16 {
        match self {
            Self::Signature => 6,
            Self::Expired => 7,
            Self::NotYetValid => 8,
            Self::KeyMissing => 9,
            Self::SignaturesMissing => 10,
            Self::NoZoneKey => 11,
            Self::ProofMissing => 12,
        }
    }

    /// What is wrong, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "DNSSEC: a signature does not fit",
            Self::Expired => "DNSSEC: the signatures have expired",
            Self::NotYetValid => "DNSSEC: the signatures are not valid yet",
            Self::KeyMissing => "DNSSEC: the zone has no key that its parent vouches for",
            Self::SignaturesMissing => "DNSSEC: signatures are missing",
            Self::NoZoneKey => "DNSSEC: the signing key is not a zone key",
            Self::ProofMissing => "DNSSEC: the answer does not prove what it denies",
        }
    }
}

impl Validation {
    /// What holds of two parts of one answer together.
    pub(crate) fn and(self, other: Self) -> Self {
        fn rank(of: Validation) -> u8 {
            match of {
                Validation::Secure => 0,
                Validation::Insecure => 1,
                Validation::Unchecked => 2,
                Validation::Bogus(_) => 3,
            }
        }
        if rank(other) > rank(self) { other } else { self }
    }
}

/// Whether answers are validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DnssecMode {
    /// Yes, except while an upstream is met that has never delivered signatures, or the clock is
    /// evidently wrong.
    #[default]
    Validate,
    /// Yes, whatever the upstreams deliver; only a clock that is evidently wrong suspends it.
    Strict,
    /// No.
    Off,
}

/// What validation goes by: an immutable snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dnssec {
    /// Whether answers are validated.
    pub mode: DnssecMode,
    /// The keys that all trust begins with.
    pub anchors: TrustAnchors,
    /// Names that are not validated, with all below them (RFC 7646).
    pub negative: Vec<NegativeAnchor>,
}

/// A name below which nothing is validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegativeAnchor {
    /// The name.
    pub name: Name,
    /// When validation takes it up again by itself.
    pub until: Option<SystemTime>,
}

impl Dnssec {
    /// Whether a negative trust anchor stands at or above `name` now.
    pub(crate) fn exempts(&self, name: &HickoryName, now: SystemTime) -> bool {
        self.negative.iter().any(|anchor| {
            anchor.until.is_none_or(|until| now < until)
                && to_hickory(&anchor.name).is_some_and(|above| above.zone_of(name))
        })
    }
}

/// The keys that trust begins with: the root's, and those of other zones where configured.
#[derive(Clone)]
pub struct TrustAnchors {
    pub(crate) keys: Arc<Keys>,
    /// Where there are any.
    pub(crate) zones: Vec<HickoryName>,
    /// The zones and keys that were read.
    read: Vec<(HickoryName, PublicKeyBuf)>,
    /// The root's keys are not among them: they are built in, or what became of those since.
    own_root: bool,
}

/// Why a text holds no trust anchors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// Not DNSKEY records in the format of zone files.
    #[error("not a DNSKEY record: {0}")]
    Malformed(String),
    /// A key that signs with an algorithm that nobody here can check.
    #[error("the key's algorithm is not supported")]
    Unsupported,
    /// No record in it.
    #[error("it holds no DNSKEY record")]
    Empty,
}

impl Default for TrustAnchors {
    /// The root's keys of 2017 (tag 20326) and 2024 (tag 38696).
    fn default() -> Self {
        let zones = vec![HickoryName::root()];
        Self { keys: Arc::new(Keys::default()), zones, read: Vec::new(), own_root: true }
    }
}

impl TrustAnchors {
    /// Anchors from DNSKEY records in the format of zone files, one a line; comments begin with
    /// `;`. They are all there is.
    pub fn parse(text: &str) -> Result<Self, AnchorError> {
        let mut read = Vec::new();
        for line in text.lines() {
            let line = line.split(';').next().unwrap_or_default().trim();
            if !line.is_empty() {
                read.push(parse_line(line)?);
            }
        }
        if read.is_empty() {
            return Err(AnchorError::Empty);
        }
        Ok(Self::of(Keys::empty(), read))
    }

    /// These, with the built-in keys of the root when there is none for it.
    pub fn or_root(self) -> Self {
        if self.zones.contains(&HickoryName::root()) {
            return self;
        }
        let mut all = Self::of(Keys::default(), self.read);
        all.zones.push(HickoryName::root());
        all.own_root = true;
        all
    }

    /// Whether the root's keys are ours to keep up to date.
    pub(crate) fn has_own_root(&self) -> bool {
        self.own_root
    }

    /// With these keys of the root, unless others were given for it.
    pub(crate) fn with_root(&self, root: Vec<PublicKeyBuf>) -> Self {
        if !self.own_root {
            return self.clone();
        }
        let mut keys = Keys::empty();
        for (zone, key) in &self.read {
            keys.insert_with_name(key, LowerName::new(zone));
        }
        for key in root {
            keys.insert(&key);
        }
        Self { keys: Arc::new(keys), ..self.clone() }
    }

    /// The tags of the root's keys.
    pub(crate) fn root_tags(&self) -> Vec<u16> {
        (0..self.keys.len()).filter_map(|at| self.keys.get(at)).map(tag).collect()
    }

    fn of(mut keys: Keys, read: Vec<(HickoryName, PublicKeyBuf)>) -> Self {
        let mut zones: Vec<HickoryName> = Vec::new();
        for (zone, key) in &read {
            keys.insert_with_name(key, LowerName::new(zone));
            if !zones.contains(zone) {
                zones.push(zone.clone());
            }
        }
        Self { keys: Arc::new(keys), zones, read, own_root: false }
    }

    /// The deepest zone with an anchor at or above `name`.
    pub(crate) fn above(&self, name: &HickoryName) -> Option<&HickoryName> {
        let above = self.zones.iter().filter(|zone| zone.zone_of(name));
        above.max_by_key(|zone| zone.num_labels())
    }
}

/// `name [ttl] [IN] DNSKEY flags 3 algorithm key`.
pub(crate) fn parse_line(line: &str) -> Result<(HickoryName, PublicKeyBuf), AnchorError> {
    let malformed = |why: &str| AnchorError::Malformed(why.to_owned());
    let mut words = line.split_whitespace();
    let zone = words.next().ok_or_else(|| malformed("no name"))?;
    let mut zone = HickoryName::from_ascii(zone).map_err(|_| malformed("the name"))?;
    zone.set_fqdn(true);
    let mut words = words.skip_while(|word| {
        word.eq_ignore_ascii_case("IN") || word.bytes().all(|byte| byte.is_ascii_digit())
    });
    if !words.next().is_some_and(|word| word.eq_ignore_ascii_case("DNSKEY")) {
        return Err(malformed("the type is not DNSKEY"));
    }
    let mut number = |what: &str| -> Result<u16, AnchorError> {
        words.next().and_then(|word| word.parse().ok()).ok_or_else(|| malformed(what))
    };
    let (flags, protocol, algorithm) =
        (number("the flags")?, number("the protocol")?, number("the algorithm")?);
    // RFC 4034, 2.1.1; RFC 5011, 7: a revoked key is no anchor.
    if flags & 0x0180 != 0x0100 || protocol != 3 {
        return Err(malformed("the flags or the protocol are not those of a zone's key"));
    }
    let algorithm = u8::try_from(algorithm).map_err(|_| malformed("the algorithm"))?;
    let algorithm = hickory_proto::dnssec::Algorithm::from_u8(algorithm);
    if !algorithm.is_supported() {
        return Err(AnchorError::Unsupported);
    }
    let key: String = words.collect();
    let key = data_encoding::BASE64.decode(key.as_bytes()).map_err(|_| malformed("the key"))?;
    if key.is_empty() {
        return Err(malformed("the key"));
    }
    Ok((zone, PublicKeyBuf::new(key, algorithm)))
}

impl std::fmt::Debug for TrustAnchors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustAnchors").field("zones", &self.zones).finish_non_exhaustive()
    }
}

impl PartialEq for TrustAnchors {
    fn eq(&self, other: &Self) -> bool {
        let root =
            |of: &Self| (0..of.keys.len()).map(|at| of.keys.get(at).cloned()).collect::<Vec<_>>();
        self.zones == other.zones && self.read == other.read && root(self) == root(other)
    }
}

impl Eq for TrustAnchors {}

fn to_hickory(name: &Name) -> Option<HickoryName> {
    HickoryName::read(&mut BinDecoder::new(name.as_wire())).ok()
}

/// What has become of validation, for whoever looks at the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DnssecState {
    /// Switched off.
    Off,
    /// Nothing has been asked yet.
    #[default]
    Untried,
    /// Answers are validated.
    Validating,
    /// They are, and all that should be signed is refused: the root's keys do not come with
    /// signatures by a trust anchor, although these upstreams have delivered such before, or come
    /// with others' signatures.
    Refusing,
    /// They are not, for a reason that goes away by itself or wants somebody's attention.
    Suspended(Suspended),
}

/// Why nothing is validated although it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspended {
    /// The clock is before this program's own time, or before that of the root's signatures.
    Clock,
    /// The upstreams deliver no signatures.
    Stripped,
}

impl Suspended {
    /// What is wrong and what helps, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clock => {
                "the clock of this host is wrong (too early), so signatures cannot be checked yet; \
                 they will be as soon as the time is set"
            }
            Self::Stripped => {
                "the upstream resolver removes DNSSEC signatures, so answers cannot be checked; \
                 choose another upstream, or switch dnssec off to stop being told"
            }
        }
    }
}

#[cfg(test)]
mod tests;
