//! Resolves the names of list publishers by asking the household's upstream servers, as they are set
//! (encrypted ones, too), but none of this daemon's stages: a resolver that asks itself before it
//! has its lists waits for itself.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use lanward_dns::{Name, Shared};
use reqwest::dns::{Resolve, Resolving};

/// Asks the servers that are asked where nothing else is said.
#[derive(Clone, Debug)]
pub struct UpstreamResolver {
    dns: Arc<Shared>,
}

impl UpstreamResolver {
    /// Asks the servers in force in `dns`.
    pub fn new(dns: Arc<Shared>) -> Self {
        Self { dns }
    }
}

impl Resolve for UpstreamResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let dns = Arc::clone(&self.dns);
        Box::pin(async move {
            let name: Name = name.as_str().parse().map_err(io::Error::other)?;
            let found = dns.lookup(&name).await?;
            let addrs = found.into_iter().map(|addr| SocketAddr::new(addr, 0));
            Ok(Box::new(addrs.collect::<Vec<_>>().into_iter()) as reqwest::dns::Addrs)
        })
    }
}
