//! Asking the other host's history, over the link of the pair: each host keeps its own, so what
//! both say together has no doubles.
//!
//! A question and its answer are asides ([`crate::aside`]): a host of an earlier version passes them
//! over, and is not asked because it does not say that it can be.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};

use super::hours::Count;
use super::{
    Answer, Filter, Forget, Histogram, History, Page, Row, Rule, Seq, Span, Step, Sums, words,
};

/// How long the other host has.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// The longest page that travels: far below the longest frame.
pub const MOST: usize = 200;
/// Names and clients of sums that travel.
const TOP: usize = 200;

/// A question or an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// Tells answers apart.
    pub id: u64,
    /// What is asked or said.
    pub what: What,
}

/// What is asked or said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// For a page.
    AskPage {
        /// Which rows.
        filter: Filter,
        /// Newer than.
        after: Option<Seq>,
        /// Older than.
        before: Option<Seq>,
        /// At most.
        limit: usize,
    },
    /// For sums.
    AskSums {
        /// Of so many hours.
        hours: u32,
    },
    /// To forget.
    AskForget(Forget),
    /// To forget what is of a time. A host that does not know this word forgets nothing.
    AskForgetWithin(Forget, Span),
    /// A page.
    Page(WirePage),
    /// Sums.
    Sums(WireSums),
    /// So many rows are forgotten.
    Forgotten(usize),
    /// It cannot be told, for this reason.
    Failed(String),
}

impl What {
    /// Whether an answer is expected.
    pub fn is_question(&self) -> bool {
        matches!(
            self,
            What::AskPage { .. }
                | What::AskSums { .. }
                | What::AskForget(_)
                | What::AskForgetWithin(..)
        )
    }
}

/// A page on its way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WirePage {
    rows: Vec<WireRow>,
    answers: Vec<WireAnswer>,
    next: Option<Seq>,
    #[serde(default)]
    cut: bool,
    #[serde(default)]
    unreadable: Vec<String>,
}

/// Sequence, client, name, answer (an index), time taken.
type WireRow = (Seq, Option<IpAddr>, Option<String>, usize, Option<u32>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct WireAnswer {
    #[serde(rename = "type")]
    qtype: u16,
    how: String,
    rcode: u8,
    transport: String,
    dnssec: String,
    policy: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upstream: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<WireRule>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct WireRule {
    allowed: bool,
    list: String,
    rule: Option<String>,
    target: Option<String>,
}

/// Sums on their way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WireSums {
    how: Vec<(String, u64)>,
    clients: Vec<(IpAddr, u64, u64)>,
    names: Vec<(String, u64, u64)>,
    types: Vec<(u16, u64)>,
    lists: Vec<(String, u64)>,
    upstreams: Vec<(String, Histogram)>,
    latency: Histogram,
    steps: Vec<Step>,
}

impl From<Page> for WirePage {
    fn from(page: Page) -> WirePage {
        let mut known: BTreeMap<Arc<Answer>, usize> = BTreeMap::new();
        let mut answers = Vec::new();
        let rows = page.rows.into_iter().map(|row| {
            let at = *known.entry(row.answer.clone()).or_insert_with(|| {
                answers.push(WireAnswer::from(&*row.answer));
                answers.len() - 1
            });
            (row.seq, row.client, row.name.as_deref().map(str::to_owned), at, row.took_us)
        });
        let rows = rows.collect();
        let (next, cut, unreadable) = (page.next, page.cut, page.unreadable);
        WirePage { rows, answers, next, cut, unreadable }
    }
}

impl From<WirePage> for Page {
    /// Rows with a word that this version does not know are left out.
    fn from(wire: WirePage) -> Page {
        let answers: Vec<Option<Arc<Answer>>> =
            wire.answers.into_iter().map(|answer| answer.read().map(Arc::new)).collect();
        let rows =
            wire.rows.into_iter().take(MOST).filter_map(|(seq, client, name, at, took_us)| {
                let (name, answer) = (name.map(Arc::from), answers.get(at)?.clone()?);
                Some(Row { seq, client, name, answer, took_us })
            });
        let rows = rows.collect();
        Page { rows, next: wire.next, cut: wire.cut, unreadable: wire.unreadable }
    }
}

impl From<&Answer> for WireAnswer {
    fn from(answer: &Answer) -> WireAnswer {
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        WireAnswer {
            qtype: answer.qtype,
            how: answer.how.as_str().to_owned(),
            rcode: answer.rcode,
            transport: answer.transport.as_str().to_owned(),
            dnssec: answer.dnssec.as_str().to_owned(),
            policy: answer.policy.to_string(),
            upstream: text(&answer.upstream),
            rule: answer.rule.as_ref().map(|rule| WireRule {
                allowed: rule.allowed,
                list: rule.list.to_string(),
                rule: text(&rule.rule),
                target: text(&rule.target),
            }),
        }
    }
}

impl WireAnswer {
    fn read(self) -> Option<Answer> {
        let text = |text: Option<String>| text.map(Arc::from);
        Some(Answer {
            qtype: self.qtype,
            how: words::answered(&self.how)?,
            rcode: self.rcode,
            transport: words::transport(&self.transport)?,
            dnssec: words::dnssec(&self.dnssec)?,
            policy: self.policy.into(),
            upstream: text(self.upstream),
            rule: self.rule.map(|rule| Rule {
                allowed: rule.allowed,
                list: rule.list.into(),
                rule: text(rule.rule),
                target: text(rule.target),
            }),
        })
    }
}

impl WireSums {
    /// Of sums, the most frequent names and clients.
    pub fn of(sums: &Sums, steps: Vec<Step>) -> WireSums {
        let mut names = sums.top_names(TOP);
        names.extend(sums.top_blocked(TOP));
        names.sort();
        names.dedup_by(|a, b| a.0 == b.0);
        let count = |name: &Arc<str>| sums.names.get(name).copied().unwrap_or_default();
        WireSums {
            how: sums.how.iter().map(|(how, n)| (how.as_str().to_owned(), *n)).collect(),
            clients: sums
                .top_clients(TOP)
                .into_iter()
                .map(|(client, count)| (client, count.all, count.blocked))
                .collect(),
            names: names
                .into_iter()
                .map(|(name, _)| {
                    let Count { all, blocked } = count(&name);
                    (name.to_string(), all, blocked)
                })
                .collect(),
            types: sums.types.iter().map(|(qtype, n)| (*qtype, *n)).collect(),
            lists: sums.lists.iter().map(|(list, n)| (list.to_string(), *n)).collect(),
            upstreams: sums
                .upstreams
                .iter()
                .map(|(name, own)| (name.to_string(), own.clone()))
                .collect(),
            latency: sums.latency.clone(),
            steps,
        }
    }

    /// And back.
    pub fn read(self) -> (Sums, Vec<Step>) {
        let how = self.how.into_iter().filter_map(|(how, n)| Some((words::answered(&how)?, n)));
        let count = |all, blocked| Count { all, blocked };
        let clients = self.clients.into_iter().map(|(client, all, b)| (client, count(all, b)));
        let names = self.names.into_iter().map(|(name, all, b)| (name.into(), count(all, b)));
        let sums = Sums {
            how: how.collect(),
            clients: clients.collect(),
            names: names.collect(),
            types: self.types.into_iter().collect(),
            lists: self.lists.into_iter().map(|(list, n)| (list.into(), n)).collect(),
            upstreams: self.upstreams.into_iter().map(|(name, own)| (name.into(), own)).collect(),
            latency: self.latency,
        };
        (sums, self.steps)
    }
}

/// What of the link there is for the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// There is no partner.
    Alone,
    /// Its history can be asked.
    Up(String),
    /// It cannot: why, in a sentence.
    Down(String),
}

type Send = Box<dyn Fn(Word) + std::marker::Send + Sync>;

/// The questions that are on their way to the partner.
pub struct Partner {
    reach: watch::Receiver<Reach>,
    send: Send,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    last: u64,
    answers: BTreeMap<u64, oneshot::Sender<What>>,
}

impl Partner {
    /// One who sends words with `send`.
    pub fn new(reach: watch::Receiver<Reach>, send: Send) -> Partner {
        Partner { reach, send, waiting: Mutex::default() }
    }

    /// Asks, and waits [`PATIENCE`] for the answer. `Ok(None)`: there is nobody to ask.
    pub async fn ask(&self, what: What) -> Result<Option<(String, What)>, String> {
        let name = match self.reach.borrow().clone() {
            Reach::Alone => return Ok(None),
            Reach::Down(why) => return Err(why),
            Reach::Up(name) => name,
        };
        let (done, answer) = oneshot::channel();
        let id = {
            let mut waiting = self.lock();
            waiting.last += 1;
            let id = waiting.last;
            waiting.answers.insert(id, done);
            id
        };
        (self.send)(Word { id, what });
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        self.lock().answers.remove(&id);
        match answer {
            Ok(Ok(What::Failed(why))) => Err(format!("{name}: {why}")),
            Ok(Ok(what)) => Ok(Some((name, what))),
            Ok(Err(_)) | Err(_) => Err(format!("{name} has not answered within a second.")),
        }
    }

    /// An answer came.
    pub fn answered(&self, word: Word) {
        if let Some(done) = self.lock().answers.remove(&word.id) {
            // Whoever asked has given up.
            let _ = done.send(word.what);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers the partner's question; `None` for what is none. Blocks.
pub fn answer(history: &History, word: Word) -> Option<Word> {
    let failed = |error: super::ReadError| What::Failed(format!("{error}."));
    let what = match word.what {
        What::AskPage { filter, after, before, limit } => {
            let page = history.page(&filter, after, before, limit.min(MOST));
            page.map_or_else(failed, |page| What::Page(page.into()))
        }
        What::AskSums { hours } => {
            history.statistics(hours.min(24 * 366)).map_or_else(failed, |statistics| {
                What::Sums(WireSums::of(&statistics.sums, super::steps(&statistics.minutes)))
            })
        }
        What::AskForget(wanted) => {
            history.forget(wanted, Span::ALL).map_or_else(What::Failed, What::Forgotten)
        }
        What::AskForgetWithin(wanted, span) => {
            history.forget(wanted, span).map_or_else(What::Failed, What::Forgotten)
        }
        _ => return None,
    };
    Some(Word { id: word.id, what })
}
