//! What happened, event by event, and whether the promises were kept.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::device::Verdict;
use super::lookup::Looked;

/// Something a device or a node did.
#[derive(Debug)]
pub(super) enum Event {
    /// A device got an address it did not have.
    Leased {
        device: &'static str,
        vlan: &'static str,
        addr: Ipv4Addr,
        server: Ipv4Addr,
        lasts: Duration,
        /// From its first DISCOVER.
        took: Duration,
    },
    /// A device prolonged its lease.
    Renewed {
        device: &'static str,
        addr: Ipv4Addr,
        server: Ipv4Addr,
        lasts: Duration,
        /// Messages it had to send.
        tries: u32,
    },
    /// A device had to give up its address.
    Lost { device: &'static str, addr: Ipv4Addr, why: &'static str },
    /// A device asked for a name.
    Looked { device: &'static str, name: String, looked: Looked, verdict: Verdict },
    /// Something about the nodes themselves.
    Note(String),
}

/// The end report. The field names are the schema of `lanward demo --json`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Seconds the household ran.
    pub seconds: f64,
    /// Devices that took part.
    pub devices: usize,
    /// Addresses given to devices that had none.
    pub leases: u64,
    /// Leases prolonged.
    pub renewals: u64,
    /// Renewals that another node answered than the one that gave the lease.
    pub renewals_by_the_other_node: u64,
    /// Leases a device had to give up, or that are missing on a node at the end.
    pub leases_lost: u64,
    /// Times two devices believed in one address at once.
    pub double_addresses: u64,
    /// Lookups that got the right answer.
    pub queries_answered: u64,
    /// Of these: blocked, as the device's network asks.
    pub queries_blocked: u64,
    /// Of these: names of other devices of the house.
    pub queries_local: u64,
    /// Of these: answered by the second server after the first did not answer.
    pub queries_retried: u64,
    /// Lookups that neither server answered.
    pub queries_failed: u64,
    /// Lookups with a wrong answer.
    pub queries_wrong: u64,
    /// The slowest right answer, milliseconds, the retry included.
    pub slowest_millis: f64,
    /// From SIGKILL until the other node gave a device its next lease or renewal, seconds.
    pub takeover_seconds: Option<f64>,
    /// How long the device that had never been seen before waited for its address while one node
    /// was dead, seconds.
    pub newcomer_seconds: Option<f64>,
    /// From the start of the killed node until both said that they are in sync, seconds.
    pub recovery_seconds: Option<f64>,
    /// Bindings on which the two nodes differ at the end.
    pub table_differences: Option<u64>,
    /// Every promise that broke, in words. Empty is good.
    pub broken: Vec<String>,
}

/// Collects events into a [`Report`].
pub(super) struct Ledger {
    started: Instant,
    names: BTreeMap<Ipv4Addr, &'static str>,
    /// By address: who believes to have it, and until when.
    beliefs: BTreeMap<Ipv4Addr, (&'static str, Instant)>,
    servers: BTreeMap<&'static str, Ipv4Addr>,
    killed: Option<(Ipv4Addr, Instant)>,
    pub(super) report: Report,
}

impl Ledger {
    /// An empty ledger; `names` are the nodes' names by address.
    pub(super) fn new(names: BTreeMap<Ipv4Addr, &'static str>) -> Ledger {
        Ledger {
            started: Instant::now(),
            names,
            beliefs: BTreeMap::new(),
            servers: BTreeMap::new(),
            killed: None,
            report: Report::default(),
        }
    }

    /// From now on `node` is dead.
    pub(super) fn node_killed(&mut self, node: Ipv4Addr) {
        self.killed = Some((node, Instant::now()));
    }

    /// The addresses devices believe in now.
    pub(super) fn believed(&self) -> Vec<(Ipv4Addr, &'static str)> {
        let now = Instant::now();
        let valid = self.beliefs.iter().filter(|(_, (_, until))| *until > now);
        valid.map(|(addr, (device, _))| (*addr, *device)).collect()
    }

    /// Notes an event; returns the line to print, where it is worth one.
    pub(super) fn take(&mut self, event: Event) -> Option<String> {
        let report = &mut self.report;
        let line = match event {
            Event::Leased { device, vlan, addr, server, lasts, took } => {
                report.leases += 1;
                self.believe(device, addr, server, lasts);
                format!(
                    "{device:<16} {vlan:<7} has {addr} from {} for {} s ({} ms)",
                    self.name(server),
                    lasts.as_secs(),
                    took.as_millis()
                )
            }
            Event::Renewed { device, addr, server, lasts, tries } => {
                report.renewals += 1;
                let moved = self.servers.get(device).is_some_and(|s| *s != server);
                report.renewals_by_the_other_node += u64::from(moved);
                self.believe(device, addr, server, lasts);
                let how = match (moved, tries) {
                    (true, _) => " (the other node took over)",
                    (false, 1) => "",
                    (false, _) => " (after a retry)",
                };
                format!("{device:<16}         renewed {addr} with {}{how}", self.name(server))
            }
            Event::Lost { device, addr, why } => {
                report.leases_lost += 1;
                report.broken.push(format!("{device} lost {addr}: {why}"));
                self.beliefs.retain(|_, (who, _)| *who != device);
                format!("{device:<16}         LOST {addr}: {why}")
            }
            Event::Looked { device, name, looked, verdict } => {
                let millis = looked.took.as_secs_f64() * 1000.0;
                let retried = looked.retried && looked.answer.is_some();
                let told = match verdict {
                    Verdict::Failed => {
                        report.queries_failed += 1;
                        report.broken.push(format!("{device} got no answer for {name}"));
                        "NO ANSWER"
                    }
                    Verdict::Wrong => {
                        report.queries_wrong += 1;
                        let answer = &looked.answer;
                        report.broken.push(format!("{device} asked {name}, got {answer:?}"));
                        "WRONG ANSWER"
                    }
                    Verdict::Answered => "answered",
                    Verdict::Blocked => {
                        report.queries_blocked += 1;
                        "blocked"
                    }
                    Verdict::Local => {
                        report.queries_local += 1;
                        "answered from a lease"
                    }
                };
                if !matches!(verdict, Verdict::Failed | Verdict::Wrong) {
                    report.queries_answered += 1;
                    report.queries_retried += u64::from(retried);
                    report.slowest_millis = report.slowest_millis.max(millis);
                }
                let how = if retried { ", by the second server" } else { "" };
                format!("{device:<16}         {name:<28} {told} ({millis:.1} ms{how})")
            }
            Event::Note(text) => format!("-- {text}"),
        };
        let at = self.started.elapsed().as_secs();
        Some(format!("{:02}:{:02}  {line}", at / 60, at % 60))
    }

    fn name(&self, server: Ipv4Addr) -> &str {
        self.names.get(&server).copied().unwrap_or("?")
    }

    fn believe(&mut self, device: &'static str, addr: Ipv4Addr, server: Ipv4Addr, lasts: Duration) {
        let now = Instant::now();
        if let Some((other, until)) = self.beliefs.get(&addr)
            && *other != device
            && *until > now
        {
            self.report.double_addresses += 1;
            self.report.broken.push(format!("{device} and {other} both have {addr}"));
        }
        self.beliefs.retain(|_, (who, _)| *who != device);
        self.beliefs.insert(addr, (device, now + lasts));
        self.servers.insert(device, server);
        if let Some((dead, at)) = self.killed
            && server != dead
            && self.report.takeover_seconds.is_none()
        {
            self.report.takeover_seconds = Some(at.elapsed().as_secs_f64());
        }
    }

    /// Closes the ledger.
    pub(super) fn close(mut self, devices: usize) -> Report {
        self.report.seconds = self.started.elapsed().as_secs_f64();
        self.report.devices = devices;
        self.report
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |s: Option<f64>| match s {
            None => "not reached".to_owned(),
            Some(s) if s < 0.1 => format!("{:.0} ms", s * 1000.0),
            Some(s) => format!("{s:.1} s"),
        };
        writeln!(
            f,
            "\n  {} devices for {:.0} s, one node killed in the middle\n",
            self.devices, self.seconds
        )?;
        let mut row = |what: &str, value: String| writeln!(f, "  {what:<44} {value:>14}");
        row("leases given", self.leases.to_string())?;
        row("leases renewed", self.renewals.to_string())?;
        row(
            "  by the other node than the one that gave it",
            self.renewals_by_the_other_node.to_string(),
        )?;
        row("leases lost", self.leases_lost.to_string())?;
        row("double addresses", self.double_addresses.to_string())?;
        row("queries answered", self.queries_answered.to_string())?;
        row("  blocked", self.queries_blocked.to_string())?;
        row("  names of the house", self.queries_local.to_string())?;
        row("  by the second server, the first being dead", self.queries_retried.to_string())?;
        row("queries failed", self.queries_failed.to_string())?;
        row("wrong answers", self.queries_wrong.to_string())?;
        row("slowest answer, retry included", format!("{:.0} ms", self.slowest_millis))?;
        row("other node's first DHCP answer after the kill", seconds(self.takeover_seconds))?;
        row("a new device's address, one node dead", seconds(self.newcomer_seconds))?;
        row("killed node back in sync after its start", seconds(self.recovery_seconds))?;
        let differ = self.table_differences;
        row("bindings that differ at the end", differ.map_or("unknown".into(), |n| n.to_string()))?;
        if self.broken.is_empty() {
            return writeln!(f, "\n  Every promise was kept.");
        }
        writeln!(f, "\n  {} promises broke:", self.broken.len())?;
        for broken in self.broken.iter().take(20) {
            writeln!(f, "    {broken}")?;
        }
        Ok(())
    }
}
