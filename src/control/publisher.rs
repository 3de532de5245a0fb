//! The task that keeps the data plane's snapshots in step with the node: local names, upstreams,
//! and, by way of the list keeper, policies and the filter made for them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lanward_dhcp::{BindingState, Lease};
use lanward_dns::{LocalNames, Shared};
use lanward_ha::Binding;
use tokio::sync::watch;
use tracing::debug;

use super::actor::Changes;
use super::handle::{Handle, Stopping};
use super::publish;
use crate::history::History;
use crate::io::resolve::UpstreamResolver;
use crate::lists::{ListKeeper, ListSettings};
use crate::names;
use crate::node::Node;
use crate::settings::Effective;

/// A burst of changes is published once: every lease of it is in DNS after this at the latest.
const PAUSE: Duration = Duration::from_millis(50);

/// What is read from the node in one go: copied, no more, because DHCP waits meanwhile.
struct Snapshot {
    settings: Arc<Effective>,
    /// The running leases of devices with a name.
    leases: Vec<Lease>,
    nodes: Vec<(String, Vec<IpAddr>)>,
}

impl Snapshot {
    fn of(node: &Node, own: &[IpAddr]) -> Snapshot {
        let settings = Arc::clone(node.effective());
        let pair = node.pair();
        let status = pair.status();
        let mut nodes = vec![(status.node, own.to_vec())];
        if let Some(partner) = status.partner {
            nodes.push((partner.name, pair.partner_addresses().to_vec()));
        }
        let named = |binding: &&Binding| {
            let client = binding.client.as_ref();
            binding.state == BindingState::Active && client.is_some_and(|it| it.hostname.is_some())
        };
        let leases = pair.bindings().filter(named).map(Binding::lease).collect();
        Snapshot { settings, leases, nodes }
    }

    /// The names of everything in the house. A large one's take a few milliseconds.
    fn local_names(self, serial: u32) -> LocalNames {
        let nodes: Vec<&str> = self.nodes.iter().map(|(name, _)| name.as_str()).collect();
        let hosts = names::derive(self.leases.into_iter(), &self.settings, &nodes);
        debug!("{} names of devices are published", hosts.len());
        publish::local_names(&self.settings, &hosts, &self.nodes, serial)
    }
}

/// Puts in force for DNS what the node knows from its store, before the first question comes:
/// a device's name is never denied, nor asked upstream, because the host has just started.
pub(super) fn publish_restored(node: &Node, own: &[IpAddr], dns: &Shared) {
    let snapshot = Snapshot::of(node, own);
    dns.set_upstreams(publish::upstreams(&snapshot.settings));
    dns.set_local(snapshot.local_names(0));
}

/// Puts what the node says in force for DNS and the lists.
pub(super) struct Publisher {
    pub(super) control: Handle,
    pub(super) dns: Arc<Shared>,
    pub(super) lists: ListKeeper,
    pub(super) history: Option<History>,
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
        if all {
            let settings = &snapshot.settings;
            self.dns.set_upstreams(publish::upstreams(settings));
            self.resolver.set_upstreams(settings.upstreams.clone());
            self.lists.set_settings(ListSettings::from(&**settings));
            if let Some(history) = &self.history {
                history.set_settings(settings.history);
            }
        }
        let built = tokio::task::spawn_blocking(move || snapshot.local_names(serial));
        if let Ok(names) = built.await {
            self.dns.set_local(names);
        }
        Ok(())
    }
}
