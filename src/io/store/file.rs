//! The redb file: one table, a CRC for each value.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use lanward_ha::{Restored, StoreId, Write};
use redb::{Builder, Database, Durability, ReadableTable, TableDefinition};
use tracing::warn;

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
        let fault = |error: redb::Error| fault(path, error);
        let mut database = builder().create_file(file).map_err(|error| fault(error.into()))?;
        let clean = database.check_integrity().map_err(|error| fault(error.into()))?;
        let found = read(&database).map_err(fault)?;
        let found = found.interpret(path)?;
        Ok(Opened {
            file: StoreFile { database, path: path.to_owned() },
            restored: found.restored,
            store_id: found.store_id,
            created: false,
            rolled_back: !clean,
            time_floor: found.time_floor,
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes writes durable, all or none: they are on the disk when this returns.
    pub(super) fn commit<'a>(
        &self,
        writes: impl IntoIterator<Item = &'a Write>,
    ) -> Result<(), redb::Error> {
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
        }
        transaction.commit()?;
        Ok(())
    }
}

#[cfg(test)]
impl StoreFile {
    /// A store on a backend that can be made to fail.
    pub(super) fn on(backend: impl redb::StorageBackend, path: &Path) -> StoreFile {
        let database = builder().create_with_backend(backend).unwrap();
        StoreFile { database, path: path.to_owned() }
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
    let options = {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        options
    };
    let file = options.open(&unfinished).map_err(failed)?;
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| failed(io::Error::other(error)))?;
    let database = builder().create_file(file).map_err(|error| fault(&unfinished, error.into()))?;
    let store = StoreFile { database, path: unfinished.clone() };
    let write =
        |key: &str, value: &[u8]| Write { key: key.to_owned(), value: Some(value.to_vec()) };
    let writes = [write(KEY_FORMAT, FORMAT.as_bytes()), write(KEY_STORE_ID, &id)];
    store.commit(&writes).map_err(|error| fault(&unfinished, error))?;
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
    time_floor: Option<Vec<u8>>,
}

fn read(database: &Database) -> Result<Found, redb::Error> {
    use redb::ReadableDatabase;
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
        Ok(Meaning {
            restored: Restored { entries, damaged },
            store_id: StoreId(id),
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
