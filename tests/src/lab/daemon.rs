//! The daemon on one of the lab's hosts: its settings files, its process, and what it says of
//! itself on the command line.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use serde_json::Value;

use super::clock::HostClock;
use super::household::{Side, Vlan};
use super::netns::Netns;
use super::process::{Process, tail, wait_for};

/// The shortest lease the daemon gives, so that a scenario sees renewals.
pub const LEASE_SECS: u32 = 60;

/// The household's domain in the lab.
pub const DOMAIN: &str = "home.arpa";

/// The daemon of a host, running or not. Its data folder outlives its process.
#[derive(Debug)]
pub struct Daemon {
    side: Side,
    binary: PathBuf,
    dir: PathBuf,
    data_dir: PathBuf,
    clock: Option<HostClock>,
    process: Option<Process>,
}

/// What a command of the daemon's command line did.
#[derive(Clone, Debug)]
pub struct Said {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub out: String,
    /// What it complained about.
    pub err: String,
}

/// One row of a lease table, as far as two tables must agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The network's id.
    pub network: String,
    /// `active`, `released`, ...
    pub state: String,
    /// The device's name.
    pub name: Option<String>,
    /// The device's hardware address.
    pub hw: Option<String>,
    /// When it ends, in whole seconds of the epoch.
    pub expires: Option<i64>,
}

/// A lease table.
pub type Table = BTreeMap<Ipv4Addr, Row>;

impl Daemon {
    /// Writes the settings of a host into a folder of its own below `dir`.
    pub(super) fn new(side: Side, dir: &Path) -> Daemon {
        let dir = dir.join(format!("host-{}", side.letter()));
        let data_dir = dir.join("data");
        fs::create_dir_all(&data_dir).expect("the lab's folder is writable");
        let binary = binary();
        let daemon = Daemon { side, binary, dir, data_dir, clock: None, process: None };
        daemon.write_host_settings();
        if side == Side::A {
            daemon.declare(LEASE_SECS, "");
        }
        daemon
    }

    /// Declares the household, in force from the next start on: how long leases run, and more
    /// lines for the top of the file.
    pub fn declare(&self, lease_secs: u32, more: &str) {
        self.write("household.toml", &household(lease_secs, more));
    }

    /// Gives its host a wall clock of its own, from its next start on.
    pub fn set_clock(&mut self, clock: HostClock) {
        self.clock = Some(clock);
    }

    /// Its host's own wall clock.
    ///
    /// # Panics
    /// When it has none.
    pub fn clock(&mut self) -> &mut HostClock {
        self.clock.as_mut().expect("the host has a clock of its own")
    }

    /// Has it keep its data in another folder from its next start on.
    pub fn keep_data_in(&mut self, folder: &Path) {
        folder.clone_into(&mut self.data_dir);
        self.write_host_settings();
    }

    fn write_host_settings(&self) {
        // Host A declares the household; B gets it by joining.
        let declares = if self.side == Side::A { "household = \"household.toml\"\n" } else { "" };
        let (name, data_dir) = (self.name(), self.data_dir.display());
        self.write(
            "lanward.toml",
            &format!("{declares}\n[node]\nname = \"{name}\"\ndata_dir = \"{data_dir}\"\n"),
        );
    }

    /// The node's name.
    pub fn name(&self) -> String {
        format!("pi-{}", self.side.letter())
    }

    /// The program it runs.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Has it run another program from its next start on, such as another release.
    pub fn use_binary(&mut self, binary: &Path) {
        self.binary = binary.to_owned();
    }

    /// Starts it in its host's namespace and waits until it answers on its admin socket.
    ///
    /// # Panics
    /// When it does not within ten seconds.
    #[track_caller]
    pub fn start(&mut self, host: &Netns) {
        self.launch(host);
        self.answers_within(Duration::from_secs(10));
    }

    /// Starts it and does not wait.
    pub fn launch(&mut self, host: &Netns) {
        let mut command = match &self.clock {
            Some(clock) => clock.command(host, &self.binary),
            None => host.command(&self.binary),
        };
        command.arg("--config").arg(self.config()).arg("run").env("NO_COLOR", "1");
        let process = Process::start(command, &self.log()).expect("the daemon can be started");
        self.process = Some(process);
    }

    /// Kills it, as a power cut would: SIGKILL, no goodbye.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Waits until it answers on its admin socket.
    ///
    /// # Panics
    /// When it does not in time.
    #[track_caller]
    pub fn answers_within(&self, limit: Duration) {
        let up = wait_for(limit, || self.status());
        assert!(up.is_some(), "{} does not come up: {}", self.name(), self.log_tail(20));
    }

    /// How its process ended, if it has.
    pub fn ended_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        self.process.as_mut()?.wait(limit)
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.ended().is_none())
    }

    /// Runs its command line with the words of `args`, for ten seconds at most.
    pub fn cli(&self, args: &[&str]) -> Said {
        let out = Command::new("timeout")
            .args(["-k", "1", "10"])
            .arg(&self.binary)
            .arg("--config")
            .arg(self.config())
            .args(args)
            .env("NO_COLOR", "1")
            .output()
            .expect("the command line can be started");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { status: out.status, out: text(&out.stdout), err: text(&out.stderr) }
    }

    /// Runs its command line, which must succeed, and reads the JSON it prints.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let said = self.cli(&[args, &["--json"]].concat());
        let value = serde_json::from_str(&said.out);
        // 3: done, and something in the household needs attention.
        let done = matches!(said.status.code(), Some(0 | 3));
        match value {
            Ok(value) if done => value,
            _ => panic!("{}: lanward {}: {said:?}", self.name(), args.join(" ")),
        }
    }

    /// What it says of itself; `None` while it does not answer.
    pub fn status(&self) -> Option<Value> {
        let said = self.cli(&["status", "--json"]);
        let status: Value = serde_json::from_str(&said.out).ok()?;
        status.get("pair").is_some().then_some(status)
    }

    /// Its state in the pair, such as `NORMAL`, with the reason.
    pub fn state(&self) -> Option<(String, String)> {
        let status = self.status()?;
        let own = &status["pair"]["own"];
        Some((own["state"].as_str()?.to_owned(), own["reason"].as_str()?.to_owned()))
    }

    /// Its lease table: every address that is or was leased. Times are true ones, whatever the
    /// host's clock shows.
    #[track_caller]
    pub fn leases(&self) -> Table {
        let ahead = self.clock.as_ref().map_or(0, HostClock::ahead_secs);
        let rows = self.json(&["leases"]);
        let rows = rows.as_array().expect("leases are a list");
        let read = |row| {
            let (address, mut row) = read_row(row).expect("a row has its fields");
            row.expires = row.expires.map(|expires| expires - ahead);
            (address, row)
        };
        rows.iter().map(read).collect()
    }

    /// What it has logged.
    pub fn log_text(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// What it logged last.
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.log(), lines)
    }

    /// Asks it to end, as a service manager does.
    pub fn stop(&self) {
        if let Some(process) = &self.process {
            process.signal(nix::sys::signal::Signal::SIGTERM);
        }
    }

    /// Reads a file in its folder.
    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.dir.join(file)).expect("the file can be read")
    }

    /// Writes a file into its folder.
    pub fn write(&self, file: &str, text: &str) -> PathBuf {
        let path = self.dir.join(file);
        fs::write(&path, text).expect("the lab's folder is writable");
        path
    }

    /// Where its store is.
    pub fn data_dir(&self) -> PathBuf {
        self.data_dir.clone()
    }

    /// Its process, while it has one.
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    fn config(&self) -> PathBuf {
        self.dir.join("lanward.toml")
    }

    fn log(&self) -> PathBuf {
        self.dir.join("log")
    }
}

/// Where the two tables differ, one line for each address.
pub fn differences(a: &Table, b: &Table) -> Vec<String> {
    let addresses: std::collections::BTreeSet<&Ipv4Addr> = a.keys().chain(b.keys()).collect();
    let differ = addresses.into_iter().filter_map(|address| {
        let (a, b) = (a.get(address), b.get(address));
        (!agree(a, b)).then(|| format!("{address}: A has {a:?}, B has {b:?}"))
    });
    differ.collect()
}

/// Whether two rows say the same. Times travel as durations, so ends may differ by a moment.
fn agree(a: Option<&Row>, b: Option<&Row>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return false };
    let ends = match (a.expires, b.expires) {
        (Some(a), Some(b)) => (a - b).abs() <= 1,
        (a, b) => a == b,
    };
    ends && Row { expires: None, ..a.clone() } == Row { expires: None, ..b.clone() }
}

fn read_row(row: &Value) -> Option<(Ipv4Addr, Row)> {
    let text = |field: &str| row[field].as_str().map(str::to_owned);
    let expires = match row["expires"].as_str() {
        Some(text) => Some(text.parse::<jiff::Timestamp>().ok()?.as_second()),
        None => None,
    };
    let address = text("addr")?.parse().ok()?;
    let row = Row {
        network: text("network")?,
        state: text("state")?,
        name: text("name"),
        hw: text("hw"),
        expires,
    };
    Some((address, row))
}

/// The household of the lab.
fn household(lease_secs: u32, more: &str) -> String {
    let networks = Vlan::ALL.map(|vlan| {
        let (first, last) = vlan.pool();
        format!(
            "[[network]]\nid = \"{}\"\nvlan = {}\nsubnet = \"{}/24\"\nrouter = \"{}\"\n\n\
             [network.dhcp]\npools = [\"{first}-{last}\"]\nlease_time = \"{lease_secs}s\"\n\n",
            vlan.id(),
            vlan.number(),
            vlan.address(0),
            vlan.router(),
        )
    });
    let upstream = Vlan::Home.router();
    let networks = networks.concat();
    format!("domain = \"{DOMAIN}\"\nupstreams = [\"{upstream}\"]\n{more}\n\n{networks}")
}

/// The daemon under test: `LANWARD_BIN`, else the one built beside this test.
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("LANWARD_BIN") {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("a test knows its own file");
    // target/<profile>/deps/<test>, or target/<profile>/<tool>
    let folder = test.parent().expect("programs are built into a folder");
    let built = if folder.ends_with("deps") { folder.parent() } else { None };
    built.unwrap_or(folder).join("lanward")
}

/// Why the daemon cannot be run; `None` when it can.
pub(super) fn missing_binary() -> Option<String> {
    let path = binary();
    (!path.is_file()).then(|| {
        format!("{} is not built: run `cargo build` first, or set LANWARD_BIN", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: &str, expires: i64) -> Row {
        Row {
            network: "home".into(),
            state: state.into(),
            name: Some("tv".into()),
            hw: None,
            expires: Some(expires),
        }
    }

    #[test]
    fn tables_differ_in_what_matters_and_not_in_a_second() {
        let address = Ipv4Addr::new(10, 77, 10, 50);
        let table = |row: Row| Table::from([(address, row)]);
        let a = table(row("active", 100));
        assert!(differences(&a, &table(row("active", 101))).is_empty());
        assert_eq!(differences(&a, &table(row("active", 103))).len(), 1);
        assert_eq!(differences(&a, &table(row("released", 100))).len(), 1);
        assert_eq!(differences(&a, &Table::new()).len(), 1);
    }
}
