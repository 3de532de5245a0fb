//! Whether the other host is really off: asked on every network before it is taken for off.
#![allow(clippy::disallowed_methods, reason = "a shell: sockets and timeouts")]

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use lanward_dhcp::{ProbeHow, ProbeResult};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::io::interfaces::OwnAddress;
use crate::io::probe::probe;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(1);
/// Each question is asked so often: one packet may be lost.
const TRIES: usize = 3;

/// Who of `paths`, the addresses of the partner's pair port, answers: one sentence each, nothing
/// where all are silent. An address that answers a connection with a refusal belongs to a host
/// that runs.
pub(super) async fn who_answers(paths: &[SocketAddr], own: &[OwnAddress]) -> Vec<String> {
    let mut asked = JoinSet::new();
    for path in paths.iter().copied() {
        // An address of this host says nothing about the other one, loopback apart: there the
        // port tells the two from each other.
        let is_own = own.iter().any(|own| own.addr() == path.ip());
        if is_own && !path.ip().is_loopback() {
            continue;
        }
        asked.spawn(async move { connects(path).await.map(|how| (path.ip(), how)) });
        let IpAddr::V4(addr) = path.ip() else { continue };
        if is_own {
            continue;
        }
        let on_link = |own: &&OwnAddress| {
            matches!(own.net, IpNet::V4(net) if net.contains(&addr)) && own.running
        };
        let index = own.iter().find(on_link).map(|own| own.index);
        let how = if index.is_some() { ProbeHow::Arp } else { ProbeHow::Icmp };
        asked.spawn(async move {
            for _ in 0..TRIES {
                // A probe that this host may not make leaves the other questions.
                if let Ok(ProbeResult::Answered(hw)) = probe(how, index, addr).await {
                    let by = hw.map_or_else(|| "ping".to_owned(), |hw| format!("ARP, {hw}"));
                    return Some((path.ip(), by));
                }
            }
            None
        });
    }
    let mut answers: BTreeMap<IpAddr, Vec<String>> = BTreeMap::new();
    while let Some(done) = asked.join_next().await {
        if let Ok(Some((addr, how))) = done {
            answers.entry(addr).or_default().push(how);
        }
    }
    answers.into_iter().map(|(addr, how)| format!("{addr} ({})", how.join(", "))).collect()
}

async fn connects(path: SocketAddr) -> Option<String> {
    for _ in 0..TRIES {
        match timeout(CONNECT, TcpStream::connect(path)).await {
            Ok(Ok(_)) => return Some(format!("port {} is open", path.port())),
            Ok(Err(error))
                if error.kind() == io::ErrorKind::ConnectionRefused && !path.ip().is_loopback() =>
            {
                return Some(format!("it refuses port {}", path.port()));
            }
            _ => {}
        }
    }
    None
}
