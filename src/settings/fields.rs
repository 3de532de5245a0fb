//! Reading a table field by field, so that *every* mistake in it is found at once, each with its
//! path, its cause and a fix. Used for records of the document and for the files alike.

use serde_json::{Map, Value};

use super::problem::{Place, Problem};

/// Why one value cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The sentence for people.
    pub message: String,
    /// How to mend it.
    pub fix: String,
}

impl Wrong {
    /// A reason with its fix.
    pub fn new(message: impl Into<String>, fix: impl Into<String>) -> Wrong {
        Wrong { message: message.into(), fix: fix.into() }
    }
}

/// A value that is read from one field.
pub trait Read: Sized {
    /// Reads it; never panics, whatever the value.
    fn read(value: &Value) -> Result<Self, Wrong>;
}

/// The fields of one table while they are being read.
#[derive(Debug)]
pub struct Fields<'a> {
    key: &'a str,
    path: String,
    map: &'a Map<String, Value>,
    known: Vec<&'static str>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Fields<'a> {
    /// Reads the table `value` of record `key` with `read`, then tells every field that `read`
    /// did not ask for. `None` when it is no table or `read` gave up.
    pub fn read_all<T>(
        key: &'a str,
        value: &'a Value,
        problems: &'a mut Vec<Problem>,
        read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
    ) -> Option<T> {
        Fields::enter(key, String::new(), value, problems, read)
    }

    fn enter<T>(
        key: &str,
        path: String,
        value: &Value,
        problems: &mut Vec<Problem>,
        read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
    ) -> Option<T> {
        let Value::Object(map) = value else {
            problems.push(Problem::error(
                Place::new(key, path),
                format!("{} is not a table of fields.", shown(value)),
                "Write it as a table: name = value, one per line.",
            ));
            return None;
        };
        let mut fields = Fields { key, path, map, known: Vec::new(), problems };
        let out = read(&mut fields);
        fields.tell_unknown();
        out
    }

    /// The record these fields belong to.
    pub fn key(&self) -> &str {
        self.key
    }

    /// Where in its list this table stands, when it is one of a list.
    pub fn index(&self) -> Option<usize> {
        self.path.strip_suffix(']')?.rsplit_once('[')?.1.parse().ok()
    }

    /// The value of `name`; an explicit null counts as absent.
    fn get(&mut self, name: &'static str) -> Option<&'a Value> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// The value as it stands, for fields that are written in more than one way.
    pub fn peek(&mut self, name: &'static str) -> Option<&'a Value> {
        self.get(name)
    }

    /// Whether `name` is given.
    pub fn has(&mut self, name: &'static str) -> bool {
        self.get(name).is_some()
    }

    /// The field, or nothing when it is absent or wrong; wrong ones are told.
    pub fn optional<T: Read>(&mut self, name: &'static str) -> Option<T> {
        let value = self.get(name)?;
        match T::read(value) {
            Ok(read) => Some(read),
            Err(wrong) => {
                self.wrong(name, wrong);
                None
            }
        }
    }

    /// The field; told when it is absent or wrong.
    pub fn required<T: Read>(&mut self, name: &'static str, example: &str) -> Option<T> {
        if !self.has(name) {
            self.wrong(
                "",
                Wrong::new(format!("`{name}` is missing."), format!("Add {name} = {example}")),
            );
            return None;
        }
        self.optional(name)
    }

    /// The field, or `default` when it is absent or wrong.
    pub fn or<T: Read>(&mut self, name: &'static str, default: T) -> T {
        self.optional(name).unwrap_or(default)
    }

    /// The elements of an array that can be read; the others are told.
    pub fn list<T: Read>(&mut self, name: &'static str) -> Vec<T> {
        self.elements(name, |fields, value, field| match T::read(value) {
            Ok(read) => Some(read),
            Err(wrong) => {
                fields.wrong(field, wrong);
                None
            }
        })
    }

    /// A nested table.
    pub fn table<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
    ) -> Option<T> {
        let value = self.get(name)?;
        let path = self.path_of(name);
        Fields::enter(self.key, path, value, self.problems, read)
    }

    /// An array of tables.
    pub fn tables<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&mut Fields<'_>) -> Option<T>,
    ) -> Vec<T> {
        self.elements(name, |fields, value, field| {
            let path = fields.path_of(field);
            Fields::enter(fields.key, path, value, fields.problems, &mut read)
        })
    }

    /// Tells that the field `name` (or, when empty, the table itself) is wrong.
    pub fn wrong(&mut self, name: &str, wrong: Wrong) {
        let place = Place::new(self.key, self.path_of(name));
        self.problems.push(Problem::error(place, wrong.message, wrong.fix));
    }

    fn elements<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&mut Self, &'a Value, &str) -> Option<T>,
    ) -> Vec<T> {
        match self.get(name) {
            None => Vec::new(),
            Some(Value::Array(values)) => values
                .iter()
                .enumerate()
                .filter_map(|(i, value)| read(self, value, &format!("{name}[{i}]")))
                .collect(),
            Some(Value::Object(_)) => {
                self.wrong(
                    name,
                    Wrong::new(
                        format!("There may be several of `{name}`."),
                        format!("Write its header with two brackets: [[{name}]]"),
                    ),
                );
                Vec::new()
            }
            Some(other) => {
                self.wrong(
                    name,
                    Wrong::new(
                        format!("{} is not a list.", shown(other)),
                        format!("Write it in brackets: {name} = [{}]", shown(other)),
                    ),
                );
                Vec::new()
            }
        }
    }

    fn path_of(&self, name: &str) -> String {
        match (self.path.is_empty(), name.is_empty()) {
            (true, _) => name.to_owned(),
            (false, true) => self.path.clone(),
            (false, false) => format!("{}.{name}", self.path),
        }
    }

    fn tell_unknown(&mut self) {
        let unknown: Vec<&String> =
            self.map.keys().filter(|key| !self.known.contains(&key.as_str())).collect();
        for name in unknown {
            let fix = match nearest(name, &self.known) {
                Some(known) => format!("Did you mean `{known}`?"),
                None => format!("Known here: {}.", self.known.join(", ")),
            };
            let place = Place::new(self.key, self.path_of(name));
            self.problems.push(Problem::error(place, format!("Unknown key `{name}`."), fix));
        }
    }
}

/// The word among `known` that `name` was probably meant to be.
pub fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let name = name.to_lowercase().replace('-', "_");
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&name, known), *known))
        .filter(|(distance, known)| {
            *distance <= 1 + known.len() / 4 || (name.len() >= 4 && known.starts_with(&name))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// A value as it is shown in a message: cut to a readable length.
pub fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) if text.is_empty() => "An empty text".to_owned(),
        Value::String(text) => text.chars().filter(|c| !c.is_control()).collect(),
        Value::Array(_) => "A list".to_owned(),
        Value::Object(_) => "A table".to_owned(),
        other => other.to_string(),
    };
    if text.chars().count() <= 60 {
        return text;
    }
    text.chars().take(57).chain("...".chars()).collect()
}
