//! The daemon's composition. (being written)
mod publish;

/// Runs the daemon in the foreground until it is told to stop.
pub fn run(options: crate::cli::RunOptions) -> miette::Result<std::process::ExitCode> {
    let loaded = options.load()?;
    Err(miette::miette!("{} cannot serve yet: its rooms are being built", loaded.host.node.name))
}
