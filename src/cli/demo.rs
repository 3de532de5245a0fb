//! `lanward demo`.

use super::{Common, Done, Failure};

/// How the demonstration runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DemoOptions {
    /// How long; none: until a key is pressed.
    pub seconds: Option<u64>,
    /// Whether the events and the report are JSON, one object a line.
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// End after so many seconds; one host is killed in the middle. Without it, keys decide.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(10..=86_400))]
    seconds: Option<u64>,
}

impl Demo {
    pub(super) fn execute(&self, common: &Common) -> Done {
        let options = DemoOptions { seconds: self.seconds, json: common.json };
        crate::demo::run(options).map_err(Failure::from)
    }
}
