//! The house under test, its upstream and its clients.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use lanward_dns::{
    BlockMode, ClientNetwork, Config, Dnssec, DnssecMode, LocalHost, LocalNames, LocalRecord,
    LocalZone, Policies, Policy, PolicyId, RecordData, Server, Shared, Upstreams,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

pub(crate) fn name(text: &str) -> Name {
    Name::from_ascii(text).expect(text)
}

pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// A name server for the tests. Its names say what it does:
/// `slow.` answers after a second, `fail.` SERVFAIL, `gone.` NXDOMAIN without SOA, `silent.` never,
/// `old.` FORMERR to EDNS, `lower.` its question in lower case over UDP,
/// `shut.` never, and closes its stream or connection,
/// `odd.` a record of the asked type with the data that the labels before `example.` spell in hex,
/// `chain20.` as many aliases and an address, `round.` two aliases of each other,
/// `cloaked.` an alias into `ads.example.`, `big.` more than fits into UDP, `brief.` a TTL of 1, `aging.` one of 10;
/// every other name has one address.
pub(crate) struct Upstream {
    pub(crate) addr: SocketAddr,
    pub(crate) asked: Arc<AtomicUsize>,
    /// Ids and source ports seen.
    pub(crate) seen: Arc<Mutex<Vec<(u16, u16)>>>,
    /// Names seen, in lower case.
    names: Arc<Mutex<Vec<String>>>,
    /// Milliseconds that every answer over UDP takes.
    delay: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<()>>,
}

/// Answers over TCP only; over UDP not at all, or with what says so.
pub(crate) async fn only_over_tcp(truncating: bool) -> SocketAddr {
    let (tcp, udp, addr) = bind_both().await;
    tokio::spawn(serve_tcp(tcp));
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        while let Ok((len, client)) = udp.recv_from(&mut buffer).await {
            if truncating {
                let mut answer = Message::from_vec(&buffer[..len]).expect("a query");
                answer.metadata.message_type = hickory_proto::op::MessageType::Response;
                answer.metadata.truncation = true;
                let _ = udp.send_to(&answer.to_vec().expect("encodes"), client).await;
            }
        }
    });
    addr
}

/// A port for both protocols: what is free for one may be taken for the other, by a question that
/// some other test's server asks from there.
async fn bind_both() -> (TcpListener, UdpSocket, SocketAddr) {
    for _ in 0..100 {
        let tcp = TcpListener::bind(loopback()).await.expect("tcp");
        let addr = tcp.local_addr().expect("bound");
        if let Ok(udp) = UdpSocket::bind(addr).await {
            return (tcp, udp, addr);
        }
    }
    panic!("no port is free for both");
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let (tcp, udp, addr) = bind_both().await;
        let udp = Arc::new(udp);
        let asked = Arc::new(AtomicUsize::new(0));
        let (seen, names) = (Arc::new(Mutex::new(Vec::new())), Arc::default());
        let delay = Arc::new(AtomicUsize::new(0));
        let tasks = vec![
            tokio::spawn(serve_udp(
                udp,
                asked.clone(),
                seen.clone(),
                Arc::clone(&names),
                delay.clone(),
            )),
            tokio::spawn(serve_tcp(tcp)),
        ];
        Self { addr, asked, seen, names, delay, tasks }
    }

    pub(crate) fn delay(&self, delay: Duration) {
        self.delay.store(delay.as_millis() as usize, Ordering::Relaxed);
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// How often it was asked for this name over UDP.
    pub(crate) fn asked_for(&self, name: &str) -> usize {
        self.names.lock().expect("lock").iter().filter(|asked| *asked == name).count()
    }

    /// Starts again where it was.
    pub(crate) async fn restart(&mut self) {
        let tcp = TcpListener::bind(self.addr).await.expect("tcp");
        let udp = Arc::new(UdpSocket::bind(self.addr).await.expect("udp"));
        let (asked, seen, names) = (self.asked.clone(), self.seen.clone(), self.names.clone());
        self.tasks.push(tokio::spawn(serve_udp(udp, asked, seen, names, self.delay.clone())));
        self.tasks.push(tokio::spawn(serve_tcp(tcp)));
    }

    pub(crate) async fn stop(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
            let _ = task.await;
        }
    }
}

async fn serve_udp(
    socket: Arc<UdpSocket>,
    asked: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<(u16, u16)>>>,
    names: Arc<Mutex<Vec<String>>>,
    delay: Arc<AtomicUsize>,
) {
    let mut buffer = vec![0; 4096];
    while let Ok((len, client)) = socket.recv_from(&mut buffer).await {
        let query = Message::from_vec(&buffer[..len]).expect("a query");
        asked.fetch_add(1, Ordering::Relaxed);
        seen.lock().expect("lock").push((query.metadata.id, client.port()));
        names.lock().expect("lock").push(query.queries[0].name().to_lowercase().to_string());
        let socket = socket.clone();
        let delay = Duration::from_millis(delay.load(Ordering::Relaxed) as u64);
        tokio::spawn(async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            if let Some(answer) = answer(&query, 1232).await {
                let _ = socket.send_to(&answer, client).await;
            }
        });
    }
}

async fn serve_tcp(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            while let Ok(len) = stream.read_u16().await {
                let mut packet = vec![0; len.into()];
                if stream.read_exact(&mut packet).await.is_err() {
                    return;
                }
                let query = Message::from_vec(&packet).expect("a query");
                if let Some(answer) = answer(&query, 65535).await {
                    stream.write_u16(answer.len() as u16).await.expect("write");
                    stream.write_all(&answer).await.expect("write");
                }
            }
        });
    }
}

pub(crate) async fn answer(query: &Message, limit: usize) -> Option<Vec<u8>> {
    let asked = query.queries.first()?.clone();
    let own = asked.name().clone();
    let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
    answer.metadata.recursion_available = true;
    answer.queries.push(asked.clone());
    answer.edns = query.edns.as_ref().map(|_| Edns::new());
    let address =
        |owner: Name, ttl| Record::from_rdata(owner, ttl, RData::A(A(Ipv4Addr::new(192, 0, 2, 1))));
    let first = own.iter().next().unwrap_or_default().to_ascii_lowercase();
    if first == b"odd" {
        return Some(odd(answer));
    }
    match first.as_slice() {
        b"slow" => {
            tokio::time::sleep(Duration::from_secs(1)).await;
            answer.answers.push(address(own, 300));
        }
        b"old" if query.edns.is_some() => {
            answer.metadata.response_code = ResponseCode::FormErr;
            answer.edns = None;
        }
        b"lower" if limit < 65535 => {
            answer.queries[0].name = own.to_lowercase();
            answer.answers.push(address(own, 300));
        }
        b"silent" | b"shut" => return None,
        b"fail" => answer.metadata.response_code = ResponseCode::ServFail,
        b"gone" => answer.metadata.response_code = ResponseCode::NXDomain,
        b"chain20" => {
            let step =
                |at: usize| if at == 0 { own.clone() } else { name(&format!("s{at}.example.")) };
            let alias = |at| Record::from_rdata(step(at), 300, RData::CNAME(CNAME(step(at + 1))));
            answer.answers.extend((0..20).map(alias));
            answer.answers.push(address(step(20), 300));
        }
        b"round" => {
            let back = name("back.example.");
            for (owner, target) in [(own.clone(), back.clone()), (back, own)] {
                answer.answers.push(Record::from_rdata(owner, 300, RData::CNAME(CNAME(target))));
            }
        }
        b"cloaked" => {
            let target = name("tracker.ads.example.");
            answer.answers.push(Record::from_rdata(own, 300, RData::CNAME(CNAME(target.clone()))));
            answer.answers.push(address(target, 300));
        }
        b"big" => {
            for index in 0..20 {
                let text = format!("{index}{}", "x".repeat(200));
                let data = RData::TXT(TXT::new(vec![text]));
                answer.answers.push(Record::from_rdata(own.clone(), 300, data));
            }
        }
        b"brief" => answer.answers.push(address(own, 1)),
        b"aging" => answer.answers.push(address(own, 10)),
        _ if asked.query_type() == RecordType::A => answer.answers.push(address(own, 300)),
        _ => {}
    }
    let whole = answer.to_vec().expect("encodes");
    if whole.len() <= limit {
        return Some(whole);
    }
    answer.answers.clear();
    answer.metadata.truncation = true;
    Some(answer.to_vec().expect("encodes"))
}

/// As bytes, because the library writes no such things.
fn odd(mut answer: Message) -> Vec<u8> {
    answer.edns = None;
    let asked = &answer.queries[0];
    let labels: Vec<&[u8]> = asked.name().iter().skip(1).collect();
    let digits = labels[..labels.len() - 1].concat();
    let digit = |at: usize| char::from(digits[at]).to_digit(16).expect("hex") as u8;
    let rdata: Vec<u8> =
        (0..digits.len() / 2).map(|at| digit(2 * at) << 4 | digit(2 * at + 1)).collect();
    let record = [
        &[0xc0, 12][..],
        &u16::from(asked.query_type()).to_be_bytes(),
        &[0, 1, 0, 0, 1, 44],
        &(rdata.len() as u16).to_be_bytes(),
        &rdata,
    ];
    let mut whole = answer.to_vec().expect("encodes");
    whole.extend_from_slice(&record.concat());
    whole[7] = 1;
    whole
}

/// Takes a port over from an upstream that was stopped: what it was just answering may hold the
/// port for a moment.
pub(crate) async fn bind_again(addr: SocketAddr) -> UdpSocket {
    for _ in 0..500 {
        if let Ok(socket) = UdpSocket::bind(addr).await {
            return socket;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{addr} is not free five seconds later")
}

/// Blocks `ads.example` and everything below.
pub(crate) struct Ads;

impl lanward_dns::Filter for Ads {
    fn verdict(&self, name: &[u8], _policy: PolicyId) -> lanward_dns::Verdict {
        if name.ends_with(b"\x03ads\x07example\0") {
            let rule = lanward_dns::RuleRef { list: lanward_dns::ListId(0), labels: 2 };
            return lanward_dns::Verdict::Blocked(rule);
        }
        lanward_dns::Verdict::NoMatch
    }

    fn list_name(&self, _list: lanward_dns::ListId) -> &str {
        "ads"
    }

    fn list_names(&self) -> Vec<(lanward_dns::ListId, Arc<str>)> {
        vec![(lanward_dns::ListId(0), Arc::from("ads"))]
    }
}

pub(crate) fn policies() -> Policies {
    let subnets = ["127.0.0.0/8", "::1/128"];
    Policies {
        policies: vec![Policy {
            name: "household".into(),
            filtering: true,
            block_mode: BlockMode::Null,
            blocked_ttl_secs: 10,
            dnssec: true,
            dns64: None,
            history: true,
            upstreams: None,
        }],
        networks: subnets
            .map(|subnet| ClientNetwork {
                subnet: subnet.parse().expect(subnet),
                policy: PolicyId(0),
            })
            .into(),
    }
}

pub(crate) fn local() -> LocalNames {
    let zone = LocalZone {
        apex: "home.arpa".parse().expect("name"),
        name_servers: vec!["lanward.home.arpa".parse().expect("name")],
        serial: 1,
        negative_ttl_secs: 5,
    };
    let mut names = LocalNames::builder();
    names.zone(&zone);
    let host = LocalHost {
        name: "printer.home.arpa".parse().expect("name"),
        addresses: vec!["10.0.30.20".parse().expect("address")],
        ttl_secs: 60,
    };
    names.host(&host).expect("host");
    let alias = LocalRecord {
        name: "search.home.arpa".parse().expect("name"),
        ttl_secs: 60,
        data: RecordData::Cname("www.example".parse().expect("name")),
        networks: Vec::new(),
    };
    names.record(&alias).expect("alias");
    let quiet = LocalRecord {
        name: "quiet.home.arpa".parse().expect("name"),
        data: RecordData::Cname("silent.example".parse().expect("name")),
        ..alias
    };
    names.record(&quiet).expect("alias");
    names.build()
}

pub(crate) fn upstreams(addrs: &[SocketAddr]) -> Upstreams {
    Upstreams::plain(addrs.iter().copied())
}

pub(crate) fn config() -> Config {
    Config {
        listen: vec![loopback()],
        udp_workers: NonZeroUsize::new(2).expect("not zero"),
        ..Config::default()
    }
}

pub(crate) struct House {
    pub(crate) server: Server,
    pub(crate) shared: Arc<Shared>,
    pub(crate) addr: SocketAddr,
}

impl House {
    pub(crate) async fn start(upstreams: Upstreams) -> Self {
        Self::start_with(config(), upstreams).await
    }

    pub(crate) async fn start_with(config: Config, upstreams: Upstreams) -> Self {
        let shared = Shared::new();
        shared.set_policies(policies());
        shared.set_local(local());
        shared.set_filter(Arc::new(Ads));
        shared.set_upstreams(upstreams);
        // These forwarders sign nothing.
        let dnssec = Dnssec { mode: DnssecMode::Off, ..Dnssec::default() };
        shared.set_dnssec(dnssec);
        let server = Server::start(config, shared.clone()).await.expect("starts");
        let addr = server.listening()[0];
        Self { server, shared, addr }
    }

    pub(crate) async fn ask(&self, text: &str, rtype: RecordType) -> Message {
        ask(self.addr, &question(text, rtype)).await.expect("an answer")
    }
}

pub(crate) fn question(text: &str, rtype: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.queries.push(Query::query(name(text), rtype));
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    message.edns = Some(edns);
    message
}

/// Asks over UDP; `None` when nothing comes in six seconds.
pub(crate) async fn ask(server: SocketAddr, query: &Message) -> Option<Message> {
    let bytes = ask_raw(server, &query.to_vec().expect("encodes"), Duration::from_secs(6)).await?;
    let answer = Message::from_vec(&bytes).expect("an answer");
    assert_eq!(answer.metadata.id, query.metadata.id);
    Some(answer)
}

pub(crate) async fn ask_raw(server: SocketAddr, packet: &[u8], wait: Duration) -> Option<Vec<u8>> {
    let any = if server.is_ipv4() { loopback() } else { "[::1]:0".parse().expect("address") };
    let socket = UdpSocket::bind(any).await.expect("a socket");
    // Connected: an answer from any other address than the asked one does not arrive.
    socket.connect(server).await.expect("connect");
    socket.send(packet).await.expect("send");
    let mut buffer = vec![0; 65536];
    let len = tokio::time::timeout(wait, socket.recv(&mut buffer)).await.ok()?.ok()?;
    buffer.truncate(len);
    Some(buffer)
}

pub(crate) async fn send_tcp(stream: &mut (impl AsyncWriteExt + Unpin), query: &Message) {
    let bytes = query.to_vec().expect("encodes");
    let framed = [&(bytes.len() as u16).to_be_bytes(), bytes.as_slice()].concat();
    stream.write_all(&framed).await.expect("write");
}

pub(crate) async fn receive_tcp(stream: &mut (impl AsyncReadExt + Unpin)) -> Message {
    let len = stream.read_u16().await.expect("length");
    let mut bytes = vec![0; len.into()];
    stream.read_exact(&mut bytes).await.expect("message");
    Message::from_vec(&bytes).expect("an answer")
}

pub(crate) fn ede(message: &Message) -> Option<(u16, String)> {
    let options = message.edns.as_ref()?.options();
    let bytes = options.as_ref().iter().find_map(|(code, option)| {
        (u16::from(*code) == 15).then(|| Vec::<u8>::try_from(option).expect("bytes"))
    })?;
    let text = String::from_utf8(bytes[2..].to_vec()).expect("text");
    Some((u16::from_be_bytes([bytes[0], bytes[1]]), text))
}

/// A line on the test's output.
#[allow(clippy::print_stdout, reason = "how the two processes talk")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
