//! `lanward names`.

use std::process::ExitCode;

use serde::Deserialize;

use super::text::Tone;
use super::{Common, DEGRADED, Done, daemon, text};
use crate::admin::Request;

/// Leases, reservations, records, the hosts file, the pair and the routers: where each name of the
/// house comes from. Exit code 3: lines of the hosts file are not used.
#[derive(Debug, clap::Args)]
pub(super) struct Names {
    /// Only names and values that have this in them.
    find: Option<String>,
}

/// The part of an answer that is shown.
#[derive(Debug, Deserialize)]
struct All {
    names: Vec<Row>,
    refused: Vec<Refused>,
    mistakes: Vec<(u32, String)>,
}

#[derive(Debug, Deserialize)]
struct Row {
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    value: String,
    source: String,
    line: Option<u32>,
    networks: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Refused {
    name: String,
    addr: String,
    why: String,
}

impl Names {
    pub(super) fn execute(&self, common: &Common) -> Done {
        let data = daemon::ask(common, &Request::Names)?;
        let All { names, refused, mistakes } = daemon::read(&data)?;
        let code = ExitCode::from(if mistakes.is_empty() { 0 } else { DEGRADED });
        if common.json {
            text::print_json(&data);
            return Ok(code);
        }
        let find = self.find.as_deref().unwrap_or_default().to_lowercase();
        let fits =
            |row: &&Row| row.name.contains(&find) || row.value.to_lowercase().contains(&find);
        let cells: Vec<Vec<String>> = names.iter().filter(fits).map(Row::cells).collect();
        if cells.is_empty() {
            text::print_line("No names.");
        } else {
            let head = ["NAME", "TYPE", "VALUE", "FROM", "NETWORKS"];
            text::table(&head, &cells).iter().for_each(|line| text::print_line(line));
        }
        let lines =
            mistakes.iter().map(|(line, why)| format!("Line {line} of the hosts file: {why}"));
        let names = refused
            .iter()
            .map(|Refused { name, addr, why }| format!("{name} is not the name of {addr}: {why}."));
        for trouble in lines.chain(names) {
            text::print_line(&text::toned(&text::clean(&trouble), Tone::Attention));
        }
        Ok(code)
    }
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let source = self.source.replace('_', " ");
        let from = match self.line {
            Some(line) => format!("{source}:{line}"),
            None => source,
        };
        let networks = match self.networks.is_empty() {
            true => "all".to_owned(),
            false => self.networks.join(","),
        };
        vec![self.name.clone(), self.rtype.clone(), self.value.clone(), from, networks]
    }
}
