//! Scripts with explicit times, named by behaviour or fault. Two pairs on a bench: their disks
//! and the link between them are instant, unless a script holds one of them back.

mod faults;
mod leases;
mod meeting;
mod offered;
mod operator;
mod recovery;
mod releases;
mod service;
mod unsaved;

use std::collections::{BTreeMap, VecDeque};

use lanward_dhcp::{
    Answering, Asking, BindingState, Change, Client, ClientKey, HwAddr, LeaseBook, Reservation,
};

use super::*;
use crate::{ClusterId, Partner, StoreId, Times, Write};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// Of node a's half, and of node b's.
const EVEN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 100);
const ODD: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 101);

fn client(n: u8) -> Client {
    let hw = HwAddr::ethernet([2, 0, 0, 0, 0, n]);
    Client { key: ClientKey::Hw(hw), hw, hostname: None, vendor_class: None, relay_info: None }
}

fn reservation(addr: Ipv4Addr, n: u8) -> Reservation {
    Reservation { hw: Some(client(n).hw), client_id: None, addr, hostname: None }
}

fn config(rank: Rank, paired: bool) -> PairConfig {
    let (node, name) = if rank == Rank::Zero { ("a", "b") } else { ("b", "a") };
    let partner = Partner { name: name.to_owned(), cluster: ClusterId([9; 16]), rank };
    PairConfig {
        node: node.to_owned(),
        store: StoreId([rank.index() as u8 + 1; 16]),
        partner: paired.then_some(partner),
        times: Times::default(),
    }
}

/// One node with its disk.
struct Side {
    pair: Pair,
    disk: BTreeMap<String, Vec<u8>>,
    unsynced: VecDeque<Batch>,
    frames: VecDeque<Vec<u8>>,
    outcomes: BTreeMap<Ticket, Outcome>,
    events: Vec<Event>,
    closed: Vec<String>,
    asides: Vec<(Aside, Vec<u8>)>,
    /// Each change of leases: whether one of them is named.
    leases_changed: Vec<bool>,
    stopped: Option<bool>,
    holds_disk: bool,
    holds_frames: bool,
}

impl Side {
    fn new(config: PairConfig, disk: BTreeMap<String, Vec<u8>>, now: Time) -> Side {
        let entries = disk.clone().into_iter().collect();
        let restored = Restored { entries, ..Restored::default() };
        Side {
            pair: Pair::new(config, &restored, now),
            disk,
            unsynced: VecDeque::new(),
            frames: VecDeque::new(),
            outcomes: BTreeMap::new(),
            events: Vec::new(),
            closed: Vec::new(),
            asides: Vec::new(),
            leases_changed: Vec::new(),
            stopped: None,
            holds_disk: false,
            holds_frames: false,
        }
    }

    /// Drains the pair; syncs what may be synced. Tells whether anything happened.
    fn drain(&mut self, now: Time) -> bool {
        let mut busy = false;
        while let Some(output) = self.pair.poll_output() {
            busy = true;
            match output {
                PairOutput::Send(frame) => self.frames.push_back(frame),
                PairOutput::CloseLink { reason } => self.closed.push(reason),
                PairOutput::Store(batch) => self.unsynced.push_back(batch),
                PairOutput::Outcome { ticket, outcome } => {
                    let again = self.outcomes.insert(ticket, outcome);
                    assert_eq!(again, None, "an outcome comes once");
                }
                PairOutput::Aside(about, message) => self.asides.push((about, message)),
                PairOutput::LeasesChanged { named } => self.leases_changed.push(named),
                PairOutput::Event(event) => self.events.push(event),
                PairOutput::Stopped { handed_over } => self.stopped = Some(handed_over),
                _ => {}
            }
        }
        while !self.holds_disk
            && let Some(Batch { seq, writes }) = self.unsynced.pop_front()
        {
            busy = true;
            for Write { key, value } in writes {
                match value {
                    Some(value) => self.disk.insert(key, value),
                    None => self.disk.remove(&key),
                };
            }
            self.pair.handle_stored(now, seq);
        }
        busy
    }
}

struct Bench {
    now: Time,
    linked: bool,
    sides: [Side; 2],
}

impl Bench {
    /// Two new nodes, not linked.
    fn new() -> Bench {
        let now = Time::from_millis(1_000_000_000);
        let side = |rank| Side::new(config(rank, true), BTreeMap::new(), now);
        Bench { now, linked: false, sides: [side(Rank::Zero), side(Rank::One)] }
    }

    /// Two new nodes in NORMAL.
    fn normal() -> Bench {
        let mut bench = Bench::new();
        bench.link();
        assert_eq!(bench.states(), [PairState::Normal; 2]);
        bench
    }

    /// Two nodes that were in NORMAL and are cut off from each other.
    fn interrupted() -> Bench {
        let mut bench = Bench::normal();
        bench.cut();
        assert_eq!(bench.states(), [PairState::CommunicationsInterrupted; 2]);
        bench
    }

    fn a(&mut self) -> &mut Pair {
        &mut self.sides[0].pair
    }

    fn b(&mut self) -> &mut Pair {
        &mut self.sides[1].pair
    }

    fn states(&self) -> [PairState; 2] {
        [0, 1].map(|side: usize| self.sides[side].pair.status().state)
    }

    fn link(&mut self) {
        self.linked = true;
        for side in &mut self.sides {
            side.frames.clear();
            side.pair.handle_link_up(self.now);
        }
        self.settle();
    }

    fn cut(&mut self) {
        self.linked = false;
        for side in &mut self.sides {
            side.pair.handle_link_down(self.now, "cut");
        }
        self.settle();
    }

    /// Lets both nodes do all they can at this moment.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut busy = false;
            for at in 0..2 {
                busy |= self.sides[at].drain(self.now);
                while !self.sides[at].holds_frames
                    && let Some(frame) = self.sides[at].frames.pop_front()
                {
                    busy = true;
                    if self.linked {
                        self.sides[1 - at].pair.handle_frame(self.now, &frame);
                    }
                }
            }
            if !busy {
                return;
            }
        }
        panic!("the two do not come to rest");
    }

    /// Lets time pass; the nodes are woken when they ask for it.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.settle();
        loop {
            let wake = |side: &Side| side.pair.poll_timeout().map(|(at, _)| at);
            let next = self.sides.iter().filter_map(wake).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            for side in &mut self.sides {
                if side.pair.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
                    side.pair.handle_timeout(self.now);
                }
            }
            self.settle();
        }
        self.now = end;
    }

    /// Node b stops in order, and a takes over.
    fn stop_b(&mut self, why: &str) {
        let now = self.now;
        self.b().stop(now, why);
        self.pass(Duration::from_secs(1));
        assert_eq!(self.sides[1].stopped, Some(true));
        assert_eq!(self.states(), [PairState::PartnerDown, PairState::Shutdown]);
    }

    fn restart(&mut self, at: usize) {
        self.linked = false;
        let rank = if at == 0 { Rank::Zero } else { Rank::One };
        let disk = std::mem::take(&mut self.sides[at].disk);
        self.sides[at] = Side::new(config(rank, true), disk, self.now);
        self.sides[1 - at].pair.handle_link_down(self.now, "reset");
        self.settle();
    }

    /// The host comes back with an empty disk.
    fn lose_disk(&mut self, at: usize) {
        self.linked = false;
        let rank = if at == 0 { Rank::Zero } else { Rank::One };
        let new = PairConfig { store: StoreId([77; 16]), ..config(rank, true) };
        self.sides[at] = Side::new(new, BTreeMap::new(), self.now);
        self.sides[1 - at].pair.handle_link_down(self.now, "reset");
        self.settle();
    }

    /// The host comes back with `disk`.
    fn put_back(&mut self, at: usize, disk: BTreeMap<String, Vec<u8>>) {
        self.sides[at].disk = disk;
        self.restart(at);
    }

    fn knows(&self, at: usize, what: EventKind) -> bool {
        self.sides[at].events.iter().any(|event| event.what == what)
    }

    fn propose(&mut self, at: usize, change: Change) -> Ticket {
        let now = self.now;
        let ticket = self.sides[at].pair.propose(now, change);
        self.settle();
        ticket
    }

    fn grant(&mut self, at: usize, addr: Ipv4Addr, n: u8, desired: Duration) -> Ticket {
        self.propose(at, Change::Grant { addr, client: client(n), desired })
    }

    /// Both nodes have these reservations, and time to agree on them.
    fn reserve(&mut self, reservations: &[(Ipv4Addr, u8)]) {
        for side in &mut self.sides {
            let all = reservations.iter().map(|(addr, n)| reservation(*addr, *n));
            side.pair.set_reservations(all);
        }
        self.pass(Duration::from_secs(2));
    }

    fn outcome(&self, at: usize, ticket: Ticket) -> Option<Outcome> {
        self.sides[at].outcomes.get(&ticket).copied()
    }

    /// The lease a grant ended with.
    fn leased(&mut self, at: usize, addr: Ipv4Addr, n: u8, desired: Duration) -> Duration {
        let ticket = self.grant(at, addr, n, desired);
        match self.outcome(at, ticket) {
            Some(Outcome::Committed { lease }) => lease,
            other => panic!("{addr} for client {n} at {at}: {other:?}"),
        }
    }

    fn may(&self, at: usize, addr: Ipv4Addr, n: u8) -> Result<(), Refusal> {
        self.sides[at].pair.may_grant(self.now, addr, &client(n))
    }

    fn state_of(&self, at: usize, addr: Ipv4Addr) -> Option<BindingState> {
        self.sides[at].pair.binding(addr).map(|binding| binding.state)
    }

    fn tables_are_equal(&self) -> bool {
        let table = |side: &Side| -> Vec<_> {
            side.pair
                .bindings()
                .map(|binding| {
                    let key = binding.client.as_ref().map(|client| client.key.clone());
                    (binding.addr, binding.state, key, binding.versions, binding.client_expiry)
                })
                .collect()
        };
        table(&self.sides[0]) == table(&self.sides[1])
    }
}
