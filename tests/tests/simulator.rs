//! The simulator in the test suite: the promises hold, a broken rule is noticed, a seed replays.

use std::sync::atomic::{AtomicU64, Ordering};

use lanward_tests::sim::{Failure, Fault, Options, run};

/// Enough to meet every fault many times; `simulate --seeds` runs as many as one likes.
const SEEDS: u64 = 500;

/// The failures among `seeds`, at most one a thread.
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
    if let Some(failure) = failures(0..SEEDS, Options::default()).first() {
        // Once more, for the story of it.
        let trace = run(failure.seed, Options { trace: true, ..Options::default() });
        panic!("{}", trace.expect_err("a seed replays"));
    }
}

#[test]
fn every_broken_rule_is_noticed() {
    for fault in [Fault::PartnersHalf, Fault::NoMclt, Fault::NoAgreement, Fault::NoDurability] {
        let caught = failures(0..300, Options { fault: Some(fault), trace: false });
        assert!(!caught.is_empty(), "{fault:?} went unnoticed");
    }
}

#[test]
fn a_seed_replays_bit_for_bit() {
    for seed in [3, 14, 159] {
        let first = run(seed, Options::default()).expect("this seed keeps all promises");
        let again = run(seed, Options { trace: true, ..Options::default() }).expect("again");
        assert_eq!(first.digest, again.digest);
        assert_eq!((first.events, first.leases), (again.events, again.leases));
        assert!(first.leases > 0 && first.normals > 0);
    }
}
