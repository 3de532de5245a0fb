use std::sync::mpsc;
use std::thread;

use super::super::codec::Rule;
use super::super::{DnssecOutcome, UpstreamId};
use super::*;
use crate::{Answered, ListId, Now, PolicyId, RecordType, RuleRef, Transport};

/// An event at `millis` whose name is `name`, with the longest of everything else.
fn draft(millis: u64, name: &[u8]) -> Draft<'_> {
    Draft {
        at: Now(Duration::from_millis(millis)),
        took: Some(Duration::from_micros(1_234)),
        client: "fd00:30::7".parse().expect("v6"),
        transport: Transport::Quic,
        name,
        qtype: RecordType(65),
        how: Answered::Forwarded,
        rcode: 3,
        generation: 9,
        policy: PolicyId(5),
        rule: Some(Rule {
            rule: RuleRef { list: ListId(7), labels: 1 },
            allowed: true,
            target: Some(b"\x01x\x07example\0"),
        }),
        upstream: Some(UpstreamId(2)),
        dnssec: DnssecOutcome::Bogus,
    }
}

const NAME: &[u8] = b"\x03www\x07example\0";

fn hub(bytes: usize) -> (Hub, HistoryReader) {
    let hub = Hub::default();
    let reader = hub.open(bytes, Clock::start()).expect("the first reader");
    (hub, reader)
}

#[test]
fn an_event_comes_out_as_it_went_in() {
    let drafts = [
        draft(70, NAME),
        Draft { client: "10.0.30.7".parse().expect("v4"), took: None, ..draft(71, &[0]) },
        Draft { rule: None, upstream: None, ..draft(72, NAME) },
    ];
    let mut bytes = Vec::new();
    for draft in &drafts {
        let mut out = [0; MAX];
        let len = draft.encode(&mut out).expect("fits");
        bytes.extend_from_slice(&out[..len]);
    }
    let mut rest = &bytes[..];
    for draft in drafts {
        let (read, after) = Draft::decode(rest).expect("whole");
        assert_eq!(read, draft);
        rest = after;
    }
    assert!(rest.is_empty());
}

#[test]
fn names_of_any_length_fit_and_longer_ones_are_refused() {
    let longest = [b"\x3f".as_slice(), &[b'a'; 63]].concat().repeat(4);
    let longest = [&longest[..254], &[0]].concat();
    let rule = Rule {
        rule: RuleRef { list: ListId(u16::MAX), labels: 127 },
        allowed: false,
        target: Some(&longest),
    };
    let mut out = [0; MAX];
    let most = Draft { rule: Some(rule), ..draft(1, &longest) };
    assert_eq!(most.encode(&mut out), Some(MAX));
    assert_eq!(Draft::decode(&out).expect("whole").0, most);
    assert_eq!(Draft { name: &[1; 600], ..most }.encode(&mut out), None);
}

#[test]
fn a_full_ring_loses_events_and_counts_each() {
    let (hub, mut reader) = hub(0);
    let mut recorder = hub.recorder();
    for millis in 0..1000 {
        recorder.record(&draft(millis, NAME));
        recorder.wake();
    }
    let kept = reader.drain();
    assert!(!kept.is_empty() && kept.len() < 30, "{}", kept.len());
    assert_eq!(kept.len() as u64 + hub.lost(), 1000);
    assert_eq!(kept.last().expect("kept").at, Now(Duration::from_millis(kept.len() as u64 - 1)));
    recorder.record(&draft(1000, NAME));
    assert_eq!(reader.drain().len(), 1, "there is room again");
}

#[test]
fn nothing_is_kept_where_nobody_reads() {
    let hub = Hub::default();
    let mut recorder = hub.recorder();
    recorder.record(&draft(1, NAME));
    recorder.wake();
    (&hub).record(&draft(1, NAME));
    assert_eq!(hub.lost(), 0);
    let open = || hub.open(1, Clock::start()).is_some();
    assert!(open() && !open(), "one reader");
}

#[test]
fn events_of_all_workers_come_in_the_order_of_time() {
    let (hub, mut reader) = hub(1 << 16);
    let (mut one, mut two) = (hub.recorder(), hub.recorder());
    for millis in 0..10 {
        let recorder = if millis % 3 == 0 { &mut one } else { &mut two };
        recorder.record(&draft(millis, NAME));
    }
    (&hub).record(&draft(4, &[0]));
    let at: Vec<u128> = reader.drain().iter().map(|event| event.at.0.as_millis()).collect();
    assert_eq!(at, [0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_worker_that_has_ended_is_read_to_its_end_and_forgotten() {
    let (hub, mut reader) = hub(1 << 16);
    let mut recorder = hub.recorder();
    recorder.record(&draft(1, NAME));
    drop(recorder);
    assert_eq!(reader.drain().len(), 1);
    assert!(reader.outlets.is_empty());
}

/// Runs the reader on a thread of its own and tells what each waking brought.
fn follow(mut reader: HistoryReader, gather: Duration) -> mpsc::Receiver<usize> {
    let (tell, told) = mpsc::channel();
    thread::Builder::new()
        .spawn(move || {
            loop {
                reader.wait(gather);
                if tell.send(reader.drain().len()).is_err() {
                    return;
                }
            }
        })
        .expect("a thread");
    told
}

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn an_event_wakes_a_reader_that_sleeps() {
    let (hub, reader) = hub(1 << 16);
    let mut recorder = hub.recorder();
    let told = follow(reader, Duration::from_millis(1));
    for millis in 0..5 {
        // Long enough for it to sleep for good.
        thread::sleep(Duration::from_millis(20));
        recorder.record(&draft(millis, NAME));
        recorder.wake();
        while told.recv_timeout(PATIENCE).expect("it wakes") == 0 {}
    }
}

#[test]
fn an_answer_that_is_not_told_wakes_nobody() {
    let (hub, reader) = hub(1 << 16);
    let mut recorder = hub.recorder();
    let bell = reader.bell.clone();
    bell.asleep.store(true, Ordering::SeqCst);
    recorder.wake();
    assert!(bell.asleep.load(Ordering::SeqCst), "the host's own test, say");
    recorder.record(&draft(1, NAME));
    recorder.wake();
    assert!(!bell.asleep.load(Ordering::SeqCst));
}

#[test]
fn an_event_just_before_falling_asleep_is_not_forgotten() {
    let (hub, reader) = hub(1 << 16);
    let mut recorder = hub.recorder();
    // Without a wake: a worker that has not seen yet that the reader sleeps.
    recorder.record(&draft(1, NAME));
    let told = follow(reader, Duration::from_millis(1));
    assert_eq!(told.recv_timeout(PATIENCE), Ok(1));
}

#[test]
fn a_ring_that_fills_up_ends_the_gathering_early() {
    let (hub, reader) = hub(1 << 12);
    let mut recorder = hub.recorder();
    let told = follow(reader, PATIENCE * 10);
    let mut sent = 0;
    while told.try_recv().map_or(true, |got| got == 0) {
        recorder.record(&draft(sent, NAME));
        recorder.wake();
        sent += 1;
        assert!(sent < 2_000_000, "the reader does not come");
        thread::sleep(Duration::from_micros(10));
    }
}

#[test]
fn a_nudge_ends_both_sleep_and_gathering() {
    let (hub, reader) = hub(1 << 12);
    let nudge = reader.nudge();
    let mut recorder = hub.recorder();
    let told = follow(reader, PATIENCE * 10);
    nudge.nudge();
    assert_eq!(told.recv_timeout(PATIENCE), Ok(0));
    recorder.record(&draft(1, NAME));
    nudge.nudge();
    while told.recv_timeout(PATIENCE).expect("it wakes") == 0 {}
}
