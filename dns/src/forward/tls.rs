//! Encrypted connections to upstream servers (RFC 7858, 8484, 9250). Certificates are always checked.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, ClientConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::server::Failed;
use crate::cache::FailureKind;

/// `config` for a connection that speaks `protocol` (RFC 7301).
fn speaking(config: &ClientConfig, protocol: &[u8]) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}

/// Shakes hands over `stream` with a server that must prove to be `name`.
pub(super) async fn connect(
    stream: TcpStream,
    name: &str,
    config: &ClientConfig,
    protocol: &[u8],
) -> Result<TlsStream<TcpStream>, Failed> {
    let server = ServerName::try_from(name.to_owned()).map_err(|_| bad_name(name))?;
    let connector = TlsConnector::from(speaking(config, protocol));
    connector.connect(server, stream).await.map_err(|error| of_handshake(&error))
}

/// Opens a QUIC connection to a server that must prove to be `name`.
pub(super) async fn connect_quic(
    addr: SocketAddr,
    name: &str,
    config: &ClientConfig,
) -> Result<(quinn::Endpoint, quinn::Connection), Failed> {
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(speaking(config, b"doq"));
    let crypto = crypto.map_err(|error| unreachable(error.to_string()))?;
    let any: SocketAddr = match addr {
        SocketAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let endpoint = quinn::Endpoint::client(any)?;
    let config = quinn::ClientConfig::new(Arc::new(crypto));
    let connecting = endpoint
        .connect_with(config, addr, name)
        .map_err(|error| unreachable(format!("it cannot be connected to: {error}")))?;
    // The alert that we end such a handshake with, whether it is too late or too early.
    let expired = quinn::TransportErrorCode::crypto(AlertDescription::CertificateExpired.into());
    match connecting.await {
        Ok(connection) => Ok((endpoint, connection)),
        Err(quinn::ConnectionError::TransportError(error)) if error.code == expired => {
            Err(untimely("its certificate has expired or is not valid yet"))
        }
        Err(quinn::ConnectionError::TransportError(error)) => Err(untrusted(&error.reason)),
        Err(error) => Err(unreachable(format!("it cannot be connected to: {error}"))),
    }
}

fn of_handshake(error: &io::Error) -> Failed {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(error)) if let Some(why) = of_dates(error) => {
            untimely(&why)
        }
        Some(error) => untrusted(&error.to_string()),
        None => unreachable(format!("its TLS handshake broke off: {error}")),
    }
}

/// What is wrong with a certificate's dates, when something is.
fn of_dates(error: &CertificateError) -> Option<String> {
    let days = |from: UnixTime, to: UnixTime| match to.as_secs().abs_diff(from.as_secs()) / 86_400 {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    Some(match error {
        CertificateError::NotValidYetContext { time, not_before } => {
            format!("its certificate is not valid for another {}", days(*time, *not_before))
        }
        CertificateError::ExpiredContext { time, not_after } => {
            format!("its certificate expired {} ago", days(*not_after, *time))
        }
        CertificateError::NotValidYet => "its certificate is not valid yet".to_owned(),
        CertificateError::Expired => "its certificate has expired".to_owned(),
        _ => return None,
    })
}

fn untimely(why: &str) -> Failed {
    Failed::new(FailureKind::Untimely, format!("{why}, by this host's clock"))
}

fn bad_name(name: &str) -> Failed {
    untrusted(&format!("{name} is no name that a certificate can have"))
}

fn untrusted(why: &str) -> Failed {
    Failed::new(FailureKind::Untrusted, format!("it could not prove who it is: {why}"))
}

pub(super) fn unreachable(text: String) -> Failed {
    Failed::new(FailureKind::Unreachable, text)
}
