//! A wall clock of a host's own, which can be wrong and can jump. Only the wall clock: the others
//! go on as they are, as they do on a real host whose date is set.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use super::netns::Netns;

/// A host's wall clock, and its count of boots.
#[derive(Debug)]
pub struct HostClock {
    /// libfaketime's library, which answers when the daemon asks for the date.
    library: String,
    /// What it reads at each question: by how much the date is wrong.
    file: PathBuf,
    ahead_secs: i64,
    boots: u32,
}

impl HostClock {
    /// A clock that is right. Its files lie in `dir`.
    ///
    /// # Panics
    /// When `faketime` is not installed.
    pub fn new(dir: &Path) -> HostClock {
        let asked = Command::new("faketime").args(["-f", "+0", "printenv", "LD_PRELOAD"]).output();
        let asked = asked.expect("faketime can be started");
        let library = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
        assert!(!library.is_empty(), "faketime does not tell its library");
        let mut clock = HostClock { library, file: dir.join("date"), ahead_secs: 0, boots: 0 };
        clock.set_ahead(0);
        clock.reboot();
        clock
    }

    /// Makes it show the true date and so many seconds more, at once.
    pub fn set_ahead(&mut self, secs: i64) {
        self.ahead_secs = secs;
        // In one step: the daemon may read at any moment.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{secs:+}\n")).expect("the lab's folder is writable");
        std::fs::rename(&new, &self.file).expect("the lab's folder is writable");
    }

    /// Makes it show 1970, as a host without a battery does.
    pub fn set_to_1970(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.set_ahead(60 - now.cast_signed());
    }

    /// How much more than the true date it shows.
    pub fn ahead_secs(&self) -> i64 {
        self.ahead_secs
    }

    /// From its next start on the daemon believes that its host has been started anew.
    pub fn reboot(&mut self) {
        self.boots += 1;
        let id = format!("00000000-0000-4000-8000-{:012x}\n", self.boots);
        std::fs::write(self.boot_id(), id).expect("the lab's folder is writable");
    }

    /// A command that will run in `netns`, under this clock. Its process is the command itself.
    pub(super) fn command(&self, netns: &Netns, program: &Path) -> Command {
        // `ip netns exec` has made the mounts private.
        let line = "mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec env \"$@\"";
        let mut command = netns.command("sh");
        command.args(["-c", line]).arg(self.boot_id());
        command.arg(format!("LD_PRELOAD={}", self.library));
        command.arg(format!("FAKETIME_TIMESTAMP_FILE={}", self.file.display()));
        command.args(["FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"]);
        command.arg(program);
        command
    }

    fn boot_id(&self) -> PathBuf {
        self.file.with_extension("boot")
    }
}
