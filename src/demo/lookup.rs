//! One lookup as a stub resolver makes it: the first server, then the other.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// After this long the stub asks the other server. (glibc waits 5 s; phones about 1 s.)
pub(super) const TRY: Duration = Duration::from_secs(1);

/// How a lookup went.
#[derive(Clone, Debug)]
pub(super) struct Looked {
    /// The addresses in the answer (none for a name that does not exist), or `None` when no
    /// server gave a usable answer.
    pub(super) answer: Option<Vec<Ipv4Addr>>,
    pub(super) took: Duration,
    /// Whether the first server had to be given up.
    pub(super) retried: bool,
}

/// Asks for the A records of `name` from address `from`.
pub(super) async fn lookup(from: Ipv4Addr, servers: &[SocketAddr], name: &str, id: u16) -> Looked {
    let started = Instant::now();
    for (tries, server) in servers.iter().enumerate() {
        if let Ok(Some(answer)) = timeout(TRY, ask(from, *server, name, id)).await {
            return Looked { answer: Some(answer), took: started.elapsed(), retried: tries > 0 };
        }
    }
    Looked { answer: None, took: started.elapsed(), retried: true }
}

async fn ask(from: Ipv4Addr, server: SocketAddr, name: &str, id: u16) -> Option<Vec<Ipv4Addr>> {
    let mut query = Message::new(id, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(Name::from_ascii(name).ok()?, RecordType::A));
    let socket = UdpSocket::bind((IpAddr::V4(from), 0)).await.ok()?;
    socket.connect(server).await.ok()?;
    socket.send(&query.to_vec().ok()?).await.ok()?;
    let mut buffer = [0; 4096];
    loop {
        // A dead server's port is refused at once; a stub goes on to the next server then.
        let len = socket.recv(&mut buffer).await.ok()?;
        let Ok(reply) = Message::from_vec(&buffer[..len]) else { continue };
        if reply.metadata.id != id {
            continue;
        }
        return match reply.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => {
                let a = reply.answers.iter().filter_map(|record| match &record.data {
                    RData::A(a) => Some(a.0),
                    _ => None,
                });
                Some(a.collect())
            }
            _ => None,
        };
    }
}
