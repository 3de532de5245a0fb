//! An answer record by record, as the library's message, for whatever must be looked into.
//!
//! A resolver hands on what it does not know (RFC 3597): only records that we look into, and those
//! whose names may be compressed, are understood here; all others are opaque bytes, whatever anybody
//! thinks of their content. The library alone would refuse the whole message for one odd record.

use hickory_proto::op::{Header, Message, Query};
use hickory_proto::rr::rdata::NULL;
use hickory_proto::rr::{
    DNSClass, Name, RData, Record as HickoryRecord, RecordType as HickoryType,
};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, Restrict};

use super::record::{Record, Records};
use super::{CLASS_IN, expand};
use crate::RecordType;

/// Records in answer and authority section, at most. No set of records is so large (BIND takes 100 of
/// one type), and what many long names cost to read, to compare and to write is bounded by it.
pub(crate) const MAX_RECORDS: usize = 1024;

const DNSKEY: RecordType = RecordType(48);

/// What to do with a record that is not what its type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    /// Nothing can be believed of the answer that it is in.
    Refuse,
    /// It is as if it were not there: whoever reads it must not make use of it either.
    LeaveOut,
    /// It is handed on as it stands.
    Keep,
}

/// How the data of a type is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// By the library, which gives it a meaning.
    Meant(Broken),
    /// Bytes with names among them, which must not stay compressed.
    Names(Names, Broken),
    Opaque,
    /// No data of any name (RFC 6895, 3.1).
    Meta,
}

/// Where names stand in the data of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Names {
    /// Bytes before them, ...
    skip: usize,
    /// ... and strings after those.
    strings: usize,
    names: usize,
    /// Something follows.
    more: bool,
    /// The case of their letters is not signed (RFC 4034, 6.2): in lower case they are what
    /// signatures are over, and mean the same.
    lower: bool,
}

impl Content {
    fn of(rtype: RecordType) -> Self {
        let names = |skip, names| {
            let names = Names { skip, strings: 0, names, more: false, lower: true };
            Self::Names(names, Broken::Refuse)
        };
        match rtype {
            RecordType::A
            | RecordType::AAAA
            | RecordType::CNAME
            | RecordType::NS
            | RecordType::PTR
            | RecordType::SOA
            | RecordType::MX
            | RecordType::SRV => Self::Meant(Broken::Refuse),
            // Without a signature or proof that can be read, there is none.
            RecordType::RRSIG | RecordType::NSEC => Self::Meant(Broken::LeaveOut),
            // No use for validation, and no harm.
            RecordType::DS | RecordType::NSEC3 | DNSKEY => Self::Meant(Broken::Keep),
            // RFC 9460, 2.2: clients ignore such a record.
            RecordType::SVCB | RecordType::HTTPS => {
                let names = Names { skip: 2, strings: 0, names: 1, more: true, lower: false };
                Self::Names(names, Broken::LeaveOut)
            }
            RecordType::NAPTR => {
                let names = Names { skip: 4, strings: 3, names: 1, more: false, lower: true };
                Self::Names(names, Broken::Refuse)
            }
            RecordType::DNAME => names(0, 1),
            // RFC 1035, 3.3: MD, MF, MB, MG, MR; MINFO.
            RecordType(3 | 4 | 7 | 8 | 9) => names(0, 1),
            RecordType(14) => names(0, 2),
            // RFC 3597, 4: RP; AFSDB and RT, and as they were, KX; PX; SIG; NXT.
            RecordType(17) => names(0, 2),
            RecordType(18 | 21 | 36) => names(2, 1),
            RecordType(26) => names(2, 2),
            RecordType(rtype @ (24 | 30)) => {
                let skip = if rtype == 24 { 18 } else { 0 };
                let names = Names { skip, strings: 0, names: 1, more: true, lower: true };
                Self::Names(names, Broken::Refuse)
            }
            RecordType::OPT | RecordType(128..=255) => Self::Meta,
            _ => Self::Opaque,
        }
    }
}

/// The message with its answer and authority sections; nothing else that is in it is of use. `None`
/// when it is none, or when something in its answer cannot be what it says.
pub(crate) fn to_message(wire: &[u8]) -> Option<Message> {
    let mut decoder = BinDecoder::new(wire);
    let Header { metadata, counts } = Header::read(&mut decoder).ok()?;
    let mut message = Message::response(metadata.id, metadata.op_code);
    message.metadata = metadata;
    let (answers, authorities) = (usize::from(counts.answers), usize::from(counts.authorities));
    if counts.queries != 1 || answers + authorities > MAX_RECORDS {
        return None;
    }
    message.queries.push(Query::read(&mut decoder).ok()?);
    let mut records = Records::new(wire, decoder.index(), answers + authorities);
    let mut owner = (&[][..], Name::root());
    for at in 0..answers + authorities {
        let record = (&mut records).next()?.ok()?;
        if record.class != CLASS_IN {
            continue;
        }
        // Equal bytes are equal names. Rarely does an answer have many different ones.
        if owner.0 != record.owner {
            let name_at = record.ttl_at - 4 - record.owner.len();
            let name = Name::read(&mut decoder.clone(u16::try_from(name_at).ok()?));
            owner = (record.owner, name.ok()?);
        }
        let data = match (data(wire, &decoder, record), at < answers) {
            (Ok(Some(data)), _) => data,
            (Ok(None), _) | (Err(()), false) => continue,
            (Err(()), true) => return None,
        };
        let mut record = HickoryRecord::from_rdata(owner.1.clone(), record.ttl, data);
        record.dns_class = DNSClass::IN;
        match at < answers {
            true => message.answers.push(record),
            false => message.authorities.push(record),
        }
    }
    Some(message)
}

/// `Ok(None)`: the record is left out.
fn data(wire: &[u8], decoder: &BinDecoder<'_>, record: Record<'_>) -> Result<Option<RData>, ()> {
    let code = HickoryType::from(record.rtype.0);
    let opaque = |bytes: Vec<u8>| {
        let mut rdata = NULL::new();
        rdata.anything = bytes;
        RData::Unknown { code, rdata }
    };
    let (data, broken) = match Content::of(record.rtype) {
        Content::Meta => return Ok(None),
        Content::Opaque => return Ok(Some(opaque(record.rdata.to_vec()))),
        Content::Names(names, broken) => (names.expand(wire, record).map(opaque), broken),
        Content::Meant(broken) => {
            let at = u16::try_from(record.ttl_at + 6).map_err(|_| ())?;
            let len = u16::try_from(record.rdata.len()).map_err(|_| ())?;
            let mut decoder = decoder.clone(at);
            (RData::read(&mut decoder, code, Restrict::new(len)).ok(), broken)
        }
    };
    match (data, broken) {
        (Some(data), _) => Ok(Some(data)),
        (None, Broken::Refuse) => Err(()),
        (None, Broken::LeaveOut) => Ok(None),
        (None, Broken::Keep) => Ok(Some(opaque(record.rdata.to_vec()))),
    }
}

impl Names {
    /// The data with whole names.
    fn expand(self, wire: &[u8], record: Record<'_>) -> Option<Vec<u8>> {
        let start = record.ttl_at + 6;
        let end = start + record.rdata.len();
        let mut at = start + self.skip;
        for _ in 0..self.strings {
            at += 1 + usize::from(*wire.get(at)?);
        }
        let mut out = wire.get(start..at)?.to_vec();
        for _ in 0..self.names {
            let (mut name, after) = expand(wire, at)?;
            if self.lower {
                // Length bytes are at most 63, below every letter.
                name.make_ascii_lowercase();
            }
            out.extend_from_slice(&name);
            at = after;
        }
        // Nothing may be borrowed of what follows.
        let rest = wire.get(at..end)?;
        out.extend_from_slice(rest);
        (self.more || rest.is_empty()).then_some(out)
    }
}

#[cfg(test)]
mod tests;
