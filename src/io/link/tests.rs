use std::net::Ipv4Addr;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;

use super::*;

const WAIT: Duration = Duration::from_secs(30);

fn times() -> LinkTimes {
    LinkTimes {
        handshake: Duration::from_secs(2),
        proof: Duration::from_millis(500),
        backoff_min: Duration::from_millis(10),
        backoff_max: Duration::from_millis(50),
        ..LinkTimes::default()
    }
}

fn new_identity() -> (TempDir, Arc<Identity>) {
    let dir = tempfile::tempdir().unwrap();
    let identity = Arc::new(Identity::load_or_create(dir.path()).unwrap());
    (dir, identity)
}

fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn peer(name: &str, identity: &Identity, addresses: &[SocketAddr]) -> Peer {
    Peer { name: name.to_owned(), key: identity.fingerprint(), addresses: addresses.to_vec() }
}

fn start(identity: &Arc<Identity>, end: End, partner: Option<Peer>) -> (Link, Receiver<LinkEvent>) {
    let (sender, events) = mpsc::channel(64);
    let config =
        LinkConfig { identity: Arc::clone(identity), end, partner, desk: None, times: times() };
    (Link::start(config, sender).unwrap(), events)
}

/// pi-a listening and pi-b's identity, not dialling yet.
struct Pair {
    a: Arc<Identity>,
    b: Arc<Identity>,
    link_a: Link,
    events_a: Receiver<LinkEvent>,
    addr: SocketAddr,
    _dirs: (TempDir, TempDir),
}

fn listening() -> Pair {
    let (dir_a, a) = new_identity();
    let (dir_b, b) = new_identity();
    let partner = Some(peer("pi-b", &b, &[]));
    let (link_a, events_a) = start(&a, End::Listen(vec![loopback()]), partner);
    let addr = link_a.listening()[0];
    Pair { a, b, link_a, events_a, addr, _dirs: (dir_a, dir_b) }
}

impl Pair {
    fn dial(&self) -> (Link, Receiver<LinkEvent>) {
        start(&self.b, End::Dial, Some(peer("pi-a", &self.a, &[self.addr])))
    }

    /// A TLS connection as pi-b makes it, without the rest of the link.
    async fn raw(
        &self,
        identity: &Identity,
    ) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let config = tls::client(identity, self.a.fingerprint(), tls::LINK).unwrap();
        let socket = TcpStream::connect(self.addr).await?;
        TlsConnector::from(config).connect(tls::server_name(), socket).await
    }
}

async fn next(events: &mut Receiver<LinkEvent>) -> LinkEvent {
    timeout(WAIT, events.recv()).await.expect("an event in time").expect("the link runs")
}

async fn up(events: &mut Receiver<LinkEvent>) -> LinkSender {
    match next(events).await {
        LinkEvent::Up { sender, .. } => sender,
        other => panic!("{other:?} instead of Up"),
    }
}

async fn frame(events: &mut Receiver<LinkEvent>) -> Vec<u8> {
    match next(events).await {
        LinkEvent::Frame(frame) => frame,
        other => panic!("{other:?} instead of a frame"),
    }
}

async fn down(events: &mut Receiver<LinkEvent>) -> String {
    match next(events).await {
        LinkEvent::Down { reason } => reason,
        other => panic!("{other:?} instead of Down"),
    }
}

/// Waits until something is true.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < WAIT, "never: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

async fn nothing(events: &mut Receiver<LinkEvent>) {
    let event = timeout(Duration::from_millis(100), events.recv()).await;
    assert!(event.is_err(), "{event:?}");
}

#[tokio::test]
async fn frames_arrive_whole_and_in_order_both_ways() {
    let mut pair = listening();
    let (link_b, mut events_b) = pair.dial();
    let (to_b, to_a) = (up(&mut pair.events_a).await, up(&mut events_b).await);
    let make = |n: usize| vec![u8::try_from(n % 251).unwrap(); 1 + n * 37];
    for n in 0..300 {
        to_b.send(make(n));
        to_a.send(make(n + 1));
    }
    to_a.send(vec![7; MAX_FRAME_BYTES]);
    for n in 0..300 {
        assert_eq!(frame(&mut events_b).await, make(n));
        assert_eq!(frame(&mut pair.events_a).await, make(n + 1));
    }
    assert_eq!(frame(&mut pair.events_a).await, vec![7; MAX_FRAME_BYTES]);
    assert_eq!((pair.link_a.stats().connected, link_b.stats().connected), (1, 1));
    assert_eq!((pair.link_a.trouble(), link_b.trouble()), (None, None));
}

#[tokio::test]
async fn both_may_send_at_once_without_reading() {
    let mut pair = listening();
    let (_link_b, mut events_b) = pair.dial();
    let (to_b, to_a) = (up(&mut pair.events_a).await, up(&mut events_b).await);
    for _ in 0..20 {
        to_b.send(vec![1; MAX_FRAME_BYTES]);
        to_a.send(vec![2; MAX_FRAME_BYTES]);
    }
    for _ in 0..20 {
        assert_eq!(frame(&mut events_b).await.len(), MAX_FRAME_BYTES);
        assert_eq!(frame(&mut pair.events_a).await.len(), MAX_FRAME_BYTES);
    }
}

#[tokio::test]
async fn a_close_lets_what_was_sent_before_go_out_and_tells_both() {
    let mut pair = listening();
    let (_link_b, mut events_b) = pair.dial();
    let (to_b, _to_a) = (up(&mut pair.events_a).await, up(&mut events_b).await);
    to_b.send(b"last words".to_vec());
    to_b.close("a test");
    assert_eq!(frame(&mut events_b).await, b"last words");
    assert_eq!(down(&mut events_b).await, "pi-a closed the link");
    assert_eq!(down(&mut pair.events_a).await, "a test");
    // The dialling end comes back by itself, and the old sender reaches nobody.
    let (again, _) = (up(&mut pair.events_a).await, up(&mut events_b).await);
    to_b.send(b"from the past".to_vec());
    again.send(b"from the present".to_vec());
    assert_eq!(frame(&mut events_b).await, b"from the present");
}

#[tokio::test]
async fn a_partner_that_comes_back_is_connected_again() {
    let mut pair = listening();
    for _ in 0..3 {
        let (link_b, mut events_b) = pair.dial();
        up(&mut pair.events_a).await;
        up(&mut events_b).await;
        link_b.stop().await;
        assert_eq!(down(&mut events_b).await, "this node stops");
        assert_eq!(down(&mut pair.events_a).await, "pi-b closed the link");
    }
    assert_eq!(pair.link_a.stats().connected, 3);
}

#[tokio::test]
async fn dialling_goes_on_until_the_partner_listens_and_says_why_it_waits() {
    let (_dir_a, a) = new_identity();
    let (_dir_b, b) = new_identity();
    // A port that was free a moment ago, and an address nobody listens on.
    let free = TcpListener::bind(loopback()).await.unwrap().local_addr().unwrap();
    let other = TcpListener::bind(loopback()).await.unwrap().local_addr().unwrap();
    let (link_b, mut events_b) = start(&b, End::Dial, Some(peer("pi-a", &a, &[other, free])));
    until("a failed attempt", || link_b.trouble().is_some()).await;
    let trouble = link_b.trouble().unwrap();
    assert!(trouble.contains("cannot reach pi-a at 127.0.0.1"), "{trouble}");
    let (_link_a, _events_a) = start(&a, End::Listen(vec![free]), Some(peer("pi-b", &b, &[])));
    up(&mut events_b).await;
    assert_eq!(link_b.trouble(), None);
}

#[tokio::test]
async fn a_dialler_with_another_key_is_refused_and_both_are_told() {
    let mut pair = listening();
    let (_dir, stranger) = new_identity();
    let (link, mut events) = start(&stranger, End::Dial, Some(peer("pi-a", &pair.a, &[pair.addr])));
    until("refusal", || pair.link_a.stats().wrong_key > 0 && link.stats().wrong_key > 0).await;
    let told = pair.link_a.trouble().unwrap();
    assert!(told.contains(&stranger.fingerprint().to_string()), "{told}");
    assert!(told.contains("not pi-b's"), "{told}");
    let told = link.trouble().unwrap();
    assert!(told.contains("does not accept this node's key"), "{told}");
    nothing(&mut events).await;
    nothing(&mut pair.events_a).await;
    assert_eq!((link.stats().connected, pair.link_a.stats().connected), (0, 0));
}

#[tokio::test]
async fn a_listener_with_another_key_gets_nothing_of_us() {
    let mut pair = listening();
    let (_dir, expected) = new_identity();
    let (link, mut events) = start(&pair.b, End::Dial, Some(peer("pi-a", &expected, &[pair.addr])));
    until("refusal", || link.stats().wrong_key > 0).await;
    let told = link.trouble().unwrap();
    assert!(told.contains(&pair.a.fingerprint().to_string()), "{told}");
    assert!(told.contains("is not pi-a"), "{told}");
    nothing(&mut events).await;
    nothing(&mut pair.events_a).await;
}

/// Shows a certificate it has not got the key of: what the signature check is for.
#[tokio::test]
async fn the_partners_certificate_without_its_key_is_refused() {
    #[derive(Debug)]
    struct Thief(Arc<rustls::sign::CertifiedKey>);
    impl rustls::client::ResolvesClientCert for Thief {
        fn resolve(
            &self,
            _hints: &[&[u8]],
            _schemes: &[rustls::SignatureScheme],
        ) -> Option<Arc<rustls::sign::CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
        fn has_certs(&self) -> bool {
            true
        }
    }
    let mut pair = listening();
    let (_dir, thief) = new_identity();
    let key = rustls::crypto::ring::sign::any_supported_type(&thief.private_key()).unwrap();
    let stolen = rustls::sign::CertifiedKey::new(vec![pair.b.certificate()], key);
    let honest = tls::client(&thief, pair.a.fingerprint(), tls::LINK).unwrap();
    let mut config = (*honest).clone();
    config.client_auth_cert_resolver = Arc::new(Thief(Arc::new(stolen)));
    let socket = TcpStream::connect(pair.addr).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    if let Ok(mut stream) = connector.connect(tls::server_name(), socket).await {
        let mut byte = [0];
        assert!(!matches!(stream.read(&mut byte).await, Ok(1..)), "it was let in");
    }
    until("refusal", || pair.link_a.stats().not_ours == 1).await;
    nothing(&mut pair.events_a).await;
}

#[tokio::test]
async fn tls_1_2_is_not_spoken() {
    let pair = listening();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let mut config = config;
    config.alpn_protocols = vec![tls::LINK.to_vec()];
    let socket = TcpStream::connect(pair.addr).await.unwrap();
    let error = TlsConnector::from(Arc::new(config)).connect(tls::server_name(), socket).await;
    assert!(error.unwrap_err().to_string().contains("ProtocolVersion"));
    until("refusal", || pair.link_a.stats().not_ours == 1).await;
}

#[tokio::test]
async fn garbage_on_the_port_is_counted_and_the_partner_still_gets_in() {
    let mut pair = listening();
    let garbage: [&[u8]; 6] = [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &[0; 5000],
        &[0xff; 5000],
        // A TLS record of the greatest length, and a ClientHello that ends in the middle.
        &[0x16, 3, 1, 0xff, 0xff, 1, 0, 0xff],
        &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3],
    ];
    for bytes in garbage {
        let mut socket = TcpStream::connect(pair.addr).await.unwrap();
        let _ = socket.write_all(bytes).await;
        let _ = socket.shutdown().await;
        let _ = timeout(WAIT, socket.read_to_end(&mut Vec::new())).await.unwrap();
    }
    until("all counted", || pair.link_a.stats().not_ours == 6).await;
    let (_link_b, mut events_b) = pair.dial();
    up(&mut events_b).await;
    up(&mut pair.events_a).await;
}

#[tokio::test]
async fn who_proves_no_key_in_time_is_dropped() {
    let mut pair = listening();
    let began = Instant::now();
    let mut slow = TcpStream::connect(pair.addr).await.unwrap();
    // One byte of a ClientHello now and then.
    let (mut reader, mut writer) = slow.split();
    let drip = async {
        for byte in [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc].into_iter().cycle() {
            let _ = writer.write_all(&[byte]).await;
            sleep(Duration::from_millis(300)).await;
        }
    };
    let mut sink = Vec::new();
    tokio::select! {
        () = drip => unreachable!("the drip never ends"),
        _ = timeout(WAIT, reader.read_to_end(&mut sink)) => {}
    }
    assert!(began.elapsed() < times().handshake + Duration::from_secs(5));
    until("counted", || pair.link_a.stats().too_slow == 1).await;
    nothing(&mut pair.events_a).await;
}

#[tokio::test]
async fn many_half_open_connections_do_not_keep_the_partner_out() {
    let mut pair = listening();
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(TcpStream::connect(pair.addr).await.unwrap());
    }
    let (_link_b, mut events_b) = pair.dial();
    up(&mut events_b).await;
    up(&mut pair.events_a).await;
    assert!(pair.link_a.stats().crowded_out >= 60, "{:?}", pair.link_a.stats());
}

#[tokio::test]
async fn a_new_connection_of_the_partner_replaces_the_old_one() {
    let mut pair = listening();
    // The first one stays open and says nothing, like a host that lost its power.
    let mut first = pair.raw(&pair.b).await.unwrap();
    let to_first = up(&mut pair.events_a).await;
    let (_link_b, mut events_b) = pair.dial();
    up(&mut events_b).await;
    assert_eq!(down(&mut pair.events_a).await, "the partner has connected anew");
    let to_second = up(&mut pair.events_a).await;
    to_first.send(b"to nobody".to_vec());
    to_second.send(b"to the new one".to_vec());
    assert_eq!(frame(&mut events_b).await, b"to the new one");
    let mut rest = Vec::new();
    timeout(WAIT, first.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest, [0; 4], "the word that the key was accepted, and nothing else");
}

#[tokio::test]
async fn a_frame_longer_than_the_limit_ends_the_connection() {
    let mut pair = listening();
    let mut raw = pair.raw(&pair.b).await.unwrap();
    let _sender = up(&mut pair.events_a).await;
    raw.write_u32(u32::try_from(MAX_FRAME_BYTES).unwrap() + 1).await.unwrap();
    raw.flush().await.unwrap();
    let reason = down(&mut pair.events_a).await;
    assert!(reason.contains("frame size"), "{reason}");
}

#[tokio::test]
async fn an_own_frame_longer_than_the_limit_ends_the_connection_with_the_reason() {
    let mut pair = listening();
    let (_link_b, mut events_b) = pair.dial();
    let (to_b, _) = (up(&mut pair.events_a).await, up(&mut events_b).await);
    to_b.send(vec![0; MAX_FRAME_BYTES + 1]);
    let reason = down(&mut pair.events_a).await;
    assert!(reason.contains("1048577"), "{reason}");
}

#[tokio::test]
async fn a_partner_that_does_not_read_ends_the_connection_instead_of_the_memory() {
    let mut pair = listening();
    let _raw = pair.raw(&pair.b).await.unwrap();
    let to_b = up(&mut pair.events_a).await;
    for _ in 0..64 {
        to_b.send(vec![0; MAX_FRAME_BYTES]);
    }
    let reason = down(&mut pair.events_a).await;
    assert!(reason.contains("does not read"), "{reason}");
}

#[tokio::test]
async fn a_truncated_frame_is_never_delivered() {
    let mut pair = listening();
    let mut raw = pair.raw(&pair.b).await.unwrap();
    let _sender = up(&mut pair.events_a).await;
    raw.write_all(&[0, 0, 0, 10, 1, 2, 3]).await.unwrap();
    raw.flush().await.unwrap();
    drop(raw);
    down(&mut pair.events_a).await;
}

#[tokio::test]
async fn a_removed_partner_is_cut_off_and_stays_out() {
    let mut pair = listening();
    let (link_b, mut events_b) = pair.dial();
    up(&mut pair.events_a).await;
    up(&mut events_b).await;
    pair.link_a.set_partner(None);
    assert_eq!(down(&mut pair.events_a).await, "the partner was changed or removed");
    down(&mut events_b).await;
    until("refusal", || link_b.stats().not_invited > 0).await;
    let told = link_b.trouble().unwrap();
    assert!(told.contains("does not know this node as its partner"), "{told}");
    nothing(&mut pair.events_a).await;
}

#[tokio::test]
async fn a_lone_node_takes_the_partner_it_is_given_later() {
    let (_dir_a, a) = new_identity();
    let (_dir_b, b) = new_identity();
    let (link_a, mut events_a) = start(&a, End::Listen(vec![loopback()]), None);
    let addr = link_a.listening()[0];
    let (link_b, mut events_b) = start(&b, End::Dial, Some(peer("pi-a", &a, &[addr])));
    until("refusal", || link_a.stats().not_invited > 0 && link_b.trouble().is_some()).await;
    link_a.set_partner(Some(peer("pi-b", &b, &[])));
    up(&mut events_a).await;
    up(&mut events_b).await;
}

#[tokio::test]
async fn a_taken_port_is_an_error_with_its_address() {
    let pair = listening();
    let (sender, _events) = mpsc::channel(1);
    let config = LinkConfig {
        identity: Arc::clone(&pair.a),
        end: End::Listen(vec![pair.addr]),
        partner: None,
        desk: None,
        times: times(),
    };
    let error = Link::start(config, sender).unwrap_err().to_string();
    assert!(error.contains(&pair.addr.to_string()), "{error}");
}

#[tokio::test]
async fn an_address_the_host_has_not_got_yet_is_waited_for() {
    let (_dir, a) = new_identity();
    // TEST-NET-1 (RFC 5737): no host has it.
    let missing = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 0));
    let (link, _events) = start(&a, End::Listen(vec![missing, loopback()]), None);
    assert_eq!(link.listening().len(), 1);
    link.stop().await;
}

#[tokio::test]
async fn all_ipv4_and_all_ipv6_addresses_may_be_listened_on_together() {
    if TcpListener::bind("[::1]:0").await.is_err() {
        return; // A host without IPv6 has nothing to mix up.
    }
    let (_dir, a) = new_identity();
    let listen = |addr: SocketAddr| {
        let identity = Arc::clone(&a);
        let end = End::Listen(vec![addr]);
        let config = LinkConfig { identity, end, partner: None, desk: None, times: times() };
        Link::start(config, mpsc::channel(64).0)
    };
    // Somebody else may have the port of one of them in IPv4: not of all.
    let both = (0..10).any(|_| {
        let first = listen("[::]:0".parse().unwrap()).unwrap();
        let port = first.listening()[0].port();
        listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).is_ok()
    });
    assert!(both);
}

#[tokio::test]
async fn stopping_gives_the_port_free() {
    let pair = listening();
    let addr = pair.addr;
    pair.link_a.stop().await;
    assert!(TcpStream::connect(addr).await.is_err());
    TcpListener::bind(addr).await.unwrap();
}

/// An address that accepts no connection and refuses none: what a cut network looks like.
struct Swallows {
    addr: SocketAddr,
    _listener: std::net::TcpListener,
    _waiting: Vec<std::net::TcpStream>,
}

fn swallows() -> Swallows {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&loopback().into()).unwrap();
    socket.listen(0).unwrap();
    let listener = std::net::TcpListener::from(socket);
    let addr = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    // The kernel drops what comes after the queue is full.
    while let Ok(one) = std::net::TcpStream::connect_timeout(&addr, Duration::from_millis(200)) {
        waiting.push(one);
        assert!(waiting.len() < 64, "the queue is never full");
    }
    Swallows { addr, _listener: listener, _waiting: waiting }
}

#[tokio::test]
async fn a_network_that_swallows_everything_does_not_keep_the_nodes_apart() {
    let mut pair = listening();
    let dead = [swallows(), swallows(), swallows()];
    let mut addresses: Vec<SocketAddr> = dead.iter().map(|dead| dead.addr).collect();
    addresses.push(pair.addr);
    let began = Instant::now();
    let (_link_b, mut events_b) =
        start(&pair.b, End::Dial, Some(peer("pi-a", &pair.a, &addresses)));
    up(&mut events_b).await;
    up(&mut pair.events_a).await;
    // Three times the stagger; one after the other it would be three connect limits of a second.
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    assert_eq!(pair.link_a.stats().connected, 1, "one link and no more");
}

#[tokio::test]
async fn a_service_that_accepts_and_says_nothing_does_not_keep_the_nodes_apart() {
    let mut pair = listening();
    let mute = TcpListener::bind(loopback()).await.unwrap();
    let addresses = [mute.local_addr().unwrap(), pair.addr];
    let (_link_b, mut events_b) =
        start(&pair.b, End::Dial, Some(peer("pi-a", &pair.a, &addresses)));
    up(&mut events_b).await;
    up(&mut pair.events_a).await;
    nothing(&mut events_b).await;
    assert_eq!(pair.link_a.stats().connected, 1, "one link and no more");
}

#[tokio::test]
async fn addresses_learned_later_are_dialled_in_the_next_round() {
    let mut pair = listening();
    let dead = swallows();
    let (link_b, mut events_b) =
        start(&pair.b, End::Dial, Some(peer("pi-a", &pair.a, &[dead.addr])));
    until("a failed round", || link_b.trouble().is_some()).await;
    let told = link_b.trouble().unwrap();
    assert!(told.contains("no answer"), "{told}");
    link_b.set_partner(Some(peer("pi-a", &pair.a, &[dead.addr, pair.addr])));
    up(&mut events_b).await;
    up(&mut pair.events_a).await;
}
