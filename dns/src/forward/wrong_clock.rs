//! The way out of a wrong clock. A small host without a battery boots in 1970; certificates and
//! signatures are not valid then, so the names of time servers could not be found, and the clock
//! would never be set.
//!
//! - While the clock shows a time before this program's own, certificates are judged by the latest
//!   time that this host is known to have lived to.
//! - Where they are refused for their dates all the same, the names of time servers, and no others,
//!   are asked of plain servers.
//! - Where signatures are refused for their dates, those names are answered unchecked.
//!
//! Time is not learned over DNS, and what is forged here could as well be forged in NTP itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustls::ClientConfig;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

use super::groups::Groups;
use super::health::UpstreamState;
use super::validate::{Checked, shorten};
use super::validators::Got;
use super::{Question, plain};
use crate::Bogus;
use crate::cache::FailureKind;
use crate::name::suffixes;

/// 1 January 2026: this program did not exist before. A clock that shows less is wrong.
pub(super) const EARLIEST: Duration = Duration::from_secs(1_767_225_600);

/// Where plain DNS is served by whoever serves it encrypted.
const PLAIN_PORT: u16 = 53;

/// The time servers that systems come with; names below them count as well.
const TIME_SERVERS: [&[u8]; 8] = [
    b"\x04pool\x03ntp\x03org\0",
    b"\x04time\x0acloudflare\x03com\0",
    b"\x04time\x06google\x03com\0",
    b"\x04time\x07android\x03com\0",
    b"\x04time\x05apple\x03com\0",
    b"\x04time\x07windows\x03com\0",
    b"\x04time\x04nist\x03gov\0",
    b"\x03ntp\x06ubuntu\x03com\0",
];

/// The latest time that this host is known to have lived to, in seconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Floor(AtomicU64);

impl Floor {
    pub(super) fn raise(&self, to: SystemTime) {
        let since = to.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.0.fetch_max(since.as_secs(), Ordering::Relaxed);
    }

    /// The time to judge certificates by, when the clock shows `shown`.
    fn time(&self, shown: Duration) -> Duration {
        match shown < EARLIEST {
            // Only then: a floor from the future, where the clock once was, must not outlive the
            // mistake.
            true => Duration::from_secs(self.0.load(Ordering::Relaxed)).max(EARLIEST),
            false => shown,
        }
    }
}

/// The clock of TLS.
#[derive(Debug)]
struct Floored(Arc<Floor>);

impl TimeProvider for Floored {
    #[allow(clippy::disallowed_methods, reason = "a shell: certificates have dates")]
    fn current_time(&self) -> Option<UnixTime> {
        let shown = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Some(UnixTime::since_unix_epoch(self.0.time(shown)))
    }
}

/// `config`, judging certificates by a time that is not before `floor`.
pub(super) fn floored(config: &ClientConfig, floor: &Arc<Floor>) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.time_provider = Arc::new(Floored(floor.clone()));
    Arc::new(config)
}

/// A question for a time server's address, to be asked once more where a wrong clock made it fail.
pub(super) struct TimeQuestion {
    groups: Arc<Groups>,
    group: usize,
    question: Question,
}

impl TimeQuestion {
    pub(super) fn of(groups: &Arc<Groups>, group: usize, question: &Question) -> Option<Self> {
        let time_names = &groups.upstreams.time_names;
        let is_time = suffixes(question.name().as_wire()).any(|suffix| {
            TIME_SERVERS.contains(&suffix) || time_names.iter().any(|it| it.as_wire() == suffix)
        });
        is_time.then(|| Self { groups: groups.clone(), group, question: question.clone() })
    }

    /// An answer all the same, when the clock is to blame for the failure.
    pub(super) async fn retry(self, why: FailureKind) -> Result<Got, FailureKind> {
        let received = match why {
            FailureKind::Bogus(Bogus::Expired | Bogus::NotYetValid) => {
                self.groups.ask(self.group, &self.question.unchecked()).await?
            }
            FailureKind::Bogus(_) => return Err(why),
            _ if !self.groups.is_untimely(self.group) => return Err(why),
            _ => {
                let mut found = None;
                for server in self.groups.plain_servers(self.group) {
                    if let Ok(received) = plain::ask(server, &self.question).await {
                        found = Some(received);
                        break;
                    }
                }
                match found {
                    Some(received) => received,
                    None => return Err(why),
                }
            }
        };
        let mut checked = Checked::unchecked(received.into_message()?);
        // Asked properly again as soon as the time is set.
        shorten(&mut checked.message);
        Ok(Got::Checked(checked))
    }
}

impl Groups {
    /// Whether no server of the group is up, and that because of the dates of a certificate.
    pub(super) fn is_untimely(&self, group: usize) -> bool {
        let mut any = false;
        for (_, server) in self.servers().filter(|(of, _)| *of == group) {
            if server.state() == UpstreamState::Up {
                return false;
            }
            any |= server.is_untimely();
        }
        any
    }

    /// Who can be asked without encryption: the bootstrap servers, or else the group's own.
    fn plain_servers(&self, group: usize) -> Vec<SocketAddr> {
        let bootstrap = &self.upstreams.bootstrap;
        if !bootstrap.is_empty() {
            return bootstrap.clone();
        }
        let servers = self.servers().filter(|(of, _)| *of == group);
        let addresses = servers.flat_map(|(_, server)| server.config.addresses.iter());
        addresses.map(|address| SocketAddr::new(*address, PLAIN_PORT)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_judged_by_the_clock_unless_it_is_from_before_this_program() {
        let floor = Floor::default();
        let (boot, today) = (Duration::from_secs(60), EARLIEST + Duration::from_secs(86_400));
        assert_eq!(floor.time(boot), EARLIEST);
        floor.raise(SystemTime::UNIX_EPOCH + today);
        assert_eq!(floor.time(boot), today, "the host has lived to see that");
        let yesterday = today - Duration::from_secs(3600);
        assert_eq!(floor.time(yesterday), yesterday, "a likely clock is believed");
        floor.raise(SystemTime::UNIX_EPOCH + yesterday);
        assert_eq!(floor.time(boot), today, "it does not sink");
    }

    #[test]
    fn names_of_time_servers_are_known_with_those_below_them_and_the_households_own() {
        let own = "clock.corp.example".parse().expect("a name");
        let upstreams = crate::Upstreams { time_names: vec![own], ..crate::Upstreams::default() };
        let groups = Arc::new(Groups::new(upstreams, &Groups::default()));
        let is_time = |name: &str| {
            let name = name.parse().expect("a name");
            let question = Question::plain(name, crate::RecordType::A);
            TimeQuestion::of(&groups, 0, &question).is_some()
        };
        for name in
            ["pool.ntp.org", "0.debian.pool.ntp.org", "time.apple.com", "clock.corp.example"]
        {
            assert!(is_time(name), "{name}");
        }
        for name in ["ntp.org", "notpool.ntp.org", "time.com", "www.apple.com", "corp.example"] {
            assert!(!is_time(name), "{name}");
        }
    }
}
