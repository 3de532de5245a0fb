//! The lists' folder: the last good copy of each list, the compiled table, the hash key.
//!
//! ```text
//! <id>.list    one line of JSON (where from, ETag, SHA-256), then the text as it was fetched
//! <id>.held    the same, for a version that is held back
//! table.bin    the compiled table
//! status.json  what is remembered of each list
//! filter.key   16 secret bytes
//! ```
//! Every file is written beside its place, synced, and renamed: a reader sees the old one or the
//! new one. What is damaged is found by its checksum.

#![allow(clippy::disallowed_methods, reason = "a shell: files, the clock and the hash key")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use lanward_blocklists::HashKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::status::Memory;
use crate::io::background;

/// How long the copy of a list that is no longer in the settings is kept: taking it up again
/// needs no download.
const KEEP_UNUSED: Duration = Duration::from_secs(7 * 24 * 3600);
/// The longest header line read.
const MAX_HEADER: u64 = 16 * 1024;

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct ListDir {
    dir: PathBuf,
}

/// The first line of a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// Where the settings said it comes from.
    pub(super) source: String,
    /// The address that gave it: the source or a mirror.
    pub(super) url: String,
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
    /// SHA-256 of the text, hexadecimal.
    pub(super) sha256: String,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The system says no.
    #[error("{path}: {error}")]
    Io {
        /// What was to be read or written.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A copy whose checksum is wrong, or that has no header.
    #[error("{0} is damaged")]
    Damaged(PathBuf),
    /// No randomness for the key.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// Which of a list's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// The last good version.
    Good,
    /// The version held back.
    Held,
}

impl ListDir {
    pub(super) fn open(dir: PathBuf) -> Result<Self, DiskError> {
        fs::create_dir_all(&dir).map_err(|error| DiskError::Io { path: dir.clone(), error })?;
        Ok(Self { dir })
    }

    /// The installation's hash key; made at the first start, or when it is not a key. One that
    /// cannot be stored serves until the next start, which compiles with another.
    pub(super) fn key(&self) -> Result<HashKey, DiskError> {
        let path = self.dir.join("filter.key");
        if let Ok(bytes) = fs::read(&path)
            && let Ok(key) = <[u8; 16]>::try_from(bytes.as_slice())
        {
            return Ok(HashKey(key));
        }
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(DiskError::Random)?;
        if let Err(error) = self.replace(&path, &[&key]) {
            tracing::warn!(%error, "the hash key is not stored; the next start compiles again");
        }
        Ok(HashKey(key))
    }

    /// The stored table; `None` when there is none.
    pub(super) fn read_table(&self) -> Option<Vec<u8>> {
        background::read(&self.dir.join("table.bin")).ok()
    }

    pub(super) fn write_table(&self, bytes: &[u8]) -> Result<(), DiskError> {
        self.replace(&self.dir.join("table.bin"), &[bytes])
    }

    /// What is remembered, by list id; nothing when it cannot be read.
    pub(super) fn read_memory(&self) -> BTreeMap<String, Memory> {
        let bytes = fs::read(self.dir.join("status.json")).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    pub(super) fn write_memory(&self, memory: &BTreeMap<String, Memory>) -> Result<(), DiskError> {
        let bytes = serde_json::to_vec_pretty(memory).unwrap_or_default();
        self.replace(&self.dir.join("status.json"), &[&bytes])
    }

    /// The header of a copy, without a look at its text; `None` when there is no copy.
    pub(super) fn header(&self, id: &str, version: Version) -> Option<Header> {
        let mut line = Vec::new();
        let file = BufReader::new(File::open(self.path(id, version)).ok()?);
        file.take(MAX_HEADER).read_until(b'\n', &mut line).ok()?;
        serde_json::from_slice(&line).ok()
    }

    /// A good copy's header and how long its text is, without a look at the text.
    pub(super) fn survey(&self, id: &str) -> Option<(Header, u64)> {
        let header = self.header(id, Version::Good)?;
        let mut line = Vec::new();
        let file = File::open(self.path(id, Version::Good)).ok()?;
        let len = file.metadata().ok()?.len();
        BufReader::new(file).take(MAX_HEADER).read_until(b'\n', &mut line).ok()?;
        Some((header, len.saturating_sub(line.len() as u64)))
    }

    /// A copy's header and text, checked. `Ok(None)` when there is no copy.
    pub(super) fn read(
        &self,
        id: &str,
        version: Version,
    ) -> Result<Option<(Header, Vec<u8>)>, DiskError> {
        let path = self.path(id, version);
        let mut bytes = match background::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(DiskError::Io { path, error }),
        };
        let Some(end) = bytes.iter().take(MAX_HEADER as usize).position(|&b| b == b'\n') else {
            return Err(DiskError::Damaged(path));
        };
        let header: Option<Header> = serde_json::from_slice(&bytes[..end]).ok();
        let text = bytes.split_off(end + 1);
        match header.filter(|header| header.sha256 == hex_digest(&text)) {
            Some(header) => Ok(Some((header, text))),
            None => Err(DiskError::Damaged(path)),
        }
    }

    pub(super) fn write(
        &self,
        id: &str,
        version: Version,
        header: &Header,
        text: &[u8],
    ) -> Result<(), DiskError> {
        let line = serde_json::to_vec(header).unwrap_or_default();
        self.replace(&self.path(id, version), &[&line, b"\n", text])
    }

    /// Makes the version held back the good one, if it is whole.
    pub(super) fn accept_held(&self, id: &str) -> Result<bool, DiskError> {
        if self.read(id, Version::Held)?.is_none() {
            return Ok(false);
        }
        let (from, to) = (self.path(id, Version::Held), self.path(id, Version::Good));
        fs::rename(&from, &to).map_err(|error| DiskError::Io { path: from, error })?;
        self.sync_dir()?;
        Ok(true)
    }

    /// Removes a copy, if there is one.
    pub(super) fn remove(&self, id: &str, version: Version) {
        let _ = fs::remove_file(self.path(id, version));
    }

    /// Removes copies of lists that have not been in the settings for a week, and what an
    /// interrupted write left behind.
    pub(super) fn tidy(&self, ids: &[&str]) {
        let keep: Vec<PathBuf> = ids
            .iter()
            .flat_map(|id| [self.path(id, Version::Good), self.path(id, Version::Held)])
            .collect();
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let ours = path.extension().is_some_and(|e| e == "list" || e == "held" || e == "new");
            let age = entry
                .metadata()
                .and_then(|meta| meta.modified())
                .ok()
                .and_then(|time| SystemTime::now().duration_since(time).ok());
            if ours && !keep.contains(&path) && age.is_some_and(|age| age > KEEP_UNUSED) {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Ids come from the settings, where they are short words; anything else is encoded.
    fn path(&self, id: &str, version: Version) -> PathBuf {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        let stem = if !id.is_empty() && id.len() <= 64 && id.bytes().all(plain) {
            id.to_owned()
        } else {
            format!("={}", hex_digest(id.as_bytes()))
        };
        self.dir.join(match version {
            Version::Good => format!("{stem}.list"),
            Version::Held => format!("{stem}.held"),
        })
    }

    /// Writes beside, syncs, renames, syncs the folder.
    fn replace(&self, path: &Path, parts: &[&[u8]]) -> Result<(), DiskError> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let write = || -> std::io::Result<()> {
            let mut options = File::options();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            for part in parts {
                background::write(&mut file, part)?;
            }
            file.sync_all()?;
            fs::rename(&beside, path)
        };
        write().map_err(|error| DiskError::Io { path: path.to_owned(), error })?;
        self.sync_dir()
    }

    fn sync_dir(&self) -> Result<(), DiskError> {
        File::open(&self.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(|error| DiskError::Io { path: self.dir.clone(), error })
    }
}

/// SHA-256 of a list's text.
pub(super) fn digest(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

pub(super) fn hex_digest(text: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&digest(text))
}
