//! The store: the durable log behind the pair's state, one redb file in the data folder.
//!
//! Everything the node knows lives in memory; the store only has to hold what was reported
//! durable, and to say so when it cannot. So it has one table of keys and values and two rules:
//!
//! - **Reported means on the disk.** One thread writes. It takes all batches that wait, commits
//!   them with one fdatasync, and only then reports the highest number. An error is reported once
//!   and ends the store: a disk that has failed a flush has lost what it was given, and a retry
//!   that succeeds proves nothing.
//! - **Damaged is never served.** redb's own checksums are verified over the whole file at start,
//!   and each value carries a CRC of itself and its key. A file that does not verify is moved
//!   aside, an empty one takes its place under a new store id, and the caller is told: in a pair
//!   that is a lost disk, refilled by the partner.
#![allow(
    clippy::disallowed_methods,
    reason = "a damaged store is moved aside under the wall clock's time; a store's name is random"
)]

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use lanward_ha::{Batch, Restored, StoreId};
use tracing::warn;

#[cfg(test)]
mod cut_tests;
mod file;
#[cfg(test)]
mod kill_tests;
#[cfg(test)]
mod tests;
mod writer;

use file::{Fault, StoreFile};
use writer::{Job, Writer};

/// Jobs that may wait for the disk. More means that the disk does not keep up at all.
const MAX_WAITING: usize = 65_536;

/// What the store reports, from its own thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreEvent {
    /// All batches up to this number are on the disk.
    Durable {
        /// The highest durable number.
        seq: u64,
    },
    /// The store failed. Reported once; it takes no more writes.
    Failed {
        /// What the system said.
        error: String,
    },
}

/// What was found in the data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreInfo {
    /// The store's name, made with it.
    pub store_id: StoreId,
    /// Whether it was made just now: there was none, or it had to be moved aside.
    pub created: bool,
    /// The damaged store that was moved aside, if so. The user must hear of it.
    pub moved_aside: Option<MovedAside>,
    /// Whether the last commits were damaged and the store went back to an earlier one. The user
    /// must hear of it: what was acknowledged last may be missing.
    pub rolled_back: bool,
    /// What [`Store::save_time`] stored last.
    pub time_floor: Option<Vec<u8>>,
}

/// A damaged store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the lease store was damaged ({reason}): it is kept as {} and a new, empty one is in use; a \
     partner refills it by itself, a lone node learns its leases again as devices renew them",
    path.display()
)]
pub struct MovedAside {
    /// Where it is now.
    pub path: PathBuf,
    /// What was wrong with it.
    pub reason: String,
}

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the data folder.
    #[error(
        "the data folder {} is in use by {}: stop that one, or give this node a data_dir of its own",
        dir.display(), holder(*pid)
    )]
    InUse {
        /// The data folder.
        dir: PathBuf,
        /// The other process, if it left its number.
        pid: Option<u32>,
    },
    /// The system refused.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// What was tried, such as `open`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file was written by a later version.
    #[error("{} was written by a later version of lanward ({found}): use that one", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// What it says of itself.
        found: String,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// The open store. Closing or dropping it writes what waits and gives the data folder free.
#[derive(Debug)]
pub struct Store {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// Set when a job did not fit into the queue: the writer then fails the store.
    overrun: Arc<AtomicBool>,
    /// Held for as long as the store is open; the file system forgets it with the process.
    _lock: File,
}

impl Store {
    /// Opens the store in a data folder; makes both when they are not there. Verifies all of it,
    /// which reads the whole file: do not call it on an async thread. `report` is called on the
    /// store's own thread and must not block.
    pub fn open(
        data_dir: &Path,
        report: impl FnMut(StoreEvent) + Send + 'static,
    ) -> Result<(Store, Restored, StoreInfo), StoreError> {
        let folder_error =
            |error| StoreError::Io { action: "make", path: data_dir.to_owned(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(folder_error)?;
        let lock = lock(data_dir)?;
        let path = data_dir.join("leases.redb");
        let (opened, moved_aside) = match StoreFile::open_or_create(&path) {
            Ok(opened) => (opened, None),
            Err(Fault::Store(error)) => return Err(error),
            Err(Fault::Damaged(reason)) => {
                let moved = move_aside(&path, reason)?;
                warn!("{moved}");
                let opened = StoreFile::open_or_create(&path).map_err(|fault| match fault {
                    Fault::Store(error) => error,
                    Fault::Damaged(reason) => StoreError::Io {
                        action: "use the new store",
                        path: path.clone(),
                        error: io::Error::new(io::ErrorKind::InvalidData, reason),
                    },
                })?;
                (opened, Some(moved))
            }
        };
        let info = StoreInfo {
            store_id: opened.store_id,
            created: opened.created,
            moved_aside,
            rolled_back: opened.rolled_back,
            time_floor: opened.time_floor,
        };
        let store = Store::start(opened.file, lock, report).map_err(|error| StoreError::Io {
            action: "start a thread for",
            path,
            error,
        })?;
        Ok((store, opened.restored, info))
    }

    fn start(
        file: StoreFile,
        lock: File,
        report: impl FnMut(StoreEvent) + Send + 'static,
    ) -> io::Result<Store> {
        let (jobs, waiting) = sync_channel(MAX_WAITING);
        let overrun = Arc::new(AtomicBool::new(false));
        let writer = Writer::new(file, waiting, Arc::clone(&overrun), Box::new(report));
        let thread = thread::Builder::new().name("store".to_owned()).spawn(|| writer.run())?;
        Ok(Store { jobs: Some(jobs), thread: Some(thread), overrun, _lock: lock })
    }

    /// Queues a batch; it is durable when [`StoreEvent::Durable`] names it or a later one. Batches
    /// are applied in the order of the calls. Never blocks.
    pub fn write(&self, batch: Batch) {
        self.queue(Job::Batch(batch));
    }

    /// Queues what the clock wants stored ([`StoreInfo::time_floor`] at the next start).
    pub fn save_time(&self, floor: Vec<u8>) {
        self.queue(Job::Time(floor));
    }

    /// Copies the store file to `target`, with everything durable when it is called; blocks until
    /// the copy is on the disk. Writing goes on afterwards.
    pub fn copy_to(&self, target: &Path) -> io::Result<()> {
        let (done, wait) = sync_channel(1);
        self.queue(Job::Copy(target.to_owned(), done));
        wait.recv().unwrap_or_else(|_| Err(io::Error::other("the store has failed")))
    }

    /// Writes what waits and closes the file. Blocks until that is done.
    pub fn close(mut self) {
        self.finish();
    }

    fn queue(&self, job: Job) {
        let Some(jobs) = &self.jobs else { return };
        // After a job that did not fit, none may follow: it would be applied over a hole.
        if self.overrun.load(Ordering::Acquire) {
            return;
        }
        if let Err(TrySendError::Full(_)) = jobs.try_send(job) {
            self.overrun.store(true, Ordering::Release);
        }
    }

    fn finish(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            warn!("the store's thread panicked");
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Takes the data folder for this process. The number in the file is for the error message only:
/// what counts is the lock, which the kernel gives free with the process.
fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let failed = |action| move |error| StoreError::Io { action, path: dir.join("lock"), error };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed("open"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let read = (&file).take(32).read_to_string(&mut text);
            let pid = read.ok().and_then(|_| text.trim().parse().ok());
            return Err(StoreError::InUse { dir: dir.to_owned(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(failed("lock")(error)),
    }
    let number = format!("{}\n", std::process::id());
    file.set_len(0).and_then(|()| file.write_all(number.as_bytes())).map_err(failed("write"))?;
    Ok(file)
}

fn move_aside(path: &Path, reason: String) -> Result<MovedAside, StoreError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // Two in one second, or a clock that stands still, must not overwrite the first.
    let name = |n: u32| match n {
        0 => format!("leases.redb.corrupt-{now}"),
        n => format!("leases.redb.corrupt-{now}-{n}"),
    };
    let free = (0..).map(|n| path.with_file_name(name(n))).find(|to| !to.exists());
    let to = free.unwrap_or_else(|| path.with_file_name(name(0)));
    fs::rename(path, &to).map_err(|error| StoreError::Io {
        action: "move aside",
        path: path.to_owned(),
        error,
    })?;
    Ok(MovedAside { path: to, reason })
}
