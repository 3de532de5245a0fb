//! The world outside: one authoritative server on loopback that knows every name, so that the
//! demo needs no network. Addresses are made from the name; nothing else is remembered.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::net::UdpSocket;

/// How long the world takes to answer, as a real one does.
const ROUND_TRIP: Duration = Duration::from_millis(12);
const TTL_SECS: u32 = 30;

/// Starts the server; it ends with the runtime.
pub(super) async fn start(addr: SocketAddr) -> io::Result<SocketAddr> {
    let socket = std::sync::Arc::new(UdpSocket::bind(addr).await?);
    let bound = socket.local_addr()?;
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        loop {
            let Ok((len, from)) = socket.recv_from(&mut buffer).await else { continue };
            let Some(answer) = answer(&buffer[..len]) else { continue };
            let socket = std::sync::Arc::clone(&socket);
            tokio::spawn(async move {
                tokio::time::sleep(ROUND_TRIP).await;
                let _ = socket.send_to(&answer, from).await;
            });
        }
    });
    Ok(bound)
}

fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok()?;
    let question = query.queries.first()?.clone();
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.recursion_desired = query.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    reply.metadata.response_code = ResponseCode::NoError;
    let name = question.name().clone();
    let text = name.to_lowercase().to_string();
    let [a, b] = text.bytes().fold([7u8, 1], |[x, y], byte| {
        [x.wrapping_mul(31).wrapping_add(byte), y.wrapping_add(byte)]
    });
    let data = match question.query_type() {
        // Documentation addresses (RFC 5737, RFC 3849): they can be nobody's.
        RecordType::A => Some(RData::A(Ipv4Addr::new(198, 51, 100, a).into())),
        RecordType::AAAA => {
            let low = u16::from_be_bytes([a, b]);
            Some(RData::AAAA(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, low).into()))
        }
        _ => None,
    };
    reply.answers.extend(data.map(|data| Record::from_rdata(name, TTL_SECS, data)));
    reply.add_query(question);
    reply.to_vec().ok()
}
