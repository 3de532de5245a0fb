//! Runs the simulator over many seeds, or replays one with its trace, as it is or made shorter.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a command-line tool")]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use clap::{Parser, ValueEnum};
use lanward_tests::sim::{Failure, Fault, Focus, Options, Outcome, plan, run, run_plan, shrink};

/// Two real nodes in a simulated world.
#[derive(Parser)]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed; with --trace or --shrink, the only one.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many threads; as many as there are processors when absent.
    #[arg(long)]
    threads: Option<usize>,
    /// Run one seed and print what happened.
    #[arg(long)]
    trace: bool,
    /// Run one seed, leave out of it what is not needed for its failure, and print the rest.
    #[arg(long)]
    shrink: bool,
    /// Run one seed with these steps of its plan only, as --shrink names them.
    #[arg(long, value_delimiter = ',')]
    only: Option<Vec<usize>>,
    /// What most faults are about.
    #[arg(long, default_value = "everything")]
    focus: Choice<Focus>,
    /// Break a rule on purpose; the run is then expected to fail.
    #[arg(long)]
    fault: Option<Choice<Fault>>,
    /// Stop at the first failure.
    #[arg(long)]
    first: bool,
}

/// A name on the command line for something the library has.
#[derive(Clone, Copy, Debug)]
struct Choice<T>(T);

impl ValueEnum for Choice<Focus> {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Choice(Focus::Everything),
            Choice(Focus::PartnerDown),
            Choice(Focus::LostDisks),
            Choice(Focus::Alone),
            Choice(Focus::Lies),
        ]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(match self.0 {
            Focus::Everything => "everything",
            Focus::PartnerDown => "partner-down",
            Focus::LostDisks => "lost-disks",
            Focus::Alone => "alone",
            Focus::Lies => "lies",
        }))
    }
}

impl ValueEnum for Choice<Fault> {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Choice(Fault::PartnersHalf),
            Choice(Fault::NoAgreement),
            Choice(Fault::NoMclt),
            Choice(Fault::FalsePartnerDown),
            Choice(Fault::NoHold),
            Choice(Fault::NoHandshake),
            Choice(Fault::NoWait),
            Choice(Fault::RecoveringWins),
            Choice(Fault::NotDrained),
            Choice(Fault::NoDurability),
            Choice(Fault::OffersForgotten),
            Choice(Fault::UnsavedForgotten),
        ]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(match self.0 {
            Fault::PartnersHalf => "partners-half",
            Fault::NoAgreement => "no-agreement",
            Fault::NoMclt => "no-mclt",
            Fault::FalsePartnerDown => "false-partner-down",
            Fault::NoHold => "no-hold",
            Fault::NoHandshake => "no-handshake",
            Fault::NoWait => "no-wait",
            Fault::RecoveringWins => "recovering-wins",
            Fault::NotDrained => "not-drained",
            Fault::NoDurability => "no-durability",
            Fault::OffersForgotten => "offers-forgotten",
            Fault::UnsavedForgotten => "unsaved-forgotten",
        }))
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let fault = arguments.fault.map(|choice| choice.0);
    let options = Options { fault, focus: arguments.focus.0, trace: false };
    if arguments.trace || arguments.shrink || arguments.only.is_some() {
        return one(&arguments, options);
    }
    many(&arguments, options)
}

fn one(arguments: &Arguments, options: Options) -> ExitCode {
    let mut plan = plan(arguments.seed, options.focus);
    if let Some(numbers) = &arguments.only {
        plan = plan.only(numbers);
    }
    if arguments.shrink {
        let Err(failure) = run_plan(&plan, options).0 else {
            println!("seed {}: all promises kept, nothing to shrink", arguments.seed);
            return ExitCode::SUCCESS;
        };
        let kept = shrink(&plan, options, failure.promise());
        let list: Vec<String> = kept.iter().map(ToString::to_string).collect();
        println!("{} of {} steps are needed: --only {}", kept.len(), plan.len(), list.join(","));
        plan = plan.only(&kept);
    }
    plan.lines().for_each(|line| println!("{line}"));
    println!();
    match run_plan(&plan, Options { trace: true, ..options }) {
        (Ok(outcome), trace) => {
            trace.iter().for_each(|line| println!("{line}"));
            println!("seed {}: all promises kept; {outcome:?}", arguments.seed);
            ExitCode::SUCCESS
        }
        (Err(failure), _) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// What many runs came to.
#[derive(Default)]
struct Sum {
    all: Outcome,
    failures: Vec<Failure>,
    failed: u64,
}

impl Sum {
    fn add(&mut self, result: Result<Outcome, Box<Failure>>) {
        match result {
            Ok(one) => {
                let all = &mut self.all;
                all.events += one.events;
                all.leases += one.leases;
                all.crashes += one.crashes;
                all.cuts += one.cuts;
                all.normals += one.normals;
                all.disks += one.disks;
                all.stops += one.stops;
                all.handed_over += one.handed_over;
                all.partner_offs += one.partner_offs;
                all.replaced += one.replaced;
                all.best_effort += one.best_effort;
            }
            Err(failure) => {
                self.failed += 1;
                if self.failures.len() < 1000 {
                    self.failures.push(*failure);
                }
            }
        }
    }
}

fn many(arguments: &Arguments, options: Options) -> ExitCode {
    let begun = Instant::now();
    let end = arguments.seed.saturating_add(arguments.seeds);
    let next = AtomicU64::new(arguments.seed);
    let enough = AtomicBool::new(false);
    let sum = Mutex::new(Sum::default());
    let work = || {
        let mut own = Sum::default();
        while !enough.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                break;
            }
            let result = run(seed, options);
            if arguments.first && result.is_err() {
                enough.store(true, Ordering::Relaxed);
            }
            own.add(result);
        }
        if let Ok(mut sum) = sum.lock() {
            sum.add(Ok(own.all));
            sum.failed += own.failed;
            sum.failures.extend(own.failures);
        }
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.unwrap_or(processors) {
            scope.spawn(work);
        }
    });
    let Ok(mut sum) = sum.into_inner() else { return ExitCode::FAILURE };
    sum.failures.sort_by_key(|failure| failure.seed);
    sum.failures.iter().take(20).for_each(|failure| println!("{failure}"));
    let done = next.into_inner().min(end) - arguments.seed;
    let seconds = begun.elapsed().as_secs_f64();
    let all = &sum.all;
    println!(
        "{done} seeds, {} failed; {} events, {} leases, {} crashes, {} cuts, {} disks lost or \
         damaged, {} stops ({} handed over), partner taken for off {} times, {} hosts replaced; \
         NORMAL entered {} times; uniqueness given up in {} runs; {:.0} seeds a second",
        sum.failed,
        all.events,
        all.leases,
        all.crashes,
        all.cuts,
        all.disks,
        all.stops,
        all.handed_over,
        all.partner_offs,
        all.replaced,
        all.normals,
        all.best_effort,
        done as f64 / seconds
    );
    if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
