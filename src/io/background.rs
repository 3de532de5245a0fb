//! Work that everything else comes before.

#![allow(clippy::disallowed_methods, reason = "a shell: threads")]

use std::thread;

use rustix::process::setpriority_process;
use rustix::thread::gettid;
use tracing::debug;

/// The least priority there is (nice(2)).
const LAST: i32 = 19;

/// Does `work`, which may take long, on a thread of its own that runs when no other wants the
/// processor, and waits for it: an answer is never late because a list is read on the same core. A
/// panic in it is a panic here.
pub fn behind_all<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let done = thread::scope(|scope| {
        let named = thread::Builder::new().name("background".to_owned());
        let thread = named.spawn_scoped(scope, || {
            // On Linux a priority is a thread's own, although its name says otherwise.
            if let Err(error) = setpriority_process(Some(gettid()), LAST) {
                debug!("the background thread is not made to come last: {error}");
            }
            work()
        });
        thread.map(thread::ScopedJoinHandle::join)
    });
    match done {
        Ok(Ok(done)) => done,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(error) => panic!("a thread for work in the background cannot be started: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn work_in_the_background_comes_last_and_its_starter_does_not() {
        let before = getpriority_process(Some(gettid())).expect("a priority");
        let there = behind_all(|| getpriority_process(Some(gettid())).expect("a priority"));
        assert_eq!(there, LAST);
        assert_eq!(getpriority_process(Some(gettid())).expect("a priority"), before);
    }
}
