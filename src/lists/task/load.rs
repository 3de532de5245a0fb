//! What a start finds in the lists' folder.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use lanward_blocklists::{HashKey, Table};

use super::super::disk::{DiskError, ListDir};
use super::super::status::Memory;
use super::{ListSpec, compile};

/// What the folder held at the start.
pub(super) struct Loaded {
    pub(super) dir: ListDir,
    pub(super) key: HashKey,
    pub(super) memory: BTreeMap<String, Memory>,
    pub(super) table: Arc<Table>,
    /// The table was compiled just now, from copies that were checked.
    pub(super) compiled: bool,
    /// The table is not made of the copies that are there.
    pub(super) stale: bool,
    pub(super) damaged: Vec<String>,
}

impl Loaded {
    pub(super) fn read(path: PathBuf, lists: &[ListSpec]) -> Result<Self, DiskError> {
        let dir = ListDir::open(path)?;
        let key = dir.key()?;
        let memory = dir.read_memory();
        let stored = dir.read_table().map(|bytes| Table::from_bytes(&bytes, key));
        let (table, compiled, damaged) = match stored {
            Some(Ok(table)) => (table, false, Vec::new()),
            other => {
                if let Some(Err(error)) = other {
                    tracing::warn!(%error, "the compiled lists are not usable; compiling them again");
                }
                let compiled = compile::compile(&dir, key, lists);
                let table = compiled.table.unwrap_or_else(|error| {
                    tracing::error!(error, "the lists are not compiled");
                    Table::empty(key)
                });
                (table, true, compiled.damaged)
            }
        };
        let stale = !compiled && compile::is_stale(&dir, &table, lists);
        Ok(Self { dir, key, memory, table, compiled, stale, damaged })
    }
}
