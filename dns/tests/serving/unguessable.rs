//! What a forger off the path would have to guess: the port, the id and the case of the letters of
//! each question that is asked upstream.
//!
//! Each is sorted into 64 cells and compared with what chance makes of it, by chi-square. With 63
//! degrees of freedom chance exceeds 160 once in ten thousand million runs; a counter, a fixed port
//! or a bad generator exceeds it by far (the last test shows how far).

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use tokio::net::UdpSocket;

use crate::support::{House, ask_raw, loopback, question, upstreams};

const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

const QUESTIONS: usize = 1600;
const CELLS: usize = 64;
const LIMIT: f64 = 160.0;

/// How far the cells are from equally full.
fn chi_square(values: impl Iterator<Item = usize>) -> f64 {
    let mut cells = [0_usize; CELLS];
    let mut count = 0;
    for value in values {
        cells[value] += 1;
        count += 1;
    }
    let expected = count as f64 / CELLS as f64;
    cells.iter().map(|seen| (*seen as f64 - expected).powi(2) / expected).sum()
}

struct Asked {
    id: u16,
    port: u16,
    /// Which of the first twelve letters are capitals.
    case: u16,
}

/// Answers everything with this code, and remembers what could be guessed.
async fn answer(socket: UdpSocket, rcode: u8, asked: Arc<Mutex<Vec<Asked>>>) {
    let mut packet = vec![0; 4096];
    while let Ok((len, client)) = socket.recv_from(&mut packet).await {
        let letters = packet[13..25].iter().enumerate();
        let case = letters.map(|(at, letter)| u16::from(letter.is_ascii_uppercase()) << at).sum();
        let id = u16::from_be_bytes([packet[0], packet[1]]);
        asked.lock().expect("lock").push(Asked { id, port: client.port(), case });
        packet[2] |= 0x80;
        packet[3] = rcode;
        socket.send_to(&packet[..len], client).await.expect("sends");
    }
}

async fn start(rcode: u8) -> (SocketAddr, Arc<Mutex<Vec<Asked>>>) {
    let socket = UdpSocket::bind(loopback()).await.expect("a socket");
    let addr = socket.local_addr().expect("bound");
    let asked = Arc::default();
    tokio::spawn(answer(socket, rcode, Arc::clone(&asked)));
    (addr, asked)
}

/// Asks for so many names, one after the other; what was asked upstream.
async fn ask(rcode: u8, questions: usize) -> Vec<Asked> {
    let (addr, asked) = start(rcode).await;
    let house = House::start(upstreams(&[addr])).await;
    for number in 0..questions {
        let query = question(&format!("abcdefghijklmnop.{number}.example."), RecordType::A);
        let packet = query.to_vec().expect("encodes");
        assert!(ask_raw(house.addr, &packet, Duration::from_secs(5)).await.is_some());
    }
    let asked = std::mem::take(&mut *asked.lock().expect("lock"));
    assert!(asked.len() >= questions, "{}", asked.len());
    asked
}

/// A burst of answered questions shares ports, each for a few.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_is_used_for_few_questions_and_an_id_for_one() {
    let asked = ask(NXDOMAIN, 320).await;
    let (mut ports, mut ids) = (HashMap::new(), HashSet::new());
    for it in &asked {
        *ports.entry(it.port).or_insert(0) += 1;
        ids.insert(it.id);
    }
    let most = ports.into_values().max();
    assert!(most <= Some(32), "{most:?} questions from one port");
    assert!(ids.len() > 310, "{} ids", ids.len());
}

/// After an error no port is used again, so each question here shows what a new one is like.
#[tokio::test(flavor = "multi_thread")]
async fn ports_ids_and_letters_are_as_good_as_random() {
    let asked = ask(SERVFAIL, QUESTIONS).await;
    assert!(asked.iter().all(|it| it.port >= 10_240), "no port of a service");
    let port = |it: &Asked| usize::from(it.port - 10_240) * CELLS / (65_536 - 10_240);
    let pairs = || asked.iter().zip(&asked[1..]);
    let high = |number: u16| usize::from(number >> 13);
    for (what, seen) in [
        ("ports", chi_square(asked.iter().map(port))),
        ("high bits of ids", chi_square(asked.iter().map(|it| usize::from(it.id >> 10)))),
        ("low bits of ids", chi_square(asked.iter().map(|it| usize::from(it.id & 63)))),
        ("capitals", chi_square(asked.iter().map(|it| usize::from(it.case & 63)))),
        ("other capitals", chi_square(asked.iter().map(|it| usize::from(it.case >> 6)))),
        (
            "an id and the next",
            chi_square(pairs().map(|(it, next)| high(it.id) << 3 | high(next.id))),
        ),
        (
            "a port and the next",
            chi_square(pairs().map(|(it, next)| port(it) >> 3 << 3 | port(next) >> 3)),
        ),
        ("a port and its id", chi_square(asked.iter().map(|it| port(it) >> 3 << 3 | high(it.id)))),
        (
            "an id and its capitals",
            chi_square(asked.iter().map(|it| high(it.id) << 3 | usize::from(it.case & 7))),
        ),
    ] {
        assert!(seen < LIMIT, "{what}: {seen}");
    }
}

#[test]
fn a_counter_or_a_fixed_number_would_be_seen() {
    assert!(chi_square((0..QUESTIONS).map(|at| at >> 9 & 63)) > 1000.0, "a counter's high bits");
    assert!(chi_square((0..QUESTIONS).map(|_| 7)) > 1000.0, "always the same");
    assert!(chi_square((0..QUESTIONS).map(|at| (at & 7) << 3 | (at + 1) & 7)) > 1000.0, "pairs");
}
