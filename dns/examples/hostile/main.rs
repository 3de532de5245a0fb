//! An upstream server whose signed zones are made to cost a validator as much as can be, for
//! `benches/dns-rude.sh` and for trying things out with dig:
//!
//!     hostile --listen 127.0.0.1:5311 [--listen 127.0.0.1:5312]...
//!
//! It is the root, `hostile.` and a zone below for each kind of hostility ([`kinds::Kind`]), all signed for
//! real. Each kind has any number of names (`n1.pairs-p384.hostile.` ...), and each answer has
//! other wrong signatures than the one before. `example.` is not signed, and `honest.hostile.` is as it
//! should be. First of all it prints the trust anchor that a validator needs, and the kinds.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a program for the terminal")]

mod keys;
mod kinds;
mod zones;

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hickory_proto::dnssec::PublicKey;
use hickory_proto::op::{Message, MessageType};

use kinds::Kind;
use zones::World;

/// What may be sent to one who says nothing of it (RFC 1035, 4.2.1).
const BARE_PAYLOAD: u16 = 512;

/// A connection that says nothing for so long is closed.
const IDLE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let mut listen: Vec<SocketAddr> = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--listen" => listen.push(value.parse()?),
            _ => return Err(format!("unknown option {arg}").into()),
        }
    }
    let world = Arc::new(World::new()?);
    let key = data_encoding::BASE64.encode(world.root().dnskey.public_key().public_bytes());
    println!("trust anchor: . IN DNSKEY 257 3 15 {key}");
    let kinds: Vec<String> = Kind::all().map(|kind| kind.to_string()).collect();
    println!("kinds: {}", kinds.join(" "));
    let mut threads = Vec::new();
    for at in listen {
        let (udp, tcp) = (UdpSocket::bind(at)?, TcpListener::bind(at)?);
        println!("listening on {at}");
        let (for_udp, for_tcp) = (world.clone(), world.clone());
        threads.push(thread::spawn(move || serve_udp(&for_udp, &udp)));
        threads.push(thread::spawn(move || serve_tcp(&for_tcp, &tcp)));
    }
    for thread in threads {
        drop(thread.join());
    }
    Ok(())
}

fn serve_udp(world: &World, socket: &UdpSocket) {
    let mut buffer = [0; 4096];
    while let Ok((len, from)) = socket.recv_from(&mut buffer) {
        let Some(query) = buffer.get(..len).and_then(|packet| Message::from_vec(packet).ok())
        else {
            continue;
        };
        let payload =
            query.edns.as_ref().map_or(BARE_PAYLOAD, hickory_proto::op::Edns::max_payload);
        let Some(mut answer) = answer(world, &query) else { continue };
        let mut wire = answer.to_vec().unwrap_or_default();
        if wire.len() > usize::from(payload.max(BARE_PAYLOAD)) {
            answer.metadata.truncation = true;
            (answer.answers, answer.authorities) = (Vec::new(), Vec::new());
            wire = answer.to_vec().unwrap_or_default();
        }
        drop(socket.send_to(&wire, from));
    }
}

fn serve_tcp(world: &Arc<World>, listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        let world = world.clone();
        thread::spawn(move || serve_stream(&world, stream));
    }
}

/// Answers on one connection until it ends.
fn serve_stream(world: &World, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_nodelay(true)?;
    loop {
        let mut len = [0; 2];
        stream.read_exact(&mut len)?;
        let mut packet = vec![0; usize::from(u16::from_be_bytes(len))];
        stream.read_exact(&mut packet)?;
        let Ok(query) = Message::from_vec(&packet) else { return Ok(()) };
        let Some(answer) = answer(world, &query) else { return Ok(()) };
        let wire = answer.to_vec().unwrap_or_default();
        let mut framed = (wire.len() as u16).to_be_bytes().to_vec();
        framed.extend_from_slice(&wire);
        stream.write_all(&framed)?;
    }
}

/// The answer to a packet, when it is a question.
fn answer(world: &World, query: &Message) -> Option<Message> {
    let question = query.queries.first()?;
    if query.metadata.message_type != MessageType::Query {
        return None;
    }
    let name = question.name().to_lowercase();
    let mut answer = world.answer(&name, question.query_type());
    answer.metadata.id = query.metadata.id;
    answer.metadata.recursion_desired = query.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    // As it was asked, for those who vary its case.
    answer.queries = vec![question.clone()];
    answer.edns.clone_from(&query.edns);
    Some(answer)
}
