//! One question over UDP: a socket that nobody else uses meanwhile, and patience with whatever else
//! arrives there.
//!
//! Nobody off the path between us and the server knows which of 55,000 ports waits for which of
//! 65,536 ids and which letters are capitals. What does not fit all of that is no answer, however it
//! looks: it is counted and the waiting goes on, because the true answer may be the next packet.
//!
//! A socket that got its answer may take the next question, one at a time, for half a second and a
//! few questions: opening one costs more than the question itself, and a port that is gone before
//! anybody can look for it is as good as a new one.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::sys::socket::{MsgFlags, recv, send};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::question::{Dice, Question, Shape};
use crate::wire::{Form, Rcode, Reading, read};

/// Room for an answer; we ask for no more than a third of it.
const RECEIVE: usize = 4096;

/// What a socket is waited on for.
const WANTED: Interest = Interest::READABLE.add(Interest::ERROR);

/// Lowest port that questions leave from; the ones below are where services are looked for.
const LOWEST_PORT: u16 = 10_240;

/// Ports tried before the system is left to choose.
const PORTS_TRIED: u16 = 4;

/// After so many packets that are no answers, somebody is guessing: TCP cannot be guessed.
const FORGERIES: u32 = 100;

/// How long the true answer is waited for after one that fits the question and cannot be read.
/// Over TCP it can be nobody else's, nor cut off.
const UNREADABLE: Duration = Duration::from_millis(200);

/// How long a socket is used for, ...
const USED_FOR: Duration = Duration::from_millis(500);

/// ... and for how many questions. Who looks for the open port has that long to find it, and to guess
/// an id: the ports of a host can be tried at a thousand a second.
const QUESTIONS: u32 = 32;

/// Sockets kept for the next question, at most.
const IDLE: usize = 128;

/// Sockets to one server that wait for another question.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// The one used last is at the end.
    idle: Mutex<VecDeque<Used>>,
}

/// A socket that had an answer.
#[derive(Debug)]
struct Used {
    socket: UdpSocket,
    server: SocketAddr,
    opened: Instant,
    questions: u32,
}

impl Used {
    fn is_good_for_more(&self, now: Instant) -> bool {
        self.questions < QUESTIONS && now < self.opened + USED_FOR
    }
}

impl Sockets {
    /// Closes those that are not used any more.
    pub(super) fn close_old(&self) {
        let now = Instant::now();
        self.idle(|idle| idle.retain(|used| used.is_good_for_more(now)));
    }

    /// One to `server` that is still good.
    fn take(&self, server: SocketAddr, now: Instant) -> Option<Used> {
        let fits = |used: &Used| used.server == server && used.is_good_for_more(now);
        self.idle(|idle| {
            // The first one opened comes to its end first.
            while idle.front().is_some_and(|used| !fits(used)) {
                idle.pop_front();
            }
            idle.pop_back().filter(fits)
        })
    }

    fn keep(&self, used: Used, now: Instant) {
        self.idle(|idle| {
            if used.is_good_for_more(now) && idle.len() < IDLE {
                idle.push_back(used);
            }
        });
    }

    fn idle<T>(&self, with: impl FnOnce(&mut VecDeque<Used>) -> T) -> T {
        with(&mut self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How a question over UDP ended.
pub(super) enum Ended {
    /// Packet and what it says.
    Answer(Vec<u8>, Form),
    Error(Rcode),
    NoEdns,
    /// It must be asked over TCP.
    UseTcp,
    /// The same: the letters' case is not what was sent.
    OtherCase,
    /// The same, and nothing was heard of the server itself.
    Forged,
}

/// How to ask over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// The server knows EDNS.
    pub(super) edns: bool,
    /// Some letters are capitals, which a forger would have to guess.
    pub(super) capitals: bool,
}

impl Way {
    /// As every server should be able to answer.
    pub(super) const FIRST: Self = Self { edns: true, capitals: true };
}

/// What a packet is to the question.
enum Heard {
    End(Ended),
    Nothing,
    Unreadable,
}

/// Sends the question and waits, without end, for its answer. `ignored` is called for each packet
/// that was none; with true when it came from the server, as far as can be told.
pub(super) async fn exchange(
    sockets: &Sockets,
    server: SocketAddr,
    question: &Question,
    way: Way,
    ignored: impl Fn(bool),
) -> io::Result<Ended> {
    let dice = Dice::throw();
    let shape = Shape { edns: way.edns, padded: false };
    let sent = question.message(dice.id(), way.capitals.then_some(&dice), shape);
    let now = Instant::now();
    // What an old socket has to complain of is of an old question.
    let sends = |used: &Used| {
        let fd = used.socket.as_raw_fd();
        send(fd, &sent, MsgFlags::MSG_DONTWAIT).is_ok_and(|len| len == sent.len())
    };
    let mut used = match sockets.take(server, now).filter(sends) {
        Some(used) => used,
        None => {
            let socket = open(server, dice.number())?;
            socket.send(&sent)?;
            // Registered only now: a new socket has room, and waiting to be told so costs a wake-up.
            let socket = UdpSocket::from_std(socket.into())?;
            Used { socket, server, opened: now, questions: 0 }
        }
    };
    used.questions += 1;
    let ended = answer(&used.socket, &sent, ignored).await?;
    if let Ended::Answer(..) = ended {
        sockets.keep(used, Instant::now());
    }
    Ok(ended)
}

/// Waits for the answer to `sent`.
async fn answer(socket: &UdpSocket, sent: &[u8], ignored: impl Fn(bool)) -> io::Result<Ended> {
    let mut left = FORGERIES;
    let mut until = None;
    loop {
        let ready = match until {
            None => socket.ready(WANTED).await?,
            Some(until) => match timeout_at(until, socket.ready(WANTED)).await {
                Ok(ready) => ready?,
                Err(_) => return Ok(Ended::UseTcp),
            },
        };
        // An error is that the server's host has nobody at that port.
        if ready.is_error() {
            // Seen: cleared, so that it does not wake us for ever.
            let _ = socket.try_io(Interest::ERROR, || Err::<(), _>(ErrorKind::WouldBlock.into()));
            if let Some(error) = socket.take_error()? {
                return Err(error);
            }
        }
        match socket.try_io(Interest::READABLE, || receive(socket, sent)) {
            Ok(Heard::End(ended)) => return Ok(ended),
            Ok(Heard::Nothing) => ignored(false),
            Ok(Heard::Unreadable) => {
                ignored(true);
                until.get_or_insert_with(|| Instant::now() + UNREADABLE);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        left -= 1;
        if left == 0 {
            return Ok(Ended::Forged);
        }
    }
}

/// One packet.
fn receive(socket: &UdpSocket, sent: &[u8]) -> io::Result<Heard> {
    let mut buffer = [0; RECEIVE];
    let len = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT)?;
    let received = buffer.get(..len).unwrap_or_default();
    Ok(Heard::End(match read(sent, received) {
        Reading::NotOurs => return Ok(Heard::Nothing),
        Reading::Unreadable => return Ok(Heard::Unreadable),
        Reading::OtherCase => Ended::OtherCase,
        Reading::Truncated => Ended::UseTcp,
        Reading::NoEdns => Ended::NoEdns,
        Reading::Error(rcode) => Ended::Error(rcode),
        Reading::Answer(form) => Ended::Answer(received.into(), form),
    }))
}

/// A socket that takes packets of `server` only, at a port that nobody can know.
fn open(server: SocketAddr, random: u16) -> io::Result<Socket> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(server), kind, Some(Protocol::UDP))?;
    for attempt in 0..=PORTS_TRIED {
        let port = match attempt {
            PORTS_TRIED => 0,
            _ => port(random.wrapping_add(attempt * 7919)),
        };
        match socket.bind(&SocketAddr::new(any, port).into()) {
            Ok(()) => break,
            Err(error) if port == 0 => return Err(error),
            Err(error)
                if matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) => {}
            Err(error) => return Err(error),
        }
    }
    socket.connect(&server.into())?;
    Ok(socket)
}

/// Every port from the lowest on equally often, as nearly as 16 random bits allow.
fn port(random: u16) -> u16 {
    let ports = u32::from(u16::MAX - LOWEST_PORT) + 1;
    LOWEST_PORT + (u32::from(random) * ports / 65_536) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_cover_their_range() {
        assert_eq!((port(0), port(u16::MAX)), (LOWEST_PORT, u16::MAX));
        let mut ports: Vec<u16> = (0..=u16::MAX).map(port).collect();
        ports.dedup();
        assert_eq!(ports.len(), usize::from(u16::MAX - LOWEST_PORT) + 1);
    }

    fn used(socket: std::net::UdpSocket, opened: Instant, questions: u32) -> Used {
        socket.set_nonblocking(true).expect("a socket");
        let server = "127.0.0.1:53".parse().expect("address");
        let socket = UdpSocket::from_std(socket).expect("a runtime");
        Used { socket, server, opened, questions }
    }

    #[tokio::test(start_paused = true)]
    async fn a_port_is_used_for_half_a_second_and_a_few_questions_of_one_server_at_most() {
        let bound = || std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let server: SocketAddr = "127.0.0.1:53".parse().expect("address");
        let (sockets, opened) = (Sockets::default(), Instant::now());
        sockets.keep(used(bound(), opened, 1), opened);
        assert!(sockets.take("127.0.0.2:53".parse().expect("address"), opened).is_none());
        sockets.keep(used(bound(), opened, 1), opened);
        assert!(sockets.take(server, opened).is_some());
        assert!(sockets.take(server, opened).is_none(), "nobody else has it meanwhile");

        sockets.keep(used(bound(), opened, QUESTIONS), opened);
        assert!(sockets.take(server, opened).is_none());
        sockets.keep(used(bound(), opened, 1), opened);
        assert!(sockets.take(server, opened + USED_FOR).is_none());

        sockets.keep(used(bound(), opened, 1), opened);
        tokio::time::advance(USED_FOR).await;
        sockets.close_old();
        assert!(sockets.idle(|idle| idle.is_empty()));
    }

    #[tokio::test]
    async fn a_taken_port_costs_another_try() {
        let server: SocketAddr = "127.0.0.1:53".parse().expect("address");
        let first = open(server, 1).expect("a socket");
        let second = open(server, 1).expect("a socket");
        let port =
            |socket: &Socket| socket.local_addr().expect("bound").as_socket().map(|a| a.port());
        assert_ne!(port(&first), port(&second));
    }
}
