//! Runs the simulator over many seeds, or replays one with its trace.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a command-line tool")]

use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use lanward_tests::sim::{Fault, Options, run};

/// Two real nodes in a simulated world.
#[derive(Parser)]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed; with --trace, the only one.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Run one seed and print what happened.
    #[arg(long)]
    trace: bool,
    /// Break a rule on purpose; the run is then expected to fail.
    #[arg(long)]
    fault: Option<Broken>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Broken {
    PartnersHalf,
    NoMclt,
    NoAgreement,
    NoDurability,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let fault = arguments.fault.map(|broken| match broken {
        Broken::PartnersHalf => Fault::PartnersHalf,
        Broken::NoMclt => Fault::NoMclt,
        Broken::NoAgreement => Fault::NoAgreement,
        Broken::NoDurability => Fault::NoDurability,
    });
    let options = Options { fault, trace: arguments.trace };
    if arguments.trace {
        return match run(arguments.seed, options) {
            Ok(outcome) => {
                outcome.trace.iter().for_each(|line| println!("{line}"));
                println!("seed {}: all promises kept", arguments.seed);
                ExitCode::SUCCESS
            }
            Err(failure) => {
                println!("{failure}");
                ExitCode::FAILURE
            }
        };
    }
    many(&arguments, options)
}

fn many(arguments: &Arguments, options: Options) -> ExitCode {
    let begun = Instant::now();
    let (mut failed, mut events, mut leases, mut crashes, mut cuts, mut normals) =
        (0_u64, 0, 0, 0, 0, 0);
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.seeds) {
        match run(seed, options) {
            Ok(outcome) => {
                events += outcome.events;
                leases += outcome.leases;
                crashes += outcome.crashes;
                cuts += outcome.cuts;
                normals += outcome.normals;
            }
            Err(failure) => {
                failed += 1;
                if failed <= 10 {
                    println!("{failure}");
                }
            }
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{} seeds, {failed} failed; {events} events, {leases} leases, {crashes} crashes, {cuts} \
         cuts, NORMAL entered {normals} times; {:.0} seeds a second",
        arguments.seeds,
        arguments.seeds as f64 / seconds
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
