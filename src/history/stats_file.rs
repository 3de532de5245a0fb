//! What each hour came to, for a year, in one SQLite file.
//!
//! ```text
//!   hour (at, kind, key, n, blocked)   key: a word of `label`, or a number, as `kind` says
//! ```
//! Hours are added to, never replaced, so that what one forgets to count is lost and nothing is
//! counted twice: an hour is written when it is over.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::day_file::FileError;
use super::hours::{Count, HOUR_MS, KEPT_CLIENTS, KEPT_NAMES, Sums};
use super::{Forget, is_within, words};

const VERSION: i64 = 1;

/// What a number counts.
mod kind {
    pub(super) const HOW: i64 = 0;
    pub(super) const CLIENT: i64 = 1;
    pub(super) const NAME: i64 = 2;
    pub(super) const TYPE: i64 = 3;
    pub(super) const LIST: i64 = 4;
    pub(super) const LATENCY: i64 = 5;
    /// From here on: a histogram for each upstream, `UPSTREAM + bucket`.
    pub(super) const UPSTREAM: i64 = 100;
}

/// The file, open for writing.
#[derive(Debug)]
pub(super) struct StatsFile {
    sql: Connection,
}

impl StatsFile {
    /// Opens the file in `dir`, or makes it.
    pub(super) fn open(dir: &Path) -> Result<StatsFile, FileError> {
        let path = dir.join(FILE);
        let existed = path.exists();
        let sql = Connection::open(path)?;
        sql.pragma_update(None, "secure_delete", true)?;
        sql.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        sql.pragma_update(None, "synchronous", "normal")?;
        sql.pragma_update(None, "cache_size", -512)?;
        if existed {
            let said: String = sql.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            if said != "ok" {
                return Err(FileError::Damaged);
            }
        }
        match sql.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))? {
            0 => sql.execute_batch(&format!(
                "BEGIN;
                 CREATE TABLE label (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
                 CREATE TABLE hour (
                     at INTEGER NOT NULL, kind INTEGER NOT NULL, key INTEGER NOT NULL,
                     n INTEGER NOT NULL, blocked INTEGER NOT NULL,
                     PRIMARY KEY (at, kind, key)) WITHOUT ROWID;
                 PRAGMA user_version = {VERSION};
                 COMMIT;"
            ))?,
            VERSION => {}
            _ => return Err(FileError::Later),
        }
        Ok(StatsFile { sql })
    }

    /// The latest hour there is, in hours since 1970.
    pub(super) fn last_hour(&self) -> Result<Option<i64>, FileError> {
        Ok(self.sql.query_row("SELECT max(at) FROM hour", [], |row| row.get(0))?)
    }

    /// Adds an hour that is over.
    pub(super) fn add(&mut self, hour: i64, sums: &Sums) -> Result<(), FileError> {
        let writing = self.sql.transaction()?;
        put(&writing, hour, sums)?;
        writing.commit()?;
        Ok(())
    }

    /// Forgets the hours before one.
    pub(super) fn forget_before(&mut self, hour: i64) -> Result<(), FileError> {
        let deleted = self.sql.execute("DELETE FROM hour WHERE at < ?1", [hour])?;
        if deleted > 0 {
            self.sql.execute(&no_longer_used(), [])?;
        }
        Ok(())
    }

    /// Forgets clients or names, or everything, in these hours.
    pub(super) fn forget(&mut self, wanted: &Forget, hours: Range<i64>) -> Result<(), FileError> {
        let Range { start, end } = hours;
        let deleting = self.sql.transaction()?;
        match wanted {
            Forget::Clients(clients) => {
                for client in clients {
                    deleting.execute(
                        "DELETE FROM hour WHERE kind = ?1 AND at >= ?3 AND at < ?4
                             AND key IN (SELECT id FROM label WHERE text = ?2)",
                        params![kind::CLIENT, client.to_string(), start, end],
                    )?;
                }
            }
            Forget::Domain(domain) => {
                let mut names = deleting.prepare("SELECT id, text FROM label")?;
                let mut names = names.query([])?;
                while let Some(row) = names.next()? {
                    if is_within(&row.get::<_, String>(1)?, domain) {
                        deleting.execute(
                            "DELETE FROM hour WHERE kind = ?1 AND key = ?2
                                 AND at >= ?3 AND at < ?4",
                            params![kind::NAME, row.get::<_, i64>(0)?, start, end],
                        )?;
                    }
                }
            }
            Forget::Everything => {
                deleting.execute("DELETE FROM hour WHERE at >= ?1 AND at < ?2", [start, end])?;
            }
        }
        deleting.execute(&no_longer_used(), [])?;
        deleting.commit()?;
        self.sql.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    /// Works the log into the file, and closes it.
    pub(super) fn close(self) {
        let _ = self.sql.close();
    }
}

/// Its name.
pub(super) const FILE: &str = "statistics.db";

fn no_longer_used() -> String {
    let (how, client, name) = (kind::HOW, kind::CLIENT, kind::NAME);
    let (list, upstream) = (kind::LIST, kind::UPSTREAM);
    format!(
        "DELETE FROM label WHERE id NOT IN (SELECT key FROM hour
             WHERE kind IN ({how}, {client}, {name}, {list}) OR kind >= {upstream})"
    )
}

/// What the hours from one until before another come to, read by somebody who does not write.
pub(super) fn read(dir: &Path, from: i64, to: i64) -> Result<Sums, FileError> {
    let path = dir.join(FILE);
    if !path.exists() {
        return Ok(Sums::default());
    }
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let sql = Connection::open_with_flags(path, flags)?;
    sql.pragma_update(None, "query_only", true)?;
    match sql.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))? {
        VERSION => Ok(sums(&sql, from, to)?),
        // Being made just now.
        0 => Ok(Sums::default()),
        _ => Err(FileError::Later),
    }
}

fn put(sql: &Connection, hour: i64, sums: &Sums) -> Result<(), rusqlite::Error> {
    let mut insert = sql.prepare(
        "INSERT INTO hour (at, kind, key, n, blocked) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET n = n + excluded.n, blocked = blocked + excluded.blocked",
    )?;
    let mut find = sql.prepare("SELECT id FROM label WHERE text = ?1")?;
    let mut name = sql.prepare("INSERT INTO label (text) VALUES (?1)")?;
    let mut label = |text: &str| -> Result<i64, rusqlite::Error> {
        match find.query_row([text], |row| row.get(0)) {
            Err(rusqlite::Error::QueryReturnedNoRows) => name.insert([text]),
            found => found,
        }
    };
    for (how, n) in &sums.how {
        insert.execute(params![hour, kind::HOW, label(how.as_str())?, *n as i64, 0])?;
    }
    for (client, count) in sums.top_clients(KEPT_CLIENTS) {
        let key = label(&client.to_string())?;
        insert.execute(params![hour, kind::CLIENT, key, count.all as i64, count.blocked as i64])?;
    }
    let mut names: Vec<Arc<str>> =
        sums.top_names(KEPT_NAMES).into_iter().map(|(name, _)| name).collect();
    names.extend(sums.top_blocked(KEPT_NAMES).into_iter().map(|(name, _)| name));
    names.sort();
    names.dedup();
    for name in names {
        let count = sums.names.get(&name).copied().unwrap_or_default();
        let key = label(&name)?;
        insert.execute(params![hour, kind::NAME, key, count.all as i64, count.blocked as i64])?;
    }
    for (qtype, n) in &sums.types {
        insert.execute(params![hour, kind::TYPE, qtype, *n as i64, 0])?;
    }
    for (list, n) in &sums.lists {
        insert.execute(params![hour, kind::LIST, label(list)?, *n as i64, *n as i64])?;
    }
    for (bucket, n) in sums.latency.buckets().iter().enumerate().filter(|(_, n)| **n > 0) {
        insert.execute(params![hour, kind::LATENCY, bucket as i64, *n as i64, 0])?;
    }
    for (upstream, histogram) in &sums.upstreams {
        let key = label(upstream)?;
        for (bucket, n) in histogram.buckets().iter().enumerate().filter(|(_, n)| **n > 0) {
            insert.execute(params![hour, kind::UPSTREAM + bucket as i64, key, *n as i64, 0])?;
        }
    }
    Ok(())
}

fn sums(sql: &Connection, from: i64, to: i64) -> Result<Sums, rusqlite::Error> {
    let mut all = sql.prepare(
        "SELECT kind, key, total(n), total(blocked) FROM hour
         WHERE at >= ?1 AND at < ?2 GROUP BY kind, key",
    )?;
    let mut text = sql.prepare("SELECT text FROM label WHERE id = ?1")?;
    let mut known: HashMap<i64, Arc<str>> = HashMap::new();
    let mut word = |key: i64| -> Result<Arc<str>, rusqlite::Error> {
        if let Some(word) = known.get(&key) {
            return Ok(word.clone());
        }
        let found: Result<String, _> = text.query_row([key], |row| row.get(0));
        let word: Arc<str> = match found {
            Err(rusqlite::Error::QueryReturnedNoRows) => Arc::default(),
            found => found?.into(),
        };
        known.insert(key, word.clone());
        Ok(word)
    };
    let mut sums = Sums::default();
    let mut all = all.query([from, to])?;
    while let Some(row) = all.next()? {
        let (kind, key): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (n, blocked) = (row.get::<_, f64>(2)? as u64, row.get::<_, f64>(3)? as u64);
        let count = Count { all: n, blocked };
        match kind {
            kind::HOW => {
                if let Some(how) = words::answered(&word(key)?) {
                    sums.how.insert(how, n);
                }
            }
            kind::CLIENT => {
                if let Ok(client) = word(key)?.parse() {
                    sums.clients.insert(client, count);
                }
            }
            kind::NAME => {
                sums.names.insert(word(key)?, count);
            }
            kind::TYPE => {
                sums.types.insert(u16::try_from(key).unwrap_or_default(), n);
            }
            kind::LIST => {
                sums.lists.insert(word(key)?, n);
            }
            kind::LATENCY => sums.latency.put(usize::try_from(key).unwrap_or(usize::MAX), n),
            upstream if upstream >= kind::UPSTREAM => {
                let bucket = usize::try_from(upstream - kind::UPSTREAM).unwrap_or(usize::MAX);
                sums.upstreams.entry(word(key)?).or_default().put(bucket, n);
            }
            _ => {}
        }
    }
    Ok(sums)
}

/// The hour of a moment.
pub(super) fn hour_of(ms: i64) -> i64 {
    ms.div_euclid(HOUR_MS)
}
