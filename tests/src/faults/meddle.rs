//! System calls of a running daemon that fail, lie or kill: strace's fault injection.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::lab::{Lab, Process, Side, secs, wait_for};

/// The calls by which a store reaches its disk.
pub const DISK_CALLS: &str = "pwrite64,fdatasync,fsync,ftruncate";

/// Somebody who meddles with a daemon's system calls, until dropped.
#[derive(Debug)]
pub struct Meddler {
    process: Process,
    log: PathBuf,
}

impl Meddler {
    /// Looks at the [`DISK_CALLS`] of a host's daemon and does nothing to them.
    #[track_caller]
    pub fn watch(lab: &Lab, side: Side) -> Meddler {
        Meddler::attach(lab, side, None)
    }

    /// Does to a host's daemon what `rule` says, in strace's words: `fdatasync:error=EIO:when=2`
    /// fails the second fdatasync of each thread from now on.
    #[track_caller]
    pub fn inject(lab: &Lab, side: Side, rule: &str) -> Meddler {
        Meddler::attach(lab, side, Some(rule))
    }

    #[track_caller]
    fn attach(lab: &Lab, side: Side, rule: Option<&str>) -> Meddler {
        let pid = lab.daemon(side).process().expect("it runs").pid();
        let log = lab.dir().join("strace");
        let _ = std::fs::remove_file(&log);
        let mut command = lab.household.host(side).command("strace");
        command.args(["-f", "-y", "-qq", "-s", "0", "-o"]).arg(&log);
        command.args(["-e", &format!("trace={DISK_CALLS}")]);
        if let Some(rule) = rule {
            command.args(["-e", &format!("inject={rule}")]);
        }
        command.args(["-p", &pid.to_string()]);
        let process = Process::start(command, &lab.dir().join("strace.out"));
        let process = process.expect("strace can be started");
        let attached = wait_for(secs(5), || all_traced(pid).then_some(()));
        assert!(attached.is_some(), "strace does not attach: {}", process.output());
        Meddler { process, log }
    }

    /// The calls on the store's own files so far: name, file, and whether it was meddled with.
    pub fn calls(&self) -> Vec<Call> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().filter_map(Call::read).collect()
    }

    /// Lets the daemon alone.
    pub fn leave(mut self) {
        self.process.signal(Signal::SIGINT);
        let _ = self.process.wait(Duration::from_secs(2));
    }
}

/// One system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// The name of the file.
    pub file: String,
    /// Whether it was made to fail.
    pub injected: bool,
}

impl Call {
    /// Reads `812 fdatasync(9</dir/leases.redb>) = 0`.
    fn read(line: &str) -> Option<Call> {
        let (_, call) = line.split_once(' ')?;
        let (name, rest) = call.trim_start().split_once('(')?;
        let (_, rest) = rest.split_once('<')?;
        let (file, rest) = rest.split_once('>')?;
        let file = Path::new(file).file_name()?.to_str()?.to_owned();
        Some(Call { name: name.to_owned(), file, injected: rest.contains("(INJECTED)") })
    }
}

/// Whether somebody traces every thread of a process.
fn all_traced(pid: u32) -> bool {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    let mut tasks = tasks.filter_map(Result::ok);
    tasks.all(|task| {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        !status.contains("TracerPid:\t0\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_with_its_file() {
        let line = "99 pwrite64(12</tmp/x/leases.redb>, \"\"..., 4096, 0) = -1 ENOSPC (No space \
                    left on device) (INJECTED)";
        let call = Call::read(line).expect("a call");
        assert_eq!((call.name.as_str(), call.file.as_str()), ("pwrite64", "leases.redb"));
        assert!(call.injected);
        let whole = Call::read("1 fdatasync(9</a/leases.redb>) = 0").expect("a call");
        assert!(!whole.injected);
        assert_eq!(Call::read("1 +++ exited with 0 +++"), None);
    }
}
