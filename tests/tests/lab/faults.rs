//! Kills and power cuts under load, a bounded number of each. `--bin faults` makes any number.

use lanward_tests::faults::{Plan, Report, kills, power_cuts};
use lanward_tests::lab::{Lab, Story};

/// Everything promised was kept, and enough was promised for that to mean something.
#[track_caller]
fn kept(story: &Story, report: &Report) {
    report.to_string().lines().for_each(|line| story.step(line));
    assert!(report.is_good(), "{report}");
    let enough = report.acknowledged.0 > report.faults && report.looked_for > report.faults * 10;
    assert!(enough, "too little was acknowledged to show anything: {report}");
}

#[test]
fn kill_nine_at_any_moment_costs_no_acknowledged_lease() {
    let Some(story) = Story::begin("a pair is killed at random moments") else { return };
    kept(&story, &kills(Lab::build("kills"), Plan::pair(16, 1), |_| ()));
}

#[test]
fn kill_nine_costs_a_lone_host_no_acknowledged_lease() {
    let Some(story) = Story::begin("a lone host is killed at random moments") else { return };
    kept(&story, &kills(Lab::build("lone-kills"), Plan::alone(6, 2), |_| ()));
}

#[test]
fn a_power_cut_at_any_moment_costs_no_acknowledged_lease() {
    let Some(story) = Story::begin_on_disks("the power goes at random moments") else { return };
    kept(&story, &power_cuts(Lab::build("cuts"), Plan::pair(40, 3), |_| ()));
}

#[test]
fn a_power_cut_costs_a_lone_host_no_acknowledged_lease() {
    let Some(story) = Story::begin_on_disks("the power of a lone host goes") else { return };
    kept(&story, &power_cuts(Lab::build("lone-cuts"), Plan::alone(10, 4), |_| ()));
}
