//! What validating the answer to one question may cost, however its zones are made.
//!
//! Each set of records is cut to a few signatures before it is looked at ([`super::price`]), but an
//! answer can lead through sixteen zones, each forty labels deep, each with proofs of its own. So what
//! has been spent on a question is summed up: beyond a bound it fails. And before that, beyond what
//! any ordinary name needs, it goes on in a lane where only one question computes at a time, and pauses
//! for as long as it computed: others' questions wait for no such name.

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use crate::cache::FailureKind;

/// What signatures and denials that are looked at for one question may cost ([`super::price`]). The
/// reverse name of an IPv6 address, each label of which is denied by three records, needs about a
/// hundred signatures, when nothing is known yet.
pub(super) const MAX_SPENT: u32 = 400;

/// Questions for keys and delegations that one question may cause; the same name needs about forty.
pub(super) const MAX_ASKED: u32 = 100;

/// What may be spent before the rest is looked at in the slow lane. A name and three aliases in zones
/// of their own need twelve signatures.
const QUICK: u32 = 24;

/// Pauses are saved up to this, which the timer can measure.
const PAUSE: Duration = Duration::from_millis(4);

/// One question computes here at a time.
static SLOW_LANE: Semaphore = Semaphore::const_new(1);

tokio::task_local! {
    static SPENT: Spent;
}

#[derive(Debug, Default)]
struct Spent {
    /// For signatures and denials.
    looking: Cell<u32>,
    asked: Cell<u32>,
    /// For how long it has computed in the slow lane without a pause.
    owed: Cell<Duration>,
}

/// Runs what is done for one question within its bounds.
pub(in crate::forward) async fn bounded<T>(work: impl Future<Output = T>) -> T {
    match SPENT.try_with(|_| ()) {
        Ok(()) => work.await,
        Err(_) => SPENT.scope(Spent::default(), work).await,
    }
}

/// Whether so much has been spent on the question already that it is not begun once more.
pub(in crate::forward) fn is_costly() -> bool {
    SPENT.try_with(|spent| spent.looking.get() > QUICK).unwrap_or(false)
}

/// A question for keys or a delegation is about to be asked.
pub(super) fn ask() -> Result<(), FailureKind> {
    spend(|spent| &spent.asked, 1, MAX_ASKED).map(drop)
}

/// Something that costs so much is about to be looked at; what that makes in all.
pub(super) fn look_at(price: u32) -> Result<u32, FailureKind> {
    spend(|spent| &spent.looking, price, MAX_SPENT)
}

fn spend(of: fn(&Spent) -> &Cell<u32>, more: u32, bound: u32) -> Result<u32, FailureKind> {
    let spent = SPENT.try_with(|spent| {
        let all = of(spent).get().saturating_add(more);
        of(spent).set(all);
        all
    });
    match spent {
        Ok(all) if all > bound => Err(FailureKind::TooMuch),
        // Nobody's question: the root's keys, looked at ahead of all.
        Ok(all) => Ok(all),
        Err(_) => Ok(more),
    }
}

/// Computes what has been paid for; `all` is what [`look_at`] said.
pub(super) async fn compute<T>(all: u32, work: impl Future<Output = T>) -> T {
    if all <= QUICK {
        let done = work.await;
        // Others have waited meanwhile.
        tokio::task::yield_now().await;
        return done;
    }
    // Never closed.
    let _lane = SLOW_LANE.acquire().await.ok();
    let begun = Instant::now();
    let done = work.await;
    let owed = SPENT.try_with(|spent| spent.owed.get()).unwrap_or_default() + begun.elapsed();
    let pause = owed >= PAUSE;
    let _ = SPENT.try_with(|spent| spent.owed.set(if pause { Duration::ZERO } else { owed }));
    match pause {
        true => sleep(owed.min(10 * PAUSE)).await,
        false => tokio::task::yield_now().await,
    }
    done
}
