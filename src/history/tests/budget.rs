//! What a home writes: 5 questions a second, of 30 devices, for names as unequal as names are.

use super::*;
use crate::history::day_file::DayFile;
use crate::history::minutes::Minutes;

const TODAY: Day = Day(NOON / DAY_MS);
/// Bytes a day, at the most (docs/history.md).
const BUDGET: u64 = 32 << 20;

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Writes so many hours of questions as the writer does, and gives what this thread has written.
fn written(hours: i64) -> u64 {
    let folder = TempDir::new().expect("a folder");
    let mut file = DayFile::open(folder.path(), TODAY).expect("opens");
    let before = wchar();
    let (mut seed, mut minutes) = (42, Minutes::default());
    let every = FLUSH_EVERY.as_millis() as i64;
    for flush in 0..hours * 3_600_000 / every {
        let mut rows = Vec::new();
        for ms in (flush * every..(flush + 1) * every).step_by(200) {
            // Every second question is for one of a few hundred names, others for rarer ones.
            let skew = (random(&mut seed) % 1000) as f64 / 1000.0;
            let rank = (6000.0 * skew.powi(4)) as u64;
            let client = format!("10.0.20.{}", random(&mut seed) % 30 + 10);
            let name = format!("host{rank}.some-service{}.example.com", rank % 97);
            let event = match random(&mut seed) % 10 {
                0 | 1 => blocked(&client, &name, &format!("some-service{}.example.com", rank % 97)),
                2..=5 => event(&client, &name),
                _ => forwarded(&client, &name, random(&mut seed) % 80),
            };
            let seq = Seq(Seq::at_ms(TODAY.first().ms() + ms).0);
            let row = Row::of(&event, seq, Some("9.9.9.9".into()), Level::Everything);
            let row = row.expect("a row");
            minutes.count(row.seq.ms() / 60_000, row.answer.how);
            rows.push(row);
        }
        let changed = minutes.changed();
        file.append(&rows, &changed).expect("written");
        minutes.written(&changed);
    }
    file.close();
    wchar() - before
}

/// Bytes this thread has given to the kernel to write.
fn wchar() -> u64 {
    let io = std::fs::read_to_string("/proc/thread-self/io").expect("Linux tells");
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: ")).expect("a line");
    line.parse().expect("a number")
}

#[test]
fn an_hour_of_a_home_stays_within_its_part_of_the_days_budget() {
    let bytes = written(1);
    assert!(bytes < BUDGET / 24, "{bytes} bytes");
}

/// For docs/performance.md.
#[test]
#[ignore = "prints a figure"]
#[allow(clippy::print_stderr, reason = "that is what it is for")]
fn bytes_of_a_day() {
    eprintln!("{} bytes for 432,000 questions", written(24));
}
