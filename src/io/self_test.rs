//! Asks this host's own DNS server, as a device would: by UDP, through the socket.

#![allow(clippy::disallowed_methods, reason = "a shell: sockets and timeouts")]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

/// How long the answer may take; it comes from memory.
const PATIENCE: Duration = Duration::from_millis(400);

/// Where a server that listens on `listen` can be asked by its own host: on loopback if it listens
/// everywhere, else on its first address.
pub fn target(listen: &[SocketAddr]) -> Option<SocketAddr> {
    let everywhere = listen.iter().find(|addr| addr.ip().is_unspecified());
    let ip = |addr: &SocketAddr| match addr.ip() {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    everywhere.or(listen.first()).map(|addr| SocketAddr::new(ip(addr), addr.port()))
}

/// Whether the server at `server` answers. The question is one that is not counted
/// ([`lanward_dns::SELF_TEST`]).
pub async fn answers(server: SocketAddr) -> bool {
    matches!(timeout(PATIENCE, ask(server)).await, Ok(Ok(true)))
}

async fn ask(server: SocketAddr) -> io::Result<bool> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    let mut query = vec![0x4c, 0x57, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend_from_slice(lanward_dns::SELF_TEST);
    query.extend_from_slice(&[0, 1, 0, 1]);
    socket.send(&query).await?;
    let mut answer = [0; 512];
    let len = socket.recv(&mut answer).await?;
    // A response to this question; what it says does not matter.
    Ok(len >= 12 && answer[..2] == query[..2] && answer[2] & 0x80 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_listens_everywhere_is_asked_on_loopback() {
        let target = |listen: &[&str]| {
            let listen: Vec<SocketAddr> = listen.iter().filter_map(|a| a.parse().ok()).collect();
            target(&listen).map(|addr| addr.to_string())
        };
        assert_eq!(target(&["0.0.0.0:53", "[::]:53"]).as_deref(), Some("127.0.0.1:53"));
        assert_eq!(target(&["10.0.0.2:53", "[::]:5353"]).as_deref(), Some("[::1]:5353"));
        assert_eq!(target(&["10.0.0.2:53"]).as_deref(), Some("10.0.0.2:53"));
        assert_eq!(target(&[]), None);
    }

    #[tokio::test]
    async fn silence_and_a_closed_port_are_no_answer() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        assert!(!answers(silent.local_addr().unwrap()).await);
        let gone = silent.local_addr().unwrap();
        drop(silent);
        assert!(!answers(gone).await);
    }
}
