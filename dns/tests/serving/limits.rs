//! Clients that try to use everything up.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use lanward_dns::{DropReason, Upstreams};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use crate::secure::SecureHouse;
use crate::support::{House, ask, policies, question, receive_tcp, say, send_tcp};

async fn connect_from(from: IpAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from, 0))?;
    socket.connect(to).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_of_one_client_leave_the_others_untouched() {
    let secure = SecureHouse::start(Upstreams::default()).await;
    let query = question("printer.home.arpa.", RecordType::A);
    let mut other = connect_from([127, 0, 0, 2].into(), secure.house.addr).await.expect("connect");
    let mut other_tls = secure
        .authority
        .try_tls(connect_from([127, 0, 0, 2].into(), secure.tls).await.expect("connect"), b"dot")
        .await
        .expect("a handshake");
    // The oldest are let go of here as they have been closed on the other side by then.
    let mut held = VecDeque::new();
    for index in 0..10_000 {
        let to = if index % 2 == 0 { secure.house.addr } else { secure.tls };
        held.push_back(TcpStream::connect(to).await.expect("connect"));
        if held.len() > 500 {
            held.pop_front();
        }
        if index % 1000 == 999 {
            assert!(ask(secure.house.addr, &query).await.is_some(), "UDP");
            send_tcp(&mut other, &query).await;
            assert_eq!(receive_tcp(&mut other).await.answers.len(), 1, "another client's TCP");
            send_tcp(&mut other_tls, &query).await;
            assert_eq!(receive_tcp(&mut other_tls).await.answers.len(), 1, "and its TLS");
        }
    }
    assert!(secure.house.shared.counters().dropped(DropReason::Connections) > 9000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_from_one_address_is_kept_out_of_the_sockets_until_it_ends() {
    let house = House::start(Upstreams::default()).await;
    let everybody = policies();
    let mut served = policies();
    served.networks[0].subnet = "127.0.0.1/32".parse().expect("a network");
    house.shared.set_policies(served);
    let query = question("printer.home.arpa.", RecordType::A);
    let rude = UdpSocket::bind("127.0.0.9:0").await.expect("a socket");
    rude.connect(house.addr).await.expect("connect");
    let packet = query.to_vec().expect("encodes");
    const SENT: u64 = 60_000;
    for sent in 0..SENT {
        rude.send(&packet).await.expect("sent");
        if sent % 2000 == 0 {
            assert!(ask(house.addr, &query).await.is_some(), "another client, after {sent}");
        }
    }
    let counters = house.shared.counters();
    let unseen = counters.dropped(DropReason::Flood);
    let all = unseen + counters.dropped(DropReason::Source);
    assert!(unseen > SENT / 2, "{unseen} left out by the kernel");
    assert!((SENT / 2..SENT * 2).contains(&all), "counted as {all}");
    // Two intervals after its end nothing is left of it.
    house.shared.set_policies(everybody);
    tokio::time::sleep(Duration::from_millis(3200)).await;
    let mut answer = [0; 512];
    for _ in 0..20 {
        rude.send(&packet).await.expect("sent");
        let answered = tokio::time::timeout(Duration::from_secs(5), rude.recv(&mut answer));
        answered.await.expect("an answer at the first try").expect("an answer");
    }
}

/// Serves with 256 files, most of which are gone, until its input ends.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the test below, in a process of its own"]
async fn serve_with_few_files() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limits");
    setrlimit(Resource::RLIMIT_NOFILE, 256, hard).expect("lower");
    let house = House::start(Upstreams::default()).await;
    let _files: Vec<File> = (0..120).map(|_| File::open("/dev/null").expect("a file")).collect();
    say(&format!("listening {}", house.addr));
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    let _ = ended.await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_files_used_up_udp_and_new_clients_are_still_answered() {
    let mut server = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "limits::serve_with_few_files", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(server.stdout.take().expect("its output")).lines();
    let told = lines.by_ref().map_while(Result::ok).find_map(|line| {
        line.split_once("listening ").and_then(|(_, addr)| addr.parse::<SocketAddr>().ok())
    });
    let addr = told.expect("it says where it listens");
    let query = question("printer.home.arpa.", RecordType::A);
    let mut held = Vec::new();
    for client in 2..42 {
        for _ in 0..10 {
            held.push(connect_from([127, 0, 0, client].into(), addr).await.expect("connect"));
        }
    }
    for _ in 0..20 {
        assert!(ask(addr, &query).await.is_some(), "UDP");
    }
    let answered = async {
        let mut stream = connect_from([127, 0, 0, 99].into(), addr).await.expect("connect");
        send_tcp(&mut stream, &query).await;
        receive_tcp(&mut stream).await
    };
    let answer = tokio::time::timeout(Duration::from_secs(5), answered).await;
    let used = cpu_seconds(server.id());
    drop(server.stdin.take());
    server.wait().expect("ends");
    assert_eq!(answer.expect("a new client's TCP").answers.len(), 1);
    assert!(used < 3.0, "it does not spin: {used} s");
}

/// What a process has used of the processor since its start.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("its numbers");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
    let ticks: f64 = [12, 13].iter().map(|at| fields[*at].parse::<f64>().expect("ticks")).sum();
    ticks / 100.0
}
