//! The timeline, kept: events are written on a thread of their own, in their order.
#![allow(clippy::disallowed_methods, reason = "a shell: a thread that waits for the disk")]

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use lanward_ha::Event;
use tracing::{info, warn};

use super::wall;
use crate::io::timeline_file::TimelineFile;
use crate::timeline::{self, Entry, Timeline};

/// Keeps the timeline; clones keep the same one.
#[derive(Clone)]
pub(crate) struct Journal {
    own: String,
    timeline: Arc<Mutex<Timeline>>,
    to_disk: Sender<Job>,
}

enum Job {
    Keep(Entry),
    /// To be answered when everything before it is on the disk.
    Flush(Sender<()>),
}

/// The end of the process waits for the disk at most this long.
const FLUSH: Duration = Duration::from_secs(1);

impl Journal {
    /// Opens what is kept in the data folder. Where that fails the timeline begins anew, in memory.
    pub(super) fn open(data_dir: &Path, own: &str) -> Journal {
        let (file, kept) = match TimelineFile::open(data_dir) {
            Ok((file, kept)) => (Some(file), kept),
            Err(error) => {
                warn!("the timeline of the pair cannot be kept on this host: {error}");
                (None, Vec::new())
            }
        };
        let timeline = Arc::new(Mutex::new(Timeline::new(own, kept)));
        let (to_disk, new) = channel();
        if let Some(file) = file {
            let timeline = Arc::clone(&timeline);
            let writing = thread::Builder::new().name("timeline".to_owned());
            if let Err(error) = writing.spawn(move || write(file, &new, &timeline)) {
                warn!("the timeline of the pair cannot be kept on this host: {error}");
            }
        }
        Journal { own: own.to_owned(), timeline, to_disk }
    }

    /// Something the pair's core tells.
    pub(super) fn event(&self, event: &Event) -> Entry {
        self.record(&event.who, &timeline::what(event.what), &event.why)
    }

    /// Something that happened here.
    pub(super) fn record(&self, who: &str, what: &str, why: &str) -> Entry {
        info!("{who} {what}: {why}");
        let entry = self.lock().record(wall::now(), who, what, why);
        // Without a file nobody reads; the timeline is in memory then.
        let _ = self.to_disk.send(Job::Keep(entry.clone()));
        entry
    }

    /// The same, of this node itself.
    pub(super) fn own(&self, what: &str, why: &str) -> Entry {
        self.record(&self.own.clone(), what, why)
    }

    /// Events of the partner.
    pub(super) fn take_in(&self, entries: Vec<Entry>) {
        for entry in entries {
            let taken = self.lock().take_in(entry);
            if let Some(entry) = taken {
                let _ = self.to_disk.send(Job::Keep(entry));
            }
        }
    }

    /// The greatest number known of a node.
    pub(super) fn highest(&self, node: &str) -> u64 {
        self.lock().highest(node)
    }

    /// This node's own events after a number.
    pub(super) fn own_after(&self, seq: u64) -> Vec<Entry> {
        self.lock().own_after(seq).cloned().collect()
    }

    /// The latest events of both nodes, the latest first.
    pub(crate) fn latest(&self, limit: usize) -> Vec<Entry> {
        self.lock().latest(limit).into_iter().cloned().collect()
    }

    /// Waits until everything is on the disk. Blocks.
    pub(super) fn flush(&self) {
        let (done, wait) = channel();
        if self.to_disk.send(Job::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(FLUSH);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Timeline> {
        self.timeline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what comes until nobody sends any more. A disk that refuses costs the timeline, and is
/// the lease store's to shout about.
fn write(mut file: TimelineFile, new: &Receiver<Job>, timeline: &Mutex<Timeline>) {
    let all = || {
        let timeline = timeline.lock().unwrap_or_else(PoisonError::into_inner);
        timeline.all().cloned().collect()
    };
    let mut told = false;
    while let Ok(first) = new.recv() {
        let (mut entries, mut flushed) = (Vec::new(), Vec::new());
        for job in std::iter::once(first).chain(new.try_iter()) {
            match job {
                Job::Keep(entry) => entries.push(entry),
                Job::Flush(done) => flushed.push(done),
            }
        }
        if !entries.is_empty()
            && let Err(error) = file.append(&entries, all)
            && !std::mem::replace(&mut told, true)
        {
            warn!("the timeline of the pair cannot be written on this host: {error}");
        }
        for done in flushed {
            let _ = done.send(());
        }
    }
}
