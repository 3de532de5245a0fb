//! From the copies on disk to a table on disk.

use std::sync::Arc;

use lanward_blocklists::{BUILTIN_LIST, Compiler, HashKey, Table};

use super::super::disk::{DiskError, ListDir, Version, digest, hex_digest};
use super::{ListSpec, Source, kind_of};

/// What came of a compilation.
pub(super) struct Compiled {
    pub(super) table: Result<Arc<Table>, String>,
    /// Copies whose checksum is wrong; removed.
    pub(super) damaged: Vec<String>,
    /// Lists left out, and why.
    pub(super) refused: Vec<(String, String)>,
}

/// Compiles all lists that have a copy, switched off or not: switching one on again is then a
/// matter of a mask. Stores the table.
pub(super) fn compile(dir: &ListDir, key: HashKey, lists: &[ListSpec]) -> Compiled {
    let mut compiler = Compiler::new(key);
    let mut damaged = Vec::new();
    let mut refused = Vec::new();
    for list in lists {
        let id = list.id.to_string();
        let added = match text_of(dir, list) {
            Ok(None) => continue,
            Ok(Some(text)) => compiler.add_list(&id, kind_of(list.kind), digest(&text), &text),
            Err(DiskError::Damaged(_)) => {
                dir.remove(&id, Version::Good);
                damaged.push(id);
                continue;
            }
            Err(error) => {
                refused.push((id, error.to_string()));
                continue;
            }
        };
        if let Err(error) = added {
            refused.push((id, error.to_string()));
        }
    }
    let table = compiler.finish().map_err(|error| error.to_string());
    // A table without the list whose copy was damaged must not replace the stored one with it.
    if let Ok(table) = &table
        && damaged.is_empty()
    {
        let ids: Vec<&str> = lists.iter().map(|list| &*list.id).collect();
        dir.tidy(&ids);
        if let Err(error) = dir.write_table(&table.to_bytes()) {
            tracing::warn!(%error, "the compiled lists are not stored; the next start compiles again");
        }
    }
    Compiled { table, damaged, refused }
}

/// Reads every copy and checks it; removes the damaged ones and names them.
pub(super) fn verify(dir: &ListDir, lists: &[ListSpec]) -> Vec<String> {
    let mut damaged = Vec::new();
    for list in lists.iter().filter(|list| list.source != Source::Builtin) {
        if let Err(DiskError::Damaged(_)) = dir.read(&list.id, Version::Good) {
            dir.remove(&list.id, Version::Good);
            damaged.push(list.id.to_string());
        }
    }
    damaged
}

/// Whether a compilation would give another table, going by what the copies' headers say. A list
/// whose copy is gone stays in the table as long as nothing else asks for another.
pub(super) fn is_stale(dir: &ListDir, table: &Table, lists: &[ListSpec]) -> bool {
    let missing = |list: &ListSpec| {
        let sha256 = match list.source {
            Source::Builtin => hex_digest(BUILTIN_LIST.as_bytes()),
            _ => match dir.header(&list.id, Version::Good) {
                Some(header) => header.sha256,
                None => return false,
            },
        };
        !table.lists().iter().any(|known| {
            known.id == *list.id
                && known.kind == kind_of(list.kind)
                && data_encoding::HEXLOWER.encode(&known.digest) == sha256
        })
    };
    let gone = |id: &str| lists.iter().all(|list| *list.id != *id);
    table.lists().iter().any(|known| gone(&known.id)) || lists.iter().any(missing)
}

fn text_of(dir: &ListDir, list: &ListSpec) -> Result<Option<Vec<u8>>, DiskError> {
    match list.source {
        Source::Builtin => Ok(Some(BUILTIN_LIST.as_bytes().to_vec())),
        _ => Ok(dir.read(&list.id, Version::Good)?.map(|(_, text)| text)),
    }
}
