//! The thread that writes: everything that touches the disk, but reading, is done here.
#![allow(clippy::disallowed_methods, reason = "a shell: a thread that waits by the clock")]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use std::time::Instant;

use tracing::{info, warn};

use super::day_file::{self, DayFile, FileError};
use super::hours::{HOUR_MS, Sums};
use super::minutes::Minute;
use super::row::{DAY_MS, Day, Row, Seq};
use super::state::{Core, Deed, MANY, Order, State, Stopping};
use super::stats_file::{self, StatsFile, hour_of};
use super::{FLUSH_EVERY, Forget, Span, words};

/// After a failure, the next attempt.
const RETRY: Duration = Duration::from_secs(30);

/// Hours before the start whose sums are made again from their rows, if a crash has cost them.
const MENDED_HOURS: i64 = 48;

pub(super) fn start(core: Arc<Core>) -> io::Result<()> {
    let run = move || Writer { core, day: None, stats: None, failed: None }.run();
    std::thread::Builder::new().name("history-disk".to_owned()).spawn(run).map(drop)
}

struct Writer {
    core: Arc<Core>,
    day: Option<DayFile>,
    stats: Option<StatsFile>,
    /// When writing failed last.
    failed: Option<Instant>,
}

impl Writer {
    fn run(mut self) {
        self.begin();
        let mut flushed = Instant::now();
        loop {
            let (orders, ending, due) = self.wait(flushed);
            if due || ending || !orders.is_empty() {
                self.flush();
                flushed = Instant::now();
            }
            for Order { id, what } in orders {
                let result = match what {
                    Deed::Forget(wanted, span) => self.forget(&wanted, span),
                    #[cfg(test)]
                    Deed::Flush => Ok(0),
                };
                self.core.lock().results.insert(id, result);
                self.core.changed.notify_all();
            }
            if ending {
                self.close_day();
                if let Some(stats) = self.stats.take() {
                    stats.close();
                }
                self.core.lock().stopping = Stopping::Done;
                self.core.changed.notify_all();
                return;
            }
        }
    }

    /// Waits for something to do: what is asked, whether it is the end, and whether to write. While
    /// nothing waits to be written it does not wake up.
    fn wait(&self, flushed: Instant) -> (Vec<Order>, bool, bool) {
        let mut state = self.core.lock();
        let settings = state.settings;
        loop {
            let orders: Vec<Order> = state.orders.drain(..).collect();
            let ending = state.stopping >= Stopping::Drained;
            let every = if self.failed.is_some() { RETRY } else { FLUSH_EVERY };
            let left = every.saturating_sub(flushed.elapsed());
            let idle = state.rows.is_empty() && state.hours.is_empty();
            let many = state.rows.len() >= MANY && self.failed.is_none();
            let due = many || left.is_zero() && !idle || state.settings != settings;
            if !orders.is_empty() || ending || due {
                return (orders, ending, due);
            }
            let changed = &self.core.changed;
            state = if idle {
                changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                let left = left.max(Duration::from_millis(100));
                let waited = changed.wait_timeout(state, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            };
        }
    }

    /// Reads what earlier runs have left: the last day's minutes, and hours a crash has cost.
    fn begin(&mut self) {
        // What a household asks is nobody else's business, on its own host too.
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.core.dir);
        if let Err(error) = made {
            self.say(Some(format!(
                "The query history cannot be kept in {}: {error}.",
                self.core.dir.display()
            )));
            return;
        }
        let now = (self.core.now)().as_millisecond();
        let today = Day(now.div_euclid(DAY_MS));
        let stats = self.stats().map(|stats| stats.last_hour());
        let last = match stats {
            Ok(Ok(last)) => last,
            _ => None,
        };
        let mended = last.map_or(i64::MIN, |last| last + 1).max(hour_of(now) - MENDED_HOURS);
        for day in [Day(today.0 - 2), Day(today.0 - 1), today] {
            if day_file::path(&self.core.dir, day).exists()
                && let Err(error) = self.recover(day, mended)
            {
                self.trouble(day, &error);
            }
        }
        self.tidy();
    }

    fn recover(&mut self, day: Day, mended: i64) -> Result<(), FileError> {
        // Opened for writing, so that it is checked and its log worked in.
        let file = DayFile::open(&self.core.dir, day)?;
        let last = file.last()?;
        file.close();
        let mut minutes = super::minutes::Minutes::default();
        let mut hours: BTreeMap<i64, Sums> = BTreeMap::new();
        if let Some(sql) = day_file::open_for_reading(&self.core.dir, day)? {
            day_file::minutes(&sql, &mut minutes)?;
            let from = super::row::Seq::at_ms(mended.saturating_mul(super::hours::HOUR_MS));
            super::reading::each_row(&sql, day, from.max(day.first()), day.end(), |row| {
                hours.entry(hour_of(row.seq.ms())).or_default().add(&row);
                true
            })?;
        }
        let mut state = self.core.lock();
        if let Some(last) = last {
            state.numbered(last);
        }
        state.minutes.take_over(&minutes);
        for (hour, sums) in hours {
            state.hours.entry(hour).or_default().merge(&sums);
        }
        Ok(())
    }

    fn stats(&mut self) -> Result<&mut StatsFile, FileError> {
        if self.stats.is_none() {
            let stats = match StatsFile::open(&self.core.dir) {
                Err(FileError::Damaged) => {
                    self.set_aside(&self.core.dir.join(stats_file::FILE));
                    StatsFile::open(&self.core.dir)?
                }
                opened => opened?,
            };
            self.stats = Some(stats);
        }
        match &mut self.stats {
            Some(stats) => Ok(stats),
            None => Err(FileError::Damaged),
        }
    }

    /// Writes what waits, and deletes what is too old or too much.
    fn flush(&mut self) {
        let (rows, minutes, over) = {
            let state = self.core.lock();
            let rows: Vec<Row> = state.rows.iter().cloned().collect();
            (rows, state.minutes.changed(), state.over((self.core.now)()))
        };
        self.tidy();
        if self.is_short_of_room() {
            self.failed = Some(Instant::now());
            self.say(Some(
                "The disk is nearly full, so the query history is not written: make room on it."
                    .to_owned(),
            ));
            return;
        }
        let written = self.write(&rows, &minutes, &over);
        if written.is_ok() && self.failed.take().is_some() {
            info!("the query history is written again");
            self.say(None);
        }
        if written.is_ok() {
            self.tidy();
        }
    }

    fn write(&mut self, rows: &[Row], minutes: &[Minute], over: &[(i64, Sums)]) -> Result<(), ()> {
        let mut at = 0;
        while let Some(first) = rows.get(at) {
            let day = first.seq.day();
            let batch = rows[at..].iter().take_while(|row| row.seq.day() == day).count();
            let batch = &rows[at..at + batch];
            let of_day: Vec<Minute> =
                minutes.iter().filter(|m| m.minute.div_euclid(24 * 60) == day.0).copied().collect();
            if let Err(error) = self.append(day, batch, &of_day) {
                self.trouble(day, &error);
                return Err(());
            }
            let mut state = self.core.lock();
            state.forget_written(batch);
            state.minutes.written(&of_day);
            at += batch.len();
        }
        for (hour, sums) in over {
            let added = self.stats().and_then(|stats| stats.add(*hour, sums));
            if let Err(error) = added {
                if matches!(error, FileError::Damaged) {
                    self.stats = None;
                    self.set_aside(&self.core.dir.join(stats_file::FILE));
                }
                self.failed = Some(Instant::now());
                self.say(Some(format!("The statistics of the hours cannot be written: {error}.")));
                return Err(());
            }
            self.core.lock().hours.remove(hour);
        }
        Ok(())
    }

    fn append(&mut self, day: Day, rows: &[Row], minutes: &[Minute]) -> Result<(), FileError> {
        if self.day.as_ref().is_some_and(|file| file.day != day) {
            self.close_day();
        }
        if self.day.is_none() {
            self.day = Some(DayFile::open(&self.core.dir, day)?);
        }
        match &mut self.day {
            Some(file) => file.append(rows, minutes),
            None => Ok(()),
        }
    }

    fn close_day(&mut self) {
        if let Some(day) = self.day.take() {
            day.close();
        }
    }

    /// A day's file cannot be written.
    fn trouble(&mut self, day: Day, error: &FileError) {
        self.failed = Some(Instant::now());
        self.day = None;
        let date = words::date(day);
        match error {
            FileError::Damaged => {
                self.set_aside(&day_file::path(&self.core.dir, day));
                self.say(Some(format!(
                    "The query history of {date} was damaged and has been set aside."
                )));
            }
            error if error.is_full() => self.say(Some(
                "The disk is full, so the query history is not written: make room on it."
                    .to_owned(),
            )),
            error => {
                self.say(Some(format!("The query history of {date} cannot be written: {error}.")));
            }
        }
    }

    fn say(&self, problem: Option<String>) {
        let mut state = self.core.lock();
        if state.status.problem != problem {
            if let Some(problem) = &problem {
                warn!("{problem}");
            }
            state.status.problem = problem;
        }
    }

    /// Renames a damaged file, and its log with it.
    fn set_aside(&self, path: &Path) {
        for suffix in ["", "-wal", "-shm"] {
            let mut from = path.as_os_str().to_owned();
            from.push(suffix);
            let mut to = path.as_os_str().to_owned();
            to.push(".damaged");
            to.push(suffix);
            let (from, to) = (PathBuf::from(from), PathBuf::from(to));
            if from.exists()
                && let Err(error) = fs::rename(&from, &to)
            {
                warn!("{} cannot be set aside: {error}", from.display());
            }
        }
    }

    fn is_short_of_room(&self) -> bool {
        free_bytes(&self.core.dir).is_some_and(|free| free < self.core.reserve_bytes)
    }

    /// Deletes what is too old, and the oldest days while there is too much or too little room.
    fn tidy(&mut self) {
        let settings = self.core.settings();
        let now = (self.core.now)().as_millisecond();
        let today = Day(now.div_euclid(DAY_MS));
        let keep = i64::try_from(settings.keep.as_secs()).unwrap_or(i64::MAX) / (DAY_MS / 1000);
        let mut files = Files::of(&self.core.dir);
        let too_old = |day: Day| day.0 < today.0.saturating_sub(keep.max(1)).saturating_add(1);
        while let Some((day, _)) = files.days.first_key_value() {
            let day = *day;
            let crowded = files.bytes() > settings.max_bytes || self.is_short_of_room();
            if !too_old(day) && (!crowded || day >= today) {
                break;
            }
            files.delete(day);
        }
        files.delete_damaged(settings.max_bytes, self.is_short_of_room());
        let hours = i64::try_from(settings.keep_statistics.as_secs() / 3600).unwrap_or(i64::MAX);
        let before = hour_of(now).saturating_sub(hours);
        if let Ok(stats) = self.stats()
            && let Err(error) = stats.forget_before(before)
        {
            warn!("old statistics cannot be deleted: {error}");
        }
        let mut state = self.core.lock();
        state.status.bytes = files.bytes();
        state.status.since = files.days.keys().next().copied().map(words::date);
    }

    fn forget(&mut self, wanted: &Forget, span: Span) -> Result<usize, String> {
        let mut deleted = self.core.lock().forget(wanted, span);
        let told = |error: FileError| format!("Not everything could be forgotten: {error}.");
        let everything = *wanted == Forget::Everything;
        let mut files = Files::of(&self.core.dir);
        for day in files.days.keys().copied().filter(|day| span.meets(*day)).collect::<Vec<_>>() {
            if everything && span.covers(day) {
                if self.day.as_ref().is_some_and(|file| file.day == day) {
                    self.close_day();
                }
                deleted += count(&self.core.dir, day);
                files.delete(day);
                continue;
            }
            let gone = match &mut self.day {
                Some(file) if file.day == day => file.forget(wanted, span),
                _ => day_file::forget_in(&self.core.dir, day, wanted, span),
            };
            deleted += gone.map_err(told)?;
        }
        if everything && span == Span::ALL {
            files.delete_damaged(0, true);
        }
        self.stats().and_then(|stats| stats.forget(wanted, span.hours())).map_err(told)?;
        for hour in span.cut_hours() {
            self.recount(hour, wanted).map_err(told)?;
        }
        // What has been counted again and is over stands in a file, too, when this is done.
        self.flush();
        Ok(deleted)
    }

    /// Counts an hour again from the rows that are left of it. Where its rows are not kept any more,
    /// it is taken for part of what is to be forgotten.
    fn recount(&mut self, hour: i64, wanted: &Forget) -> Result<(), FileError> {
        let (from, to) = (Seq::at_ms(hour * HOUR_MS), Seq::at_ms((hour + 1) * HOUR_MS));
        let Some(sql) = day_file::open_for_reading(&self.core.dir, from.day())? else {
            self.stats()?.forget(wanted, hour..hour + 1)?;
            if let Some(sums) = self.core.lock().hours.get_mut(&hour) {
                sums.forget(wanted);
            }
            return Ok(());
        };
        self.stats()?.forget(&Forget::Everything, hour..hour + 1)?;
        // Held meanwhile, so that nothing is counted that this does not see, or twice.
        let mut state = self.core.lock();
        let mut sums = Sums::default();
        super::reading::each_row(&sql, from.day(), from, to, |row| {
            sums.add(&row);
            true
        })?;
        state
            .rows
            .iter()
            .filter(|row| from <= row.seq && row.seq < to)
            .for_each(|row| sums.add(row));
        if sums.all() > 0 {
            state.hours.insert(hour, sums);
        } else {
            state.hours.remove(&hour);
        }
        Ok(())
    }
}

impl State {
    /// These rows, the first there are, stand in a file now.
    fn forget_written(&mut self, rows: &[Row]) {
        for row in rows {
            // Somebody may have forgotten some meanwhile.
            match self.rows.front() {
                Some(first) if first.seq == row.seq => drop(self.rows.pop_front()),
                _ => {}
            }
        }
    }
}

/// How many rows a day has; nothing when nobody can tell.
fn count(dir: &Path, day: Day) -> usize {
    let sql = day_file::open_for_reading(dir, day).ok().flatten();
    let count = "SELECT count(*) FROM query";
    let rows = sql.and_then(|sql| sql.query_row(count, [], |row| row.get::<_, i64>(0)).ok());
    rows.and_then(|rows| usize::try_from(rows).ok()).unwrap_or(0)
}

fn free_bytes(dir: &Path) -> Option<u64> {
    let stat = nix::sys::statvfs::statvfs(dir).ok()?;
    let (blocks, size) = (stat.blocks_available(), stat.fragment_size());
    #[allow(clippy::useless_conversion, reason = "other targets have narrower numbers")]
    Some(u64::from(blocks).saturating_mul(u64::from(size)))
}

/// The files there are.
pub(super) struct Files {
    dir: PathBuf,
    /// Days, with their bytes.
    pub(super) days: BTreeMap<Day, u64>,
    /// Damaged ones, oldest first.
    damaged: BTreeMap<PathBuf, u64>,
    others: u64,
}

impl Files {
    pub(super) fn of(dir: &Path) -> Files {
        let (days, damaged) = (BTreeMap::new(), BTreeMap::new());
        let mut files = Files { dir: dir.to_owned(), days, damaged, others: 0 };
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let bytes = entry.metadata().map_or(0, |meta| meta.len());
            let name = entry.file_name();
            let name = name.to_string_lossy();
            match name.split_once(".db") {
                Some((date, rest)) if rest.starts_with(".damaged") => {
                    let _ = date;
                    files.damaged.insert(entry.path(), bytes);
                }
                Some((date, _)) if words::day(date).is_some() => {
                    let day = words::day(date).unwrap_or(Day(0));
                    *files.days.entry(day).or_default() += bytes;
                }
                _ => files.others += bytes,
            }
        }
        files
    }

    fn bytes(&self) -> u64 {
        self.days.values().sum::<u64>() + self.damaged.values().sum::<u64>() + self.others
    }

    fn delete(&mut self, day: Day) {
        self.days.remove(&day);
        let path = day_file::path(&self.dir, day);
        for suffix in ["", "-wal", "-shm"] {
            let mut path = path.as_os_str().to_owned();
            path.push(suffix);
            remove(Path::new(&path));
        }
    }

    /// Damaged files go when there is too much: nobody reads them but to find out what happened.
    fn delete_damaged(&mut self, max_bytes: u64, crowded: bool) {
        while (crowded || self.bytes() > max_bytes)
            && let Some((path, _)) = self.damaged.pop_first()
        {
            remove(&path);
        }
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        warn!("{} cannot be deleted: {error}", path.display());
    }
}
