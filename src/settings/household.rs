//! The household declared in a file: `household.toml`, version 1.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::effective::{HostView, derive};
use super::fields::{Fields, Wrong};
use super::host::read_version;
use super::problem::{Place, Problem};
use super::records::{
    List, LocalRecord, Network, Policy, Record, Reservation, Rule, RuleKind, Settings,
};
use super::report::Report;
use super::toml_file::TomlFile;
use super::words::Id;

/// The records that a file declares, free of errors.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// Key and JSON, as they are written into the document.
    pub records: BTreeMap<String, String>,
    /// What is probably not meant.
    pub warnings: Report,
}

impl Declared {
    /// Reads the text of a `household.toml`. All mistakes are told at once.
    pub fn parse(file: &str, text: String) -> Result<Declared, Report> {
        let file = TomlFile::parse(file, text);
        let mut reading = Reading::default();
        if file.errors.is_empty() {
            let mut problems = std::mem::take(&mut reading.problems);
            Fields::read_all("", &file.value, &mut problems, |fields| {
                reading.all(fields);
                Some(())
            });
            reading.problems.append(&mut problems);
            reading.judge();
        }
        let report = Report::new(&file, &reading.problems, |place| reading.path_of(place));
        if report.has_errors() {
            return Err(report);
        }
        Ok(Declared { records: reading.records, warnings: report })
    }

    /// What to write so that the document says what the file of `node` says: records it declares
    /// that differ, records that it declared before and no longer names, and the note of what it
    /// declares. Everything else in the document belongs to others and stays.
    pub fn writes(
        &self,
        node: &str,
        document: &BTreeMap<String, String>,
    ) -> Vec<(String, Option<String>)> {
        let note = format!("{DECLARED}{node}");
        let before = document.get(&note).map(|note| keys_of(note)).unwrap_or_default();
        let keys: Vec<&String> = self.records.keys().collect();
        let mut wanted = self.records.clone();
        wanted.insert(note, Value::from_iter(keys.into_iter().map(String::as_str)).to_string());
        let gone = before.into_iter().filter(|key| !self.records.contains_key(key));
        differences(document, &wanted, gone)
    }
}

/// The node whose file declares the record `key`, if one does: it cannot be edited elsewhere.
pub fn declared_by<'d>(document: &'d BTreeMap<String, String>, key: &str) -> Option<&'d str> {
    let notes = document.range(DECLARED.to_owned()..);
    notes.take_while(|(note, _)| note.starts_with(DECLARED)).find_map(|(note, keys)| {
        keys_of(keys).iter().any(|declared| declared == key).then(|| &note[DECLARED.len()..])
    })
}

/// What to write so that `document` says what `wanted` says, and no longer says `gone`. Records
/// that say the same in other words are left alone.
pub fn differences(
    document: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, String>,
    gone: impl IntoIterator<Item = String>,
) -> Vec<(String, Option<String>)> {
    let same =
        |key: &String, new: &String| document.get(key).is_some_and(|old| same_json(old, new));
    let changed = wanted.iter().filter(|(key, new)| !same(key, new));
    let changed = changed.map(|(key, new)| (key.clone(), Some(new.clone())));
    let gone = gone.into_iter().filter(|key| document.contains_key(key)).map(|key| (key, None));
    changed.chain(gone).collect()
}

/// Records that note which others a node's file declares: a list of their keys.
const DECLARED: &str = "declared/";

fn keys_of(note: &str) -> Vec<String> {
    serde_json::from_str(note).unwrap_or_default()
}

fn same_json(a: &str, b: &str) -> bool {
    let value = |text: &str| serde_json::from_str::<Value>(text).ok();
    a == b || value(a).is_some_and(|a| Some(a) == value(b))
}

/// The state of reading a file.
#[derive(Default)]
struct Reading {
    records: BTreeMap<String, String>,
    /// Where in the file each record stands.
    paths: BTreeMap<String, String>,
    /// Records that are there and too broken to use; nobody else is told that they are missing.
    broken: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl Reading {
    fn all(&mut self, fields: &mut Fields<'_>) {
        read_version(fields);
        let settings = Settings::read(fields);
        self.settings(&settings);
        self.kind(fields, "network", |_: &Network| None);
        self.kind(fields, "reservation", |reservation: &Reservation| {
            let who = match (&reservation.mac, &reservation.client_id) {
                (Some(mac), _) => mac.to_string().replace(':', ""),
                (None, Some(id)) => id.to_string(),
                (None, None) => String::new(),
            };
            Some(format!("{}-{who}", reservation.network))
        });
        self.kind(fields, "policy", |_: &Policy| None);
        self.kind(fields, "list", |_: &List| None);
        self.kind(fields, "rule", |rule: &Rule| {
            let kind = if rule.kind == RuleKind::Allow { "allow" } else { "deny" };
            Some(format!("{kind}-{}", rule.name))
        });
        self.kind(fields, "record", |record: &LocalRecord| {
            let kind = record.data.type_name().to_ascii_lowercase();
            // Ids are plain words.
            Some(format!("{kind}-{}", record.name.as_str().replace('*', "any")))
        });
    }

    fn settings(&mut self, settings: &Settings) {
        if let Ok(Value::Object(map)) = serde_json::to_value(settings) {
            for (name, value) in map {
                let key = format!("setting/{name}");
                self.paths.insert(key.clone(), String::new());
                self.records.insert(key, value.to_string());
            }
        }
    }

    /// Reads the tables of one kind. Records without an id of their own get the one that `id_of`
    /// makes from what they say.
    fn kind<R: Record>(
        &mut self,
        fields: &mut Fields<'_>,
        name: &'static str,
        id_of: impl Fn(&R) -> Option<String>,
    ) {
        let mut index = 0;
        let mut read = Vec::new();
        fields.tables(name, |fields| {
            let at = fields.index().unwrap_or(index);
            index = at + 1;
            let given: Option<Id> = fields.optional("id");
            let record = R::read(fields);
            let id = given.map(|id| id.to_string()).or_else(|| id_of(record.as_ref()?));
            if id.is_none() && !fields.has("id") && record.is_some() {
                let message = format!("This {name} has no `id`.");
                fields.wrong("", Wrong::new(message, "Add id = \"..\", a short name for it."));
            }
            read.push((at, id, record));
            Some(())
        });
        for (at, id, record) in read {
            let Some(id) = id else { continue };
            let path = format!("{name}[{at}]");
            self.add(R::KIND, &id, path, record.as_ref().map(Record::to_json));
        }
    }

    fn add(&mut self, kind: &str, id: &str, path: String, json: Option<String>) {
        let mut key = format!("{kind}/{id}");
        if kind == LocalRecord::KIND {
            // A name may have several records of a type; they are told apart by their order.
            let mut number = 2;
            while self.paths.contains_key(&key) {
                key = format!("{kind}/{id}-{number}");
                number += 1;
            }
        }
        if let Some(first) = self.paths.get(&key) {
            let problem = Problem::error(
                Place::new(&path, ""),
                format!("There is a {kind} *{id}* already."),
                "Give each its own id, or leave one of them out.",
            );
            self.problems.push(problem.with(Place::new(first, "")));
            return;
        }
        self.paths.insert(key.clone(), path);
        match json {
            Some(json) => {
                self.records.insert(key, json);
            }
            None => {
                self.broken.insert(key);
            }
        }
    }

    /// What the household's records mean together.
    fn judge(&mut self) {
        let effective = derive(&self.records, &HostView::default());
        // Elements that could not be read are gone from their lists, so that places in the rest
        // are no longer the file's.
        let list_of = |path: String| {
            let (list, _) = path.rsplit_once('[')?;
            // The lists of records themselves are not meant: those know their places.
            list.contains('.').then(|| list.to_owned())
        };
        let broken_lists: BTreeSet<String> = (self.problems.iter())
            .filter_map(|problem| list_of(self.path_of(&problem.place)?))
            .collect();
        let told = effective.problems.into_iter().filter(|problem| {
            let of_broken =
                problem.other.as_ref().is_some_and(|place| self.broken.contains(&place.key));
            let list = self.path_of(&problem.place).and_then(list_of);
            !of_broken && list.is_none_or(|list| !broken_lists.contains(&list))
        });
        let told: Vec<Problem> = told.collect();
        self.problems.extend(told);
    }

    /// The path in the file of a place in the settings; `None` for what the file does not have.
    fn path_of(&self, place: &Place) -> Option<String> {
        let is_record = place.key.contains('/');
        let start = match self.paths.get(&place.key) {
            Some(path) => path,
            None if is_record => return None,
            None => &place.key,
        };
        Some(match (start.is_empty(), place.field.is_empty()) {
            (true, _) => place.field.clone(),
            (false, true) => start.clone(),
            (false, false) => format!("{start}.{}", place.field),
        })
    }
}

#[cfg(test)]
mod tests;
