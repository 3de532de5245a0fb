//! DNS over TLS, HTTPS and QUIC: what is answered, and what is refused.

use std::time::Duration;

use bytes::Bytes;
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use http::{Method, Request, StatusCode};
use lanward_dns::{Answered, ConnectionLimits, DropReason, Encrypted, Upstreams};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::secure::{
    Authority, NAME, SecureHouse, get, http2, http2_send, http3, http3_send, post, quic_ask, read,
    soon,
};
use crate::support::{House, Upstream, ask, config, loopback, question, upstreams};

/// A question with the id of zero that DNS over HTTPS and QUIC asks for.
fn packet(text: &str) -> Vec<u8> {
    let mut query = question(text, RecordType::A);
    query.metadata.id = 0;
    query.to_vec().expect("encodes")
}

fn with_option(text: &str, code: EdnsCode, data: Vec<u8>) -> Message {
    let mut query = question(text, RecordType::A);
    query.metadata.id = 0;
    let option = EdnsOption::Unknown(code.into(), data);
    query.edns.as_mut().expect("EDNS").options_mut().insert(option);
    query
}

async fn framed(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), query: &[u8]) -> Vec<u8> {
    stream.write_u16(query.len() as u16).await.expect("write");
    stream.write_all(query).await.expect("write");
    let len = stream.read_u16().await.expect("length");
    let mut answer = vec![0; len.into()];
    stream.read_exact(&mut answer).await.expect("answer");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transport_answers_local_blocked_and_forwarded_names() {
    let upstream = Upstream::start().await;
    let secure = SecureHouse::start(upstreams(&[upstream.addr])).await;
    let mut tls = secure.authority.tls(secure.tls, b"dot").await;
    let mut h2 = http2(secure.authority.tls(secure.https, b"h2").await).await;
    let mut h3 = http3(secure.authority.quic(secure.http3, b"h3").await).await;
    let doq = secure.authority.quic(secure.quic, b"doq").await;
    let names = [
        ("printer.home.arpa.", "10.0.30.20"),
        ("x.ads.example.", "0.0.0.0"),
        ("www.example.", "192.0.2.1"),
    ];
    for (name, address) in names {
        let query = packet(name);
        let answers = [
            framed(&mut tls, &query).await,
            http2_send(&mut h2, post("/dns-query", &query)).await.into_body().to_vec(),
            http2_send(&mut h2, get(&query)).await.into_body().to_vec(),
            http3_send(&mut h3, post("/dns-query", &query)).await.into_body().to_vec(),
            http3_send(&mut h3, get(&query)).await.into_body().to_vec(),
            quic_ask(&doq, &query).await.expect("answered"),
        ];
        for (index, answer) in answers.iter().map(|answer| read(answer)).enumerate() {
            assert_eq!(answer.metadata.id, 0);
            assert_eq!(answer.answers[0].data.to_string(), address, "{name}, transport {index}");
        }
    }
    assert_eq!(upstream.asked(), 1, "one cache for all");
    let counters = secure.house.shared.counters();
    assert_eq!(counters.answered(Answered::Blocked), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_of_zero_is_never_used_upstream() {
    let upstream = Upstream::start().await;
    let secure = SecureHouse::start(upstreams(&[upstream.addr])).await;
    let doq = secure.authority.quic(secure.quic, b"doq").await;
    let mut h2 = http2(secure.authority.tls(secure.https, b"h2").await).await;
    for index in 0..20 {
        quic_ask(&doq, &packet(&format!("n{index}.example."))).await.expect("answered");
        http2_send(&mut h2, post("/dns-query", &packet(&format!("m{index}.example.")))).await;
    }
    let seen = upstream.seen.lock().expect("lock");
    let zero = seen.iter().filter(|(id, _)| *id == 0).count();
    assert!(seen.len() == 40 && zero <= 1, "{zero} of {} were zero", seen.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tls_connection_answers_the_quick_before_the_slow() {
    let upstream = Upstream::start().await;
    let secure = SecureHouse::start(upstreams(&[upstream.addr])).await;
    let mut tls = secure.authority.tls(secure.tls, b"dot").await;
    let slow = question("slow.example.", RecordType::A);
    let quick = question("printer.home.arpa.", RecordType::A);
    for query in [&slow, &quick] {
        let bytes = query.to_vec().expect("encodes");
        tls.write_u16(bytes.len() as u16).await.expect("write");
        tls.write_all(&bytes).await.expect("write");
    }
    tls.shutdown().await.expect("finished asking");
    for query in [&quick, &slow] {
        let mut answer = vec![0; tls.read_u16().await.expect("length").into()];
        tls.read_exact(&mut answer).await.expect("answer");
        assert_eq!(read(&answer).metadata.id, query.metadata.id);
    }
    assert_eq!(tls.read(&mut [0]).await.expect("a proper goodbye"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn padded_questions_get_padded_answers_where_they_are_encrypted() {
    let secure = SecureHouse::start(Upstreams::default()).await;
    let padded = with_option("printer.home.arpa.", EdnsCode::Padding, vec![0; 31]);
    let bytes = padded.to_vec().expect("encodes");
    let mut tls = secure.authority.tls(secure.tls, b"dot").await;
    assert_eq!(framed(&mut tls, &bytes).await.len(), 468);
    let mut h2 = http2(secure.authority.tls(secure.https, b"h2").await).await;
    assert_eq!(http2_send(&mut h2, post("/dns-query", &bytes)).await.body().len(), 468);
    let doq = secure.authority.quic(secure.quic, b"doq").await;
    assert_eq!(quic_ask(&doq, &bytes).await.expect("answered").len(), 468);
    let plain = ask(secure.house.addr, &padded).await.expect("an answer");
    assert!(plain.to_vec().expect("encodes").len() < 200, "no use where all can read");
    assert!(framed(&mut tls, &packet("printer.home.arpa.")).await.len() < 200, "not unasked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_how_long_its_connection_may_be_idle() {
    let secure = SecureHouse::start(Upstreams::default()).await;
    let asks = with_option("printer.home.arpa.", EdnsCode::Keepalive, Vec::new());
    let asks = asks.to_vec().expect("encodes");
    let mut tcp = TcpStream::connect(secure.house.addr).await.expect("connect");
    let answer = framed(&mut tcp, &asks).await;
    assert_eq!(answer[answer.len() - 6..], [0, 11, 0, 2, 0, 100], "10 s");
    let mut tls = secure.authority.tls(secure.tls, b"dot").await;
    let answer = framed(&mut tls, &asks).await;
    assert_eq!(answer[answer.len() - 6..], [0, 11, 0, 2, 1, 44], "30 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_https_answer_may_be_kept_as_long_as_its_shortest_record() {
    let upstream = Upstream::start().await;
    let secure = SecureHouse::start(upstreams(&[upstream.addr])).await;
    let mut h2 = http2(secure.authority.tls(secure.https, b"h2").await).await;
    let mut h3 = http3(secure.authority.quic(secure.http3, b"h3").await).await;
    let table = [
        ("www.example.", "max-age=300"),
        ("printer.home.arpa.", "max-age=60"),
        ("nobody.home.arpa.", "max-age=5"),
        ("x.ads.example.", "max-age=10"),
        ("fail.example.", "max-age=0"),
    ];
    for (name, age) in table {
        for answer in [
            http2_send(&mut h2, post("/dns-query", &packet(name))).await,
            http3_send(&mut h3, post("/dns-query", &packet(name))).await,
        ] {
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.headers()["cache-control"], age, "{name}");
            assert_eq!(answer.headers()["content-type"], "application/dns-message");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_requests_are_refused_plainly() {
    let secure = SecureHouse::start(Upstreams::default()).await;
    let mut h2 = http2(secure.authority.tls(secure.https, b"h2").await).await;
    let mut h3 = http3(secure.authority.quic(secure.http3, b"h3").await).await;
    let bare = |method, path: &str| {
        let uri = format!("https://{NAME}{path}");
        Request::builder().method(method).uri(uri).body(Bytes::new()).expect("a request")
    };
    let good = packet("printer.home.arpa.");
    let table = [
        (bare(Method::GET, "/"), StatusCode::NOT_FOUND),
        (post("/dns-query/x", &good), StatusCode::NOT_FOUND),
        (bare(Method::POST, "/dns-query"), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (bare(Method::GET, "/dns-query?dns=*"), StatusCode::BAD_REQUEST),
        (bare(Method::DELETE, "/dns-query"), StatusCode::METHOD_NOT_ALLOWED),
        (post("/dns-query", b"short"), StatusCode::BAD_REQUEST),
        (post("/dns-query", &vec![0; 70_000]), StatusCode::PAYLOAD_TOO_LARGE),
        (post("/dns-query", &good), StatusCode::OK),
    ];
    for (request, status) in table {
        let what = format!("{} {}", request.method(), request.uri());
        assert_eq!(http2_send(&mut h2, request.clone()).await.status(), status, "{what}");
        assert_eq!(http3_send(&mut h3, request).await.status(), status, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quic_client_that_breaks_the_protocol_is_told_so() {
    let secure = SecureHouse::start(Upstreams::default()).await;
    let with_id = question("printer.home.arpa.", RecordType::A).to_vec().expect("encodes");
    let keepalive = with_option("printer.home.arpa.", EdnsCode::Keepalive, Vec::new());
    let mut response = packet("printer.home.arpa.");
    response[2] |= 0x80;
    let broken = [with_id, keepalive.to_vec().expect("encodes"), response, vec![0; 3]];
    for packet in broken {
        let doq = secure.authority.quic(secure.quic, b"doq").await;
        let ended = quic_ask(&doq, &packet).await.expect_err("closed");
        let quinn::ConnectionError::ApplicationClosed(close) = ended else { panic!("{ended:?}") };
        // DOQ_PROTOCOL_ERROR (RFC 9250, 4.3).
        assert_eq!(close.error_code.into_inner(), 2, "{packet:?}");
    }
    assert_eq!(secure.house.shared.counters().dropped(DropReason::Stream), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_certificate_is_shown_without_closing_connections() {
    let secure = SecureHouse::start(Upstreams::default()).await;
    let query = packet("printer.home.arpa.");
    let mut tls = secure.authority.tls(secure.tls, b"dot").await;
    let doq = secure.authority.quic(secure.quic, b"doq").await;
    assert_eq!(read(&framed(&mut tls, &query).await).answers.len(), 1);

    let other = Authority::new();
    secure.house.shared.set_certificate(other.issue());
    assert_eq!(read(&framed(&mut tls, &query).await).answers.len(), 1, "still open");
    assert_eq!(read(&quic_ask(&doq, &query).await.expect("open")).answers.len(), 1);
    let mut anew = other.tls(secure.tls, b"dot").await;
    assert_eq!(read(&framed(&mut anew, &query).await).answers.len(), 1);
    let stream = TcpStream::connect(secure.tls).await.expect("connect");
    assert!(secure.authority.try_tls(stream, b"dot").await.is_err(), "the old one is gone");
    assert!(secure.authority.quic_from(loopback(), secure.quic, b"doq").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_get_no_handshake() {
    let secure = SecureHouse::start(Upstreams::default()).await;
    let mut policies = crate::support::policies();
    policies.networks.retain(|network| network.subnet.addr().is_ipv6());
    secure.house.shared.set_policies(policies);
    let mut stream = TcpStream::connect(secure.tls).await.expect("the kernel accepts");
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0, "closed without a byte");
    let quic = secure.authority.quic_from(loopback(), secure.quic, b"doq");
    let quic = tokio::time::timeout(Duration::from_millis(400), quic).await;
    assert!(quic.is_err(), "not even refused");
    assert!(secure.house.shared.counters().dropped(DropReason::Source) >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_encrypted_connections_are_closed() {
    let connections = ConnectionLimits {
        encrypted_idle: Duration::from_millis(300),
        ..ConnectionLimits::default()
    };
    let config = lanward_dns::Config { connections, ..config() };
    let secure = SecureHouse::start_with(config, Upstreams::default()).await;
    let mut tls = secure.authority.tls(secure.tls, b"dot").await;
    let mut h2 = http2(secure.authority.tls(secure.https, b"h2").await).await;
    let h3 = secure.authority.quic(secure.http3, b"h3").await;
    let doq = secure.authority.quic(secure.quic, b"doq").await;
    let query = packet("printer.home.arpa.");
    http2_send(&mut h2, post("/dns-query", &query)).await;
    let closed = async {
        assert_eq!(tls.read(&mut [0]).await.expect("a proper goodbye"), 0);
        h3.closed().await;
        doq.closed().await;
        while !h2.is_closed() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(3), closed).await.expect("all closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_never_ends_gives_its_place_to_the_next_client() {
    let connections = ConnectionLimits {
        connections: 4,
        connections_per_client: 4,
        ..ConnectionLimits::default()
    };
    let config = lanward_dns::Config { connections, ..config() };
    let secure = SecureHouse::start_with(config, Upstreams::default()).await;
    let mut stuck = Vec::new();
    for _ in 0..12 {
        let mut stream = TcpStream::connect(secure.tls).await.expect("connect");
        // The beginning of a handshake.
        stream.write_all(&[22, 3, 1, 2, 0]).await.expect("write");
        stuck.push(stream);
    }
    let mut tls = secure.authority.tls(secure.tls, b"dot").await;
    let answer = framed(&mut tls, &packet("printer.home.arpa.")).await;
    assert_eq!(read(&answer).answers.len(), 1);
    let doq = secure.authority.quic(secure.quic, b"doq").await;
    assert!(quic_ask(&doq, &packet("printer.home.arpa.")).await.is_ok());
    assert!(secure.house.shared.counters().dropped(DropReason::Connections) >= 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_told_of_and_the_others_are_served() {
    let taken = std::net::TcpListener::bind(loopback()).expect("a socket");
    let addr = taken.local_addr().expect("bound");
    let mut house = House::start(Upstreams::default()).await;
    let authority = Authority::new();
    house.shared.set_certificate(authority.issue());
    let asked =
        Encrypted { tls: vec![addr, loopback()], quic: vec![loopback()], ..Encrypted::default() };
    let (open, problems) = house.server.serve_encrypted(&asked);
    assert_eq!((open.tls.len(), open.quic.len(), problems.len()), (1, 1, 1));
    let told = format!("tcp {addr}: another program already listens there");
    assert_eq!(problems[0].to_string(), told);
    let mut tls = authority.tls(open.tls[0], b"dot").await;
    let answer = framed(&mut tls, &packet("printer.home.arpa.")).await;
    assert_eq!(read(&answer).answers.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_server_closes_connections_and_frees_the_ports() {
    let secure = SecureHouse::start(Upstreams::default()).await;
    let doq = secure.authority.quic(secure.quic, b"doq").await;
    let mut tls = secure.authority.tls(secure.tls, b"dot").await;
    secure.house.server.shutdown().await;
    tokio::time::timeout(Duration::from_secs(1), doq.closed()).await.expect("told");
    assert_eq!(tls.read(&mut [0]).await.unwrap_or(0), 0);
    soon("udp is free", || std::net::UdpSocket::bind(secure.quic).is_ok()).await;
    soon("tcp is free", || std::net::TcpListener::bind(secure.tls).is_ok()).await;
}
