//! `lanward export` and `lanward apply`: the household as one file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::leases::edited;
use super::{Common, Done, FAILED, daemon, text};
use crate::admin::{RecordWrite, Request};
use crate::settings::load::read_household;
use crate::settings::{differences, export};

#[derive(Debug, clap::Args)]
pub(super) struct Export {}

#[derive(Debug, clap::Args)]
pub(super) struct Apply {
    /// The household.toml.
    file: PathBuf,
    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,
}

type Records = BTreeMap<String, String>;

/// The household's records as the daemon has them.
fn records(common: &Common) -> Result<Records, super::Failure> {
    let data = daemon::ask(common, &Request::Records)?;
    let records: BTreeMap<String, Value> = daemon::read(&data)?;
    Ok(records.into_iter().map(|(key, record)| (key, record.to_string())).collect())
}

impl Export {
    pub(super) fn execute(&self, common: &Common) -> Done {
        let records = records(common)?;
        if common.json {
            let kept = records.iter().filter(|(key, _)| export::belongs(key));
            let kept: BTreeMap<&String, Value> = kept
                .filter_map(|(key, record)| Some((key, serde_json::from_str(record).ok()?)))
                .collect();
            text::print_json(&json!(kept));
        } else {
            text::print_line(export::to_toml(&records).trim_end());
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Apply {
    pub(super) fn execute(&self, common: &Common) -> Done {
        let declared = match read_household(&self.file) {
            Ok(declared) => declared,
            Err(report) => {
                text::complain(report.render(super::colours_on_stderr()).trim_end());
                return Ok(ExitCode::from(FAILED));
            }
        };
        let document = records(common)?;
        let gone = document
            .keys()
            .filter(|key| export::belongs(key) && !declared.records.contains_key(*key));
        let writes = differences(&document, &declared.records, gone.cloned());
        if !common.json {
            tell(&document, &writes);
        }
        if self.dry_run || writes.is_empty() {
            if common.json {
                text::print_json(&json!({"applied": false, "writes": as_json(&writes)}));
            }
            return Ok(ExitCode::SUCCESS);
        }
        let data = daemon::ask(common, &Request::Edit { writes: as_json(&writes) })?;
        Ok(edited(common, &data, "The household is as the file says."))
    }
}

fn as_json(writes: &[(String, Option<String>)]) -> Vec<RecordWrite> {
    let value = |json: &Option<String>| serde_json::from_str(json.as_deref()?).ok();
    writes.iter().map(|(key, json)| RecordWrite { key: key.clone(), value: value(json) }).collect()
}

/// Shows the changes: `+` new, `-` gone, both for changed records.
fn tell(document: &Records, writes: &[(String, Option<String>)]) {
    if writes.is_empty() {
        text::print_line("Nothing would change.");
    }
    for (key, new) in writes {
        let key_shown = text::clean(key);
        if let Some(old) = document.get(key) {
            text::print_line(&format!("- {key_shown} {}", text::clean(old)));
        }
        if let Some(new) = new {
            text::print_line(&format!("+ {key_shown} {}", text::clean(new)));
        }
    }
}
