//! Walking the records of a message.

use super::{HEADER, u16_at};
use crate::RecordType;

/// One record, in place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// The owner's bytes as they stand there, possibly compressed.
    pub(crate) owner: &'a [u8],
    pub(crate) rtype: RecordType,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    /// Where the TTL stands in the message.
    pub(crate) ttl_at: usize,
    pub(crate) rdata: &'a [u8],
}

/// Records of equal length in a row, which may change places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alike {
    /// Where the first one starts.
    pub(crate) start: u16,
    /// Bytes of each.
    pub(crate) len: u16,
    pub(crate) count: u16,
}

/// Iterates over `left` records; stops after the first that does not fit.
pub(crate) struct Records<'a> {
    message: &'a [u8],
    at: usize,
    left: usize,
}

impl<'a> Records<'a> {
    pub(crate) fn new(message: &'a [u8], at: usize, left: usize) -> Self {
        Self { message, at, left }
    }

    /// Where the next record would start.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    fn read(&mut self) -> Option<Record<'a>> {
        let message = self.message;
        let end = skip_name(message, self.at)?;
        let owner = message.get(self.at..end)?;
        let rtype = RecordType(u16_at(message, end)?);
        let class = u16_at(message, end + 2)?;
        let ttl = u32::from_be_bytes(message.get(end + 4..end + 8)?.try_into().ok()?);
        let len = usize::from(u16_at(message, end + 8)?);
        let rdata = message.get(end + 10..end + 10 + len)?;
        self.at = end + 10 + len;
        Some(Record { owner, rtype, class, ttl, ttl_at: end + 4, rdata })
    }
}

impl<'a> Iterator for &mut Records<'a> {
    type Item = Result<Record<'a>, ()>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let record = self.read().ok_or(());
        if record.is_err() {
            self.left = 0;
        }
        Some(record)
    }
}

/// The end of the name at `at`; pointers are not followed.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match usize::from(*message.get(at)?) {
            0 => return Some(at + 1),
            len @ 1..=63 => at += 1 + len,
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

/// Where the TTLs of the `count` records from `at` on stand; `None` when they do not fit the
/// message exactly.
pub(crate) fn ttl_offsets(message: &[u8], at: usize, count: usize) -> Option<Vec<usize>> {
    let mut records = Records::new(message, at, count);
    let offsets =
        (&mut records).map(|record| record.map(|r| r.ttl_at)).collect::<Result<Vec<_>, ()>>();
    offsets.ok().filter(|_| records.position() == message.len())
}

/// Two or more addresses of one name in a row among the `count` records from `at` on, counted from
/// there. Their owner must be a pointer to before them: then nothing depends on their order.
pub(crate) fn alike_addresses(message: &[u8], at: usize, count: usize) -> Option<Alike> {
    let mut records = Records::new(message, at, count);
    let mut best: Option<Alike> = None;
    let mut run: Option<(Alike, &[u8], RecordType)> = None;
    loop {
        let start = records.position();
        let Some(Ok(record)) = (&mut records).next() else { break };
        let is_address = matches!(record.rtype, RecordType::A | RecordType::AAAA);
        let points_back = record.owner.len() == 2
            && u16_at(record.owner, 0).is_some_and(|to| usize::from(to & 0x3fff) < start);
        let len = u16::try_from(records.position() - start).ok()?;
        run = match run {
            _ if !is_address || !points_back => None,
            Some((alike, owner, rtype))
                if owner == record.owner && rtype == record.rtype && alike.len == len =>
            {
                Some((Alike { count: alike.count + 1, ..alike }, owner, rtype))
            }
            _ => {
                let start = u16::try_from(start - at).ok()?;
                Some((Alike { start, len, count: 1 }, record.owner, record.rtype))
            }
        };
        if let Some((alike, ..)) = run
            && alike.count > best.map_or(1, |best| best.count)
        {
            best = Some(alike);
        }
    }
    best
}

/// Where a message's OPT record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OptPlace {
    /// Its two bytes of length; the options follow.
    pub(crate) len_at: usize,
    pub(crate) rdata_len: usize,
    pub(crate) end: usize,
    /// DO (RFC 3225).
    pub(crate) dnssec_ok: bool,
}

/// The first OPT record of a message with one question or none.
pub(crate) fn find_opt(message: &[u8]) -> Option<OptPlace> {
    let mut records = all_records(message)?;
    let opt = (&mut records).map_while(Result::ok).find(|r| r.rtype == RecordType::OPT)?;
    let (rdata_len, dnssec_ok) = (opt.rdata.len(), opt.ttl & 0x8000 != 0);
    let (len_at, end) = (opt.ttl_at + 4, opt.ttl_at + 6 + rdata_len);
    Some(OptPlace { len_at, rdata_len, end, dnssec_ok })
}

/// For how long an answer may be kept, seconds: the least TTL of its records, or of the SOA of an
/// answer without any (RFC 8484, 5.1). Zero when neither is there.
pub(crate) fn least_ttl(message: &[u8]) -> u32 {
    let Some(mut records) = all_records(message) else { return 0 };
    let answers = usize::from(u16_at(message, 6).unwrap_or(0));
    let mut least = None;
    for (index, record) in (&mut records).map_while(Result::ok).enumerate() {
        let counts = match index < answers {
            true => true,
            false => answers == 0 && record.rtype == RecordType::SOA,
        };
        if counts {
            least = Some(least.map_or(record.ttl, |least: u32| least.min(record.ttl)));
        }
    }
    least.unwrap_or(0)
}

/// Takes so many seconds off the times to live in a message.
pub(crate) fn grow_older(message: &mut [u8], secs: u32) {
    let Some(mut records) = all_records(message) else { return };
    let with_ttl = (&mut records).flatten().filter(|record| record.rtype != RecordType::OPT);
    let ttls: Vec<(usize, u32)> = with_ttl.map(|record| (record.ttl_at, record.ttl)).collect();
    for (at, ttl) in ttls {
        if let Some(place) = message.get_mut(at..at + 4) {
            place.copy_from_slice(&ttl.saturating_sub(secs).to_be_bytes());
        }
    }
}

/// All records after the question.
fn all_records(message: &[u8]) -> Option<Records<'_>> {
    let count = |at| u16_at(message, at).map(usize::from);
    let start = match count(4)? {
        0 => HEADER,
        1 => skip_name(message, HEADER)? + 4,
        _ => return None,
    };
    Some(Records::new(message, start, count(6)? + count(8)? + count(10)?))
}
