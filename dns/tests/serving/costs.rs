//! What one question may cost: packets upstream, aliases followed, records looked at.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::RecordType;
use lanward_dns::Upstreams;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use crate::longest;
use crate::support::{House, Upstream, ask, ede, loopback, question, upstreams};

/// So many servers.
async fn several(count: usize) -> Vec<Upstream> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(Upstream::start().await);
    }
    all
}

fn asked(servers: &[Upstream]) -> Vec<usize> {
    servers.iter().map(Upstream::asked).collect()
}

async fn house_of(servers: &[Upstream], timeout: Duration) -> House {
    let addrs: Vec<SocketAddr> = servers.iter().map(|server| server.addr).collect();
    House::start(Upstreams { timeout, ..upstreams(&addrs) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_three_servers_cannot_answer_no_fourth_is_asked() {
    let servers = several(5).await;
    let house = house_of(&servers, Duration::from_secs(5)).await;
    let begun = Instant::now();
    let answer = house.ask("fail.example.", RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(asked(&servers), [1, 1, 1, 0, 0]);
    assert!(begun.elapsed() < Duration::from_secs(1));
    // One that cannot be read is asked for again over TCP, which these do not count.
    let answer = house.ask("odd.00.example.", RecordType::A).await;
    assert_eq!(ede(&answer).map(|(code, _)| code), Some(23));
    assert_eq!(asked(&servers), [2, 2, 2, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_nobody_answers_costs_one_packet_for_each_server_and_three_at_least() {
    let cases = [(1, 3), (2, 3), (3, 3), (5, 5)].map(async |(count, most)| {
        let servers = several(count).await;
        let house = house_of(&servers, Duration::from_millis(2500)).await;
        let answer = house.ask("silent.example.", RecordType::A).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
        // Probes, too, ask a server; they ask for the root.
        let asked: usize = servers.iter().map(|server| server.asked_for("silent.example.")).sum();
        assert_eq!(asked, most, "{count} servers");
    });
    join_all(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aliases_without_end_are_a_failure_at_once_and_no_server_is_to_blame() {
    let servers = several(1).await;
    let house = house_of(&servers, Duration::from_secs(5)).await;
    for name in ["chain20.example.", "round.example."] {
        let begun = Instant::now();
        let answer = house.ask(name, RecordType::A).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::ServFail, "{name}");
        let told = "the name's aliases lead in a circle or too far".to_owned();
        assert_eq!(ede(&answer), Some((0, told)), "{name}");
        assert!(begun.elapsed() < Duration::from_secs(1), "{name}");
    }
    assert_eq!(asked(&servers), [2]);
    let status = house.shared.upstream_status().remove(0);
    assert_eq!((status.failed, status.state), (0, lanward_dns::UpstreamState::Up));
}

/// Sends everybody to TCP, and there the answer with that number among the longest.
async fn long_winded(most: u16) -> (SocketAddr, Arc<AtomicUsize>) {
    let tcp = TcpListener::bind(loopback()).await.expect("tcp");
    let addr = tcp.local_addr().expect("bound");
    let udp = UdpSocket::bind(addr).await.expect("udp");
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        while let Ok((len, client)) = udp.recv_from(&mut buffer).await {
            let mut answer = Message::from_vec(&buffer[..len]).expect("a query");
            answer.metadata.message_type = MessageType::Response;
            answer.metadata.truncation = true;
            let _ = udp.send_to(&answer.to_vec().expect("encodes"), client).await;
        }
    });
    let which = Arc::new(AtomicUsize::new(0));
    let number = which.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let number = number.clone();
            tokio::spawn(async move {
                while let Ok(len) = stream.read_u16().await {
                    let mut packet = vec![0; len.into()];
                    stream.read_exact(&mut packet).await.expect("a question");
                    let mut answer =
                        longest::answers(most).swap_remove(number.load(Ordering::Relaxed)).1;
                    answer[..2].copy_from_slice(&packet[..2]);
                    let framed = [&(answer.len() as u16).to_be_bytes()[..], &answer].concat();
                    stream.write_all(&framed).await.expect("write");
                }
            });
        }
    });
    (addr, which)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_answers_are_answered_or_refused_and_others_are_answered_meanwhile() {
    for most in [100, 1024, u16::MAX] {
        let (addr, which) = long_winded(most).await;
        let house = House::start(upstreams(&[addr])).await;
        for (number, (what, answer)) in longest::answers(most).iter().enumerate() {
            which.store(number, Ordering::Relaxed);
            let rtype = u16::from_be_bytes([answer[267], answer[268]]);
            let query = question(&"q.".repeat(127), RecordType::from(rtype));
            let reply = ask(house.addr, &query).await.expect("an answer");
            // Public addresses are taken over as they stand, however many. Others are written anew, and
            // a thousand names as long as this do not fit a message.
            let taken = match *what {
                "addresses" => true,
                "aliases of nobody" => false,
                // Of these nothing is kept.
                "names of nobody" | "stairs of names" | "signatures beside nothing" => most <= 1024,
                _ => most == 100,
            };
            let expected = if taken { ResponseCode::NoError } else { ResponseCode::ServFail };
            assert_eq!(reply.metadata.response_code, expected, "{most}: {what}: {:?}", ede(&reply));
            house.server.cache().clear();
            let local = house.ask("printer.home.arpa.", RecordType::A).await;
            assert_eq!(local.answers.len(), 1, "{what}");
        }
        let status = house.shared.upstream_status().remove(0);
        assert_eq!(status.state, lanward_dns::UpstreamState::Up);
    }
}
