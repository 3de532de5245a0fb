//! Numbers and times in words.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Unit};

/// `41,203`.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `18 %`, `2.4 %`; "0 %" only when it is none.
pub(crate) fn share(part: u64, whole: u64) -> String {
    if whole == 0 || part == 0 {
        return "0 %".to_owned();
    }
    let tenths = (u128::from(part) * 1000 / u128::from(whole)) as u64;
    match tenths {
        0 => "< 0.1 %".to_owned(),
        1..100 => format!("{}.{} %", tenths / 10, tenths % 10),
        _ => format!("{} %", tenths / 10),
    }
}

/// Begins with a capital letter, unless its first word is one of `names`, and ends with a full
/// stop.
pub(crate) fn as_sentence(text: &str, names: &[&str]) -> String {
    let text = text.trim();
    let first = text.split([' ', ',', ':']).next().unwrap_or_default();
    let mut chars = text.chars();
    let mut out = match chars.next() {
        Some(c) if !names.contains(&first) => c.to_uppercase().chain(chars).collect(),
        _ => text.to_owned(),
    };
    if !out.is_empty() && !out.ends_with(['.', '!', '?', '…']) {
        out.push('.');
    }
    out
}

/// `1 device`, `2 devices`.
pub(crate) fn count(n: u64, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{} {many}", number(n)) }
}

/// `3 h 12 min`: the two largest units.
pub(crate) fn duration(secs: u64) -> String {
    let (days, hours, minutes) = (secs / 86_400, secs / 3600 % 24, secs / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{secs} s"),
        (0, 0, m) => format!("{m} min"),
        (0, h, 0) => format!("{h} h"),
        (0, h, m) => format!("{h} h {m} min"),
        (d, 0, _) => format!("{d} d"),
        (d, h, _) => format!("{d} d {h} h"),
    }
}

/// `in 3 h 12 min`, `5 min ago`, `just now`.
pub(crate) fn relative(at: Timestamp, now: Timestamp) -> String {
    let ahead = at.duration_since(now);
    let secs = ahead.unsigned_abs().as_secs();
    if secs < 5 {
        "just now".to_owned()
    } else if ahead > SignedDuration::ZERO {
        format!("in {}", duration(secs))
    } else {
        format!("{} ago", duration(secs))
    }
}

/// `Fri 20 Nov 2026, 14:03 UTC`.
pub(crate) fn absolute(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%a %-d %b %Y, %H:%M %Z").to_string()
}

/// `14:03` today, `Thu 14:03` within a week, `3 Nov 14:03` else.
pub(crate) fn clock(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    clock_as(at, now, zone, "%H:%M")
}

/// The same with seconds: `14:03:27`.
pub(crate) fn precise(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    clock_as(at, now, zone, "%H:%M:%S")
}

fn clock_as(at: Timestamp, now: Timestamp, zone: &TimeZone, time: &str) -> String {
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let days = at.date().until((Unit::Day, now.date())).map_or(i32::MAX, |span| span.get_days());
    let how = match days {
        0 => "",
        1..=6 => "%a ",
        _ => "%-d %b ",
    };
    at.strftime(&format!("{how}{time}")).to_string()
}

/// Percent-encodes one piece of a query string.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_shares_read_well() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(41_203), "41,203");
        assert_eq!(number(1_000_000), "1,000,000");
        assert_eq!(share(0, 0), "0 %");
        assert_eq!(share(1, 100_000), "< 0.1 %");
        assert_eq!(share(24, 1000), "2.4 %");
        assert_eq!(share(18, 100), "18 %");
        assert_eq!(share(u64::MAX, u64::MAX), "100 %");
    }

    #[test]
    fn sentences_look_like_sentences() {
        assert_eq!(as_sentence("connected to pi-b", &["pi-b"]), "Connected to pi-b.");
        assert_eq!(as_sentence("pi-b is gone", &["pi-a", "pi-b"]), "pi-b is gone.");
        assert_eq!(as_sentence(" ", &[]), "");
    }

    #[test]
    fn durations_have_two_units() {
        assert_eq!(duration(0), "0 s");
        assert_eq!(duration(59), "59 s");
        assert_eq!(duration(60), "1 min");
        assert_eq!(duration(3600 * 3 + 60 * 12 + 5), "3 h 12 min");
        assert_eq!(duration(86_400 * 2 + 3600 * 4 + 300), "2 d 4 h");
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let at = |secs: i64| Timestamp::from_second(1_800_000_000 + secs).unwrap();
        assert_eq!(relative(at(-300), now), "5 min ago");
        assert_eq!(relative(at(3600), now), "in 1 h");
        assert_eq!(relative(at(2), now), "just now");
    }

    #[test]
    fn clocks_name_the_day_when_it_is_another() {
        let now: Timestamp = "2026-11-20T14:03:00Z".parse().unwrap();
        let clock = |text: &str| clock(text.parse().unwrap(), now, &TimeZone::UTC);
        assert_eq!(clock("2026-11-20T09:12:00Z"), "09:12");
        assert_eq!(clock("2026-11-19T23:59:00Z"), "Thu 23:59");
        assert_eq!(clock("2026-11-03T10:00:00Z"), "3 Nov 10:00");
        let at = "2026-11-19T23:59:07Z".parse().unwrap();
        assert_eq!(precise(at, now, &TimeZone::UTC), "Thu 23:59:07");
    }

    #[test]
    fn query_pieces_are_encoded() {
        assert_eq!(encode("a b&c=ü/<"), "a%20b%26c%3D%C3%BC%2F%3C");
    }
}
