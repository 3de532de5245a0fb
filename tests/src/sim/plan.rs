//! What is going to be done to the world, as data: drawn from the seed before the run, so that a
//! failing run can be made shorter by leaving steps out ([`super::shrink`]).
//!
//! Every seed draws its own rates: of most kinds of fault it has none, of some it has many. A run
//! that mixes everything evenly meets few of the combinations that matter.

use super::host::Moment;
use super::rng::Rng;
use super::{Focus, client::Manner};

/// A run before it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Decides everything that the plan does not.
    pub seed: u64,
    pub(super) shape: Shape,
    pub(super) steps: Vec<Step>,
}

/// What does not change during a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) manners: Vec<Manner>,
    /// The last address of the clients' pool; it begins at .100.
    pub(super) pool_last: u8,
    pub(super) probe: bool,
    /// The last byte of the address reserved for device 0 from the start.
    pub(super) reserved: Option<u8>,
    /// When the second host joins the first; `None`: both are new, and a pair from the start.
    pub(super) joins: Option<Moment>,
    /// How many of a thousand packets of clients are lost, and come twice.
    pub(super) loss: u64,
    pub(super) doubled: u64,
    /// Operators may say that a host is off which is not. No promise of uniqueness is left then;
    /// what is checked is that the two find together again.
    pub(super) lies: bool,
    /// Many devices look for an address whenever a host is back.
    pub(super) bustle: bool,
    /// How long faults happen.
    pub(super) length: Moment,
}

/// Something to be done at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) at: Moment,
    pub(super) what: Deed,
}

/// What is done. A fault brings its own end with it, so that both are left out together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// A device does what devices do.
    Device { client: usize, draw: u64 },
    /// The hosts cannot talk to each other.
    Cut(Cut),
    /// A host or its process ends, and begins again.
    Crash(Crash),
    /// A host stands still, as a virtual machine does that is moved.
    Pause { host: usize, lasts: Moment },
    /// The disk takes nothing any more, until some time after the host was restarted.
    DiskFails { host: usize, restart_after: Moment, lasts: Moment },
    /// The disk's content is copied away, to be put back by a later [`DiskFate::OldCopy`].
    Backup { host: usize },
    /// The host is stopped in order, and started again.
    Stop { host: usize, down_for: Moment, reboot: Option<Wall> },
    /// The host is taken out of service while its process runs on.
    Maintenance { host: usize, lasts: Moment },
    /// Somebody at this host says that the other one is off.
    Press { host: usize },
    /// The host is broken for good; later a new one joins in its place.
    Replace { host: usize, removed_after: Moment, joins_after: Moment },
    /// Somebody ends a lease by hand.
    Release { host: usize, draw: u64 },
    /// Somebody edits the household's settings.
    Edit { host: usize, draw: u64 },
}

/// The link between the hosts fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Whether what a host sends gets lost.
    pub(super) silences: [bool; 2],
    /// The connection is reset, but a new one can be made at once.
    pub(super) only_reset: bool,
    /// What is sent meanwhile arrives late, if the connection lives for that long.
    pub(super) kept: bool,
    /// The hosts cannot reach each other on any network, so that to each the other looks as if
    /// it were off.
    pub(super) everywhere: bool,
    /// When a host's system reports the end of the connection; `None`: it does not.
    pub(super) noticed: [Option<Moment>; 2],
    pub(super) lasts: Moment,
}

/// A host, or its process, ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crash {
    pub(super) host: usize,
    /// The host goes down, not only the process: the wall clock shows this when it is back.
    pub(super) power: Option<Wall>,
    pub(super) disk: DiskFate,
    pub(super) down_for: Moment,
    /// When somebody says at the other host that this one is off.
    pub(super) pressed: Option<Moment>,
}

/// What a wall clock shows after a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wall {
    Right,
    DayBehind,
    DayAhead,
    Epoch,
}

/// What a crash does to the disk, besides what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiskFate {
    Kept,
    /// The last generations cannot be read; the store notices and says so.
    Torn {
        generations: u64,
    },
    /// Some values fail their checksums; the store leaves them out and says so.
    Flipped {
        draw: u64,
    },
    /// The store is gone, and a new one takes its place.
    Lost,
    /// The store that was copied away earlier is in its place; nobody says so.
    OldCopy,
}

/// The kinds of fault that are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Cut,
    Crash,
    PowerCut,
    Pause,
    DiskFails,
    DiskLost,
    Torn,
    Flipped,
    OldCopy,
    Stop,
    Maintenance,
    PartnerOff,
    Press,
    Replace,
    Release,
    Edit,
}

/// Kinds with how common they are beside each other.
const KINDS: [(Kind, u64); 16] = [
    (Kind::Cut, 30),
    (Kind::Crash, 20),
    (Kind::PowerCut, 12),
    (Kind::Pause, 6),
    (Kind::DiskFails, 4),
    (Kind::DiskLost, 8),
    (Kind::Torn, 4),
    (Kind::Flipped, 4),
    (Kind::OldCopy, 4),
    (Kind::Stop, 8),
    (Kind::Maintenance, 4),
    (Kind::PartnerOff, 14),
    (Kind::Press, 3),
    (Kind::Replace, 2),
    (Kind::Release, 5),
    (Kind::Edit, 8),
];

impl Plan {
    /// The plan of a seed.
    pub(super) fn draw(seed: u64, focus: Focus) -> Plan {
        let mut rng = Rng::stream(seed, 1);
        let mut shape = draw_shape(&mut rng, focus);
        shape.bustle = Rng::stream(seed, 6).chance(25);
        let mut steps = Vec::new();
        draw_devices(&mut rng, &shape, &mut steps);
        draw_faults(&mut rng, &shape, focus, &mut steps);
        steps.sort_by_key(|step| step.at);
        Plan { seed, shape, steps }
    }

    /// How many steps it has.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The same run with only some of its steps, by their numbers.
    pub fn only(&self, numbers: &[usize]) -> Plan {
        let steps = numbers.iter().filter_map(|n| self.steps.get(*n).cloned()).collect();
        Plan { seed: self.seed, shape: self.shape.clone(), steps }
    }

    /// One line a step, for people.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.steps.iter().map(|step| format!("{:>9.3} {:?}", step.at as f64 / 1000.0, step.what))
    }
}

fn draw_shape(rng: &mut Rng, focus: Focus) -> Shape {
    let clients = rng.range(3, 8) as usize;
    let rude = rng.chance(25);
    let manners = (0..clients)
        .map(|_| match rng.range(0, 4) {
            0 if rude => rng.pick(&[Manner::Declines, Manner::Deaf, Manner::Floods]),
            _ => Manner::Polite,
        })
        .collect();
    let few = rng.chance(60);
    Shape {
        manners,
        pool_last: 100 + if few { rng.range(3, 8) } else { rng.range(8, 24) } as u8,
        probe: rng.chance(20),
        reserved: rng.chance(40).then(|| rng.range(100, 104) as u8),
        joins: rng.chance(20).then(|| rng.range(20_000, 200_000)),
        loss: rng.pick(&[0, 0, 20, 70, 150]),
        doubled: rng.pick(&[0, 0, 20, 100]),
        lies: focus == Focus::Lies || (focus == Focus::Everything && rng.chance(5)),
        bustle: false,
        length: rng.pick(&[250_000, 400_000, 700_000]),
    }
}

fn draw_devices(rng: &mut Rng, shape: &Shape, steps: &mut Vec<Step>) {
    for client in 0..shape.manners.len() {
        let mut at = rng.range(100, 40_000);
        let pace = rng.pick(&[15_000, 40_000, 40_000, 90_000]);
        while at < shape.length {
            steps.push(Step { at, what: Deed::Device { client, draw: rng.next() } });
            at += match rng.range(0, 4) {
                0 => rng.range(1_000, 6_000),
                1 => rng.range(pace, pace * 3),
                _ => rng.range(pace / 2, pace * 3 / 2),
            };
        }
    }
}

fn draw_faults(rng: &mut Rng, shape: &Shape, focus: Focus, steps: &mut Vec<Step>) {
    let weights: Vec<(Kind, u64)> = KINDS
        .iter()
        .map(|(kind, weight)| {
            let share = rng.pick(&[0, 0, 0, 1, 1, 3]);
            (*kind, weight * (share + focus.favours(*kind)))
        })
        .collect();
    if weights.iter().all(|(_, weight)| *weight == 0) {
        return;
    }
    let gaps = rng.pick(&[&[500, 4_000, 20_000][..], &[4_000, 60_000], &[60_000, 150_000]]);
    let mut at = rng.range(5_000, 120_000);
    while at < shape.length {
        let kind = rng.weighted(&weights);
        if kind == Kind::OldCopy {
            let host = rng.range(0, 2) as usize;
            let before = rng.range(at / 2, at);
            steps.push(Step { at: before, what: Deed::Backup { host } });
            steps.push(Step { at, what: crash(rng, host, DiskFate::OldCopy) });
        } else {
            steps.push(Step { at, what: draw_deed(rng, kind) });
        }
        let gap = rng.pick(gaps);
        at += rng.range(gap / 2, gap * 2);
    }
}

impl Focus {
    /// How much more common than usual a kind of fault is.
    fn favours(self, kind: Kind) -> u64 {
        let kinds: &[Kind] = match self {
            Focus::Everything => &[],
            Focus::Lies => &[Kind::Press, Kind::Cut],
            Focus::PartnerDown => &[Kind::PartnerOff, Kind::Cut],
            Focus::LostDisks => &[Kind::DiskLost, Kind::Torn, Kind::Cut],
            Focus::Alone => &[Kind::Replace, Kind::DiskFails],
        };
        if kinds.contains(&kind) { 6 } else { 0 }
    }
}

fn draw_deed(rng: &mut Rng, kind: Kind) -> Deed {
    let host = rng.range(0, 2) as usize;
    match kind {
        Kind::Cut => Deed::Cut(cut(rng)),
        Kind::Crash => Deed::Crash(Crash {
            host,
            power: None,
            disk: DiskFate::Kept,
            down_for: outage(rng),
            pressed: None,
        }),
        Kind::PowerCut | Kind::OldCopy => crash(rng, host, DiskFate::Kept),
        Kind::Pause => {
            let lasts = rng.pick(&[700, 5_000, 40_000]);
            Deed::Pause { host, lasts: rng.range(lasts / 2, lasts * 2) }
        }
        Kind::DiskFails => Deed::DiskFails {
            host,
            restart_after: rng.range(1_000, 60_000),
            lasts: rng.pick(&[0, 0, 30_000, 90_000]),
        },
        Kind::DiskLost => crash(rng, host, DiskFate::Lost),
        Kind::Torn => {
            let generations = rng.range(1, 4);
            crash(rng, host, DiskFate::Torn { generations })
        }
        Kind::Flipped => {
            let draw = rng.next();
            crash(rng, host, DiskFate::Flipped { draw })
        }
        Kind::Stop => {
            Deed::Stop { host, down_for: outage(rng), reboot: rng.chance(60).then(|| wall(rng)) }
        }
        Kind::Maintenance => Deed::Maintenance { host, lasts: outage(rng) },
        Kind::PartnerOff => {
            let pressed = rng.pick(&[1_000, 20_000, 60_000]);
            let pressed = rng.range(pressed, pressed * 2);
            Deed::Crash(Crash {
                host,
                power: Some(wall(rng)),
                disk: rng.weighted(&[(DiskFate::Kept, 8), (DiskFate::Lost, 1)]),
                down_for: pressed + outage(rng),
                pressed: Some(pressed),
            })
        }
        Kind::Press => Deed::Press { host },
        Kind::Replace => Deed::Replace {
            host,
            removed_after: rng.range(1_000, 100_000),
            joins_after: rng.range(1_000, 100_000),
        },
        Kind::Release => Deed::Release { host, draw: rng.next() },
        Kind::Edit => Deed::Edit { host, draw: rng.next() },
    }
}

fn crash(rng: &mut Rng, host: usize, disk: DiskFate) -> Deed {
    Deed::Crash(Crash { host, power: Some(wall(rng)), disk, down_for: outage(rng), pressed: None })
}

fn wall(rng: &mut Rng) -> Wall {
    rng.weighted(&[(Wall::Right, 7), (Wall::DayBehind, 1), (Wall::DayAhead, 1), (Wall::Epoch, 1)])
}

/// How long something is gone: shorter than a retry, than a lease, or longer.
fn outage(rng: &mut Rng) -> Moment {
    match rng.range(0, 3) {
        0 => rng.range(50, 3_000),
        1 => rng.range(3_000, 50_000),
        _ => rng.range(50_000, 350_000),
    }
}

fn cut(rng: &mut Rng) -> Cut {
    let silences = rng.weighted(&[([true, true], 6), ([true, false], 2), ([false, true], 2)]);
    let mut notice = || match rng.range(0, 10) {
        0..=3 => Some(rng.range(1, 500)),
        4..=5 => Some(rng.range(1_000, 20_000)),
        _ => None,
    };
    let noticed = [notice(), notice()];
    Cut {
        silences,
        only_reset: rng.chance(10),
        kept: rng.chance(40),
        everywhere: rng.chance(40),
        noticed,
        lasts: match rng.range(0, 3) {
            0 => rng.range(100, 5_000),
            1 => rng.range(5_000, 60_000),
            _ => rng.range(60_000, 350_000),
        },
    }
}
