//! A client whose questions nobody upstream answers.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use lanward_dns::{Config, Excess, WaitingLimits};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::support::{House, Upstream, config, ede, question, upstreams};

const LIMITS: WaitingLimits = WaitingLimits { in_all: 200, per_client: 50 };

async fn client(last: u8, server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((std::net::Ipv4Addr::from([127, 0, 0, last]), 0)).await;
    let socket = socket.expect("a socket");
    socket.connect(server).await.expect("connects");
    socket
}

async fn send(socket: &UdpSocket, text: &str, id: u16) {
    let mut query = question(text, RecordType::A);
    query.metadata.id = id;
    socket.send(&query.to_vec().expect("encodes")).await.expect("sends");
}

async fn receive(socket: &UdpSocket, wait: Duration) -> Option<Message> {
    let mut buffer = vec![0; 4096];
    let len = timeout(wait, socket.recv(&mut buffer)).await.ok()?.expect("receives");
    Some(Message::from_vec(&buffer[..len]).expect("an answer"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_questions_wait_takes_no_places_from_others() {
    let upstream = Upstream::start().await;
    let config = Config { waiting: LIMITS, ..config() };
    let house = House::start_with(config, upstreams(&[upstream.addr])).await;
    let greedy = client(2, house.addr).await;
    let mut refused = HashSet::new();
    for id in 0..400 {
        send(&greedy, &format!("silent.{id}.example."), id).await;
        // What is refused is so at once.
        if id >= 50 {
            let answer = receive(&greedy, Duration::from_secs(1)).await.expect("an answer at once");
            assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
            let (_, told) = ede(&answer).expect("the reason");
            assert!(told.contains("of this client"), "{told}");
            assert!(refused.insert(answer.metadata.id));
        }
    }
    assert_eq!(refused, (50..400).collect(), "the first 50 wait");
    let counters = house.shared.counters();
    assert_eq!((counters.waiting, counters.crowded), (50, 350));
    let over = house.shared.over_limit();
    let [over] = over.as_slice() else { panic!("{over:?}") };
    assert_eq!((over.excess, over.client), (Excess::Waiting, [127, 0, 0, 2].into()));
    assert_eq!(over.refused, 350);
    // Others ask as before: names that must be asked for, too.
    for last in 3..13 {
        let other = client(last, house.addr).await;
        send(&other, &format!("www{last}.example."), 7).await;
        let answer = receive(&other, Duration::from_secs(1)).await.expect("an answer");
        assert_eq!(answer.answers.len(), 1, "{last}");
    }
    // The house itself answers even the greedy one.
    send(&greedy, "printer.home.arpa.", 1000).await;
    let answer = receive(&greedy, Duration::from_secs(1)).await.expect("an answer");
    assert_eq!((answer.metadata.id, answer.answers.len()), (1000, 1));
    // No more than its places come at once when the waiting ends, and then they are free.
    let mut burst = 0;
    while receive(&greedy, Duration::from_secs(7)).await.is_some() {
        burst += 1;
        if burst == 50 {
            break;
        }
    }
    assert_eq!(burst, 50);
    // A place is given back just after its answer.
    let given_back = timeout(Duration::from_secs(5), async {
        while house.shared.counters().waiting > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(given_back.await.is_ok(), "{:?}", house.shared.counters());
    send(&greedy, "www99.example.", 7).await;
    let answer = receive(&greedy, Duration::from_secs(1)).await.expect("an answer");
    assert_eq!(answer.answers.len(), 1);
}
