use hickory_proto::op::{Message, OpCode, Query as Asked};
use hickory_proto::rr::rdata::{A, CNAME, TXT};
use hickory_proto::rr::{DNSClass, Name as HickoryName, RData, Record};

use super::*;

mod saved;

fn key(label: &[u8]) -> Key {
    key_of(label, RecordType::A)
}

fn key_of(label: &[u8], rtype: RecordType) -> Key {
    Key::new(&[&[label.len() as u8], label, b"\0"].concat(), 0, rtype, false, false)
}

fn answer(label: &[u8], ttl: u32, data: RData) -> Message {
    let name = HickoryName::from_labels([label]).expect("name");
    let mut message = Message::response(1, OpCode::Query);
    message.queries.push(Asked::query(name.clone(), data.record_type()));
    message.answers.push(Record::from_rdata(name, ttl, data));
    message
}

fn address(label: &[u8], ttl: u32, now: Now) -> Arc<Entry> {
    let answer = answer(label, ttl, RData::A(A([192, 0, 2, 1].into())));
    Entry::from_answer(answer, &key(label), now).expect("an entry")
}

#[test]
fn an_answer_to_another_question_is_none() {
    let data = || RData::A(A([192, 0, 2, 1].into()));
    let kept = |key: &Key| Entry::from_answer(answer(b"bank", 60, data()), key, at(0)).is_some();
    assert!(kept(&key(b"bank")));
    assert!(!kept(&key(b"other")));
    assert!(!kept(&key_of(b"bank", RecordType::AAAA)));
}

#[test]
fn an_alias_of_another_class_is_not_followed() {
    let (a, b) =
        (HickoryName::from_ascii("k.").expect("a"), HickoryName::from_ascii("t.").expect("b"));
    let mut message = answer(b"k", 60, RData::A(A([192, 0, 2, 1].into())));
    message.answers[0].name = b.clone();
    let mut alias = Record::from_rdata(a, 60, RData::CNAME(CNAME(b)));
    alias.dns_class = DNSClass::CH;
    message.answers.insert(0, alias);
    let entry = Entry::from_answer(message, &key(b"k"), at(0)).expect("an entry");
    assert!(!entry.lives() && entry.targets().is_empty(), "an answer without its beginning");
}

fn at(secs: u64) -> Now {
    Now(Duration::from_secs(secs))
}

#[test]
fn an_answer_is_fresh_then_stale_then_gone() {
    let cache = Cache::new(1 << 20);
    cache.insert(&address(b"k", 60, at(0)));
    assert!(matches!(cache.get(key(b"k").as_bytes(), at(59)), Cached::Fresh(_)));
    assert!(matches!(cache.get(key(b"k").as_bytes(), at(60)), Cached::Stale(_, None)));
    assert!(matches!(
        cache.get(key(b"k").as_bytes(), at(60 + 24 * 3600 - 1)),
        Cached::Stale(_, None)
    ));
    assert!(matches!(cache.get(key(b"k").as_bytes(), at(60 + 24 * 3600)), Cached::Missing));
}

#[test]
fn times_to_live_are_bounded() {
    let cache = Cache::new(1 << 20);
    cache.insert(&address(b"zero", 0, at(0)));
    assert!(matches!(cache.get(key(b"zero").as_bytes(), at(0)), Cached::Missing));
    // RFC 8767, 4: with the highest bit, too, it is a long time, not none.
    for (label, ttl) in [(&b"years"[..], 0x7fff_ffff), (b"negative", 0x8000_0001)] {
        cache.insert(&address(label, ttl, at(0)));
        assert!(matches!(cache.get(key(label).as_bytes(), at(86_399)), Cached::Fresh(_)));
        assert!(matches!(cache.get(key(label).as_bytes(), at(86_400)), Cached::Stale(..)));
    }
}

#[test]
fn an_answer_for_this_moment_takes_the_place_of_an_older_one() {
    let cache = Cache::new(1 << 20);
    cache.insert(&address(b"k", 60, at(0)));
    cache.insert(&address(b"other", 60, at(0)));
    assert!(matches!(cache.get(key(b"k").as_bytes(), at(61)), Cached::Stale(..)));
    cache.insert(&address(b"k", 0, at(61)));
    assert!(matches!(cache.get(key(b"k").as_bytes(), at(61)), Cached::Missing), "superseded");
    assert!(matches!(cache.get(key(b"other").as_bytes(), at(61)), Cached::Stale(..)));
}

#[test]
fn addresses_change_places_for_whoever_sends_no_id_too() {
    let mut message = answer(b"k", 60, RData::A(A([192, 0, 2, 1].into())));
    for last in 2..=3 {
        let mut record = message.answers[0].clone();
        record.data = RData::A(A([192, 0, 2, last].into()));
        message.answers.push(record);
    }
    let entry = Entry::from_answer(message, &key(b"k"), at(0)).expect("an entry");
    let question = [&[0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], b"\x01k\0\0\x01\0\x01"].concat();
    let query = Query::parse(&question).expect("a question");
    let mut first = [0; 3];
    for micros in 0..300 {
        let (mut out, now) = (Vec::new(), Now(Duration::from_micros(micros * 7)));
        entry.write(&query, Use::Fresh, now, 512, &mut out);
        first[usize::from(out[question.len() + 15] - 1)] += 1;
    }
    assert!(first.iter().all(|times| (80..120).contains(times)), "{first:?}");
}

#[test]
fn failures_are_remembered_longer_while_they_go_on() {
    let cache = Cache::new(1 << 20);
    let mut now = at(0);
    let mut lasting = Vec::new();
    for _ in 0..11 {
        let failure = cache.insert_failure(key(b"k").as_bytes(), FailureKind::Timeout, now);
        lasting.push(failure.lasting.as_secs());
        let last = Now(failure.until.0 - Duration::from_millis(1));
        assert!(matches!(cache.get(key(b"k").as_bytes(), last), Cached::Failed(_)));
        assert!(matches!(cache.get(key(b"k").as_bytes(), failure.until), Cached::Missing));
        now = failure.until;
    }
    assert_eq!(lasting, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    let much_later = Now(now.0 + Duration::from_secs(300));
    assert_eq!(
        cache.insert_failure(key(b"k").as_bytes(), FailureKind::Timeout, much_later).lasting,
        FAILURE_MIN
    );
}

#[test]
fn an_expired_answer_is_not_served_for_long_without_asking_again() {
    let cache = Cache::new(1 << 20);
    cache.insert(&address(b"k", 1, at(0)));
    let (mut now, mut lasting) = (at(2), Duration::ZERO);
    for _ in 0..8 {
        let failure = cache.insert_failure(key(b"k").as_bytes(), FailureKind::Timeout, now);
        (now, lasting) = (failure.until, failure.lasting);
    }
    assert_eq!(lasting, Duration::from_secs(30));
}

#[test]
fn an_answer_ends_the_memory_of_failures() {
    let cache = Cache::new(1 << 20);
    cache.insert_failure(key(b"k").as_bytes(), FailureKind::Timeout, at(0));
    cache.insert(&address(b"k", 1, at(0)));
    assert!(matches!(cache.get(key(b"k").as_bytes(), at(0)), Cached::Fresh(_)));
    assert!(matches!(cache.get(key(b"k").as_bytes(), at(1)), Cached::Stale(_, None)));
}

#[test]
fn the_cache_stays_within_its_bytes() {
    let cache = Cache::new(200_000);
    for index in 0..5000u32 {
        let text = RData::TXT(TXT::new(vec!["x".repeat(200)]));
        let label = format!("n{index}").into_bytes();
        let key = key_of(&label, RecordType::TXT);
        let entry = Entry::from_answer(answer(&label, 300, text), &key, at(0));
        cache.insert(&entry.expect("an entry"));
        assert!(cache.held().1 <= 200_000);
    }
    assert!(cache.held().0 > 100, "{:?}", cache.held());
    cache.clear();
    assert_eq!(cache.held().0, 0);
}

#[test]
fn keys_differ_in_type_and_flags() {
    let key = |rtype, dnssec_ok, cd| Key::new(b"\x01a\0", 0, RecordType(rtype), dnssec_ok, cd);
    let all =
        [key(1, false, false), key(28, false, false), key(1, true, false), key(1, false, true)];
    for (index, one) in all.iter().enumerate() {
        assert!(all.iter().skip(index + 1).all(|other| other.as_bytes() != one.as_bytes()));
    }
}

#[test]
fn an_alias_that_leads_nowhere_is_no_answer() {
    use hickory_proto::rr::rdata::CNAME;
    let alias = |owner: &[u8], target: &[u8]| {
        let name = |label| HickoryName::from_labels([label]).expect("name");
        Record::from_rdata(name(owner), 60, RData::CNAME(CNAME(name(target))))
    };
    let kept = |rtype: RecordType, records: Vec<Record>| {
        let mut message = Message::response(1, OpCode::Query);
        let name = HickoryName::from_labels([&b"x"[..]]).expect("name");
        message.queries.push(Asked::query(name, rtype.0.into()));
        message.answers = records;
        Entry::from_answer(message, &key_of(b"x", rtype), at(0)).is_some()
    };
    assert!(kept(RecordType::A, vec![alias(b"x", b"y")]), "it ends at a name without addresses");
    assert!(!kept(RecordType::A, vec![alias(b"x", b"x")]));
    assert!(!kept(RecordType::A, vec![alias(b"x", b"y"), alias(b"y", b"x")]));
    assert!(kept(RecordType::CNAME, vec![alias(b"x", b"x")]), "the alias itself was asked for");
    let long = (b'a'..=b'y').map(|c| alias(&[c], &[c + 1])).chain([alias(b"x", b"a")]);
    assert!(!kept(RecordType::A, long.collect()));
    let backwards = (1..15).rev().map(|at| alias(&[b'A' + at], &[b'B' + at]));
    let backwards: Vec<Record> = backwards.chain([alias(b"x", b"B")]).collect();
    assert!(kept(RecordType::A, backwards.clone()), "in whatever order");
    // What such an answer costs is bounded: each alias is compared with each on the way.
    let others = (0..32).map(|at| alias(&[b'0', b'A' + at], b"x"));
    assert!(!kept(RecordType::A, backwards.into_iter().chain(others).collect()));
}
