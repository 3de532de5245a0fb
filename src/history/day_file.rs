//! The rows of one day in one SQLite file.
//!
//! What many rows have in common stands in tables of its own, so that a row takes about 20 bytes.
//! A row's `id` is its time: milliseconds of the day, and 12 bits that count. The view `queries`
//! is for people with `sqlite3` at hand.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, OpenFlags, params};

use super::minutes::{Minute, Minutes};
use super::row::{Answer, DAY_MS, Day, Row, Rule, Seq};
use super::{Forget, Span, words};

/// What this version writes (`PRAGMA user_version`).
const VERSION: i64 = 1;

/// Names whose numbers are remembered; more are written a second time, which costs room only.
const REMEMBERED: usize = 50_000;

/// Pages of the write-ahead log before it is worked into the file (4 KiB each).
const LOG_PAGES: i64 = 1000;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Its content is damaged.
    #[error("it is damaged")]
    Damaged,
    /// A later version wrote it.
    #[error("a later version of Lanward wrote it")]
    Later,
    /// Anything else, as SQLite says it.
    #[error("{0}")]
    Sql(rusqlite::Error),
}

impl FileError {
    /// Whether there is no room.
    pub fn is_full(&self) -> bool {
        matches!(self, FileError::Sql(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull))
    }
}

impl From<rusqlite::Error> for FileError {
    fn from(error: rusqlite::Error) -> FileError {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => FileError::Damaged,
            _ => FileError::Sql(error),
        }
    }
}

/// The path of a day's file.
pub(super) fn path(dir: &Path, day: Day) -> PathBuf {
    dir.join(format!("{}.db", words::date(day)))
}

/// A day's file, open for writing.
#[derive(Debug)]
pub(super) struct DayFile {
    /// The day.
    pub(super) day: Day,
    sql: Connection,
    known: Known,
}

/// The numbers of what the file's tables hold already.
#[derive(Debug, Default)]
struct Known {
    names: HashMap<Arc<str>, i64>,
    clients: HashMap<std::net::IpAddr, i64>,
    answers: HashMap<Arc<Answer>, i64>,
}

impl DayFile {
    /// Opens the day's file, or makes it. A file of an earlier run is checked.
    pub(super) fn open(dir: &Path, day: Day) -> Result<DayFile, FileError> {
        let path = path(dir, day);
        let existed = path.exists();
        let sql = Connection::open(&path)?;
        sql.pragma_update(None, "secure_delete", true)?;
        sql.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        sql.pragma_update(None, "synchronous", "normal")?;
        sql.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        sql.pragma_update(None, "cache_size", -1024)?;
        if existed {
            check(&sql)?;
        }
        prepare(&sql, day)?;
        let known = Known::read(&sql)?;
        Ok(DayFile { day, sql, known })
    }

    /// Writes rows of this day and what is new of its minutes: all or nothing.
    pub(super) fn append(&mut self, rows: &[Row], minutes: &[Minute]) -> Result<(), FileError> {
        let known = &mut self.known;
        let writing = self.sql.transaction()?;
        let written = known.append(&writing, self.day, rows, minutes).and_then(|()| {
            writing.commit()?;
            Ok(())
        });
        if written.is_err() {
            // What was remembered in vain is read again.
            *known = Known::default();
        }
        Ok(written?)
    }

    /// Deletes rows of clients or names, or all, that are of the span; gives how many.
    pub(super) fn forget(&mut self, wanted: &Forget, span: Span) -> Result<usize, FileError> {
        let deleted = forget(&mut self.sql, self.day, wanted, span)?;
        self.known = Known::read(&self.sql)?;
        Ok(deleted)
    }

    /// The last row there is.
    pub(super) fn last(&self) -> Result<Option<Seq>, FileError> {
        let id: Option<i64> = self.sql.query_row("SELECT max(id) FROM query", [], |r| r.get(0))?;
        Ok(id.map(|id| Seq(self.day.first().0 + id)))
    }

    /// Lets the file grow to so many pages, as a disk of that size would.
    #[cfg(test)]
    pub(super) fn limit_pages(&self, pages: i64) {
        let limit = self.sql.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()));
        limit.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Works the log into the file, and closes it.
    pub(super) fn close(self) {
        let _ = self.sql.close();
    }
}

/// Deletes rows from one day's file that is not open for writing.
pub(super) fn forget_in(
    dir: &Path,
    day: Day,
    wanted: &Forget,
    span: Span,
) -> Result<usize, FileError> {
    let mut sql = Connection::open_with_flags(path(dir, day), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    sql.pragma_update(None, "secure_delete", true)?;
    forget(&mut sql, day, wanted, span)
}

/// Words that no row has any more, each kind by itself.
const NO_CLIENT: &str = "id NOT IN (SELECT client FROM query WHERE client IS NOT NULL)";
const NO_NAME: &str = "id NOT IN (SELECT name FROM query WHERE name IS NOT NULL)";
const NO_ANSWER: &str = "id NOT IN (SELECT answer FROM query)";

fn forget(sql: &mut Connection, day: Day, wanted: &Forget, span: Span) -> Result<usize, FileError> {
    let (rows, minutes) = (span.rows(), span.minutes());
    let start = day.first().0;
    let from = rows.start.max(day.first()).0 - start;
    let to = rows.end.min(day.end()).0 - start;
    let deleting = sql.transaction()?;
    let deleted = match wanted {
        Forget::Clients(clients) => {
            let mut deleted = 0;
            for client in clients {
                let client = client.to_string();
                deleted += deleting.execute(
                    "DELETE FROM query WHERE id >= ?2 AND id < ?3
                         AND client IN (SELECT id FROM client WHERE text = ?1)",
                    params![client, from, to],
                )?;
                let of_client = format!("DELETE FROM client WHERE text = ?1 AND {NO_CLIENT}");
                deleting.execute(&of_client, [&client])?;
            }
            deleted
        }
        Forget::Domain(domain) => forget_domain(&deleting, domain, from, to)?,
        Forget::Everything => {
            let of_span = "DELETE FROM query WHERE id >= ?1 AND id < ?2";
            let deleted = deleting.execute(of_span, [from, to])?;
            let of_span = "DELETE FROM minute WHERE minute >= ?1 AND minute < ?2";
            deleting.execute(of_span, [minutes.start, minutes.end])?;
            for (table, unused) in [("client", NO_CLIENT), ("name", NO_NAME), ("answer", NO_ANSWER)]
            {
                deleting.execute(&format!("DELETE FROM {table} WHERE {unused}"), [])?;
            }
            deleted
        }
    };
    deleting.commit()?;
    // Nor in the log, and not in pages that nobody uses.
    sql.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(deleted)
}

/// Rules and targets are names too: rows of other names keep their answers without them.
fn forget_domain(
    sql: &Connection,
    domain: &str,
    from: i64,
    to: i64,
) -> Result<usize, rusqlite::Error> {
    let below = format!("%.{}", for_like(domain));
    let within = |column: &str| format!("({column} = ?1 OR {column} LIKE ?2 ESCAPE '\\')");
    let (name, rule, target) = (within("text"), within("rule"), within("target"));
    let deleted = sql.execute(
        &format!(
            "DELETE FROM query WHERE id >= ?3 AND id < ?4
                 AND name IN (SELECT id FROM name WHERE {name})"
        ),
        params![domain, below, from, to],
    )?;
    sql.execute(&format!("DELETE FROM name WHERE {name} AND {NO_NAME}"), [domain, &below])?;
    let mut answers = sql.prepare(&format!("SELECT id FROM answer WHERE {rule} OR {target}"))?;
    let answers = answers.query_map([domain, &below], |row| row.get::<_, i64>(0))?;
    for answer in answers.collect::<Result<Vec<_>, _>>()? {
        let columns = "type, how, rcode, transport, dnssec, policy, upstream, list, allowed";
        sql.execute(
            &format!(
                "INSERT INTO answer ({columns}, rule, target)
                     SELECT {columns}, iif({rule}, NULL, rule), iif({target}, NULL, target)
                     FROM answer WHERE id = ?3"
            ),
            params![domain, below, answer],
        )?;
        let without = sql.last_insert_rowid();
        let of_span = "UPDATE query SET answer = ?1 WHERE answer = ?2 AND id >= ?3 AND id < ?4";
        sql.execute(of_span, [without, answer, from, to])?;
    }
    sql.execute(&format!("DELETE FROM answer WHERE {NO_ANSWER}"), [])?;
    Ok(deleted)
}

/// A text that LIKE takes as it is.
fn for_like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

fn check(sql: &Connection) -> Result<(), FileError> {
    let said: String = sql.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if said == "ok" { Ok(()) } else { Err(FileError::Damaged) }
}

fn prepare(sql: &Connection, day: Day) -> Result<(), FileError> {
    match version(sql)? {
        0 => {}
        VERSION => return Ok(()),
        _ => return Err(FileError::Later),
    }
    let start = day.0 * (DAY_MS / 1000);
    sql.execute_batch(&format!(
        "BEGIN;
         CREATE TABLE name (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
         CREATE TABLE client (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
         CREATE TABLE answer (
             id INTEGER PRIMARY KEY, type INTEGER NOT NULL, how TEXT NOT NULL,
             rcode INTEGER NOT NULL, transport TEXT NOT NULL, dnssec TEXT NOT NULL,
             policy TEXT NOT NULL, upstream TEXT, list TEXT, allowed INTEGER, rule TEXT,
             target TEXT);
         CREATE TABLE query (
             id INTEGER PRIMARY KEY, client INTEGER, name INTEGER, answer INTEGER NOT NULL,
             took INTEGER);
         CREATE TABLE minute (
             minute INTEGER NOT NULL, how TEXT NOT NULL, n INTEGER NOT NULL,
             PRIMARY KEY (minute, how)) WITHOUT ROWID;
         CREATE VIEW queries AS
             SELECT strftime('%Y-%m-%dT%H:%M:%fZ', {start} + (query.id >> 12) / 1000.0,
                        'unixepoch') AS at,
                    client.text AS client, name.text AS name, type, how, rcode, transport, dnssec,
                    policy, upstream, list, allowed, rule, target, took AS took_us
             FROM query
             LEFT JOIN client ON client.id = query.client
             LEFT JOIN name ON name.id = query.name
             JOIN answer ON answer.id = query.answer;
         PRAGMA user_version = {VERSION};
         COMMIT;"
    ))?;
    Ok(())
}

fn version(sql: &Connection) -> Result<i64, FileError> {
    Ok(sql.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

impl Known {
    fn read(sql: &Connection) -> Result<Known, FileError> {
        let mut known = Known::default();
        let mut names = sql.prepare("SELECT id, text FROM name LIMIT ?1")?;
        let mut names = names.query([REMEMBERED as i64])?;
        while let Some(row) = names.next()? {
            known.names.insert(row.get::<_, String>(1)?.into(), row.get(0)?);
        }
        for (id, client) in clients(sql)? {
            known.clients.insert(client, id);
        }
        for (id, answer) in answers(sql)? {
            known.answers.insert(Arc::new(answer), id);
        }
        Ok(known)
    }

    fn append(
        &mut self,
        sql: &Connection,
        day: Day,
        rows: &[Row],
        minutes: &[Minute],
    ) -> Result<(), rusqlite::Error> {
        let mut insert = sql.prepare(
            "INSERT OR IGNORE INTO query (id, client, name, answer, took) VALUES (?, ?, ?, ?, ?)",
        )?;
        let mut put_name = sql.prepare("INSERT INTO name (text) VALUES (?)")?;
        let mut put_client = sql.prepare("INSERT INTO client (text) VALUES (?)")?;
        for row in rows {
            let client = match row.client {
                None => None,
                Some(client) => Some(match self.clients.get(&client) {
                    Some(id) => *id,
                    None => {
                        let id = put_client.insert([client.to_string()])?;
                        self.clients.insert(client, id);
                        id
                    }
                }),
            };
            let name = match &row.name {
                None => None,
                Some(name) => Some(match self.names.get(name) {
                    Some(id) => *id,
                    None => {
                        let id = put_name.insert([&**name])?;
                        if self.names.len() >= REMEMBERED {
                            self.names.clear();
                        }
                        self.names.insert(name.clone(), id);
                        id
                    }
                }),
            };
            let answer = match self.answers.get(&row.answer) {
                Some(id) => *id,
                None => {
                    let id = put_answer(sql, &row.answer)?;
                    if self.answers.len() >= REMEMBERED {
                        self.answers.clear();
                    }
                    self.answers.insert(row.answer.clone(), id);
                    id
                }
            };
            insert.execute(params![
                row.seq.0 - day.first().0,
                client,
                name,
                answer,
                row.took_us
            ])?;
        }
        let mut put_minute =
            sql.prepare("INSERT OR REPLACE INTO minute (minute, how, n) VALUES (?, ?, ?)")?;
        for minute in minutes {
            for (how, n) in minute.counts() {
                put_minute.execute(params![minute.minute, how.as_str(), n])?;
            }
        }
        Ok(())
    }
}

fn put_answer(sql: &Connection, answer: &Answer) -> Result<i64, rusqlite::Error> {
    let rule = answer.rule.as_ref();
    sql.prepare(
        "INSERT INTO answer (type, how, rcode, transport, dnssec, policy, upstream, list, allowed,
             rule, target) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .insert(params![
        answer.qtype,
        answer.how.as_str(),
        answer.rcode,
        answer.transport.as_str(),
        answer.dnssec.as_str(),
        &*answer.policy,
        answer.upstream.as_deref(),
        rule.map(|rule| &*rule.list),
        rule.map(|rule| rule.allowed),
        rule.and_then(|rule| rule.rule.as_deref()),
        rule.and_then(|rule| rule.target.as_deref()),
    ])
}

/// The clients a file knows. One that is no address (somebody has edited it) is left out.
pub(super) fn clients(sql: &Connection) -> Result<Vec<(i64, std::net::IpAddr)>, rusqlite::Error> {
    let mut all = sql.prepare("SELECT id, text FROM client")?;
    let mut all = all.query([])?;
    let mut clients = Vec::new();
    while let Some(row) = all.next()? {
        if let Ok(client) = row.get::<_, String>(1)?.parse() {
            clients.push((row.get(0)?, client));
        }
    }
    Ok(clients)
}

/// The answers a file knows. One with a word that this version does not know is left out.
pub(super) fn answers(sql: &Connection) -> Result<Vec<(i64, Answer)>, rusqlite::Error> {
    let mut all = sql.prepare(
        "SELECT id, type, how, rcode, transport, dnssec, policy, upstream, list, allowed, rule,
             target FROM answer",
    )?;
    let mut all = all.query([])?;
    let mut answers = Vec::new();
    while let Some(row) = all.next()? {
        let text = |at: usize| -> Result<Option<Arc<str>>, rusqlite::Error> {
            Ok(row.get::<_, Option<String>>(at)?.map(Arc::from))
        };
        let word = |at: usize| Ok::<_, rusqlite::Error>(text(at)?.unwrap_or_default());
        let (Some(how), Some(transport), Some(dnssec)) =
            (words::answered(&word(2)?), words::transport(&word(4)?), words::dnssec(&word(5)?))
        else {
            continue;
        };
        let allowed = row.get::<_, Option<bool>>(9)?.unwrap_or(false);
        let (rule, target) = (text(10)?, text(11)?);
        answers.push((
            row.get(0)?,
            Answer {
                qtype: row.get(1)?,
                how,
                rcode: row.get(3)?,
                transport,
                dnssec,
                policy: word(6)?,
                upstream: text(7)?,
                rule: text(8)?.map(|list| Rule { allowed, list, rule, target }),
            },
        ));
    }
    Ok(answers)
}

/// Opens a day's file for reading; `None` when there is none.
pub(super) fn open_for_reading(dir: &Path, day: Day) -> Result<Option<Connection>, FileError> {
    let path = path(dir, day);
    if !path.exists() {
        return Ok(None);
    }
    // Not read-only: a log that a power cut has left behind must be worked in by whoever comes.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = Connection::open_with_flags(&path, flags)?;
    sql.pragma_update(None, "query_only", true)?;
    match version(&sql)? {
        VERSION => Ok(Some(sql)),
        0 => Ok(None),
        _ => Err(FileError::Later),
    }
}

/// The minutes a day's file knows.
pub(super) fn minutes(sql: &Connection, into: &mut Minutes) -> Result<(), FileError> {
    let mut all = sql.prepare("SELECT minute, how, n FROM minute")?;
    let mut all = all.query([])?;
    while let Some(row) = all.next()? {
        if let Some(how) = words::answered(&row.get::<_, String>(1)?) {
            into.put(row.get(0)?, how, row.get(2)?);
        }
    }
    Ok(())
}
