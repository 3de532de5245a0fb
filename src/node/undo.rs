//! Taking back a change of the settings.

use std::collections::BTreeMap;

use lanward_ha::SettingsChange;

use super::UndoRefusal;
use crate::settings::declared_by;

/// Records to write: key and new JSON; `None` removes one.
type Writes = Vec<(String, Option<String>)>;

/// What would take back a change, given all its records as it left them: refused when one of
/// them says something else by now, or belongs to a file.
pub fn undo_of(
    change: &[SettingsChange],
    records: &BTreeMap<String, String>,
) -> Result<Writes, UndoRefusal> {
    if change.is_empty() {
        return Err(UndoRefusal::Unknown);
    }
    if let Some(record) =
        change.iter().find(|record| records.get(&record.id) != record.after.as_ref())
    {
        return Err(UndoRefusal::ChangedSince(record.id.clone()));
    }
    if let Some(record) = change.iter().find(|record| is_for_good(&record.id)) {
        return Err(UndoRefusal::ForGood(record.id.clone()));
    }
    let declared = |record: &SettingsChange| {
        let node = declared_by(records, &record.id)?.to_owned();
        Some(UndoRefusal::Declared { record: record.id.clone(), node })
    };
    if let Some(refusal) = change.iter().find_map(declared) {
        return Err(refusal);
    }
    Ok(change.iter().map(|record| (record.id.clone(), record.before.clone())).collect())
}

/// Whether a record is never set back: an old password, or what the daemon notes by itself.
pub fn is_for_good(key: &str) -> bool {
    ["user/", "token/", "declared/"].iter().any(|prefix| key.starts_with(prefix))
}
