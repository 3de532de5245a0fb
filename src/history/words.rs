//! The words of the files and of the API, read back.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use lanward_dns::{Answered, DnssecOutcome, Transport};

use super::row::{DAY_MS, Day};

/// A day as `2026-11-27`.
pub fn date(day: Day) -> String {
    let at = Timestamp::from_second(day.0.saturating_mul(DAY_MS / 1000)).unwrap_or_default();
    at.to_zoned(TimeZone::UTC).date().to_string()
}

/// And back.
pub fn day(date: &str) -> Option<Day> {
    let date: Date = date.parse().ok()?;
    let at = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(Day(at.as_second().div_euclid(DAY_MS / 1000)))
}

/// How a question was answered.
pub fn answered(word: &str) -> Option<Answered> {
    Answered::ALL.into_iter().find(|how| how.as_str() == word)
}

/// How it came.
pub fn transport(word: &str) -> Option<Transport> {
    Transport::ALL.into_iter().find(|transport| transport.as_str() == word)
}

/// What DNSSEC said.
pub fn dnssec(word: &str) -> Option<DnssecOutcome> {
    DnssecOutcome::ALL.into_iter().find(|dnssec| dnssec.as_str() == word)
}

/// The types people meet, by name; others are `TYPE123` (RFC 3597, 5).
const TYPES: [(u16, &str); 29] = [
    (1, "A"),
    (2, "NS"),
    (5, "CNAME"),
    (6, "SOA"),
    (12, "PTR"),
    (13, "HINFO"),
    (15, "MX"),
    (16, "TXT"),
    (28, "AAAA"),
    (29, "LOC"),
    (33, "SRV"),
    (35, "NAPTR"),
    (37, "CERT"),
    (39, "DNAME"),
    (43, "DS"),
    (44, "SSHFP"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (50, "NSEC3"),
    (52, "TLSA"),
    (61, "OPENPGPKEY"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (251, "IXFR"),
    (252, "AXFR"),
    (255, "ANY"),
    (256, "URI"),
    (257, "CAA"),
];

/// A type's name.
pub fn type_name(number: u16) -> String {
    let known = TYPES.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| format!("TYPE{number}"), |(_, name)| (*name).to_owned())
}

/// And back; numbers are taken too.
pub fn type_number(name: &str) -> Option<u16> {
    let upper = name.trim().to_ascii_uppercase();
    let known = TYPES.iter().find(|(_, known)| *known == upper);
    let digits = upper.strip_prefix("TYPE").unwrap_or(&upper);
    known.map(|(number, _)| *number).or_else(|| digits.parse().ok())
}

/// The response codes people meet (RFC 6895, 2.3).
const RCODES: [(u8, &str); 12] = [
    (0, "NOERROR"),
    (1, "FORMERR"),
    (2, "SERVFAIL"),
    (3, "NXDOMAIN"),
    (4, "NOTIMP"),
    (5, "REFUSED"),
    (6, "YXDOMAIN"),
    (7, "YXRRSET"),
    (8, "NXRRSET"),
    (9, "NOTAUTH"),
    (10, "NOTZONE"),
    (16, "BADVERS"),
];

/// A response code's name.
pub fn rcode_name(number: u8) -> String {
    let known = RCODES.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| format!("RCODE{number}"), |(_, name)| (*name).to_owned())
}

/// And back.
pub fn rcode_number(name: &str) -> Option<u8> {
    let upper = name.trim().to_ascii_uppercase();
    let known = RCODES.iter().find(|(_, known)| *known == upper);
    let digits = upper.strip_prefix("RCODE").unwrap_or(&upper);
    known.map(|(number, _)| *number).or_else(|| digits.parse().ok())
}
