//! What the store of a node that does not run holds, read with the daemon's own reader.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Instant;

use lanward::io::clock::NodeClock;
use lanward::io::store::Store;
use lanward_dhcp::BindingState;
use lanward_ha::{Binding, Pair, PairConfig, Times};

use crate::dhcp_client::Mac;

/// A store's leases.
#[derive(Debug)]
pub struct Stored {
    leases: BTreeMap<Ipv4Addr, StoredLease>,
}

/// One lease of a store.
#[derive(Clone, Copy, Debug)]
pub struct StoredLease {
    /// The client's hardware address.
    pub mac: Option<Mac>,
    /// Whether it runs.
    pub active: bool,
    /// When it ends.
    pub expires: Instant,
}

impl Stored {
    /// Opens the store in a data folder as a starting daemon does. Anything but a whole store,
    /// with nothing damaged, nothing rolled back and nothing made anew, is an error.
    pub fn read(data_dir: &Path) -> Result<Stored, String> {
        if !data_dir.join("leases.redb").exists() {
            return Err("there is no store".to_owned());
        }
        let (store, restored, found) =
            Store::open(data_dir, |_| ()).map_err(|error| error.to_string())?;
        drop(store);
        if let Some(moved) = found.moved_aside {
            return Err(moved.to_string());
        }
        if found.created || found.rolled_back || !restored.damaged.is_empty() {
            let (made, back) = (found.created, found.rolled_back);
            let damaged = restored.damaged.len();
            return Err(format!("made anew: {made}, rolled back: {back}, damaged: {damaged}"));
        }
        let clock = NodeClock::start(found.time_floor.as_deref());
        let (node_now, now) = (clock.now(), Instant::now());
        let config = PairConfig {
            node: "reader".to_owned(),
            store: found.store_id,
            partner: None,
            times: Times::default(),
        };
        let pair = Pair::new(config, &restored, node_now);
        let lease = |binding: &Binding| StoredLease {
            mac: binding.client.as_ref().and_then(|client| client.hw.bytes().try_into().ok()),
            active: binding.state == BindingState::Active,
            expires: now + binding.client_expiry.since(node_now),
        };
        Ok(Stored::of(pair.bindings().map(|binding| (binding.addr, lease(binding)))))
    }

    /// A store that holds these.
    pub fn of(leases: impl IntoIterator<Item = (Ipv4Addr, StoredLease)>) -> Stored {
        Stored { leases: leases.into_iter().collect() }
    }

    /// What it holds of an address.
    pub fn lease(&self, address: Ipv4Addr) -> Option<&StoredLease> {
        self.leases.get(&address)
    }
}

/// Copies the store's files, without the daemon's other files.
pub(super) fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("leases.redb") {
            std::fs::copy(entry.path(), to.join(name))?;
        }
    }
    Ok(())
}
