//! `lanward lists`.

use std::process::ExitCode;

use serde::Deserialize;

use super::leases::edited;
use super::text::{self, Tone};
use super::{Common, DEGRADED, Done, daemon};
use crate::admin::Request;

#[derive(Debug, clap::Args)]
pub(super) struct Lists {
    #[command(subcommand)]
    order: Option<Order>,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
    /// List blocklists and allow lists (without an order, this is done).
    List,
    /// Add a list and fetch it.
    Add {
        /// Its web address, or the absolute path of a file on the hosts.
        source: String,
        /// Its id [default: made from the name].
        #[arg(long)]
        id: Option<String>,
        /// Its name.
        #[arg(long)]
        name: Option<String>,
        /// Allow its names instead of blocking them.
        #[arg(long)]
        allow: bool,
        /// Only for this policy (may be repeated) [default: all].
        #[arg(long = "policy", value_name = "POLICY")]
        policies: Vec<String>,
    },
    /// Remove a list; its names are no longer blocked.
    Remove {
        /// Its id.
        id: String,
    },
    /// Fetch a list now, or all of them.
    Update {
        /// Its id [default: all].
        id: Option<String>,
    },
    /// Use a list again.
    Enable {
        /// Its id.
        id: String,
    },
    /// Stop using a list, without removing it.
    Disable {
        /// Its id.
        id: String,
    },
    /// Use the fetched version of a list that is held back.
    Accept {
        /// Its id.
        id: String,
    },
}

/// The part of a list that is shown.
#[derive(Debug, Deserialize)]
struct Row {
    id: String,
    name: String,
    kind: String,
    enabled: bool,
    entries: Option<u64>,
    last_success: Option<String>,
    error: Option<String>,
    held: Option<String>,
    activity: String,
}

impl Lists {
    pub(super) fn execute(&self, common: &Common) -> Done {
        let edit = |request: &Request, done: String| {
            let data = daemon::ask(common, request)?;
            Ok(edited(common, &data, &done))
        };
        match &self.order {
            None | Some(Order::List) => list(common),
            Some(Order::Add { source, id, name, allow, policies }) => {
                let request = Request::AddList {
                    id: id.clone(),
                    name: name.clone(),
                    source: source.clone(),
                    allow: *allow,
                    policies: policies.clone(),
                };
                edit(&request, format!("{source} is added."))
            }
            Some(Order::Remove { id }) => {
                edit(&Request::RemoveList { id: id.clone() }, format!("{id} is removed."))
            }
            Some(Order::Update { id }) => {
                let data = daemon::ask(common, &Request::UpdateList { id: id.clone() })?;
                if common.json {
                    text::print_json(&data);
                } else {
                    text::print_line("Fetching. `lanward lists` tells how it went.");
                }
                Ok(ExitCode::SUCCESS)
            }
            Some(Order::Enable { id }) => edit(
                &Request::SetListEnabled { id: id.clone(), enabled: true },
                format!("{id} is used again."),
            ),
            Some(Order::Disable { id }) => edit(
                &Request::SetListEnabled { id: id.clone(), enabled: false },
                format!("{id} is not used any more."),
            ),
            Some(Order::Accept { id }) => {
                edit(&Request::AcceptHeld { id: id.clone() }, format!("{id} is updated."))
            }
        }
    }
}

fn list(common: &Common) -> Done {
    let data = daemon::ask(common, &Request::Lists)?;
    let rows: Vec<Row> = daemon::read(&data)?;
    let failing = rows.iter().any(|row| row.enabled && (row.error.is_some() || row.held.is_some()));
    let code = ExitCode::from(if failing { DEGRADED } else { 0 });
    if common.json {
        text::print_json(&data);
        return Ok(code);
    }
    if rows.is_empty() {
        text::print_line("No lists. Add one: lanward lists add https://lists.example/ads.txt");
        return Ok(code);
    }
    let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
    let head = ["ID", "NAME", "KIND", "RULES", "UPDATED", "STATE"];
    text::table(&head, &cells).iter().for_each(|line| text::print_line(line));
    for row in &rows {
        for trouble in row.error.iter().chain(&row.held) {
            let line = text::clean(&format!("{}: {trouble}", row.id));
            text::print_line(&text::toned(&line, Tone::Attention));
        }
    }
    Ok(code)
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let state = match (self.enabled, self.activity.as_str()) {
            (false, _) => "off",
            (true, "queued") => "queued",
            (true, "updating") => "updating",
            (true, _) if self.held.is_some() => "held",
            (true, _) if self.error.is_some() => "failing",
            (true, _) => "ok",
        };
        vec![
            self.id.clone(),
            self.name.clone(),
            self.kind.clone(),
            self.entries.map_or_else(|| "-".to_owned(), |entries| entries.to_string()),
            text::from_now(self.last_success.as_deref()),
            state.to_owned(),
        ]
    }
}
