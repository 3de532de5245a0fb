//! Which pauses of blocking are in force: pure, the clocks come in.
//!
//! A pause ends at a moment of the wall clock, which is the same on both nodes as far as their
//! clocks agree: a node whose clock is three seconds ahead takes blocking up three seconds
//! earlier. A clock that is far behind cannot make a pause longer than it was meant to be: each
//! node also ends it when it has known it for as long as it was to last.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use lanward_dhcp::{BindingState, HwAddr, Lease};
use lanward_dns::Pauses;

use crate::settings::Effective;
use crate::settings::effective::PauseSpec;
use crate::settings::records::PauseScope;

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The wall clock.
    pub wall: Timestamp,
    /// A clock that nobody sets, from any start.
    pub steady: Duration,
}

/// While a pause with an end is in force, the wall clock is looked at this often: it may be set.
const LOOK: Duration = Duration::from_secs(1);

/// Knows since when each pause is known.
#[derive(Debug, Default)]
pub struct PauseWatch {
    known_since: BTreeMap<PauseSpec, Duration>,
}

/// What is in force, and when to ask again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// The pauses.
    pub pauses: Vec<PauseSpec>,
    /// After so long the answer may be another one; `None`: only when the settings change.
    pub again: Option<Duration>,
}

impl PauseWatch {
    /// Which of the settings' pauses are in force.
    pub fn judge(&mut self, pauses: &[PauseSpec], now: Moment) -> InForce {
        self.known_since.retain(|known, _| pauses.contains(known));
        let mut in_force = InForce::default();
        for pause in pauses {
            let since = *self.known_since.entry(pause.clone()).or_insert(now.steady);
            let Some(until) = pause.until else {
                in_force.pauses.push(pause.clone());
                continue;
            };
            let by_wall = between(now.wall, until);
            let by_length = between(pause.from, until).saturating_sub(now.steady - since);
            let left = by_wall.min(by_length);
            if !left.is_zero() {
                in_force.pauses.push(pause.clone());
                let next = in_force.again.unwrap_or(LOOK).min(left).min(LOOK);
                in_force.again = Some(next);
            }
        }
        in_force
    }
}

/// From `a` to `b`; zero where `b` is not later.
fn between(a: Timestamp, b: Timestamp) -> Duration {
    Duration::try_from(b.duration_since(a)).unwrap_or_default()
}

/// Whom the pauses cover, for the DNS pipeline. A device is covered under every address it has a
/// lease for, or that is reserved for it.
pub fn covered(
    pauses: &[PauseSpec],
    settings: &Effective,
    leases: impl Iterator<Item = Lease>,
) -> Pauses {
    if pauses.iter().any(|pause| pause.scope == PauseScope::All) {
        return Pauses::everybody();
    }
    let scopes = || pauses.iter().map(|pause| &pause.scope);
    let is_paused = |network: &str| {
        scopes().any(|scope| matches!(scope, PauseScope::Network(id) if id.as_str() == network))
    };
    let networks: Vec<(IpNet, bool)> = settings
        .networks
        .iter()
        .flat_map(|network| {
            let paused = is_paused(&network.id);
            network.clients().map(move |subnet| (subnet, paused))
        })
        .collect();
    let macs: Vec<HwAddr> = scopes()
        .filter_map(|scope| match scope {
            PauseScope::Device(mac) => Some(HwAddr::ethernet(mac.0)),
            _ => None,
        })
        .collect();
    let mut clients: Vec<IpAddr> = scopes()
        .filter_map(|scope| match scope {
            PauseScope::Address(addr) => Some(*addr),
            _ => None,
        })
        .collect();
    if !macs.is_empty() {
        let holds = |lease: &Lease| {
            lease.state == BindingState::Active
                && lease.client.as_ref().is_some_and(|client| macs.contains(&client.hw))
        };
        clients.extend(leases.filter(holds).map(|lease| IpAddr::V4(lease.addr)));
        let all = settings.dhcp.networks.values().flat_map(|network| &network.reservations);
        let theirs = all.filter(|reservation| macs.iter().any(|mac| reservation.hw == Some(*mac)));
        clients.extend(theirs.map(|reservation| IpAddr::V4(reservation.addr)));
    }
    Pauses::of(networks, clients)
}

#[cfg(test)]
mod tests;
