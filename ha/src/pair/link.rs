//! One connection to the partner, from its first byte to its last.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;

use lanward_dhcp::{ClientKey, Time};

use crate::binding::Versions;
use crate::record::Life;
use crate::wire::{Ack, Hello, WireError, id_from, pair_state_from, rank_from};
use crate::{PairState, Rank, ServiceReport, StoreId};

/// How many updates may be on their way unanswered. Bounds what a slow partner makes this node
/// keep; more wait in the outbox, which holds an address once.
pub(crate) const WINDOW: usize = 512;

/// What a node knows of the partner on one connection.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// When anything was last heard on it; at first, when it came up.
    pub(crate) heard: Time,
    /// When the next CONTACT is due.
    pub(crate) next_contact: Time,
    /// This node has said its HELLO.
    pub(crate) introduced: bool,
    /// The partner's HELLO, where it came before that.
    pub(crate) early: Option<Vec<u8>>,
    /// What the partner said of itself; `None` until its HELLO.
    pub(crate) partner: Option<PartnerFacts>,
    /// Why the two do not get in step although they talk.
    pub(crate) refusal: Option<String>,
    /// How far the partner's clock is ahead, in milliseconds.
    pub(crate) clock_ahead_ms: Option<i64>,
    /// The partner's free addresses of its own half, by network.
    pub(crate) partner_free: BTreeMap<String, u64>,
    /// Addresses to be told, each once, in order. An entry counts only while `queued` has it.
    outbox: VecDeque<Ipv4Addr>,
    queued: BTreeSet<Ipv4Addr>,
    /// Addresses that wait for a batch to be on the disk, and the batch. The same holds.
    unstored: BTreeSet<(u64, Ipv4Addr)>,
    /// Updates sent and not answered.
    pub(crate) in_flight: BTreeMap<u64, Flight>,
    next_update: u64,
    /// What must be confirmed before this node says that it has sent everything.
    pub(crate) resync: BTreeSet<Ipv4Addr>,
    /// This node has said so.
    pub(crate) updates_done_sent: bool,
    /// The partner has said so.
    pub(crate) updates_done_heard: bool,
    /// Answers that wait for the disk, with the batch they wait for.
    pub(crate) acks: VecDeque<(u64, Ack)>,
    /// The parts heard of a settings message.
    pub(crate) settings: Vec<u8>,
    /// What the partner said last of the service addresses.
    pub(crate) partner_service: Option<ServiceReport>,
}

/// What the partner said of itself in its HELLO, and since.
#[derive(Clone, Debug)]
pub(crate) struct PartnerFacts {
    pub(crate) rank: Rank,
    pub(crate) store: StoreId,
    /// Whether it ever served from its store.
    pub(crate) served: bool,
    pub(crate) state: PairState,
    /// Whether it answers clients now, by its last CONTACT.
    pub(crate) serving: bool,
    /// Whether it answers everybody because this node said that it is about to stop.
    pub(crate) covering: bool,
    /// The version of the protocol the two speak.
    pub(crate) protocol: u32,
    /// In STARTUP, the state it would go on in.
    resumes: PairState,
    pub(crate) life: Life,
    /// The number of the last meeting in NORMAL it had entered when it introduced itself.
    pub(crate) meetings: u64,
}

impl PartnerFacts {
    pub(crate) fn of(hello: &Hello, protocol: u32) -> Result<PartnerFacts, WireError> {
        let state = pair_state_from(hello.state)?;
        Ok(PartnerFacts {
            rank: rank_from(hello.rank)?,
            store: StoreId(id_from(&hello.store)?.ok_or(WireError::Field("a store id"))?),
            served: hello.served,
            state,
            serving: false,
            covering: false,
            protocol,
            // The first version knew nothing but the cautious one.
            resumes: match protocol {
                1 => PairState::CommunicationsInterrupted,
                _ => pair_state_from(hello.resumes)?,
            },
            life: Life { incarnation: hello.incarnation, started_ms: hello.started_ms },
            meetings: hello.meetings,
        })
    }

    /// In STARTUP, the state it said that it would go on in.
    pub(crate) fn resumes(&self) -> PairState {
        self.resumes
    }

    /// The state it acts from: in STARTUP, the one it would go on in.
    pub(crate) fn stance(&self) -> PairState {
        if self.state == PairState::Startup { self.resumes } else { self.state }
    }
}

/// An update on its way.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) addr: Ipv4Addr,
    pub(crate) versions: Versions,
    pub(crate) client: Option<ClientKey>,
    /// The potential expiry the partner has on its disk when it confirms; `None` where the update
    /// tells of no lease, or of one that has ended since.
    pub(crate) potential: Option<Time>,
}

impl Link {
    pub(crate) fn new(now: Time) -> Link {
        Link {
            heard: now,
            next_contact: now,
            introduced: false,
            early: None,
            partner: None,
            refusal: None,
            clock_ahead_ms: None,
            partner_free: BTreeMap::new(),
            outbox: VecDeque::new(),
            queued: BTreeSet::new(),
            unstored: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            next_update: 0,
            resync: BTreeSet::new(),
            updates_done_sent: false,
            updates_done_heard: false,
            acks: VecDeque::new(),
            settings: Vec::new(),
            partner_service: None,
        }
    }

    /// Whether bindings may be exchanged on it.
    pub(crate) fn is_accepted(&self) -> bool {
        self.partner.is_some() && self.refusal.is_none()
    }

    /// Has `addr` told, once, as it is when it is durable.
    pub(crate) fn enqueue(&mut self, addr: Ipv4Addr) {
        if self.queued.insert(addr) {
            self.outbox.push_back(addr);
        }
    }

    /// Nothing is to be told of `addr` after all.
    pub(crate) fn forget(&mut self, addr: Ipv4Addr) {
        self.queued.remove(&addr);
        self.resync.remove(&addr);
    }

    /// The next address to be told; put back by [`Link::postpone`] or done with. None is looked
    /// at twice for one batch that is not on the disk.
    pub(crate) fn next(&mut self, is_durable: impl Fn(u64) -> bool) -> Option<Ipv4Addr> {
        while let Some((batch, _)) = self.unstored.first()
            && is_durable(*batch)
        {
            let (_, addr) = self.unstored.pop_first()?;
            if self.queued.remove(&addr) {
                return Some(addr);
            }
        }
        while let Some(addr) = self.outbox.pop_front() {
            if self.queued.remove(&addr) {
                return Some(addr);
            }
        }
        None
    }

    /// Puts an address back until `batch` is on the disk.
    pub(crate) fn postpone(&mut self, addr: Ipv4Addr, batch: u64) {
        self.queued.insert(addr);
        self.unstored.insert((batch, addr));
    }

    /// A lease of `addr` has ended here: what is under way of it promises nothing for the next.
    pub(crate) fn void_promises(&mut self, addr: Ipv4Addr) {
        let of_addr = self.in_flight.values_mut().filter(|flight| flight.addr == addr);
        of_addr.for_each(|flight| flight.potential = None);
    }

    /// Names an update.
    pub(crate) fn depart(&mut self, flight: Flight) -> u64 {
        self.next_update += 1;
        self.in_flight.insert(self.next_update, flight);
        self.next_update
    }
}
