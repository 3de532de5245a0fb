//! The task that keeps the data plane's snapshots in step with the node: local names, upstreams,
//! and, by way of the list keeper, policies and the filter made for them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lanward_dns::Shared;
use tokio::sync::watch;
use tracing::debug;

use super::actor::Changes;
use super::handle::{Handle, Stopping};
use super::publish;
use crate::io::resolve::UpstreamResolver;
use crate::lists::{ListKeeper, ListSettings};
use crate::names::{self, HostName};
use crate::node::Node;
use crate::settings::Effective;

/// A burst of changes is published once: every lease of it is in DNS after this at the latest.
const PAUSE: Duration = Duration::from_millis(50);

/// What is read from the node in one go.
struct Snapshot {
    settings: Effective,
    hosts: Vec<HostName>,
    nodes: Vec<(String, Vec<IpAddr>)>,
}

impl Snapshot {
    fn of(node: &Node, own: &[IpAddr]) -> Snapshot {
        let settings = node.effective().clone();
        let pair = node.pair();
        let status = pair.status();
        let mut nodes = vec![(status.node, own.to_vec())];
        if let Some(partner) = status.partner {
            nodes.push((partner.name, pair.partner_addresses().to_vec()));
        }
        let names: Vec<&str> = nodes.iter().map(|(name, _)| name.as_str()).collect();
        let leases = pair.bindings().map(lanward_ha::Binding::lease);
        let hosts = names::derive(leases, &settings, &names);
        Snapshot { settings, hosts, nodes }
    }
}

/// Puts in force for DNS what the node knows from its store, before the first question comes:
/// a device's name is never denied, nor asked upstream, because the host has just started.
pub(super) fn publish_restored(node: &Node, own: &[IpAddr], dns: &Shared) {
    let Snapshot { settings, hosts, nodes } = Snapshot::of(node, own);
    dns.set_upstreams(publish::upstreams(&settings));
    dns.set_local(publish::local_names(&settings, &hosts, &nodes, 0));
}

/// Puts what the node says in force for DNS and the lists.
pub(super) struct Publisher {
    pub(super) control: Handle,
    pub(super) dns: Arc<Shared>,
    pub(super) lists: ListKeeper,
    pub(super) resolver: UpstreamResolver,
    pub(super) own: watch::Receiver<Vec<IpAddr>>,
}

impl Publisher {
    /// Publishes after every change until the node's task ends.
    pub(super) async fn run(self, mut changes: watch::Receiver<Changes>) {
        let mut published = None;
        let mut serial = 0;
        loop {
            let seen = *changes.borrow_and_update();
            serial += 1;
            let all = published != Some(seen.settings);
            published = Some(seen.settings);
            if self.publish(serial, all).await.is_err() || changes.changed().await.is_err() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn publish(&self, serial: u32, all: bool) -> Result<(), Stopping> {
        let own = self.own.borrow().clone();
        let snapshot = self.control.ask(move |reading| Snapshot::of(reading.node, &own)).await?;
        let Snapshot { settings, hosts, nodes } = snapshot;
        if all {
            self.dns.set_upstreams(publish::upstreams(&settings));
            self.resolver.set_upstreams(settings.upstreams.clone());
            self.lists.set_settings(ListSettings::from(&settings));
        }
        let count = hosts.len();
        // A large household's index takes a few milliseconds to build.
        let built = tokio::task::spawn_blocking(move || {
            publish::local_names(&settings, &hosts, &nodes, serial)
        });
        if let Ok(names) = built.await {
            self.dns.set_local(names);
            debug!("{count} names of devices are published");
        }
        Ok(())
    }
}
