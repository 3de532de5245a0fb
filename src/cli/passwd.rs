//! `lanward passwd`.

use std::io::{BufRead, IsTerminal, Read, stdin};

use argon2::Argon2;
use argon2::password_hash::PasswordHasher;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use super::leases::edited;
use super::{Common, Done, Failure, daemon, text};
use crate::admin::Request;

/// Shorter ones are guessed too soon, whatever the hash.
const SHORTEST: usize = 8;
/// More is a mistake: a whole file, say.
const LONGEST: usize = 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Passwd {}

impl Passwd {
    pub(super) fn execute(&self, common: &Common) -> Done {
        // Before anybody types anything: is there a Lanward to tell it to?
        daemon::ask(common, &Request::Status)?;
        let password = if stdin().is_terminal() { typed()? } else { piped()? };
        let letters = password.chars().count();
        if letters < SHORTEST || password.len() > LONGEST {
            return Err(Failure::new(format!("{letters} letters are not a password."))
                .fix(format!("Use {SHORTEST} letters or more; a few words are good.")));
        }
        // The default is Argon2id with 19 MiB and two passes.
        let phc = Argon2::default()
            .hash_password(password.as_bytes())
            .map_err(|error| Failure::new(format!("the password cannot be hashed: {error}.")))?;
        let data = daemon::ask(common, &Request::SetPassword { phc: phc.to_string() })?;
        Ok(edited(common, &data, "The password is set."))
    }
}

fn piped() -> Result<String, Failure> {
    let mut line = String::new();
    let read = stdin().lock().take(LONGEST as u64 + 2).read_line(&mut line);
    read.map_err(|error| Failure::new(format!("the password cannot be read: {error}.")))?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

fn typed() -> Result<String, Failure> {
    let quiet = Quiet::begin();
    text::complain("New password for the owner:");
    let first = piped()?;
    text::complain("Again:");
    let second = piped()?;
    drop(quiet);
    if first == second {
        return Ok(first);
    }
    Err(Failure::new("the two are not the same, so nothing was changed."))
}

/// While it lives, what is typed is not shown.
struct Quiet(Option<Termios>);

impl Quiet {
    fn begin() -> Quiet {
        let before = tcgetattr(stdin()).ok();
        if let Some(before) = &before {
            let mut quiet = before.clone();
            quiet.local_flags.remove(LocalFlags::ECHO);
            let _ = tcsetattr(stdin(), SetArg::TCSAFLUSH, &quiet);
        }
        Quiet(before)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(stdin(), SetArg::TCSAFLUSH, before);
        }
    }
}
