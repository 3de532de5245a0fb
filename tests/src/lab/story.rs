//! How a scenario is told: named steps with their time, figures, and where it may be told at all.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{daemon, netns};

/// Scenarios measure times, so only one runs at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Programs the lab needs.
const PROGRAMS: &[&str] =
    &["ip", "nft", "timeout", "busybox", "udhcpc", "dhclient", "dhcpcd", "dhcrelay", "dig"];

/// Programs that faults of disks, system calls and clocks are made with.
const DISK_PROGRAMS: &[&str] = &["mkfs.ext4", "mkfs.xfs", "mount", "strace", "faketime"];

/// A scenario in progress.
#[derive(Debug)]
pub struct Story {
    title: String,
    began: Instant,
    _turn: MutexGuard<'static, ()>,
}

impl Story {
    /// Begins a scenario that needs the daemon. `None`, with a loud reason, where the lab cannot be built.
    ///
    /// # Panics
    /// Where it cannot be built although `LANWARD_REQUIRE_LAB` is `1`.
    pub fn begin(title: &str) -> Option<Story> {
        Story::begin_if(title, || daemon::missing_binary().map_or(Ok(()), Err))
    }

    /// Begins a scenario that needs only the lab itself.
    pub fn begin_without_daemon(title: &str) -> Option<Story> {
        Story::begin_if(title, || Ok(()))
    }

    /// Begins a scenario that also makes disks of its own and meddles with the daemon's system
    /// calls and clock.
    pub fn begin_on_disks(title: &str) -> Option<Story> {
        Story::begin_if(title, || {
            daemon::missing_binary().map_or(Ok(()), Err)?;
            installed(DISK_PROGRAMS)?;
            std::fs::metadata("/dev/loop-control")
                .map(drop)
                .map_err(|error| format!("there are no loop devices: /dev/loop-control: {error}"))
        })
    }

    fn begin_if(title: &str, also: impl FnOnce() -> Result<(), String>) -> Option<Story> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(reason) = possible().and_then(|()| also()) {
            let required = std::env::var("LANWARD_REQUIRE_LAB").is_ok_and(|value| value == "1");
            assert!(!required, "the lab is required and cannot be built: {reason}");
            say(&format!("LOUD SKIP: {title}: {reason}\n"));
            return None;
        }
        netns::sweep();
        say(&format!("== {title}\n"));
        Some(Story { title: title.to_owned(), began: Instant::now(), _turn: turn })
    }

    /// Tells the next step.
    pub fn step(&self, text: &str) {
        say(&format!("   {:6.2} s  {text}\n", self.began.elapsed().as_secs_f64()));
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        let end = if std::thread::panicking() { "FAILED" } else { "ok" };
        let secs = self.began.elapsed().as_secs_f64();
        say(&format!("== {end}: {} ({secs:.1} s)\n", self.title));
    }
}

/// Prints, also where the test runner would swallow it: a skipped lab must be noticed, and the
/// figures of one that ran are worth reading.
pub fn say(text: &str) {
    let mut err = std::io::stderr().lock();
    // Nobody is left to tell when stderr is closed.
    let _ = err.write_all(text.as_bytes());
}

/// Whether all of these are there; else which are not.
fn installed(programs: &[&str]) -> Result<(), String> {
    let dirs = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let missing = |program: &&&str| !dirs.iter().any(|dir| Path::new(dir).join(program).exists());
    let missing: Vec<&str> = programs.iter().filter(missing).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("not installed: {} (see .ci/run)", missing.join(", ")))
}

/// Whether the lab can be built here; else why not.
fn possible() -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("making network namespaces needs root".to_owned());
    }
    installed(PROGRAMS)?;
    // A namespace, a bridge in it and a bridge filter: what the kernel must be able to do.
    let name = format!("lw{}-probe", std::process::id());
    let probe = format!(
        "ip netns add {name} && ip -n {name} link add br0 type bridge && \
         ip netns exec {name} nft 'add table bridge probe' && ip netns del {name}"
    );
    let out = Command::new("sh").args(["-c", &probe]).output().map_err(|e| e.to_string())?;
    if out.status.success() {
        return Ok(());
    }
    let _ = Command::new("ip").args(["netns", "del", &name]).output();
    let why = String::from_utf8_lossy(&out.stderr);
    Err(format!("the kernel does not let us: {}", why.lines().next().unwrap_or("(silent)")))
}
