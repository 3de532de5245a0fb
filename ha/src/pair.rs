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
//!   STANDALONE ── partner has all ──► NORMAL ◄── both have all ────────────────┐
//!                                     │    ▲                                   │
//!   STARTUP ── both have all ─────────┼────┤                                   │
//!     │  │                  link lost │    │ both have all              RECOVER-DONE
//!     │  │                            ▼    │                                   ▲
//!     │  └─ no partner in time ─► COMM.-INTERRUPTED ◄─ link lost ─ CONFLICT    │
//!     │                               │ partner stopped in      both ▲  wait of a lost
//!     │                               │ order, lost its disk, served │  disk is over
//!     │                               ▼ or is said to be off         │         │
//!     │                          PARTNER-DOWN ───────────────────────┘    RECOVER-WAIT
//!     │                               ▲    │ partner recovered: NORMAL         ▲
//!     │         was in PARTNER-DOWN ──┘    └───────────────────────────────    │
//!     │                                                                        │
//!     └─ partner is in PARTNER-DOWN, or the disk was lost ─► RECOVER ── has all┘
//!                                                              ▲
//!   NORMAL ── orderly stop ─► SHUTDOWN ── go on, or start anew ┘
//! ```
//!
//! A state is written down before it takes effect; until then the node does what both the old
//! and the new one allow. Where one node must go first, the announcement of its new state, which
//! leaves after that state is durable, is what the other waits for: the first join (the node that
//! served enters NORMAL before the one that never did), the end of a recovery (PARTNER-DOWN is
//! left before the recovered node serves), the orderly stop (SHUTDOWN before PARTNER-DOWN).
//!
//! A partner that speaks the first version of the protocol knows only STANDALONE, STARTUP, NORMAL
//! and COMMUNICATIONS-INTERRUPTED; with it, this node keeps to those too.

mod aside;
mod book;
mod commit;
mod exchange;
mod join;
mod link;
mod meeting;
mod offered;
mod operator;
mod origin;
mod pledge;
mod proposals;
mod service;
mod states;
#[cfg(test)]
mod tests;
mod transitions;
mod unsaved;
mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use lanward_dhcp::{Client, NetworkId, Outcome, Refusal, Ticket, Time};

use crate::binding::Binding;
use crate::journal::Journal;
use crate::record::{Remembered, binding_key, encode_binding};
use crate::table::Table;
use crate::wire;
use crate::{Batch, Event, EventKind, PairConfig, PairState, Rank, Restored};
use link::Link;
use offered::Offered;
pub use operator::PartnerOffRefusal;
use operator::Stopping;
use pledge::Reserved;
use proposals::{Assent, Proposals};
use states::{Startup, State};
use unsaved::Told;

pub use aside::Aside;
pub use service::ServiceReport;

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
    /// A message of the partner about something that this crate only carries.
    Aside(Aside, Vec<u8>),
    /// The partner told the addresses of its host: [`Pair::partner_addresses`].
    PartnerAddresses,
    /// A lease began or ended, or its client calls itself by another name. Not for renewals.
    LeasesChanged {
        /// Whether one of them has, or had, a host name.
        named: bool,
    },
    /// An orderly stop is over: this node answers nobody.
    Stopped {
        /// Whether the partner has all leases and serves everybody with every address.
        handed_over: bool,
    },
    /// The partner took this node out of the pair; it stops in order.
    Removed,
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
    /// The partner is taken for off while it serves.
    FalsePartnerDown,
    /// Nothing is held back when the partner lost its disk.
    NoHold,
    /// A recovered node serves before its partner has left PARTNER-DOWN.
    NoHandshake,
    /// A node that lost its disk does not wait for the leases it gave.
    NoWait,
    /// What a recovering node says counts as much as what its partner says.
    RecoveringWins,
    /// A recovering node does not wait until both have everything of the other.
    NotDrained,
    /// A node that lets its partner in forgets what it offered of the partner's half.
    OffersForgotten,
    /// A lone node does not hold for running what its life before may have prolonged unsaved.
    UnsavedForgotten,
}

/// A state that is written down and not in effect yet.
#[derive(Clone, Debug)]
struct Entering {
    seq: u64,
    to: PairState,
    reason: String,
}

/// What is known of the partner beyond one connection.
#[derive(Clone, Debug, Default)]
struct PartnerSeen {
    name: String,
    state: Option<PairState>,
    heard: Option<Time>,
}

/// One node of a pair, or a lone node, which is a pair in state STANDALONE.
#[derive(Clone, Debug)]
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
    /// The batch that makes what is remembered durable.
    state_written: u64,
    /// When this node was started.
    started: Time,
    /// Names this start.
    life: u64,
    /// The latest time it heard of.
    clock: Time,
    stopping: Option<Stopping>,
    reserved: Reserved,
    /// Addresses whose record could not be read and was not replaced yet.
    damaged: BTreeSet<Ipv4Addr>,
    link: Option<Link>,
    seen: PartnerSeen,
    proposals: Proposals,
    offered: Offered,
    pools: BTreeMap<NetworkId, Vec<RangeInclusive<Ipv4Addr>>>,
    /// Free addresses of the own half by network, as last told to the partner.
    own_free: BTreeMap<NetworkId, u64>,
    addresses: Vec<IpAddr>,
    partner_addresses: Vec<IpAddr>,
    unfit: Option<String>,
    told: BTreeMap<Ipv4Addr, Told>,
    /// What to tell of leases: nothing, or whether one that changed has a host name.
    leases_changed: Option<bool>,
    out: VecDeque<PairOutput>,
    fault: Option<Fault>,
}

impl Pair {
    /// A node from what its store held. It serves nobody before [`Pair::handle_stored`] confirmed
    /// its first batch.
    pub fn new(config: PairConfig, restored: &Restored, now: Time) -> Pair {
        Pair::with_fault(config, restored, now, None)
    }

    /// A node that breaks a rule, for a simulator that must prove it would notice.
    #[doc(hidden)]
    pub fn with_fault(
        config: PairConfig,
        restored: &Restored,
        now: Time,
        fault: Option<Fault>,
    ) -> Pair {
        let rank = rank_of(&config);
        let mut pair = Pair {
            rank,
            table: Table::new(rank, config.times.guard),
            journal: Journal::default(),
            state: State::Startup(Startup { until: None }),
            entering: None,
            since: now,
            reason: "the node has just started".to_owned(),
            remembered: Remembered::nothing(
                config.partner.as_ref().map(|partner| partner.cluster),
                now,
            ),
            state_written: 0,
            started: now,
            life: now.as_millis(),
            clock: now,
            stopping: None,
            reserved: Reserved::default(),
            damaged: BTreeSet::new(),
            link: None,
            seen: PartnerSeen::default(),
            proposals: Proposals::default(),
            offered: Offered::default(),
            pools: BTreeMap::new(),
            own_free: BTreeMap::new(),
            addresses: Vec::new(),
            partner_addresses: Vec::new(),
            unfit: None,
            told: BTreeMap::new(),
            leases_changed: Some(true),
            out: VecDeque::new(),
            fault,
            config,
        };
        pair.seen.name = pair.config.partner.as_ref().map(|p| p.name.clone()).unwrap_or_default();
        pair.restore(restored, now);
        pair.begin(now, restored.rolled_back);
        pair
    }

    /// The pools of every network, for the counts of free addresses the nodes tell each other.
    pub fn set_pools(&mut self, pools: BTreeMap<NetworkId, Vec<RangeInclusive<Ipv4Addr>>>) {
        self.pools = pools;
    }

    /// Names this start of the node as no other: to be given at random, right after it. Its time
    /// does not tell it from a start from an older copy of the store, which goes on at the time
    /// the copy was made.
    pub fn set_life(&mut self, life: u64) {
        self.life = life;
    }

    /// The addresses of this node's host, which the partner is told.
    pub fn set_addresses(&mut self, addresses: Vec<IpAddr>) {
        if self.addresses != addresses {
            self.addresses = addresses;
            self.tell_addresses();
        }
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
        if self.config.partner.is_none() {
            let reason = "this node has no partner".to_owned();
            self.out.push_back(PairOutput::CloseLink { reason });
            return;
        }
        let why = format!("connected to {}", self.seen.name);
        self.link = Some(Link::new(now));
        self.event(now, EventKind::LinkUp, &why);
        self.advance(now);
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

    /// The store failed: nothing more will be durable, so nothing new is promised. Leases that run
    /// are said again where no partner does it.
    pub fn handle_store_failed(&mut self, now: Time, error: &str) {
        if self.unfit.is_some() {
            return;
        }
        self.unfit = Some(error.to_owned());
        self.event(now, EventKind::Unfit, &format!("the store failed: {error}"));
        self.take_back_unsaved();
        self.refuse_all(Refusal::NotDurable);
        if let Some(link) = &mut self.link {
            link.next_contact = now;
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Time) {
        self.state_timeout(now);
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
        let silence =
            |link: &Link| (link.heard + self.config.times.silence, "the partner is silent");
        [
            self.state_wake(),
            self.stop_wake(),
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
        if let Some(named) = self.leases_changed.take() {
            return Some(PairOutput::LeasesChanged { named });
        }
        self.journal.take_batch().map(PairOutput::Store)
    }

    /// Sends a message of the settings document, if the partner is of this pair.
    pub fn send_settings(&mut self, message: &[u8]) {
        if !self.is_connected() {
            return;
        }
        let mut parts = message.chunks(wire::SETTINGS_PART).peekable();
        while let Some(part) = parts.next() {
            let part = wire::SettingsPart { bytes: part.to_vec(), more: parts.peek().is_some() };
            self.out.push_back(PairOutput::Send(wire::Body::Settings(part).into_frame()));
        }
    }

    /// Whether batch `seq` is durable, as the rules see it.
    fn is_durable(&self, seq: u64) -> bool {
        self.journal.is_durable(seq) || self.fault == Some(Fault::NoDurability)
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
        self.place(binding);
        seq
    }

    /// Puts a record into the table that says no more than that the partner has confirmed what
    /// this node told it. Nobody waits for the disk: it goes there with the next batch, or with
    /// the next CONTACT. A crash that forgets it leaves the record as it was before the answer
    /// came, which is what a lost answer leaves: the node counts on less of the partner's
    /// knowledge, so it promises less, and tells the partner again what is still marked as
    /// untold. Whatever it does meanwhile because of the confirmation (a longer lease, an address
    /// freed by agreement and granted again) writes the whole record and takes this with it.
    fn note(&mut self, binding: Binding) {
        self.journal.write_along(binding_key(binding.addr), Some(encode_binding(&binding)));
        self.place(binding);
    }

    fn place(&mut self, binding: Binding) {
        self.damaged.remove(&binding.addr);
        self.reserved.touched(&binding);
        let old = self.table.get(binding.addr).and_then(Binding::tenant);
        let new = binding.tenant();
        if old != new {
            let is_named = |client: Option<&Client>| client.is_some_and(|it| it.hostname.is_some());
            let named = is_named(old) || is_named(new);
            self.leases_changed = Some(named || self.leases_changed == Some(true));
        }
        self.table.put(binding);
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
}

fn rank_of(config: &PairConfig) -> Rank {
    config.partner.as_ref().map_or(Rank::Zero, |partner| partner.rank)
}
