//! What a server's port receives that is no answer, and the answer after it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::net::UdpSocket;

use crate::support::{House, loopback, upstreams};

const GOOD: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const FORGED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);

fn answer(query: &Message, address: Ipv4Addr) -> Message {
    let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
    answer.queries = query.queries.clone();
    let owner = query.queries[0].name().clone();
    answer.answers.push(Record::from_rdata(owner, 300, RData::A(A(address))));
    answer
}

/// Packets that a forger, or a broken box on the way, might send before the true answer comes.
fn malformed(query: &Message) -> Vec<(&'static str, Vec<u8>)> {
    let forged = answer(query, FORGED);
    let good = forged.to_vec().expect("encodes");
    let changed = |change: fn(&mut Vec<u8>)| {
        let mut packet = good.clone();
        change(&mut packet);
        packet
    };
    let code = |code| {
        let mut message = forged.clone();
        message.metadata.id ^= 1;
        message.metadata.response_code = code;
        message.to_vec().expect("encodes")
    };
    vec![
        ("nothing", Vec::new()),
        ("one byte", vec![0]),
        ("half a header", good[..6].to_vec()),
        ("a header that counts a question", good[..12].to_vec()),
        ("another id", changed(|packet| packet[0] ^= 0x80)),
        ("a question", changed(|packet| packet[2] &= 0x7f)),
        ("another opcode", changed(|packet| packet[2] |= 0x28)),
        ("no question counted", changed(|packet| packet[5] = 0)),
        ("two questions counted", changed(|packet| packet[5] = 2)),
        ("another name", changed(|packet| packet[13] = b'-')),
        (
            "another type",
            changed(|packet| {
                let end = 12 + packet[12..].iter().position(|byte| *byte == 0).expect("root");
                packet[end + 2] = 16;
            }),
        ),
        (
            "another class",
            changed(|packet| {
                let end = 12 + packet[12..].iter().position(|byte| *byte == 0).expect("root");
                packet[end + 4] = 3;
            }),
        ),
        ("more records counted than there are", changed(|packet| packet[7] = 40)),
        ("an address cut off", changed(|packet| packet.truncate(packet.len() - 2))),
        (
            "an address of three bytes",
            changed(|packet| {
                let at = packet.len() - 5;
                packet[at] = 3;
                packet.pop();
            }),
        ),
        ("SERVFAIL for another id", code(ResponseCode::ServFail)),
        ("REFUSED for another id", code(ResponseCode::Refused)),
    ]
}

/// Sends all packets of the kind that the name says (`all` for each), then the good answer.
async fn serve(socket: UdpSocket, kinds: Arc<AtomicUsize>) {
    let mut buffer = vec![0; 4096];
    while let Ok((len, client)) = socket.recv_from(&mut buffer).await {
        let query = Message::from_vec(&buffer[..len]).expect("a query");
        let label = query.queries[0].name().to_string().to_ascii_lowercase();
        let malformed = malformed(&query);
        kinds.store(malformed.len(), Ordering::Relaxed);
        for (index, (_, packet)) in malformed.iter().enumerate() {
            if label.starts_with("all.") || label.starts_with(&format!("kind{index}.")) {
                socket.send_to(packet, client).await.expect("sends");
            }
        }
        // From a port that was not asked: a perfect answer but for that.
        let other = UdpSocket::bind(loopback()).await.expect("a socket");
        let forged = answer(&query, FORGED).to_vec().expect("encodes");
        other.send_to(&forged, client).await.expect("sends");
        tokio::time::sleep(Duration::from_millis(20)).await;
        let good = answer(&query, GOOD).to_vec().expect("encodes");
        socket.send_to(&good, client).await.expect("sends");
    }
}

async fn liar() -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind(loopback()).await.expect("a socket");
    let addr = socket.local_addr().expect("bound");
    let kinds = Arc::new(AtomicUsize::new(1));
    tokio::spawn(serve(socket, kinds.clone()));
    (addr, kinds)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_that_is_no_answer_does_not_end_the_waiting_for_one() {
    let (addr, kinds) = liar().await;
    let house = House::start(upstreams(&[addr])).await;
    let mut names = vec!["all.example.".to_owned()];
    let answer = house.ask(&names[0], RecordType::A).await;
    assert_eq!(answer.answers[0].data.to_string(), GOOD.to_string());
    let kinds = kinds.load(Ordering::Relaxed);
    assert!(kinds >= 13, "{kinds}");
    names.extend((0..kinds).map(|kind| format!("kind{kind}.example.")));
    for name in names.iter().skip(1) {
        let start = Instant::now();
        let answer = house.ask(name, RecordType::A).await;
        assert_eq!(answer.answers[0].data.to_string(), GOOD.to_string(), "{name}");
        assert!(start.elapsed() < Duration::from_millis(250), "{name}: {:?}", start.elapsed());
    }
    let status = house.shared.upstream_status().remove(0);
    assert_eq!(status.ignored, 2 * kinds as u64, "each was counted: {status:?}");
    assert_eq!((status.asked, status.failed), (1 + kinds as u64, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_that_are_no_answers_do_not_speak_for_a_server_that_is_gone() {
    let socket = UdpSocket::bind(loopback()).await.expect("a socket");
    let addr = socket.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        while let Ok((len, client)) = socket.recv_from(&mut buffer).await {
            let mut forged = answer(&Message::from_vec(&buffer[..len]).expect("a query"), FORGED);
            for _ in 0..110 {
                forged.metadata.id = forged.metadata.id.wrapping_add(1);
                let packet = forged.to_vec().expect("encodes");
                socket.send_to(&packet, client).await.expect("sends");
                // Not more at once than a socket has room for.
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        }
    });
    let house = House::start(upstreams(&[addr])).await;
    let answer = house.ask("www.example.", RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    let status = house.shared.upstream_status().remove(0);
    assert_eq!(status.state, lanward_dns::UpstreamState::Down, "{status:?}");
}
