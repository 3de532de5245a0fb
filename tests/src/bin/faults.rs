//! Real faults in the lab, as many as one likes.
//!
//! `cargo build && cargo run -p lanward-tests --bin faults -- kill --count 1000`, as root.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a command-line tool")]

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use lanward_tests::faults::{Plan, Report, kills, power_cuts};
use lanward_tests::lab::{Lab, Story};

/// Hosts under a DHCP load, to which the same fault happens again and again; what was
/// acknowledged is compared with what their disks hold.
#[derive(Parser)]
struct Arguments {
    /// What happens.
    fault: Fault,
    /// How often.
    #[arg(long, default_value_t = 100)]
    count: u64,
    /// What the moments and the victims are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One lone host instead of a pair.
    #[arg(long)]
    alone: bool,
    /// Devices on each of the two networks.
    #[arg(long, default_value_t = 20)]
    devices: u16,
}

#[derive(Clone, Copy, ValueEnum)]
enum Fault {
    /// SIGKILL.
    Kill,
    /// Everything the disk was not given is lost.
    PowerCut,
}

fn main() -> ExitCode {
    let Arguments { fault, count, seed, alone, devices } = Arguments::parse();
    let plan = Plan { count, seed, alone, devices };
    let Some(story) = Story::begin_on_disks(&format!("{count} faults")) else {
        return ExitCode::FAILURE;
    };
    let told = |report: &Report| {
        if report.faults.is_multiple_of(50) {
            let (lost, unreadable) = (report.lost.len(), report.unreadable.len());
            story.step(&format!("{}: {lost} lost, {unreadable} unreadable", report.faults));
        }
    };
    let lab = Lab::build("faults");
    let report = match fault {
        Fault::Kill => kills(lab, plan, told),
        Fault::PowerCut => power_cuts(lab, plan, told),
    };
    println!("{report}");
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
