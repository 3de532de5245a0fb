use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use lanward_ha::Write;
use tempfile::TempDir;

use super::*;

const WAIT: Duration = Duration::from_secs(30);

pub(super) fn put(key: &str, value: &[u8]) -> Write {
    Write { key: key.to_owned(), value: Some(value.to_vec()) }
}

pub(super) fn batch(seq: u64, writes: Vec<Write>) -> Batch {
    Batch { seq, writes }
}

fn remove(key: &str) -> Write {
    Write { key: key.to_owned(), value: None }
}

pub(super) fn open(dir: &Path) -> (Store, Receiver<StoreEvent>, Restored, StoreInfo) {
    let (sender, events) = channel();
    let (store, restored, info) = Store::open(dir, move |event| drop(sender.send(event))).unwrap();
    (store, events, restored, info)
}

/// Waits until this batch is reported durable; the numbers never go down.
pub(super) fn wait_durable(events: &Receiver<StoreEvent>, wanted: u64) {
    let mut last = 0;
    loop {
        match events.recv_timeout(WAIT).unwrap() {
            StoreEvent::Durable { seq } => {
                assert!(seq > last, "{seq} after {last}");
                last = seq;
                if seq == wanted {
                    return;
                }
            }
            StoreEvent::Failed { error } => panic!("{error}"),
        }
    }
}

fn entries(restored: &Restored) -> BTreeMap<String, Vec<u8>> {
    restored.entries.iter().cloned().collect()
}

#[test]
fn what_was_reported_durable_is_there_after_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let (store, events, restored, first) = open(dir.path());
    assert_eq!((restored, first.created, first.moved_aside), (Restored::default(), true, None));
    store.write(batch(1, vec![put("binding/10.0.0.1", b"one"), put("pair/state", b"x")]));
    store.write(batch(2, vec![put("binding/10.0.0.2", b""), remove("pair/state")]));
    store.save_time(vec![1, 2, 3]);
    wait_durable(&events, 2);
    drop(store);
    let (_store, _events, restored, info) = open(dir.path());
    assert_eq!((info.created, info.rolled_back), (false, false));
    assert_eq!(info.store_id, first.store_id);
    assert_eq!(info.time_floor, Some(vec![1, 2, 3]));
    let expected = [("binding/10.0.0.1", &b"one"[..]), ("binding/10.0.0.2", b"")]
        .map(|(k, v)| (k.to_owned(), v.to_vec()));
    assert_eq!(restored.entries, expected);
    assert_eq!(restored.damaged, Vec::<String>::new());
}

#[test]
fn closing_writes_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _events, ..) = open(dir.path());
    for seq in 1..=100 {
        store.write(batch(seq, vec![put(&format!("k/{seq:03}"), b"v")]));
    }
    store.close();
    assert_eq!(open(dir.path()).2.entries.len(), 100);
}

#[test]
fn ten_thousand_batches_are_applied_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (store, events, ..) = open(dir.path());
    // Each key is written by many batches, and the last one must win; every tenth removes it.
    let mut expected = BTreeMap::new();
    for seq in 1..=10_000u64 {
        let key = format!("binding/{}", seq % 97);
        if seq % 10 == 0 {
            expected.remove(&key);
            store.write(batch(seq, vec![remove(&key)]));
        } else {
            let value = seq.to_be_bytes().to_vec();
            expected.insert(key.clone(), value.clone());
            store.write(batch(seq, vec![put(&key, &value)]));
        }
    }
    wait_durable(&events, 10_000);
    store.close();
    assert_eq!(entries(&open(dir.path()).2), expected);
}

#[test]
fn a_second_process_on_the_same_folder_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (store, ..) = open(dir.path());
    let error = Store::open(dir.path(), |_| {}).unwrap_err();
    assert!(
        matches!(&error, StoreError::InUse { pid: Some(pid), .. } if *pid == std::process::id())
    );
    let text = error.to_string();
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    assert!(text.contains(&dir.path().display().to_string()), "{text}");
    drop(store);
    open(dir.path());
}

#[test]
fn folder_and_files_are_for_the_owner_alone() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    drop(open(&dir));
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("leases.redb")), 0o600);
    assert_eq!(mode(&dir.join("lock")), 0o600);
    fs::set_permissions(dir.join("leases.redb"), fs::Permissions::from_mode(0o644)).unwrap();
    drop(open(&dir));
    assert_eq!(mode(&dir.join("leases.redb")), 0o600);
}

#[test]
fn a_torn_file_is_moved_aside_and_told_and_the_new_one_has_another_id() {
    for keep in [0, 1, 100, 4096, 10_000] {
        let dir = tempfile::tempdir().unwrap();
        let (store, events, _, first) = open(dir.path());
        store.write(batch(1, (0..200).map(|n| put(&format!("k/{n}"), &[7; 100])).collect()));
        wait_durable(&events, 1);
        drop(store);
        let path = dir.path().join("leases.redb");
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(keep).unwrap();
        let (_store, _events, restored, info) = open(dir.path());
        let moved = info.moved_aside.expect("it was torn");
        assert_eq!(fs::metadata(&moved.path).unwrap().len(), keep);
        assert!(moved.to_string().contains("leases.redb.corrupt-"), "{moved}");
        assert!(info.created && info.store_id != first.store_id);
        assert_eq!(restored, Restored::default());
    }
}

#[test]
fn a_folder_that_cannot_be_used_is_an_error_and_moves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("leases.redb")).unwrap();
    let error = Store::open(dir.path(), |_| {}).unwrap_err();
    assert!(matches!(error, StoreError::Io { action: "open", .. }), "{error}");
    assert!(dir.path().join("leases.redb").is_dir());
}

#[test]
fn a_stop_in_the_middle_of_creating_leaves_no_damaged_store() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("leases.redb.new"), b"half").unwrap();
    let (_store, _events, _, info) = open(dir.path());
    assert!(info.created && info.moved_aside.is_none());
}

#[test]
fn a_store_of_a_later_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (store, events, ..) = open(dir.path());
    store.write(batch(1, vec![put("meta/format", b"2")]));
    wait_durable(&events, 1);
    drop(store);
    let error = Store::open(dir.path(), |_| {}).unwrap_err();
    assert!(matches!(error, StoreError::Newer { .. }), "{error}");
    assert!(dir.path().join("leases.redb").exists());
}

#[test]
fn a_value_under_another_key_or_with_another_bit_fails_its_checksum() {
    let sealed = file::seal(b"key", b"value");
    assert_eq!(file::unseal(b"key", &sealed), Some(&b"value"[..]));
    assert_eq!(file::unseal(b"kez", &sealed), None);
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(file::unseal(b"key", &flipped), None, "bit {bit}");
    }
    assert_eq!(file::unseal(b"key", b"abc"), None);
    assert_ne!(file::seal(b"ab", b"c")[..4], file::seal(b"a", b"bc")[..4]);
}

#[test]
fn a_damaged_record_is_named_and_the_rest_is_used() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let path = dir.path().join("leases.redb");
    {
        // What a bit flipped in memory, before redb's own checksum was made, looks like.
        let table = redb::TableDefinition::<&[u8], &[u8]>::new("records");
        let database = redb::Database::open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let mut records = transaction.open_table(table).unwrap();
            let good = file::seal(b"binding/1", b"good");
            let mut bad = file::seal(b"binding/2", b"bad");
            bad[6] ^= 4;
            records.insert(&b"binding/1"[..], good.as_slice()).unwrap();
            records.insert(&b"binding/2"[..], bad.as_slice()).unwrap();
            records.insert(&b"binding/\xff"[..], good.as_slice()).unwrap();
        }
        transaction.commit().unwrap();
    }
    let (_store, _events, restored, info) = open(dir.path());
    assert_eq!(restored.entries, [("binding/1".to_owned(), b"good".to_vec())]);
    assert_eq!(restored.damaged, ["binding/2".to_owned(), "binding/\u{fffd}".to_owned()]);
    assert_eq!(info.moved_aside, None);
}

/// A store file of 400 records in several commits, and what it holds.
fn sample() -> (TempDir, BTreeMap<String, Vec<u8>>) {
    let dir = tempfile::tempdir().unwrap();
    let (store, events, ..) = open(dir.path());
    let value = |n: u64| [n.to_be_bytes().as_slice(), &[0xa5; 60]].concat();
    for seq in 1..=400 {
        store.write(batch(seq, vec![put(&format!("binding/10.0.{seq}"), &value(seq))]));
        if seq % 40 == 0 {
            wait_durable(&events, seq);
        }
    }
    store.close();
    let stored = entries(&open(dir.path()).2);
    assert_eq!(stored.len(), 400);
    (dir, stored)
}

/// Flips single bits. Whatever a flip hits, what is restored is what was stored, or the damage is
/// told. Returns how often each outcome was seen.
fn flip(places: impl Iterator<Item = (usize, u8)>) -> BTreeMap<&'static str, u32> {
    let (dir, stored) = sample();
    let names = ["leases.redb", "leases.redb.reported"];
    let [original, reported] = names.map(|name| fs::read(dir.path().join(name)).unwrap());
    let mut outcomes = BTreeMap::new();
    for (place, bit) in places {
        let at = place % original.len();
        let flipped = tempfile::tempdir().unwrap();
        let mut bytes = original.clone();
        bytes[at] ^= 1 << (bit % 8);
        fs::write(flipped.path().join(names[0]), &bytes).unwrap();
        fs::write(flipped.path().join(names[1]), &reported).unwrap();
        let outcome = match Store::open(flipped.path(), |_| {}) {
            Err(error) => panic!("byte {at}: {error}"),
            Ok((_, _, info)) if info.moved_aside.is_some() => "moved aside",
            Ok((_, restored, info)) if entries(&restored) == stored => {
                if info.rolled_back {
                    "told, nothing lost"
                } else {
                    "nothing lost"
                }
            }
            Ok((_, restored, info)) => {
                let told = info.rolled_back || !restored.damaged.is_empty();
                assert!(told, "byte {at}: silently lost");
                for (key, value) in &restored.entries {
                    assert_eq!(stored.get(key), Some(value), "byte {at}");
                }
                "told"
            }
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    outcomes
}

/// A fixed, uneven walk over bytes and bits.
fn walk(turns: usize) -> impl Iterator<Item = (usize, u8)> {
    (0..turns).map(|turn| (turn * 7_919 * 37, u8::try_from(turn % 8).unwrap_or(0)))
}

#[test]
fn a_flipped_bit_anywhere_is_never_served_and_never_panics() {
    let outcomes = flip(walk(80).chain((0..320).step_by(8).map(|at| (at, 3))));
    assert!(outcomes.contains_key("moved aside"), "{outcomes:?}");
    assert!(outcomes.contains_key("nothing lost"), "{outcomes:?}");
}

/// `TMPDIR=/dev/shm cargo test -p lanward --lib -- --ignored --nocapture five_thousand`
#[test]
#[ignore = "minutes long"]
#[allow(clippy::print_stdout, reason = "the outcome is what it is run for")]
fn five_thousand_flipped_bits() {
    println!("{:?}", flip(walk(4000).chain((0..1000).map(|at| (at * 4, 5)))));
}

#[test]
fn a_damaged_last_commit_is_told_although_it_looks_like_one_cut_short() {
    let dir = tempfile::tempdir().unwrap();
    let (store, events, ..) = open(dir.path());
    store.write(batch(1, vec![put("k/1", b"v")]));
    wait_durable(&events, 1);
    let pattern = [0x5c; 2000];
    store.write(batch(2, vec![put("k/2", &pattern)]));
    wait_durable(&events, 2);
    drop(store);
    let path = dir.path().join("leases.redb");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(pattern.len()).position(|window| window == pattern).unwrap();
    bytes[at + 1000] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (_store, _events, restored, info) = open(dir.path());
    assert_eq!((info.moved_aside, info.rolled_back), (None, true));
    assert_eq!(restored.entries, [("k/1".to_owned(), b"v".to_vec())]);
}

#[test]
fn an_older_copy_put_in_the_stores_place_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (store, events, ..) = open(dir.path());
    store.write(batch(1, vec![put("k/1", b"v")]));
    wait_durable(&events, 1);
    let copy = dir.path().join("copy");
    store.copy_to(&copy).unwrap();
    store.write(batch(2, vec![put("k/2", b"v")]));
    wait_durable(&events, 2);
    drop(store);
    fs::rename(&copy, dir.path().join("leases.redb")).unwrap();
    let (store, events, restored, info) = open(dir.path());
    assert_eq!((restored.entries.len(), info.rolled_back), (1, true));
    // It is told once; from the next commit on the store counts as whole again.
    store.write(batch(1, vec![put("k/3", b"v")]));
    wait_durable(&events, 1);
    drop(store);
    assert!(!open(dir.path()).3.rolled_back);
}

#[test]
fn a_copy_holds_everything_durable_and_writing_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (store, events, _, info) = open(dir.path());
    store.write(batch(1, vec![put("k/1", b"v")]));
    let copy = tempfile::tempdir().unwrap();
    store.copy_to(&copy.path().join("leases.redb")).unwrap();
    store.write(batch(2, vec![put("k/2", b"v")]));
    wait_durable(&events, 2);
    let (_copied, _events, restored, copied) = open(copy.path());
    assert_eq!(restored.entries, [("k/1".to_owned(), b"v".to_vec())]);
    assert_eq!((copied.store_id, copied.rolled_back), (info.store_id, false));
    assert!(store.copy_to(Path::new("/nonexistent/leases.redb")).is_err());
}

/// A disk whose flush can be made to fail.
#[derive(Debug)]
struct Disk {
    backend: redb::backends::InMemoryBackend,
    failing: Arc<AtomicBool>,
    flushes: Arc<std::sync::atomic::AtomicUsize>,
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.backend.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.backend.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.backend.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.flushes.fetch_add(1, Ordering::SeqCst);
        if self.failing.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(nix::libc::EIO));
        }
        self.backend.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.backend.write(offset, data)
    }
}

#[test]
fn a_failed_flush_is_reported_once_and_never_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let failing = Arc::new(AtomicBool::new(false));
    let flushes = Arc::default();
    let disk = Disk {
        backend: redb::backends::InMemoryBackend::new(),
        failing: Arc::clone(&failing),
        flushes: Arc::clone(&flushes),
    };
    let file = StoreFile::on(disk, &dir.path().join("leases.redb"));
    let (sender, events) = channel();
    let lock = lock(dir.path()).unwrap();
    let store = Store::start(file, lock, move |event| drop(sender.send(event))).unwrap();
    store.write(batch(1, vec![put("k", b"v")]));
    wait_durable(&events, 1);
    failing.store(true, Ordering::SeqCst);
    store.write(batch(2, vec![put("k", b"w")]));
    let StoreEvent::Failed { error } = events.recv_timeout(WAIT).unwrap() else {
        panic!("reported as durable")
    };
    assert!(error.contains("os error 5"), "{error}");
    // The disk recovers: it makes no difference.
    failing.store(false, Ordering::SeqCst);
    for seq in 3..10 {
        store.write(batch(seq, vec![put("k", b"x")]));
    }
    assert!(store.copy_to(&dir.path().join("copy")).is_err());
    store.close();
    assert_eq!(events.iter().collect::<Vec<_>>(), []);
}

#[test]
fn writes_that_pile_up_without_bound_fail_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let (opening, opened) = channel::<()>();
    let (sender, events) = channel();
    let (store, ..) = Store::open(dir.path(), move |event| {
        // The thread stands still at its first report, as if the disk did.
        let _ = opened.recv();
        drop(sender.send(event));
    })
    .unwrap();
    for seq in 1..=(MAX_WAITING as u64 + 10_000) {
        store.write(batch(seq, vec![]));
    }
    drop(opening);
    let last = loop {
        match events.recv_timeout(WAIT).unwrap() {
            StoreEvent::Durable { .. } => {}
            StoreEvent::Failed { error } => break error,
        }
    };
    assert!(last.contains("keep up"), "{last}");
    store.close();
}
