//! Encrypted DNS and the authority that its certificates come from.

use jiff::Timestamp;
use serde::Serialize;

/// What devices need to ask this household encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EncryptedView {
    /// The name to ask by, such as `dns.home.arpa`; either host answers.
    pub name: String,
    /// Whether DNS over TLS is served.
    pub tls: bool,
    /// The address of DNS over HTTPS, where it is served.
    pub https: Option<String>,
    /// Whether DNS over QUIC is served.
    pub quic: bool,
    /// The authority; `None` where there is none.
    pub authority: Option<AuthorityView>,
}

/// The household's certificate authority: its public part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuthorityView {
    /// The certificate (PEM).
    pub pem: String,
    /// Its SHA-256, as devices show it.
    pub fingerprint: String,
    /// It is good until then.
    #[serde(serialize_with = "super::json::text")]
    pub expires: Timestamp,
}
