//! The world: hosts, link, clients, and the queue of what is to happen.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use lanward::node::{EditError, Input, Output};
use lanward_dhcp::{ProbeId, ProbeResult, Received, Transmit};
use lanward_ha::{EventKind, PairState, Times};

use super::check::Shadow;
use super::client::{Client, Heard, Manner, Packet};
use super::exclude::Exclusions;
use super::host::{Host, Moment};
use super::link::{Carried, Link};
use super::plan::Plan;
use super::rng::Rng;
use super::{Options, Outcome};
use crate::dhcp_client::Reply;

/// Scaled down, so that many lease times fit into one run: the rules know no absolute times.
pub(super) const MCLT: Duration = Duration::from_secs(60);
pub(super) const LEASE_SECS: u64 = 240;
pub(super) const GUARD: Duration = Duration::from_secs(15);
const CONTACT: Duration = Duration::from_secs(4);
/// More events than this at one moment: something spins.
const SPIN: u32 = 20_000;
/// How often a device repeats a DISCOVER that nobody answers.
const RETRIES: u8 = 4;

/// Something that is going to happen.
#[derive(Debug)]
pub(super) enum Event {
    Packet {
        host: usize,
        dst: Ipv4Addr,
        src: Ipv4Addr,
        payload: Vec<u8>,
    },
    Reply {
        client: usize,
        payload: Vec<u8>,
        /// Whoever sent it had reserved what the device holds.
        reserved: bool,
    },
    /// Something arrives over a connection.
    Carried {
        connection: u64,
        to: usize,
        what: Carried,
    },
    /// A host's system reports the end of a connection.
    Noticed {
        connection: u64,
        to: usize,
    },
    Connect,
    Synced {
        host: usize,
        life: u64,
        seq: u64,
    },
    StoreFails {
        host: usize,
        life: u64,
    },
    Probed {
        host: usize,
        life: u64,
        probe: ProbeId,
    },
    Retry {
        client: usize,
        xid: u32,
        left: u8,
    },
    /// A device comes, while a host is coming back.
    Bustle {
        left: u8,
    },
    /// A step of the plan.
    Step(usize),
    MendLink {
        cut: u64,
    },
    Start {
        host: usize,
    },
    /// A host whose disk failed is switched off and on again.
    Reset {
        host: usize,
        life: u64,
    },
    Press {
        at: usize,
    },
    StopOverdue {
        host: usize,
        life: u64,
    },
    Resume {
        host: usize,
        life: u64,
    },
    /// The second host joins the first.
    Join,
    /// The owner removes a dead host from the pair, and puts a new one in its place.
    Remove {
        dead: usize,
        joins_after: Moment,
    },
    Replacement {
        host: usize,
    },
}

impl Event {
    /// The host whose node is to be given something.
    fn host(&self) -> Option<usize> {
        match self {
            Event::Packet { host, .. }
            | Event::Synced { host, .. }
            | Event::StoreFails { host, .. }
            | Event::Probed { host, .. }
            | Event::Noticed { to: host, .. }
            | Event::Resume { host, .. }
            | Event::Carried { to: host, .. } => Some(*host),
            _ => None,
        }
    }
}

/// An event with its place in the order of things.
struct Queued {
    at: Moment,
    number: u64,
    event: Event,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Queued) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Queued) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    /// The earliest is the greatest, as the heap wants it.
    fn cmp(&self, other: &Queued) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

pub(super) struct World {
    pub(super) now: Moment,
    pub(super) options: Options,
    pub(super) plan: Plan,
    /// For what happens on the clients' network, and to nodes' seeds.
    pub(super) rng: Rng,
    queue: BinaryHeap<Queued>,
    queued: u64,
    wakes: [Option<Moment>; 2],
    pub(super) hosts: [Host; 2],
    pub(super) link: Link,
    pub(super) clients: Vec<Client>,
    pub(super) exclude: Exclusions,
    pub(super) shadow: Shadow,
    /// How many pairs there have been.
    pub(super) clusters: u8,
    /// A host that is gone for good until another one takes its place.
    pub(super) gone: Option<usize>,
    /// Whether faults still happen.
    pub(super) troubled: bool,
    /// The hosts the relay agent reaches; `None`: chosen anew for each packet.
    pub(super) reach: Option<&'static [usize]>,
    pub(super) edits: u64,
    pub(super) outcome: Outcome,
    trace: Vec<String>,
    same_moment: u32,
    /// What a node does now, it does because it heard a frame.
    learning: bool,
    /// The device whose packet a node has just heard, and which exchange it belongs to.
    heard: Option<(usize, u32)>,
}

impl World {
    pub(super) fn new(plan: &Plan, options: Options) -> World {
        let times = Times::scaled(MCLT, GUARD, CONTACT).expect("the constants are not zero");
        let stream = |number| Rng::stream(plan.seed, number);
        let clients = plan.shape.manners.iter().enumerate();
        World {
            now: 0,
            options,
            plan: plan.clone(),
            rng: stream(2),
            queue: BinaryHeap::new(),
            queued: 0,
            wakes: [None; 2],
            hosts: [Host::new(0, stream(3), times), Host::new(1, stream(4), times)],
            link: Link::new(stream(5)),
            clients: clients.map(|(n, manner)| Client::new(n as u8, *manner)).collect(),
            exclude: Exclusions::default(),
            shadow: Shadow::default(),
            clusters: 1,
            gone: None,
            troubled: true,
            reach: None,
            edits: 0,
            outcome: Outcome { digest: 0xcbf2_9ce4_8422_2325, ..Outcome::default() },
            trace: Vec::new(),
            same_moment: 0,
            learning: false,
            heard: None,
        }
    }

    pub(super) fn finish(self) -> (Outcome, Vec<String>) {
        (self.outcome, self.trace)
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if self.options.trace {
            let line = line();
            self.trace.push(format!("{:>9.3} {line}", self.now as f64 / 1000.0));
        }
    }

    fn digest(&mut self, bytes: &[u8]) {
        let mut digest = self.outcome.digest ^ self.now;
        let (words, rest) = bytes.as_chunks::<8>();
        let last = rest.iter().fold(rest.len() as u64, |word, byte| word << 8 | u64::from(*byte));
        for word in words.iter().map(|word| u64::from_le_bytes(*word)).chain([last]) {
            digest = (digest ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
        self.outcome.digest = digest;
    }

    pub(super) fn at(&mut self, at: Moment, event: Event) {
        self.queued += 1;
        self.queue.push(Queued { at, number: self.queued, event });
    }

    /// What waits for a host until `at` happens now, in its order.
    pub(super) fn bring_forward(&mut self, host: usize, at: Moment) {
        let mut queue = std::mem::take(&mut self.queue).into_vec();
        for queued in &mut queue {
            if queued.at == at && queued.event.host() == Some(host) {
                queued.at = self.now;
            }
        }
        self.queue = queue.into();
    }

    pub(super) fn after(&mut self, millis: u64, event: Event) {
        self.at(self.now + millis, event);
    }

    /// A host's node runs, or stands still, from here on: when is it to be woken?
    pub(super) fn plan_wake(&mut self, host: usize) {
        self.wakes[host] = self.hosts[host].wake(self.now);
    }

    /// Lets things happen until `until`.
    pub(super) fn run_until(&mut self, until: Moment) -> Result<(), String> {
        while self.step(until)? {}
        self.now = until;
        Ok(())
    }

    /// The next thing that happens before `until`; `false` if nothing does.
    pub(super) fn step(&mut self, until: Moment) -> Result<bool, String> {
        let queued = self.queue.peek().map(|queued| (queued.at, 2));
        let wakes = (0..2).filter_map(|host| Some((self.wakes[host]?, host)));
        let Some((moment, who)) = wakes.chain(queued).min() else { return Ok(false) };
        if moment > until {
            return Ok(false);
        }
        self.same_moment = if moment > self.now { 0 } else { self.same_moment + 1 };
        if self.same_moment > SPIN {
            return Err("spin: something is done over and over without time passing".to_owned());
        }
        self.now = self.now.max(moment);
        self.outcome.events += 1;
        if who < 2 {
            self.feed(who, Input::Timeout)?;
        } else if let Some(queued) = self.queue.pop() {
            self.happen(queued.event)?;
        }
        Ok(true)
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        let concerns = event.host().filter(|host| self.hosts[*host].paused_until > self.now);
        if let Some(host) = concerns {
            // What waits in a socket's buffer for a host that stands still is heard later; a
            // datagram that old is as good as lost.
            if !matches!(event, Event::Packet { .. }) {
                self.at(self.hosts[host].paused_until, event);
            }
            return Ok(());
        }
        match event {
            Event::Packet { host, dst, src, payload } => {
                let src = SocketAddrV4::new(src, 67);
                let received = Received { network: None, src, dst, payload: &payload };
                let xid = payload.get(4..8).and_then(|xid| xid.try_into().ok());
                let xid = u32::from_be_bytes(xid.unwrap_or_default());
                self.heard = payload.get(33).map(|last| (usize::from(*last), xid));
                self.feed(host, Input::Dhcp(received))?;
                self.heard = None;
                Ok(())
            }
            Event::Reply { client, payload, reserved } => self.reply(client, &payload, reserved),
            Event::Carried { connection, to, what } => self.carried(connection, to, what),
            Event::Noticed { connection, to } => {
                if connection == self.link.connection && self.link.open[to] {
                    self.lose_connection(to, "connection reset")?;
                }
                Ok(())
            }
            Event::Connect => self.connect(),
            Event::Synced { host, life, seq } => {
                if self.is_alive(host, life) && !self.hosts[host].disk.has_failed() {
                    self.hosts[host].disk.synced(seq);
                    self.feed(host, Input::Stored { seq })?;
                }
                Ok(())
            }
            Event::StoreFails { host, life } => {
                if self.is_alive(host, life) {
                    let error = "no space left on device".to_owned();
                    self.feed(host, Input::StoreFailed { error })?;
                    self.after(15_000, Event::Reset { host, life });
                }
                Ok(())
            }
            Event::Probed { host, life, probe } => {
                if self.is_alive(host, life) {
                    self.feed(host, Input::ProbeDone { probe, result: ProbeResult::Silent })?;
                }
                Ok(())
            }
            Event::Retry { client, xid, left } => {
                let packet = self.clients[client].discover_again(self.now, xid);
                if let Some(packet) = packet {
                    self.send_packet(&packet);
                    if left > 0 {
                        self.after(4_000, Event::Retry { client, xid, left: left - 1 });
                    }
                }
                Ok(())
            }
            event => self.trouble(event),
        }
    }

    /// Whether the node that an event was meant for still runs.
    pub(super) fn is_alive(&self, host: usize, life: u64) -> bool {
        self.hosts[host].node.is_some() && self.hosts[host].life == life
    }

    /// Gives a host's node something, and does what it wants done.
    pub(super) fn feed(&mut self, host: usize, input: Input<'_>) -> Result<(), String> {
        self.learning = matches!(input, Input::Frame(_));
        self.hosts[host].handle(self.now, input);
        self.obey(host)
    }

    /// Does what a host's node wants done.
    pub(super) fn obey(&mut self, host: usize) -> Result<(), String> {
        while let Some(output) = self.hosts[host].poll_output() {
            self.do_output(host, output)?;
        }
        self.plan_wake(host);
        Ok(())
    }

    fn do_output(&mut self, host: usize, output: Output) -> Result<(), String> {
        match output {
            Output::Dhcp(transmit) => self.transmit(host, transmit)?,
            Output::Send(frame) => {
                self.digest(&frame);
                if self.link.open[host] {
                    self.carry(host, Carried::Frame(frame));
                }
            }
            Output::CloseLink { reason } => {
                self.note(|| format!("{} hangs up: {reason}", ["a", "b"][host]));
                self.hang_up(host);
            }
            Output::Store(batch) => {
                self.check_first_grants(host, &batch, self.learning)?;
                let (life, seq) = (self.hosts[host].life, batch.seq);
                let at = self.hosts[host].disk.write(self.now, batch);
                if self.hosts[host].disk.has_failed() {
                    self.at(at, Event::StoreFails { host, life });
                } else {
                    self.at(at, Event::Synced { host, life, seq });
                }
            }
            Output::Probe(probe) => {
                let life = self.hosts[host].life;
                self.after(300, Event::Probed { host, life, probe: probe.id });
            }
            Output::EditDone { result: Err(error @ EditError::Invalid(_)), .. } => {
                self.note(|| format!("an edit was refused: {error}"));
            }
            Output::Event(event) => {
                self.note(|| format!("{} {:?}: {}", event.who, event.what, event.why));
                self.pair_event(host, &event)?;
            }
            Output::Dropped(reason) => {
                self.note(|| format!("{} is silent: {reason}", ["a", "b"][host]));
                if let Some((client, xid)) = self.heard {
                    self.check_honoured(host, client, xid, &reason)?;
                }
            }
            Output::DhcpEvent(event) => {
                self.note(|| format!("{} {event:?}", ["a", "b"][host]));
                self.check_misuse(host, &event)?;
            }
            Output::PartnerOffDone { id, result } => self.pressed(host, id, &result)?,
            Output::Stopped { handed_over } => self.stopped(host, handed_over)?,
            Output::EditDone { .. }
            | Output::ReleaseDone { .. }
            | Output::Removed
            | Output::SettingsChanged
            | Output::Lists(_)
            | Output::Authority(_)
            | Output::ListsLink(_)
            | Output::LeasesChanged { .. } => {}
        }
        Ok(())
    }

    /// Something for the timeline.
    fn pair_event(&mut self, host: usize, event: &lanward_ha::Event) -> Result<(), String> {
        match event.what {
            EventKind::Entered(state) => {
                if state == PairState::Normal {
                    self.outcome.normals += 1;
                }
                self.outcome.entered |= 1 << state as u32;
                self.entered(host, state)
            }
            EventKind::Collision => {
                self.promise(|| format!("I1: two clients held an address: {}", event.why))
            }
            EventKind::Solo => {
                self.give_up_uniqueness("a node serves alone after two faults");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn transmit(&mut self, host: usize, transmit: Transmit) -> Result<(), String> {
        self.digest(&transmit.payload);
        let reply = Reply::parse(&transmit.payload)
            .ok_or_else(|| "a node sent something that is no DHCP reply".to_owned())?;
        self.check_reply(host, &reply)?;
        self.remember_offer(host, &reply);
        let client = usize::from(reply.mac[5]);
        if !self.troubled || !self.rng.per_mille(self.plan.shape.loss / 2) {
            let takes = self.rng.range(1, 40);
            let reserved = self.has_reserved_held(host, client);
            self.after(takes, Event::Reply { client, payload: transmit.payload, reserved });
        }
        Ok(())
    }

    fn reply(&mut self, client: usize, payload: &[u8], reserved: bool) -> Result<(), String> {
        let Some(reply) = Reply::parse(payload) else { return Ok(()) };
        let held = self.clients[client].held;
        match self.clients[client].hear(self.now, &reply) {
            Heard::Nothing => Ok(()),
            Heard::Asks(packet) => {
                self.send_packet(&packet);
                Ok(())
            }
            Heard::Leased { held, new } => {
                self.outcome.leases += 1;
                let left = (held.until - self.now) / 1000;
                self.note(|| {
                    format!("device {client} has {} for {left} s, from {}", held.addr, held.server)
                });
                self.check_unique(client, held)?;
                let declines = self.clients[client].manner == Manner::Declines;
                if declines && new && self.rng.chance(70) {
                    let packet = self.clients[client].decline(held);
                    self.send_packet(&packet);
                }
                Ok(())
            }
            Heard::Denied => {
                self.note(|| format!("device {client} was denied"));
                self.check_denial(client, held, reserved)
            }
        }
    }

    pub(super) fn discover(&mut self, client: usize) {
        let packet = self.clients[client].discover(self.now);
        self.send_packet(&packet);
        if let Some(xid) = self.clients[client].open_discover() {
            self.after(4_000, Event::Retry { client, xid, left: RETRIES });
        }
    }

    /// Carries a client's packet to the hosts that hear it.
    pub(super) fn send_packet(&mut self, packet: &Packet) {
        let hearers: &[usize] = match (packet.to, self.reach) {
            (Some(server), _) if server == self.hosts[0].addr => &[0],
            (Some(_), _) => &[1],
            (None, Some(only)) => only,
            (None, None) => self.rng.pick(&[&[0][..], &[1], &[0, 1], &[0, 1]]),
        };
        let mac = u64::from(packet.payload[33]);
        let floods =
            self.clients.get(mac as usize).is_some_and(|client| client.manner == Manner::Floods);
        for host in hearers.iter().copied() {
            let doubled = self.troubled && self.rng.per_mille(self.plan.shape.doubled);
            let copies = if floods && self.troubled { 4 } else { 1 + u64::from(doubled) };
            for _ in 0..copies {
                if self.troubled && self.rng.per_mille(self.plan.shape.loss) {
                    continue;
                }
                // In quiet times what was sent first is heard first.
                let takes = if self.troubled { self.rng.range(1, 40) } else { 2 };
                let dst = self.hosts[host].addr;
                let payload = packet.payload.clone();
                self.after(takes, Event::Packet { host, dst, src: packet.src, payload });
            }
        }
        self.note(|| match packet.to {
            Some(server) => format!("device {mac} sends {:?} to {server}", packet.kind),
            None => format!("device {mac} sends {:?}, heard by {hearers:?}", packet.kind),
        });
    }
}
