//! The very first start of a host whose household is declared in a file.

#![allow(clippy::disallowed_methods, reason = "a test of a start, with a server of its own")]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, RecordType};

use super::wrong_clock::{free, serve_plain};

struct Daemon(Child);

impl Daemon {
    fn start(folder: &Path) -> Daemon {
        let daemon = Command::new(env!("CARGO_BIN_EXE_lanward"))
            .args(["run", "--exit-with-parent", "--config"])
            .arg(folder.join("lanward.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("log")).expect("a file"))
            .spawn();
        Daemon(daemon.expect("the program starts"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks over and over until somebody answers at all.
fn first_answer(dns: SocketAddr) -> Option<Message> {
    let mut query = Message::query();
    query.metadata.recursion_desired = true;
    let name = Name::from_ascii("www.example.com.").expect("a name");
    query.queries.push(Query::query(name, RecordType::A));
    let query = query.to_vec().expect("encodes");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(dns).expect("an address");
    let (begun, mut buffer, mut sent) = (Instant::now(), [0; 4096], None);
    while begun.elapsed() < Duration::from_secs(30) {
        // Whoever does not listen yet says so at once, and loses the question.
        let wait = if sent.is_some() { Duration::from_secs(6) } else { Duration::from_millis(1) };
        socket.set_read_timeout(Some(wait)).expect("a timeout");
        if sent.is_none() {
            sent = socket.send(&query).ok();
            continue;
        }
        match socket.recv(&mut buffer) {
            Ok(len) => return Some(Message::from_vec(&buffer[..len]).expect("an answer")),
            Err(_) => sent = None,
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    None
}

#[test]
fn the_first_question_of_a_first_start_is_asked_of_the_households_own_servers() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (upstream, _) = serve_plain();
    let (dns, web, pair) = (free(), free(), free());
    let data = folder.join("data");
    let host = format!(
        "version = 1\nhousehold = \"household.toml\"\n\
         [node]\nname = \"pi-a\"\ndata_dir = {data:?}\n\
         [dns]\nlisten = [\"{dns}\"]\ntls_listen = []\nhttps_listen = []\n\
         [dhcp]\nenabled = false\n[web]\nlisten = [\"{web}\"]\n[pair]\nlisten = \"{pair}\"\n"
    );
    std::fs::write(folder.join("lanward.toml"), host).expect("a file");
    let household = format!("version = 1\nupstreams = [\"{upstream}\"]\ndnssec = \"off\"\n");
    std::fs::write(folder.join("household.toml"), household).expect("a file");
    let _daemon = Daemon::start(folder);
    let answer = first_answer(dns);
    let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    let answer = answer.unwrap_or_else(|| panic!("it does not start: {}", log()));
    let data: Vec<_> = answer.answers.iter().map(|record| record.data.clone()).collect();
    assert_eq!(data, [RData::A(A(Ipv4Addr::new(198, 51, 100, 7)))], "{answer:?}\n{}", log());
}
