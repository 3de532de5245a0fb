use std::fs;

use super::*;
use crate::history::day_file::{self, DayFile, FileError};
use crate::history::writer::Files;

const TODAY: Day = Day(NOON / DAY_MS);

fn dir(kept: &Kept) -> PathBuf {
    kept.history.core.dir.clone()
}

fn days(kept: &Kept) -> Vec<String> {
    Files::of(&dir(kept)).days.into_keys().map(words::date).collect()
}

#[test]
fn each_day_has_a_file_and_people_can_read_it() {
    let mut kept = Kept::new();
    kept.take(&[
        (-DAY_MS, event("10.0.20.7", "www.example")),
        (0, blocked("10.0.20.7", "x.ads.example", "ads.example")),
    ]);
    kept.flush();
    assert_eq!(days(&kept), ["2026-11-26", "2026-11-27"]);
    assert_eq!(words::day("2026-11-27"), Some(TODAY));
    let sql = rusqlite::Connection::open(dir(&kept).join("2026-11-27.db")).expect("opens");
    let row = sql.query_row("SELECT at, client, name, how, rule FROM queries", [], |row| {
        (0..5).map(|at| row.get::<_, String>(at)).collect::<Result<Vec<_>, _>>()
    });
    assert_eq!(
        row.expect("a row"),
        ["2026-11-27T12:00:00.000Z", "10.0.20.7", "x.ads.example", "blocked", "ads.example"]
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(dir(&kept)).expect("a folder").permissions(),
    );
    assert_eq!(mode & 0o777, 0o700, "people who may become root");
    let status = kept.history.status();
    assert_eq!(status.since.as_deref(), Some("2026-11-26"));
    assert!(status.bytes > 8192 && status.problem.is_none());
}

#[test]
fn days_go_when_they_are_too_old() {
    let mut kept = Kept::new();
    for day in 0..5 {
        kept.take(&[(-day * DAY_MS, event("10.0.20.7", "www.example"))]);
    }
    kept.flush();
    let keep = Duration::from_secs(3 * 86_400);
    kept.history.set_settings(HistorySettings { keep, ..Default::default() });
    kept.flush();
    assert_eq!(days(&kept), ["2026-11-25", "2026-11-26", "2026-11-27"]);
    assert_eq!(kept.names(&Filter::default()).len(), 3);
}

#[test]
fn the_oldest_day_goes_first_when_there_is_too_much() {
    let mut kept = Kept::new();
    for day in 0..5 {
        kept.take(&[(-day * DAY_MS, event("10.0.20.7", "www.example"))]);
    }
    kept.flush();
    let all = kept.history.status().bytes;
    kept.history.set_settings(HistorySettings { max_bytes: all - 1, ..Default::default() });
    kept.flush();
    assert_eq!(days(&kept).len(), 4);
    assert_eq!(days(&kept)[0], "2026-11-24");
    kept.history.set_settings(HistorySettings { max_bytes: 1, ..Default::default() });
    kept.flush();
    assert_eq!(days(&kept), ["2026-11-27"], "today stays");
}

#[test]
fn a_damaged_day_is_set_aside_and_said_and_the_rest_goes_on() {
    for old in [false, true] {
        let mut kept = Kept::new();
        let day = if old { 1 } else { 0 };
        kept.take(&[(-day * DAY_MS, event("10.0.20.7", "lost.example"))]);
        kept.take(&[(-2 * DAY_MS, event("10.0.20.7", "old.example"))]);
        kept.flush();
        kept.history.stop();
        let path = day_file::path(&dir(&kept), Day(TODAY.0 - day));
        let mut bytes = fs::read(&path).expect("read");
        bytes.iter_mut().skip(100).for_each(|byte| *byte ^= 0x5a);
        fs::write(&path, bytes).expect("written");
        let mut kept = Kept::with(kept.dir, |_| {});
        kept.take(&[(5, event("10.0.20.7", "new.example"))]);
        kept.flush();
        assert_eq!(kept.names(&Filter::default()), ["new.example", "old.example"]);
        let mut aside = path.into_os_string();
        aside.push(".damaged");
        assert!(PathBuf::from(aside).exists());
    }
}

#[test]
fn a_day_that_goes_bad_while_running_is_left_out_of_a_page_and_named() {
    let mut kept = Kept::new();
    kept.take(&[(-DAY_MS, event("10.0.20.7", "lost.example"))]);
    kept.take(&[(-2 * DAY_MS, event("10.0.20.7", "old.example"))]);
    kept.flush();
    kept.take(&[(0, event("10.0.20.7", "new.example"))]);
    kept.flush();
    fs::write(day_file::path(&dir(&kept), Day(TODAY.0 - 1)), [7; 20_000]).expect("written");
    let page = kept.page(&Filter::default());
    assert_eq!(page.rows.len(), 2);
    assert_eq!(page.unreadable, ["2026-11-26"]);
}

#[test]
fn damaged_statistics_are_set_aside_and_made_again() {
    let mut kept = Kept::new();
    kept.take(&[(-3_600_000, event("10.0.20.7", "www.example"))]);
    kept.flush();
    kept.history.stop();
    fs::write(dir(&kept).join("statistics.db"), [7; 20_000]).expect("written");
    let kept = Kept::with(kept.dir, |_| {});
    kept.flush();
    assert_eq!(kept.sums().all(), 1, "from the rows of the last two days");
    assert!(dir(&kept).join("statistics.db.damaged").exists());
}

#[test]
fn a_file_of_a_later_version_is_left_alone() {
    let mut kept = Kept::new();
    kept.take(&[(0, event("10.0.20.7", "www.example"))]);
    kept.flush();
    kept.history.stop();
    let path = day_file::path(&dir(&kept), TODAY);
    let sql = rusqlite::Connection::open(&path).expect("opens");
    sql.pragma_update(None, "user_version", 99).expect("set");
    drop(sql);
    let mut kept = Kept::with(kept.dir, |_| {});
    kept.take(&[(1, event("10.0.20.7", "new.example"))]);
    kept.flush();
    let problem = kept.history.status().problem.expect("a problem");
    assert!(problem.contains("later version"), "{problem}");
    assert_eq!(kept.names(&Filter::default()), ["new.example"], "it waits in memory");
}

#[test]
fn a_full_disk_costs_rows_and_nothing_else() {
    let mut kept = Kept::with(TempDir::new().expect("a folder"), |config| {
        config.reserve_bytes = u64::MAX;
    });
    for _ in 0..5 {
        kept.take_all((0..MANY).map(|_| event("10.0.20.7", "www.example")));
    }
    kept.flush();
    let status = kept.history.status();
    assert_eq!(status.waiting, 4 * MANY, "no more than so many wait");
    assert_eq!(status.dropped, MANY as u64);
    let problem = status.problem.expect("a problem");
    assert_eq!(
        problem,
        "The disk is nearly full, so the query history is not written: make room on it."
    );
    assert_eq!(kept.sums().all(), 5 * MANY as u64, "counted all the same");
    assert_eq!(kept.page(&Filter::default()).rows.len(), 100);
}

#[test]
fn a_disk_that_fills_up_takes_a_batch_whole_or_not_at_all() {
    let folder = TempDir::new().expect("a folder");
    let mut file = DayFile::open(folder.path(), TODAY).expect("opens");
    file.limit_pages(16);
    let rows = |from: usize| -> Vec<Row> {
        (from..from + 500)
            .map(|n| {
                let event = event("10.0.20.7", &format!("a-rather-long-name-number-{n}.example"));
                let seq = Seq(TODAY.first().0 + n as i64);
                Row::of(&event, seq, None, Level::Everything).expect("a row")
            })
            .collect()
    };
    file.append(&rows(0), &[]).expect("fits");
    let full = file.append(&rows(500), &[]).expect_err("does not fit");
    assert!(full.is_full(), "{full}");
    assert_eq!(file.last().expect("readable"), Some(Seq(TODAY.first().0 + 499)));
    file.limit_pages(1000);
    file.append(&rows(500), &[]).expect("fits");
    assert_eq!(file.last().expect("readable"), Some(Seq(TODAY.first().0 + 999)));
    let damaged = folder.path().join("2026-11-26.db");
    fs::write(&damaged, [1; 9000]).expect("written");
    let error = DayFile::open(folder.path(), Day(TODAY.0 - 1)).expect_err("no database");
    assert!(matches!(error, FileError::Damaged), "{error}");
}

#[test]
fn an_orderly_stop_writes_what_waits() {
    let mut kept = Kept::new();
    kept.take_all([event("10.0.20.7", "www.example")]);
    let kept = kept.again();
    assert_eq!(kept.names(&Filter::default()), ["www.example"]);
    let log = dir(&kept).join("2026-11-27.db-wal");
    kept.history.stop();
    assert!(!log.exists(), "the log is worked in");
}

#[test]
fn what_a_worker_tells_arrives() {
    use lanward_dns::{Asker, ClientNetwork, Pipeline, Policies, Policy, PolicyId};
    let shared = Shared::new();
    shared.set_policies(Policies {
        policies: vec![Policy {
            name: "family".into(),
            filtering: false,
            block_mode: lanward_dns::BlockMode::Null,
            blocked_ttl_secs: 10,
            dnssec: true,
            dns64: None,
            upstreams: None,
            history: true,
        }],
        networks: vec![ClientNetwork {
            subnet: "10.0.0.0/8".parse().expect("net"),
            policy: PolicyId(0),
        }],
    });
    let folder = TempDir::new().expect("a folder");
    let config = Config {
        dir: folder.path().to_owned(),
        settings: HistorySettings::default(),
        upstream: Box::new(|_| None),
        now: Timestamp::now,
        reserve_bytes: 0,
    };
    let reader = shared.record_history(1 << 16).expect("the only reader");
    let now = reader.now();
    let history = History::start(config, reader).expect("threads");
    let asker = Asker {
        source: "10.0.20.7:4000".parse().expect("addr"),
        local: ip("10.0.20.2"),
        transport: Transport::Udp,
    };
    let mut packet = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend(b"\x09localhost\0\0\x01\0\x01");
    Pipeline::new(1 << 20).handle(&shared, &packet, asker, now, &mut Vec::new());
    history.stop();
    let page = history.page(&Filter::default(), None, None, 10).expect("readable");
    assert_eq!(page.rows.len(), 1);
    assert_eq!(page.rows[0].name.as_deref(), Some("localhost"));
    assert!(Timestamp::now().duration_since(page.rows[0].seq.at()).as_secs() < 60);
}
