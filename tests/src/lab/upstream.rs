//! The Internet, as far as the household's hosts can tell: a resolver on the router that knows
//! one address for every name, and remembers what it was asked.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::netns::Netns;

/// What every name of the Internet has (RFC 5737).
pub const INTERNET: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The resolver. It stops when it is dropped.
#[derive(Debug)]
pub struct Upstream {
    asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    pub(super) fn start(router: &Netns) -> Upstream {
        let socket = router.enter(|| -> io::Result<UdpSocket> {
            let socket = UdpSocket::bind("0.0.0.0:53")?;
            socket.set_read_timeout(Some(Duration::from_millis(100)))?;
            Ok(socket)
        });
        let socket = socket.expect("the router's port 53 is free");
        let (asked, stop) = (Arc::default(), Arc::default());
        let (names, stopped) = (Arc::clone(&asked), Arc::clone(&stop));
        let serve = move || serve(&socket, &names, &stopped);
        let thread = Builder::new().name("upstream".to_owned()).spawn(serve);
        let thread = Some(thread.expect("a thread can be started"));
        Upstream { asked, stop, thread }
    }

    /// The names it was asked for, in order, lower case, with the dot at the end.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, names: &Mutex<Vec<String>>, stopped: &AtomicBool) {
    let mut query = [0_u8; 1500];
    while !stopped.load(Ordering::Relaxed) {
        let Ok((len, from)) = socket.recv_from(&mut query) else { continue };
        let Some((name, answer)) = answer(&query[..len]) else { continue };
        names.lock().unwrap_or_else(PoisonError::into_inner).push(name);
        // Who is gone asks no more.
        let _ = socket.send_to(&answer, from);
    }
}

/// The name a query asks for, and the answer: [`INTERNET`] for A, no records for other types.
fn answer(query: &[u8]) -> Option<(String, Vec<u8>)> {
    let mut at = 12;
    let mut name = String::new();
    loop {
        let len = usize::from(*query.get(at)?);
        let label = query.get(at + 1..at + 1 + len)?;
        at += 1 + len;
        if len == 0 {
            break;
        }
        name.push_str(&String::from_utf8_lossy(label).to_ascii_lowercase());
        name.push('.');
    }
    let is_a = query.get(at..at + 2)? == [0, 1];
    let question = query.get(12..at + 4)?;
    let mut answer = query.get(..2)?.to_vec();
    // A response to a query that wants and gets recursion; one question, perhaps one answer.
    answer.extend_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    answer.extend_from_slice(question);
    if is_a {
        // The question's name, A, IN, a minute, four bytes.
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend_from_slice(&INTERNET.octets());
    }
    Some((name, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_for_an_address_is_answered_with_the_one_there_is() {
        let mut query = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend_from_slice(b"\x02Ad\x07example\x00\x00\x01\x00\x01");
        let (name, bytes) = answer(&query).expect("an answer");
        assert_eq!(name, "ad.example.");
        assert_eq!(
            (&bytes[..8], &bytes[bytes.len() - 4..]),
            (&[7, 7, 0x81, 0x80, 0, 1, 0, 1][..], &[192, 0, 2, 1][..])
        );
        assert_eq!(answer(&query[..query.len() - 3]), None);
    }
}
