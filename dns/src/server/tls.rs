//! The certificate that encrypted listeners show.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// A certificate with its chain and its private key, checked to belong together.
#[derive(Clone, Debug)]
pub struct Certificate(Arc<CertifiedKey>);

/// Why a certificate cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CertificateError {
    /// The key is none, of an unknown kind, or not that of the certificate.
    #[error("the private key does not belong to the certificate")]
    OtherKey,
    /// Anything else.
    #[error("{0}")]
    Unusable(rustls::Error),
}

impl Certificate {
    /// `chain` begins with the server's own certificate.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, CertificateError> {
        match CertifiedKey::from_der(chain, key, &ring::default_provider()) {
            Ok(certified) => Ok(Self(Arc::new(certified))),
            Err(rustls::Error::InconsistentKeys(_)) => Err(CertificateError::OtherKey),
            Err(error) => Err(CertificateError::Unusable(error)),
        }
    }

    /// The server's own certificate, DER.
    pub fn leaf(&self) -> &[u8] {
        self.0.cert.first().map_or(&[], |leaf| leaf.as_ref())
    }
}

/// The certificate in force. Another one holds from the next handshake on; connections that are
/// open stay so.
#[derive(Debug, Default)]
pub(crate) struct InForce(ArcSwapOption<CertifiedKey>);

impl InForce {
    pub(crate) fn set(&self, certificate: Certificate) {
        self.0.store(Some(certificate.0));
    }
}

impl ResolvesServerCert for InForce {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

/// What TLS speaks: one application protocol, the certificate in force, no data before the
/// handshake has ended (it could be replayed).
pub(super) fn config(
    certificate: Arc<InForce>,
    protocol: &[u8],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<ServerConfig, rustls::Error> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)?
        .with_no_client_auth();
    let mut config = config.with_cert_resolver(certificate);
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}
