//! The pair: the replicated lease table and the rules under which a node of it may serve.
//!
//! A pure machine. What happens goes in by the `handle_*` verbs and by [`LeaseBook::propose`];
//! what is to be done comes out of [`Pair::poll_output`]; [`Pair::poll_timeout`] says when it
//! wants to be woken and why. The rules are those of the DHCP failover draft
//! (draft-ietf-dhc-failover-12) and RFC 8156, reduced to two nodes:
//!
//! - **R1** a free address goes to a new client only from the node that owns it: the owner is a
//!   function of the address;
//! - **R2** a lease runs at most the maximum client lead time (MCLT) beyond what the partner has
//!   on its disk;
//! - **R3** an ended lease frees its address only when the partner agreed;
//! - **R4** nothing is said to anybody before it is on this node's disk.
//!
//! ```text
//!                       partner has everything
//!     STANDALONE ────────────────────────────────────┐
//!                                                    ▼
//!     STARTUP ──────── in step with the partner ─► NORMAL ◄─┐
//!        │                                           │      │ both sent all that
//!        │ no partner in time                        │ link │ is dirty
//!        │ (only a node that served before)          │ lost │
//!        ▼                                           ▼      │
//!     COMMUNICATIONS-INTERRUPTED ◄───────────────────┴──────┘
//! ```
//!
//! A state is written down before it takes effect; until then the node does what both the old
//! and the new one allow. The first join keeps one order: the node that served enters NORMAL,
//! durably, before the one that never did hears that it may.
//!
//! The states that follow a known failure of the partner or a lost disk are not entered by this
//! version. Where one would be needed (the partner comes back with another store, or announces
//! such a state) the node refuses NORMAL, says why, and goes on serving by itself, which is safe
//! in every case.

mod book;
mod commit;
mod exchange;
mod join;
mod link;
mod proposals;
mod states;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use lanward_dhcp::{NetworkId, Outcome, Refusal, Ticket, Time};
use prost::Message;

use crate::binding::{Binding, owner};
use crate::journal::Journal;
use crate::record::{
    PARTNER_HOST_KEY, Remembered, STATE_KEY, binding_addr, binding_key, decode_binding,
    encode_binding,
};
use crate::table::Table;
use crate::wire;
use crate::{
    Batch, ClusterId, Event, EventKind, PairConfig, PairState, PairStatus, PartnerStatus, Rank,
    Restored,
};
use link::Link;
use proposals::{Assent, Proposals};
use states::{Interrupted, Normal, Standalone, Startup, State};

/// What a pair wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PairOutput {
    /// A frame for the partner.
    Send(Vec<u8>),
    /// End the link to the partner, and dial again later.
    CloseLink {
        /// Why, for people.
        reason: String,
    },
    /// To be made durable, then answered with [`Pair::handle_stored`].
    Store(Batch),
    /// A proposed change ended.
    Outcome {
        /// Which.
        ticket: Ticket,
        /// How.
        outcome: Outcome,
    },
    /// The partner is of this pair: messages of the settings document may be exchanged until the
    /// link ends.
    SettingsLinkUp,
    /// That link ended.
    SettingsLinkDown,
    /// A message of the partner's settings document.
    Settings(Vec<u8>),
    /// The partner told the addresses of its host: [`Pair::partner_addresses`].
    PartnerAddresses,
    /// The table changed in a way that others see.
    LeasesChanged,
    /// For the timeline.
    Event(Event),
}

/// A rule the simulator may break on purpose, to prove that it would notice.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// R1: free addresses of the partner's half are granted too.
    PartnersHalf,
    /// R2: leases run as long as the client likes.
    NoMclt,
    /// R3: an ended lease frees its address at once.
    NoAgreement,
    /// R4: everything counts as durable when it is written.
    NoDurability,
}

/// A state that is written down and not in effect yet.
#[derive(Debug)]
struct Entering {
    seq: u64,
    to: PairState,
    reason: String,
}

/// What is known of the partner beyond one connection.
#[derive(Debug, Default)]
struct PartnerSeen {
    name: String,
    state: Option<PairState>,
    heard: Option<Time>,
}

/// One node of a pair, or a lone node, which is a pair in state STANDALONE.
#[derive(Debug)]
pub struct Pair {
    config: PairConfig,
    rank: Rank,
    table: Table,
    journal: Journal,
    state: State,
    entering: Option<Entering>,
    since: Time,
    reason: String,
    remembered: Remembered,
    link: Option<Link>,
    seen: PartnerSeen,
    proposals: Proposals,
    pools: BTreeMap<NetworkId, Vec<RangeInclusive<Ipv4Addr>>>,
    /// Free addresses of the own half by network, as last told to the partner.
    own_free: BTreeMap<NetworkId, u64>,
    addresses: Vec<IpAddr>,
    partner_addresses: Vec<IpAddr>,
    unfit: Option<String>,
    leases_changed: bool,
    out: VecDeque<PairOutput>,
    fault: Option<Fault>,
}

impl Pair {
    /// A node from what its store held. It serves nobody before [`Pair::handle_stored`] confirmed
    /// its first batch.
    pub fn new(config: PairConfig, restored: &Restored, now: Time) -> Pair {
        let rank = rank_of(&config);
        let mut pair = Pair {
            rank,
            table: Table::new(rank, config.times.guard),
            journal: Journal::default(),
            state: State::Startup(Startup { until: None }),
            entering: None,
            since: now,
            reason: "the node has just started".to_owned(),
            remembered: Remembered {
                state: PairState::Startup,
                since: now,
                reason: String::new(),
                served: false,
                cluster: config.partner.as_ref().map(|partner| partner.cluster),
                partner_store: None,
                incarnation: 0,
                partner_down_since: None,
            },
            link: None,
            seen: PartnerSeen::default(),
            proposals: Proposals::default(),
            pools: BTreeMap::new(),
            own_free: BTreeMap::new(),
            addresses: Vec::new(),
            partner_addresses: Vec::new(),
            unfit: None,
            leases_changed: true,
            out: VecDeque::new(),
            fault: None,
            config,
        };
        pair.seen.name = pair.config.partner.as_ref().map(|p| p.name.clone()).unwrap_or_default();
        pair.restore(restored, now);
        pair.begin(now);
        pair
    }

    /// Reads the store's entries; what is damaged is held back rather than taken for free.
    fn restore(&mut self, restored: &Restored, now: Time) {
        let mut damaged: Vec<&str> = restored.damaged.iter().map(String::as_str).collect();
        for (key, value) in &restored.entries {
            if key == STATE_KEY {
                match Remembered::decode(value) {
                    Ok(remembered) => self.remembered = remembered,
                    Err(_) => damaged.push(key),
                }
            } else if key == PARTNER_HOST_KEY {
                // Told anew on every link; without it the partner's addresses are not known yet.
                let host = wire::Host::decode(value.as_slice()).ok();
                self.partner_addresses = host.and_then(|host| host.read().ok()).unwrap_or_default();
            } else if let Some(addr) = binding_addr(key) {
                match decode_binding(value) {
                    Ok(binding) if binding.addr == addr => self.table.put(binding),
                    _ => damaged.push(key),
                }
            }
        }
        for key in damaged {
            if key == STATE_KEY {
                self.event(now, EventKind::Damaged, "the node's own state could not be read");
                // Without it nothing says that this store was never served from.
                self.remembered.served = self.table.len() > 0;
            } else if let Some(addr) = binding_addr(key) {
                let why = format!("the record of {addr} is damaged: the address is held back");
                self.event(now, EventKind::Damaged, &why);
                // Declined without a version of its own: the partner's record replaces it at the
                // next exchange; alone, it comes back when no lease can still be running.
                let held = Duration::from_secs(24 * 3600).max(self.config.times.mclt);
                let mut binding = Binding::untouched(addr);
                binding.state = lanward_dhcp::BindingState::Declined;
                binding.client_expiry = now + held + self.config.times.guard;
                binding.dirty = true;
                binding.partner_knows = true;
                self.table.put(binding);
            }
        }
    }

    /// The first state after a start.
    fn begin(&mut self, now: Time) {
        self.remembered.incarnation += 1;
        let served = self.remembered.served;
        match (&self.config.partner, self.remembered.state) {
            (None, PairState::Standalone) => {
                self.state = State::Standalone(Standalone);
                self.reason = "this node has no partner".to_owned();
            }
            (None, _) => {
                self.enter(now, PairState::Standalone, "this node has no partner".to_owned());
                return;
            }
            (Some(partner), PairState::Standalone) => {
                self.reason = format!("{} has not joined yet", partner.name);
                self.state = State::Standalone(Standalone);
            }
            (Some(partner), _) if served => {
                self.reason = format!("looking for {} after a start", partner.name);
                let until = Some(now + self.config.times.startup);
                self.state = State::Startup(Startup { until });
            }
            (Some(partner), _) => {
                self.reason = format!("waiting for {}, to learn its leases", partner.name);
            }
        }
        let record = self.remembered.encode();
        self.journal.write(STATE_KEY.to_owned(), Some(record));
    }

    /// A lone node became one of a pair. The node of rank 0 keeps its table and goes on serving
    /// until its partner has it; the one of rank 1 forgets what it held and takes over the
    /// partner's, so whoever calls this for it has saved its data first.
    pub fn handle_paired(&mut self, now: Time, config: PairConfig) {
        self.lose_link(now, "the node was paired anew");
        self.rank = rank_of(&config);
        self.config = config;
        let partner = self.config.partner.clone();
        self.seen = PartnerSeen::default();
        self.seen.name = partner.as_ref().map(|p| p.name.clone()).unwrap_or_default();
        let mut table = Table::new(self.rank, self.config.times.guard);
        if self.rank == Rank::Zero {
            self.table.iter().cloned().for_each(|binding| table.put(binding));
            self.reason = format!("{} has not joined yet", self.seen.name);
        } else {
            for binding in self.table.iter() {
                self.journal.write(binding_key(binding.addr), None);
            }
            self.refuse_all(Refusal::NotServing);
            self.remembered.state = PairState::Startup;
            self.remembered.served = false;
            self.state = State::Startup(Startup { until: None });
            self.entering = None;
            self.since = now;
            self.reason = format!("waiting for {}, to learn its leases", self.seen.name);
        }
        self.table = table;
        self.leases_changed = true;
        self.remembered.cluster = partner.map(|partner| partner.cluster);
        self.remembered.partner_store = None;
        let record = self.remembered.encode();
        self.journal.write(STATE_KEY.to_owned(), Some(record));
    }

    /// The pools of every network, for the counts of free addresses the nodes tell each other.
    pub fn set_pools(&mut self, pools: BTreeMap<NetworkId, Vec<RangeInclusive<Ipv4Addr>>>) {
        self.pools = pools;
    }

    /// The addresses of this node's host, which the partner is told.
    pub fn set_addresses(&mut self, addresses: Vec<IpAddr>) {
        if self.addresses != addresses {
            self.addresses = addresses;
            self.tell_addresses();
        }
    }

    /// The addresses of the partner's host, as it last told them.
    pub fn partner_addresses(&self) -> &[IpAddr] {
        &self.partner_addresses
    }

    /// The household's maximum client lead time, not zero. The two nodes must agree on it, so a
    /// link made under another one is made anew.
    pub fn set_mclt(&mut self, now: Time, mclt: Duration) {
        if self.config.times.mclt != mclt && !mclt.is_zero() {
            self.config.times.mclt = mclt;
            self.hang_up(now, "the maximum client lead time was changed");
        }
    }

    /// Ends the link from this side, for a reason the caller found.
    pub fn close_link(&mut self, now: Time, reason: &str) {
        self.hang_up(now, reason);
    }

    /// An authenticated link to the partner is up.
    pub fn handle_link_up(&mut self, now: Time) {
        self.lose_link(now, "the partner connected anew");
        let Some(partner) = &self.config.partner else {
            let reason = "this node has no partner".to_owned();
            self.out.push_back(PairOutput::CloseLink { reason });
            return;
        };
        let hello = self.hello(partner.cluster);
        let why = format!("connected to {}", self.seen.name);
        self.out.push_back(PairOutput::Send(hello.into_frame()));
        self.link = Some(Link::new(now));
        self.event(now, EventKind::LinkUp, &why);
    }

    /// The link ended.
    pub fn handle_link_down(&mut self, now: Time, reason: &str) {
        self.lose_link(now, reason);
    }

    /// One frame of the partner.
    pub fn handle_frame(&mut self, now: Time, frame: &[u8]) {
        self.exchange(now, frame);
    }

    /// Every batch up to `seq` is on the disk.
    pub fn handle_stored(&mut self, now: Time, seq: u64) {
        if self.unfit.is_some() {
            return;
        }
        self.journal.stored(seq);
        self.advance(now);
    }

    /// The store failed: nothing more will be durable, so nothing more is promised.
    pub fn handle_store_failed(&mut self, now: Time, error: &str) {
        if self.unfit.is_some() {
            return;
        }
        self.unfit = Some(error.to_owned());
        self.event(now, EventKind::Unfit, &format!("the store failed: {error}"));
        self.refuse_all(Refusal::NotDurable);
        if let Some(link) = &mut self.link {
            link.next_contact = now;
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Time) {
        if let State::Startup(Startup { until: Some(until) }) = self.state
            && until <= now
            && self.entering.is_none()
        {
            let why = format!("no answer from {} after the start", self.seen.name);
            self.enter(now, PairState::CommunicationsInterrupted, why);
        }
        if let Some(link) = &self.link
            && link.heard + self.config.times.silence <= now
        {
            let reason = format!(
                "no word from {} for {} s",
                self.seen.name,
                self.config.times.silence.as_secs()
            );
            self.hang_up(now, &reason);
        }
        if self.link.as_ref().is_some_and(|link| link.next_contact <= now) {
            self.contact(now);
        }
        while let Some(ticket) = self.proposals.first_late(now) {
            self.proposals.set_assent(ticket, Assent::Forgone);
            self.settle_if_ready(now, ticket);
        }
        self.expire(now);
        self.advance(now);
    }

    /// When [`Pair::handle_timeout`] is wanted, and why.
    pub fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        let startup = match self.state {
            State::Startup(Startup { until: Some(until) }) if self.entering.is_none() => {
                Some((until, "the search for the partner ends"))
            }
            _ => None,
        };
        let silence =
            |link: &Link| (link.heard + self.config.times.silence, "the partner is silent");
        [
            startup,
            self.link.as_ref().map(|link| (link.next_contact, "a word to the partner is due")),
            self.link.as_ref().map(silence),
            self.proposals.next_deadline().map(|at| (at, "a client waits for the partner's disk")),
            self.table
                .next_due()
                .filter(|_| self.may_change())
                .map(|at| (at, "a lease or a hold runs out")),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<PairOutput> {
        if let Some(output) = self.out.pop_front() {
            return Some(output);
        }
        if std::mem::take(&mut self.leases_changed) {
            return Some(PairOutput::LeasesChanged);
        }
        self.journal.take_batch().map(PairOutput::Store)
    }

    /// Sends a message of the settings document, if the partner is of this pair.
    pub fn send_settings(&mut self, message: Vec<u8>) {
        if self.link.as_ref().is_some_and(|link| link.partner.is_some()) {
            self.out.push_back(PairOutput::Send(wire::Body::Settings(message).into_frame()));
        }
    }

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
            serving: self.is_serving(),
            unfit: self.unfit.clone(),
            unsynced: match self.state {
                State::Standalone(_) => 0,
                _ => self.table.dirty().len(),
            },
            bindings: self.table.len(),
            partner: self.config.partner.as_ref().map(|_| PartnerStatus {
                name: self.seen.name.clone(),
                connected: self.is_connected(),
                state: self.seen.state,
                last_contact: self.seen.heard,
                refusal: link.and_then(|link| link.refusal.clone()),
            }),
        }
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

    /// The pair this node is in.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.config.partner.as_ref().map(|partner| partner.cluster)
    }

    /// Breaks a rule, for a simulator that must prove it would notice.
    #[doc(hidden)]
    pub fn set_fault_for_simulation(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }

    /// Whether clients are answered now.
    fn is_serving(&self) -> bool {
        let next_serves = !matches!(
            self.entering.as_ref().map(|entering| entering.to),
            Some(PairState::Startup | PairState::Recover | PairState::Shutdown)
        );
        self.unfit.is_none() && self.state.serves() && next_serves
    }

    /// Whether this node may originate changes to bindings.
    fn may_change(&self) -> bool {
        self.unfit.is_none() && self.state.serves()
    }

    /// Whether no partner has a say: none is there, or none that has begun to learn.
    fn is_alone(&self) -> bool {
        matches!(self.state, State::Standalone(_))
            && self.entering.is_none()
            && !self.link.as_ref().is_some_and(Link::is_accepted)
    }

    /// Writes down that `to` is to be entered; it takes effect when it is durable.
    fn enter(&mut self, now: Time, to: PairState, reason: String) {
        self.remembered.state = to;
        self.remembered.since = now;
        self.remembered.reason.clone_from(&reason);
        self.remembered.served = true;
        let seq = self.journal.write(STATE_KEY.to_owned(), Some(self.remembered.encode()));
        self.entering = Some(Entering { seq, to, reason });
    }

    /// Whether batch `seq` is durable, as the rules see it.
    fn is_durable(&self, seq: u64) -> bool {
        self.journal.is_durable(seq) || self.fault == Some(Fault::NoDurability)
    }

    /// Does what the disk, the partner or time has made possible.
    fn advance(&mut self, now: Time) {
        let fault = self.fault;
        let journal = &self.journal;
        let durable = |seq| journal.is_durable(seq) || fault == Some(Fault::NoDurability);
        for ticket in self.proposals.stored(durable) {
            self.settle_if_ready(now, ticket);
        }
        self.pump(now);
        if let Some(entering) = &self.entering
            && self.is_durable(entering.seq)
        {
            self.take_effect(now);
        }
        self.get_in_step(now);
    }

    /// The state that was written down is in effect now.
    fn take_effect(&mut self, now: Time) {
        let Some(Entering { to, reason, .. }) = self.entering.take() else { return };
        self.state = match to {
            PairState::Standalone => State::Standalone(Standalone),
            PairState::Normal => State::Normal(Normal),
            // Everything else this version can be asked to enter is the cautious one.
            _ => State::Interrupted(Interrupted),
        };
        self.since = now;
        self.reason.clone_from(&reason);
        self.event(now, EventKind::Entered(self.state.name()), &reason);
        self.announce(now);
    }

    fn lose_link(&mut self, now: Time, reason: &str) {
        let Some(link) = self.link.take() else { return };
        self.event(now, EventKind::LinkDown, reason);
        if link.partner.is_some() {
            self.out.push_back(PairOutput::SettingsLinkDown);
        }
        if link.is_accepted() {
            for ticket in self.proposals.tickets() {
                self.forgo(now, ticket);
            }
        }
        let in_step = matches!(self.state, State::Normal(_))
            || self.entering.as_ref().is_some_and(|entering| entering.to == PairState::Normal);
        if in_step {
            let why = format!("the link to {} is lost: {reason}", self.seen.name);
            self.enter(now, PairState::CommunicationsInterrupted, why);
        }
    }

    fn refuse_all(&mut self, refusal: Refusal) {
        for ticket in self.proposals.tickets() {
            self.settle(ticket, Outcome::Refused(refusal));
        }
    }

    fn settle(&mut self, ticket: Ticket, outcome: Outcome) {
        if self.proposals.remove(ticket).is_some() {
            self.out.push_back(PairOutput::Outcome { ticket, outcome });
        }
    }

    /// Puts a record into the table and on its way to the disk.
    fn put(&mut self, mut binding: Binding) -> u64 {
        let seq = self.journal.write(binding_key(binding.addr), Some(encode_binding(&binding)));
        binding.written = seq;
        self.leases_changed |= self.table.get(binding.addr).is_none_or(|old| {
            (old.state, old.client_expiry, &old.client)
                != (binding.state, binding.client_expiry, &binding.client)
        });
        self.table.put(binding);
        seq
    }

    /// Puts a record this node changed into the table and on its way to the disk and the partner.
    fn change(&mut self, mut binding: Binding) -> u64 {
        binding.versions = binding.versions.bumped(self.rank);
        binding.dirty = true;
        let link = self.link.as_mut().filter(|link| link.is_accepted());
        if let Some(link) = link {
            binding.partner_knows = true;
            link.enqueue(binding.addr);
        }
        self.put(binding)
    }

    fn event(&mut self, at: Time, what: EventKind, why: &str) {
        let who = match what {
            EventKind::PartnerEntered(_) => self.seen.name.clone(),
            _ => self.config.node.clone(),
        };
        self.out.push_back(PairOutput::Event(Event { at, who, what, why: why.to_owned() }));
    }

    /// Whether `addr` is of this node's half.
    fn owns(&self, addr: Ipv4Addr) -> bool {
        owner(addr) == self.rank
    }
}

fn rank_of(config: &PairConfig) -> Rank {
    config.partner.as_ref().map_or(Rank::Zero, |partner| partner.rank)
}
