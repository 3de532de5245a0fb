//! What holds of every answer, whatever was asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::svcb::SvcParamValue;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::Transport;
use crate::wire::{Records, hints_inside, to_message, u16_at};

/// The answer, after a look at what must be true of it.
pub(crate) fn reply(asked: &[u8], transport: Transport, out: &[u8]) -> Message {
    assert!(asked.len() >= 12 && out.len() >= 12, "an answer, and to something");
    assert_eq!(asked[2] & 0x80, 0, "never an answer to an answer");
    assert_eq!(out[..2], asked[..2], "the id");
    assert_eq!(out[2] & 0x80, 0x80, "it says that it is an answer");
    assert_eq!(out[2] & 0x79, asked[2] & 0x79, "opcode and RD");
    assert_eq!(out[3] & 0x10, asked[3] & 0x10, "CD");
    assert_eq!(out[3] & 0x40, 0, "Z");
    // Where it refuses a record that an upstream has sent, that is handed on all the same.
    let message = Message::from_vec(out).ok().or_else(|| to_message(out)).expect("a message");
    let count = |at| usize::from(u16_at(out, at).expect("a header"));
    let start = if count(4) == 0 { 12 } else { 12 + question_len(out) };
    let mut records = Records::new(out, start, count(6) + count(8) + count(10));
    assert!((&mut records).all(|record| record.is_ok()), "whole records");
    assert_eq!(records.position(), out.len(), "nothing after the last record");
    match message.queries.len() {
        0 => assert!(message.answers.is_empty() && message.authorities.is_empty()),
        1 => {
            let end = 12 + question_len(out);
            assert_eq!(out[12..end], asked[12..end], "the question, byte for byte");
        }
        more => panic!("{more} questions"),
    }
    assert!(out.len() <= limit(asked, transport), "{} bytes", out.len());
    if message.metadata.truncation {
        assert!(message.answers.is_empty(), "nothing that looks whole and is not");
    }
    message
}

/// How long an answer may be, found out in another way than the pipeline's.
fn limit(asked: &[u8], transport: Transport) -> usize {
    if transport != Transport::Udp {
        return 65_535;
    }
    match Message::from_vec(asked) {
        Ok(message) => match message.edns {
            Some(edns) => usize::from(edns.max_payload().clamp(512, 1232)),
            None => 512,
        },
        // It may hold an option that hickory cannot read and we need not.
        Err(_) => 1232,
    }
}

fn question_len(message: &[u8]) -> usize {
    let labels = &message[12..];
    let mut at = 0;
    while labels[at] != 0 {
        at += 1 + usize::from(labels[at]);
    }
    at + 5
}

/// That an upstream's answer has been stripped of what is not the question's own: what its name
/// leads to by aliases, in whatever order they stand.
pub(crate) fn answers_only_the_question(message: &Message) {
    let mut reached: Vec<&Name> =
        message.queries.iter().map(hickory_proto::op::Query::name).collect();
    loop {
        let known = reached.len();
        for record in &message.answers {
            if let RData::CNAME(target) = &record.data
                && reached.contains(&&record.name)
                && !reached.contains(&&target.0)
            {
                reached.push(&target.0);
            }
        }
        if reached.len() == known {
            break;
        }
    }
    for record in &message.answers {
        let own = reached.contains(&&record.name);
        let by_dname = message.answers.iter().any(|other| {
            other.record_type() == RecordType::DNAME
                && other.name == record.name
                && reached.iter().any(|name| record.name.zone_of(name))
        });
        assert!(own || by_dname, "{record} does not belong to {:?}", message.queries);
    }
}

/// That nothing in it leads into the house.
pub(crate) fn leads_nowhere_inside(message: &Message) {
    for record in &message.answers {
        match &record.data {
            RData::A(a) => assert!(!is_inside(a.0.into()), "{record}"),
            RData::AAAA(aaaa) => assert!(!is_inside(aaaa.0.into()), "{record}"),
            RData::SVCB(svcb) => hints(&svcb.svc_params, record),
            RData::HTTPS(https) => hints(&https.0.svc_params, record),
            RData::Unknown { code: RecordType::SVCB | RecordType::HTTPS, rdata } => {
                assert!(!hints_inside(&rdata.anything), "{record}");
            }
            _ => {}
        }
    }
}

fn hints<K>(params: &[(K, SvcParamValue)], record: &Record) {
    for (_, value) in params {
        match value {
            SvcParamValue::Ipv4Hint(hint) => {
                assert!(!hint.0.iter().any(|a| is_inside(a.0.into())), "{record}");
            }
            SvcParamValue::Ipv6Hint(hint) => {
                assert!(!hint.0.iter().any(|aaaa| is_inside(aaaa.0.into())), "{record}");
            }
            _ => {}
        }
    }
}

fn is_inside(address: IpAddr) -> bool {
    let v4 = |v4: Ipv4Addr| {
        v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified()
    };
    let v6 = |v6: Ipv6Addr| {
        v6.is_loopback()
            || v6.is_unspecified()
            || v6.is_unique_local()
            || v6.is_unicast_link_local()
    };
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => v6(address) || address.to_ipv4_mapped().is_some_and(v4),
    }
}

/// That no record of `later` lives longer than in `earlier`, when both hold the same records.
pub(crate) fn no_ttl_grows(earlier: &Message, later: &Message) {
    assert_eq!(earlier.answers.len(), later.answers.len());
    let ttls = |message: &Message| {
        let records = message.answers.iter().chain(&message.authorities);
        records.map(|record| record.ttl).collect::<Vec<_>>()
    };
    let (before, after) = (ttls(earlier), ttls(later));
    assert!(
        before.iter().zip(&after).all(|(before, after)| after <= before),
        "{before:?} {after:?}"
    );
}
