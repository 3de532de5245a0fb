//! Walking the records of a message.

use super::u16_at;
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
