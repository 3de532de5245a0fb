//! TLS for the pair: version 1.3 alone, both ends show a certificate, and all that counts of it
//! is its key.
//!
//! The verifiers here replace only the question *whose* key it is: names and chains mean nothing
//! between two nodes that know each other's keys. That the other end *has* the key is proved by
//! the handshake's signature, which the TLS library's own code checks. Sessions are never
//! resumed: a resumed one would not show its key again, and the key may have been removed.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    ServerConfig, SignatureScheme,
};

use crate::identity::{Fingerprint, Identity};

/// The link between partners, first version.
pub(super) const LINK: &[u8] = b"lanward-link/1";
/// A new node's question whether it may join, first version.
pub(super) const JOIN: &[u8] = b"lanward-join/1";

/// What a client puts where TLS wants a server's name: the key is what is checked.
pub(super) fn server_name() -> ServerName<'static> {
    ServerName::try_from("lanward.invalid").expect("a constant and valid name")
}

/// For the end that dials: the other end must have this key.
pub(super) fn client(
    identity: &Identity,
    server: Fingerprint,
    protocol: &[u8],
) -> Result<Arc<ClientConfig>, Error> {
    let provider = provider();
    let verifier =
        Arc::new(Verifier { accepted: Accepted::Only(server), provider: provider.clone() });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(vec![identity.certificate()], identity.private_key())?;
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}

/// For the end that listens.
pub(super) fn server(
    identity: &Identity,
    accepted: Accepted,
    protocol: &[u8],
) -> Result<Arc<ServerConfig>, Error> {
    let provider = provider();
    let verifier = Arc::new(Verifier { accepted, provider: provider.clone() });
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![identity.certificate()], identity.private_key())?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The key of the other end, after the handshake.
pub(super) fn key_of(certificates: Option<&[CertificateDer<'_>]>) -> Option<Fingerprint> {
    fingerprint(certificates?.first()?).ok()
}

/// The key that was shown where another was expected, if that is what the error says.
pub(super) fn wrong_key(error: &io::Error) -> Option<Fingerprint> {
    match rustls_error(error)? {
        Error::InvalidCertificate(CertificateError::Other(OtherError(other))) => {
            other.downcast_ref::<WrongKey>().map(|wrong| wrong.0)
        }
        _ => None,
    }
}

/// Whether the other end did not accept our key.
pub(super) fn refused_us(error: &io::Error) -> bool {
    matches!(rustls_error(error), Some(Error::AlertReceived(_)))
}

fn rustls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref::<Error>()
}

fn fingerprint(certificate: &CertificateDer<'_>) -> Result<Fingerprint, Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    Ok(Fingerprint::of_spki(&parsed.subject_public_key_info()))
}

/// Which keys may be at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    /// This one.
    Only(Fingerprint),
    /// Any, as long as it is proved: for a node that asks to join.
    Any,
}

/// A key that is not the one expected.
#[derive(Debug)]
struct WrongKey(Fingerprint);

impl fmt::Display for WrongKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unexpected key {}", self.0)
    }
}

impl std::error::Error for WrongKey {}

#[derive(Debug)]
struct Verifier {
    accepted: Accepted,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn check_key(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let shown = fingerprint(certificate)?;
        match self.accepted {
            Accepted::Any => Ok(()),
            Accepted::Only(expected) if shown == expected => Ok(()),
            Accepted::Only(_) => {
                let wrong = OtherError(Arc::new(WrongKey(shown)));
                Err(Error::InvalidCertificate(CertificateError::Other(wrong)))
            }
        }
    }

    fn check_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn never_tls12() -> Error {
    Error::General("the pair link speaks TLS 1.3 alone".to_owned())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check_key(end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(never_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check_key(end_entity)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(never_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}
