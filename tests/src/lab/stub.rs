//! A device's stub resolver under load: it does what the C library does with
//!
//! ```text
//! nameserver FIRST
//! nameserver SECOND
//! options timeout:1 attempts:2 rotate
//! ```
//!
//! A lookup asks one server and waits a second; without an answer it asks the other, and goes
//! round twice. After four tries it has failed. Every other lookup begins with the second server.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::netns::Netns;

/// What a try waits for.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Tries of one lookup.
const TRIES: usize = 4;
/// Ids on the wire.
const IDS: usize = 1 << 16;

/// The resolver of one device.
#[derive(Debug)]
pub struct Stub {
    socket: UdpSocket,
    servers: [SocketAddr; 2],
    question: Vec<u8>,
    /// How an answer that is right ends.
    right: Vec<u8>,
}

/// What came of the lookups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookups {
    /// Begun.
    pub asked: usize,
    /// Without an answer after all tries.
    pub failed: usize,
    /// With an answer that was not the right one.
    pub wrong: usize,
    /// Lookups whose first try was not answered in time.
    pub first_tries_lost: usize,
    /// The longest lookup.
    pub worst: Duration,
    /// For each server the longest time during which no first try sent to it was answered.
    pub outage: [Duration; 2],
}

#[derive(Clone, Debug)]
struct Lookup {
    begun: Instant,
    tries: usize,
    first: usize,
    open: bool,
}

impl Stub {
    /// A resolver on a device that asks `servers` for the address of `name`, which is `right`.
    ///
    /// # Panics
    /// When there is no socket.
    pub fn new(device: &Netns, servers: [IpAddr; 2], name: &str, right: [u8; 4]) -> Stub {
        let any = if servers[0].is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = device.enter(|| UdpSocket::bind(any)).expect("a socket can be opened");
        socket.set_nonblocking(true).expect("a socket need not block");
        let mut question = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            question.push(u8::try_from(label.len()).expect("a short label"));
            question.extend_from_slice(label.as_bytes());
        }
        question.extend_from_slice(&[0, 0, 1, 0, 1]);
        let servers = servers.map(|addr| SocketAddr::new(addr, 53));
        Stub { socket, servers, question, right: right.to_vec() }
    }

    /// Begins `rate` lookups a second for as long as `during`, then waits for the last of them.
    pub fn look_up(&self, rate: u32, during: Duration) -> Lookups {
        let began = Instant::now();
        let pause = Duration::from_secs(1) / rate;
        let mut lookups: Vec<Lookup> = Vec::new();
        let mut waiting: VecDeque<(Instant, usize, usize)> = VecDeque::new();
        let mut last_answered = [began; 2];
        let mut seen = Lookups::default();
        loop {
            let now = Instant::now();
            let due = (now.min(began + during) - began).as_nanos() / pause.as_nanos();
            while (lookups.len() as u128) < due {
                let first = lookups.len() % 2;
                lookups.push(Lookup { begun: now, tries: 0, first, open: true });
                self.ask(&mut lookups, &mut waiting, now);
            }
            self.listen(&mut lookups, &mut last_answered, &mut seen);
            while waiting.front().is_some_and(|(at, ..)| *at <= now) {
                let Some((_, index, tries)) = waiting.pop_front() else { break };
                let lookup = &lookups[index];
                if !lookup.open || lookup.tries != tries {
                    continue;
                }
                seen.first_tries_lost += usize::from(tries == 1);
                if tries == TRIES {
                    lookups[index].open = false;
                    seen.failed += 1;
                } else {
                    self.ask_again(&mut lookups, index, &mut waiting, now);
                }
            }
            let over = now >= began + during;
            if over && lookups.iter().rev().take(IDS).all(|lookup| !lookup.open) {
                break;
            }
            let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut fds, PollTimeout::from(1_u8));
        }
        seen.asked = lookups.len();
        seen
    }

    fn ask(
        &self,
        lookups: &mut [Lookup],
        waiting: &mut VecDeque<(Instant, usize, usize)>,
        now: Instant,
    ) {
        let index = lookups.len() - 1;
        self.ask_again(lookups, index, waiting, now);
    }

    fn ask_again(
        &self,
        lookups: &mut [Lookup],
        index: usize,
        waiting: &mut VecDeque<(Instant, usize, usize)>,
        now: Instant,
    ) {
        let lookup = &mut lookups[index];
        let server = self.servers[(lookup.first + lookup.tries) % 2];
        lookup.tries += 1;
        let mut question = self.question.clone();
        question[..2].copy_from_slice(&((index % IDS) as u16).to_be_bytes());
        // What the device's own system refuses (no route, an ARP entry that failed) is a try that
        // gets no answer.
        let _ = self.socket.send_to(&question, server);
        waiting.push_back((now + TIMEOUT, index, lookup.tries));
    }

    fn listen(&self, lookups: &mut [Lookup], answered: &mut [Instant; 2], seen: &mut Lookups) {
        let mut answer = [0; 512];
        loop {
            let (len, from) = match self.socket.recv_from(&mut answer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // A port that was closed says so at the next call.
                Err(_) => continue,
            };
            let id = usize::from(u16::from_be_bytes([answer[0], answer[1]]));
            let wraps = lookups.len().saturating_sub(1) / IDS;
            let latest = [wraps, wraps.saturating_sub(1)].map(|wrap| wrap * IDS + id);
            let Some(index) = latest.into_iter().find(|index| *index < lookups.len()) else {
                continue;
            };
            let lookup = &mut lookups[index];
            if !lookup.open {
                continue;
            }
            lookup.open = false;
            seen.worst = seen.worst.max(lookup.begun.elapsed());
            seen.wrong += usize::from(!answer[..len].ends_with(&self.right));
            // By when it was sent, so that a slow machine does not look like a silent server.
            if let Some(server) = self.servers.iter().position(|server| *server == from)
                && lookup.tries == 1
            {
                let gap = lookup.begun.saturating_duration_since(answered[server]);
                seen.outage[server] = seen.outage[server].max(gap);
                answered[server] = answered[server].max(lookup.begun);
            }
        }
    }
}
