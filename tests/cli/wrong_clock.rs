//! A host without a battery boots in 1970, before upstream servers that prove who they are.

#![allow(clippy::disallowed_methods, reason = "a test of the clock, with a server of its own")]

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const NAME: &str = "dns.upstream.example";

/// What was asked, in lower case.
pub(super) type Asked = Arc<Mutex<Vec<String>>>;

fn answer(packet: &[u8], asked: &Asked) -> Vec<u8> {
    let query = Message::from_vec(packet).expect("a query");
    let question = query.queries[0].clone();
    asked.lock().expect("lock").push(question.name().to_lowercase().to_string());
    let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
    if question.query_type() == RecordType::A {
        let data = RData::A(A(Ipv4Addr::new(198, 51, 100, 7)));
        answer.answers.push(Record::from_rdata(question.name().clone(), 300, data));
    }
    answer.queries.push(question);
    answer.to_vec().expect("encodes")
}

/// A plain server.
pub(super) fn serve_plain() -> (SocketAddr, Asked) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let (addr, asked) = (socket.local_addr().expect("bound"), Asked::default());
    let seen = asked.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&answer(&buffer[..len], &seen), from);
        }
    });
    (addr, asked)
}

/// What servers behind TLS go by, with a certificate that is valid these days.
fn tls(folder: &Path) -> tokio_rustls::TlsAcceptor {
    let names = vec![NAME.to_owned(), "127.0.0.1".to_owned()];
    let mut params = rcgen::CertificateParams::new(names).expect("names");
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let day = |at: &jiff::Zoned| {
        rcgen::date_time_ymd(i32::from(at.year()), at.month() as u8, at.day() as u8)
    };
    params.not_before = day(&(&now - jiff::Span::new().days(2)));
    params.not_after = day(&(&now + jiff::Span::new().days(30)));
    let key = rcgen::KeyPair::generate().expect("a key");
    let made = params.self_signed(&key).expect("a certificate");
    std::fs::write(folder.join("roots.pem"), made.pem()).expect("a file");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.der().clone()], key)
        .expect("certificate and key");
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}

fn listen(runtime: &tokio::runtime::Runtime) -> (tokio::net::TcpListener, SocketAddr) {
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let addr = listener.local_addr().expect("bound");
    (listener, addr)
}

/// A server of DNS over TLS.
fn serve_tls(
    runtime: &tokio::runtime::Runtime,
    acceptor: tokio_rustls::TlsAcceptor,
) -> (SocketAddr, Asked) {
    let (listener, addr) = listen(runtime);
    let asked = Asked::default();
    let seen = asked.clone();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, seen) = (acceptor.clone(), seen.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                while let Ok(len) = stream.read_u16().await {
                    let mut packet = vec![0; len.into()];
                    stream.read_exact(&mut packet).await.expect("a question");
                    let answer = answer(&packet, &seen);
                    stream.write_u16(answer.len() as u16).await.expect("written");
                    stream.write_all(&answer).await.expect("written");
                }
            });
        }
    });
    (addr, asked)
}

/// A web server with a list of one domain behind every address.
fn serve_list(
    runtime: &tokio::runtime::Runtime,
    acceptor: tokio_rustls::TlsAcceptor,
) -> (SocketAddr, Asked) {
    let (listener, addr) = listen(runtime);
    let asked = Asked::default();
    let seen = asked.clone();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
            while !request.ends_with(b"\r\n\r\n") {
                match stream.read(&mut buffer).await {
                    Ok(len) if len > 0 => request.extend_from_slice(&buffer[..len]),
                    _ => break,
                }
            }
            let line = String::from_utf8_lossy(&request).lines().next().map(str::to_owned);
            seen.lock().expect("lock").extend(line);
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\n\
                          ads.example\n";
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (addr, asked)
}

/// The daemon on a host whose clock shows the beginning of 1970.
struct Host {
    daemon: Child,
    dns: SocketAddr,
}

impl Host {
    fn boot(folder: &Path, library: &str, dns: SocketAddr) -> Host {
        let log = File::create(folder.join("log")).expect("a file");
        let daemon = Command::new(env!("CARGO_BIN_EXE_lanward"))
            .args(["run", "--exit-with-parent", "--config"])
            .arg(folder.join("lanward.toml"))
            .env("SSL_CERT_FILE", folder.join("roots.pem"))
            .env("LD_PRELOAD", library)
            .env("FAKETIME", "@1970-01-01 00:01:00")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        let host = Host { daemon, dns };
        let (begun, socket) = (Instant::now(), folder.join("data/admin.sock"));
        let socket = socket.to_str().expect("UTF-8");
        // Until the household's file is in force: nobody else is to be asked.
        while !super::lanward(&["status", "--json", "--socket", socket]).out.contains(NAME) {
            let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(30), "it does not start: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        host
    }

    fn ask(&self, name: &str) -> ResponseCode {
        let mut query = Message::query();
        query.metadata.recursion_desired = true;
        query.queries.push(Query::query(Name::from_ascii(name).expect(name), RecordType::A));
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(6))).expect("a timeout");
        socket.connect(self.dns).expect("an address");
        socket.send(&query.to_vec().expect("encodes")).expect("sent");
        let mut buffer = [0; 4096];
        let len = socket.recv(&mut buffer).expect("an answer");
        Message::from_vec(&buffer[..len]).expect("an answer").metadata.response_code
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// A port that was free just now.
pub(super) fn free() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.local_addr().expect("bound")
}

#[test]
#[allow(clippy::print_stderr, reason = "a test that is skipped must be seen")]
fn a_host_that_boots_in_1970_finds_time_servers_and_believes_who_it_believed_before() {
    let faketime = Command::new("faketime").args(["-f", "+0", "printenv", "LD_PRELOAD"]).output();
    let Ok(faketime) = faketime else {
        let required = std::env::var("LANWARD_REQUIRE_LAB").is_ok_and(|value| value == "1");
        assert!(!required, "needed here: faketime");
        return eprintln!("LOUD SKIP: there is no faketime");
    };
    let library = String::from_utf8_lossy(&faketime.stdout).trim().to_owned();
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let acceptor = tls(folder);
    let (secure, asked_of_it) = serve_tls(&runtime, acceptor.clone());
    let (web_server, fetched) = serve_list(&runtime, acceptor);
    let (plain, in_plain) = serve_plain();
    let (dns, web, pair) = (free(), free(), free());
    let data = folder.join("data");
    std::fs::write(
        folder.join("lanward.toml"),
        format!(
            "version = 1\nhousehold = \"household.toml\"\n\
             [node]\nname = \"pi-a\"\ndata_dir = {data:?}\n\
             [dns]\nlisten = [\"{dns}\"]\ntls_listen = []\nhttps_listen = []\n\
             [dhcp]\nenabled = false\n[web]\nlisten = [\"{web}\"]\n[pair]\nlisten = \"{pair}\"\n"
        ),
    )
    .expect("a file");
    let household = format!(
        "version = 1\nupstreams = [\"tls://{secure}#{NAME}\"]\nbootstrap = [\"{plain}\"]\n"
    );
    std::fs::write(folder.join("household.toml"), &household).expect("a file");

    // Its first boot: nothing tells what time it may be.
    let host = Host::boot(folder, &library, dns);
    assert_eq!(host.ask("2.debian.pool.ntp.org."), ResponseCode::NoError);
    assert_eq!(host.ask("www.example.com."), ResponseCode::ServFail);
    drop(host);
    assert_eq!(*in_plain.lock().expect("lock"), ["2.debian.pool.ntp.org."]);
    assert_eq!(*asked_of_it.lock().expect("lock"), [] as [String; 0]);

    // It has lived to see today, and boots in 1970 again, with a list that it has not got yet.
    let list = format!("id = \"ads\"\nurl = \"https://{web_server}/ads\"\nallow_private = true\n");
    let household = format!("{household}[[list]]\n{list}");
    std::fs::write(folder.join("household.toml"), household).expect("a file");
    let store = File::options().write(true).open(data.join("leases.redb")).expect("the store");
    store.set_modified(SystemTime::now()).expect("its time");
    drop(store);
    let host = Host::boot(folder, &library, dns);
    assert_eq!(host.ask("www.example.com."), ResponseCode::NoError);
    let begun = Instant::now();
    while fetched.lock().expect("lock").is_empty() {
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(begun.elapsed() < Duration::from_secs(30), "no list is fetched: {}", log());
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(host);
    assert!(asked_of_it.lock().expect("lock").contains(&"www.example.com.".to_owned()));
    assert_eq!(in_plain.lock().expect("lock").len(), 1, "nothing more is asked in plain");
}
