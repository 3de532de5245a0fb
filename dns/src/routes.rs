//! Which group of upstream servers a question goes to: derived from the policies and upstreams in
//! force, part of the snapshot that the pipeline reads.

use std::collections::HashMap;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use ipnet::IpNet;

use crate::cache::Key;
use crate::name::suffixes;
use crate::wire::Query;
use crate::{Policies, PolicyId, Prefix64, Upstreams};

/// A group, as the pipeline knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Route {
    /// Index into [`Upstreams::groups`].
    pub(crate) group: usize,
    /// What its answers are kept under; 0 while there is no group.
    pub(crate) tag: u64,
    /// What is said is not validated: a zone's own servers are the household's own, and a policy may
    /// want it so.
    pub(crate) exempt: bool,
    /// The NAT64 that the client is behind.
    pub(crate) dns64: Option<Prefix64>,
}

impl Route {
    /// What the answer to a question is kept under.
    pub(crate) fn key(&self, name: &[u8], query: &Query<'_>) -> Key {
        let (qtype, dnssec_ok, cd) = (query.qtype, query.dnssec_ok(), query.cd());
        let mut tag = self.tag;
        if let Some(prefix) = self.dns64
            && prefix.concerns(name, qtype, dnssec_ok, cd)
        {
            tag ^= prefix.tag();
        }
        Key::new(name, tag, qtype, dnssec_ok, cd)
    }

    /// Not validated. What was not must not answer those whose questions are.
    fn exempt(self) -> Self {
        Self { tag: self.tag.rotate_left(1), exempt: true, ..self }
    }
}

/// All routes there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    default: Route,
    /// Indexed by policy.
    of_policy: Box<[Route]>,
    zones: HashMap<Box<[u8]>, Vec<ZoneRoute>, RandomState>,
    /// Bit `n` is set when some zone has `n` labels (63 stands for more).
    zone_labels: u64,
}

#[derive(Clone, Debug)]
struct ZoneRoute {
    networks: Box<[IpNet]>,
    route: Route,
}

impl Routes {
    pub(crate) fn new(upstreams: &Upstreams, policies: &Policies) -> Self {
        let routes: Vec<Route> = upstreams
            .groups
            .iter()
            .enumerate()
            .map(|(group, of)| Route { group, tag: of.tag(), ..Route::default() })
            .collect();
        let default = routes.first().copied().unwrap_or_default();
        let named = |id: &str| {
            let index = upstreams.groups.iter().position(|group| *group.id == *id)?;
            routes.get(index).copied()
        };
        let of_policy = policies.policies.iter();
        let of_policy = of_policy.map(|policy| {
            let route = policy.upstreams.as_deref().and_then(named).unwrap_or(default);
            let route = if policy.dnssec { route } else { route.exempt() };
            Route { dns64: policy.dns64, ..route }
        });
        let mut all = Self { default, of_policy: of_policy.collect(), ..Self::default() };
        for zone in &upstreams.zones {
            let Some(&route) = routes.get(zone.group) else { continue };
            let networks = zone.networks.clone().into();
            let at = all.zones.entry(zone.zone.as_wire().into()).or_default();
            at.push(ZoneRoute { networks, route: route.exempt() });
            all.zone_labels |= 1 << zone.zone.labels().min(63);
        }
        all
    }

    /// The group of a policy's questions.
    pub(crate) fn of_policy(&self, policy: PolicyId) -> Route {
        self.of_policy.get(usize::from(policy.0)).copied().unwrap_or(self.default)
    }

    /// The same for a name of a zone that has servers of its own.
    pub(crate) fn in_zone(&self, zone: Route, policy: PolicyId) -> Route {
        Route { dns64: self.of_policy(policy).dns64, ..zone }
    }

    /// The group of the innermost zone that holds `name` and is for `source`, and how many labels
    /// that zone has.
    pub(crate) fn of_zone(&self, name: &[u8], source: IpAddr) -> Option<(Route, usize)> {
        if self.zones.is_empty() {
            return None;
        }
        let source = source.to_canonical();
        let mut labels = suffixes(name).count() - 1;
        for suffix in suffixes(name) {
            if self.zone_labels & (1 << labels.min(63)) != 0
                && let Some(zones) = self.zones.get(suffix)
            {
                // One that names the client's network goes before one that is for all.
                let own = zones
                    .iter()
                    .find(|zone| zone.networks.iter().any(|network| network.contains(&source)));
                let found = own.or_else(|| zones.iter().find(|zone| zone.networks.is_empty()));
                if let Some(zone) = found {
                    return Some((zone.route, labels));
                }
            }
            labels = labels.saturating_sub(1);
        }
        None
    }
}

#[cfg(test)]
mod tests;
