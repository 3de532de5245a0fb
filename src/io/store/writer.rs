//! The thread that writes: group commit.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use lanward_ha::{Batch, Write};
use tracing::error;

use super::file::{KEY_TIME, StoreFile};
use super::{MAX_WAITING, StoreEvent};

/// Batches in one commit: enough to make the flush cheap, few enough that the first is not kept
/// waiting for the last.
const MAX_JOBS_A_COMMIT: usize = 4096;

/// How long a busy store waits for more batches before it commits: what one commit costs the
/// processor is then shared by more of them.
const GATHER: Duration = Duration::from_millis(1);

/// Something for the thread to do.
pub(super) enum Job {
    Batch(Batch),
    Time(Vec<u8>),
    Copy(PathBuf, SyncSender<io::Result<()>>),
}

/// The thread's state.
pub(super) struct Writer {
    file: StoreFile,
    waiting: Receiver<Job>,
    overrun: Arc<AtomicBool>,
    report: Box<dyn FnMut(StoreEvent) + Send>,
    /// The last commit held several batches, so more are on their way.
    busy: bool,
}

impl Writer {
    pub(super) fn new(
        file: StoreFile,
        waiting: Receiver<Job>,
        overrun: Arc<AtomicBool>,
        report: Box<dyn FnMut(StoreEvent) + Send>,
    ) -> Writer {
        Writer { file, waiting, overrun, report, busy: false }
    }

    /// Works until the store is dropped or fails.
    pub(super) fn run(mut self) {
        while let Ok(first) = self.waiting.recv() {
            if std::mem::take(&mut self.busy) {
                std::thread::sleep(GATHER);
            }
            let more = self.waiting.try_iter().take(MAX_JOBS_A_COMMIT - 1);
            let jobs: Vec<Job> = std::iter::once(first).chain(more).collect();
            self.busy = jobs.len() > 1;
            if let Err(error) = self.commit(jobs) {
                return self.fail(error);
            }
            if self.overrun.load(Ordering::Acquire) {
                return self.fail(format!(
                    "the disk does not keep up: {MAX_WAITING} writes were waiting for it"
                ));
            }
        }
    }

    /// One commit for all, then the report.
    fn commit(&mut self, jobs: Vec<Job>) -> Result<(), String> {
        let mut durable = None;
        let mut writes: Vec<Write> = Vec::new();
        let mut copies = Vec::new();
        for job in jobs {
            match job {
                Job::Batch(batch) => {
                    durable = Some(batch.seq);
                    writes.extend(batch.writes);
                }
                Job::Time(floor) => {
                    writes.push(Write { key: KEY_TIME.to_owned(), value: Some(floor) });
                }
                Job::Copy(target, done) => copies.push((target, done)),
            }
        }
        if !writes.is_empty() {
            self.file.commit(&writes).map_err(|error| error.to_string())?;
        }
        if let Some(seq) = durable {
            (self.report)(StoreEvent::Durable { seq });
        }
        for (target, done) in copies {
            // Nothing is in flight between two commits: the copy is what a crash now would leave.
            let copied = copy(self.file.path(), &target);
            drop(done.send(copied));
        }
        Ok(())
    }

    /// What was queued is dropped with the receiver, and nothing more is taken.
    fn fail(mut self, error: String) {
        error!("the lease store has failed: {error}; it takes no more writes");
        (self.report)(StoreEvent::Failed { error });
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()?;
    let folder = to.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
