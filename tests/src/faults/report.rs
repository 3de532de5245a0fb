//! What came out of a trial.

use std::fmt;
use std::time::Duration;

/// The outcome.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Faults made.
    pub faults: u64,
    /// Disks compared with the log.
    pub compared: u64,
    /// Acknowledgements the clients heard, and how many of them in NORMAL.
    pub acknowledged: (u64, u64),
    /// Leases looked for on the disks, in all comparisons.
    pub looked_for: u64,
    /// Acknowledged leases that a disk did not hold.
    pub lost: Vec<String>,
    /// Stores that could not be read, or not without loss.
    pub unreadable: Vec<String>,
    /// Addresses that two clients held at one time.
    pub shared: Vec<String>,
    /// How often a client with a lease was refused.
    pub refusals: u64,
    /// From each start of a daemon to NORMAL on both, where it was waited for.
    pub to_normal: Vec<Duration>,
    /// From the last fault to equal tables.
    pub to_equal: Duration,
    /// How long all of it took.
    pub took: Duration,
}

impl Report {
    /// Whether every promise was kept.
    pub fn is_good(&self) -> bool {
        self.lost.is_empty()
            && self.unreadable.is_empty()
            && self.shared.is_empty()
            && self.refusals == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, normal) = self.acknowledged;
        writeln!(f, "{} faults in {:.0} s", self.faults, self.took.as_secs_f64())?;
        writeln!(f, "{all} acknowledgements heard, {normal} of them in NORMAL")?;
        writeln!(
            f,
            "{} disks compared, {} leases looked for: {} lost, {} unreadable stores",
            self.compared,
            self.looked_for,
            self.lost.len(),
            self.unreadable.len()
        )?;
        writeln!(
            f,
            "{} addresses held by two clients, {} clients refused",
            self.shared.len(),
            self.refusals
        )?;
        let mut times = self.to_normal.clone();
        times.sort_unstable();
        if let (Some(middle), Some(worst)) = (times.get(times.len() / 2), times.last()) {
            writeln!(
                f,
                "NORMAL again after {} ms (median of {}), {} ms at worst",
                middle.as_millis(),
                times.len(),
                worst.as_millis()
            )?;
            writeln!(f, "tables equal {} ms after the last fault", self.to_equal.as_millis())?;
        }
        let failures = [("lost", &self.lost), ("unreadable", &self.unreadable)];
        for (what, which) in failures.into_iter().chain([("shared", &self.shared)]) {
            for one in which.iter().take(10) {
                writeln!(f, "{what}: {one}")?;
            }
        }
        Ok(())
    }
}
