//! The file of DNS answers that outlives a restart: `answers.cache` in the data folder.
//!
//! Losing it costs nothing but time: what cannot be written is not written, and what is damaged is
//! not read. Written beside its place, synced and renamed; its checksum is the cache's own.
#![allow(clippy::disallowed_methods, reason = "a shell: files and the clock")]

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use lanward_dns::AnswerCache;

/// The longest file read: no cache in memory comes near.
const LONGEST: u64 = 1 << 30;

/// The file of one data folder.
#[derive(Clone, Debug)]
pub struct CacheFile {
    path: PathBuf,
}

impl CacheFile {
    /// The file in `data_dir`, which need not exist yet.
    pub fn new(data_dir: &Path) -> CacheFile {
        CacheFile { path: data_dir.join("answers.cache") }
    }

    /// Puts what was saved into `cache`; how many answers are of use still. No file: none.
    pub fn restore(&self, cache: &AnswerCache) -> io::Result<usize> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut saved = Vec::new();
        file.take(LONGEST).read_to_end(&mut saved)?;
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        cache.restore(&saved, date()).map_err(invalid)
    }

    /// Saves `cache`. It names what the household looked up: nobody else may read it.
    pub fn save(&self, cache: &AnswerCache) -> io::Result<()> {
        let unfinished = self.path.with_extension("cache.new");
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options.open(&unfinished).and_then(|mut file| {
            file.write_all(&cache.save(date()))?;
            file.sync_all()
        });
        if written.is_err() {
            // On a full disk half a file is in everybody's way.
            let _ = fs::remove_file(&unfinished);
        }
        written.and_then(|()| fs::rename(&unfinished, &self.path))
    }
}

fn date() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
