#![allow(clippy::disallowed_methods, reason = "tests of threads and files")]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lanward_dns::{Answered, Decision, DnssecOutcome, Event, Now, RecordType, Shared, Transport};
use tempfile::TempDir;

use super::collector::{Answers, take_in};
use super::row::DAY_MS;
use super::state::MANY;
use super::*;

mod both;
mod budget;
mod files;
mod forgetting;
mod pages;
mod privacy;
mod sums;

/// 2026-11-27T12:00:00Z.
const NOON: i64 = 1_795_780_800_000;

/// Two minutes later: it is that late in the tests.
fn now() -> Timestamp {
    Timestamp::from_millisecond(NOON + 120_000).expect("a moment")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

/// A question by `client` for `name`, answered from the cache.
fn event(client: &str, name: &str) -> Event {
    Event {
        at: Now(Duration::ZERO),
        client: ip(client),
        transport: Transport::Udp,
        name: name.parse().expect(name),
        qtype: RecordType::A,
        how: Answered::Cached,
        rcode: 0,
        policy: "family".into(),
        decision: None,
        upstream: None,
        dnssec: DnssecOutcome::Unchecked,
        took: None,
    }
}

fn blocked(client: &str, name: &str, rule: &str) -> Event {
    let rule = rule.parse().expect(rule);
    let decision = Decision { allowed: false, list: "ads".into(), rule, target: None };
    Event { how: Answered::Blocked, decision: Some(decision), ..event(client, name) }
}

fn forwarded(client: &str, name: &str, millis: u64) -> Event {
    Event {
        how: Answered::Forwarded,
        upstream: Some(UpstreamId(1)),
        took: Some(Duration::from_millis(millis)),
        dnssec: DnssecOutcome::Secure,
        ..event(client, name)
    }
}

/// A history in a folder of its own, and no DNS: events are given to it by hand.
struct Kept {
    dir: TempDir,
    history: History,
    answers: Answers,
}

impl Kept {
    fn new() -> Kept {
        Kept::with(TempDir::new().expect("a folder"), |_| {})
    }

    fn with(dir: TempDir, change: impl FnOnce(&mut Config)) -> Kept {
        let mut config = Config {
            dir: dir.path().join("history"),
            settings: HistorySettings::default(),
            upstream: Box::new(|upstream| Some(format!("upstream {}", upstream.0).into())),
            now,
            reserve_bytes: 0,
        };
        change(&mut config);
        let reader = Shared::new().record_history(1 << 16).expect("the only reader");
        let history = History::start(config, reader).expect("threads");
        // When this has been done, what earlier runs have left has been read.
        let _ = history.core.flush();
        Kept { dir, history, answers: Answers::default() }
    }

    /// Stops, and starts again on the same files.
    fn again(self) -> Kept {
        self.history.stop();
        Kept::with(self.dir, |_| {})
    }

    /// As `again`, as if the process had been killed.
    fn killed(self) -> Kept {
        // Its threads go on, and have nothing to do.
        Kept::with(self.dir, |_| {})
    }

    /// Takes events in, each so many milliseconds after noon.
    fn take(&mut self, events: &[(i64, Event)]) {
        for (ms, event) in events {
            let at = Timestamp::from_millisecond(NOON + ms).expect("a moment");
            take_in(&self.history.core, std::slice::from_ref(event), |_| at, &mut self.answers);
        }
    }

    fn take_all(&mut self, events: impl IntoIterator<Item = Event>) {
        self.take(
            &events.into_iter().enumerate().map(|(at, e)| (at as i64, e)).collect::<Vec<_>>(),
        );
    }

    fn flush(&self) {
        self.history.core.flush().expect("flushed");
    }

    fn page(&self, filter: &Filter) -> Page {
        self.history.page(filter, None, None, 100).expect("readable")
    }

    fn names(&self, filter: &Filter) -> Vec<String> {
        let name = |row: &Row| row.name.as_deref().unwrap_or("-").to_owned();
        self.page(filter).rows.iter().map(name).collect()
    }

    fn sums(&self) -> Sums {
        self.history.statistics(24).expect("readable").sums
    }

    /// All bytes of all files.
    fn bytes(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.history.core.dir.as_path()).expect("a folder");
        files.flat_map(|file| std::fs::read(file.expect("a file").path()).expect("read")).collect()
    }

    fn holds(&self, text: &str) -> bool {
        self.bytes().windows(text.len()).any(|window| window == text.as_bytes())
    }
}
