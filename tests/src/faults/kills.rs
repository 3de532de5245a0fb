//! kill -9 at random moments.

use std::time::{Duration, Instant};

use super::report::Report;
use super::stored;
use super::trial::{Plan, Trial};
use crate::lab::{Lab, Side};

/// Kills a host, or both, at a random moment, compares its disk with what was acknowledged, and
/// starts it again, `plan.count` times; `told` hears how far it is.
#[track_caller]
pub fn kills(lab: Lab, plan: Plan, mut told: impl FnMut(&Report)) -> Report {
    let mut trial = Trial::start(lab, plan);
    let mut last = Instant::now();
    while trial.report.faults < plan.count {
        trial.go_on(Duration::from_millis(250));
        let victims = trial.victims();
        trial.log().set_normal(false);
        for side in &victims {
            trial.lab.daemon_mut(*side).kill();
        }
        trial.report.faults += 1;
        // What was on the wire arrives; a dead node promises nothing more.
        std::thread::sleep(Duration::from_millis(10));
        for side in &victims {
            compare(&mut trial, *side);
        }
        last = Instant::now();
        for side in &victims {
            trial.lab.launch(*side);
        }
        // Now and then the next one comes while the node still starts.
        if trial.plan.alone {
            trial.lab.daemon(Side::A).answers_within(Duration::from_secs(5));
        } else if !trial.dice.one_in(4) {
            trial.back_to_normal(last);
        }
        told(&trial.report);
    }
    trial.end(last)
}

/// Looks at the dead node's store in a copy, so that the node itself finds it as it was left.
fn compare(trial: &mut Trial, side: Side) {
    let copy = trial.lab.dir().join("copy");
    let data_dir = trial.lab.daemon(side).data_dir();
    stored::copy(&data_dir, &copy).expect("a store can be copied");
    trial.compare(side, &copy, Instant::now());
    std::fs::remove_dir_all(&copy).expect("a copy can be removed");
}
