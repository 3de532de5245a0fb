//! What is asked upstream, as a message.

use hickory_proto::rr::{Name as HickoryName, RecordType as HickoryType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use super::validate::Lookup;
use crate::cache::to_name;
use crate::name::MAX_WIRE;
use crate::wire::{CLASS_IN, HEADER, Query, UDP_PAYLOAD, flag};
use crate::{Name, Prefix64, RecordType};

/// Questions over an encrypted connection are filled up to a multiple of this (RFC 8467, 4.1).
const PADDED_TO: usize = 128;

/// The code of the padding option (RFC 7830, 3).
const PADDING: u16 = 12;

/// A question to be asked upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    name: Name,
    qtype: RecordType,
    dnssec_ok: bool,
    cd: bool,
}

/// How a question is put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The server knows EDNS.
    pub(crate) edns: bool,
    /// It goes over an encrypted connection.
    pub(crate) padded: bool,
}

/// Random bytes for one question: its id, and which of its letters are capitals.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    bytes: [u8; Self::LEN],
}

impl Dice {
    const CASE: usize = MAX_WIRE.div_ceil(8);
    const LEN: usize = 4 + Self::CASE;

    #[allow(clippy::disallowed_methods, reason = "a shell: what strangers must not guess")]
    pub(crate) fn throw() -> Self {
        let mut bytes = [0; Self::LEN];
        // The kernel has had entropy since long before any program runs; without, the answers
        // could be forged, so it is better to ask with the id 0 than to stop serving the house.
        if let Err(error) = getrandom::fill(&mut bytes) {
            tracing::error!(%error, "no random numbers from the system");
        }
        Self { bytes }
    }

    pub(crate) fn id(&self) -> u16 {
        u16::from_be_bytes([self.bytes[0], self.bytes[1]])
    }

    /// A number for whatever else there is to choose.
    pub(crate) fn number(&self) -> u16 {
        u16::from_be_bytes([self.bytes[2], self.bytes[3]])
    }

    fn flips(&self, at: usize) -> bool {
        self.bytes.get(4 + at / 8).is_some_and(|byte| byte >> (at % 8) & 1 != 0)
    }
}

impl Question {
    /// `name`, with everything else as in `like`.
    pub(crate) fn new(name: &[u8], like: &Query<'_>) -> Option<Self> {
        let name = Name::from_wire(name)?;
        Some(Self { name, qtype: like.qtype, dnssec_ok: like.dnssec_ok(), cd: like.cd() })
    }

    /// The client checks for itself (RFC 4035, 3.2.2).
    pub(crate) fn cd(&self) -> bool {
        self.cd
    }

    /// The same for the validator.
    pub(crate) fn lookup(&self) -> Option<Lookup> {
        let name = HickoryName::read(&mut BinDecoder::new(self.name.as_wire())).ok()?;
        let rtype = HickoryType::from(self.qtype.0);
        Some(Lookup { name, rtype, dnssec_ok: self.dnssec_ok, cd: self.cd })
    }

    /// What the validator asks.
    pub(crate) fn of(lookup: &Lookup) -> Option<Self> {
        let name = to_name(&lookup.name.to_lowercase())?;
        let qtype = RecordType(lookup.rtype.into());
        Some(Self { name, qtype, dnssec_ok: lookup.dnssec_ok, cd: lookup.cd })
    }

    /// What a server is asked to see whether it answers at all: the root's name servers, which
    /// every resolver has in its cache.
    pub(crate) fn probe() -> Self {
        Self { name: Name::root(), qtype: RecordType::NS, dnssec_ok: false, cd: false }
    }

    /// The name that is asked for.
    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// The prefix of the client's NAT64, when the answer differs for those behind it.
    pub(crate) fn for_nat64(&self, prefix: Option<Prefix64>) -> Option<Prefix64> {
        prefix.filter(|it| it.concerns(self.name.as_wire(), self.qtype, self.dnssec_ok, self.cd))
    }

    /// Another name and type, asked in the same way.
    pub(crate) fn instead(&self, name: Name, qtype: RecordType) -> Self {
        Self { name, qtype, ..*self }
    }

    /// The same for whoever wants it unchecked (CD).
    pub(crate) fn unchecked(&self) -> Self {
        Self { cd: true, ..self.clone() }
    }

    /// A question for a name's records.
    pub(crate) fn plain(name: Name, qtype: RecordType) -> Self {
        Self { name, qtype, dnssec_ok: false, cd: false }
    }

    /// The message, with this id and, where there are dice, a random mix of upper and lower case.
    pub(crate) fn message(&self, id: u16, case: Option<&Dice>, shape: Shape) -> Vec<u8> {
        let mut out = Vec::with_capacity(if shape.padded { 2 * PADDED_TO } else { 96 });
        out.extend_from_slice(&id.to_be_bytes());
        let cd = if self.cd { flag::CD } else { 0 };
        // RFC 6840, 5.7: AD tells us whether the answer was validated, without signatures.
        out.extend_from_slice(&[flag::RD, flag::AD | cd, 0, 1, 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(self.name.as_wire());
        if let Some(dice) = case {
            let letters = out.iter_mut().skip(HEADER).enumerate();
            // Length bytes are at most 63, below every letter.
            letters
                .filter(|(at, byte)| byte.is_ascii_lowercase() && dice.flips(*at))
                .for_each(|(_, byte)| *byte = byte.to_ascii_uppercase());
        }
        out.extend_from_slice(&self.qtype.0.to_be_bytes());
        out.extend_from_slice(&CLASS_IN.to_be_bytes());
        if shape.edns {
            self.push_opt(shape, &mut out);
        }
        out
    }

    fn push_opt(&self, shape: Shape, out: &mut Vec<u8>) {
        out[11] = 1;
        let [size0, size1] = UDP_PAYLOAD.to_be_bytes();
        let dnssec_ok = if self.dnssec_ok { 0x80 } else { 0 };
        out.extend_from_slice(&[0, 0, 41, size0, size1, 0, 0, dnssec_ok, 0]);
        if !shape.padded {
            return out.extend_from_slice(&[0, 0]);
        }
        let empty = out.len() + 2 + 4;
        let padding = empty.next_multiple_of(PADDED_TO) - empty;
        out.extend_from_slice(&(padding as u16 + 4).to_be_bytes());
        out.extend_from_slice(&PADDING.to_be_bytes());
        out.extend_from_slice(&(padding as u16).to_be_bytes());
        out.resize(out.len() + padding, 0);
    }
}

#[cfg(test)]
mod tests;
