//! Makes a failing run shorter: steps of its plan are left out for as long as it still breaks the
//! same promise.

use super::{Options, Plan, run_plan};

/// Runs tried at most.
const TRIES: usize = 4_000;

/// The numbers of the steps that are needed for the plan to break `promise`. Halves are tried
/// first, then quarters, and so on down to single steps (delta debugging, Zeller 1999).
pub fn shrink(plan: &Plan, options: Options, promise: &str) -> Vec<usize> {
    let options = Options { trace: false, ..options };
    let fails = |kept: &[usize]| {
        let failure = run_plan(&plan.only(kept), options).0.err();
        failure.is_some_and(|failure| failure.promise() == promise)
    };
    let mut kept: Vec<usize> = (0..plan.len()).collect();
    let mut size = kept.len().div_ceil(2);
    let mut tries = 0;
    while size > 0 && tries < TRIES {
        let mut at = 0;
        let mut shorter = false;
        while at < kept.len() && tries < TRIES {
            tries += 1;
            let end = (at + size).min(kept.len());
            let without: Vec<usize> = [&kept[..at], &kept[end..]].concat();
            if fails(&without) {
                kept = without;
                shorter = true;
            } else {
                at = end;
            }
        }
        if size == 1 && !shorter {
            break;
        }
        size = if size == 1 { 1 } else { size.div_ceil(2) };
    }
    kept
}
