//! A relay agent for one VLAN (RFC 1542 section 4.1): passes what its clients broadcast to both
//! nodes and hands the replies back. It uses a port of its own (RFC 8357), so it needs no root.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::packet::{self, Reply, Request};

type Waiting = Arc<Mutex<HashMap<[u8; 6], mpsc::Sender<Reply>>>>;

/// One VLAN's relay agent; clones share it.
#[derive(Clone)]
pub(super) struct Relay {
    socket: Arc<UdpSocket>,
    addr: SocketAddrV4,
    servers: [SocketAddrV4; 2],
    waiting: Waiting,
}

impl Relay {
    /// Starts the agent on the VLAN's router address.
    pub(super) async fn start(router: Ipv4Addr, servers: [SocketAddrV4; 2]) -> io::Result<Relay> {
        let socket = Arc::new(UdpSocket::bind(SocketAddrV4::new(router, 0)).await?);
        let SocketAddr::V4(addr) = socket.local_addr()? else {
            return Err(io::Error::other("bound to IPv4, got IPv6"));
        };
        let waiting = Waiting::default();
        let relay = Relay { socket: Arc::clone(&socket), addr, servers, waiting };
        let waiting = Arc::clone(&relay.waiting);
        tokio::spawn(async move {
            let mut buffer = [0; 2048];
            loop {
                // A dead node's port answers with ICMP, which shows as an error of a later call.
                let Ok((len, _)) = socket.recv_from(&mut buffer).await else { continue };
                let Some(reply) = packet::decode(&buffer[..len]) else { continue };
                let to = waiting.lock().expect("no panic holds this").get(&reply.mac).cloned();
                if let Some(to) = to {
                    let _ = to.try_send(reply);
                }
            }
        });
        Ok(relay)
    }

    /// The replies to one client from now on.
    pub(super) fn listen(&self, mac: [u8; 6]) -> mpsc::Receiver<Reply> {
        let (to, replies) = mpsc::channel(8);
        self.waiting.lock().expect("no panic holds this").insert(mac, to);
        replies
    }

    /// Passes a client's broadcast to both servers.
    pub(super) async fn pass(&self, request: &Request<'_>) {
        let bytes = packet::encode(request, Some(self.addr));
        for server in self.servers {
            let _ = self.socket.send_to(&bytes, server).await;
        }
    }
}
