//! What a pair shows of itself, to people and to its own rules.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use lanward_dhcp::NetworkId;

use super::Pair;
use super::link::Link;
use super::states::{PartnerDown, RecoverWait, State};
use crate::binding::owner;
use crate::{Binding, ClusterId, FreeCounts, PairStatus, PartnerStatus, Rank};

impl Pair {
    /// Whether a link to a partner of this pair is up.
    pub fn is_connected(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.partner.is_some())
    }

    /// The pair as this node sees it, for people.
    pub fn status(&self) -> PairStatus {
        let link = self.link.as_ref();
        PairStatus {
            node: self.config.node.clone(),
            state: self.state.name(),
            reason: self.reason.clone(),
            since: self.since,
            serving: self.is_serving() || self.is_draining(),
            unfit: self.unfit.clone(),
            prolongs_unsaved: self.serves_unsaved(),
            unsynced: match self.state {
                State::Standalone(_) => 0,
                _ => self.table.dirty().len(),
            },
            bindings: self.table.len(),
            partner_down_since: match self.state {
                State::PartnerDown(PartnerDown { since }) => Some(since),
                _ => None,
            },
            wait_until: match self.state {
                State::RecoverWait(RecoverWait { until }) => Some(until),
                _ => None,
            },
            solo: self.remembered.solo,
            partner: self.config.partner.as_ref().map(|_| PartnerStatus {
                name: self.seen.name.clone(),
                connected: self.is_connected(),
                state: self.seen.state,
                serving: link.and_then(|link| link.partner.as_ref()).is_some_and(|p| p.serving),
                protocol: Some(self.remembered.partner_protocol).filter(|version| *version > 0),
                last_contact: self.seen.heard,
                clock_ahead_ms: link.and_then(|link| link.clock_ahead_ms),
                refusal: link.and_then(|link| link.refusal.clone()),
            }),
        }
    }

    /// What each network has left for new devices. Walks the records inside the pools.
    pub fn free_counts(&self) -> BTreeMap<NetworkId, FreeCounts> {
        let told = self.link.as_ref().map(|link| &link.partner_free);
        let count = |rank, pools: &[_]| self.table.count_free(self.clock, rank, pools);
        self.pools
            .iter()
            .map(|(network, pools)| {
                let told = told.and_then(|told| told.get(&**network)).copied();
                let partner_half = told.unwrap_or_else(|| count(self.rank.other(), pools));
                (network.clone(), FreeCounts { own: count(self.rank, pools), partner_half })
            })
            .collect()
    }

    /// This node's name.
    pub fn name(&self) -> &str {
        &self.config.node
    }

    /// The partner's name; `None` for a lone node.
    pub fn partner_name(&self) -> Option<&str> {
        self.config.partner.as_ref().map(|_| self.seen.name.as_str())
    }

    /// All bindings in the order of their addresses.
    pub fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.table.iter()
    }

    /// What is known of one address.
    pub fn binding(&self, addr: Ipv4Addr) -> Option<&Binding> {
        self.table.get(addr)
    }

    /// This node's rank in the pair.
    pub fn rank(&self) -> Rank {
        self.rank
    }

    /// Whether this node ever served clients from its store, as one of the pair where it is in one.
    pub fn has_served(&self) -> bool {
        self.remembered.served
    }

    /// The pair this node is in.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.config.partner.as_ref().map(|partner| partner.cluster)
    }

    /// The addresses of the partner's host, as it last told them.
    pub fn partner_addresses(&self) -> &[IpAddr] {
        &self.partner_addresses
    }

    /// Whether clients are answered now.
    pub(super) fn is_serving(&self) -> bool {
        let next_serves = self.entering.as_ref().is_none_or(|entering| entering.to.serves());
        self.may_change() && next_serves && !self.is_silenced()
    }

    /// Whether this node may originate changes to bindings.
    pub(super) fn may_change(&self) -> bool {
        self.unfit.is_none() && self.state.name().serves()
    }

    /// Whether no partner has a say: none is there, or none that has begun to learn.
    pub(super) fn is_alone(&self) -> bool {
        matches!(self.state, State::Standalone(_))
            && self.entering.is_none()
            && !self.link.as_ref().is_some_and(Link::is_accepted)
    }

    /// Whether `addr` is of this node's half.
    pub(super) fn owns(&self, addr: Ipv4Addr) -> bool {
        owner(addr) == self.rank
    }
}
