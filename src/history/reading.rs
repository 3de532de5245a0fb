//! Reading the history: pages of rows, the newest first, and what hours come to. Memory first, then
//! the files; what is in neither yet is in memory, and nothing is told twice.
#![allow(clippy::disallowed_methods, reason = "a shell: reading ends by the clock")]

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::day_file::{self, FileError};
use super::filter::Filter;
use super::hours::{HOUR_MS, Sums};
use super::minutes::Minute;
use super::row::{Answer, Day, Row, Seq};
use super::state::Core;
use super::stats_file::{self, hour_of};
use super::words;
use super::writer::Files;

/// A page is given after so long, full or not.
const PATIENCE: Duration = Duration::from_millis(400);
/// How many rows are looked at between two looks at the clock.
const STRIDE: usize = 4096;
/// The longest page.
const MOST: usize = 1000;

/// Some rows, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// Where the next page begins; `None` when there is nothing more.
    pub next: Option<Seq>,
    /// Whether the search was cut short because it took too long: there may be rows between the
    /// last one and `next`'s.
    pub cut: bool,
    /// Days whose files cannot be read.
    pub unreadable: Vec<String>,
}

/// What some hours come to.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// Since when, milliseconds since 1970.
    pub from_ms: i64,
    /// The sums.
    pub sums: Sums,
    /// Each minute that had questions, oldest first; of the last day at most.
    pub minutes: Vec<Minute>,
}

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
#[error("the history cannot be read: {0}")]
pub struct ReadError(#[from] FileError);

pub(super) fn page(
    core: &Core,
    filter: &Filter,
    after: Option<Seq>,
    before: Option<Seq>,
    limit: usize,
) -> Result<Page, ReadError> {
    let limit = limit.clamp(1, MOST);
    let until = Instant::now() + PATIENCE;
    let mut before = before.unwrap_or(Seq(i64::MAX));
    if let Some(to) = filter.to_ms {
        before = before.min(Seq::at_ms(to));
    }
    let from = filter.from_ms.map_or(Seq(i64::MIN), Seq::at_ms);
    let after = after.map_or(from, |after| from.max(Seq(after.0 + 1)));
    let mut page = Page::default();
    {
        let state = core.lock();
        let in_time = state.rows.iter().filter(|row| after <= row.seq && row.seq < before);
        page.rows.extend(in_time.filter(|row| filter.wants(row)).cloned());
        // What memory has is in no file, or is written just now.
        if let Some(oldest) = state.rows.iter().map(|row| row.seq).min() {
            before = before.min(oldest);
        }
    }
    page.rows.sort_by_key(|row| std::cmp::Reverse(row.seq));
    if page.rows.len() > limit {
        page.rows.truncate(limit);
        page.next = page.rows.last().map(|row| row.seq);
        return Ok(page);
    }
    for day in Files::of(&core.dir).days.into_keys().rev() {
        if day.first() >= before || day.end() <= after {
            continue;
        }
        let room = limit - page.rows.len();
        let read = search(&core.dir, day, filter, after, before, room, until);
        match read {
            Ok(found) => {
                page.rows.extend(found.rows);
                page.next = found.next;
                page.cut = found.cut;
            }
            Err(FileError::Damaged | FileError::Later) => page.unreadable.push(words::date(day)),
            Err(error) => return Err(error.into()),
        }
        if page.next.is_some() {
            break;
        }
    }
    Ok(page)
}

/// One day's part of a page.
fn search(
    dir: &Path,
    day: Day,
    filter: &Filter,
    after: Seq,
    before: Seq,
    limit: usize,
    until: Instant,
) -> Result<Page, FileError> {
    let mut page = Page::default();
    let Some(sql) = day_file::open_for_reading(dir, day)? else { return Ok(page) };
    let dictionary = Dictionary::read(&sql, filter)?;
    let (mut looked, mut full) = (0_usize, false);
    let (first, end) = (after.max(day.first()), before.min(day.end()));
    dictionary.rows(&sql, day, first, end, |seq, row| {
        if let Some(row) = row {
            if page.rows.len() >= limit {
                full = true;
                page.next = page.rows.last().map(|row| row.seq).or(Some(Seq(seq.0 + 1)));
                return false;
            }
            page.rows.push(row);
        }
        looked += 1;
        if looked.is_multiple_of(STRIDE) && Instant::now() >= until {
            (page.next, page.cut) = (Some(seq), true);
            return false;
        }
        true
    })?;
    if !full && !page.cut && Instant::now() >= until {
        // Nothing of this day is left; the next page goes on with the one before.
        (page.next, page.cut) = (Some(day.first()), true);
    }
    Ok(page)
}

/// What the numbers in a file's rows stand for, and whether it is wanted.
struct Dictionary {
    clients: HashMap<i64, IpAddr>,
    answers: HashMap<i64, Arc<Answer>>,
    /// The names that are wanted; `None`: whatever they are.
    names: Option<HashMap<i64, Arc<str>>>,
    wants_no_client: bool,
    wants_no_name: bool,
}

impl Dictionary {
    fn read(sql: &Connection, filter: &Filter) -> Result<Dictionary, FileError> {
        let clients = day_file::clients(sql)?.into_iter();
        let clients = clients.filter(|(_, client)| filter.wants_client(Some(*client))).collect();
        let answers = day_file::answers(sql)?.into_iter();
        let answers = answers.filter(|(_, answer)| filter.wants_answer(answer));
        let answers = answers.map(|(id, answer)| (id, Arc::new(answer))).collect();
        let mut names = None;
        if filter.looks_at_names() {
            let mut wanted = HashMap::new();
            let mut all = sql.prepare("SELECT id, text FROM name")?;
            let mut all = all.query([])?;
            while let Some(row) = all.next()? {
                let name: Arc<str> = row.get::<_, String>(1)?.into();
                if filter.wants_name(Some(&name)) {
                    wanted.insert(row.get(0)?, name);
                }
            }
            names = Some(wanted);
        }
        Ok(Dictionary {
            clients,
            answers,
            names,
            wants_no_client: filter.wants_client(None),
            wants_no_name: filter.wants_name(None),
        })
    }

    /// Calls `each` for every row from `end` (not included) back to `first`, with the row when it
    /// is wanted, until it says no.
    fn rows(
        &self,
        sql: &Connection,
        day: Day,
        first: Seq,
        end: Seq,
        mut each: impl FnMut(Seq, Option<Row>) -> bool,
    ) -> Result<(), FileError> {
        let start = day.first().0;
        let mut name_of = sql.prepare("SELECT text FROM name WHERE id = ?1")?;
        let mut rows = sql.prepare(
            "SELECT id, client, name, answer, took FROM query
             WHERE id >= ?1 AND id < ?2 ORDER BY id DESC",
        )?;
        let mut rows = rows.query([first.0 - start, end.0 - start])?;
        while let Some(row) = rows.next()? {
            let seq = Seq(row.get::<_, i64>(0)? + start);
            let client: Option<i64> = row.get(1)?;
            let client = match client.map(|id| self.clients.get(&id)) {
                None => self.wants_no_client.then_some(None),
                Some(found) => found.map(|client| Some(*client)),
            };
            let name: Option<i64> = row.get(2)?;
            let named = match (name, &self.names) {
                (None, _) => self.wants_no_name,
                (Some(id), Some(wanted)) => wanted.contains_key(&id),
                (Some(_), None) => true,
            };
            let answer = self.answers.get(&row.get(3)?);
            let (Some(client), true, Some(answer)) = (client, named, answer) else {
                if !each(seq, None) {
                    return Ok(());
                }
                continue;
            };
            let name = match (name, &self.names) {
                (None, _) => None,
                (Some(id), Some(wanted)) => wanted.get(&id).cloned(),
                (Some(id), None) => {
                    name_of.query_row([id], |row| row.get::<_, String>(0)).ok().map(Arc::from)
                }
            };
            let row = Row { seq, client, name, answer: answer.clone(), took_us: row.get(4)? };
            if !each(seq, Some(row)) {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Every row of a day from `first` until before `end`, the newest first, until `each` says no.
pub(super) fn each_row(
    sql: &Connection,
    day: Day,
    first: Seq,
    end: Seq,
    mut each: impl FnMut(Row) -> bool,
) -> Result<(), FileError> {
    let dictionary = Dictionary::read(sql, &Filter::default())?;
    dictionary.rows(sql, day, first, end, |_, row| row.is_none_or(&mut each))
}

pub(super) fn statistics(core: &Core, hours: u32) -> Result<Statistics, ReadError> {
    let now = (core.now)().as_millisecond();
    let from = hour_of(now) + 1 - i64::from(hours.max(1));
    let (mut sums, minutes) = {
        let state = core.lock();
        let mut sums = Sums::default();
        state.hours.range(from..).for_each(|(_, own)| sums.merge(own));
        let first = from.max(hour_of(now) - 23) * 60;
        (sums, state.minutes.range(first, now.div_euclid(60_000) + 1).collect())
    };
    sums.merge(&stats_file::read(&core.dir, from, hour_of(now) + 1)?);
    Ok(Statistics { from_ms: from * HOUR_MS, sums, minutes })
}
