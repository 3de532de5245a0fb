//! The daemon's composition: what is opened in which order, who is told of what, and how it all
//! ends. Decisions are made elsewhere.

mod actor;
mod admin;
mod answers;
mod beside;
mod certificates;
mod dhcp;
mod handle;
mod hosts_file;
mod household;
mod journal;
mod learned;
mod pairing;
mod pauser;
mod publish;
mod publisher;
mod self_test;
mod service;
mod silence;
mod start;
mod wall;

use std::process::ExitCode;

use miette::{IntoDiagnostic, WrapErr};

pub(crate) use actor::Standing;
pub(crate) use beside::PartnerSays;
pub(crate) use certificates::{Certificates, PublicAuthority, Shown as ShownCertificates};
pub use handle::{Handle, Reach, Reading, Stopping};
pub(crate) use journal::Journal;
pub(crate) use pairing::Pairing;
pub(crate) use publisher::Snapshot as NameSnapshot;
pub use self_test::HealthWatch;

use crate::cli::RunOptions;

/// Runs the daemon in the foreground until it is told to stop.
pub fn run(options: &RunOptions) -> miette::Result<ExitCode> {
    let loaded = options.load()?;
    start::log(&loaded.host.log.filter);
    if options.exit_with_parent {
        let signal = nix::sys::signal::Signal::SIGKILL;
        nix::sys::prctl::set_pdeathsig(signal).into_diagnostic()?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.into_diagnostic().wrap_err("the async runtime could not be started")?;
    runtime.block_on(start::daemon(loaded))?;
    Ok(ExitCode::SUCCESS)
}
