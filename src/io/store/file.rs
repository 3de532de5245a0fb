//! The redb file: one table, a CRC for each value.
//!
//! The file is never closed in order: what redb would write then is held back, so every start is
//! a recovery after a crash. That is the path on which redb verifies all of its checksums before
//! it follows a single pointer; after an orderly close it trusts the file and panics over some
//! damages. It also leaves one way to start instead of two.
//!
//! A recovery takes a damaged last commit for one that was cut short, and goes back to the one
//! before. Whether it was reported durable redb cannot know; so each commit carries a number,
//! and the last number that was reported is kept beside the file. It is not flushed for each
//! commit, and therefore only ever too low.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lanward_ha::{Restored, StoreId, Write};
use redb::backends::FileBackend;
use redb::{
    Builder, Database, Durability, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition,
};
use tracing::{debug, warn};

use super::StoreError;

/// Keys are bytes, not text: a damaged key must not panic in the reader.
const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
/// The whole store fits many times; redb's default of 1 GiB does not fit a small host.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
const FORMAT: &str = "1";

/// The store's own keys. The pair never sees them.
const OWN_PREFIX: &str = "meta/";
const KEY_FORMAT: &str = "meta/format";
const KEY_STORE_ID: &str = "meta/store-id";
const KEY_COMMIT: &str = "meta/commit";
pub(super) const KEY_TIME: &str = "meta/time";

/// Why a file cannot be used.
#[derive(Debug)]
pub(super) enum Fault {
    /// What it holds cannot be trusted.
    Damaged(String),
    /// Something else, which moving it aside would not mend.
    Store(StoreError),
}

/// An open file, and what it held.
pub(super) struct Opened {
    pub(super) file: StoreFile,
    pub(super) restored: Restored,
    pub(super) store_id: StoreId,
    pub(super) created: bool,
    pub(super) rolled_back: bool,
    pub(super) time_floor: Option<Vec<u8>>,
}

/// The open file.
pub(super) struct StoreFile {
    database: Database,
    path: PathBuf,
    /// Set before the database is dropped: it writes no more.
    frozen: Arc<AtomicBool>,
    /// The number of the last commit, and the file that keeps it.
    commits: u64,
    reported: File,
}

impl StoreFile {
    pub(super) fn open_or_create(path: &Path) -> Result<Opened, Fault> {
        let exists = path.try_exists().map_err(|error| io_fault("look for", path, error))?;
        if !exists {
            create(path)?;
        }
        let opened = StoreFile::open(path)?;
        Ok(Opened { created: !exists, ..opened })
    }

    fn open(path: &Path) -> Result<Opened, Fault> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(|error| io_fault("open", path, error))?;
        let metadata = file.metadata().map_err(|error| io_fault("open", path, error))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            let private = file.set_permissions(fs::Permissions::from_mode(0o600));
            private.map_err(|error| io_fault("protect", path, error))?;
        }
        if metadata.len() == 0 {
            return Err(Fault::Damaged("the file is empty".to_owned()));
        }
        let (reported, number) = open_reported(path)?;
        let fault = |error: redb::Error| fault(path, error);
        let (backend, frozen) = NeverClosed::new(file).map_err(fault)?;
        let mut database =
            builder().create_with_backend(backend).map_err(|error| fault(error.into()))?;
        let clean = database.check_integrity().map_err(|error| fault(error.into()))?;
        let found = read(&database).map_err(fault)?.interpret(path)?;
        // What redb mended without going back lost nothing, if the number says so.
        let rolled_back = found.commits < number || (!clean && found.commits != number);
        let commits = found.commits.max(number);
        let mut file = StoreFile { database, path: path.to_owned(), frozen, commits, reported };
        // A recovery ends with a two-phase commit, after which redb reads parts of the file
        // before it verifies them; a commit of the ordinary kind has no such trust. Should it
        // fail, so will the first write, and be reported.
        if let Err(error) = file.commit([]) {
            warn!("{}: the first commit failed: {error}", path.display());
        }
        Ok(Opened {
            file,
            restored: found.restored,
            store_id: found.store_id,
            created: false,
            rolled_back,
            time_floor: found.time_floor,
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes writes durable, all or none: they are on the disk when this returns.
    pub(super) fn commit<'a>(
        &mut self,
        writes: impl IntoIterator<Item = &'a Write>,
    ) -> Result<(), redb::Error> {
        let number = self.commits + 1;
        let mut transaction = self.database.begin_write()?;
        transaction
            .set_durability(Durability::Immediate)
            .expect("no savepoint was ever made that could forbid it");
        {
            let mut table = transaction.open_table(RECORDS)?;
            for write in writes {
                let key = write.key.as_bytes();
                match &write.value {
                    Some(value) => drop(table.insert(key, &*seal(key, value))?),
                    None => drop(table.remove(key)?),
                }
            }
            let key = KEY_COMMIT.as_bytes();
            table.insert(key, &*seal(key, &number.to_be_bytes()))?;
        }
        transaction.commit()?;
        self.commits = number;
        if let Err(error) = self.reported.write_all_at(&number.to_be_bytes(), 0) {
            // Only the word of a rollback would be missing after a damage.
            debug!("{}: cannot keep the commit number: {error}", self.path.display());
        }
        Ok(())
    }
}

impl Drop for StoreFile {
    fn drop(&mut self) {
        self.frozen.store(true, Ordering::Release);
        let _ = self.reported.sync_data();
    }
}

#[cfg(test)]
impl StoreFile {
    /// A store on a backend that can be made to fail.
    pub(super) fn on(backend: impl StorageBackend, path: &Path) -> StoreFile {
        let database = builder().create_with_backend(backend).unwrap();
        let (reported, _) = open_reported(path).unwrap();
        let path = path.to_owned();
        StoreFile { database, path, frozen: Arc::default(), commits: 0, reported }
    }
}

/// A file that is not written to any more once it is frozen.
#[derive(Debug)]
struct NeverClosed {
    file: FileBackend,
    frozen: Arc<AtomicBool>,
}

impl NeverClosed {
    fn new(file: File) -> Result<(NeverClosed, Arc<AtomicBool>), redb::Error> {
        let frozen = Arc::new(AtomicBool::new(false));
        let backend = NeverClosed { file: FileBackend::new(file)?, frozen: Arc::clone(&frozen) };
        Ok((backend, frozen))
    }

    fn unless_frozen(&self, write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if self.frozen.load(Ordering::Acquire) { Ok(()) } else { write() }
    }
}

/// The locks are left out: the data folder's lock keeps other processes away.
impl StorageBackend for NeverClosed {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.unless_frozen(|| self.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.unless_frozen(|| self.file.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.unless_frozen(|| self.file.write(offset, data))
    }
}

/// The file that keeps the number of the last reported commit, and the number.
fn open_reported(path: &Path) -> Result<(File, u64), Fault> {
    let path = path.with_extension("redb.reported");
    let failed = |error| io_fault("open", &path, error);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(&path).map_err(failed)?;
    let mut number = [0; 8];
    match file.read_exact_at(&mut number, 0) {
        Ok(()) => Ok((file, u64::from_be_bytes(number))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok((file, 0)),
        Err(error) => Err(failed(error)),
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Makes an empty store that is there whole or not at all: a stop in the middle must not look
/// like a damaged one.
fn create(path: &Path) -> Result<(), Fault> {
    let failed = |error| io_fault("create", path, error);
    let unfinished = path.with_extension("redb.new");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(&unfinished).map_err(failed)?;
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| failed(io::Error::other(error)))?;
    // The numbers of an earlier store are not this one's.
    let (reported, _) = open_reported(path)?;
    reported.set_len(0).map_err(failed)?;
    let fault = |error: redb::Error| fault(&unfinished, error);
    let (backend, frozen) = NeverClosed::new(file).map_err(fault)?;
    let database = builder().create_with_backend(backend).map_err(|error| fault(error.into()))?;
    let mut store = StoreFile { database, path: unfinished.clone(), frozen, commits: 0, reported };
    let write =
        |key: &str, value: &[u8]| Write { key: key.to_owned(), value: Some(value.to_vec()) };
    let writes = [write(KEY_FORMAT, FORMAT.as_bytes()), write(KEY_STORE_ID, &id)];
    store.commit(&writes).map_err(fault)?;
    drop(store);
    fs::rename(&unfinished, path).map_err(failed)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// Everything in the table whose checksum holds, and the keys of the rest.
#[derive(Default)]
struct Found {
    entries: Vec<(String, Vec<u8>)>,
    damaged: Vec<String>,
}

/// What the records say.
struct Meaning {
    restored: Restored,
    store_id: StoreId,
    commits: u64,
    time_floor: Option<Vec<u8>>,
}

fn read(database: &Database) -> Result<Found, redb::Error> {
    let mut found = Found::default();
    let transaction = database.begin_read()?;
    let table = transaction.open_table(RECORDS)?;
    for record in table.iter()? {
        let (key, value) = record?;
        let value = unseal(key.value(), value.value()).map(<[u8]>::to_vec);
        match (String::from_utf8(key.value().to_vec()), value) {
            (Ok(key), Some(value)) => found.entries.push((key, value)),
            (Ok(key), None) => found.damaged.push(key),
            (Err(key), _) => {
                found.damaged.push(String::from_utf8_lossy(key.as_bytes()).into_owned());
            }
        }
    }
    Ok(found)
}

impl Found {
    /// Takes the store's own records out of the pair's.
    fn interpret(self, path: &Path) -> Result<Meaning, Fault> {
        let (own, entries): (Vec<_>, Vec<_>) =
            self.entries.into_iter().partition(|(key, _)| key.starts_with(OWN_PREFIX));
        let (own_damaged, damaged): (Vec<_>, Vec<_>) =
            self.damaged.into_iter().partition(|key| key.starts_with(OWN_PREFIX));
        for key in own_damaged.iter().chain(&damaged) {
            warn!("{}: the record {key:?} fails its checksum and is not used", path.display());
        }
        let own = |wanted: &str| own.iter().find(|(key, _)| key == wanted).map(|(_, value)| value);
        let format = own(KEY_FORMAT).ok_or_else(|| Fault::Damaged("no format record".into()))?;
        if format != FORMAT.as_bytes() {
            let found = format!("format {}", String::from_utf8_lossy(format));
            return Err(Fault::Store(StoreError::Newer { path: path.to_owned(), found }));
        }
        let id = own(KEY_STORE_ID).and_then(|id| <[u8; 16]>::try_from(id.as_slice()).ok());
        let id = id.ok_or_else(|| Fault::Damaged("no readable store id".into()))?;
        let commits = own(KEY_COMMIT).and_then(|number| number.as_slice().try_into().ok());
        let commits = commits.map(u64::from_be_bytes);
        let commits = commits.ok_or_else(|| Fault::Damaged("no readable commit number".into()))?;
        Ok(Meaning {
            restored: Restored { entries, damaged, ..Restored::default() },
            store_id: StoreId(id),
            commits,
            time_floor: own(KEY_TIME).cloned(),
        })
    }
}

/// A value as it is stored: CRC-32 of the key's length, the key and the value, then the value.
pub(super) fn seal(key: &[u8], value: &[u8]) -> Vec<u8> {
    [&crc(key, value).to_be_bytes()[..], value].concat()
}

/// The value, if its checksum holds.
pub(super) fn unseal<'a>(key: &[u8], stored: &'a [u8]) -> Option<&'a [u8]> {
    let (sum, value) = stored.split_first_chunk::<4>()?;
    (u32::from_be_bytes(*sum) == crc(key, value)).then_some(value)
}

fn crc(key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&u64::try_from(key.len()).unwrap_or(u64::MAX).to_be_bytes());
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

fn io_fault(action: &'static str, path: &Path, error: io::Error) -> Fault {
    Fault::Store(StoreError::Io { action, path: path.to_owned(), error })
}

/// Whether an error means that the file is damaged, or that the system refused.
fn fault(path: &Path, error: redb::Error) -> Fault {
    match error {
        redb::Error::Io(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::InvalidData
                    | io::ErrorKind::InvalidInput
            ) =>
        {
            io_fault("open", path, error)
        }
        redb::Error::DatabaseAlreadyOpen => {
            let dir = path.parent().unwrap_or(path).to_owned();
            Fault::Store(StoreError::InUse { dir, pid: None })
        }
        damaged => Fault::Damaged(damaged.to_string()),
    }
}
