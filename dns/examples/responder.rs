//! A receive and send loop that answers every question for an address with 192.0.2.1: what a socket
//! costs by itself, and an upstream server for load tests.
//!
//!     responder --listen 127.0.0.1:5301 [--delay-ms N] [--threads N]
//!
//! Everything else that is asked is NODATA. It believes whatever it is sent: for test beds only.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a program for the terminal")]

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

/// How often late answers are looked for while nothing is asked.
const TICK: Duration = Duration::from_micros(250);

/// The name of the question once more; A, IN, 300 s, 192.0.2.1.
const RECORD: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1];

fn main() -> Result<(), Box<dyn Error>> {
    let (mut listen, mut delay) = (SocketAddr::from(([127, 0, 0, 1], 5301)), Duration::ZERO);
    let mut threads: usize = 1;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--listen" => listen = value.parse()?,
            "--delay-ms" => delay = Duration::from_millis(value.parse()?),
            "--threads" => threads = value.parse()?,
            _ => return Err(format!("unknown option {arg}").into()),
        }
    }
    // A socket each; the system spreads the clients over them.
    let workers = (0..threads.max(1)).map(|_| {
        let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, None)?;
        socket.set_reuse_port(true)?;
        socket.bind(&listen.into())?;
        let socket = UdpSocket::from(socket);
        if !delay.is_zero() {
            socket.set_read_timeout(Some(TICK))?;
        }
        Ok(thread::spawn(move || serve(&socket, delay)))
    });
    let workers = workers.collect::<io::Result<Vec<_>>>()?;
    println!("listening on {listen}");
    for worker in workers {
        worker.join().map_err(|_| "a thread has ended")??;
    }
    Ok(())
}

fn serve(socket: &UdpSocket, delay: Duration) -> io::Result<()> {
    let mut late: VecDeque<(Instant, SocketAddr, Vec<u8>)> = VecDeque::new();
    let mut buffer = [0; 4096];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((len, from)) => {
                let Some(len) = answer(&mut buffer, len) else { continue };
                let Some(answer) = buffer.get(..len) else { continue };
                match delay.is_zero() {
                    true => drop(socket.send_to(answer, from)),
                    false => late.push_back((Instant::now() + delay, from, answer.to_vec())),
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error),
        }
        while late.front().is_some_and(|(due, ..)| *due <= Instant::now()) {
            if let Some((_, to, answer)) = late.pop_front() {
                drop(socket.send_to(&answer, to));
            }
        }
    }
}

/// Makes an answer of the question in `packet`; its length.
fn answer(packet: &mut [u8], len: usize) -> Option<usize> {
    let mut at = 12;
    loop {
        let label = usize::from(*packet.get(at).filter(|_| at < len)?);
        at += 1 + label;
        if label == 0 {
            break;
        }
    }
    let is_address = packet.get(at..at + 2)? == [0, 1];
    at += 4;
    // An answer, recursion is available, no error; one question, and perhaps a record.
    *packet.get_mut(2)? |= 0x80;
    *packet.get_mut(3)? = 0x80;
    packet.get_mut(4..12)?.copy_from_slice(&[0, 1, 0, u8::from(is_address), 0, 0, 0, 0]);
    if is_address {
        packet.get_mut(at..at + RECORD.len())?.copy_from_slice(&RECORD);
        at += RECORD.len();
    }
    Some(at)
}
