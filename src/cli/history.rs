//! `lanward history`, `lanward conflicts` and `lanward settle`.

use std::process::ExitCode;

use serde::Deserialize;

use super::leases::edited;
use super::text::{self, Tone};
use super::{Common, DEGRADED, Done, Failure, daemon};
use crate::admin::Request;

/// Digits of a change's id that are shown, and are enough to name it.
const DIGITS: usize = 8;

#[derive(Debug, clap::Args)]
pub(super) struct History {
    #[command(subcommand)]
    order: Option<Order>,
    /// Show so many changes.
    #[arg(long, short = 'n', default_value_t = 30, value_name = "NUMBER")]
    number: usize,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
    /// Take a change back, by a change of its own.
    Undo {
        /// Its id, as `lanward history` shows it.
        change: String,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Conflicts {}

#[derive(Debug, clap::Args)]
pub(super) struct Settle {
    /// The record, as `lanward conflicts` shows it.
    key: String,
    /// The number of the value to be in force.
    #[arg(long, value_name = "NUMBER")]
    take: usize,
}

#[derive(Debug, Deserialize)]
struct Change {
    id: String,
    at: String,
    author: String,
    host: String,
    undoes: Option<String>,
    records: Vec<Record>,
    cannot_undo: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Record {
    what: String,
    deed: String,
    fields: Vec<Field>,
}

#[derive(Debug, Deserialize)]
struct Field {
    field: String,
    before: Option<String>,
    after: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Collision {
    key: String,
    values: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Value {
    id: String,
    at: Option<String>,
    author: String,
    host: String,
    fields: Vec<ValueField>,
}

#[derive(Debug, Deserialize)]
struct ValueField {
    field: String,
    value: String,
    differs: bool,
}

impl History {
    pub(super) fn execute(&self, common: &Common) -> Done {
        if let Some(Order::Undo { change }) = &self.order {
            let data = daemon::ask(common, &Request::Undo { change: change.clone() })?;
            return Ok(edited(common, &data, "Undone."));
        }
        let data = daemon::ask(common, &Request::Changes { limit: self.number })?;
        let changes: Vec<Change> = daemon::read(&data)?;
        if common.json {
            text::print_json(&data);
        } else if changes.is_empty() {
            text::print_line("Nothing was changed in the last 30 days.");
        } else {
            changes.iter().for_each(Change::tell);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The first digits of an id.
fn short(id: &str) -> &str {
    id.get(..DIGITS).unwrap_or(id)
}

impl Change {
    fn tell(&self) {
        let undoes = match &self.undoes {
            Some(id) => format!(", undoing {}", short(id)),
            None => String::new(),
        };
        let head = format!(
            "{}  {}  {} on {}{undoes}",
            short(&self.id),
            text::from_now(Some(&self.at)),
            self.author,
            self.host
        );
        text::print_line(&text::toned(&text::clean(&head), Tone::Strong));
        for record in &self.records {
            text::print_line(&text::clean(&format!("  {} {}", record.what, record.deed)));
            for field in record.fields.iter().filter(|_| record.deed == "changed") {
                text::print_line(&text::clean(&format!("    {}", field.words())));
            }
        }
        if let Some(why) = &self.cannot_undo {
            text::print_line(&text::clean(&format!("  {why}")));
        }
    }
}

impl Field {
    fn words(&self) -> String {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "(not set)".into());
        let change = format!("{} -> {}", shown(&self.before), shown(&self.after));
        if self.field.is_empty() { change } else { format!("{}: {change}", self.field) }
    }
}

impl Conflicts {
    pub(super) fn execute(&self, common: &Common) -> Done {
        let data = daemon::ask(common, &Request::Collisions)?;
        let all: Vec<Collision> = daemon::read(&data)?;
        let code = ExitCode::from(if all.is_empty() { 0 } else { DEGRADED });
        if common.json {
            text::print_json(&data);
            return Ok(code);
        }
        if all.is_empty() {
            text::print_line("No setting was edited on both hosts apart.");
            return Ok(code);
        }
        for collision in &all {
            collision.tell();
        }
        text::print_line("Choose with: lanward settle KEY --take NUMBER");
        Ok(code)
    }
}

impl Collision {
    fn tell(&self) {
        text::print_line(&text::toned(&text::clean(&self.key), Tone::Strong));
        for (at, value) in self.values.iter().enumerate() {
            let state = if at == 0 { ", in force now" } else { "" };
            let line = format!(
                "  {}  {} on {}, {}{state}",
                at + 1,
                value.author,
                value.host,
                text::from_now(value.at.as_deref())
            );
            text::print_line(&text::clean(&line));
            for field in value.fields.iter().filter(|field| field.differs) {
                let name = if field.field.is_empty() { "" } else { &field.field };
                let line = format!("       {name} {}", field.value);
                text::print_line(&text::clean(&line));
            }
        }
    }
}

impl Settle {
    pub(super) fn execute(&self, common: &Common) -> Done {
        let all: Vec<Collision> = daemon::read(&daemon::ask(common, &Request::Collisions)?)?;
        let Some(collision) = all.into_iter().find(|collision| collision.key == self.key) else {
            return Err(Failure::new(format!("nothing is to be settled about {}.", self.key))
                .fix("`lanward conflicts` lists what is."));
        };
        let chosen = self.take.checked_sub(1).and_then(|at| collision.values.get(at));
        let Some(chosen) = chosen else {
            let last = collision.values.len();
            return Err(Failure::new(format!("there is no value {}.", self.take))
                .fix(format!("Take one of 1 to {last}: `lanward conflicts` shows them.")));
        };
        let request = Request::Settle { key: self.key.clone(), value: chosen.id.clone() };
        let data = daemon::ask(common, &request)?;
        let done = format!("{} is what {} made it on {}.", self.key, chosen.author, chosen.host);
        Ok(edited(common, &data, &done))
    }
}
