//! Mutated questions without end, over real sockets, with probes in between.
//!
//! `cargo test` sends a bounded part. All of it, which takes half an hour or so:
//! `LANWARD_FLOOD_DATAGRAMS=100000000 LANWARD_FLOOD_FRAMES=1500000 cargo test --release -p lanward-dns
//! --test serving flood:: -- --nocapture --test-threads 1`

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;
use lanward_dns::{Config, Upstreams, WaitingLimits};
use socket2::{Domain, Socket, Type};

use crate::mutate::Mutator;
use crate::support::{House, config, question, say, upstreams};

/// Questions sent before each probe: few enough that no socket has to drop any.
const BATCH: usize = 24;

/// Late answers are fewer than a client's socket has room for, so that no probe's is lost there.
const WAITING: WaitingLimits = WaitingLimits { in_all: 200, per_client: 100 };

/// Frames sent over one connection.
const FRAMES: usize = 10;

/// How much a server's memory may differ between a tenth and the end of the flood, bytes.
const FLAT: u64 = 12 << 20;

/// Serves with a small cache until its input ends, and asks the upstream that the environment names.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the tests below, in a process of its own"]
async fn serve_the_flood() {
    let upstream = std::env::var("LANWARD_FLOOD_UPSTREAM").ok();
    let upstreams = match upstream.and_then(|text| text.parse().ok()) {
        Some(upstream) => upstreams(&[upstream]),
        None => Upstreams::default(),
    };
    let config = Config { cache_bytes: 1 << 20, waiting: WAITING, ..config() };
    let house = House::start_with(config, upstreams).await;
    say(&format!("listening {}", house.addr));
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    let _ = ended.await;
    let counters = house.shared.counters();
    let dropped = lanward_dns::DropReason::ALL.map(|why| counters.dropped(why));
    say(&format!("handled {}", counters.queries + dropped.iter().sum::<u64>()));
}

/// A server in a process of its own.
struct Served {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    addr: SocketAddr,
}

impl Served {
    fn start(upstream: Option<SocketAddr>) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this test"));
        command.args(["--exact", "flood::serve_the_flood", "--ignored", "--nocapture"]);
        if let Some(upstream) = upstream {
            command.env("LANWARD_FLOOD_UPSTREAM", upstream.to_string());
        }
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut served = Self { child, lines, addr: SocketAddr::from(([0; 4], 0)) };
        served.addr = served.told("listening ").parse().expect("an address");
        served
    }

    fn told(&mut self, what: &str) -> String {
        let mut lines = self.lines.by_ref().map_while(Result::ok);
        let told = lines.find_map(|line| line.split_once(what).map(|(_, rest)| rest.to_owned()));
        told.expect("it says so")
    }

    /// Memory in use, bytes.
    fn memory(&self) -> u64 {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.child.id())).expect("lives");
        let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
        pages.expect("a number") * 4096
    }

    /// Ends it; how many packets it has looked at.
    fn end(mut self) -> u64 {
        drop(self.child.stdin.take());
        let handled = self.told("handled ").parse().expect("a number");
        assert!(self.child.wait().expect("ends").success(), "it ended in order");
        handled
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/fuzz/__fuzz__");
    let dir = dir.join(format!("fuzz__targets__{target}")).join("corpus");
    let mut files: Vec<_> = fs::read_dir(&dir)
        .expect("the corpus of the fuzz target")
        .map(|file| file.expect("a file").path())
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a file")).collect()
}

fn amount(name: &str, bounded: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(bounded)
}

/// A question that is always answered, and how its answer begins.
fn probe(id: u16) -> (Vec<u8>, Vec<u8>) {
    let mut probe = question("printer.home.arpa.", RecordType::A);
    probe.metadata.id = id;
    let probe = probe.to_vec().expect("encodes");
    let end = probe.len() - 11;
    // Authoritative, one answer.
    let header = [&probe[..2], &[0x85, 0x80, 0, 1, 0, 1]].concat();
    (probe[..].into(), [&header[..], &[0, 0, 0, 1], &probe[12..end]].concat())
}

/// Sends `count` mutated questions from one socket; each batch is followed by a probe, which must be
/// answered.
fn send_datagrams(to: SocketAddr, seed: u64, count: u64, sent: &AtomicU64) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.connect(to).expect("connects");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
    let mut mutator = Mutator::new(seed, corpus("question"));
    let (mut packet, mut answer) = (Vec::new(), vec![0; 65_536]);
    let mut left = count;
    while left > 0 {
        let batch = left.min(BATCH as u64);
        for _ in 0..batch {
            mutator.next_into(&mut packet);
            socket.send(&packet).expect("sends");
        }
        // No mutation has this name, and this flag.
        let (probe, begins) = probe(mutator.random() as u16);
        socket.send(&probe).expect("sends");
        loop {
            let len = socket.recv(&mut answer).expect("the probe is answered within ten seconds");
            if answer[..len].starts_with(&begins) {
                break;
            }
        }
        left -= batch;
        sent.fetch_add(batch, Ordering::Relaxed);
    }
}

/// Memory after a tenth and at the end of `count`, as `sent` tells.
fn watch(served: &Served, sent: &AtomicU64, count: u64, done: &AtomicBool) -> [u64; 2] {
    while sent.load(Ordering::Relaxed) < count / 10 && !done.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let early = served.memory();
    while !done.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(5));
    }
    [early, served.memory()]
}

/// Floods with `count` of something in two threads, and looks at the memory.
fn flood(what: &str, served: &Served, count: u64, send: impl Fn(u64, u64, &AtomicU64) + Sync) {
    let (sent, done, started) = (AtomicU64::new(0), AtomicBool::new(false), Instant::now());
    let [early, late] = std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(served, &sent, count, &done));
        let senders = [1, 2].map(|seed| {
            let (send, sent) = (&send, &sent);
            scope.spawn(move || send(seed, count.div_ceil(2), sent))
        });
        let ended = senders.map(|sender| sender.join().is_ok());
        done.store(true, Ordering::Relaxed);
        assert_eq!(ended, [true; 2], "no probe was missed");
        watching.join().expect("the server lives")
    });
    let (sent, took) = (sent.into_inner(), started.elapsed().as_secs_f64());
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    say(&format!(
        "{sent} {what} in {took:.1} s; memory {:.1} MiB after a tenth, {:.1} MiB at the end",
        mib(early),
        mib(late)
    ));
    assert!(late <= early + FLAT, "memory grows: {early} {late}");
}

#[test]
fn mutated_datagrams_do_no_harm() {
    let served = Served::start(None);
    let count = amount("LANWARD_FLOOD_DATAGRAMS", 100_000);
    let addr = served.addr;
    flood("datagrams", &served, count, |seed, count, sent| {
        send_datagrams(addr, seed, count, sent);
    });
    let probes = 2 * count.div_ceil(2).div_ceil(BATCH as u64);
    let handled = served.end();
    assert!(handled >= count + probes, "every one was looked at: {handled}");
}

/// As many again, of which those that nobody here can answer are asked of an upstream that sends a
/// mutated answer before the right one.
#[test]
fn mutated_datagrams_and_answers_do_no_harm() {
    let upstream = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let served = Served::start(upstream.local_addr().ok());
    let addr = served.addr;
    std::thread::spawn(move || answer_badly(&upstream));
    let count = amount("LANWARD_FLOOD_DATAGRAMS", 500_000) / 50;
    flood("datagrams, with an upstream", &served, count, |seed, count, sent| {
        send_datagrams(addr, seed, count, sent);
    });
    served.end();
}

fn answer_badly(upstream: &UdpSocket) {
    let mut mutator = Mutator::new(3, corpus("response"));
    let (mut packet, mut bad) = (vec![0; 4096], Vec::new());
    while let Ok((len, client)) = upstream.recv_from(&mut packet) {
        let query = &mut packet[..len];
        mutator.next_into(&mut bad);
        // The first byte is for the fuzz target; the next ones are the id, which it may guess.
        let bad = bad.get_mut(1..).unwrap_or_default();
        if let (Some(id), true) = (bad.get_mut(..2), mutator.below(4) > 0) {
            id.copy_from_slice(&query[..2]);
        }
        let _ = upstream.send_to(bad, client);
        // NXDOMAIN, without anything.
        query[2] |= 0x80;
        query[3] = 3;
        let _ = upstream.send_to(query, client);
    }
}

/// A connection from one of many addresses: an address has ports for so many connections a minute.
fn connect(to: SocketAddr, client: u64) -> TcpStream {
    let source = IpAddr::from([127, 0, (client % 7) as u8, 2 + (client % 200) as u8]);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::new(source, 0).into()).expect("binds");
    socket.connect(&to.into()).expect("connects");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(15))).expect("a limit");
    stream
}

fn send_frames(to: SocketAddr, seed: u64, count: u64, sent: &AtomicU64) {
    let mut mutator = Mutator::new(seed, corpus("question"));
    let (mut packet, mut stream_bytes, mut answers) = (Vec::new(), Vec::new(), Vec::new());
    let mut left = count;
    while left > 0 {
        stream_bytes.clear();
        for _ in 0..FRAMES {
            mutator.next_into(&mut packet);
            // One in 50 says something else of its length.
            let len = match mutator.below(50) {
                0 => mutator.random() as u16,
                _ => packet.len() as u16,
            };
            stream_bytes.extend_from_slice(&len.to_be_bytes());
            stream_bytes.extend_from_slice(&packet);
        }
        let mut stream = connect(to, mutator.random());
        // It may be closed at a packet that gets no answer.
        let _ = stream.write_all(&stream_bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        answers.clear();
        let _ = stream.read_to_end(&mut answers);
        if left % 16 < FRAMES as u64 {
            let (probe, begins) = probe(mutator.random() as u16);
            let mut stream = connect(to, mutator.random());
            let framed = [&(probe.len() as u16).to_be_bytes(), &probe[..]].concat();
            stream.write_all(&framed).expect("writes");
            let mut answer = vec![0; 2 + begins.len()];
            stream.read_exact(&mut answer).expect("the probe is answered");
            assert_eq!(answer[2..], begins, "the probe's answer");
        }
        left = left.saturating_sub(FRAMES as u64);
        sent.fetch_add(FRAMES as u64, Ordering::Relaxed);
    }
}

#[test]
fn mutated_frames_do_no_harm() {
    let served = Served::start(None);
    let count = amount("LANWARD_FLOOD_FRAMES", 10_000);
    let addr = served.addr;
    flood("frames", &served, count, |seed, count, sent| send_frames(addr, seed, count, sent));
    // A connection ends at the first frame that gets no answer.
    let handled = served.end();
    say(&format!("{handled} of them were looked at"));
    assert!(handled > count / 2, "{handled}");
}
