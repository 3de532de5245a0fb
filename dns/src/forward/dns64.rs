//! Answers for clients behind a NAT64 (RFC 6147): addresses made from IPv4 addresses where a name
//! has no IPv6 address, and the names of addresses so made.

use hickory_proto::op::{Message, OpCode, Query as Asked, ResponseCode};
use hickory_proto::rr::rdata::{AAAA, CNAME};
use hickory_proto::rr::{RData, Record, RecordType as HickoryType};

use super::inquiry::Inquiry;
use super::question::Question;
use super::validate::{Checked, covered};
use super::validators::Got;
use crate::cache::FailureKind;
use crate::dns64::reverse_of;
use crate::protection::is_private_v4;
use crate::{Prefix64, RecordType, Validation};

/// How long what was made lives, where nothing else is said (RFC 6147, 5.1.7).
const TTL_SECS: u32 = 600;

/// The answer to a question that the prefix concerns.
pub(super) async fn find(inquiry: &Inquiry, prefix: Prefix64) -> Result<Got, FailureKind> {
    let question = &inquiry.question;
    let checked = match prefix.extract_name(question.name().as_wire()) {
        Some(v4) => {
            let target = question.instead(reverse_of(v4), RecordType::PTR);
            let found = inquiry.ask(&target).await.and_then(Got::into_checked)?;
            renamed(question, &target, found)
        }
        None => addresses(inquiry, prefix).await,
    };
    checked.map(Got::Checked)
}

async fn addresses(inquiry: &Inquiry, prefix: Prefix64) -> Result<Checked, FailureKind> {
    let question = &inquiry.question;
    let six = inquiry.ask(question).await.and_then(Got::into_checked).map(without_mapped);
    match six {
        Ok(ref checked) if has_none(checked) => {}
        // A server that fails at this type has none of it (RFC 6147, 5.1.2; RFC 4074).
        Err(FailureKind::Answered(_) | FailureKind::Lame) => {}
        _ => return six,
    }
    let four = question.instead(question.name().clone(), RecordType::A);
    match (six, inquiry.ask(&four).await.and_then(Got::into_checked)) {
        (_, Err(why @ FailureKind::Bogus(_))) => Err(why),
        (six, Err(_)) => six,
        // Where something can be proven, that there is no IPv6 address must be (RFC 6147, 5.5).
        (Err(why), Ok(four)) if four.validation == Validation::Secure => Err(why),
        (six, Ok(four)) => match made(question, six.as_ref().ok(), four, prefix)? {
            Some(made) => Ok(made),
            None => six,
        },
    }
}

/// IPv4-mapped addresses are none that anybody could reach (RFC 6147, 5.1.4).
fn without_mapped(mut six: Checked) -> Checked {
    let before = six.message.answers.len();
    six.message.answers.retain(|record| match &record.data {
        RData::AAAA(aaaa) => aaaa.0.to_ipv4_mapped().is_none(),
        _ => true,
    });
    if six.message.answers.len() < before && six.validation == Validation::Secure {
        six.validation = Validation::Insecure;
    }
    six
}

/// Whether the name is there, and has no address.
fn has_none(six: &Checked) -> bool {
    six.message.metadata.response_code == ResponseCode::NoError
        && !six.message.answers.iter().any(|record| record.record_type() == HickoryType::AAAA)
}

/// The answer made of the IPv4 addresses; `None` when there are none that may be made use of.
fn made(
    question: &Question,
    six: Option<&Checked>,
    four: Checked,
    prefix: Prefix64,
) -> Result<Option<Checked>, FailureKind> {
    let longest = six.and_then(|six| negative_ttl(&six.message)).unwrap_or(TTL_SECS);
    let mut any = false;
    let mut answers = Vec::with_capacity(four.message.answers.len());
    for mut record in four.message.answers {
        match record.data {
            // Nobody's NAT64 reaches into this house, nor may it (RFC 6052, 3.1).
            RData::A(a) if is_private_v4(a.0) => continue,
            RData::A(a) => {
                record = Record::from_rdata(
                    record.name,
                    record.ttl.min(longest),
                    RData::AAAA(AAAA(prefix.embed(a.0))),
                );
                any = true;
            }
            _ if covered(&record) == Some(HickoryType::A) => continue,
            _ => {}
        }
        answers.push(record);
    }
    if !any {
        return Ok(None);
    }
    let validation = four.validation.and(six.map_or(Validation::Unchecked, |six| six.validation));
    let mut message = reply(question, ResponseCode::NoError)?;
    message.answers = answers;
    Ok(Some(Checked { message, validation, synthesised: true }))
}

/// The answer for the name of an address that was made: an alias to the name of the IPv4 address
/// (RFC 6147, 5.3.1).
fn renamed(question: &Question, target: &Question, found: Checked) -> Result<Checked, FailureKind> {
    let mut message = reply(question, found.message.metadata.response_code)?;
    let ttls = found.message.answers.iter().map(|record| record.ttl);
    let ttl = ttls.min().or_else(|| negative_ttl(&found.message)).unwrap_or(TTL_SECS);
    let (from, to) = (lookup(question)?.name, lookup(target)?.name);
    message.answers.push(Record::from_rdata(from, ttl, RData::CNAME(CNAME(to))));
    message.answers.extend(found.message.answers);
    message.authorities = found.message.authorities;
    // Nobody has signed the alias.
    let validation = found.validation.and(Validation::Insecure);
    Ok(Checked { message, validation, synthesised: true })
}

/// For how long it may be believed that there is nothing.
fn negative_ttl(message: &Message) -> Option<u32> {
    message.authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    })
}

fn lookup(question: &Question) -> Result<super::validate::Lookup, FailureKind> {
    question.lookup().ok_or(FailureKind::Garbled)
}

fn reply(question: &Question, rcode: ResponseCode) -> Result<Message, FailureKind> {
    let lookup = lookup(question)?;
    let mut message = Message::response(0, OpCode::Query);
    message.queries.push(Asked::query(lookup.name, lookup.rtype));
    message.metadata.response_code = rcode;
    Ok(message)
}
