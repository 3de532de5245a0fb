//! A trial: hosts under load to which something is done again and again.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::acks::AckLog;
use super::load::{IMPATIENT, Load};
use super::report::Report;
use super::stored::Stored;
use crate::lab::{Lab, Place, Side, Vlan, secs, wait_for};

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many faults.
    pub count: u64,
    /// What the moments and the victims are drawn from.
    pub seed: u64,
    /// One lone host instead of a pair.
    pub alone: bool,
    /// Devices on each of the two networks.
    pub devices: u16,
}

impl Plan {
    /// A pair with a crowd that keeps it busy.
    pub fn pair(count: u64, seed: u64) -> Plan {
        Plan { count, seed, alone: false, devices: 20 }
    }

    /// A lone host with such a crowd.
    pub fn alone(count: u64, seed: u64) -> Plan {
        Plan { alone: true, ..Plan::pair(count, seed) }
    }

    pub(super) fn sides(&self) -> &'static [Side] {
        if self.alone { &[Side::A] } else { &Side::BOTH }
    }
}

/// Hosts under load.
#[derive(Debug)]
pub struct Trial {
    /// What is done to them.
    pub plan: Plan,
    /// What came out so far.
    pub report: Report,
    pub(super) lab: Lab,
    pub(super) dice: Dice,
    log: Arc<AckLog>,
    loads: Vec<Load>,
    began: Instant,
}

impl Trial {
    /// Starts the hosts of `lab` and waits until they serve; then the devices come.
    pub fn start(mut lab: Lab, plan: Plan) -> Trial {
        if plan.alone {
            lab.start(Side::A);
        } else {
            lab.start_pair();
        }
        let log: Arc<AckLog> = Arc::default();
        let mut loads = Vec::new();
        for (number, vlan) in (1..).zip([Vlan::Home, Vlan::Iot]) {
            let netns = lab.household.plug_in(&format!("load{number}"), vlan, Place::Middle);
            loads.push(Load::start(netns, (number, plan.devices), IMPATIENT, &log));
        }
        let trial = Trial {
            plan,
            report: Report::default(),
            lab,
            dice: Dice::new(plan.seed),
            log,
            loads,
            began: Instant::now(),
        };
        let want = u64::from(plan.devices);
        let busy = wait_for(secs(20), || (trial.log.counts().0 > want).then_some(()));
        assert!(busy.is_some(), "the devices are not served: {:?}", trial.log.counts());
        trial.log.set_normal(!plan.alone);
        trial
    }

    /// What was promised so far.
    pub fn log(&self) -> &AckLog {
        &self.log
    }

    /// Lets the load go on for a random while.
    pub(super) fn go_on(&mut self, at_most: Duration) {
        std::thread::sleep(self.dice.below(at_most));
    }

    /// One or, now and then, both.
    pub(super) fn victims(&mut self) -> Vec<Side> {
        if self.plan.alone {
            return vec![Side::A];
        }
        match self.dice.number(10) {
            0 => Side::BOTH.to_vec(),
            one if one % 2 == 0 => vec![Side::A],
            _ => vec![Side::B],
        }
    }

    /// Compares what a data folder that no daemon uses holds with what was acknowledged.
    pub(super) fn compare(&mut self, side: Side, data_dir: &Path, until: Instant) {
        let fault = self.report.faults;
        self.report.compared += 1;
        match Stored::read(data_dir) {
            Ok(disk) => {
                let (looked_for, lost) = self.log.missing(side, &disk, until);
                self.report.looked_for += looked_for as u64;
                self.report.lost.extend(lost.iter().map(|it| format!("fault {fault}: {it}")));
            }
            Err(why) => self.report.unreadable.push(format!("fault {fault}: {side}: {why}")),
        }
    }

    /// Waits until both are in NORMAL; from then on a promise is one of both.
    #[track_caller]
    pub(super) fn back_to_normal(&mut self, since: Instant) {
        if self.plan.alone {
            return;
        }
        self.lab.normal_within(secs(25));
        self.report.to_normal.push(since.elapsed());
        self.log.set_normal(true);
    }

    /// Ends the load, waits until the tables are equal, and tells.
    #[track_caller]
    pub(super) fn end(mut self, last_fault: Instant) -> Report {
        if !self.plan.alone {
            self.lab.normal_within(secs(25));
            self.loads.clear();
            self.lab.tables_equal_within(secs(5));
            self.report.to_equal = last_fault.elapsed();
        }
        self.report.acknowledged = self.log.counts();
        self.report.shared = self.log.shared();
        self.report.refusals = self.log.refusals();
        self.report.took = self.began.elapsed();
        self.report
    }
}

/// Chance that can be repeated (xorshift).
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Less than `limit`.
    pub(super) fn number(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }

    pub(super) fn one_in(&mut self, many: u64) -> bool {
        self.number(many) == 0
    }

    /// Shorter than `limit`.
    pub(super) fn below(&mut self, limit: Duration) -> Duration {
        Duration::from_micros(self.number(u64::try_from(limit.as_micros()).unwrap_or(1)))
    }
}
