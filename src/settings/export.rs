//! The household's records as one `household.toml`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::records::Settings;

/// The kinds of records a `household.toml` holds, in the order they are written.
pub const KINDS: [&str; 8] =
    ["network", "reservation", "upstream", "forward", "policy", "list", "rule", "record"];

/// Whether the record `key` is one that a `household.toml` can hold.
pub fn belongs(key: &str) -> bool {
    match key.split_once('/') {
        Some(("setting", name)) => Settings::KEYS.contains(&name),
        Some((kind, _)) => KINDS.contains(&kind),
        None => false,
    }
}

/// The text of a `household.toml` that declares all of `records`. What has no place in one
/// (users, say) is left out, as is what is not JSON.
pub fn to_toml(records: &BTreeMap<String, String>) -> String {
    let mut file = Map::from_iter([("version".to_owned(), Value::from(1))]);
    for (key, json) in records.iter().filter(|(key, _)| belongs(key)) {
        let (Some((kind, id)), Ok(value)) = (key.split_once('/'), serde_json::from_str(json))
        else {
            continue;
        };
        match (kind, value) {
            ("setting", value) => {
                file.insert(id.to_owned(), value);
            }
            (kind, Value::Object(fields)) => {
                let mut table = Map::from_iter([("id".to_owned(), Value::from(id))]);
                table.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
                let tables = file.entry(kind).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(tables) = tables {
                    tables.push(Value::Object(table));
                }
            }
            _ => {}
        }
    }
    // Only a null deep inside could fail: no record that is read has one.
    toml::to_string_pretty(&Value::Object(file)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Declared;

    #[test]
    fn what_is_written_reads_back_as_the_same_records() {
        let sample = include_str!("../../packaging/household.toml").to_owned();
        let mut records = Declared::parse("household.toml", sample).expect("fine").records;
        let text = to_toml(&records);
        let again = Declared::parse("exported.toml", text.clone());
        let again = again.unwrap_or_else(|report| panic!("{report}\n{text}"));
        assert_eq!(again.records, records, "{text}");
        records.insert("user/owner".into(), "{}".into());
        records.insert("network/broken".into(), "no JSON".into());
        assert_eq!(to_toml(&records), text);
    }
}
