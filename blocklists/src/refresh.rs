//! When to fetch which list, and whether to accept what came.
//!
//! Times are wall-clock seconds, as they are kept across restarts. A stored time that lies in
//! the future (the clock has been set back) counts as unknown.

use std::time::Duration;

use siphasher::sip::SipHasher13;

use crate::compiler::Report;

/// Seconds since 1970, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixSecs(pub u64);

/// How often lists are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between two successes (default 24 h).
    pub interval: Duration,
    /// After the first failure; doubled with each further one (default 30 s: a host that boots before its network must not stay unfiltered).
    pub first_retry: Duration,
    /// The longest wait after failures (default 6 h).
    pub last_retry: Duration,
}

/// What is known of a list's past. Success and attempt are separate facts: a list may have been
/// tried a minute ago and be a week old.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// When the content was last confirmed: fetched and accepted, or "not modified".
    pub last_success: Option<UnixSecs>,
    /// When it was last asked for.
    pub last_attempt: Option<UnixSecs>,
    /// Attempts since the last success.
    pub failures: u32,
}

/// What is to be fetched, and when to ask again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Indices of the lists to fetch now.
    pub due: Vec<usize>,
    /// When the next becomes due; `None` when there is nothing to wait for.
    pub next: Option<UnixSecs>,
}

/// Why a fetched list is not taken; the one in force stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Held {
    /// Nothing, or only white space.
    #[error("the file is empty")]
    Empty,
    /// It begins like an HTML page.
    #[error("the file is an HTML page, not a list")]
    Html,
    /// Text without a rule at its beginning.
    #[error("the file has no domain in its first 100 lines; is it a list?")]
    NoDomainAtTheStart,
    /// Text without any rule that a resolver can use.
    #[error("the file has no rule that a resolver can use")]
    NoRules,
    /// Less than half of what is in force.
    #[error("the list shrank from {before} to {after} rules")]
    Shrunk {
        /// Rules in force.
        before: u64,
        /// Rules in the new content.
        after: u64,
    },
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(24 * 3600),
            first_retry: Duration::from_secs(30),
            last_retry: Duration::from_secs(6 * 3600),
        }
    }
}

/// Says which lists to fetch now. `seed` spreads installations and lists over a tenth of each
/// wait, so that a publisher does not hear from everybody at once.
pub fn plan<'a>(
    now: UnixSecs,
    pace: &Pace,
    seed: u64,
    lists: impl IntoIterator<Item = (&'a str, Past)>,
) -> Plan {
    let mut plan = Plan::default();
    for (i, (id, past)) in lists.into_iter().enumerate() {
        let due = due_at(now, pace, seed, id, &past);
        if due <= now {
            plan.due.push(i);
        } else {
            plan.next = Some(plan.next.map_or(due, |next| next.min(due)));
        }
    }
    plan
}

/// When one list is due; `now` or earlier means at once.
pub fn due_at(now: UnixSecs, pace: &Pace, seed: u64, id: &str, past: &Past) -> UnixSecs {
    let known = |time: Option<UnixSecs>| time.filter(|time| *time <= now);
    let (from, wait) = match (known(past.last_attempt), known(past.last_success)) {
        (Some(attempt), _) if past.failures > 0 => (attempt, pace.retry(past.failures)),
        (_, Some(success)) => (success, pace.interval),
        _ => return now,
    };
    let round = u64::from(past.failures) ^ from.0;
    UnixSecs(from.0 + jittered(wait, seed, id, round).as_secs())
}

/// Judges fetched content against the list in force. `accept_shrunk`: the operator has seen the
/// numbers and wants it.
pub fn judge(
    text: &[u8],
    report: &Report,
    rules_in_force: Option<u64>,
    accept_shrunk: bool,
) -> Result<(), Held> {
    if text.trim_ascii().is_empty() {
        return Err(Held::Empty);
    }
    if looks_like_html(text) {
        return Err(Held::Html);
    }
    if report.rules == 0 {
        return Err(if first_lines_have_content(text) {
            Held::NoDomainAtTheStart
        } else {
            Held::NoRules
        });
    }
    match rules_in_force {
        Some(before) if !accept_shrunk && report.rules.saturating_mul(2) < before => {
            Err(Held::Shrunk { before, after: report.rules })
        }
        _ => Ok(()),
    }
}

impl Pace {
    fn retry(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        self.first_retry.saturating_mul(1 << doublings).min(self.last_retry)
    }
}

/// `wait`, shortened by up to a tenth.
fn jittered(wait: Duration, seed: u64, id: &str, round: u64) -> Duration {
    let share = SipHasher13::new_with_keys(seed, round).hash(id.as_bytes()) % 1000;
    wait - wait.mul_f64(share as f64 / 10_000.0)
}

fn looks_like_html(text: &[u8]) -> bool {
    let start = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    let start: Vec<u8> = start.iter().take(14).map(u8::to_ascii_lowercase).collect();
    [&b"<!doctype html"[..], b"<html", b"<head", b"<body", b"<?xml"]
        .iter()
        .any(|mark| start.starts_with(mark))
}

/// Whether there is anything but comments among the first 100 lines.
fn first_lines_have_content(text: &[u8]) -> bool {
    text.split(|&b| b == b'\n')
        .take(100)
        .map(<[u8]>::trim_ascii)
        .any(|line| !line.is_empty() && !line.starts_with(b"#") && !line.starts_with(b"!"))
}

#[cfg(test)]
mod tests;
