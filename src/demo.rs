//! (being written)

/// Runs the demonstration.
pub fn run(_options: crate::cli::DemoOptions) -> miette::Result<std::process::ExitCode> {
    Err(miette::miette!("the demonstration is being built"))
}
