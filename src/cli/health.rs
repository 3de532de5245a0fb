//! `lanward health`.

use std::process::ExitCode;

use super::{Common, Done, FAILED, daemon, text};
use crate::admin::{HealthReply, Request};

#[derive(Debug, clap::Args)]
pub(super) struct Health {}

impl Health {
    /// 0 while this host answers DNS, 1 when it does not or no daemon runs here: what keepalived
    /// and routing daemons expect of a check.
    pub(super) fn execute(&self, common: &Common) -> Done {
        let data = daemon::ask(common, &Request::Health)?;
        let health: HealthReply = daemon::read(&data)?;
        if common.json {
            text::print_json(&data);
        } else {
            text::print_line(&health.why);
        }
        Ok(ExitCode::from(if health.well { 0 } else { FAILED }))
    }
}
