//! The power goes.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::disk::{Disk, Shelf};
use super::report::Report;
use super::trial::{Plan, Trial};
use crate::lab::{Lab, Side, secs, wait_for};

/// Each so-manieth cut is one for the daemon, too: it is started again from what its disk held.
const REAL: u64 = 10;

/// Takes what a host's disk held at a random instant, in the middle of flushes as well, and
/// compares it with what was acknowledged before, `plan.count` times. Each tenth time the host's
/// daemon ends with the power and starts again from that disk.
#[track_caller]
pub fn power_cuts(mut lab: Lab, plan: Plan, mut told: impl FnMut(&Report)) -> Report {
    // Dropped after the trial, whose daemons use them.
    let shelf = Shelf::create();
    let mut disks: Vec<(Side, Disk)> = Vec::new();
    for side in plan.sides() {
        let disk = shelf.disk(&side.letter().to_string());
        lab.daemon_mut(*side).keep_data_in(disk.folder());
        disks.push((*side, disk));
    }
    let mut trial = Trial::start(lab, plan);
    let mut last = Instant::now();
    while trial.report.faults < plan.count {
        trial.go_on(Duration::from_millis(60));
        let victims = trial.victims();
        trial.report.faults += 1;
        let real = trial.report.faults.is_multiple_of(REAL);
        let victims = disks.iter_mut().filter(|(side, _)| victims.contains(side));
        if real {
            last = cut(&mut trial, victims.map(|(side, disk)| (*side, disk)).collect());
        } else {
            for (side, disk) in victims {
                look(&mut trial, *side, disk);
            }
        }
        told(&trial.report);
    }
    trial.end(last)
}

/// Takes what the disk holds while its host goes on.
fn look(trial: &mut Trial, side: Side, disk: &Disk) {
    let until = Instant::now();
    let held = disk.clone_now();
    let folder = trial.lab.dir().join("cut");
    let _mounted = held.mounted(&folder);
    trial.compare(side, &folder, until);
}

/// The hosts stand still, their disks keep what they hold, and that is what they start from.
#[track_caller]
fn cut(trial: &mut Trial, victims: Vec<(Side, &mut Disk)>) -> Instant {
    trial.log().set_normal(false);
    for (side, _) in &victims {
        stop(trial, *side);
    }
    // What was on the wire arrives; a node that stands still promises nothing more.
    std::thread::sleep(Duration::from_millis(10));
    let until = Instant::now();
    let mut sides = Vec::new();
    for (side, disk) in victims {
        let held = disk.clone_now();
        trial.lab.daemon_mut(side).kill();
        disk.becomes(held);
        let folder = trial.lab.daemon(side).data_dir();
        trial.compare(side, &folder, until);
        sides.push(side);
    }
    let since = Instant::now();
    for side in sides {
        trial.lab.launch(side);
    }
    if trial.plan.alone {
        trial.lab.daemon(Side::A).answers_within(secs(5));
    }
    trial.back_to_normal(since);
    since
}

/// Stops a daemon where it is and waits until none of its threads runs.
fn stop(trial: &Trial, side: Side) {
    let process = trial.lab.daemon(side).process().expect("it runs");
    process.signal(Signal::SIGSTOP);
    let tasks = format!("/proc/{}/task", process.pid());
    let all_stopped = || {
        let tasks = std::fs::read_dir(&tasks).ok()?;
        let stopped = tasks.filter_map(Result::ok).all(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            // pid (name) state ...
            stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
        });
        stopped.then_some(())
    };
    assert!(wait_for(secs(5), all_stopped).is_some(), "{side} does not stand still");
}
