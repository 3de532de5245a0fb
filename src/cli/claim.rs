//! `lanward claim`.

use std::process::ExitCode;

use super::{Common, Done, Failure, daemon, text};
use crate::admin::{ClaimReply, Request};

#[derive(Debug, clap::Args)]
pub(super) struct Claim {}

impl Claim {
    pub(super) fn execute(&self, common: &Common) -> Done {
        let data = daemon::ask(common, &Request::Claim)?;
        let reply: ClaimReply = daemon::read(&data)?;
        if common.json {
            text::print_json(&data);
            return Ok(ExitCode::SUCCESS);
        }
        let Some(code) = &reply.code else {
            return Err(Failure::new("this household has an owner already.")
                .fix("Set a new password with `lanward passwd`."));
        };
        text::print_line(&format!("Claim code: {}", text::clean(code)));
        text::print_line(&format!("Enter it at  {}", text::clean(&reply.url)));
        if let Some(secs) = reply.valid_secs {
            text::print_line(&format!("It is good for {}, once.", text::for_long(secs)));
        }
        Ok(ExitCode::SUCCESS)
    }
}
