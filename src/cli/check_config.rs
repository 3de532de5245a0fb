//! `lanward check-config`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Common, Done, FAILED, Failure, text};
use crate::settings::load::{DEFAULT_PATH, read_host, read_household};
use crate::settings::{Declared, HostConfig, Report};

#[derive(Debug, clap::Args)]
pub(super) struct CheckConfig {
    /// A lanward.toml (its household.toml is checked too) or a household.toml
    /// [default: this host's settings].
    file: Option<PathBuf>,
    /// Print what is in force, defaults included, when there are no mistakes.
    #[arg(long)]
    print_effective: bool,
}

/// What was read.
struct Checked {
    host: Option<HostConfig>,
    household: Option<Declared>,
    files: Vec<PathBuf>,
    reports: Vec<Report>,
}

impl CheckConfig {
    pub(super) fn execute(&self, common: &Common) -> Done {
        let file = self.file.as_deref().or(common.config.as_deref());
        let file = file.unwrap_or(Path::new(DEFAULT_PATH));
        if self.file.is_none() && common.config.is_none() && !file.exists() {
            return Err(Failure::new(format!("there is no {}.", file.display()))
                .fix("Name the file to check: lanward check-config FILE."));
        }
        let checked = check(file);
        let bad = checked.reports.iter().any(Report::has_errors);
        if common.json {
            text::print_json(&checked.to_json(self.print_effective && !bad));
        } else {
            checked.tell(self.print_effective && !bad);
        }
        Ok(ExitCode::from(if bad { FAILED } else { 0 }))
    }
}

fn check(file: &Path) -> Checked {
    let mut checked =
        Checked { host: None, household: None, files: vec![file.to_owned()], reports: Vec::new() };
    if looks_like_household(file) {
        checked.household(file);
        return checked;
    }
    match read_host(file) {
        Ok(host) => {
            if let Some(household) = &host.household {
                checked.files.push(household.clone());
                checked.household(household);
            }
            checked.host = Some(host);
        }
        Err(report) => checked.reports.push(report),
    }
    checked
}

/// The two files are told apart by what only one of them has; an empty one by its name.
fn looks_like_household(file: &Path) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let starts = |words: &[&str]| {
        text.lines().any(|line| words.iter().any(|word| line.trim_start().starts_with(word)))
    };
    if starts(&["[node]", "[dns]", "[dhcp]", "[web]", "[pair]", "[log]", "household"]) {
        return false;
    }
    let words = ["[[network]]", "[[policy]]", "[[list]]", "[[rule]]", "[[record]]"];
    starts(&words)
        || starts(&["[[reservation]]", "domain", "upstreams", "mclt"])
        || file.file_name().is_some_and(|name| name == "household.toml")
}

impl Checked {
    fn household(&mut self, file: &Path) {
        match read_household(file) {
            Ok(declared) => {
                self.reports.push(declared.warnings.clone());
                self.household = Some(declared);
            }
            Err(report) => self.reports.push(report),
        }
    }

    fn tell(&self, print_effective: bool) {
        for report in &self.reports {
            text::complain(report.render(super::colours_on_stderr()).trim_end());
        }
        let findings: usize = self.reports.iter().map(|report| report.findings().len()).sum();
        let files: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
        let files = files.join(" and ");
        match findings {
            0 => text::complain(&format!("{files}: no mistakes.")),
            1 => text::complain(&format!("{files}: 1 thing to mend.")),
            n => text::complain(&format!("{files}: {n} things to mend.")),
        }
        if print_effective {
            text::print_json(&self.effective());
        }
    }

    fn to_json(&self, print_effective: bool) -> Value {
        let findings: Vec<_> = self.reports.iter().flat_map(Report::findings).collect();
        let bad = self.reports.iter().any(Report::has_errors);
        let mut out = json!({"ok": !bad, "files": self.files, "findings": findings});
        if print_effective {
            out["effective"] = self.effective();
        }
        out
    }

    /// Every setting as it is in force, with the defaults written out.
    fn effective(&self) -> Value {
        let records: BTreeMap<&String, Value> = self
            .household
            .iter()
            .flat_map(|declared| &declared.records)
            .filter_map(|(key, record)| Some((key, serde_json::from_str(record).ok()?)))
            .collect();
        json!({"host": self.host, "household": records})
    }
}
