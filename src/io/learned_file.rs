//! The file of what DNSSEC validation has learned: `dnssec.learned` in the data folder.
#![allow(clippy::disallowed_methods, reason = "a shell: files")]

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The longest file read; it has some dozen lines.
const LONGEST: u64 = 1 << 20;

/// The file of one data folder.
#[derive(Clone, Debug)]
pub struct LearnedFile {
    path: PathBuf,
}

impl LearnedFile {
    /// The file in `data_dir`, which need not exist yet.
    pub fn new(data_dir: &Path) -> LearnedFile {
        LearnedFile { path: data_dir.join("dnssec.learned") }
    }

    /// What was saved; `None` when nothing was.
    pub fn read(&self) -> io::Result<Option<String>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = String::new();
        file.take(LONGEST).read_to_string(&mut text)?;
        Ok(Some(text))
    }

    /// Saves `text`: written beside its place, synced and renamed.
    pub fn save(&self, text: &str) -> io::Result<()> {
        let unfinished = self.path.with_extension("learned.new");
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options.open(&unfinished).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        if written.is_err() {
            // On a full disk half a file is in everybody's way.
            let _ = fs::remove_file(&unfinished);
        }
        written.and_then(|()| fs::rename(&unfinished, &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = LearnedFile::new(dir.path());
        assert_eq!(file.read().expect("no file is no error"), None);
        file.save("one").expect("saved");
        file.save("two").expect("saved");
        assert_eq!(file.read().expect("read").as_deref(), Some("two"));
    }
}
