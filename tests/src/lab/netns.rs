//! Network namespaces of our own: made under names that tell whose they are, and always removed.

use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// Every namespace of the lab is called `lw<pid of the test>-...`.
const PREFIX: &str = "lw";

/// A network namespace. Dropping it kills what runs inside and removes it.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes a namespace with its loopback up. `what` tells the namespaces of one test apart.
    pub fn create(what: &str) -> Netns {
        let name = format!("{PREFIX}{}-{what}", std::process::id());
        ip(&["netns", "add", &name]);
        let netns = Netns { name };
        netns.ip("link set lo up");
        netns
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` inside, with the words of `args`.
    ///
    /// # Panics
    /// When `ip` refuses.
    #[track_caller]
    pub fn ip(&self, args: &str) {
        let words = ["-n", &self.name].into_iter().chain(args.split_whitespace());
        ip(&words.collect::<Vec<_>>());
    }

    /// A command that will run inside. Its process is the command itself (no shell, no wrapper),
    /// so that a signal to the child reaches it.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program).stdin(Stdio::null());
        command
    }

    /// Runs a program inside for at most `limit` and returns what it said.
    pub fn run(&self, limit: Duration, argv: &[&str]) -> io::Result<Output> {
        let limit = limit.as_secs_f64().to_string();
        self.command("timeout").args(["-k", "1", &limit]).args(argv).output()
    }

    /// Runs a shell line inside.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn sh(&self, line: &str) {
        let out = self.run(Duration::from_secs(5), &["sh", "-c", line]).expect("sh can be started");
        assert!(out.status.success(), "in {}: {line}: {}", self.name, text(&out.stderr));
    }

    /// Calls `f` on a thread that lives in the namespace. Sockets that `f` returns stay in it.
    ///
    /// # Panics
    /// When the namespace cannot be entered, or `f` panics.
    pub fn enter<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        let file = std::fs::File::open(format!("/run/netns/{}", self.name))
            .expect("the namespace's handle can be opened");
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&file, CloneFlags::CLONE_NEWNET).expect("the namespace can be entered");
                f()
            });
            inside.join().expect("the visit to the namespace does not panic")
        })
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// A folder for logs and settings; its name, too, tells whose it is.
pub(crate) fn folder() -> TempDir {
    let prefix = format!("{PREFIX}{}-", std::process::id());
    let dir = tempfile::Builder::new().prefix(&prefix).tempdir();
    dir.expect("a temporary folder can be made")
}

/// Removes what tests that were killed before their end have left: namespaces and folders of the
/// lab whose owner no longer lives.
pub fn sweep() {
    orphans("/run/netns".as_ref()).iter().for_each(|name| remove(name));
    let folders = std::env::temp_dir();
    for name in orphans(&folders) {
        unmount_below(&folders.join(&name));
        // Whoever cannot remove it does no harm by leaving it.
        let _ = std::fs::remove_dir_all(folders.join(name));
    }
}

/// Unmounts what is mounted below a folder, the innermost first.
fn unmount_below(folder: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    let below: Vec<&str> = points.filter(|point| Path::new(point).starts_with(folder)).collect();
    for point in below.iter().rev() {
        let _ = Command::new("umount").args(["-l", point]).output();
    }
}

/// The entries of `dir` that are named like the lab's and whose owner is gone.
fn orphans(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let gone = |pid: u32| !Path::new(&format!("/proc/{pid}")).exists();
    names.filter(|name| owner(name).is_some_and(gone)).collect()
}

/// The process that made a namespace of this name; `None` if it is none of the lab's.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok()
}

/// Kills what runs in a namespace and removes it. Quiet: it is used on the way out.
fn remove(name: &str) {
    // A process may fork between the listing and the kill, so look again.
    for _ in 0..3 {
        let Ok(out) = Command::new("ip").args(["netns", "pids", name]).output() else { return };
        let pids = String::from_utf8_lossy(&out.stdout);
        let pids = pids.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok());
        let others: Vec<i32> =
            pids.filter(|pid| *pid != std::process::id().cast_signed()).collect();
        for pid in &others {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        if others.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let _ = Command::new("ip").args(["netns", "del", name]).output();
}

/// Runs `ip`.
#[track_caller]
fn ip(args: &[&str]) {
    let out = Command::new("timeout").args(["10", "ip"]).args(args).output();
    let out = out.expect("ip can be started");
    assert!(out.status.success(), "ip {}: {}", args.join(" "), text(&out.stderr));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_lab_have_an_owner() {
        assert_eq!(owner("lw812-a"), Some(812));
        for foreign in ["lwx-a", "lw812", "blue", "lw-a", "mylw812-a"] {
            assert_eq!(owner(foreign), None, "{foreign}");
        }
    }
}
