//! Work that everything else comes before.

#![allow(clippy::disallowed_methods, reason = "a shell: threads")]

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::thread;

use rustix::process::setpriority_process;
use rustix::thread::gettid;
use tracing::debug;

/// The least priority there is (nice(2)).
const LAST: i32 = 19;

/// What is read or written at once. Not every kernel lets another thread in while it copies.
const PIECE: usize = 64 << 10;

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

/// All of a file, in pieces.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let len = usize::try_from(file.metadata()?.len()).unwrap_or_default();
    let mut bytes = Vec::with_capacity(len);
    while (&mut file).take(PIECE as u64).read_to_end(&mut bytes)? > 0 {}
    Ok(bytes)
}

/// Writes all of `bytes`, in pieces.
pub fn write(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    bytes.chunks(PIECE).try_for_each(|piece| file.write_all(piece))
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn a_file_in_pieces_is_the_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("list");
        for len in [0, 1, PIECE, PIECE + 1, 3 * PIECE] {
            let bytes: Vec<u8> = (0..len).map(|at| at as u8).collect();
            write(&mut File::create(&path).expect("a file"), &bytes).expect("written");
            assert_eq!(read(&path).expect("read"), bytes);
        }
    }

    #[test]
    fn work_in_the_background_comes_last_and_its_starter_does_not() {
        let before = getpriority_process(Some(gettid())).expect("a priority");
        let there = behind_all(|| getpriority_process(Some(gettid())).expect("a priority"));
        assert_eq!(there, LAST);
        assert_eq!(getpriority_process(Some(gettid())).expect("a priority"), before);
    }
}
