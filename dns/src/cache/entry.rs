//! One cached answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{DNSClass, RData, Record};

use super::chain::{belongs, chain, leads_inside, to_name};
use super::{KEY_TAIL, Key, Now, STALE_TTL_SECS};
use crate::Validation;
use crate::forward::Checked;
use crate::name::Name;
use crate::wire::{
    Alike, Ede, HEADER, Layout, Query, Rcode, Reply, alike_addresses, flag, to_message, ttl_offsets,
};

/// Longest time to live of an answer with records, and of one without (RFC 2308, 5).
const MAX_TTL_SECS: u32 = 86_400;
const MAX_NEGATIVE_TTL_SECS: u32 = 3600;

/// An answer that lives shorter than this is not asked for ahead of time, and the last tenth of
/// another counts as so long at least.
const REFRESHED_TTL_SECS: u32 = 10;
const REFRESH_MIN: Duration = Duration::from_secs(2);

/// The records of an answer, encoded for a message with the same question.
#[derive(Debug)]
pub(crate) struct Entry {
    rcode: Rcode,
    /// What validation made of it.
    validation: Validation,
    answers: u16,
    authorities: u16,
    /// The records; after them, two bytes each, where their TTLs stand; then the key. One
    /// allocation, because each further one is a cache miss of the processor's for a rarely asked
    /// name.
    body: Box<[u8]>,
    records_len: u16,
    /// Names that the answer leads to: aliases' and services' targets. The filter judges them on
    /// every use, because lists and the asker's policy differ from time to time.
    targets: Box<[Name]>,
    /// The addresses among the records, which each client gets in another order.
    addresses: Option<Alike>,
    /// The same without private addresses and what hints at them, where there are such.
    public: Option<Box<Self>>,
    /// It is such an answer: records are missing that the name has.
    withheld: bool,
    /// It was made here from what else the name has (DNS64).
    synthesised: bool,
    stored: Now,
    ttl_secs: u32,
    /// Somebody has been sent to ask again before it expires.
    refreshing: AtomicBool,
}

/// What a client is told whose answer has lost its private addresses.
const WITHHELD: &[u8] =
    b"its private addresses are withheld: a public name must not lead into the house (rebinding)";

/// How an entry is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// TTLs less the time gone by.
    Fresh,
    /// TTLs of 30 s, and the client is told.
    Stale,
}

impl Entry {
    /// Takes what belongs to the question from a forwarder's answer: the chain of aliases from the
    /// asked name on with the records at its end, and of the authority section what a negative or
    /// signed answer needs. Everything else a forwarder says is not believed.
    pub(crate) fn from_answer(answer: Message, key: &Key, now: Now) -> Option<Arc<Self>> {
        let public = answer.answers.iter().any(leads_inside).then(|| {
            let mut public = answer.clone();
            public.answers.retain(|record| !leads_inside(record));
            Self::build(public, key, now)
        });
        let mut entry = Self::build(answer, key, now)?;
        if let Some(public) = public.flatten().filter(|public| public.answers < entry.answers) {
            // As long as the whole: without its SOA, an answer without records would not live.
            let ttl_secs = entry.ttl_secs;
            entry.public = Some(Box::new(Self { ttl_secs, withheld: true, ..public }));
        }
        Some(Arc::new(entry))
    }

    fn build(answer: Message, key: &Key, now: Now) -> Option<Self> {
        let dnssec_ok = key.dnssec_ok();
        let asked = answer.queries.first()?.clone();
        // Over TCP nobody has compared the question yet.
        if !key.is_for(&to_name(asked.name())?, u16::from(asked.query_type())) {
            return None;
        }
        let rcode = match answer.metadata.response_code {
            ResponseCode::NoError => Rcode::NO_ERROR,
            ResponseCode::NXDomain => Rcode::NX_DOMAIN,
            _ => return None,
        };
        let (mut answers, targets, end) = chain(&asked, answer.answers, dnssec_ok)?;
        // A DNAME above the name is part of the way (RFC 6672, 3.1).
        let is_end = |r: &Record| r.record_type() == asked.query_type() && r.name == end;
        let negative = rcode == Rcode::NX_DOMAIN || !answers.iter().any(is_end);
        let mut authorities: Vec<Record> = answer
            .authorities
            .into_iter()
            .filter(|r| r.dns_class == DNSClass::IN && belongs(r, negative, dnssec_ok))
            .collect();
        let ttl_secs = clamp_ttls(&mut answers, &mut authorities, negative);
        let mut message = Message::response(0, hickory_proto::op::OpCode::Query);
        message.queries.push(asked);
        message.answers = answers;
        message.authorities = authorities;
        let (body, records_len, addresses) = encode(&message, key)?;
        Some(Self {
            rcode,
            validation: match answer.metadata.authentic_data {
                true => Validation::Secure,
                false => Validation::Unchecked,
            },
            answers: u16::try_from(message.answers.len()).ok()?,
            authorities: u16::try_from(message.authorities.len()).ok()?,
            body,
            records_len,
            targets,
            addresses,
            public: None,
            withheld: false,
            synthesised: false,
            stored: now,
            ttl_secs,
            refreshing: AtomicBool::new(false),
        })
    }

    /// The answer without its private addresses; `None` when it has none.
    pub(crate) fn without_private(&self) -> Option<&Self> {
        self.public.as_deref()
    }

    /// Takes an answer without private addresses over as it stands.
    pub(crate) fn from_layout(
        message: &[u8],
        layout: Layout,
        key: &Key,
        now: Now,
    ) -> Option<Arc<Self>> {
        let Layout { rcode, start, end, answers, authorities, .. } = layout;
        let records = message.get(start..end)?;
        let key = key.as_bytes();
        let mut body = Vec::with_capacity(records.len() + 2 * layout.ttls.len() + key.len());
        body.extend_from_slice(records);
        // RFC 2308, 5: the lesser of the SOA's TTL and its MINIMUM; without SOA not kept at all.
        let mut ttl_secs = if layout.negative { 0 } else { MAX_TTL_SECS };
        if let Some(minimum) = layout.soa_minimum {
            ttl_secs = minimum.min(MAX_NEGATIVE_TTL_SECS);
        }
        for &(at, ttl) in &layout.ttls {
            let ttl = if at == layout.ttls.last()?.0 && layout.soa_minimum.is_some() {
                clamped(ttl).min(ttl_secs)
            } else {
                clamped(ttl)
            };
            ttl_secs = ttl_secs.min(ttl);
            let at = at.checked_sub(start)?;
            body.get_mut(at..at + 4)?.copy_from_slice(&ttl.to_be_bytes());
        }
        for &(at, _) in &layout.ttls {
            body.extend_from_slice(&u16::try_from(at - start).ok()?.to_be_bytes());
        }
        body.extend_from_slice(key);
        Some(Arc::new(Self {
            rcode,
            validation: Validation::Unchecked,
            answers,
            authorities,
            body: body.into(),
            records_len: u16::try_from(records.len()).ok()?,
            targets: layout.targets.into(),
            addresses: alike_addresses(message, start, usize::from(answers)),
            public: None,
            withheld: false,
            synthesised: false,
            stored: now,
            ttl_secs,
            refreshing: AtomicBool::new(false),
        }))
    }

    /// As [`Entry::from_answer`], with what validation made of it.
    pub(crate) fn from_checked(checked: Checked, key: &Key, now: Now) -> Option<Arc<Self>> {
        let Checked { message, validation, synthesised } = checked;
        if synthesised {
            // Where the prefix is a private one, its addresses still lead out of the house.
            let made = Self::build(message, key, now)?;
            return Some(Arc::new(Self { validation, synthesised, ..made }));
        }
        let mut entry = Self::from_answer(message, key, now)?;
        if let Some(entry) = Arc::get_mut(&mut entry) {
            entry.validation = validation;
        }
        Some(entry)
    }

    /// What validation made of it; of an answer from before a restart, only whether it was secure.
    pub(crate) fn validation(&self) -> Validation {
        self.validation
    }

    fn is_secure(&self) -> bool {
        self.validation == Validation::Secure
    }

    pub(crate) fn expires(&self) -> Now {
        Now(self.stored.0 + Duration::from_secs(u64::from(self.ttl_secs)))
    }

    /// Whether it may be kept at all.
    pub(crate) fn lives(&self) -> bool {
        self.ttl_secs > 0
    }

    /// Whether it is in the last tenth of its life and nobody has been sent to ask again: true
    /// once. Whatever is asked for that late is asked for often, and its next asker need not wait.
    pub(crate) fn wants_refresh(&self, now: Now) -> bool {
        let tenth = Duration::from_secs(u64::from(self.ttl_secs)) / 10;
        // Nearly always false, so nothing is written to the entry, which other cores read too.
        now.0 + tenth.max(REFRESH_MIN) >= self.expires().0
            && self.ttl_secs >= REFRESHED_TTL_SECS
            && !self.refreshing.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn targets(&self) -> &[Name] {
        &self.targets
    }

    /// Bytes it takes.
    pub(crate) fn size(&self) -> usize {
        let targets = self.targets.iter().map(|target| 16 + target.as_wire().len());
        let public = self.public.as_ref().map_or(0, |public| public.size());
        size_of::<Self>() + self.body.len() + targets.sum::<usize>() + public
    }

    /// Writes the answer to `query`, which asks what this entry answers.
    pub(crate) fn write(
        &self,
        query: &Query<'_>,
        how: Use,
        now: Now,
        limit: usize,
        out: &mut Vec<u8>,
    ) {
        let mut reply = Reply::to(query, self.rcode, out);
        // RFC 6840, 5.8; never for what may have changed since, or was changed here.
        let whole = how == Use::Fresh && !self.withheld;
        if self.is_secure() && whole && (query.ad || query.dnssec_ok()) {
            reply.authentic();
        }
        let (records, _) = self.parts();
        let records = reply.body(records, self.answers, self.authorities);
        self.age(records, how, now);
        self.turn(records, query.head.id, now);
        reply.finish(limit, self.ede(how));
    }

    /// What the client is told of the answer beside its records.
    pub(crate) fn ede(&self, how: Use) -> Option<Ede<'static>> {
        match (how, self.rcode) {
            _ if self.withheld => {
                Some(Ede { code: Ede::BLOCKED, text: &|out| out.extend(WITHHELD) })
            }
            (Use::Stale, Rcode::NX_DOMAIN) => {
                Some(Ede { code: Ede::STALE_NXDOMAIN_ANSWER, text: &|_| () })
            }
            (Use::Stale, _) => Some(Ede { code: Ede::STALE_ANSWER, text: &|_| () }),
            (Use::Fresh, _) if self.synthesised => Some(Ede::made()),
            (Use::Fresh, _) => None,
        }
    }

    /// The same as a message, for the rare case that records must be added to it.
    pub(crate) fn to_message(&self, question: &[u8], how: Use, now: Now) -> Option<Message> {
        let mut wire = self.to_wire(question);
        self.age(&mut wire[HEADER + question.len()..], how, now);
        to_message(&wire)
    }

    /// The whole answer to `question`, as it was when it came.
    pub(super) fn to_wire(&self, question: &[u8]) -> Vec<u8> {
        let low = self.rcode.0 as u8 | if self.is_secure() { flag::AD } else { 0 };
        let mut wire = vec![0, 0, flag::QR, low, 0, 1];
        for count in [self.answers, self.authorities, 0] {
            wire.extend_from_slice(&count.to_be_bytes());
        }
        wire.extend_from_slice(question);
        wire.extend_from_slice(self.parts().0);
        wire
    }

    /// How long it has been here, whole seconds.
    pub(super) fn age_secs(&self, now: Now) -> u32 {
        now.0.saturating_sub(self.stored.0).as_secs().min(u64::from(u32::MAX)) as u32
    }

    /// Whether it can be understood without knowing for whom it was made.
    pub(super) fn is_of_the_name(&self) -> bool {
        !self.synthesised
    }

    pub(super) fn ttl_secs(&self) -> u32 {
        self.ttl_secs
    }

    /// The records, and where their TTLs stand.
    fn parts(&self) -> (&[u8], &[u8]) {
        let (records, rest) =
            self.body.split_at_checked(usize::from(self.records_len)).unwrap_or_default();
        let ttls = 2 * (usize::from(self.answers) + usize::from(self.authorities));
        (records, rest.get(..ttls).unwrap_or_default())
    }

    /// What it is kept under.
    pub(crate) fn key(&self) -> &[u8] {
        let (records, ttls) = self.parts();
        self.body.get(records.len() + ttls.len()..).unwrap_or_default()
    }

    /// Whether it answers a question for `name`.
    pub(crate) fn is_about(&self, name: &[u8]) -> bool {
        // A name in wire format is never the beginning of another.
        self.key().strip_prefix(name).is_some_and(|rest| rest.len() == KEY_TAIL)
    }

    /// Turns the addresses, so that clients that take the first one spread over all of them. The
    /// question's id is as good as a random number, and costs nothing; where there is none (RFC 8484,
    /// 4.1; RFC 9250, 4.2.1), the time has to do.
    fn turn(&self, records: &mut [u8], id: [u8; 2], now: Now) {
        let Some(Alike { start, len, count }) = self.addresses else { return };
        let (start, len, count) = (usize::from(start), usize::from(len), usize::from(count));
        let by =
            len * ((usize::from(u16::from_be_bytes(id)) + now.0.subsec_micros() as usize) % count);
        if let Some(addresses) = records.get_mut(start..start + len * count) {
            addresses.rotate_left(by);
        }
    }

    fn age(&self, records: &mut [u8], how: Use, now: Now) {
        let age = self.age_secs(now);
        for at in self.parts().1.chunks_exact(2) {
            let at = usize::from(u16::from_be_bytes([at[0], at[1]]));
            let Some(Ok(slot)) = records.get_mut(at..at + 4).map(<&mut [u8; 4]>::try_from) else {
                continue;
            };
            let ttl = match how {
                Use::Fresh => u32::from_be_bytes(*slot).saturating_sub(age),
                Use::Stale => STALE_TTL_SECS,
            };
            *slot = ttl.to_be_bytes();
        }
    }
}

/// An entry's body, how many bytes of it are records, and which of those are addresses.
fn encode(message: &Message, key: &Key) -> Option<(Box<[u8]>, u16, Option<Alike>)> {
    let wire = message.to_vec().ok()?;
    let name = message.queries.first()?.name();
    let question = name.iter().map(|label| 1 + label.len()).sum::<usize>() + 1 + 4;
    let start = HEADER + question;
    let mut body = wire.get(start..)?.to_vec();
    let records_len = u16::try_from(body.len()).ok()?;
    for at in ttl_offsets(&wire, start, message.answers.len() + message.authorities.len())? {
        body.extend_from_slice(&u16::try_from(at - start).ok()?.to_be_bytes());
    }
    body.extend_from_slice(key.as_bytes());
    let addresses = alike_addresses(&wire, start, message.answers.len());
    Some((body.into(), records_len, addresses))
}

/// Also with the highest bit set it is a long time (RFC 8767, 4, instead of RFC 2181, 8).
fn clamped(ttl: u32) -> u32 {
    ttl.min(MAX_TTL_SECS)
}

/// Brings all TTLs within bounds and returns the answer's own.
fn clamp_ttls(answers: &mut [Record], authorities: &mut [Record], negative: bool) -> u32 {
    for record in answers.iter_mut().chain(authorities.iter_mut()) {
        record.ttl = clamped(record.ttl);
    }
    let shortest = answers.iter().map(|record| record.ttl).min();
    if !negative {
        return shortest.unwrap_or(0);
    }
    // RFC 2308, 5: the lesser of the SOA's TTL and its MINIMUM; without SOA not kept at all.
    let soa = authorities.iter_mut().find_map(|record| match &record.data {
        RData::SOA(soa) => {
            record.ttl = record.ttl.min(soa.minimum).min(MAX_NEGATIVE_TTL_SECS);
            Some(record.ttl)
        }
        _ => None,
    });
    soa.map_or(0, |soa| shortest.map_or(soa, |shortest| shortest.min(soa)))
}
