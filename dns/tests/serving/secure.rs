//! Clients of the encrypted transports, and a house that serves them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use hickory_proto::op::Message;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lanward_dns::{Certificate, Config, Encrypted, Upstreams};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{House, config, loopback};

/// The only name in the certificates, beside the loopback address.
pub(crate) const NAME: &str = "pi-a.home.arpa";

/// A certificate authority of the test's own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        // OpenSSL takes a leaf that is called like its issuer for one that signed itself.
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn issue(&self) -> Certificate {
        self.issue_for(&KeyPair::generate().expect("a key"))
    }

    pub(crate) fn issue_for(&self, key: &KeyPair) -> Certificate {
        let names = vec![NAME.to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).expect("names");
        let leaf = params.signed_by(key, &self.0).expect("signed");
        let chain = vec![leaf.der().clone()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Certificate::new(chain, key.into()).expect("fits")
    }

    /// What a client that trusts this authority alone offers.
    pub(crate) fn client(&self, protocol: &[u8]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.0.der().to_vec())).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions");
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        config
    }

    pub(crate) async fn tls(&self, to: SocketAddr, protocol: &[u8]) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(to).await.expect("connect");
        self.try_tls(stream, protocol).await.expect("a handshake")
    }

    pub(crate) async fn try_tls(
        &self,
        stream: TcpStream,
        protocol: &[u8],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(NAME).expect("a name");
        TlsConnector::from(Arc::new(self.client(protocol))).connect(name, stream).await
    }

    pub(crate) async fn quic(&self, to: SocketAddr, protocol: &[u8]) -> quinn::Connection {
        self.quic_from(loopback(), to, protocol).await.expect("a handshake")
    }

    pub(crate) async fn quic_from(
        &self,
        from: SocketAddr,
        to: SocketAddr,
        protocol: &[u8],
    ) -> Result<quinn::Connection, quinn::ConnectionError> {
        let tls = quinn::crypto::rustls::QuicClientConfig::try_from(self.client(protocol));
        let config = quinn::ClientConfig::new(Arc::new(tls.expect("TLS 1.3")));
        let endpoint = quinn::Endpoint::client(from).expect("a socket");
        endpoint.connect_with(config, to, NAME).expect("begins").await
    }
}

/// A house with all encrypted transports, each on its own port.
pub(crate) struct SecureHouse {
    pub(crate) house: House,
    pub(crate) authority: Authority,
    pub(crate) tls: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) http3: SocketAddr,
    pub(crate) quic: SocketAddr,
}

impl SecureHouse {
    pub(crate) async fn start(upstreams: Upstreams) -> Self {
        Self::start_with(config(), upstreams).await
    }

    pub(crate) async fn start_with(config: Config, upstreams: Upstreams) -> Self {
        let mut house = House::start_with(config, upstreams).await;
        let authority = Authority::new();
        house.shared.set_certificate(authority.issue());
        let each = || vec![loopback()];
        let asked = Encrypted { tls: each(), https: each(), http3: each(), quic: each() };
        let (open, problems) = house.server.serve_encrypted(&asked);
        assert!(problems.is_empty(), "{problems:?}");
        let Encrypted { tls, https, http3, quic } = open;
        let first = |all: Vec<SocketAddr>| all[0];
        Self {
            house,
            authority,
            tls: first(tls),
            https: first(https),
            http3: first(http3),
            quic: first(quic),
        }
    }
}

/// A client of HTTP/2.
pub(crate) type Http2 = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

pub(crate) async fn http2(stream: TlsStream<TcpStream>) -> Http2 {
    let (client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    tokio::spawn(connection);
    client
}

/// Sends a request and reads the answer whole.
pub(crate) async fn http2_send(client: &mut Http2, request: Request<Bytes>) -> Response<Bytes> {
    let answer = client.send_request(request.map(Full::new)).await.expect("an answer");
    let (head, body) = answer.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    Response::from_parts(head, body)
}

/// A client of HTTP/3.
pub(crate) type Http3 = h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>;

pub(crate) async fn http3(connection: quinn::Connection) -> Http3 {
    let (mut driver, client) =
        h3::client::new(h3_quinn::Connection::new(connection)).await.expect("HTTP/3");
    tokio::spawn(async move { driver.wait_idle().await });
    client
}

pub(crate) async fn http3_send(client: &mut Http3, request: Request<Bytes>) -> Response<Bytes> {
    let (head, body) = request.into_parts();
    let mut stream = client.send_request(Request::from_parts(head, ())).await.expect("sent");
    // It may have been refused by its head already; h3 must not be asked for more then.
    if stream.send_data(body).await.is_ok() {
        let _ = stream.finish().await;
    }
    let answer = stream.recv_response().await.expect("an answer");
    let mut body = Vec::new();
    while let Some(mut piece) = stream.recv_data().await.expect("a body") {
        body.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
    }
    answer.map(|()| body.into())
}

pub(crate) fn post(path: &str, packet: &[u8]) -> Request<Bytes> {
    Request::builder()
        .method(Method::POST)
        .uri(format!("https://{NAME}{path}"))
        .header("content-type", "application/dns-message")
        .body(Bytes::copy_from_slice(packet))
        .expect("a request")
}

pub(crate) fn get(packet: &[u8]) -> Request<Bytes> {
    let dns = data_encoding::BASE64URL_NOPAD.encode(packet);
    let uri = format!("https://{NAME}/dns-query?dns={dns}");
    Request::builder().uri(uri).body(Bytes::new()).expect("a request")
}

/// Asks on a stream of its own; the error is what the connection ended with.
pub(crate) async fn quic_ask(
    connection: &quinn::Connection,
    packet: &[u8],
) -> Result<Vec<u8>, quinn::ConnectionError> {
    let (mut send, mut receive) = connection.open_bi().await?;
    let framed = [&(packet.len() as u16).to_be_bytes(), packet].concat();
    let _ = send.write_all(&framed).await;
    let _ = send.finish();
    match receive.read_to_end(70_000).await {
        Ok(read) => {
            assert_eq!(usize::from(u16::from_be_bytes([read[0], read[1]])), read.len() - 2);
            Ok(read[2..].to_vec())
        }
        Err(_) => Err(connection.closed().await),
    }
}

pub(crate) fn read(answer: &[u8]) -> Message {
    Message::from_vec(answer).expect("an answer")
}

/// Waits a little until something holds.
pub(crate) async fn soon(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..300 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within three seconds");
}
