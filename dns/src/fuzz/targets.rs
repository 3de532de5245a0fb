//! The targets that need nothing but the crate's pure parts.

use std::sync::LazyLock;
use std::time::Duration;

use hickory_proto::op::Message;

use super::house::{House, START, asker};
use super::{RANDOM, check, mutated, shapes};
use crate::cache::{Cache, Entry, FailureKind};
use crate::forward::Checked;
use crate::history::Way;
use crate::pipeline::{Errand, Result as Ended};
use crate::wire::{Form, Malformed, Query, Reading, read};
use crate::{Answered, Asker, DropReason, Now, Outcome, Transport};

fn after(secs: u64) -> Now {
    Now(START.0 + Duration::from_secs(secs))
}

/// The view of a question: what it says is what stands in the packet.
fn read_question(packet: &[u8]) {
    match Query::parse(packet) {
        Ok(query) => {
            assert_eq!(packet[2] & 0xf8, 0, "a question, of opcode 0");
            assert_eq!(packet[4..6], [0, 1]);
            assert!(packet[12..].starts_with(query.question));
            let name = query.name();
            assert!(query.question[..name.len()].eq_ignore_ascii_case(name));
            assert_eq!(query.question.len(), name.len() + 4);
            let name = crate::Name::from_wire(name).expect("a name");
            // Whatever hickory reads, it reads the same.
            if let Ok(message) = Message::from_vec(packet) {
                let [asked] = message.queries.as_slice() else { panic!("one question") };
                let asked_name = crate::cache::to_name(&asked.name().to_lowercase());
                assert_eq!(asked_name.as_ref(), Some(&name));
                assert_eq!(u16::from(asked.query_type()), query.qtype.0);
                let edns = message.edns.as_ref().map(|edns| edns.flags().dnssec_ok);
                assert_eq!(edns, query.edns.map(|edns| edns.dnssec_ok));
            }
        }
        Err(Malformed::Drop(reason)) => {
            let short = packet.len() < 12;
            let expected = if short { DropReason::Short } else { DropReason::Response };
            assert_eq!(reason, expected);
            assert!(short || packet[2] & 0x80 != 0);
        }
        Err(Malformed::Answer(refusal)) => {
            assert!(packet[12..].starts_with(refusal.question));
        }
    }
}

#[test]
fn question() {
    bolero::check!().with_iterations(RANDOM).for_each(read_question);
    mutated(read_question, shapes::queries());
}

static HOUSE: LazyLock<House> = LazyLock::new(House::new);

/// The whole way of a packet: who asks, then the packet.
fn through_the_pipeline(input: &[u8]) {
    let Some((who, packet)) = input.split_first() else { return };
    let (asker, house) = (asker(*who), &*HOUSE);
    let handle = |now| {
        let mut out = vec![0xff; 7];
        let outcome = house.pipeline.handle(&house.shared, packet, asker, now, &mut out);
        (outcome, out)
    };
    let (outcome, out) = handle(after(1));
    let (again, same) = handle(after(1));
    assert_eq!(verdict(again), verdict(outcome), "the same question, the same verdict");
    let Some(how) = verdict(outcome) else {
        assert_eq!(again, outcome);
        if outcome == Outcome::Miss {
            fails(house, packet, asker);
        }
        return;
    };
    assert_eq!(out, same, "and the same answer");
    assert!(who & 7 > 1, "strangers and reflectors get nothing");
    let reply = check::reply(packet, asker.transport, &out);
    let (later, out) = handle(after(8));
    if verdict(later) == Some(how) && how != Answered::Stale {
        let later = check::reply(packet, asker.transport, &out);
        check::no_ttl_grows(&reply, &later);
    }
}

fn verdict(outcome: Outcome) -> Option<Answered> {
    match outcome {
        Outcome::Answered(how) | Outcome::Aging(how) => Some(how),
        Outcome::Dropped(_) | Outcome::Miss => None,
    }
}

fn conclude(
    house: &House,
    packet: &[u8],
    asker: Asker,
    ended: &Ended,
    now: Now,
) -> (Answered, Vec<u8>) {
    let (snapshot, mut out) = (house.shared.snapshot.load(), vec![0xff; 7]);
    let history = &mut house.shared.history();
    let way = Way { received: now, ..Way::default() };
    let outcome =
        house.pipeline.finish(&snapshot, packet, asker, ended, way, now, &mut out, history);
    let Some(Outcome::Answered(how)) = outcome else { panic!("who waits is told: {outcome:?}") };
    (how, out)
}

/// Nobody upstream answers.
fn fails(house: &House, packet: &[u8], asker: Asker) {
    for why in [FailureKind::Timeout, FailureKind::Overload] {
        let (_, out) = conclude(house, packet, asker, &Ended::Failed(why), after(2));
        check::reply(packet, asker.transport, &out);
    }
}

#[test]
fn pipeline() {
    bolero::check!().with_iterations(RANDOM).for_each(through_the_pipeline);
    mutated(through_the_pipeline, shapes::askers_queries());
}

static ASKING: LazyLock<std::sync::Mutex<House>> =
    LazyLock::new(|| std::sync::Mutex::new(House::empty()));

/// What an upstream sends back: which question, then the packet. Unless the highest bit of the
/// first byte is set, the packet gets the id and the question that were sent: few inputs would have
/// them by chance.
fn upstreams_answer(input: &[u8]) {
    let Some((which, received)) = input.split_first() else { return };
    let packet = shapes::asked(usize::from(*which & 0x0f));
    let asker = asker(4 | which >> 1 & 0x18);
    let query = Query::parse(&packet).expect("a question of ours");
    let sent = packet.as_slice();
    let mut received = received.to_vec();
    if which & 0x80 == 0 {
        let end = 12 + query.question.len();
        let len = received.len();
        if let Some(header) = received.get_mut(..12) {
            header[..2].copy_from_slice(&sent[..2]);
            header[2] = header[2] & 0x07 | 0x80;
        }
        if let Some(question) = received.get_mut(12..end.min(len.max(12))) {
            question.copy_from_slice(&sent[12..12 + question.len()]);
        }
    }
    let house = ASKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    house.pipeline.cache.clear();
    let key = Errand::of(&house.shared.snapshot.load(), &query, asker).key;
    let Reading::Answer(form) = read(sent, &received) else { return };
    assert_eq!(received[..2], sent[..2], "an answer to what was sent");
    let entry = match form {
        Form::Plain(layout) => Entry::from_layout(&received, layout, &key, START),
        Form::Other(message) => Entry::from_checked(Checked::unchecked(*message), &key, START),
    };
    let Some(entry) = entry else { return };
    house.pipeline.cache.insert(&entry);
    let (how, out) = conclude(&house, &packet, asker, &Ended::Answer(entry.clone()), after(0));
    let first = answered(&packet, asker.transport, how, &out);
    let handle = |house: &House, secs| {
        let mut out = Vec::new();
        let outcome = house.pipeline.handle(&house.shared, &packet, asker, after(secs), &mut out);
        verdict(outcome).map(|how| answered(&packet, asker.transport, how, &out))
    };
    let cached = handle(&house, 0);
    assert_eq!(cached.is_some(), entry.lives(), "it is kept while it lives");
    for later in [cached, handle(&house, 5)].into_iter().flatten() {
        check::no_ttl_grows(&first, &later);
    }
    // The same after a restart.
    let saved = house.pipeline.cache.save(after(5), 1_000_005);
    house.pipeline.cache.clear();
    let restored = house.pipeline.cache.restore(&saved, after(9), 1_000_009);
    assert!(restored.is_ok_and(|restored| restored <= 1));
    if let Some(later) = handle(&house, 9) {
        check::no_ttl_grows(&first, &later);
    }
}

fn answered(packet: &[u8], transport: Transport, how: Answered, out: &[u8]) -> Message {
    let reply = check::reply(packet, transport, out);
    check::answers_only_the_question(&reply);
    // 0.0.0.0 is what a blocked name has.
    if how != Answered::Blocked {
        check::leads_nowhere_inside(&reply);
    }
    assert!(!reply.metadata.authentic_data, "nobody has checked it");
    reply
}

#[test]
fn response() {
    bolero::check!().with_iterations(RANDOM).for_each(upstreams_answer);
    mutated(upstreams_answer, shapes::numbered_answers());
}

/// Files of saved answers.
pub(super) fn saved_caches() -> Vec<Vec<u8>> {
    let whole = House::new().pipeline.cache.save(after(60), 1_000_000);
    let mut out = vec![whole.clone(), Cache::new(1 << 20).save(after(60), 1_000_000)];
    for answer in shapes::answers().iter().step_by(7) {
        let house = House::empty();
        if Message::from_vec(answer).is_ok() && house.pipeline.learn(answer, START) {
            out.push(house.pipeline.cache.save(after(60), 1_000_000));
        }
    }
    out.push(whole[..whole.len() / 2].to_vec());
    out
}

/// The file of saved answers. Its sum is made to fit: what is behind it is to be tested.
fn read_saved(input: &[u8]) {
    let mut saved = input.to_vec();
    if let Some((content, sum)) = saved.split_last_chunk_mut::<4>() {
        *sum = crc32fast::hash(content).to_be_bytes();
    }
    let cache = Cache::new(1 << 20);
    let now = after(100);
    for date in [0, 1_000_100, u64::MAX] {
        cache.clear();
        let Ok(restored) = cache.restore(&saved, now, date) else { return };
        assert_eq!(cache.held().0, restored);
        let again = cache.save(now, date);
        let other = Cache::new(1 << 20);
        assert_eq!(other.restore(&again, now, date), Ok(restored), "what is saved is read");
    }
}

#[test]
fn saved() {
    bolero::check!().with_iterations(200).for_each(read_saved);
    let small = saved_caches().into_iter().filter(|file| file.len() < 2000).collect();
    mutated(read_saved, small);
}
