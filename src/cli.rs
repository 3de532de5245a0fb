//! The command line: one file for each verb.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done, but the household is not in order.

mod ca;
mod check_config;
mod claim;
mod daemon;
mod demo;
mod flush;
mod guard;
mod health;
mod history;
mod household;
mod leases;
mod lists;
mod names;
mod pair;
mod passwd;
mod pause;
mod queries;
mod run;
mod status;
mod text;
mod why;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub use demo::DemoOptions;
pub use run::RunOptions;

/// Exit code: what was asked for failed.
pub const FAILED: u8 = 1;
/// Exit code: it was asked in a wrong way.
pub const USAGE: u8 = 2;
/// Exit code: it was done, and something in the household needs attention.
pub const DEGRADED: u8 = 3;

/// Ad-blocking DNS resolver and DHCP server for a household, on two replicated hosts.
#[derive(Debug, Parser)]
#[command(name = "lanward", version, propagate_version = true, max_term_width = 80)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb understands.
#[derive(Clone, Debug, Default, Args)]
struct Common {
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
    /// The admin socket of the Lanward to talk to.
    #[arg(long, global = true, value_name = "PATH", env = "LANWARD_SOCKET")]
    socket: Option<PathBuf>,
    /// This host's settings [default: /etc/lanward/lanward.toml, if it is there].
    #[arg(long, global = true, value_name = "FILE", env = "LANWARD_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the daemon in the foreground.
    Run(run::Run),
    /// Watch a pair of hosts serve a made-up household, and lose one of them.
    Demo(demo::Demo),
    /// Check settings files, and tell every mistake at once.
    CheckConfig(check_config::CheckConfig),
    /// Tell how this host and its partner are.
    Status(status::Status),
    /// Tell by the exit code whether this host answers DNS (0) or not (1).
    Health(health::Health),
    /// List, release and reserve addresses.
    Leases(leases::Leases),
    /// List the names that this host answers itself, and where they come from.
    Names(names::Names),
    /// List, add, remove and update blocklists.
    Lists(lists::Lists),
    /// Tell why a name is blocked, or is not.
    Why(why::Why),
    /// Forget cached DNS answers, of one name or all.
    Flush(flush::Flush),
    /// Stop blocking for a while, on both hosts.
    Pause(pause::Pause),
    /// Block again.
    Resume(pause::Resume),
    /// Tell who changed which setting when, and take changes back.
    History(history::History),
    /// Show settings that were edited on both hosts while they could not see each other.
    Conflicts(history::Conflicts),
    /// Choose one of the values of such a setting.
    Settle(history::Settle),
    /// Make a pair of two hosts.
    Pair(pair::Pair),
    /// Print the household's settings as a household.toml.
    Export(household::Export),
    /// Make the household's settings what a household.toml says: all of it, or nothing.
    Apply(household::Apply),
    /// Show questions that were answered.
    Queries(queries::Queries),
    /// Show questions as they are answered.
    Tail(queries::Tail),
    /// Show what the last hours come to.
    Stats(queries::Stats),
    /// Forget questions for good.
    Forget(queries::Forget),
    /// Show the certificate authority of encrypted DNS, for devices to trust.
    Ca(ca::Ca),
    /// Show the code that lets a browser claim this household.
    Claim(claim::Claim),
    /// Set the owner's password.
    Passwd(passwd::Passwd),
    /// Remove the service addresses when the daemon is gone. Started by the daemon.
    #[command(hide = true)]
    GuardAddresses(guard::Guard),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors and go to standard output.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    let common = cli.common;
    let done = match cli.verb {
        Verb::Run(verb) => verb.execute(&common),
        Verb::Demo(verb) => verb.execute(&common),
        Verb::CheckConfig(verb) => verb.execute(&common),
        Verb::Ca(verb) => verb.execute(&common),
        Verb::Status(verb) => verb.execute(&common),
        Verb::Leases(verb) => verb.execute(&common),
        Verb::Names(verb) => verb.execute(&common),
        Verb::Lists(verb) => verb.execute(&common),
        Verb::Why(verb) => verb.execute(&common),
        Verb::Flush(verb) => verb.execute(&common),
        Verb::Pause(verb) => verb.execute(&common),
        Verb::Resume(verb) => verb.execute(&common),
        Verb::History(verb) => verb.execute(&common),
        Verb::Queries(verb) => verb.execute(&common),
        Verb::Tail(verb) => verb.execute(&common),
        Verb::Stats(verb) => verb.execute(&common),
        Verb::Forget(verb) => verb.execute(&common),
        Verb::Conflicts(verb) => verb.execute(&common),
        Verb::Settle(verb) => verb.execute(&common),
        Verb::Pair(verb) => verb.execute(&common),
        Verb::Export(verb) => verb.execute(&common),
        Verb::Apply(verb) => verb.execute(&common),
        Verb::Claim(verb) => verb.execute(&common),
        Verb::Passwd(verb) => verb.execute(&common),
        Verb::Health(verb) => verb.execute(&common),
        Verb::GuardAddresses(verb) => verb.execute(&common),
    };
    done.unwrap_or_else(|failure| failure.tell(&common))
}

/// Why a verb did not do what it was asked for.
#[derive(Debug)]
struct Failure {
    /// One sentence.
    message: String,
    /// What to do about it.
    fix: Option<String>,
    code: u8,
}

type Done = Result<ExitCode, Failure>;

impl Failure {
    fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), fix: None, code: FAILED }
    }

    fn fix(self, fix: impl Into<String>) -> Failure {
        Failure { fix: Some(fix.into()), ..self }
    }

    fn tell(&self, common: &Common) -> ExitCode {
        if common.json {
            let error = serde_json::json!({"error": self.message, "fix": self.fix});
            text::print_line(&error.to_string());
            return ExitCode::from(self.code);
        }
        text::complain(&format!("lanward: {}", text::clean(&self.message)));
        if let Some(fix) = &self.fix {
            text::complain(&format!("  {}", text::clean(fix)));
        }
        ExitCode::from(self.code)
    }
}

impl From<miette::Report> for Failure {
    fn from(report: miette::Report) -> Failure {
        let causes: Vec<String> = report.chain().map(ToString::to_string).collect();
        let help = report.help().map(|help| help.to_string());
        Failure { message: causes.join(": "), fix: help, code: FAILED }
    }
}

/// Whether standard error takes colours.
fn colours_on_stderr() -> bool {
    std::io::stderr().is_terminal() && wants_colours()
}

/// Whether the user minds colours (<https://no-color.org>).
fn wants_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
