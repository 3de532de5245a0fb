use super::*;

const SECS: fn(u64) -> Duration = Duration::from_secs;

fn header(text: &[u8]) -> Header {
    Header {
        source: "https://lists.example/a".to_owned(),
        url: "https://mirror.example/a".to_owned(),
        etag: Some("\"1\"".to_owned()),
        last_modified: None,
        sha256: hex(&digest(text)),
    }
}

fn copy(text: &[u8], age: u64) -> Copy {
    Copy { id: "ads".to_owned(), header: header(text), len: text.len() as u64, age: SECS(age) }
}

fn own(text: Option<&[u8]>, age: Option<u64>) -> Own {
    Own {
        source: "https://lists.example/a".to_owned(),
        sha256: text.map(|text| header(text).sha256),
        age: age.map(SECS),
        ..Own::default()
    }
}

#[test]
fn the_copy_that_was_confirmed_later_wins() {
    let day = SECS(86_400);
    let choose = |theirs: &Copy, own: &Own| theirs.choose(own, day);
    assert_eq!(choose(&copy(b"x", 90_000), &own(None, None)), Choice::Take, "better than none");
    assert_eq!(choose(&copy(b"x", 10), &own(Some(b"old"), Some(3600))), Choice::Take);
    assert_eq!(choose(&copy(b"x", 3600), &own(Some(b"new"), Some(10))), Choice::Leave);
    assert_eq!(choose(&copy(b"x", 10), &own(Some(b"y"), Some(11))), Choice::Leave, "too close");
    assert_eq!(choose(&copy(b"x", 10), &own(Some(b"x"), Some(3600))), Choice::Confirm);
    assert_eq!(choose(&copy(b"x", 3600), &own(Some(b"x"), Some(3600))), Choice::Leave);
    // The publisher does not answer here, and has answered there.
    let failing = Own { failing: true, ..own(Some(b"x"), Some(3600)) };
    assert_eq!(choose(&copy(b"x", 3600), &failing), Choice::Confirm);
    // Nor there, for two days: somebody should know.
    let failing = Own { failing: true, ..own(Some(b"x"), Some(172_800)) };
    assert_eq!(choose(&copy(b"x", 172_800), &failing), Choice::Leave);
    // Another source is another list.
    let moved = Own { source: "https://other.example/".to_owned(), ..own(None, None) };
    assert_eq!(choose(&copy(b"x", 10), &moved), Choice::Leave);
    // A file is each host's own, while it can be read.
    let file = Own { file: true, ..own(None, None) };
    assert_eq!(choose(&copy(b"x", 10), &file), Choice::Leave);
    assert_eq!(choose(&copy(b"x", 10), &Own { failing: true, ..file }), Choice::Take);
}

#[test]
fn words_read_back_as_they_were_said() {
    for word in [
        Word::Held(vec![copy(b"x", 10)]),
        Word::Want { id: "ads".into(), sha256: "00".into(), offset: 7 },
        Word::Part { id: "ads".into(), sha256: "00".into(), offset: 7, bytes: vec![1, 2] },
    ] {
        assert_eq!(Word::decode(&word.clone().encode()), Ok(Some(word)));
    }
    assert_eq!(Word::decode(b"garbage"), Err(NotUnderstood));
    assert_eq!(Word::decode(&[]), Ok(None), "a word of a later version");
    let long = Copy { id: "x".repeat(1000), ..copy(b"x", 1) };
    let many = Word::Held(vec![long; 1000]).encode();
    assert!(many.len() < 256 * 1024, "{}", many.len());
}

/// Copies `text` from a partner that has `there`.
fn pull(text: &[u8], there: &[u8]) -> (Taken, usize) {
    let mut pulls = Pulls::new(1 << 20);
    pulls.handle_held(Some(vec![copy(text, 1)]));
    let mut next = pulls.begin(SECS(0), "ads");
    assert_eq!(pulls.begin(SECS(0), "ads"), None, "one at a time");
    let mut parts = 0;
    loop {
        let Some(Word::Want { id, sha256, offset }) = next.take() else { panic!("nothing asked") };
        parts += 1;
        let bytes = part(there, offset);
        assert!(bytes.len() <= PART);
        match pulls.handle_part(SECS(0), &id, &sha256, offset, &bytes) {
            Taken::More(word) => next = Some(word),
            end => {
                assert_eq!(pulls.current(), None);
                return (end, parts);
            }
        }
    }
}

#[test]
fn a_copy_travels_in_pieces_and_is_used_when_its_checksum_is_right() {
    let text: Vec<u8> = (0..PART * 2 + 5).map(|n| (n % 251) as u8).collect();
    let (Taken::Whole(of, whole), parts) = pull(&text, &text) else { panic!("not taken") };
    assert_eq!((whole, parts, of), (text.clone(), 3, copy(&text, 1)));
    let mut other = text.clone();
    other[PART + 1] ^= 1;
    let (end, _) = pull(&text, &other);
    assert_eq!(end, Taken::Failed("the copy has the wrong checksum".to_owned()));
    let (end, _) = pull(&text, &text[..PART]);
    assert!(matches!(end, Taken::Failed(_)), "it ended early");
    let (end, _) = pull(b"short", &text);
    assert!(matches!(end, Taken::Failed(_)), "it is longer than was said");
}

#[test]
fn what_was_not_asked_for_is_not_taken_and_a_silent_partner_is_given_up_on() {
    let mut pulls = Pulls::new(100);
    pulls.handle_held(Some(vec![copy(b"text", 1)]));
    assert_eq!(pulls.handle_part(SECS(0), "ads", "00", 0, b"text"), Taken::Nothing);
    assert!(pulls.begin(SECS(0), "other").is_none());
    assert!(pulls.begin(SECS(0), "ads").is_some());
    assert_eq!(pulls.handle_part(SECS(1), "ads", "00", 0, b"text"), Taken::Nothing);
    assert!(!pulls.handle_timeout(SECS(14)));
    assert_eq!(pulls.poll_timeout(), Some(SECS(15)));
    assert!(pulls.handle_timeout(SECS(15)));
    assert!(pulls.begin(SECS(15), "ads").is_none(), "not before it says something anew");
    // What is too large is not begun.
    pulls.handle_held(Some(vec![copy(&[1; 101], 1)]));
    assert!(pulls.begin(SECS(20), "ads").is_none());
    // A link that ends takes the copy under way with it.
    pulls.handle_held(Some(vec![copy(b"text", 1)]));
    assert!(pulls.begin(SECS(20), "ads").is_some());
    pulls.handle_held(None);
    assert_eq!(pulls.current(), None);
}
