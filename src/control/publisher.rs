//! The task that keeps the data plane's snapshots in step with the node: local names, upstreams,
//! and, by way of the list keeper, policies and the filter made for them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lanward_dhcp::Lease;
use lanward_dns::{LocalNames, Shared};
use lanward_ha::Binding;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, info};

use super::actor::Changes;
use super::handle::{Handle, Stopping};
use super::{publish, wall};
use crate::history::History;
use crate::hosts_file::HostsFile;
use crate::lists::{ListKeeper, ListSettings};
use crate::names::{self, Names, Others};
use crate::node::Node;
use crate::settings::Effective;
use crate::settings::effective::DNS_LABEL;

/// A burst of changes is published once: every lease of it is in DNS after this at the latest. In
/// a house so large that publishing takes a while, no more than a tenth of the time goes there.
const PAUSE: Duration = Duration::from_millis(50);

/// What names are derived from, read from the node in one go: copied, no more, because DHCP waits
/// meanwhile.
pub(crate) struct Snapshot {
    pub(crate) settings: Arc<Effective>,
    /// The running leases of devices with a name.
    leases: Vec<Lease>,
    hosts: Vec<(String, Vec<IpAddr>)>,
    pub(crate) file: Arc<HostsFile>,
}

impl Snapshot {
    pub(crate) fn of(node: &Node, own: &[IpAddr], file: Arc<HostsFile>) -> Snapshot {
        let settings = Arc::clone(node.effective());
        let pair = node.pair();
        let mut hosts = vec![(pair.name().to_owned(), own.to_vec())];
        if let Some(partner) = pair.partner_name() {
            hosts.push((partner.to_owned(), pair.partner_addresses().to_vec()));
        }
        // Either host answers by this name; where addresses move between them, by those.
        let services = settings.networks.iter().flat_map(|network| &network.service_addresses);
        let mut all: Vec<IpAddr> = services.map(|service| service.addr).collect();
        if all.is_empty() {
            all = hosts.iter().flat_map(|(_, addresses)| addresses).copied().collect();
        }
        let name = format!("{DNS_LABEL}.{}", settings.domain);
        let is_taken = settings.records.iter().any(|record| *record.name == *name)
            || settings.reserved_names.iter().any(|reserved| *reserved.name == *name);
        if !is_taken {
            hosts.push((DNS_LABEL.to_owned(), all));
        }
        let named =
            |binding: &&Binding| binding.tenant().is_some_and(|client| client.hostname.is_some());
        let leases = pair.bindings().filter(named).map(Binding::lease).collect();
        Snapshot { settings, leases, hosts, file }
    }

    /// The names of everything in the house.
    pub(crate) fn names(&self) -> Names {
        let others = Others { hosts: &self.hosts, file: Some(&self.file) };
        names::derive(self.leases.iter().cloned(), &self.settings, others)
    }

    /// The names as DNS has them. A large house's take a few milliseconds.
    fn local_names(&self, names: &Names, serial: u32) -> LocalNames {
        debug!("{} names of devices are published", names.hosts.len());
        publish::local_names(&self.settings, &names.hosts, &self.hosts, serial)
    }
}

/// Puts in force for DNS what the node knows from its store, before the first question comes:
/// a device's name is never denied, nor asked upstream, because the host has just started.
pub(super) fn publish_restored(node: &Node, own: &[IpAddr], file: Arc<HostsFile>, dns: &Shared) {
    let snapshot = Snapshot::of(node, own, file);
    dns.set_upstreams(snapshot.settings.upstreams.clone());
    dns.set_protection(snapshot.settings.protection.clone());
    dns.set_dnssec(snapshot.settings.dnssec.clone());
    dns.set_local(snapshot.local_names(&snapshot.names(), clock_serial()));
}

/// A serial for the zones' SOA: the seconds of the clock, so that it grows over restarts.
fn clock_serial() -> u32 {
    // RFC 1982 lets it wrap.
    wall::now().as_second() as u32
}

/// Puts what the node says in force for DNS and the lists.
pub(super) struct Publisher {
    pub(super) control: Handle,
    pub(super) dns: Arc<Shared>,
    pub(super) lists: ListKeeper,
    pub(super) history: Option<History>,
    pub(super) own: watch::Receiver<Vec<IpAddr>>,
    pub(super) hosts_file: watch::Receiver<Arc<HostsFile>>,
}

/// What was published last.
#[derive(Default)]
struct Published {
    settings: Option<u64>,
    /// Of the local names.
    content: Option<u64>,
    serial: u32,
    /// The names that were refused, each told once.
    refused: BTreeSet<names::Refused>,
}

impl Publisher {
    /// Publishes after every change until the node's task ends.
    pub(super) async fn run(mut self, mut changes: watch::Receiver<Changes>) {
        let mut published = Published { serial: clock_serial(), ..Published::default() };
        loop {
            let seen = *changes.borrow_and_update();
            let all = published.settings != Some(seen.settings);
            published.settings = Some(seen.settings);
            let began = Instant::now();
            if self.publish(&mut published, all).await.is_err() {
                return;
            }
            let took = began.elapsed();
            let concerns = |now: &Changes| (now.settings, now.names) != (seen.settings, seen.names);
            tokio::select! {
                changed = changes.wait_for(concerns) => if changed.is_err() {
                    return;
                },
                Ok(()) = self.hosts_file.changed() => {}
            }
            tokio::time::sleep(PAUSE.max(took * 9)).await;
        }
    }

    async fn publish(&mut self, published: &mut Published, all: bool) -> Result<(), Stopping> {
        let own = self.own.borrow().clone();
        let file = Arc::clone(&self.hosts_file.borrow_and_update());
        let snapshot =
            self.control.ask(move |reading| Snapshot::of(reading.node, &own, file)).await?;
        if all {
            let settings = &snapshot.settings;
            self.dns.set_upstreams(settings.upstreams.clone());
            self.dns.set_protection(settings.protection.clone());
            self.dns.set_dnssec(settings.dnssec.clone());
            self.lists.set_settings(ListSettings::from(&**settings));
            if let Some(history) = &self.history {
                history.set_settings(settings.history);
            }
        }
        // It may not stand still while the content changes, nor go back (RFC 1982).
        let serial = clock_serial().max(published.serial.wrapping_add(1));
        let built = tokio::task::spawn_blocking(move || {
            let names = snapshot.names();
            (snapshot.local_names(&names, serial), names.refused)
        });
        let Ok((local, refused)) = built.await else { return Ok(()) };
        let refused: BTreeSet<names::Refused> = refused.into_iter().collect();
        for name in refused.difference(&published.refused) {
            info!("{name}");
        }
        published.refused = refused;
        // Most changes of leases are renewals, and no change of names.
        if published.content != Some(local.content()) {
            published.content = Some(local.content());
            published.serial = serial;
            self.dns.set_local(local);
        }
        Ok(())
    }
}
