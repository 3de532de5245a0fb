//! Writing an answer.

use super::query::Edns;
use super::{CLASS_IN, HEADER, Head, Query, Rcode, Refusal, UDP_PAYLOAD, flag};
use crate::RecordType;

/// An answer being written. Records come in the order of their sections.
pub(crate) struct Reply<'b> {
    out: &'b mut Vec<u8>,
    question_end: usize,
    /// Where the additional section begins, when it has records.
    additional_at: Option<usize>,
    edns: Option<Edns>,
    rcode: Rcode,
}

/// Who owns a record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner<'a> {
    /// The name that was asked.
    Question,
    /// The last so many bytes of the name that was asked.
    Suffix(usize),
    /// Another name, in wire format.
    Name(&'a [u8]),
}

/// An extended DNS error (RFC 8914).
#[derive(Clone, Copy)]
pub(crate) struct Ede<'a> {
    pub(crate) code: u16,
    /// Writes the EXTRA-TEXT; called only when the client can get it.
    pub(crate) text: &'a dyn Fn(&mut Vec<u8>),
}

#[allow(missing_docs, reason = "the names are those of the registry")]
impl Ede<'_> {
    pub(crate) const STALE_ANSWER: u16 = 3;
    pub(crate) const CACHED_ERROR: u16 = 13;
    pub(crate) const BLOCKED: u16 = 15;
    pub(crate) const STALE_NXDOMAIN_ANSWER: u16 = 19;
    pub(crate) const NOT_AUTHORITATIVE: u16 = 20;
    pub(crate) const NO_REACHABLE_AUTHORITY: u16 = 22;
    pub(crate) const NETWORK_ERROR: u16 = 23;
    pub(crate) const SYNTHESIZED: u16 = 29;
    pub(crate) const OTHER: u16 = 0;

    /// For an answer that was made of another for the client's NAT64.
    pub(crate) fn made() -> Ede<'static> {
        let text = &|out: &mut Vec<u8>| out.extend(b"made from IPv4 for a NAT64 (DNS64)");
        Ede { code: Ede::SYNTHESIZED, text }
    }
}

/// How large the answer may be: over TCP as large as a message can be, over UDP what the client
/// takes and the network carries.
pub(crate) fn max_size(udp: bool, edns: Option<Edns>) -> usize {
    match (udp, edns) {
        (false, _) => usize::from(u16::MAX),
        (true, None) => 512,
        // RFC 6891, 6.2.3: less than 512 means 512.
        (true, Some(edns)) => usize::from(edns.udp_size.clamp(512, UDP_PAYLOAD)),
    }
}

impl<'b> Reply<'b> {
    /// Starts the answer to `query` in the emptied `out`.
    pub(crate) fn to(query: &Query<'_>, rcode: Rcode, out: &'b mut Vec<u8>) -> Self {
        Self::start(query.head, query.question, query.edns, rcode, out)
    }

    /// Writes an answer without records.
    pub(crate) fn refuse(refusal: &Refusal<'_>, out: &'b mut Vec<u8>) {
        let Refusal { head, rcode, question, edns } = *refusal;
        Self::start(head, question, edns, rcode, out).finish(512, None);
    }

    fn start(
        head: Head,
        question: &[u8],
        edns: Option<Edns>,
        rcode: Rcode,
        out: &'b mut Vec<u8>,
    ) -> Self {
        let [id0, id1] = head.id;
        let high = flag::QR | head.opcode_rd;
        let low = flag::RA | head.cd | (rcode.0 as u8 & flag::RCODE);
        let questions = u8::from(!question.is_empty());
        out.clear();
        out.extend_from_slice(&[id0, id1, high, low, 0, questions, 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(question);
        Self { question_end: out.len(), additional_at: None, out, edns, rcode }
    }

    pub(crate) fn authoritative(&mut self) {
        self.out[2] |= flag::AA;
    }

    pub(crate) fn truncated(&mut self) {
        self.out[2] |= flag::TC;
    }

    pub(crate) fn authentic(&mut self) {
        self.out[3] |= flag::AD;
    }

    pub(crate) fn set_rcode(&mut self, rcode: Rcode) {
        self.rcode = rcode;
        self.out[3] = self.out[3] & !flag::RCODE | (rcode.0 as u8 & flag::RCODE);
    }

    pub(crate) fn answer(&mut self, owner: Owner<'_>, rtype: RecordType, ttl: u32, rdata: &[u8]) {
        self.record(6, owner, rtype, ttl, rdata);
    }

    pub(crate) fn authority(
        &mut self,
        owner: Owner<'_>,
        rtype: RecordType,
        ttl: u32,
        rdata: &[u8],
    ) {
        self.record(8, owner, rtype, ttl, rdata);
    }

    /// A record that saves the client a question. All that do not fit are left out together, which
    /// is no truncation (RFC 2181, 9).
    pub(crate) fn additional(
        &mut self,
        owner: Owner<'_>,
        rtype: RecordType,
        ttl: u32,
        rdata: &[u8],
    ) {
        self.additional_at.get_or_insert(self.out.len());
        self.record(10, owner, rtype, ttl, rdata);
    }

    /// Appends records that were encoded for a message with the same question: `answers` and
    /// `authorities` of them, whose TTLs stand at `ttl_offsets` in `body`.
    pub(crate) fn body(&mut self, body: &[u8], answers: u16, authorities: u16) -> &mut [u8] {
        self.out[6..8].copy_from_slice(&answers.to_be_bytes());
        self.out[8..10].copy_from_slice(&authorities.to_be_bytes());
        let start = self.out.len();
        self.out.extend_from_slice(body);
        &mut self.out[start..]
    }

    fn record(
        &mut self,
        count_at: usize,
        owner: Owner<'_>,
        rtype: RecordType,
        ttl: u32,
        rdata: &[u8],
    ) {
        let Ok(len) = u16::try_from(rdata.len()) else { return };
        let pointer = |at: usize| (0xc000 | at as u16).to_be_bytes();
        match owner {
            Owner::Question => self.out.extend_from_slice(&pointer(HEADER)),
            Owner::Suffix(bytes) => {
                // Type and class stand after the name.
                let at = self.question_end.saturating_sub(4 + bytes).max(HEADER);
                self.out.extend_from_slice(&pointer(at));
            }
            Owner::Name(name) => self.out.extend_from_slice(name),
        }
        self.out.extend_from_slice(&rtype.0.to_be_bytes());
        self.out.extend_from_slice(&CLASS_IN.to_be_bytes());
        self.out.extend_from_slice(&ttl.to_be_bytes());
        self.out.extend_from_slice(&len.to_be_bytes());
        self.out.extend_from_slice(rdata);
        let count = u16::from_be_bytes([self.out[count_at], self.out[count_at + 1]]);
        self.out[count_at..count_at + 2].copy_from_slice(&count.wrapping_add(1).to_be_bytes());
    }

    /// Ends the answer: OPT when the client sent one, and when all this is larger than `limit`, no
    /// records but TC, so that the client asks over TCP (RFC 2181, 9).
    pub(crate) fn finish(self, limit: usize, ede: Option<Ede<'_>>) {
        let Self { out, question_end, additional_at, edns, rcode } = self;
        let opt = if edns.is_some() { 11 } else { 0 };
        if let Some(at) = additional_at
            && out.len() + opt > limit
        {
            out.truncate(at);
            out[10..12].fill(0);
        }
        if out.len() + opt > limit {
            out.truncate(question_end);
            out[2] |= flag::TC;
            out[6..12].fill(0);
        }
        let Some(edns) = edns else { return };
        let [_, extended] = (rcode.0 >> 4).to_be_bytes();
        let dnssec_ok = if edns.dnssec_ok { 0x80 } else { 0 };
        let [size0, size1] = UDP_PAYLOAD.to_be_bytes();
        out.extend_from_slice(&[0, 0, 41, size0, size1, extended, 0, dnssec_ok, 0, 0, 0]);
        let additional = u16::from_be_bytes([out[10], out[11]]);
        out[10..12].copy_from_slice(&additional.wrapping_add(1).to_be_bytes());
        let Some(ede) = ede else { return };
        let options = out.len();
        let [code0, code1] = ede.code.to_be_bytes();
        out.extend_from_slice(&[0, 15, 0, 0, code0, code1]);
        let text = out.len();
        (ede.text)(out);
        // An error without its text is still of use; without room for that, neither.
        if out.len() > limit {
            out.truncate(text);
        }
        if out.len() > limit {
            out.truncate(options);
            return;
        }
        let len = (out.len() - options) as u16;
        out[options + 2..options + 4].copy_from_slice(&(len - 4).to_be_bytes());
        out[options - 2..options].copy_from_slice(&len.to_be_bytes());
    }
}
