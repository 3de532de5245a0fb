//! The power goes between two flushes: of what the disk was given since the last one it keeps any
//! part, torn at any sector, in any order. What was reported durable is there all the same.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use super::file::StoreFile;
use super::tests::{batch, open, put, wait_durable};
use super::{Store, StoreEvent, lock};

/// What a disk keeps or loses as a whole.
const SECTOR: usize = 512;
const KEYS: u64 = 40;

/// What the store did to its disk, in order.
#[derive(Clone, Debug)]
enum Op {
    SetLen(u64),
    Write(u64, Vec<u8>),
    Flush,
    /// It reported this batch as durable.
    Reported(u64),
}

/// A disk that writes down what it is given.
#[derive(Debug)]
struct Recorder {
    backend: InMemoryBackend,
    ops: Arc<Mutex<Vec<Op>>>,
}

impl Recorder {
    fn note(&self, op: Op) {
        self.ops.lock().unwrap().push(op);
    }
}

impl StorageBackend for Recorder {
    fn len(&self) -> io::Result<u64> {
        self.backend.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.backend.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.note(Op::SetLen(len));
        self.backend.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.note(Op::Flush);
        self.backend.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.note(Op::Write(offset, data.to_vec()));
        self.backend.write(offset, data)
    }
}

/// Chance that can be repeated (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 16) % limit.max(1) as u64).unwrap()
    }
}

/// All a busy store does to its disk: single batches, batches by the dozen, keys removed.
fn recorded() -> Vec<Op> {
    let dir = tempfile::tempdir().unwrap();
    let ops: Arc<Mutex<Vec<Op>>> = Arc::default();
    let disk = Recorder { backend: InMemoryBackend::new(), ops: Arc::clone(&ops) };
    let file = StoreFile::on(disk, &dir.path().join("leases.redb"));
    let (sender, events) = channel();
    let reported = Arc::clone(&ops);
    let report = move |event: StoreEvent| {
        if let StoreEvent::Durable { seq } = event {
            reported.lock().unwrap().push(Op::Reported(seq));
        }
        drop(sender.send(event));
    };
    let store = Store::start(file, lock(dir.path()).unwrap(), report).unwrap();
    // What a new store begins with.
    store.write(batch(1, vec![put("meta/format", b"1"), put("meta/store-id", &[7; 16])]));
    wait_durable(&events, 1);
    let mut seq = 1_u64;
    for round in 0..60_u64 {
        let first = seq + 1;
        // Sizes from a lease to a settings document.
        for size in (0..=(round % 7) * 3).map(|it| if it % 5 == 4 { 9000 } else { 120 }) {
            seq += 1;
            let value = [&seq.to_be_bytes()[..], &vec![round.to_le_bytes()[0]; size]].concat();
            store.write(batch(seq, vec![put(&format!("k/{}", seq % KEYS), &value)]));
        }
        // Now and then the next comes while this is being written.
        if round % 3 != 0 || seq == first {
            wait_durable(&events, seq);
        }
    }
    store.close();
    ops.lock().unwrap().clone()
}

/// What the disk may hold when the power goes just before `ops[at]`, and the last batch that was
/// reported durable by then. A disk that `lies` has not done its last flush.
fn held(ops: &[Op], at: usize, lies: bool, dice: &mut Dice) -> (Vec<u8>, u64) {
    let before = &ops[..at];
    let flushes = before.iter().enumerate().rev().filter(|(_, op)| matches!(op, Op::Flush));
    let flushed = flushes.map(|(at, _)| at + 1).nth(usize::from(lies)).unwrap_or(0);
    let mut disk = Vec::new();
    for op in &before[..flushed] {
        match op {
            Op::SetLen(len) => disk.resize(usize::try_from(*len).unwrap(), 0),
            Op::Write(offset, data) => put_at(&mut disk, *offset, data),
            Op::Flush | Op::Reported(_) => {}
        }
    }
    let kept = dice.below(4);
    for op in &before[flushed..] {
        match op {
            Op::SetLen(len) if dice.below(2) == 0 => {
                disk.resize(usize::try_from(*len).unwrap(), 0);
            }
            Op::Write(offset, data) => {
                for (index, sector) in data.chunks(SECTOR).enumerate() {
                    // Nearly nothing, half, nearly all, all of it.
                    let keep = dice.below(10) < [1, 5, 9, 10][kept];
                    if keep {
                        put_at(&mut disk, offset + (index * SECTOR) as u64, sector);
                    }
                }
            }
            _ => {}
        }
    }
    let reported = before.iter().rev().find_map(|op| match op {
        Op::Reported(seq) => Some(*seq),
        _ => None,
    });
    (disk, reported.unwrap_or(0))
}

fn put_at(disk: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let offset = usize::try_from(offset).unwrap();
    if disk.len() < offset + data.len() {
        disk.resize(offset + data.len(), 0);
    }
    disk[offset..offset + data.len()].copy_from_slice(data);
}

/// Starts from what the disk held. Everything reported must be there or overwritten since; what
/// is wrong otherwise.
fn survives(dir: &Path, disk: &[u8], reported: u64) -> Result<(), String> {
    fs::write(dir.join("leases.redb"), disk).unwrap();
    let (_store, _events, restored, info) = open(dir);
    if info.moved_aside.is_some() || info.rolled_back || !restored.damaged.is_empty() {
        return Err(format!("{info:?}, {:?}", restored.damaged));
    }
    let newest = |key: u64| {
        let key = format!("k/{key}");
        let entry = restored.entries.iter().find(|(it, _)| *it == key)?;
        entry.1.first_chunk::<8>().map(|seq| u64::from_be_bytes(*seq))
    };
    for seq in reported.saturating_sub(KEYS - 1).max(2)..=reported {
        let found = newest(seq % KEYS);
        if found.is_none_or(|found| found < seq) {
            return Err(format!("{seq} of {reported} is lost: {found:?}"));
        }
    }
    Ok(())
}

/// Cuts the power so many times; how often in the middle of something, and what went wrong.
fn cut(times: usize, lies: bool, seed: u64) -> (usize, Vec<String>) {
    let ops = recorded();
    let first = ops.iter().position(|op| matches!(op, Op::Reported(_))).unwrap();
    let mut dice = Dice(seed);
    let (mut torn, mut wrong) = (0, Vec::new());
    for turn in 0..times {
        let at = first + 1 + dice.below(ops.len() - first);
        let (disk, reported) = held(&ops, at, lies, &mut dice);
        torn += usize::from(!matches!(ops[at - 1], Op::Flush | Op::Reported(_)));
        let dir = tempfile::tempdir().unwrap();
        if let Err(why) = survives(dir.path(), &disk, reported) {
            wrong.push(format!("seed {seed}, turn {turn}, before {at}: {why}"));
        }
    }
    (torn, wrong)
}

#[test]
fn a_power_cut_that_tears_and_reorders_costs_nothing_that_was_reported_durable() {
    let (torn, wrong) = cut(100, false, 0x1234_5678);
    assert_eq!(wrong, Vec::<String>::new());
    assert!(torn > 40, "only {torn} cuts were in the middle of something");
}

#[test]
fn a_disk_that_lies_about_its_last_flush_is_found_out_by_this_very_test() {
    let (_, wrong) = cut(20, true, 0x1234_5678);
    assert!(!wrong.is_empty());
}

/// `TMPDIR=/dev/shm cargo test -p lanward --lib -- --ignored --nocapture ten_thousand_torn`
#[test]
#[ignore = "minutes long"]
#[allow(clippy::print_stdout, reason = "the outcome is what it is run for")]
fn ten_thousand_torn_power_cuts() {
    let (torn, wrong) = cut(10_000, false, 0x8765_4321);
    println!("{torn} of 10,000 in the middle of something; went wrong: {wrong:?}");
    assert_eq!(wrong, Vec::<String>::new());
}
