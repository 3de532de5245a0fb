//! What is the same, what is not, and why that may be.

use std::fmt::Write;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};

use crate::questions::Asked;

/// Two answers that are not the same.
pub(crate) struct Difference {
    pub(crate) text: String,
    /// Why they may differ.
    pub(crate) reason: Option<&'static str>,
}

/// What is compared of an answer.
#[derive(PartialEq, Eq)]
struct Face {
    rcode: ResponseCode,
    flags: [(&'static str, bool); 6],
    answers: Vec<String>,
    authorities: Vec<String>,
    additionals: Vec<String>,
}

impl Face {
    fn of(message: &Message) -> Self {
        let meta = &message.metadata;
        let section = |records: &[Record]| {
            let mut all: Vec<String> = records.iter().map(shown).collect();
            all.sort();
            all
        };
        Self {
            rcode: meta.response_code,
            flags: [
                ("aa", meta.authoritative),
                ("ad", meta.authentic_data),
                ("ra", meta.recursion_available),
                ("tc", meta.truncation),
                ("rd", meta.recursion_desired),
                ("cd", meta.checking_disabled),
            ],
            answers: section(&message.answers),
            authorities: section(&message.authorities),
            additionals: section(&message.additionals),
        }
    }
}

/// A record without its TTL, which is older on one side, and with its names in lower case, which
/// either side writes as it has heard them.
fn shown(record: &Record) -> String {
    let data = match &record.data {
        data @ (RData::TXT(_) | RData::Unknown { .. }) => data.to_string(),
        data => data.to_string().to_lowercase(),
    };
    format!("{} {} {data}", record.name.to_lowercase(), record.record_type())
}

pub(crate) fn compare(
    asked: &Asked,
    ours: Option<&Message>,
    theirs: Option<&Message>,
) -> Option<Difference> {
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        let told = |answer: Option<&Message>| if answer.is_some() { "answers" } else { "silent" };
        let text = format!("  ours {}, theirs {}", told(ours), told(theirs));
        return (ours.is_some() != theirs.is_some()).then_some(Difference { text, reason: None });
    };
    let (a, b) = (Face::of(ours), Face::of(theirs));
    if a == b {
        return ttl_difference(asked, ours, theirs);
    }
    let mut text = String::new();
    let mut line = |what: &str, ours: String, theirs: String| {
        if ours != theirs {
            let _ = writeln!(text, "  {what}: ours {ours}, theirs {theirs}");
        }
    };
    line("code", a.rcode.to_string(), b.rcode.to_string());
    for (a, b) in a.flags.iter().zip(b.flags) {
        line(a.0, a.1.to_string(), b.1.to_string());
    }
    line("answer", format!("{:?}", a.answers), format!("{:?}", b.answers));
    line("authority", format!("{:?}", a.authorities), format!("{:?}", b.authorities));
    line("additional", format!("{:?}", a.additionals), format!("{:?}", b.additionals));
    let reason = reason(asked, &a, &b);
    Some(Difference { text, reason })
}

/// TTLs differ by what passed between the two questions upstream, no more.
fn ttl_difference(asked: &Asked, ours: &Message, theirs: &Message) -> Option<Difference> {
    const TOLERANCE: u32 = 60;
    let least = |message: &Message| message.answers.iter().map(|record| record.ttl).min();
    let (a, b) = (least(ours)?, least(theirs)?);
    let through_dname = ours.answers.iter().any(|r| u16::from(r.record_type()) == 39);
    let reason = match () {
        () if through_dname && b == 0 => Some(
            "an alias made from a DNAME: Unbound gives it no time to live, we that of the DNAME",
        ),
        () if is_localhost(asked) => Some("localhost: an hour with us, three there"),
        () => None,
    };
    (a.abs_diff(b) > TOLERANCE)
        .then(|| Difference { text: format!("  TTL: ours {a}, theirs {b}"), reason })
}

/// Differences that are meant. Each is as narrow as it can be told.
fn reason(asked: &Asked, ours: &Face, theirs: &Face) -> Option<&'static str> {
    let plain = asked.name.num_labels() == 1 && is_for_address(asked.rtype);
    let same_but_authority = |a: &Face, b: &Face| {
        (a.rcode, a.flags, &a.answers, &a.additionals)
            == (b.rcode, b.flags, &b.answers, &b.additionals)
    };
    let one = |section: &[String]| match section {
        [record] => record.contains(" SOA lanward.invalid. "),
        _ => false,
    };
    let is_soa_of_ours = |face: &Face| one(&face.authorities);
    let asked_for_it = one(&ours.answers)
        && theirs.answers.len() == 1
        && (ours.rcode, ours.flags) == (theirs.rcode, theirs.flags);
    match () {
        () if asked.rtype == RecordType::ANY => {
            Some("ANY: we answer with one HINFO record (RFC 8482, 4.2)")
        }
        () if plain && ours.rcode == ResponseCode::NXDomain && is_soa_of_ours(ours) => {
            Some("the address of a name of one label: we never ask outside")
        }
        () if asked_for_it || is_soa_of_ours(ours) && same_but_authority(ours, theirs) => {
            Some("a zone kept in the house: our SOA has other names and times")
        }
        () if asked.rtype == RecordType::DS && is_localhost(asked) && is_soa_of_ours(ours) => {
            Some("DS of localhost: Unbound asks the root, which knows no such name")
        }
        () if is_localhost(asked)
            && asked.name.num_labels() > 1
            && matches!(asked.rtype, RecordType::SOA | RecordType::NS)
            && is_soa_of_ours(ours) =>
        {
            Some("SOA and NS below localhost: Unbound has them for every name there")
        }
        () => None,
    }
}

/// The name of this device, or of its address.
fn is_localhost(asked: &Asked) -> bool {
    let lower = asked.name.to_lowercase().to_ascii();
    lower == "localhost." || lower.ends_with(".localhost.") || lower == "1.0.0.127.in-addr.arpa."
}

fn is_for_address(rtype: RecordType) -> bool {
    matches!(rtype, RecordType::A | RecordType::AAAA | RecordType::HTTPS | RecordType::SVCB)
}
