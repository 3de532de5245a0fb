//! The binding: all that a node knows of one address.

use std::net::Ipv4Addr;
use std::time::Duration;

use lanward_dhcp::{BindingState, Client, ClientKey, Lease, Time};

use crate::{Rank, record};

/// How many changes each node made to a binding. It orders versions without comparing clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Versions(pub [u64; 2]);

/// How one [`Versions`] stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knowledge {
    /// The same version.
    Equal,
    /// Made with knowledge of the other one.
    Newer,
    /// Known to whoever made the other one.
    Older,
    /// Neither knew of the other.
    Concurrent,
}

impl Versions {
    /// How `self` stands to `other`.
    pub(crate) fn against(self, other: Versions) -> Knowledge {
        let (Versions([a0, a1]), Versions([b0, b1])) = (self, other);
        match (a0 >= b0 && a1 >= b1, a0 <= b0 && a1 <= b1) {
            (true, true) => Knowledge::Equal,
            (true, false) => Knowledge::Newer,
            (false, true) => Knowledge::Older,
            (false, false) => Knowledge::Concurrent,
        }
    }

    /// Whether `self` was made with knowledge of `other`, or is the same.
    pub(crate) fn covers(self, other: Versions) -> bool {
        matches!(self.against(other), Knowledge::Equal | Knowledge::Newer)
    }

    /// The least version that covers both.
    pub(crate) fn joined(self, other: Versions) -> Versions {
        let (Versions([a0, a1]), Versions([b0, b1])) = (self, other);
        Versions([a0.max(b0), a1.max(b1)])
    }

    /// How many changes the node of `rank` made.
    pub(crate) fn by(self, rank: Rank) -> u64 {
        self.0[rank.index()]
    }

    /// The next version by the node of `rank`.
    pub(crate) fn bumped(self, rank: Rank) -> Versions {
        let Versions([zero, one]) = self;
        match rank {
            Rank::Zero => Versions([zero + 1, one]),
            Rank::One => Versions([zero, one + 1]),
        }
    }
}

/// All that a node knows of one address (pair protocol, section 2). An address without a record
/// is free and was never touched; a record is never deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The address.
    pub addr: Ipv4Addr,
    /// Its state.
    pub state: BindingState,
    /// Whom it is, or was last, bound to.
    pub client: Option<Client>,
    /// When the client last talked to a server about it.
    pub cltt: Time,
    /// When the client must stop using it; for a declined address, when that is over.
    pub client_expiry: Time,
    /// The latest expiry this node told, or will tell, the partner for this client.
    pub sent_potential: Time,
    /// The latest expiry of this client that is known to be on the partner's disk.
    pub acked_potential: Time,
    /// The latest expiry the partner told for this client.
    pub recv_potential: Time,
    /// Not to be granted to anybody but `client` before this.
    pub hold_until: Time,
    /// Its version.
    pub versions: Versions,
    /// The version that last gave or prolonged the lease; zero where that was not written down.
    pub granted: Versions,
    /// Names the reservation whose client is the only one the owner still grants the address to;
    /// 0 where there is none.
    pub pledge: u64,
    /// The owner takes the pledge back, and waits for the partner to agree.
    pub withdrawing: bool,
    /// The partner has not confirmed this version.
    pub dirty: bool,
    /// The partner may have heard of this binding since the address was last free by agreement.
    pub partner_knows: bool,
    /// The batch that makes this version durable; 0 once restored. Not stored itself.
    pub(crate) written: u64,
}

/// Which node owns an address: the one whose rank is the lowest bit. A function of the address
/// alone, so that no edit of a pool, made while the two are apart, can move it.
pub(crate) fn owner(addr: Ipv4Addr) -> Rank {
    if u32::from(addr) & 1 == 0 { Rank::Zero } else { Rank::One }
}

impl Binding {
    /// What an address without a record means.
    pub(crate) fn untouched(addr: Ipv4Addr) -> Binding {
        Binding {
            addr,
            state: BindingState::Free,
            client: None,
            cltt: Time::ZERO,
            client_expiry: Time::ZERO,
            sent_potential: Time::ZERO,
            acked_potential: Time::ZERO,
            recv_potential: Time::ZERO,
            hold_until: Time::ZERO,
            versions: Versions::default(),
            granted: Versions::default(),
            pledge: 0,
            withdrawing: false,
            dirty: false,
            partner_knows: false,
            written: 0,
        }
    }

    /// Whether it is, or was last, bound to `key`.
    pub(crate) fn is_of(&self, key: &ClientKey) -> bool {
        self.client.as_ref().is_some_and(|client| client.key == *key)
    }

    /// Whether this ended lease, or free address, was made so with knowledge of `lease`: then it is
    /// the end of that lease, whatever else each of the two knows.
    pub(crate) fn ends(&self, lease: &Binding) -> bool {
        let unknown = lease.granted == Versions::default();
        self.versions.covers(if unknown { lease.versions } else { lease.granted })
    }

    /// Whom it is leased to.
    pub fn tenant(&self) -> Option<&Client> {
        self.client.as_ref().filter(|_| self.state == BindingState::Active)
    }

    /// Whether it is leased to `key`.
    pub(crate) fn is_leased_to(&self, key: &ClientKey) -> bool {
        self.tenant().is_some_and(|client| client.key == *key)
    }

    /// The latest expiry for its client that both nodes have on their disks.
    pub(crate) fn common_potential(&self) -> Time {
        self.acked_potential.max(self.recv_potential)
    }

    /// The potential expiry that the partner is told. What this node heard of a lease is told
    /// back until both agree that it is over: the partner may have lost it since, and what it gave
    /// by it with it.
    pub(crate) fn told_potential(&self) -> Time {
        match self.state {
            BindingState::Active | BindingState::Expired | BindingState::Released => {
                self.sent_potential.max(self.common_potential())
            }
            BindingState::Free | BindingState::Declined => self.sent_potential,
        }
    }

    /// The latest moment up to which anybody may have promised it to its client, as far as this
    /// node knows.
    pub(crate) fn latest_promise(&self) -> Time {
        self.client_expiry.max(self.sent_potential).max(self.common_potential())
    }

    /// The binding after this node's clock stood still for nobody knows how long. The client may
    /// go on for as long as this clock says; but what the partner has on its disk ran out by a
    /// clock that did not stand still, so it allows nothing any more, and only holds back. The
    /// partner is told of the later end.
    pub(crate) fn after_unknown_downtime(self) -> Binding {
        Binding {
            sent_potential: self.sent_potential.max(self.common_potential()),
            acked_potential: Time::ZERO,
            recv_potential: Time::ZERO,
            dirty: self.dirty || self.state == BindingState::Active,
            ..self
        }
    }

    /// When its state changes by the mere passing of time. The owner goes first; its partner
    /// waits a guard longer, so that as a rule only one of them has something to say.
    pub(crate) fn due(&self, rank: Rank, guard: Duration) -> Option<Time> {
        let late = if owner(self.addr) == rank { Duration::ZERO } else { guard };
        match self.state {
            BindingState::Active => Some(self.client_expiry + guard + late),
            BindingState::Declined => Some(self.client_expiry + late),
            BindingState::Free | BindingState::Expired | BindingState::Released => None,
        }
    }

    /// Reads a record as the store keeps it under `key`; `None` for another kind of record, or
    /// one that cannot be read.
    pub fn from_store(key: &str, value: &[u8]) -> Option<Binding> {
        let addr = record::binding_addr(key)?;
        record::decode_binding(value).ok().filter(|binding| binding.addr == addr)
    }

    /// The key under which the store keeps the record of `addr`.
    pub fn store_key(addr: Ipv4Addr) -> String {
        record::binding_key(addr)
    }

    /// What the rest of the house is told of it.
    pub fn lease(&self) -> Lease {
        Lease {
            addr: self.addr,
            state: self.state,
            client: self.client.clone(),
            cltt: self.cltt,
            expiry: self.client_expiry,
        }
    }
}
