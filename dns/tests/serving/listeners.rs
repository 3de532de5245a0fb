//! Binding, addresses, TCP and the end of a server.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;
use lanward_dns::{Config, ConnectionLimits, DropReason, Server, Shared, StartError, Upstreams};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{
    House, Upstream, ask, config, loopback, question, receive_tcp, send_tcp, upstreams,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_listener_answers_from_the_address_that_was_asked() {
    for (listen, asked) in [("0.0.0.0:0", "127.0.0.53"), ("[::]:0", "::1")] {
        let listen = vec![listen.parse().expect("address")];
        let house = House::start_with(Config { listen, ..config() }, Upstreams::default()).await;
        let to = SocketAddr::new(asked.parse().expect("address"), house.addr.port());
        let answer = ask(to, &question("printer.home.arpa.", RecordType::A)).await;
        assert_eq!(answer.expect("from the asked address").answers.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forwarded_answer_comes_from_the_asked_address_too() {
    let upstream = Upstream::start().await;
    let listen = vec!["0.0.0.0:0".parse().expect("address")];
    let config = Config { listen, ..config() };
    let house = House::start_with(config, upstreams(&[upstream.addr])).await;
    let to = SocketAddr::from(([127, 0, 0, 99], house.addr.port()));
    let answer = ask(to, &question("www.example.", RecordType::A)).await;
    assert_eq!(answer.expect("from the asked address").answers.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_with_its_protocol() {
    let udp = std::net::UdpSocket::bind(loopback()).expect("a socket");
    let addr = udp.local_addr().expect("bound");
    let start = |addr| Server::start(Config { listen: vec![addr], ..config() }, Shared::new());
    let error = start(addr).await.expect_err("in use");
    assert!(error.is_in_use() && !error.is_not_permitted());
    let StartError::Bind { addr: told, protocol: "udp", source } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((*told, source.kind()), (addr, ErrorKind::AddrInUse));
    assert_eq!(error.to_string(), format!("udp {addr}: another program already listens there"));

    let tcp = std::net::TcpListener::bind(loopback()).expect("a socket");
    let error = start(tcp.local_addr().expect("bound")).await.expect_err("in use");
    assert!(matches!(error, StartError::Bind { protocol: "tcp", .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_address_is_refused() {
    let house = House::start(Upstreams::default()).await;
    let config = Config { listen: vec![house.addr], ..config() };
    assert!(Server::start(config, Shared::new()).await.expect_err("in use").is_in_use());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_not_there_yet_is_bound() {
    let listen = vec!["192.0.2.77:0".parse().expect("address")];
    let server = Server::start(Config { listen, ..config() }, Shared::new()).await;
    server.expect("IP_FREEBIND").shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_ends_all_threads_and_frees_the_port() {
    let house = House::start(Upstreams::default()).await;
    let addr = house.addr;
    assert_eq!(house.ask("printer.home.arpa.", RecordType::A).await.answers.len(), 1);
    let start = Instant::now();
    house.server.shutdown().await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    std::net::UdpSocket::bind(addr).expect("udp is free");
    let again = Config { listen: vec![addr], ..config() };
    Server::start(again, Shared::new()).await.expect("tcp is free").shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_answers_many_questions_the_quick_before_the_slow() {
    let upstream = Upstream::start().await;
    let house = House::start(upstreams(&[upstream.addr])).await;
    let mut stream = TcpStream::connect(house.addr).await.expect("connect");
    let slow = question("slow.example.", RecordType::A);
    let quick = question("printer.home.arpa.", RecordType::A);
    send_tcp(&mut stream, &slow).await;
    send_tcp(&mut stream, &quick).await;
    // The client has finished asking; its answers still come.
    stream.shutdown().await.expect("half-close");
    assert_eq!(receive_tcp(&mut stream).await.metadata.id, quick.metadata.id);
    assert_eq!(receive_tcp(&mut stream).await.metadata.id, slow.metadata.id);
    assert_eq!(stream.read(&mut [0]).await.expect("closed"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_in_pieces_is_put_together() {
    let house = House::start(Upstreams::default()).await;
    let mut stream = TcpStream::connect(house.addr).await.expect("connect");
    let query = question("printer.home.arpa.", RecordType::A).to_vec().expect("encodes");
    let framed = [&(query.len() as u16).to_be_bytes(), query.as_slice()].concat();
    for piece in framed.chunks(7) {
        stream.write_all(piece).await.expect("write");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(receive_tcp(&mut stream).await.answers.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_end_and_one_client_cannot_take_all() {
    let connections = ConnectionLimits {
        connections: 8,
        connections_per_client: 3,
        idle: Duration::from_millis(400),
        ..ConnectionLimits::default()
    };
    let house = House::start_with(Config { connections, ..config() }, Upstreams::default()).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(TcpStream::connect(house.addr).await.expect("connect"));
    }
    // A fourth is served, and the client's oldest makes room for it.
    let mut fourth = TcpStream::connect(house.addr).await.expect("connect");
    let query = question("printer.home.arpa.", RecordType::A);
    send_tcp(&mut fourth, &query).await;
    assert_eq!(receive_tcp(&mut fourth).await.answers.len(), 1);
    assert_eq!(held.remove(0).read(&mut [0]).await.unwrap_or(0), 0, "closed at once");
    assert!(house.shared.counters().dropped(DropReason::Connections) >= 1);

    // Another client is served, and so is UDP.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.2:0".parse().expect("address")).expect("bind");
    let mut other = socket.connect(house.addr).await.expect("connect");
    send_tcp(&mut other, &query).await;
    assert_eq!(receive_tcp(&mut other).await.answers.len(), 1);
    assert!(ask(house.addr, &query).await.is_some());

    // The idle ones are closed, and make room.
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(held[0].read(&mut [0]).await.expect("closed"), 0);
    let mut stream = TcpStream::connect(house.addr).await.expect("connect");
    send_tcp(&mut stream, &query).await;
    assert_eq!(receive_tcp(&mut stream).await.answers.len(), 1);
}
