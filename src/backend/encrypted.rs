//! Encrypted DNS as pages and the command line show it.

use jiff::Timestamp;
use lanward_web::view::{AuthorityView, EncryptedView};

use crate::control::{PublicAuthority, ShownCertificates};

pub(super) fn view(shown: &ShownCertificates, authority: Option<PublicAuthority>) -> EncryptedView {
    let ports = shown.ports;
    let https = ports.https.map(|port| match port {
        443 => format!("https://{}/dns-query", shown.name),
        port => format!("https://{}:{port}/dns-query", shown.name),
    });
    EncryptedView {
        name: shown.name.clone(),
        tls: ports.tls.is_some(),
        https,
        quic: ports.quic.is_some(),
        authority: authority.map(|authority| {
            let expires = i64::try_from(authority.expires).unwrap_or(i64::MAX);
            AuthorityView {
                pem: authority.pem,
                fingerprint: authority.fingerprint,
                expires: Timestamp::from_second(expires).unwrap_or(Timestamp::MAX),
            }
        }),
    }
}
