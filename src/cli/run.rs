//! `lanward run`.

use std::path::PathBuf;

use super::{Common, Done, Failure, text};
use crate::settings::load::{self, Loaded};

/// What the daemon was started with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// This host's settings; none: the usual file if it is there, else safe defaults.
    pub config: Option<PathBuf>,
    /// Instead of `data_dir` in the settings.
    pub data_dir: Option<PathBuf>,
    /// Where the admin socket is to be, instead of where the settings say.
    pub socket: Option<PathBuf>,
    /// End when the process that started this one ends, however it ends.
    pub exit_with_parent: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// Keep leases, settings, keys and lists here instead of in the settings' data_dir.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// End when the process that started this one ends, however it ends.
    #[arg(long)]
    exit_with_parent: bool,
}

impl Run {
    pub(super) fn execute(self, common: &Common) -> Done {
        let options = RunOptions {
            config: common.config.clone(),
            data_dir: self.data_dir,
            socket: common.socket.clone(),
            exit_with_parent: self.exit_with_parent,
        };
        // Before there is a second thread, and anything large.
        crate::io::memory::give_back_large_blocks();
        crate::control::run(&options).map_err(Failure::from)
    }
}

impl RunOptions {
    /// Reads the settings, with what was said on the command line in place. Every mistake in
    /// them is shown with its lines on standard error.
    pub fn load(&self) -> Result<Loaded, miette::Report> {
        let mut loaded = load::load(self.config.as_deref()).map_err(|reports| {
            let colours = super::colours_on_stderr();
            for report in &reports {
                text::complain(report.render(colours).trim_end());
            }
            miette::miette!("the settings have mistakes, so nothing was started.")
        })?;
        if let Some(folder) = &self.data_dir {
            loaded.host.node.data_dir = std::path::absolute(folder).unwrap_or(folder.clone());
        }
        if let Some(socket) = &self.socket {
            loaded.host.node.socket = Some(socket.clone());
        }
        Ok(loaded)
    }
}
