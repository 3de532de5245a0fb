//! The household's own certificate authority: one for both hosts, and each host's certificate from
//! it.
//!
//! Somebody who trusts it on a phone does not want to give the key of a small computer in the house
//! power over all of the internet's names. So it is limited (name constraints, RFC 5280, 4.2.1.10):
//! it can sign for the household's domain and for private addresses, and for nothing else.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use lanward_dns::Certificate;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};

use super::UnixSecs;

const DAY: UnixSecs = 24 * 3600;

/// An authority is trusted by hand on each device, which nobody wants to do often.
const AUTHORITY_DAYS: u64 = 3650;

/// A host's certificate is good for so long, and renewed when two thirds of that are over.
const LEAF_DAYS: u64 = 90;

/// Clocks of devices may be behind.
const BACKDATED: UnixSecs = 2 * DAY;

/// 2025-01-01: a clock before this has not been set yet.
const PLAUSIBLE: UnixSecs = 1_735_689_600;

/// Domains that the household may move to without a new authority, beside the one it had when the
/// authority was made: those that are reserved for use at home.
const HOME_DOMAINS: [&str; 2] = ["home.arpa", "internal"];

/// Addresses that it may sign for, all of them private.
const NETWORKS: [(IpAddr, u8); 8] = [
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10),
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
];

/// The authority, with its key.
pub struct Authority {
    /// Higher ones replace lower ones: somebody wanted a new authority.
    generation: u64,
    created: UnixSecs,
    domain: String,
    /// Somebody was given the certificate, and may trust it on devices.
    handed_out: bool,
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

/// Who a host's certificate is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Full names, lower case, without the final dot.
    pub names: BTreeSet<String>,
    /// Addresses; public ones are left out.
    pub addresses: BTreeSet<IpAddr>,
}

/// A host's certificate.
#[derive(Debug)]
pub struct Leaf {
    /// For the listeners.
    pub certificate: Certificate,
    /// It is good until then.
    pub expires: UnixSecs,
    /// Names that the authority may not sign for.
    pub left_out: Vec<String>,
    renew: (UnixSecs, UnixSecs),
}

/// Why there is no authority, or no certificate from it.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The text is none of an authority.
    #[error("it holds no certificate authority: {0}")]
    NotOne(&'static str),
    /// Keys or certificates could not be made.
    #[error("a certificate could not be made: {0}")]
    NotMade(#[from] rcgen::Error),
    /// The key is another one's.
    #[error("{0}")]
    Unusable(#[from] lanward_dns::CertificateError),
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("fingerprint", &self.fingerprint())
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes one for a household of this domain. `after` is the one that it replaces.
    pub fn create(
        domain: &str,
        now: UnixSecs,
        after: Option<&Authority>,
    ) -> Result<Authority, AuthorityError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let domain = domain.to_owned();
        let certificate = params(&domain, now).self_signed(&key)?.der().clone();
        let generation = after.map_or(0, |after| after.generation + 1);
        Ok(Authority { generation, created: now, domain, handed_out: false, certificate, key })
    }

    /// The certificate, which anybody may have.
    pub fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// SHA-256 of the certificate, as devices show it.
    pub fn fingerprint(&self) -> String {
        let bytes = Sha256::digest(&self.certificate);
        bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }

    /// It is good until then.
    pub fn expires(&self) -> UnixSecs {
        self.created.saturating_add(AUTHORITY_DAYS * DAY)
    }

    /// Whether somebody was given the certificate.
    pub fn is_handed_out(&self) -> bool {
        self.handed_out
    }

    /// Somebody is given the certificate.
    pub fn hand_out(&mut self) {
        self.handed_out = true;
    }

    /// All of it, the key included, as text: for this host's disk and for the partner, and for
    /// nobody else.
    pub fn to_secret_text(&self) -> String {
        let mut text =
            String::from("Lanward's certificate authority, with its key: keep it secret.\n");
        let handed_out = if self.handed_out { "yes" } else { "no" };
        let _ = write!(
            text,
            "generation: {}\ncreated: {}\ndomain: {}\nhanded out: {handed_out}\n",
            self.generation, self.created, self.domain
        );
        text.push_str(&self.certificate_pem());
        text.push_str(&self.key.serialize_pem());
        text
    }

    /// Reads such a text. Lines that a later release added are passed over.
    pub fn from_secret_text(text: &str) -> Result<Authority, AuthorityError> {
        let head = text.split("-----BEGIN").next().unwrap_or_default();
        let field =
            |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let number = |name| field(name).and_then(|text| text.trim().parse().ok());
        let missing = AuthorityError::NotOne;
        let domain = field("domain").ok_or(missing("it names no domain"))?.trim().to_owned();
        let generation = number("generation").ok_or(missing("it has no generation"))?;
        let created = number("created").ok_or(missing("it has no date"))?;
        let handed_out = field("handed out").is_some_and(|text| text.trim() == "yes");
        let certificate = CertificateDer::from_pem_slice(text.as_bytes())
            .map_err(|_| missing("it has no certificate"))?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_| missing("it has no key"))?;
        Certificate::new(vec![certificate.clone()], key.clone_key().into())?;
        let key = KeyPair::try_from(&key)?;
        Ok(Authority { generation, created, domain, handed_out, certificate, key })
    }

    /// Of two authorities that the hosts of a pair have, the one that both go on with: the one made
    /// anew by hand, else the older one, which devices may trust already.
    pub fn precedes(&self, other: &Authority) -> bool {
        let order = |of: &Authority| {
            let created = if of.created < PLAUSIBLE { UnixSecs::MAX } else { of.created };
            (std::cmp::Reverse(of.generation), !of.handed_out, created, of.certificate.to_vec())
        };
        order(self) < order(other)
    }

    /// Whether both are one.
    pub fn is(&self, other: &Authority) -> bool {
        self.certificate == other.certificate
    }

    /// Whether it may sign for a full name.
    pub fn permits(&self, name: &str) -> bool {
        domains(&self.domain).any(|domain| {
            name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }

    /// A certificate for a host, with a key of its own.
    pub fn issue(&self, subject: &Subject, now: UnixSecs) -> Result<Leaf, AuthorityError> {
        // A clock that was not set yet makes one that is good all the same once it is.
        let now = now.max(self.created);
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let (names, left_out): (Vec<_>, Vec<_>) =
            subject.names.iter().cloned().partition(|name| self.permits(name));
        let mut params = CertificateParams::new(names)?;
        let addresses = subject.addresses.iter().filter(|addr| is_private(**addr));
        params.subject_alt_names.extend(addresses.map(|addr| SanType::IpAddress(*addr)));
        params.distinguished_name = named("Lanward DNS");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let expires = now.saturating_add(LEAF_DAYS * DAY).min(self.expires());
        set_dates(&mut params, now, expires);
        let own = self::params(&self.domain, self.created);
        let leaf = params.signed_by(&key, &Issuer::from_params(&own, &self.key))?;
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok(Leaf {
            certificate: Certificate::new(chain, key.into())?,
            expires,
            left_out,
            renew: (now.saturating_sub(BACKDATED), now + expires.saturating_sub(now) * 2 / 3),
        })
    }
}

impl Leaf {
    /// Whether it is time for another one: soon because it expires, or because the clock was set.
    pub fn is_due(&self, now: UnixSecs) -> bool {
        let (from, until) = self.renew;
        now >= until || (now >= PLAUSIBLE && now < from)
    }
}

fn params(domain: &str, created: UnixSecs) -> CertificateParams {
    let mut params = CertificateParams::default();
    // Named by its date, so that two of them can be told apart in a device's list.
    params.distinguished_name = named(&format!("Lanward of {domain} ({})", day(created)));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_dates(&mut params, created, created.saturating_add(AUTHORITY_DAYS * DAY));
    let names = domains(domain).map(|domain| GeneralSubtree::DnsName(domain.to_owned()));
    let networks = NETWORKS
        .map(|(addr, len)| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(addr, len)));
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: names.chain(networks).collect(),
        excluded_subtrees: Vec::new(),
    });
    params
}

fn domains(own: &str) -> impl Iterator<Item = &str> {
    std::iter::once(own).chain(HOME_DOMAINS.into_iter().filter(move |domain| *domain != own))
}

fn is_private(addr: IpAddr) -> bool {
    NETWORKS.iter().any(|(network, len)| {
        ipnet::IpNet::new(*network, *len).is_ok_and(|network| network.contains(&addr))
    })
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn set_dates(params: &mut CertificateParams, from: UnixSecs, until: UnixSecs) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(from.saturating_sub(BACKDATED));
    params.not_after = epoch + Duration::from_secs(until);
}

/// The day, for people.
fn day(secs: UnixSecs) -> String {
    let secs = i64::try_from(secs).unwrap_or(i64::MAX);
    let date = jiff::Timestamp::from_second(secs).unwrap_or(jiff::Timestamp::MAX);
    date.strftime("%Y-%m-%d").to_string()
}

fn pem(kind: &str, der: &[u8]) -> String {
    let base64 = data_encoding::BASE64.encode(der);
    let lines = base64.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok());
    let lines: Vec<&str> = lines.collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests;
