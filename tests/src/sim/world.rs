//! The world: hosts, link, clients, and the queue of what is to happen.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use lanward::node::{EditError, Input, Output};
use lanward_dhcp::{ProbeId, ProbeResult, Received, Transmit};
use lanward_ha::{EventKind, PairState, Rank, Times};

use super::client::{Client, Heard, Packet};
use super::host::{Host, Moment};
use super::link::Link;
use super::rng::Rng;
use super::{Options, Outcome};
use crate::dhcp_client::{Kind, Reply};

/// Scaled down, so that many lease times fit into one run: the rules know no absolute times.
pub(super) const MCLT: Duration = Duration::from_secs(60);
pub(super) const LEASE_SECS: u64 = 240;
const GUARD: Duration = Duration::from_secs(15);
const CONTACT: Duration = Duration::from_secs(4);
/// More events than this at one moment: something spins.
const SPIN: u32 = 20_000;

/// Something that is going to happen.
#[derive(Debug)]
pub(super) enum Event {
    Packet { host: usize, dst: Ipv4Addr, src: Ipv4Addr, payload: Vec<u8> },
    Reply { client: usize, payload: Vec<u8> },
    LinkUp { connection: u64, to: usize },
    LinkDown { connection: u64, to: usize },
    Frame { connection: u64, to: usize, frame: Vec<u8> },
    Connect,
    Synced { host: usize, life: u64, seq: u64 },
    Probed { host: usize, life: u64, probe: ProbeId },
    Act { client: usize },
    Retry { client: usize, xid: u32 },
    Trouble,
    Mend,
    Restart { host: usize },
    PowerOff { host: usize },
    Pair,
    Edit,
}

impl Event {
    /// The host whose node is to be given something.
    fn host(&self) -> Option<usize> {
        match self {
            Event::Packet { host, .. }
            | Event::Synced { host, .. }
            | Event::Probed { host, .. }
            | Event::LinkUp { to: host, .. }
            | Event::LinkDown { to: host, .. }
            | Event::Frame { to: host, .. } => Some(*host),
            _ => None,
        }
    }
}

pub(super) struct World {
    pub(super) now: Moment,
    pub(super) rng: Rng,
    pub(super) options: Options,
    queue: BTreeMap<(Moment, u64), Event>,
    queued: u64,
    wakes: [Option<Moment>; 2],
    pub(super) hosts: [Host; 2],
    pub(super) link: Link,
    pub(super) clients: Vec<Client>,
    /// The last address of the clients' pool; it begins at .100.
    pub(super) pool_last: u8,
    /// The last byte of the address reserved for device 0.
    pub(super) reserved: Option<u8>,
    /// Whether faults still happen.
    pub(super) troubled: bool,
    /// The one host the relay agent reaches; `None`: chosen anew for each packet.
    pub(super) reach: Option<Vec<usize>>,
    pub(super) edits: u64,
    pub(super) outcome: Outcome,
    trace: Vec<String>,
    same_moment: u32,
}

impl World {
    pub(super) fn new(seed: u64, options: Options) -> World {
        let mut rng = Rng::new(seed);
        let times = Times::scaled(MCLT, GUARD, CONTACT).expect("the constants are not zero");
        let hosts = [Host::new(Rank::Zero, &mut rng, times), Host::new(Rank::One, &mut rng, times)];
        let clients = (0..rng.range(3, 9)).map(|n| Client::new(n as u8)).collect();
        let pool_last = 100 + rng.range(3, 12) as u8;
        World {
            now: 0,
            rng,
            options,
            queue: BTreeMap::new(),
            queued: 0,
            wakes: [None; 2],
            hosts,
            link: Link::new(),
            clients,
            pool_last,
            reserved: None,
            troubled: true,
            reach: None,
            edits: 0,
            outcome: Outcome { digest: 0xcbf2_9ce4_8422_2325, ..Outcome::default() },
            trace: Vec::new(),
            same_moment: 0,
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
        let moment = self.now.to_le_bytes();
        for byte in moment.iter().chain(bytes) {
            self.outcome.digest =
                (self.outcome.digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(super) fn at(&mut self, moment: Moment, event: Event) {
        self.queued += 1;
        self.queue.insert((moment, self.queued), event);
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
        let queued = self.queue.first_key_value().map(|((moment, _), _)| (*moment, 2));
        let wakes = (0..2).filter_map(|host| Some((self.wakes[host]?, host)));
        let Some((moment, who)) = wakes.chain(queued).min() else { return Ok(false) };
        if moment > until {
            return Ok(false);
        }
        self.same_moment = if moment > self.now { 0 } else { self.same_moment + 1 };
        if self.same_moment > SPIN {
            return Err("something is done over and over without time passing".to_owned());
        }
        self.now = self.now.max(moment);
        self.outcome.events += 1;
        if who < 2 {
            self.feed(who, Input::Timeout)?;
        } else if let Some((_, event)) = self.queue.pop_first() {
            self.happen(event)?;
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
                self.feed(host, Input::Dhcp(received))
            }
            Event::Reply { client, payload } => self.reply(client, &payload),
            Event::LinkUp { connection, to } => self.link_up(connection, to),
            Event::LinkDown { connection, to } => self.link_down(connection, to),
            Event::Frame { connection, to, frame } => {
                let alive = connection == self.link.connection && !self.link.broken;
                if alive && self.link.open[to] {
                    self.feed(to, Input::Frame(&frame))?;
                }
                Ok(())
            }
            Event::Connect => self.connect(),
            Event::Synced { host, life, seq } => {
                let works = self.hosts[host].node.is_some() && !self.hosts[host].disk_failed;
                if self.hosts[host].life == life && works {
                    self.hosts[host].synced(seq);
                    self.feed(host, Input::Stored { seq })?;
                }
                Ok(())
            }
            Event::Probed { host, life, probe } => {
                if self.hosts[host].life == life {
                    self.feed(host, Input::ProbeDone { probe, result: ProbeResult::Silent })?;
                }
                Ok(())
            }
            Event::Act { client } => {
                self.act(client);
                Ok(())
            }
            Event::Retry { client, xid } => {
                let packet = self.clients[client].discover_again(self.now, xid);
                if let Some(packet) = packet {
                    self.send_packet(&packet);
                    self.after(4_000, Event::Retry { client, xid });
                }
                Ok(())
            }
            Event::Trouble => self.trouble(),
            // A repair planned while there were faults does not undo the last cut.
            Event::Mend => {
                if self.troubled {
                    self.mend_link();
                }
                Ok(())
            }
            Event::Restart { host } => self.restart(host),
            Event::PowerOff { host } => {
                if self.hosts[host].disk_failed {
                    self.crash(host);
                    self.after(500, Event::Restart { host });
                }
                Ok(())
            }
            Event::Pair => self.pair(),
            Event::Edit => self.edit(),
        }
    }

    /// Gives a host's node something, and does what it wants done.
    pub(super) fn feed(&mut self, host: usize, input: Input<'_>) -> Result<(), String> {
        let outputs = self.hosts[host].handle(self.now, input);
        self.obey(host, outputs)
    }

    pub(super) fn obey(&mut self, host: usize, outputs: Vec<Output>) -> Result<(), String> {
        self.plan_wake(host);
        for output in outputs {
            match output {
                Output::Dhcp(transmit) => self.transmit(host, transmit)?,
                Output::Send(frame) => {
                    self.digest(&frame);
                    if self.link.open[host] && !self.link.broken {
                        let to = 1 - host;
                        let at = self.link.arrival(self.now, to, &mut self.rng);
                        let connection = self.link.connection;
                        self.at(at, Event::Frame { connection, to, frame });
                    }
                }
                Output::CloseLink { reason } => {
                    self.note(|| format!("{} hangs up: {reason}", ["a", "b"][host]));
                    self.hang_up(host);
                }
                Output::Store(batch) => {
                    let (life, seq) = (self.hosts[host].life, batch.seq);
                    let at = self.hosts[host].write(self.now, batch, &mut self.rng);
                    self.at(at, Event::Synced { host, life, seq });
                }
                Output::Probe(probe) => {
                    let life = self.hosts[host].life;
                    self.after(300, Event::Probed { host, life, probe: probe.id });
                }
                Output::EditDone { result: Err(error @ EditError::Invalid(_)), .. } => {
                    return Err(format!("an edit was refused: {error}"));
                }
                Output::Event(event) => {
                    if event.what == EventKind::Entered(PairState::Normal) {
                        self.outcome.normals += 1;
                    }
                    if event.what == EventKind::Collision {
                        return Err(format!("two clients held an address: {}", event.why));
                    }
                    self.note(|| format!("{} {:?}: {}", event.who, event.what, event.why));
                }
                Output::Dropped(reason) => {
                    self.note(|| format!("{} is silent: {reason}", ["a", "b"][host]));
                }
                Output::DhcpEvent(event) => {
                    self.note(|| format!("{} {event:?}", ["a", "b"][host]));
                }
                Output::EditDone { .. }
                | Output::PartnerOffDone { .. }
                | Output::Stopped { .. }
                | Output::Removed
                | Output::ReleaseDone { .. }
                | Output::SettingsChanged
                | Output::Lists(_)
                | Output::ListsLink(_)
                | Output::LeasesChanged => {}
            }
        }
        Ok(())
    }

    fn transmit(&mut self, host: usize, transmit: Transmit) -> Result<(), String> {
        self.digest(&transmit.payload);
        let reply = Reply::parse(&transmit.payload)
            .ok_or_else(|| "a node sent something that is no DHCP reply".to_owned())?;
        self.check_reply(host, &reply)?;
        let client = usize::from(reply.mac[5]);
        if !self.troubled || !self.rng.chance(3) {
            let takes = self.rng.range(1, 40);
            self.after(takes, Event::Reply { client, payload: transmit.payload });
        }
        Ok(())
    }

    fn reply(&mut self, client: usize, payload: &[u8]) -> Result<(), String> {
        let Some(reply) = Reply::parse(payload) else { return Ok(()) };
        let held = self.clients[client].held;
        match self.clients[client].hear(self.now, &reply) {
            Heard::Nothing => Ok(()),
            Heard::Asks(packet) => {
                self.send_packet(&packet);
                Ok(())
            }
            Heard::Leased(held) => {
                self.outcome.leases += 1;
                self.note(|| format!("device {client} has {held:?}"));
                self.check_unique(client, held)
            }
            Heard::Denied => {
                self.note(|| format!("device {client} was denied"));
                self.check_denial(client, held)
            }
        }
    }

    /// Carries a client's packet to the hosts that hear it.
    pub(super) fn send_packet(&mut self, packet: &Packet) {
        let hearers: Vec<usize> = match (packet.to, &self.reach) {
            (Some(server), _) => (0..2).filter(|host| self.hosts[*host].addr == server).collect(),
            (None, Some(only)) => only.clone(),
            (None, None) => self.rng.pick(&[&[0][..], &[1], &[0, 1], &[0, 1]]).to_vec(),
        };
        for host in hearers {
            if self.troubled && self.rng.chance(7) {
                continue;
            }
            let takes = self.rng.range(1, 40);
            let dst = self.hosts[host].addr;
            let payload = packet.payload.clone();
            self.after(takes, Event::Packet { host, dst, src: packet.src, payload });
        }
        let kind = packet.payload.get(242).copied().unwrap_or(0);
        let name = if kind == Kind::Discover.code() { "DISCOVER" } else { "message" };
        self.note(|| format!("a {name} from {} to {:?}", packet.src, packet.to));
    }
}
