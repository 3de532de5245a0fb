//! Reading a question.

use super::record::Records;
use super::{CLASS_IN, HEADER, Head, Rcode, flag, u16_at};
use crate::name::MAX_WIRE;
use crate::{DropReason, RecordType};

/// A question as it came, checked.
#[derive(Clone, Debug)]
pub(crate) struct Query<'a> {
    pub(crate) head: Head,
    /// AD in a question: the client understands AD in the answer (RFC 6840, 5.7).
    pub(crate) ad: bool,
    /// The question section as sent, the case of its letters included.
    pub(crate) question: &'a [u8],
    pub(crate) name: LowerName,
    pub(crate) qtype: RecordType,
    pub(crate) edns: Option<Edns>,
}

/// What the client's OPT record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edns {
    pub(crate) udp_size: u16,
    pub(crate) dnssec_ok: bool,
}

/// A name's lower-case wire format, on the stack.
#[derive(Clone)]
pub(crate) struct LowerName {
    bytes: [u8; MAX_WIRE],
    len: u8,
}

/// What is not a question that the pipeline takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Malformed<'a> {
    /// No answer.
    Drop(DropReason),
    /// An answer that only says no.
    Answer(Refusal<'a>),
}

/// An answer without records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal<'a> {
    pub(crate) head: Head,
    pub(crate) rcode: Rcode,
    /// Empty when it could not be read.
    pub(crate) question: &'a [u8],
    pub(crate) edns: Option<Edns>,
}

impl Query<'_> {
    /// The wire name in lower case.
    pub(crate) fn name(&self) -> &[u8] {
        self.name.as_bytes()
    }

    pub(crate) fn rd(&self) -> bool {
        self.head.opcode_rd & flag::RD != 0
    }

    pub(crate) fn cd(&self) -> bool {
        self.head.cd != 0
    }

    pub(crate) fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }
}

impl LowerName {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    fn new(wire: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_WIRE];
        let own = bytes.get_mut(..wire.len())?;
        own.copy_from_slice(wire);
        // Length bytes are at most 63, below every letter.
        own.make_ascii_lowercase();
        Some(Self { bytes, len: wire.len() as u8 })
    }
}

impl std::fmt::Debug for LowerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = Vec::new();
        crate::name::push_text(&mut text, self.as_bytes());
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl<'a> Query<'a> {
    /// Reads a packet. What cannot be read is FORMERR (RFC 1035, 4.1.1), except where an answer
    /// could do harm.
    pub(crate) fn parse(packet: &'a [u8]) -> Result<Self, Malformed<'a>> {
        let Some(&[id0, id1, high, low, ..]) = packet.first_chunk::<HEADER>() else {
            return Err(Malformed::Drop(DropReason::Short));
        };
        if high & flag::QR != 0 {
            return Err(Malformed::Drop(DropReason::Response));
        }
        let head = Head {
            id: [id0, id1],
            opcode_rd: high & (flag::OPCODE | flag::RD),
            cd: low & flag::CD,
        };
        let refuse =
            |rcode, question, edns| Malformed::Answer(Refusal { head, rcode, question, edns });
        if high & flag::OPCODE != 0 {
            return Err(refuse(Rcode::NOT_IMP, &[], likely_edns(packet)));
        }
        // RFC 9619: exactly one question.
        let form_err = || refuse(Rcode::FORM_ERR, &[], None);
        if u16_at(packet, 4) != Some(1) {
            return Err(form_err());
        }
        let name = plain_name(packet).ok_or_else(form_err)?;
        let end = HEADER + name.len();
        let (Some(qtype), Some(qclass), Some(question)) =
            (u16_at(packet, end), u16_at(packet, end + 2), packet.get(HEADER..end + 4))
        else {
            return Err(form_err());
        };
        let edns = match read_opt(packet, end + 4) {
            Ok(edns) => edns,
            Err(OptError::Malformed) => return Err(refuse(Rcode::FORM_ERR, question, None)),
            // RFC 6891, 6.1.3.
            Err(OptError::Version(edns)) => {
                return Err(refuse(Rcode::BAD_VERS, question, Some(edns)));
            }
        };
        let qtype = RecordType(qtype);
        if let Some(rcode) = unserved(qtype, qclass) {
            return Err(refuse(rcode, question, edns));
        }
        let name = LowerName::new(name).ok_or_else(form_err)?;
        Ok(Query { head, ad: low & flag::AD != 0, question, name, qtype, edns })
    }
}

/// Classes and types that no stage answers.
fn unserved(qtype: RecordType, qclass: u16) -> Option<Rcode> {
    match qtype {
        _ if qclass != CLASS_IN => Some(Rcode::REFUSED),
        RecordType(0) | RecordType::OPT => Some(Rcode::FORM_ERR),
        RecordType::AXFR | RecordType::IXFR => Some(Rcode::REFUSED),
        RecordType::TKEY | RecordType::TSIG | RecordType::MAILA | RecordType::MAILB => {
            Some(Rcode::NOT_IMP)
        }
        _ => None,
    }
}

/// The name of the question, root byte included; none of its labels may be compressed.
fn plain_name(packet: &[u8]) -> Option<&[u8]> {
    let mut at = HEADER;
    loop {
        match usize::from(*packet.get(at)?) {
            0 => break,
            len @ 1..=63 => at += 1 + len,
            _ => return None,
        }
    }
    let name = packet.get(HEADER..=at)?;
    (name.len() <= MAX_WIRE).then_some(name)
}

/// The OPT record of a message of another opcode, when that looks like a question: whoever sends one
/// wants one back (RFC 6891, 7).
fn likely_edns(packet: &[u8]) -> Option<Edns> {
    if u16_at(packet, 4) != Some(1) {
        return None;
    }
    read_opt(packet, HEADER + plain_name(packet)?.len() + 4).ok().flatten()
}

enum OptError {
    Malformed,
    Version(Edns),
}

/// Walks all records after the question; they must fill the packet exactly, and hold one OPT at
/// most (RFC 6891, 6.1.1).
fn read_opt(packet: &[u8], at: usize) -> Result<Option<Edns>, OptError> {
    let count = |at| usize::from(u16_at(packet, at).unwrap_or(0));
    let before = count(6) + count(8);
    let mut records = Records::new(packet, at, before + count(10));
    let (mut found, mut index) = (None, 0);
    for record in &mut records {
        let record = record.map_err(|()| OptError::Malformed)?;
        if record.rtype == RecordType::OPT {
            // In the additional section, at the root, once.
            if index < before || record.owner != [0] || found.is_some() {
                return Err(OptError::Malformed);
            }
            let [_, version, flags, _] = record.ttl.to_be_bytes();
            let edns = Edns { udp_size: record.class, dnssec_ok: flags & 0x80 != 0 };
            if version == 0 && !options_fit(record.rdata) {
                return Err(OptError::Malformed);
            }
            found = Some((version, edns));
        }
        index += 1;
    }
    if records.position() != packet.len() {
        return Err(OptError::Malformed);
    }
    match found {
        Some((0, edns)) => Ok(Some(edns)),
        Some((_, edns)) => Err(OptError::Version(edns)),
        None => Ok(None),
    }
}

/// Whether the options' lengths add up. Their meaning is not ours: unknown ones are ignored (RFC
/// 6891, 6.1.2).
fn options_fit(mut options: &[u8]) -> bool {
    while !options.is_empty() {
        let Some(len) = u16_at(options, 2) else { return false };
        let Some(rest) = options.get(4 + usize::from(len)..) else { return false };
        options = rest;
    }
    true
}

#[cfg(test)]
mod tests;
