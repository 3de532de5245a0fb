//! Records declared in a file: which they are, and what a new version of the file changes.
//!
//! A node whose `lanward.toml` names a household file keeps one extra record in the household's
//! document, `declared/<node>`, with the file and the keys of the records it declares. So both
//! nodes know that these are not to be edited elsewhere, and a record that was taken out of the
//! file can be told from one that was made in the pages.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::settings::household::Declared;

/// The value of a `declared/<node>` record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    /// The file's path on that node.
    file: String,
    /// The keys of its records.
    keys: BTreeSet<String>,
}

fn key_of(node: &str) -> String {
    format!("declared/{node}")
}

/// Why the record `key` cannot be edited, in one sentence; `None` when it can.
pub fn locked(records: &BTreeMap<String, String>, key: &str) -> Option<String> {
    let claims = records.range(key_of("")..).take_while(|(k, _)| k.starts_with("declared/"));
    claims
        .filter_map(|(k, json)| Some((k, serde_json::from_str::<Claim>(json).ok()?)))
        .find(|(_, claim)| claim.keys.contains(key))
        .map(|(k, claim)| {
            let node = k.strip_prefix("declared/").unwrap_or(k);
            format!("It is declared in {} on {node}: change it there.", claim.file)
        })
}

/// What is to be written so that the household holds what `file` on `node` declares: changed and
/// new records, and the removal of those that an earlier version of the file declared. Empty when
/// nothing changed.
pub fn writes(
    records: &BTreeMap<String, String>,
    node: &str,
    file: &str,
    declared: &Declared,
) -> Vec<(String, Option<String>)> {
    let before = records.get(&key_of(node));
    let before = before.and_then(|json| serde_json::from_str::<Claim>(json).ok());
    let before = before.map(|claim| claim.keys).unwrap_or_default();
    let differences = declared.differences(records, &before).into_iter();
    let mut writes: Vec<_> = differences.map(|change| (change.key, change.new)).collect();
    let claim = Claim { file: file.to_owned(), keys: declared.records.keys().cloned().collect() };
    // A value of this type has no part that JSON cannot hold.
    let claim = serde_json::to_string(&claim).unwrap_or_default();
    if records.get(&key_of(node)) != Some(&claim) {
        writes.push((key_of(node), Some(claim)));
    }
    writes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(pairs: &[(&str, &str)]) -> Declared {
        let records = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Declared { records, ..Declared::default() }
    }

    fn load(records: &mut BTreeMap<String, String>, file: &Declared) {
        for (key, value) in writes(records, "pi-a", "/etc/household.toml", file) {
            match value {
                Some(value) => records.insert(key, value),
                None => records.remove(&key),
            };
        }
    }

    fn own_list() -> BTreeMap<String, String> {
        BTreeMap::from([("list/own".to_owned(), "{}".to_owned())])
    }

    #[test]
    fn a_declared_record_is_locked_with_the_file_and_the_node() {
        let mut records = own_list();
        load(&mut records, &declared(&[("network/iot", "{\"a\":1}")]));
        let why = locked(&records, "network/iot").expect("declared");
        assert!(why.contains("/etc/household.toml") && why.contains("pi-a"), "{why}");
        assert_eq!(locked(&records, "list/own"), None);
    }

    #[test]
    fn a_record_taken_out_of_the_file_goes_and_one_made_elsewhere_stays() {
        let mut records = own_list();
        load(&mut records, &declared(&[("network/iot", "{}"), ("network/home", "{}")]));
        load(&mut records, &declared(&[("network/home", "{}")]));
        assert!(!records.contains_key("network/iot"));
        assert!(records.contains_key("network/home") && records.contains_key("list/own"));
        assert_eq!(locked(&records, "network/iot"), None);
    }

    #[test]
    fn an_unchanged_file_writes_nothing() {
        let mut records = BTreeMap::new();
        let file = declared(&[("network/iot", "{}")]);
        load(&mut records, &file);
        assert_eq!(writes(&records, "pi-a", "/etc/household.toml", &file), []);
    }
}
