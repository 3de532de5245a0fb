//! A TOML file as a tree of values with the place of each in the text.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A file that was read.
#[derive(Clone, Debug)]
pub(super) struct TomlFile {
    /// Its name as people know it.
    pub(super) name: String,
    /// Its text.
    pub(super) text: String,
    /// What it says.
    pub(super) value: Value,
    /// What is wrong with its syntax: where and why.
    pub(super) errors: Vec<(Range<usize>, String)>,
    spans: BTreeMap<String, Range<usize>>,
}

impl TomlFile {
    /// Reads `text`; a broken text gives errors, never a panic.
    pub(super) fn parse(name: &str, text: String) -> TomlFile {
        let (table, errors) = DeTable::parse_recoverable(&text);
        let errors = errors
            .into_iter()
            .map(|error| (error.span().unwrap_or(0..0), sentence(error.message())))
            .collect();
        let mut spans = BTreeMap::new();
        let value = tables(table.get_ref(), "", &mut spans);
        TomlFile { name: name.to_owned(), value, errors, spans, text }
    }

    /// Where `path` (such as `network[0].dhcp.pools[1]`) stands. For something that is not there,
    /// the innermost thing around it that is.
    pub(super) fn span(&self, path: &str) -> Range<usize> {
        let mut path = path;
        loop {
            if let Some(span) = self.spans.get(path) {
                return span.clone();
            }
            let cut = path.rfind(['.', '[']).unwrap_or(0);
            if cut == 0 {
                return 0..0;
            }
            path = &path[..cut];
        }
    }

    /// Line and column of a place in the text, both from 1; the column counts characters.
    pub(super) fn line_column(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

fn tables(table: &DeTable<'_>, path: &str, spans: &mut BTreeMap<String, Range<usize>>) -> Value {
    let mut map = Map::new();
    for (key, value) in table {
        let name = key.get_ref();
        let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
        // The value is the better place to point at, except for tables: theirs is all of it, or
        // only a header.
        let span = match value.get_ref() {
            DeValue::Table(_) | DeValue::Array(_) => key.span(),
            _ => value.span(),
        };
        spans.insert(path.clone(), span);
        spans.insert(key_path(&path), key.span());
        map.insert(name.to_string(), values(value, &path, spans));
    }
    Value::Object(map)
}

/// The path under which the place of a key itself is kept, not of its value.
pub(super) fn key_path(path: &str) -> String {
    format!("{path}#key")
}

fn values(
    value: &Spanned<DeValue<'_>>,
    path: &str,
    spans: &mut BTreeMap<String, Range<usize>>,
) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::from(number.as_str()), Value::from),
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map_or_else(|| Value::from(number.as_str()), Value::Number),
        DeValue::Boolean(on) => Value::from(*on),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(elements) => {
            let of_element = |(i, element): (usize, &Spanned<DeValue<'_>>)| {
                let path = format!("{path}[{i}]");
                spans.insert(path.clone(), element.span());
                values(element, &path, spans)
            };
            elements.iter().enumerate().map(of_element).collect()
        }
        DeValue::Table(table) => tables(table, path, spans),
    }
}

/// The parser's words as a sentence.
fn sentence(message: &str) -> String {
    let mut letters = message.trim().chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let text = format!("{first}{}", letters.as_str().replace('\n', ", "));
    if text.ends_with('.') { text } else { format!("{text}.") }
}
