//! The compiled table as a file.
//!
//! All numbers little-endian: `LWBLOCKS`, version, a check of the hash key, counts, the lists,
//! the front filter, the buckets, the sets; at the end the CRC-32 of everything before it. A
//! table is only a faster copy of the lists: whatever is odd about one, it is refused and
//! compiled again.

use std::sync::Arc;

use xorf::BinaryFuse8;

use super::{Bucket, Member, SLOTS, Table, TableList};
use crate::compiler::Report;
use crate::hash::{HashKey, NameHasher};
use crate::kinds::Kinds;
use crate::list::{ListKind, MAX_LISTS};

const MAGIC: &[u8; 8] = b"LWBLOCKS";
/// Changes with the layout, the hash, and whatever a rule's line means to the parser.
const VERSION: u32 = 1;
/// What is hashed with the key to tell keys apart; not a name.
const KEY_CHECK: &[u8] = b"\x09lanward-1\x05check\0";

/// Why a stored table is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Too short, or it does not begin as one.
    #[error("not a compiled table")]
    NotATable,
    /// Another version wrote it.
    #[error("written in version {0} of the layout; this program knows version {VERSION}")]
    Version(u32),
    /// The checksum is wrong: a torn write or a flipped bit.
    #[error("the checksum is wrong")]
    Checksum,
    /// Compiled with another installation's key.
    #[error("compiled with another key")]
    Key,
    /// The checksum is right and yet the parts do not fit together.
    #[error("damaged: {0}")]
    Damaged(&'static str),
}

impl Table {
    /// The table as bytes, for [`Self::from_bytes`].
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.memory_bytes() + 1024);
        out.extend_from_slice(MAGIC);
        put_u32(&mut out, VERSION);
        put_u64(&mut out, self.hasher.whole(KEY_CHECK));
        put_u64(&mut out, self.rules);
        put_u32(&mut out, self.lists.len() as u32);
        for list in &self.lists {
            put_u32(&mut out, list.id.len() as u32);
            out.extend_from_slice(list.id.as_bytes());
            out.push(u8::from(list.kind == ListKind::Allow));
            out.extend_from_slice(&list.digest);
            list.report.to_words().for_each(|word| put_u64(&mut out, word));
        }
        match &self.front {
            None => out.push(0),
            Some(front) => {
                out.push(1);
                put_u64(&mut out, front.descriptor.seed);
                put_u32(&mut out, front.descriptor.segment_length);
                put_u32(&mut out, front.descriptor.segment_count_length);
                out.extend_from_slice(&front.fingerprints);
            }
        }
        put_u32(&mut out, self.buckets.len() as u32);
        for bucket in &self.buckets {
            bucket.prints.iter().for_each(|&print| put_u32(&mut out, print));
            bucket.sets.iter().for_each(|set| out.extend_from_slice(&set.to_le_bytes()));
            out.extend_from_slice(&[bucket.used, u8::from(bucket.spilled)]);
        }
        put_u32(&mut out, self.set_starts.len() as u32);
        self.set_starts.iter().for_each(|&start| put_u32(&mut out, start));
        put_u32(&mut out, self.members.len() as u32);
        for member in &self.members {
            out.extend_from_slice(&member.list.to_le_bytes());
            out.push(member.kinds.0);
        }
        let crc = crc32fast::hash(&out);
        put_u32(&mut out, crc);
        out
    }

    /// Reads what [`Self::to_bytes`] wrote. Refuses anything odd.
    pub fn from_bytes(bytes: &[u8], key: HashKey) -> Result<Arc<Self>, FormatError> {
        let (body, crc) = bytes.split_last_chunk::<4>().ok_or(FormatError::NotATable)?;
        let body = body.strip_prefix(MAGIC).ok_or(FormatError::NotATable)?;
        let mut read = Reader(body);
        // Before the checksum: another version may check itself in another way.
        let version = read.u32()?;
        if version != VERSION {
            return Err(FormatError::Version(version));
        }
        if crc32fast::hash(&bytes[..bytes.len() - 4]) != u32::from_le_bytes(*crc) {
            return Err(FormatError::Checksum);
        }
        let hasher = NameHasher::new(&key);
        if read.u64()? != hasher.whole(KEY_CHECK) {
            return Err(FormatError::Key);
        }
        let rules = read.u64()?;
        let lists = read_lists(&mut read)?;
        let front = read_front(&mut read)?;
        let buckets = read_buckets(&mut read)?;
        let set_starts = read_set_starts(&mut read)?;
        let members = read_members(&mut read, lists.len())?;
        if !read.0.is_empty() {
            return Err(FormatError::Damaged("bytes left over"));
        }
        let sets = set_starts.len() - 1;
        if set_starts.last().map(|&end| end as usize) != Some(members.len()) {
            return Err(FormatError::Damaged("sets and members disagree"));
        }
        let used = buckets.iter().flat_map(|b| b.sets.iter().take(usize::from(b.used)));
        if used.clone().any(|&set| usize::from(set) >= sets) || (used.count() as u64) < rules {
            return Err(FormatError::Damaged("an entry has no set"));
        }
        if front.is_some() != (rules > 0) || buckets.is_empty() != (rules == 0) {
            return Err(FormatError::Damaged("front and buckets disagree"));
        }
        Ok(Arc::new(Self { key, hasher, lists, rules, front, buckets, set_starts, members }))
    }
}

fn read_lists(read: &mut Reader<'_>) -> Result<Vec<TableList>, FormatError> {
    let count = read.u32()? as usize;
    if count > MAX_LISTS {
        return Err(FormatError::Damaged("too many lists"));
    }
    let mut lists = Vec::with_capacity(count);
    for _ in 0..count {
        let len = read.u32()? as usize;
        let id = std::str::from_utf8(read.take(len)?)
            .map_err(|_| FormatError::Damaged("a list's id is not text"))?
            .to_owned();
        let kind = match read.u8()? {
            0 => ListKind::Block,
            1 => ListKind::Allow,
            _ => return Err(FormatError::Damaged("a list is of no known kind")),
        };
        let digest = *read.array::<32>()?;
        let report = Report::from_words(|| read.u64().ok())
            .ok_or(FormatError::Damaged("a list's report is cut off"))?;
        lists.push(TableList { id, kind, digest, report });
    }
    Ok(lists)
}

/// Checks what the front filter's lookup relies on to stay inside its array.
fn read_front(read: &mut Reader<'_>) -> Result<Option<BinaryFuse8>, FormatError> {
    match read.u8()? {
        0 => return Ok(None),
        1 => {}
        _ => return Err(FormatError::Damaged("front filter")),
    }
    let seed = read.u64()?;
    let segment_length = read.u32()?;
    let segment_count_length = read.u32()?;
    let len = u64::from(segment_count_length) + 2 * u64::from(segment_length);
    let fits = segment_length.is_power_of_two()
        && segment_count_length > 0
        && segment_count_length.is_multiple_of(segment_length)
        && u32::try_from(len).is_ok();
    if !fits {
        return Err(FormatError::Damaged("front filter"));
    }
    // The crate does not export its descriptor's type, only the fields of one that exists.
    let mut front =
        BinaryFuse8::try_from(&[0_u64, 1][..]).map_err(|_| FormatError::Damaged("front filter"))?;
    front.fingerprints = read.take(len as usize)?.into();
    front.descriptor.seed = seed;
    front.descriptor.segment_length = segment_length;
    front.descriptor.segment_length_mask = segment_length - 1;
    front.descriptor.segment_count_length = segment_count_length;
    Ok(Some(front))
}

fn read_buckets(read: &mut Reader<'_>) -> Result<Box<[Bucket]>, FormatError> {
    const STORED: usize = SLOTS * 6 + 2;
    let count = read.u32()? as usize;
    let stored = read.take(count.checked_mul(STORED).ok_or(FormatError::Damaged("buckets"))?)?;
    let mut buckets = Vec::with_capacity(count);
    for bytes in stored.chunks_exact(STORED) {
        let mut fields = Reader(bytes);
        let mut bucket = Bucket::default();
        for print in &mut bucket.prints {
            *print = fields.u32()?;
        }
        for set in &mut bucket.sets {
            *set = fields.u16()?;
        }
        bucket.used = fields.u8()?;
        bucket.spilled = fields.u8()? == 1;
        if usize::from(bucket.used) > SLOTS {
            return Err(FormatError::Damaged("a bucket overflows"));
        }
        buckets.push(bucket);
    }
    Ok(buckets.into())
}

fn read_set_starts(read: &mut Reader<'_>) -> Result<Box<[u32]>, FormatError> {
    let count = read.u32()? as usize;
    if count == 0 || count > usize::from(u16::MAX) + 2 {
        return Err(FormatError::Damaged("sets"));
    }
    let starts: Box<[u32]> = (0..count).map(|_| read.u32()).collect::<Result<_, _>>()?;
    if !starts.is_sorted() || starts.first() != Some(&0) {
        return Err(FormatError::Damaged("sets"));
    }
    Ok(starts)
}

fn read_members(read: &mut Reader<'_>, lists: usize) -> Result<Box<[Member]>, FormatError> {
    let count = read.u32()? as usize;
    let stored = read.take(count.checked_mul(3).ok_or(FormatError::Damaged("members"))?)?;
    let members = stored.chunks_exact(3).map(|bytes| {
        let mut fields = Reader(bytes);
        let member = Member { list: fields.u16()?, kinds: Kinds(fields.u8()?) };
        if usize::from(member.list) < lists {
            Ok(member)
        } else {
            Err(FormatError::Damaged("a set names no list"))
        }
    });
    members.collect()
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Takes bytes off the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], FormatError> {
        let (taken, rest) =
            self.0.split_at_checked(len).ok_or(FormatError::Damaged("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], FormatError> {
        let (taken, rest) =
            self.0.split_first_chunk().ok_or(FormatError::Damaged("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, FormatError> {
        self.array::<1>().map(|b| b[0])
    }

    fn u16(&mut self) -> Result<u16, FormatError> {
        self.array().map(|b| u16::from_le_bytes(*b))
    }

    fn u32(&mut self) -> Result<u32, FormatError> {
        self.array().map(|b| u32::from_le_bytes(*b))
    }

    fn u64(&mut self) -> Result<u64, FormatError> {
        self.array().map(|b| u64::from_le_bytes(*b))
    }
}
