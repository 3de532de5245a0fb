//! The cache kept over a restart, and names taken out of it.

use super::*;

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

const DATE: u64 = 1_800_000_000;

/// A cache that was filled at `at(0)` and saved a minute later, at [`DATE`].
fn saved() -> Vec<u8> {
    let cache = Cache::new(1 << 20);
    cache.insert(&address(b"short", 120, at(0)));
    cache.insert(&address(b"long", 80_000, at(0)));
    cache.save(at(60), DATE)
}

#[test]
fn answers_are_as_old_after_a_restart_as_the_time_that_went_by() {
    let cache = Cache::new(1 << 20);
    let now = Now(hours(72));
    assert_eq!(cache.restore(&saved(), now, DATE + 59), Ok(2));
    let Cached::Fresh(entry) = cache.get(key(b"short").as_bytes(), now) else { panic!("fresh") };
    assert_eq!(entry.expires().0 - now.0, Duration::from_secs(1));

    let cache = Cache::new(1 << 20);
    assert_eq!(cache.restore(&saved(), now, DATE + 60), Ok(2));
    assert!(matches!(cache.get(key(b"short").as_bytes(), now), Cached::Stale(_, None)));
    assert!(matches!(cache.get(key(b"long").as_bytes(), now), Cached::Fresh(_)));
}

#[test]
fn records_of_any_data_outlive_a_restart() {
    let owner = HickoryName::from_labels([&b"odd"[..]]).expect("name");
    let mut message = answer(b"odd", 300, RData::A(A([192, 0, 2, 1].into())));
    message.queries[0].query_type = hickory_proto::rr::RecordType::from(65_280);
    let data = RData::Update0(hickory_proto::rr::RecordType::from(65_280));
    message.answers = vec![Record::from_rdata(owner, 300, data)];
    let key = key_of(b"odd", RecordType(65_280));
    let cache = Cache::new(1 << 20);
    cache.insert(&Entry::from_answer(message, &key, at(0)).expect("an entry"));
    let saved = cache.save(at(60), DATE);
    let cache = Cache::new(1 << 20);
    assert_eq!(cache.restore(&saved, Now(hours(72)), DATE), Ok(1), "one with no data at all");
}

#[test]
fn what_is_of_no_use_any_more_is_left_out() {
    let cache = Cache::new(1 << 20);
    let now = Now(hours(72));
    assert_eq!(cache.restore(&saved(), now, DATE + 25 * 3600), Ok(1), "the long-lived one, stale");
    let cache = Cache::new(1 << 20);
    assert_eq!(cache.restore(&saved(), now, DATE + 365 * 86_400), Ok(0));
}

#[test]
fn after_a_time_that_nobody_knows_answers_are_stale() {
    let cache = Cache::new(1 << 20);
    let now = Now(hours(72));
    assert_eq!(cache.restore(&saved(), now, DATE - 1), Ok(2));
    for label in [b"short".as_slice(), b"long"] {
        assert!(matches!(cache.get(key(label).as_bytes(), now), Cached::Stale(_, None)));
    }
}

#[test]
fn what_has_been_learned_since_is_newer() {
    let cache = Cache::new(1 << 20);
    let now = Now(hours(72));
    cache.insert(&address(b"long", 5, now));
    assert_eq!(cache.restore(&saved(), now, DATE), Ok(1));
    let Cached::Fresh(entry) = cache.get(key(b"long").as_bytes(), now) else { panic!("fresh") };
    assert_eq!(entry.expires().0 - now.0, Duration::from_secs(5));
}

#[test]
fn any_flipped_bit_and_any_cut_is_found() {
    let whole = saved();
    let cache = Cache::new(1 << 20);
    let now = Now(hours(72));
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(cache.restore(&bytes, now, DATE - 1), Err(DamagedCache), "bit {bit}");
    }
    for len in 0..whole.len() {
        assert_eq!(cache.restore(&whole[..len], now, DATE - 1), Err(DamagedCache), "cut at {len}");
    }
    assert_eq!(cache.held().0, 0);
}

#[test]
fn a_name_is_forgotten_with_every_type_and_with_the_aliases_that_lead_there() {
    let cache = Cache::new(1 << 20);
    let owner = |text: &str| HickoryName::from_ascii(text).expect(text);
    let put = |text: &str, data: RData| {
        let mut message = Message::response(1, OpCode::Query);
        message.queries.push(Asked::query(owner(text), data.record_type()));
        let rtype = RecordType(data.record_type().into());
        message.answers.push(Record::from_rdata(owner(text), 300, data));
        let key = Key::new(name(text).as_wire(), 0, rtype, false, false);
        cache.insert(&Entry::from_answer(message, &key, at(0)).expect("an entry"));
    };
    let a = || RData::A(A([192, 0, 2, 1].into()));
    put("shop.example.", a());
    put("shop.example.", RData::TXT(TXT::new(vec!["x".into()])));
    put("www.shop.example.", a());
    put("workshop.example.", a());
    let alias = hickory_proto::rr::rdata::CNAME(owner("shop.example."));
    put("alias.example.", RData::CNAME(alias));
    assert_eq!(cache.forget(&name("shop.example"), false), 3);
    assert_eq!(cache.held().0, 2);
    assert_eq!(cache.forget(&name("example"), true), 2);
}
