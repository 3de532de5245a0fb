//! The cache as bytes for a file, so that a host that was restarted need not ask everything anew.
//!
//! ```text
//! "LWCACHE2", when, in seconds since 1970 (8)
//! for each answer: key length (2), key, age in seconds (4), message length (2), message
//! CRC-32 of everything before (4)
//! ```
//! Numbers are big-endian. What is read goes the way of an upstream's answer: nothing of it is
//! believed that such an answer would not be believed.

use std::time::Duration;

use super::{Cache, Entry, Key, Now, STALE_FOR};
use crate::wire::to_message;

const MAGIC: &[u8; 8] = b"LWCACHE2";

/// A saved cache that is not whole: cut off, changed, or of another version. Nothing of it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the saved answers are damaged, or of another version")]
pub struct DamagedCache;

impl Cache {
    /// Everything that is of use, stale answers included. `date`: seconds since 1970.
    pub(crate) fn save(&self, now: Now, date: u64) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&date.to_be_bytes());
        for (_, entry) in self.answers.iter() {
            let Some(key) = Key::from_bytes(entry.key()) else { continue };
            let message = entry.to_wire(&key.question());
            let (Ok(key_len), Ok(len)) =
                (u16::try_from(key.as_bytes().len()), u16::try_from(message.len()))
            else {
                continue;
            };
            if !entry.is_of_the_name() || now.0 >= entry.expires().0 + STALE_FOR {
                continue;
            }
            out.extend_from_slice(&key_len.to_be_bytes());
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(&entry.age_secs(now).to_be_bytes());
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(&message);
        }
        let sum = crc32fast::hash(&out);
        out.extend_from_slice(&sum.to_be_bytes());
        out
    }

    /// Takes back what [`Cache::save`] gave; how many answers that were. What has been learned
    /// since is newer, and stays. When the clock shows an earlier `date` than when they were saved,
    /// nobody knows how old they are: such answers count as expired, and serve only while no
    /// upstream answers.
    pub(crate) fn restore(&self, saved: &[u8], now: Now, date: u64) -> Result<usize, DamagedCache> {
        let (content, sum) = saved.split_last_chunk().ok_or(DamagedCache)?;
        if crc32fast::hash(content) != u32::from_be_bytes(*sum) {
            return Err(DamagedCache);
        }
        let rest = content.strip_prefix(MAGIC).ok_or(DamagedCache)?;
        let (saved_at, mut rest) = rest.split_first_chunk().ok_or(DamagedCache)?;
        let away = date.checked_sub(u64::from_be_bytes(*saved_at)).map(Duration::from_secs);
        let mut taken = 0;
        while !rest.is_empty() {
            let (key, age_secs, message) = read_one(&mut rest).ok_or(DamagedCache)?;
            taken += usize::from(self.restore_one(key, age_secs, message, away, now).is_some());
        }
        Ok(taken)
    }

    fn restore_one(
        &self,
        key: &[u8],
        age_secs: u32,
        message: &[u8],
        away: Option<Duration>,
        now: Now,
    ) -> Option<()> {
        let key = Key::from_bytes(key)?;
        let message = to_message(message)?;
        let age = Duration::from_secs(u64::from(age_secs));
        let entry = Entry::from_answer(message.clone(), &key, now)?;
        let age = match away {
            Some(away) => age.checked_add(away)?,
            None => age.max(Duration::from_secs(u64::from(entry.ttl_secs()))),
        };
        let stored = Now(now.0.checked_sub(age)?);
        let entry = Entry::from_answer(message, &key, stored)?;
        let of_use = entry.lives() && now.0 < entry.expires().0 + STALE_FOR;
        let hash = self.hash(key.as_bytes());
        if !of_use || self.answers.contains_key(&hash) {
            return None;
        }
        self.answers.insert(hash, entry);
        Some(())
    }
}

fn read_one<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], u32, &'a [u8])> {
    let key = take_long(rest)?;
    let (age, after) = rest.split_first_chunk()?;
    *rest = after;
    Some((key, u32::from_be_bytes(*age), take_long(rest)?))
}

/// Bytes after their length.
fn take_long<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, after) = rest.split_first_chunk()?;
    let (bytes, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    *rest = after;
    Some(bytes)
}
