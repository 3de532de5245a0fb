//! One host: its node while it runs, its clock, its disk, and who it takes for its partner.

use std::net::Ipv4Addr;
use std::time::Duration;

use lanward::io::clock::{BootId, NodeClock};
use lanward::node::{Input, Node, NodeConfig, Output};
use lanward::settings::HostView;
use lanward_dhcp::Time;
use lanward_ha::{ClusterId, Fault, PairConfig, PairState, Partner, Rank, StoreId, Times};

use super::disk::Disk;
use super::plan::Wall;
use super::rng::Rng;

/// True time, in milliseconds since the world began.
pub(super) type Moment = u64;

/// How often the clock's floor is stored.
const FLOOR_EVERY: Moment = 15_000;
const DAY_MS: u64 = 86_400_000;

/// What keeps a host from running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Down {
    /// Its process ended; the host itself answers on its networks.
    Process,
    /// It is off.
    Power,
}

/// Who a host is to its partner, as its `partner.json` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paired {
    pub(super) cluster: ClusterId,
    pub(super) rank: Rank,
}

pub(super) struct Host {
    pub(super) name: &'static str,
    pub(super) addr: Ipv4Addr,
    pub(super) node: Option<Node>,
    pub(super) down: Option<Down>,
    /// Counts the lives of the node; an event of an earlier life is void.
    pub(super) life: u64,
    pub(super) paired: Option<Paired>,
    pub(super) disk: Disk,
    /// The host stands still until then.
    pub(super) paused_until: Moment,
    /// It was asked to stop, at that moment, and has not said that it has.
    pub(super) stopping: Option<Moment>,
    /// That stop is for maintenance: the process runs on.
    pub(super) stays_up: bool,
    /// How long it is down after that stop, and what its wall clock shows if it is rebooted.
    pub(super) after_stop: Option<(Moment, Option<Wall>)>,
    /// It runs, and was taken out of service.
    pub(super) maintained: bool,
    /// What its wall clock shows at the next boot.
    pub(super) wall: Wall,
    /// The state in effect, as the node last told; it survives a restart.
    pub(super) state: PairState,
    clock: Clock,
    stores: u8,
    times: Times,
}

/// A host's clocks.
struct Clock {
    node: NodeClock,
    boots: u8,
    booted: Moment,
    started: Moment,
    /// What the wall clock would show at the beginning of the world.
    epoch_ms: u64,
    drift_ppm: i64,
}

impl Host {
    pub(super) fn new(number: u8, mut rng: Rng, times: Times) -> Host {
        let clock = Clock {
            node: NodeClock::resume(None, BootId([0; 16]), Duration::ZERO, Duration::ZERO),
            boots: 0,
            booted: 0,
            started: 0,
            // Two days apart at most: nothing may depend on what the other's clock says.
            epoch_ms: 1_700_000_000_000 + rng.range(0, 2 * DAY_MS),
            drift_ppm: rng.range(0, 401) as i64 - 200,
        };
        let mut host = Host {
            name: ["a", "b"][usize::from(number)],
            addr: Ipv4Addr::new(192, 0, 2, number + 1),
            node: None,
            down: Some(Down::Power),
            life: 0,
            paired: None,
            disk: Disk::new(StoreId([0; 16]), rng),
            paused_until: 0,
            stopping: None,
            stays_up: false,
            after_stop: None,
            maintained: false,
            wall: Wall::Right,
            state: PairState::Startup,
            clock,
            stores: number * 100,
            times,
        };
        host.new_store();
        host.boot(0, Wall::Right);
        host
    }

    /// An empty store takes the place of the one there was.
    pub(super) fn new_store(&mut self) {
        self.stores += 1;
        self.disk.lose(StoreId([self.stores; 16]));
    }

    /// The node's time at a moment.
    pub(super) fn clock(&self, at: Moment) -> Time {
        self.clock.node.at(self.clock.since_boot(at))
    }

    /// The first moment at which the node's clock shows `time` or more.
    pub(super) fn moment(&self, time: Time, now: Moment) -> Moment {
        let left = time.since(self.clock(now)).as_millis() as u64;
        let mut at = now + left - left * self.clock.drift_ppm.unsigned_abs() / 1_000_000;
        while self.clock(at) < time {
            at += (time.since(self.clock(at)).as_millis() as u64).max(1);
        }
        at
    }

    /// The host is switched on; its wall clock shows something.
    pub(super) fn boot(&mut self, now: Moment, wall: Wall) {
        self.clock.boots += 1;
        self.clock.booted = now;
        self.clock.started = now;
        let right = self.clock.epoch_ms + now;
        let shown = match wall {
            Wall::Right => right,
            Wall::DayBehind => right - DAY_MS,
            Wall::DayAhead => right + DAY_MS,
            Wall::Epoch => 20_000,
        };
        self.resume_clock(now, shown);
    }

    fn resume_clock(&mut self, now: Moment, wall_ms: u64) {
        self.clock.started = now;
        let boot = BootId([self.clock.boots; 16]);
        let (floor, up) = (self.disk.floor(), self.clock.since_boot(now));
        self.clock.node = NodeClock::resume(floor, boot, up, Duration::from_millis(wall_ms));
    }

    /// What the running node has stored of its clock by `now`.
    pub(super) fn store_floor(&mut self, now: Moment) {
        let run = now - self.clock.started;
        let at = self.clock.started + run - run % FLOOR_EVERY;
        let floor = self.clock.node.floor_at(self.clock.since_boot(at));
        self.disk.save_floor(floor);
    }

    pub(super) fn config(&self) -> PairConfig {
        let partner = self.paired.map(|paired| Partner {
            name: if self.name == "a" { "b" } else { "a" }.to_owned(),
            cluster: paired.cluster,
            rank: paired.rank,
        });
        PairConfig {
            node: self.name.to_owned(),
            store: self.disk.store(),
            partner,
            times: self.times,
        }
    }

    /// The process begins. After a boot the clock has been set by [`Host::boot`].
    pub(super) fn start(&mut self, now: Moment, seed: u64, fault: Option<Fault>) {
        if self.down == Some(Down::Process) {
            let wall = self.clock.epoch_ms + now;
            self.resume_clock(now, wall);
        }
        let mut restored = self.disk.open(now);
        restored.downtime_unknown = self.clock.node.downtime_unknown();
        let host = HostView {
            node: self.name.to_owned(),
            addresses: vec![self.addr.into()],
            ..HostView::default()
        };
        let config = NodeConfig { pair: self.config(), host };
        let bytes = seed.to_le_bytes().repeat(4).try_into().unwrap_or_default();
        self.node = Some(Node::with_fault(config, &restored, self.clock(now), bytes, fault));
        self.down = None;
        self.life += 1;
    }

    /// Whether its node does anything at `now`.
    pub(super) fn runs(&self, now: Moment) -> bool {
        self.node.is_some() && self.paused_until <= now
    }

    /// The process ends without warning.
    pub(super) fn crash(&mut self, now: Moment, down: Down) {
        self.disk.cut_off();
        self.store_floor(now);
        self.end(down);
    }

    /// The process ends after it has written everything.
    pub(super) fn close(&mut self, now: Moment, down: Down) {
        self.disk.close();
        let floor = self.clock.node.floor_at(self.clock.since_boot(now));
        self.disk.save_floor(floor);
        self.end(down);
    }

    fn end(&mut self, down: Down) {
        self.node = None;
        self.down = Some(down);
        self.paused_until = 0;
        self.stopping = None;
        self.maintained = false;
    }

    pub(super) fn handle(&mut self, now: Moment, input: Input<'_>) {
        let clock = self.clock(now);
        if let Some(node) = &mut self.node {
            node.handle(clock, input);
        }
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.node.as_mut()?.poll_output()
    }

    /// When the node wants to be woken.
    pub(super) fn wake(&self, now: Moment) -> Option<Moment> {
        let (time, _) = self.node.as_ref()?.poll_timeout()?;
        Some(self.moment(time, now).max(self.paused_until))
    }
}

impl Clock {
    fn since_boot(&self, at: Moment) -> Duration {
        let up = at.saturating_sub(self.booted);
        let drift = up as i64 * self.drift_ppm / 1_000_000;
        Duration::from_millis(up.saturating_add_signed(drift))
    }
}
