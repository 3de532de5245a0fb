//! Reading a server's answer to a question of ours.

use super::record::{Record, Records};
use super::{CLASS_IN, HEADER, Rcode, expand, flag, to_message, u16_at};
use crate::protection::{is_private_v4, is_private_v6};
use crate::{Name, RecordType};

/// What a packet is to a question that was sent.
#[derive(Debug)]
pub(crate) enum Reading {
    /// No answer to this question: whoever sent it, the answer may still come.
    NotOurs,
    /// Ours by all that can be seen, but what it says cannot be understood.
    Unreadable,
    /// Ours but for the case of its letters: a server that does not keep it, or a forger.
    OtherCase,
    /// The whole answer does not fit a packet.
    Truncated,
    /// The server does not know EDNS (RFC 6891, 7).
    NoEdns,
    /// It says that it cannot answer.
    Error(Rcode),
    /// The answer: NOERROR or NXDOMAIN.
    Answer(Form),
}

/// How an answer can be taken over.
#[derive(Debug)]
pub(crate) enum Form {
    /// As it stands.
    Plain(Layout),
    /// Only record by record.
    Other(Box<hickory_proto::op::Message>),
}

/// Where the records stand of an answer to a question for an address, or of a negative one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) rcode: Rcode,
    /// AD: the server has validated it.
    pub(crate) authentic: bool,
    /// The records are `message[start..end]`: the answer section, and of a negative answer the SOA.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) answers: u16,
    pub(crate) authorities: u16,
    /// Where each TTL stands in the message, and what it says.
    pub(crate) ttls: Vec<(usize, u32)>,
    /// The SOA's MINIMUM, of a negative answer with one.
    pub(crate) soa_minimum: Option<u32>,
    pub(crate) negative: bool,
    /// Aliases' targets.
    pub(crate) targets: Vec<Name>,
}

/// Aliases in an answer that is taken over as it stands.
const MAX_PLAIN_CHAIN: usize = 8;

/// Reads what came back for `sent`.
pub(crate) fn read(sent: &[u8], received: &[u8]) -> Reading {
    let (Some(question), Some(&[id0, id1, high, low, ..])) =
        (question(sent), received.first_chunk::<HEADER>())
    else {
        return Reading::NotOurs;
    };
    if sent.get(..2) != Some(&[id0, id1]) || high & flag::QR == 0 || high & flag::OPCODE != 0 {
        return Reading::NotOurs;
    }
    let no_edns = |rcode| matches!(rcode, Rcode::FORM_ERR | Rcode::NOT_IMP | Rcode::BAD_VERS);
    let short = Rcode(u16::from(low & flag::RCODE));
    // Whoever could not read the question does not repeat it.
    if received.len() == HEADER && no_edns(short) && received[4..].iter().all(|byte| *byte == 0) {
        return Reading::NoEdns;
    }
    let end = HEADER + question.len();
    let Some(echoed) = received.get(HEADER..end).filter(|_| u16_at(received, 4) == Some(1)) else {
        return Reading::NotOurs;
    };
    if echoed != question {
        let same = echoed.eq_ignore_ascii_case(question);
        return if same { Reading::OtherCase } else { Reading::NotOurs };
    }
    if high & flag::TC != 0 {
        return Reading::Truncated;
    }
    let Some(extended) = extended_rcode(received, end) else { return Reading::Unreadable };
    let rcode = Rcode(extended << 4 | short.0);
    // It says whom to ask, not what they say: it does not ask for others.
    if rcode == Rcode::NO_ERROR && is_referral(received, end, high, low) {
        return Reading::Error(Rcode::REFUSED);
    }
    match rcode {
        rcode @ (Rcode::NO_ERROR | Rcode::NX_DOMAIN) => match layout(received, end, rcode) {
            Some(layout) => Reading::Answer(Form::Plain(layout)),
            None => match to_message(received) {
                Some(message) => Reading::Answer(Form::Other(Box::new(message))),
                None => Reading::Unreadable,
            },
        },
        rcode if no_edns(rcode) && u16_at(sent, 10) != Some(0) => Reading::NoEdns,
        rcode => Reading::Error(rcode),
    }
}

/// The question section of a message of ours.
fn question(sent: &[u8]) -> Option<&[u8]> {
    let mut at = HEADER;
    loop {
        match usize::from(*sent.get(at)?) {
            0 => return sent.get(HEADER..at + 5),
            len => at += 1 + len,
        }
    }
}

/// Walks all records; the upper bits of the response code, which the OPT record has. `None` when
/// they do not fit the message.
fn extended_rcode(message: &[u8], at: usize) -> Option<u16> {
    let count = |at| usize::from(u16_at(message, at).unwrap_or(0));
    let mut records = Records::new(message, at, count(6) + count(8) + count(10));
    let mut extended = 0;
    for record in &mut records {
        let record = record.ok()?;
        if record.rtype == RecordType::OPT {
            extended = u16::from(record.ttl.to_be_bytes()[0]);
        }
    }
    Some(extended)
}

/// Whether all there is are the name servers of some zone (RFC 2308, 2.2), from a server that does
/// not recurse.
fn is_referral(message: &[u8], at: usize, high: u8, low: u8) -> bool {
    let count = |at| usize::from(u16_at(message, at).unwrap_or(0));
    if high & flag::AA != 0 || low & flag::RA != 0 || count(6) != 0 || count(8) == 0 {
        return false;
    }
    let mut records = Records::new(message, at, count(8));
    let (mut servers, mut soa) = (false, false);
    for record in (&mut records).flatten() {
        servers |= record.rtype == RecordType::NS;
        soa |= record.rtype == RecordType::SOA;
    }
    servers && !soa
}

/// `None` when the answer is not of the kind that can be taken over as it stands.
fn layout(message: &[u8], start: usize, rcode: Rcode) -> Option<Layout> {
    let qtype = RecordType(u16_at(message, start - 4)?);
    let (answers, authorities) = (u16_at(message, 6)?, u16_at(message, 8)?);
    let mut layout = Layout {
        rcode,
        authentic: message.get(3)? & flag::AD != 0,
        start,
        end: start,
        answers,
        authorities: 0,
        ttls: Vec::with_capacity(usize::from(answers).min(16) + 1),
        soa_minimum: None,
        negative: true,
        targets: Vec::new(),
    };
    let mut records = Records::new(message, start, usize::from(answers) + usize::from(authorities));
    // Where the name stands whose records come next, at first that of the question.
    let mut name_at = HEADER;
    for _ in 0..answers {
        let record = (&mut records).next()?.ok()?;
        let rdata_at = record.ttl_at + 6;
        if record.class != CLASS_IN || !is_at(message, record, name_at) {
            return None;
        }
        match (record.rtype, record.rdata.len()) {
            (RecordType::A, 4) | (RecordType::AAAA, 16) if record.rtype == qtype => {
                // What may not be told to everybody is sorted out record by record.
                if is_private(record.rdata)? {
                    return None;
                }
                layout.negative = false;
            }
            (RecordType::CNAME, len) if layout.negative && qtype != RecordType::CNAME => {
                let (target, end) = name(message, rdata_at)?;
                if end != rdata_at + len {
                    return None;
                }
                // Whether a long or round chain is an answer is seen record by record.
                let round = name(message, HEADER)?.0 == target || layout.targets.contains(&target);
                if round || layout.targets.len() == MAX_PLAIN_CHAIN {
                    return None;
                }
                layout.targets.push(target);
                name_at = rdata_at;
            }
            _ => return None,
        }
        layout.ttls.push((record.ttl_at, record.ttl));
        layout.end = rdata_at + record.rdata.len();
    }
    if rcode == Rcode::NX_DOMAIN && !layout.negative {
        return None;
    }
    if layout.negative && authorities > 0 {
        let record = (&mut records).next()?.ok()?;
        if authorities != 1 || record.rtype != RecordType::SOA || record.class != CLASS_IN {
            return None;
        }
        let (_, end) = name(message, record.ttl_at + 6)?;
        let (_, end) = name(message, end)?;
        layout.end = record.ttl_at + 6 + record.rdata.len();
        if end + 20 != layout.end || name(message, record.ttl_at - 4 - record.owner.len()).is_none()
        {
            return None;
        }
        layout.authorities = 1;
        layout.soa_minimum =
            Some(u32::from_be_bytes(message.get(end + 16..end + 20)?.try_into().ok()?));
        layout.ttls.push((record.ttl_at, record.ttl));
    }
    Some(layout)
}

fn is_private(address: &[u8]) -> Option<bool> {
    match address.len() {
        4 => Some(is_private_v4(<[u8; 4]>::try_from(address).ok()?.into())),
        _ => Some(is_private_v6(<[u8; 16]>::try_from(address).ok()?.into())),
    }
}

/// Whether the owner of `record` is the name at `at`: a pointer to it, or where that name is itself
/// only a pointer, the same one.
fn is_at(message: &[u8], record: Record<'_>, at: usize) -> bool {
    let &[high, low] = record.owner else { return false };
    if high < 0xc0 {
        return false;
    }
    let to = usize::from(u16::from_be_bytes([high & 0x3f, low]));
    to == at || message.get(at..at + 2) == Some(record.owner)
}

/// The name at `at`, decompressed, and where it ends there.
fn name(message: &[u8], at: usize) -> Option<(Name, usize)> {
    let (wire, end) = expand(message, at)?;
    Some((Name::from_wire(&wire)?, end))
}

#[cfg(test)]
mod tests;
