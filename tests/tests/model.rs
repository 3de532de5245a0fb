//! A small exhaustive model: every order of what two nodes, two addresses and two clients can do,
//! up to a bounded number of steps.
//!
//! The nodes are the real [`Pair`]s, cloned at every branch. The simulator meets rare schedules
//! by chance; this meets all short ones. Disks are instant here and the frames of one direction
//! arrive together: losing unsynced writes, and every other timing, is the simulator's part.
//!
//! Two faults at once are left out, as the promises leave them out: a node that somebody said is
//! off comes back to a link that works, and a disk is lost only while the other node serves.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::Ipv4Addr;
use std::time::Duration;

use lanward_dhcp::{Change, Client, ClientKey, HwAddr, LeaseBook, Outcome, Ticket, Time};
use lanward_ha::{
    ClusterId, Fault, Pair, PairConfig, PairOutput, PairState, Partner, Rank, Restored, StoreId,
    Times,
};
use stateright::{Checker, HasDiscoveries, Model, Property};

const LEASE: Duration = Duration::from_secs(4 * 3600);
const ADDRS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 100), Ipv4Addr::new(10, 0, 0, 101)];

/// How deep the whole tree is searched: half a minute on one core.
const DEPTH: usize = if cfg!(debug_assertions) { 5 } else { 7 };

/// One thing that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A client asks a node for an address: a new lease, or a longer one.
    Ask {
        client: usize,
        node: usize,
        addr: usize,
    },
    /// A client gives its address back to the node that leased it.
    Release {
        client: usize,
    },
    /// All frames on their way to a node arrive.
    Deliver {
        to: usize,
    },
    Cut,
    Heal,
    Crash {
        node: usize,
    },
    Start {
        node: usize,
    },
    /// A node comes back with an empty disk.
    StartWiped {
        node: usize,
    },
    /// Somebody says that the partner of this node is off.
    Off {
        node: usize,
    },
    /// A planned stop.
    Stop {
        node: usize,
    },
    /// Time passes; frames arrive meanwhile.
    Pass {
        secs: u64,
    },
}

/// How long time may pass: to notice a silence, to end a client lead time, to end a lease.
const PASSES: [u64; 3] = [15, 3_700, 4 * 3600];

#[derive(Clone, Debug)]
struct Host {
    pair: Option<Pair>,
    disk: BTreeMap<String, Vec<u8>>,
    /// How often its disk was lost.
    generation: u8,
    /// Frames on their way to it.
    inbox: VecDeque<Vec<u8>>,
    /// Clients that wait for an outcome.
    waiting: BTreeMap<Ticket, (usize, usize)>,
}

/// Who believes to hold what, until when, and from whom.
#[derive(Clone, Copy, Debug)]
struct Held {
    addr: usize,
    until: Time,
    from: usize,
}

#[derive(Clone, Debug)]
struct World {
    now: Time,
    linked: bool,
    hosts: [Host; 2],
    held: [Option<Held>; 2],
    digest: u64,
}

impl PartialEq for World {
    fn eq(&self, other: &World) -> bool {
        self.digest == other.digest
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.digest);
    }
}

fn client(number: usize) -> Client {
    let hw = HwAddr::ethernet([2, 0, 0, 0, 0, number as u8]);
    Client { key: ClientKey::Hw(hw), hw, hostname: None, vendor_class: None, relay_info: None }
}

fn config(node: usize, generation: u8) -> PairConfig {
    let rank = if node == 0 { Rank::Zero } else { Rank::One };
    let name = ["b", "a"][node].to_owned();
    PairConfig {
        node: ["a", "b"][node].to_owned(),
        store: StoreId([node as u8 + 1 + 16 * generation; 16]),
        partner: Some(Partner { name, cluster: ClusterId([9; 16]), rank }),
        times: Times::default(),
    }
}

impl World {
    /// Two nodes in NORMAL.
    fn new(fault: Option<Fault>) -> World {
        let now = Time::from_millis(1_000_000_000);
        let host = || Host {
            pair: None,
            disk: BTreeMap::new(),
            generation: 0,
            inbox: VecDeque::new(),
            waiting: BTreeMap::new(),
        };
        let hosts = [host(), host()];
        let mut world = World { now, linked: false, hosts, held: [None; 2], digest: 0 };
        for node in 0..2 {
            world.start(node, fault);
        }
        world.heal();
        world.pass(2);
        assert_eq!(world.states(), [Some(PairState::Normal); 2]);
        world.seal()
    }

    /// Names this state.
    fn seal(mut self) -> World {
        self.digest = 0;
        let mut text = String::new();
        let written = write!(text, "{self:?}");
        assert!(written.is_ok(), "a string takes everything");
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        self.digest = hasher.finish();
        self
    }

    fn states(&self) -> [Option<PairState>; 2] {
        [0, 1].map(|node: usize| self.hosts[node].pair.as_ref().map(|pair| pair.status().state))
    }

    fn start(&mut self, node: usize, fault: Option<Fault>) {
        let host = &mut self.hosts[node];
        let entries = host.disk.clone().into_iter().collect();
        let restored = Restored { entries, ..Restored::default() };
        let config = config(node, host.generation);
        host.pair = Some(Pair::with_fault(config, &restored, self.now, fault));
        host.waiting.clear();
        self.drain(node);
        if self.linked {
            self.link_up();
        }
    }

    fn link_up(&mut self) {
        if self.hosts.iter().any(|host| host.pair.is_none()) {
            return;
        }
        for node in 0..2 {
            self.hosts[node].inbox.clear();
        }
        for node in 0..2 {
            let now = self.now;
            self.tell(node, |pair| pair.handle_link_up(now));
        }
    }

    fn link_down(&mut self, why: &str) {
        for node in 0..2 {
            self.hosts[node].inbox.clear();
            let now = self.now;
            self.tell(node, |pair| pair.handle_link_down(now, why));
        }
    }

    fn heal(&mut self) {
        self.linked = true;
        self.link_up();
    }

    fn tell(&mut self, node: usize, say: impl FnOnce(&mut Pair)) {
        if let Some(pair) = &mut self.hosts[node].pair {
            say(pair);
            self.drain(node);
        }
    }

    /// Does what a node wants done.
    fn drain(&mut self, node: usize) {
        loop {
            let Some(pair) = &mut self.hosts[node].pair else { return };
            let Some(output) = pair.poll_output() else { return };
            match output {
                PairOutput::Send(frame) if self.linked => {
                    self.hosts[1 - node].inbox.push_back(frame);
                }
                PairOutput::Store(batch) => {
                    for write in batch.writes {
                        match write.value {
                            Some(value) => self.hosts[node].disk.insert(write.key, value),
                            None => self.hosts[node].disk.remove(&write.key),
                        };
                    }
                    let now = self.now;
                    if let Some(pair) = &mut self.hosts[node].pair {
                        pair.handle_stored(now, batch.seq);
                    }
                }
                PairOutput::CloseLink { reason } => {
                    self.hosts[node].inbox.clear();
                    self.hosts[1 - node].inbox.clear();
                    let now = self.now;
                    self.tell(1 - node, |pair| pair.handle_link_down(now, &reason));
                }
                PairOutput::Outcome { ticket, outcome } => self.answer(node, ticket, outcome),
                _ => {}
            }
        }
    }

    fn answer(&mut self, node: usize, ticket: Ticket, outcome: Outcome) {
        let Some((client, addr)) = self.hosts[node].waiting.remove(&ticket) else { return };
        let Outcome::Committed { lease } = outcome else { return };
        let elsewhere = self.valid(client).is_some_and(|held| held.addr != addr);
        if !lease.is_zero() && !elsewhere {
            self.held[client] = Some(Held { addr, until: self.now + lease, from: node });
        }
    }

    fn valid(&self, client: usize) -> Option<Held> {
        self.held[client].filter(|held| held.until > self.now)
    }

    fn ask(&mut self, client_number: usize, node: usize, addr: usize) {
        let (now, who) = (self.now, client(client_number));
        let Some(pair) = &mut self.hosts[node].pair else { return };
        let change = Change::Grant { addr: ADDRS[addr], client: who, desired: LEASE };
        let ticket = pair.propose(now, change);
        self.hosts[node].waiting.insert(ticket, (client_number, addr));
        self.drain(node);
    }

    fn deliver(&mut self, to: usize) {
        let frames: Vec<_> = self.hosts[to].inbox.drain(..).collect();
        for frame in frames {
            let now = self.now;
            self.tell(to, |pair| pair.handle_frame(now, &frame));
        }
    }

    /// Lets time pass, with everything that wants to happen meanwhile.
    fn pass(&mut self, secs: u64) {
        let end = self.now + Duration::from_secs(secs);
        loop {
            while self.hosts.iter().any(|host| !host.inbox.is_empty()) {
                self.deliver(0);
                self.deliver(1);
            }
            // A link that one end closed is dialled again.
            let both = self.hosts.iter().all(|host| host.pair.is_some());
            let connected = |host: &Host| host.pair.as_ref().is_some_and(Pair::is_connected);
            if self.linked && both && !self.hosts.iter().any(connected) {
                self.link_up();
                continue;
            }
            let wakes = self.hosts.iter().filter_map(|host| host.pair.as_ref()?.poll_timeout());
            let Some(next) = wakes.map(|(at, _)| at).min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            for node in 0..2 {
                let now = self.now;
                self.tell(node, |pair| pair.handle_timeout(now));
            }
        }
        self.now = end;
    }

    fn crash(&mut self, node: usize) {
        self.hosts[node].pair = None;
        self.hosts[node].waiting.clear();
        self.link_down("reset");
    }
}

/// The model, with or without a broken rule.
#[derive(Clone, Copy, Debug)]
struct Small {
    fault: Option<Fault>,
}

impl Small {
    fn clients_steps(world: &World, steps: &mut Vec<Step>) {
        for number in 0..2 {
            match world.valid(number) {
                Some(held) => {
                    steps.push(Step::Release { client: number });
                    steps.extend((0..2).map(|node| Step::Ask {
                        client: number,
                        node,
                        addr: held.addr,
                    }));
                }
                None => {
                    let all = (0..2).flat_map(|node| (0..2).map(move |addr| (node, addr)));
                    steps.extend(all.map(|(node, addr)| Step::Ask { client: number, node, addr }));
                }
            }
        }
        // A request the node would refuse at once changes nothing.
        steps.retain(|step| match *step {
            Step::Ask { client: number, node, addr } => {
                world.hosts[node].pair.as_ref().is_some_and(|pair| {
                    pair.may_grant(world.now, ADDRS[addr], &client(number)).is_ok()
                })
            }
            _ => true,
        });
    }

    fn hosts_steps(world: &World, steps: &mut Vec<Step>) {
        let states = world.states();
        for node in 0..2 {
            let (mine, theirs) = (states[node], states[1 - node]);
            let other_serves = matches!(
                theirs,
                Some(
                    PairState::Normal
                        | PairState::CommunicationsInterrupted
                        | PairState::PartnerDown
                )
            );
            match mine {
                Some(PairState::Normal | PairState::CommunicationsInterrupted) => {
                    steps.push(Step::Crash { node });
                    steps.push(Step::Stop { node });
                    if theirs.is_none() {
                        steps.push(Step::Off { node });
                    }
                }
                Some(PairState::PartnerDown) => steps.push(Step::Crash { node }),
                Some(_) => {}
                None => {
                    steps.push(Step::Start { node });
                    if other_serves {
                        steps.push(Step::StartWiped { node });
                    }
                }
            }
        }
    }
}

impl Model for Small {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.fault)]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        Small::clients_steps(world, steps);
        Small::hosts_steps(world, steps);
        let inboxes = 0..world.hosts.len();
        steps.extend(
            inboxes.filter(|to| !world.hosts[*to].inbox.is_empty()).map(|to| Step::Deliver { to }),
        );
        let learns = world.states().iter().flatten().any(|state| {
            matches!(
                state,
                PairState::Startup
                    | PairState::Recover
                    | PairState::RecoverDone
                    | PairState::Shutdown
            )
        });
        let down = world.states().contains(&Some(PairState::PartnerDown));
        match world.linked {
            // Who must learn from its partner finds it.
            true if !(learns || down) => steps.push(Step::Cut),
            true => {}
            false => steps.push(Step::Heal),
        }
        if world.linked || !learns {
            steps.extend(PASSES.map(|secs| Step::Pass { secs }));
        }
    }

    fn next_state(&self, last: &World, step: Step) -> Option<World> {
        let mut world = last.clone();
        match step {
            Step::Ask { client, node, addr } => world.ask(client, node, addr),
            Step::Release { client: number } => {
                let held = world.held[number].take()?;
                let (now, key) = (world.now, client(number).key);
                let release = Change::Release { addr: ADDRS[held.addr], client: key };
                world.tell(held.from, |pair| {
                    pair.propose(now, release);
                });
            }
            Step::Deliver { to } => world.deliver(to),
            Step::Cut => {
                world.linked = false;
                world.link_down("cut");
            }
            Step::Heal => world.heal(),
            Step::Crash { node } => world.crash(node),
            Step::Start { node } => {
                world.linked = true;
                world.start(node, self.fault);
            }
            Step::StartWiped { node } => {
                world.hosts[node].disk.clear();
                world.hosts[node].generation += 1;
                world.linked = true;
                world.start(node, self.fault);
            }
            Step::Off { node } => {
                let now = world.now;
                world.tell(node, |pair| {
                    // Refused where the state does not allow it: then nothing changes.
                    let _ = pair.partner_is_off(now, "the model");
                });
            }
            Step::Stop { node } => {
                let now = world.now;
                world.tell(node, |pair| pair.stop(now, "planned"));
                world.pass(4);
                world.crash(node);
            }
            Step::Pass { secs } => world.pass(secs),
        }
        Some(world.seal())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no address is valid at two clients", |_, world: &World| {
                match (world.valid(0), world.valid(1)) {
                    (Some(one), Some(other)) => one.addr != other.addr,
                    _ => true,
                }
            }),
            Property::sometimes("a node takes over everything", |_, world: &World| {
                world.states().contains(&Some(PairState::PartnerDown))
            }),
            Property::sometimes("a lost disk is recovered from", |_, world: &World| {
                world.hosts.iter().any(|host| host.generation > 0)
                    && world.states() == [Some(PairState::Normal); 2]
            }),
            Property::sometimes("both clients are served", |_, world: &World| {
                world.valid(0).is_some() && world.valid(1).is_some()
            }),
        ]
    }
}

/// Every schedule of up to `depth - 1` steps.
fn explore(fault: Option<Fault>, depth: usize, until: HasDiscoveries) -> impl Checker<Small> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Small { fault }
        .checker()
        .threads(threads)
        .target_max_depth(depth)
        .finish_when(until)
        .spawn_bfs()
        .join()
}

#[test]
fn no_short_schedule_leases_an_address_twice() {
    let depth = std::env::var("LANWARD_MODEL_DEPTH").ok().and_then(|depth| depth.parse().ok());
    let checked = explore(None, depth.unwrap_or(DEPTH), HasDiscoveries::AnyFailures);
    checked.assert_properties();
    assert!(checked.unique_state_count() > 1_000, "{}", checked.unique_state_count());
}

#[test]
fn a_broken_rule_is_found_by_a_short_schedule() {
    // The others take more steps than an unoptimised build can try.
    let all = [Fault::PartnersHalf, Fault::NoAgreement, Fault::NoMclt];
    let within_reach = if cfg!(debug_assertions) { &all[..1] } else { &all[..] };
    for fault in within_reach {
        let checked = explore(Some(*fault), 9, HasDiscoveries::AnyFailures);
        let found = checked.discovery("no address is valid at two clients");
        assert!(found.is_some(), "{fault:?} went unnoticed");
    }
}
