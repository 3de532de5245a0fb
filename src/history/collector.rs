//! The thread that empties the rings: events become rows, rows are counted and shown.
#![allow(clippy::disallowed_methods, reason = "a shell: a thread that waits for events")]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lanward_dns::{Event, HistoryReader};

use super::row::{Answer, Row};
use super::state::{Core, Stopping};

/// Events of so long cost one wake-up.
const GATHER: Duration = Duration::from_secs(1);

/// Different answers that are remembered, so that rows share them.
const SHARED: usize = 4096;

pub(super) fn start(core: Arc<Core>, mut reader: HistoryReader) -> io::Result<()> {
    let run = move || {
        let mut answers = Answers::default();
        loop {
            reader.wait(GATHER);
            let stopping = core.lock().stopping != Stopping::No;
            let events = reader.drain();
            let (now, clock) = ((core.now)(), reader.now());
            let at = |event: &Event| {
                let age = clock.0.saturating_sub(event.at.0);
                now.checked_sub(SignedDuration::try_from(age).unwrap_or_default()).unwrap_or(now)
            };
            take_in(&core, &events, at, &mut answers);
            if stopping {
                core.lock().stopping = Stopping::Drained;
                core.changed.notify_all();
                return;
            }
        }
    };
    std::thread::Builder::new().name("history".to_owned()).spawn(run).map(drop)
}

/// Answers that rows share.
#[derive(Default)]
pub(super) struct Answers(std::collections::HashSet<Arc<Answer>>);

impl Answers {
    fn share(&mut self, row: &mut Row) {
        if let Some(known) = self.0.get(&row.answer) {
            row.answer = known.clone();
            return;
        }
        if self.0.len() >= SHARED {
            self.0.clear();
        }
        self.0.insert(row.answer.clone());
    }
}

pub(super) fn take_in(
    core: &Core,
    events: &[Event],
    at: impl Fn(&Event) -> Timestamp,
    answers: &mut Answers,
) {
    if events.is_empty() {
        return;
    }
    let mut state = core.lock();
    let level = state.settings.level;
    let mut rows = Vec::with_capacity(events.len());
    for event in events {
        let upstream = event.upstream.and_then(|upstream| (core.upstream)(upstream));
        let seq = state.number(at(event));
        if let Some(mut row) = Row::of(event, seq, upstream, level) {
            answers.share(&mut row);
            rows.push(row);
        }
    }
    if state.take(&rows) {
        core.changed.notify_all();
    }
}
