//! Name servers for the tests that speak TLS, HTTPS and QUIC.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hickory_proto::op::Message;
use lanward_dns::{UpstreamServer, UpstreamTransport};
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::support::{answer, bind_again, loopback};

/// What the certificates of the servers are for.
pub(crate) const NAME: &str = "dns.upstream.example";

/// A certificate for [`NAME`], and a client that believes it.
pub(crate) struct Trust {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Trust {
    pub(crate) fn new() -> Self {
        Self::valid(1975, 4096)
    }

    /// A certificate that is valid from the beginning of one year to that of another.
    pub(crate) fn valid(from: i32, to: i32) -> Self {
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).expect("a name");
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let made = params.self_signed(&key).expect("a certificate");
        Self { certificate: made.der().clone(), key: key.serialize_der() }
    }

    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a root");
        let config = ClientConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        Arc::new(config.with_no_client_auth())
    }

    fn server(&self, protocol: &[u8]) -> ServerConfig {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let mut config = ServerConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .expect("certificate and key");
        config.alpn_protocols = vec![protocol.to_vec()];
        config
    }
}

/// Which protocol a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Tls,
    Https,
    Quic,
}

/// What a server has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) connections: AtomicUsize,
    /// Ids and lengths of the questions.
    pub(crate) asked: Mutex<Vec<(u16, usize)>>,
    /// For how many seconds an answer over HTTPS was kept by somebody on the way.
    pub(crate) age: AtomicUsize,
    /// Questions after which each connection is closed; 0: never.
    pub(crate) close_after: AtomicUsize,
}

pub(crate) struct SecureUpstream {
    pub(crate) addr: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    speaks: Speaks,
    tasks: JoinSet<()>,
}

impl SecureUpstream {
    pub(crate) async fn start(speaks: Speaks, trust: &Trust) -> Self {
        Self::start_at(loopback(), speaks, trust).await
    }

    pub(crate) async fn start_at(addr: SocketAddr, speaks: Speaks, trust: &Trust) -> Self {
        let seen = Arc::new(Seen::default());
        let mut tasks = JoinSet::new();
        let addr = if speaks == Speaks::Quic {
            let config = trust.server(b"doq");
            let config = quinn::crypto::rustls::QuicServerConfig::try_from(config).expect("QUIC");
            let config = quinn::ServerConfig::with_crypto(Arc::new(config));
            // What an earlier one was just answering may hold the port for a moment.
            let socket = bind_again(addr).await.into_std().expect("a socket");
            let runtime = Arc::new(quinn::TokioRuntime);
            let endpoint = quinn::Endpoint::new(Default::default(), Some(config), socket, runtime);
            let endpoint = endpoint.expect("an endpoint");
            let addr = endpoint.local_addr().expect("bound");
            tasks.spawn(serve_quic(endpoint, seen.clone()));
            addr
        } else {
            let listener = TcpListener::bind(addr).await.expect("binds");
            let addr = listener.local_addr().expect("bound");
            let protocol: &[u8] = if speaks == Speaks::Tls { b"dot" } else { b"h2" };
            let acceptor = TlsAcceptor::from(Arc::new(trust.server(protocol)));
            tasks.spawn(serve_tls(listener, acceptor, speaks, seen.clone()));
            addr
        };
        Self { addr, seen, speaks, tasks }
    }

    pub(crate) fn asked(&self) -> usize {
        self.seen.asked.lock().expect("lock").len()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    pub(crate) async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    /// The server as settings have it.
    pub(crate) fn server(&self, name: &str) -> UpstreamServer {
        let name: Arc<str> = name.into();
        UpstreamServer {
            label: format!("{:?} {}", self.speaks, self.addr).into(),
            transport: match self.speaks {
                Speaks::Tls => UpstreamTransport::Tls { name },
                Speaks::Https => UpstreamTransport::Https { name, path: "/dns-query".into() },
                Speaks::Quic => UpstreamTransport::Quic { name },
            },
            addresses: vec![self.addr.ip()],
            port: self.addr.port(),
        }
    }
}

async fn reply(seen: &Seen, packet: &[u8]) -> Option<Vec<u8>> {
    let query = Message::from_vec(packet).expect("a query");
    seen.asked.lock().expect("lock").push((query.metadata.id, packet.len()));
    answer(&query, 65535).await
}

async fn serve_tls(listener: TcpListener, acceptor: TlsAcceptor, speaks: Speaks, seen: Arc<Seen>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, seen) = (acceptor.clone(), seen.clone());
        connections.spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            seen.connections.fetch_add(1, Ordering::Relaxed);
            match speaks {
                Speaks::Tls => dot(stream, seen).await,
                _ => https(stream, seen).await,
            }
        });
    }
}

type Stream = tokio_rustls::server::TlsStream<TcpStream>;

async fn dot(stream: Stream, seen: Arc<Seen>) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (answers, mut pending) = mpsc::unbounded_channel::<Vec<u8>>();
    let reading = async {
        let mut asked = 0;
        while let Ok(len) = reader.read_u16().await {
            let mut packet = vec![0; len.into()];
            reader.read_exact(&mut packet).await.expect("a question");
            asked += 1;
            let (seen, answers) = (seen.clone(), answers.clone());
            let most = seen.close_after.load(Ordering::Relaxed);
            if most > 0 && asked > most {
                return;
            }
            if packet[12..].starts_with(b"\x04shut") {
                return;
            }
            tokio::spawn(async move {
                if let Some(answer) = reply(&seen, &packet).await {
                    let framed = [&(answer.len() as u16).to_be_bytes()[..], &answer].concat();
                    let _ = answers.send(framed);
                }
            });
        }
    };
    let writing = async {
        while let Some(framed) = pending.recv().await {
            if writer.write_all(&framed).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = reading => {}
        () = writing => {}
    }
}

async fn https(stream: Stream, seen: Arc<Seen>) {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(50);
    let mut connection = builder.handshake::<_, Bytes>(stream).await.expect("HTTP/2");
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let seen = seen.clone();
        tokio::spawn(async move {
            assert_eq!(request.uri().path(), "/dns-query");
            assert_eq!(request.uri().host(), Some(NAME));
            let mut body = request.into_body();
            let mut packet = Vec::new();
            while let Some(chunk) = body.data().await {
                packet.extend_from_slice(&chunk.expect("a body"));
            }
            let Some(answer) = reply(&seen, &packet).await else { return };
            let response = match seen.age.load(Ordering::Relaxed) {
                0 => http::Response::builder(),
                age => http::Response::builder().header(http::header::AGE, age),
            };
            let response = response.body(()).expect("a response");
            if let Ok(mut body) = respond.send_response(response, false) {
                let _ = body.send_data(answer.into(), true);
            }
        });
    }
}

async fn serve_quic(endpoint: quinn::Endpoint, seen: Arc<Seen>) {
    let mut connections = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        let seen = seen.clone();
        connections.spawn(async move {
            let Ok(connection) = incoming.await else { return };
            seen.connections.fetch_add(1, Ordering::Relaxed);
            while let Ok((mut to_client, mut from_client)) = connection.accept_bi().await {
                let seen = seen.clone();
                tokio::spawn(async move {
                    let framed = from_client.read_to_end(65537).await.expect("a question");
                    let Some(answer) = reply(&seen, &framed[2..]).await else { return };
                    let framed = [&(answer.len() as u16).to_be_bytes()[..], &answer].concat();
                    let _ = to_client.write_all(&framed).await;
                    let _ = to_client.finish();
                });
            }
        });
    }
}
