//! `lanward flush`.

use std::process::ExitCode;

use super::{Common, Done, daemon, text};
use crate::admin::{ForgottenReply, Request};

/// What other servers said of a name is asked again with the next question.
#[derive(Debug, clap::Args)]
pub(super) struct Flush {
    /// Only answers for this name [default: all answers of this host].
    name: Option<String>,
    /// Answers for names below it too.
    #[arg(long, requires = "name")]
    below: bool,
}

impl Flush {
    pub(super) fn execute(&self, common: &Common) -> Done {
        let request = Request::Flush { name: self.name.clone(), below: self.below };
        let data = daemon::ask(common, &request)?;
        let ForgottenReply { forgotten } = daemon::read(&data)?;
        if common.json {
            text::print_json(&data);
            return Ok(ExitCode::SUCCESS);
        }
        let answers = match forgotten {
            0 => "No answer was cached".to_owned(),
            1 => "One answer is forgotten".to_owned(),
            many => format!("{many} answers are forgotten"),
        };
        let of = self.name.as_deref().map(|name| format!(" for {name}")).unwrap_or_default();
        text::print_line(&text::clean(&format!("{answers}{of} on this host.")));
        Ok(ExitCode::SUCCESS)
    }
}
