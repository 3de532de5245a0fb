//! The node's clock: what every core takes for the time.
//!
//! Node time is a line of its own, not a date. It begins at the wall clock when the data folder is
//! new, and from then on the wall clock is never asked again: node time moves with the boot clock,
//! and what is stored with [`NodeClock::floor`] carries it over a restart. So no step of the wall
//! clock reaches a lease: not NTP's at some point after a boot in 1970, not a dead battery's, not
//! a wrong date set by hand before a boot.
//!
//! - Within one boot of the host it goes on exactly where it was.
//! - After a reboot it goes on from what was stored last, as if the host had not been off: how
//!   long it was off only the wall clock could tell, and it may be wrong either way. So a lease
//!   ends later than it should, by the time the host was off, and never too early. The other
//!   direction is the business of [`NodeClock::downtime_unknown`]: the node must not count on what
//!   its partner promised before, because the partner's clock went on.
//!
//! Two nodes' time lines are therefore apart, by as much as either was off. What they tell each
//! other are durations.
#![allow(
    clippy::disallowed_methods,
    reason = "this is the one place where the cores' time is read from the system"
)]

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lanward_dhcp::Time;
use nix::time::{ClockId, clock_gettime};

#[cfg(test)]
mod tests;

/// How often the floor should be stored.
pub const FLOOR_EVERY: Duration = Duration::from_secs(60);

/// The clock of one node.
#[derive(Clone, Copy, Debug)]
pub struct NodeClock {
    boot: BootId,
    /// Node time at the moment the host's boot clock was zero. Negative when the host has been up
    /// for longer than its wall clock says that time exists.
    zero_millis: i128,
    downtime_unknown: bool,
}

impl NodeClock {
    /// Starts the clock. `stored` is what [`NodeClock::floor`] gave last time; anything that
    /// cannot be read counts as nothing.
    pub fn start(stored: Option<&[u8]>) -> NodeClock {
        NodeClock::resume(stored, BootId::read(), since_boot(), wall_now())
    }

    /// The pure part of [`NodeClock::start`]: from what was stored, which boot of the host this
    /// is, how long it has been up, and what its wall clock shows.
    pub fn resume(
        stored: Option<&[u8]>,
        boot: BootId,
        since_boot: Duration,
        wall: Duration,
    ) -> NodeClock {
        let up = millis(since_boot);
        let (start, downtime_unknown) = match stored.and_then(Floor::parse) {
            Some(floor) if boot.is_known() && floor.boot == boot && floor.since_boot <= up => {
                (floor.time.saturating_add(up - floor.since_boot), false)
            }
            Some(floor) => (floor.time, true),
            None => (millis(wall), false),
        };
        NodeClock { boot, zero_millis: i128::from(start) - i128::from(up), downtime_unknown }
    }

    /// Whether the host was off for a time that node time did not count.
    pub fn downtime_unknown(&self) -> bool {
        self.downtime_unknown
    }

    /// The time now. Never runs backwards.
    pub fn now(&self) -> Time {
        self.at(since_boot())
    }

    /// The time when the host has been up for `since_boot`.
    pub fn at(&self, since_boot: Duration) -> Time {
        let now = self.zero_millis + i128::from(millis(since_boot));
        Time::from_millis(u64::try_from(now).unwrap_or(0))
    }

    /// What to store, every [`FLOOR_EVERY`] and at the end, for the next [`NodeClock::start`].
    pub fn floor(&self) -> Vec<u8> {
        self.floor_at(since_boot())
    }

    /// [`NodeClock::floor`] when the host has been up for `since_boot`.
    pub fn floor_at(&self, since_boot: Duration) -> Vec<u8> {
        let time = self.at(since_boot).as_millis();
        Floor { time, since_boot: millis(since_boot), boot: self.boot }.encode()
    }

    /// The wall clock, for people.
    pub fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    /// What the wall clock shows at a time of this node, by what it shows now: for people.
    pub fn wall_at(&self, time: Time) -> SystemTime {
        let (now, wall) = (self.now(), self.wall());
        let shown = if time > now {
            wall.checked_add(time.since(now))
        } else {
            wall.checked_sub(now.since(time))
        };
        shown.unwrap_or(UNIX_EPOCH)
    }
}

/// The latest time at which something was written in the data folder: this host has lived to see
/// it, by the clock it had. Running, it writes every minute.
pub fn last_lived(data_dir: &Path) -> Option<SystemTime> {
    let files = std::fs::read_dir(data_dir).ok()?.flatten();
    files.filter_map(|file| file.metadata().ok()?.modified().ok()).max()
}

/// A node time together with where the boot clock was then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Floor {
    time: u64,
    since_boot: u64,
    boot: BootId,
}

impl Floor {
    fn encode(self) -> Vec<u8> {
        [&self.time.to_be_bytes()[..], &self.since_boot.to_be_bytes(), &self.boot.0].concat()
    }

    /// Later versions may append to it.
    fn parse(bytes: &[u8]) -> Option<Floor> {
        let (time, rest) = bytes.split_first_chunk::<8>()?;
        let (since_boot, rest) = rest.split_first_chunk::<8>()?;
        let (boot, _) = rest.split_first_chunk::<16>()?;
        Some(Floor {
            time: u64::from_be_bytes(*time),
            since_boot: u64::from_be_bytes(*since_boot),
            boot: BootId(*boot),
        })
    }
}

/// Names one boot of the host; zero where the system does not tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootId(pub [u8; 16]);

impl BootId {
    fn read() -> BootId {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let hex: String = text.trim().chars().filter(|c| *c != '-').collect();
        let bytes = u128::from_str_radix(&hex, 16).unwrap_or(0).to_be_bytes();
        BootId(bytes)
    }

    fn is_known(self) -> bool {
        self.0 != [0; 16]
    }
}

/// How long the host has been up, suspended or not.
fn since_boot() -> Duration {
    let clock = clock_gettime(ClockId::CLOCK_BOOTTIME)
        .or_else(|_| clock_gettime(ClockId::CLOCK_MONOTONIC))
        .expect("Linux has had a monotonic clock since 2.6");
    Duration::from(clock)
}

fn wall_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
