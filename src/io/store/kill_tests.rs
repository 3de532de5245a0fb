//! kill -9 at any instant: what was reported durable is there.
#![allow(clippy::print_stdout, reason = "the child tells its parent what was reported durable")]

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::tests::{batch, open, put, wait_durable};
use super::{Path, StoreEvent};

const CHILD: &str = "LANWARD_STORE_KILL_CHILD";
const KEYS: u64 = 50;

/// Writes as fast as it can and says what is durable, until it is killed. Only the test below
/// gives it a folder.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let (store, events, restored, _) = open(Path::new(&dir));
    let count = |value: &[u8]| value.try_into().map_or(0, u64::from_be_bytes);
    let start = restored.entries.iter().map(|(_, value)| count(value)).max().unwrap_or(0);
    let mut out = std::io::stdout().lock();
    let (mut next, mut reported) = (1, 0);
    loop {
        while next < reported + 64 {
            let value = start + next;
            let key = format!("binding/{}", value % KEYS);
            store.write(batch(next, vec![put(&key, &value.to_be_bytes())]));
            next += 1;
        }
        let Ok(StoreEvent::Durable { seq }) = events.recv() else { return };
        reported = seq;
        writeln!(out, "durable {}", start + seq).unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn everything_reported_durable_survives_kill_nine() {
    let dir = tempfile::tempdir().unwrap();
    let mut promised = 0;
    for turn in 0..12u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "io::store::kill_tests::child_that_writes_until_it_is_killed"])
            .args(["--nocapture", "--test-threads", "1"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let number = |line: &str| {
            line.rsplit_once("durable ").map(|(_, number)| number.parse::<u64>().unwrap())
        };
        let first = lines.by_ref().find_map(|line| number(&line.unwrap())).expect("it wrote");
        promised = promised.max(first);
        // The killer does not read: what the child says until its end is read afterwards.
        let until = Instant::now() + Duration::from_millis(3 + turn * 7);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        for line in lines.map_while(Result::ok) {
            // The last line may be cut short.
            if let Some((_, Ok(number))) =
                line.rsplit_once("durable ").map(|(a, n)| (a, n.parse::<u64>()))
            {
                promised = promised.max(number);
            }
        }
        child.wait().unwrap();

        let (store, _events, restored, info) = open(dir.path());
        assert_eq!((info.moved_aside, info.rolled_back), (None, false));
        let found: Vec<u64> = restored
            .entries
            .iter()
            .map(|(_, value)| u64::from_be_bytes(value.as_slice().try_into().unwrap()))
            .collect();
        // Each value is the last of its key: all of the promised ones are there or overwritten.
        for value in promised.saturating_sub(KEYS - 1).max(1)..=promised {
            let key = value % KEYS;
            let kept = found.iter().find(|found| **found % KEYS == key);
            assert!(kept.is_some_and(|kept| *kept >= value), "turn {turn}: {value} is lost");
        }
        drop(store);
    }
    assert!(promised > 1000, "the child was too slow to test anything: {promised}");
}

/// `cargo test -p lanward --release --lib -- --ignored --nocapture store_throughput`
#[test]
#[ignore = "a measurement, not a test"]
fn store_throughput() {
    let dir =
        tempfile::tempdir_in(std::env::var("LANWARD_BENCH_DIR").unwrap_or(".".into())).unwrap();
    let (store, events, ..) = open(dir.path());
    let began = Instant::now();
    for seq in 1..=10_000 {
        store.write(batch(seq, vec![put(&format!("binding/10.0.{}", seq % 1000), &[7; 120])]));
    }
    wait_durable(&events, 10_000);
    let took = began.elapsed();
    println!("10,000 batches queued at once: {took:?}, {:.0}/s", 10_000.0 / took.as_secs_f64());
    let began = Instant::now();
    for seq in 10_001..=10_200 {
        store.write(batch(seq, vec![put("binding/10.0.0", &[7; 120])]));
        wait_durable(&events, seq);
    }
    println!("one at a time: {:?} each", began.elapsed() / 200);
}
