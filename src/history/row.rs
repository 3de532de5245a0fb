//! One question as the history keeps it.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use lanward_dns::{Answered, Decision, DnssecOutcome, Event, RecordType, Transport};
use serde::{Deserialize, Serialize};

use super::Level;

/// Where a row stands among all rows of one host, and when: milliseconds since 1970 (UTC), and 12
/// bits that tell those of the same millisecond apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seq(pub i64);

/// A day in UTC, counted from 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i64);

/// Milliseconds of a day.
pub(super) const DAY_MS: i64 = 86_400_000;

impl Seq {
    const BITS: u32 = 12;

    /// The first of a moment.
    pub fn at_ms(ms: i64) -> Seq {
        Seq(ms << Self::BITS)
    }

    /// Milliseconds since 1970.
    pub fn ms(self) -> i64 {
        self.0 >> Self::BITS
    }

    /// The moment.
    pub fn at(self) -> Timestamp {
        Timestamp::from_millisecond(self.ms()).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The day it lies in.
    pub fn day(self) -> Day {
        Day(self.ms().div_euclid(DAY_MS))
    }
}

impl Day {
    /// Where it begins.
    pub fn first(self) -> Seq {
        Seq::at_ms(self.0 * DAY_MS)
    }

    /// Where the next one begins.
    pub fn end(self) -> Seq {
        Day(self.0 + 1).first()
    }
}

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// When.
    pub seq: Seq,
    /// Who asked; `None` where that is not kept.
    pub client: Option<IpAddr>,
    /// What was asked; `None` where that is not kept.
    pub name: Option<Arc<str>>,
    /// The answer.
    pub answer: Arc<Answer>,
    /// From the question's arrival to its answer, microseconds; `None`: answered at once.
    pub took_us: Option<u32>,
}

/// What many rows have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Answer {
    /// The type that was asked.
    pub qtype: u16,
    /// Who knew the answer.
    pub how: Answered,
    /// The response code.
    pub rcode: u8,
    /// How the question came.
    pub transport: Transport,
    /// What DNSSEC says.
    pub dnssec: DnssecOutcome,
    /// The client's policy.
    pub policy: Arc<str>,
    /// The upstream that was asked.
    pub upstream: Option<Arc<str>>,
    /// The rule that decided.
    pub rule: Option<Rule>,
}

/// The rule that decided.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// Whether it is an exception.
    pub allowed: bool,
    /// The list it stands in.
    pub list: Arc<str>,
    /// The rule; `None` where names are not kept.
    pub rule: Option<Arc<str>>,
    /// The name in the answer that it matched, when not the one asked for.
    pub target: Option<Arc<str>>,
}

impl Row {
    /// What is kept of an event under `level`; `None`: nothing.
    pub fn of(event: &Event, seq: Seq, upstream: Option<Arc<str>>, level: Level) -> Option<Row> {
        let text = |name: &lanward_dns::Name| level.names().then(|| name.to_string().into());
        let rule = |decision: &Decision| Rule {
            allowed: decision.allowed,
            list: decision.list.clone(),
            rule: text(&decision.rule),
            target: decision.target.as_ref().and_then(text),
        };
        if level == Level::Off {
            return None;
        }
        let RecordType(qtype) = event.qtype;
        Some(Row {
            seq,
            client: level.clients().then_some(event.client),
            name: text(&event.name),
            took_us: event.took.map(|took| u32::try_from(took.as_micros()).unwrap_or(u32::MAX)),
            answer: Arc::new(Answer {
                qtype,
                how: event.how,
                rcode: event.rcode,
                transport: event.transport,
                dnssec: event.dnssec,
                policy: event.policy.clone(),
                upstream,
                rule: event.decision.as_ref().map(rule),
            }),
        })
    }

    /// The row without what `level` does not keep.
    pub fn reduced(mut self, level: Level) -> Row {
        if !level.clients() {
            self.client = None;
        }
        if !level.names() {
            self.name = None;
            if self.answer.rule.is_some() {
                let mut answer = Answer::clone(&self.answer);
                if let Some(rule) = &mut answer.rule {
                    (rule.rule, rule.target) = (None, None);
                }
                self.answer = Arc::new(answer);
            }
        }
        self
    }

    /// Takes off what the rule that decided tells of a domain.
    pub(super) fn forget_rule(&mut self, domain: &str) {
        let within = |name: &Option<Arc<str>>| {
            name.as_ref().is_some_and(|name| super::is_within(name, domain))
        };
        let rule = self.answer.rule.as_ref();
        if rule.is_some_and(|rule| within(&rule.rule) || within(&rule.target)) {
            let mut answer = Answer::clone(&self.answer);
            if let Some(rule) = &mut answer.rule {
                rule.rule.take_if(|rule| super::is_within(rule, domain));
                rule.target.take_if(|target| super::is_within(target, domain));
            }
            self.answer = Arc::new(answer);
        }
    }

    /// Whether a list or rule has blocked it.
    pub fn is_blocked(&self) -> bool {
        self.answer.how == Answered::Blocked
    }
}
