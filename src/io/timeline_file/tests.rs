use jiff::Timestamp;

use super::*;

fn entry(seq: u64) -> Entry {
    Entry {
        node: "pi-a".to_owned(),
        seq,
        at: Timestamp::from_second(1_800_000_000).unwrap(),
        who: "pi-a".to_owned(),
        what: "started".to_owned(),
        why: "for a test".to_owned(),
    }
}

#[test]
fn events_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let (mut file, kept) = TimelineFile::open(dir.path()).unwrap();
    assert!(kept.is_empty());
    file.append(&[entry(1), entry(2)], Vec::new).unwrap();
    file.append(&[entry(3)], Vec::new).unwrap();
    // No close: a kill leaves the same.
    let (_, kept) = TimelineFile::open(dir.path()).unwrap();
    assert_eq!(kept, [entry(1), entry(2), entry(3)]);
}

#[test]
fn a_torn_last_line_costs_that_line_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (mut file, _) = TimelineFile::open(dir.path()).unwrap();
    file.append(&[entry(1), entry(2)], Vec::new).unwrap();
    let path = dir.path().join("timeline.jsonl");
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let (mut file, kept) = TimelineFile::open(dir.path()).unwrap();
        let before = kept.len();
        file.append(&[entry(9)], Vec::new).unwrap();
        let (_, kept) = TimelineFile::open(dir.path()).unwrap();
        assert_eq!(kept.len(), before + 1, "cut at {length}");
        assert_eq!(kept.last(), Some(&entry(9)), "cut at {length}");
    }
}

#[test]
fn the_file_does_not_grow_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let (mut file, _) = TimelineFile::open(dir.path()).unwrap();
    let many: Vec<Entry> = (1..=MAX_LINES as u64).map(entry).collect();
    file.append(&many, Vec::new).unwrap();
    file.append(&[entry(1 << 40)], || vec![entry(1 << 40)]).unwrap();
    file.append(&[entry(1 << 41)], Vec::new).unwrap();
    let (file, kept) = TimelineFile::open(dir.path()).unwrap();
    assert_eq!(kept, [entry(1 << 40), entry(1 << 41)]);
    assert_eq!(file.lines, 2);
}
