//! Resolves the names of list publishers by asking the household's upstreams, never this daemon:
//! a resolver that asks itself before it has its lists waits for itself.
#![allow(clippy::disallowed_methods, reason = "a shell: random query ids come from the system")]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use reqwest::dns::{Resolve, Resolving};

/// How long one upstream may take for one question.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the upstreams in their order.
#[derive(Clone, Debug, Default)]
pub struct UpstreamResolver {
    upstreams: Arc<ArcSwap<Vec<SocketAddr>>>,
}

impl UpstreamResolver {
    /// Asks these from now on.
    pub fn set_upstreams(&self, upstreams: Vec<SocketAddr>) {
        self.upstreams.store(Arc::new(upstreams));
    }

    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let upstreams = self.upstreams.load_full();
        let name = Name::from_utf8(name).map_err(io::Error::other)?;
        let mut last = io::Error::other("no upstream is configured to resolve it with");
        for upstream in upstreams.iter() {
            let (v4, v6) = tokio::join!(
                ask(*upstream, &name, RecordType::A),
                ask(*upstream, &name, RecordType::AAAA)
            );
            match (v4, v6) {
                (Err(error), Err(_)) => last = error,
                (v4, v6) => {
                    let mut all = v4.unwrap_or_default();
                    all.extend(v6.unwrap_or_default());
                    if !all.is_empty() {
                        return Ok(all);
                    }
                    last = io::Error::other(format!("{name} has no address"));
                }
            }
        }
        Err(last)
    }
}

impl Resolve for UpstreamResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let this = self.clone();
        Box::pin(async move {
            let found = this.lookup(name.as_str()).await?;
            let addrs = found.into_iter().map(|addr| SocketAddr::new(addr, 0));
            Ok(Box::new(addrs.collect::<Vec<_>>().into_iter()) as reqwest::dns::Addrs)
        })
    }
}

async fn ask(upstream: SocketAddr, name: &Name, rtype: RecordType) -> io::Result<Vec<IpAddr>> {
    timeout(PATIENCE, exchange(upstream, name, rtype)).await.map_err(|_| {
        io::Error::new(io::ErrorKind::TimedOut, format!("{upstream} did not answer in 2 s"))
    })?
}

async fn exchange(upstream: SocketAddr, name: &Name, rtype: RecordType) -> io::Result<Vec<IpAddr>> {
    let any: IpAddr = match upstream {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(|error| io::Error::other(error.to_string()))?;
    let id = u16::from_be_bytes(id);
    let mut query = Message::new(id, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(name.clone(), rtype));
    let socket = UdpSocket::bind((any, 0)).await?;
    // Connected: the kernel drops what comes from anybody else.
    socket.connect(upstream).await?;
    socket.send(&query.to_vec().map_err(io::Error::other)?).await?;
    let mut buffer = [0; 4096];
    loop {
        let len = socket.recv(&mut buffer).await?;
        let Ok(reply) = Message::from_vec(&buffer[..len]) else { continue };
        let same =
            reply.queries.first().is_some_and(|q| q.name() == name && q.query_type() == rtype);
        if reply.metadata.id != id || !same {
            continue;
        }
        return match reply.metadata.response_code {
            ResponseCode::NoError => Ok(addresses(&reply)),
            code => Err(io::Error::other(format!("{upstream} answered {code} for {name}"))),
        };
    }
}

fn addresses(reply: &Message) -> Vec<IpAddr> {
    let found = reply.answers.iter().filter_map(|record| match &record.data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
        _ => None,
    });
    found.collect()
}
