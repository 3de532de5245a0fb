//! Domain names, and the ids people give.

use std::fmt;

use serde_json::Value;

use super::text;
use crate::settings::fields::{Read, Wrong, shown};

/// A DNS name: lower case, without the final dot, each label 1 to 63 bytes, 253 in all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

/// An id people give a network, policy or list: 1 to 63 of `a-z 0-9 - _ .`, beginning with a
/// letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(String);

/// The owner of a record: a name, or a wildcard (`*.lab.home.arpa`; `*` alone is below the
/// household's domain).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner(String);

impl Owner {
    /// The owner, when `text` is one.
    pub fn parse(text: &str) -> Result<Owner, Wrong> {
        match text.strip_suffix('.').unwrap_or(text).strip_prefix('*') {
            None => Name::parse(text).map(|name| Owner(name.0)),
            Some("") => Ok(Owner("*".into())),
            Some(rest) => match rest.strip_prefix('.').map(Name::parse) {
                Some(Ok(rest)) if rest.0.len() <= 251 => Ok(Owner(format!("*.{rest}"))),
                Some(Err(wrong)) => Err(wrong),
                _ => Err(Wrong::new(
                    format!("{} is not a domain name.", shown(&Value::from(text))),
                    "A wildcard is a whole first part: *.lab.home.arpa.",
                )),
            },
        }
    }

    /// The owner as text, without the final dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The owner itself when it has a dot, else the name inside `domain`.
    pub fn in_domain(&self, domain: &str) -> String {
        if self.0.contains('.') { self.0.clone() } else { format!("{}.{domain}", self.0) }
    }
}

impl Id {
    /// The id, when `text` is one.
    pub fn parse(text: &str) -> Result<Id, Wrong> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let good = text.len() <= 63
            && text.starts_with(fits)
            && text.chars().all(|c| fits(c) || "-_.".contains(c));
        good.then(|| Id(text.to_owned())).ok_or_else(|| {
            Wrong::new(
                format!("{} is not an id.", shown(&Value::from(text))),
                "Use 1 to 63 small letters, digits, hyphens, underscores and dots.",
            )
        })
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Name {
    /// The name, when `text` is one. Letters outside ASCII must stand in their `xn--` form.
    pub fn parse(text: &str) -> Result<Name, Wrong> {
        let bad = |why: &str| {
            Wrong::new(
                format!("{} is not a domain name: {why}.", shown(&Value::from(text))),
                "Write a name such as nas or nas.home.arpa.",
            )
        };
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(bad("it is empty"));
        }
        if !text.is_ascii() {
            return Err(bad("it has letters outside ASCII; write their xn-- form"));
        }
        if text.len() > 253 {
            return Err(bad("it is longer than 253 letters"));
        }
        for label in text.split('.') {
            if label.is_empty() {
                return Err(bad("it has an empty part"));
            }
            if label.len() > 63 {
                return Err(bad("a part is longer than 63 letters"));
            }
            if !label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
                return Err(bad("only letters, digits, hyphens, underscores and dots fit"));
            }
        }
        Ok(Name(text.to_ascii_lowercase()))
    }

    /// The name as text, without the final dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name itself when it has a dot, else the name inside `domain`.
    pub fn in_domain(&self, domain: &str) -> String {
        if self.0.contains('.') { self.0.clone() } else { format!("{}.{domain}", self.0) }
    }

    /// The labels one after another as on the wire, each after its length, ending with a zero.
    pub fn to_wire(&self) -> Vec<u8> {
        let mut wire = Vec::with_capacity(self.0.len() + 2);
        for label in self.0.split('.') {
            wire.push(label.len() as u8);
            wire.extend_from_slice(label.as_bytes());
        }
        wire.push(0);
        wire
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Read for Owner {
    fn read(value: &Value) -> Result<Owner, Wrong> {
        Owner::parse(&text(value, "a domain name", "nas.home.arpa")?)
    }
}

impl Read for Name {
    fn read(value: &Value) -> Result<Name, Wrong> {
        Name::parse(&text(value, "a domain name", "nas.home.arpa")?)
    }
}

impl Read for Id {
    fn read(value: &Value) -> Result<Id, Wrong> {
        Id::parse(&text(value, "an id", "iot")?)
    }
}
