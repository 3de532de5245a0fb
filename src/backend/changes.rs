//! The history of the settings and the records that collide, in the words of the pages.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use lanward_dhcp::Time;
use lanward_ha::{ChangeId, CollidingValue, SettingsChange};
use lanward_web::view::{
    ChangeRow, CollisionRow, CollisionValue, Deed, FieldChange, RecordChange, ValueField,
};
use serde_json::Value;

use crate::node::{UndoRefusal, undo_of};

/// How far back the history is shown.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);
/// A longer value is cut where it is shown.
const SHOWN: usize = 160;

/// The changes of the last 30 days, newest first.
pub(super) fn rows(
    changes: &[SettingsChange],
    records: &BTreeMap<String, String>,
    now: Timestamp,
) -> Vec<ChangeRow> {
    let undone: BTreeSet<ChangeId> = changes.iter().filter_map(|change| change.undoes).collect();
    let oldest = now - KEPT;
    let mut rows: Vec<ChangeRow> = changes
        .chunk_by(|a, b| a.change == b.change)
        .filter_map(|change| {
            let first = change.first()?;
            let shown: Vec<RecordChange> = change.iter().filter_map(record_change).collect();
            let row = ChangeRow {
                id: first.change.to_string(),
                at: date(first.at),
                author: first.author.clone(),
                host: first.node.clone(),
                undoes: first.undoes.map(|id| id.to_string()),
                records: shown,
                cannot_undo: undo_of(change, records).err().map(|refusal| match refusal {
                    UndoRefusal::ChangedSince(_) if undone.contains(&first.change) => {
                        "It was undone.".to_owned()
                    }
                    refusal => format!("{refusal}."),
                }),
            };
            (!row.records.is_empty() && row.at >= oldest).then_some(row)
        })
        .collect();
    // Changes made on both sides of a break come in no order of time.
    rows.sort_by_key(|row| std::cmp::Reverse(row.at));
    rows
}

/// The change of an id with all its digits.
pub(super) fn whole(digits: &str) -> Option<ChangeId> {
    let bytes = data_encoding::HEXLOWER.decode(digits.as_bytes()).ok()?;
    bytes.try_into().ok().map(ChangeId)
}

/// The change whose id begins with `digits`; the error says what is wrong with them.
pub(super) fn find(digits: &str, changes: &[SettingsChange]) -> Result<ChangeId, String> {
    let digits = digits.trim().to_ascii_lowercase();
    if digits.len() < 4 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(format!("“{digits}” is no change: give four or more digits of its id."));
    }
    let mut found: Vec<ChangeId> = changes
        .iter()
        .map(|change| change.change)
        .filter(|id| id.to_string().starts_with(&digits))
        .collect();
    found.dedup();
    match found.as_slice() {
        [] => Err(format!("There is no change {digits}.")),
        [id] => Ok(*id),
        _ => Err(format!("More than one change begins with {digits}: give more digits.")),
    }
}

/// Whether somebody has to settle a collision of this record. Of two pauses made apart, the one in
/// force is as good as the other and ends by itself; what the daemon notes is its own.
pub(super) fn matters(key: &str) -> bool {
    !key.starts_with("pause/") && !key.starts_with("declared/")
}

/// A record with two values, in the words of the pages.
pub(super) fn collision(key: &str, values: &[CollidingValue]) -> CollisionRow {
    let all: Vec<Vec<(String, String)>> = values.iter().map(|v| fields(key, &v.value)).collect();
    let differs = |field: &str| {
        let value = |of: &[(String, String)]| {
            of.iter().find(|(name, _)| name == field).map(|(_, value)| value.clone())
        };
        let first = all.first().and_then(|of| value(of));
        all.iter().any(|of| value(of) != first)
    };
    let shown = values.iter().zip(&all).map(|(value, fields)| {
        let by = value.by.as_ref();
        let mut fields: Vec<ValueField> = fields
            .iter()
            .map(|(field, text)| ValueField {
                field: field.clone(),
                value: text.clone(),
                differs: differs(field),
            })
            .collect();
        fields.sort_by_key(|field| !field.differs);
        CollisionValue {
            id: by.map(|by| by.change.to_string()).unwrap_or_default(),
            at: by.map(|by| date(by.at)),
            author: by.map(|by| by.author.clone()).unwrap_or_default(),
            host: by.map(|by| by.node.clone()).unwrap_or_default(),
            fields,
        }
    });
    CollisionRow { key: key.to_owned(), what: what(key), values: shown.collect() }
}

fn date(at: Time) -> Timestamp {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}

/// A record for people.
pub(super) fn what(key: &str) -> String {
    match key.split_once('/') {
        Some(("user", "owner")) => "the owner's password".to_owned(),
        Some(("pause", "all")) => "pause of blocking for all devices".to_owned(),
        Some(("pause", scope)) => format!("pause of blocking for {}", scope.replacen('/', " ", 1)),
        Some((kind, id)) => format!("{kind} {id}"),
        None => key.to_owned(),
    }
}

/// `None` for what nobody edits.
fn record_change(change: &SettingsChange) -> Option<RecordChange> {
    if change.id.starts_with("declared/") {
        return None;
    }
    let deed = match (&change.before, &change.after) {
        (None, _) => Deed::Added,
        (Some(_), Some(_)) => Deed::Changed,
        (Some(_), None) => Deed::Removed,
    };
    let of = |value: &Option<String>| -> BTreeMap<String, String> {
        value.iter().flat_map(|json| fields(&change.id, json)).collect()
    };
    let (before, after) = (of(&change.before), of(&change.after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    let fields = differing.map(|name| FieldChange {
        field: name.clone(),
        before: before.get(name).cloned(),
        after: after.get(name).cloned(),
    });
    Some(RecordChange {
        key: change.id.clone(),
        what: what(&change.id),
        deed,
        fields: fields.collect(),
    })
}

/// The fields of a record with their values as text; none of a secret.
fn fields(key: &str, json: &str) -> Vec<(String, String)> {
    if key.starts_with("user/") || key.starts_with("token/") {
        return Vec::new();
    }
    let mut all = Vec::new();
    match serde_json::from_str(json) {
        Ok(value) => flatten("", &value, &mut all),
        Err(_) => all.push((String::new(), cut(json))),
    }
    all
}

fn flatten(name: &str, value: &Value, all: &mut Vec<(String, String)>) {
    if let Value::Object(map) = value {
        for (field, value) in map {
            let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
            flatten(&name, value, all);
        }
        return;
    }
    all.push((name.to_owned(), cut(&text(value))));
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
