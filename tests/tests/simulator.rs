//! The simulator in the test suite: the promises hold, a broken rule is noticed, a seed replays.
//!
//! `LANWARD_SIM_SEEDS` says how many seeds are run for the promises; `.ci/run` asks for 20,000.

use std::sync::atomic::{AtomicU64, Ordering};

use lanward_tests::sim::{Failure, Fault, Focus, Options, plan, run, run_plan, shrink};

/// Enough to meet every fault many times; `simulate --seeds` runs as many as one likes.
const SEEDS: u64 = 1_000;
/// A broken rule has to be found within as many.
const SEARCHED: u64 = 20_000;

/// The failures among `seeds`, at most one a thread, those of the lowest seeds.
fn failures(seeds: std::ops::Range<u64>, options: Options) -> Vec<Failure> {
    let next = AtomicU64::new(seeds.start);
    let search = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return None;
            }
            if let Err(failure) = run(seed, options) {
                next.store(seeds.end, Ordering::Relaxed);
                return Some(*failure);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(search)).collect();
        workers.into_iter().filter_map(|worker| worker.join().expect("no seed panics")).collect()
    })
}

#[test]
fn no_fault_breaks_a_promise() {
    let seeds = std::env::var("LANWARD_SIM_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    if let Some(failure) = failures(0..seeds.unwrap_or(SEEDS), Options::default()).first() {
        // Once more, as short as it can be made, for the story of it.
        let whole = plan(failure.seed, Focus::Everything);
        let kept = shrink(&whole, Options::default(), failure.promise());
        let options = Options { trace: true, ..Options::default() };
        let story = run_plan(&whole.only(&kept), options).0.expect_err("a plan replays");
        panic!("{story}\nseed {}: {}", failure.seed, failure.broken);
    }
}

/// Every rule of the pair, switched off, is missed. Where a rule matters only after rare faults,
/// the worlds are about those.
#[test]
fn every_broken_rule_is_noticed() {
    let rules = [
        (Fault::PartnersHalf, Focus::Everything),
        (Fault::NoAgreement, Focus::Everything),
        (Fault::NoMclt, Focus::Everything),
        (Fault::FalsePartnerDown, Focus::Everything),
        (Fault::NoHold, Focus::LostDisks),
        (Fault::NoHandshake, Focus::PartnerDown),
        (Fault::NoWait, Focus::LostDisks),
        (Fault::RecoveringWins, Focus::PartnerDown),
        (Fault::NoDurability, Focus::Everything),
        (Fault::OffersForgotten, Focus::Everything),
        (Fault::UnsavedForgotten, Focus::Alone),
    ];
    for (fault, focus) in rules {
        let options = Options { fault: Some(fault), focus, trace: false };
        let caught = failures(0..SEARCHED, options);
        assert!(!caught.is_empty(), "{fault:?} went unnoticed");
    }
}

#[test]
fn a_seed_replays_bit_for_bit() {
    for seed in [3, 14, 159] {
        let first = run(seed, Options::default()).expect("this seed keeps all promises");
        let options = Options { trace: true, ..Options::default() };
        let (again, trace) = run_plan(&plan(seed, Focus::Everything), options);
        assert_eq!(again.expect("again"), first);
        assert!(first.leases > 0 && first.normals > 0 && !trace.is_empty());
    }
}

#[test]
fn a_failing_seed_shrinks_to_what_it_needs() {
    let options = Options { fault: Some(Fault::PartnersHalf), ..Options::default() };
    let failure = failures(0..SEARCHED, options).remove(0);
    let whole = plan(failure.seed, Focus::Everything);
    let kept = shrink(&whole, options, failure.promise());
    assert!(kept.len() < whole.len() / 4, "{} of {} steps", kept.len(), whole.len());
    let again = run_plan(&whole.only(&kept), options).0.expect_err("the rest still fails");
    assert_eq!(again.promise(), failure.promise());
}
