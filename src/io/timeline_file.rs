//! The timeline on the disk: one JSON line an event, appended and flushed, in a file of its own
//! beside the lease store, so that it outlives a damaged store and can tell of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::timeline::{Entry, KEPT};

#[cfg(test)]
mod tests;

/// More lines than this and the file is written anew, with what is still kept.
const MAX_LINES: usize = 4 * KEPT;

/// The open file.
#[derive(Debug)]
pub struct TimelineFile {
    path: PathBuf,
    file: File,
    lines: usize,
}

impl TimelineFile {
    /// Opens the file in a data folder, which is made if it is not there, and reads it. Lines that
    /// cannot be read, such as the torn last one of a power cut, are left out.
    pub fn open(data_dir: &Path) -> io::Result<(TimelineFile, Vec<Entry>)> {
        let path = data_dir.join("timeline.jsonl");
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600);
        let mut file = options.open(&path)?;
        let bytes = fs::read(&path)?;
        if bytes.last().is_some_and(|last| *last != b'\n') {
            file.write_all(b"\n")?;
        }
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let kept: Vec<Entry> =
            lines.clone().filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let lines = lines.count();
        Ok((TimelineFile { path, file, lines }, kept))
    }

    /// Adds events; on the disk when this returns. `all` gives what is kept, should the file be
    /// due to be written anew.
    pub fn append(&mut self, new: &[Entry], all: impl FnOnce() -> Vec<Entry>) -> io::Result<()> {
        self.lines += new.len();
        if self.lines > MAX_LINES {
            return self.rewrite(&all());
        }
        self.file.write_all(&text(new)?)?;
        self.file.sync_data()
    }

    fn rewrite(&mut self, all: &[Entry]) -> io::Result<()> {
        let unfinished = self.path.with_extension("jsonl.new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&unfinished)?;
        file.write_all(&text(all)?)?;
        file.sync_all()?;
        fs::rename(&unfinished, &self.path)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.lines = all.len();
        Ok(())
    }
}

fn text(entries: &[Entry]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut text, entry)?;
        text.push(b'\n');
    }
    Ok(text)
}
