//! The root's keys over the years: a new one is trusted after it has been published, signed by those
//! trusted before, for thirty days; one that its owner revokes is never trusted again (RFC 5011).
//!
//! ```text
//!            published          for 30 days
//!   unknown -----------> Pending ----------> Trusted --revoked--> Revoked
//!      ^                    |                   ^
//!      +---- not any more --+                   built in
//! ```

use std::fmt::Write as _;
use std::time::Duration;

use data_encoding::BASE64;
use hickory_proto::dnssec::rdata::DNSKEY;
use hickory_proto::dnssec::{PublicKey, PublicKeyBuf, TrustAnchors as Keys};

use crate::AnchorError;
use crate::dnssec::parse_line;

/// How long a key must have been published (RFC 5011, 2.4.1).
const HOLD_DOWN: Duration = Duration::from_secs(30 * 86_400);

/// Keys that are kept in mind; the root has three while it changes one.
const MAX_KEYS: usize = 16;

/// The flags of a key that signs keys (RFC 4034, 2.1.1; RFC 3757).
const KEY_SIGNING: u16 = 0x0101;

/// What is thought of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Trusted,
    /// Published since then, in seconds since 1970.
    Pending(u64),
    Revoked,
}

/// All keys of the root that this host knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RootKeys {
    keys: Vec<(PublicKeyBuf, State)>,
}

impl Default for RootKeys {
    /// Those built in.
    fn default() -> Self {
        let keys = Keys::default();
        let keys = (0..keys.len()).filter_map(|at| Some((keys.get(at)?.clone(), State::Trusted)));
        Self { keys: keys.collect() }
    }
}

impl RootKeys {
    /// Reads what [`RootKeys::to_text`] wrote. Keys that are built in since are trusted as well.
    pub(crate) fn parse(text: &str) -> Result<Self, AnchorError> {
        let mut read = Self { keys: Vec::new() };
        for line in text.lines() {
            let (record, note) = line.split_once(';').unwrap_or((line, ""));
            if record.trim().is_empty() {
                continue;
            }
            let (zone, key) = parse_line(record.trim())?;
            let words: Vec<&str> = note.split_whitespace().collect();
            let state = match words[..] {
                ["trusted"] => Some(State::Trusted),
                ["revoked"] => Some(State::Revoked),
                ["seen", since] => since.parse().ok().map(State::Pending),
                _ => None,
            };
            let malformed = || AnchorError::Malformed("the state of a key of the root".into());
            read.keys.push((key, state.filter(|_| zone.is_root()).ok_or_else(malformed)?));
        }
        for (key, state) in Self::default().keys {
            if read.state(&key).is_none_or(|known| matches!(known, State::Pending(_))) {
                read.keys.retain(|(other, _)| *other != key);
                read.keys.push((key, state));
            }
        }
        Ok(read)
    }

    /// A line for each key: a DNSKEY record, and as a comment what is thought of it.
    pub(crate) fn to_text(&self) -> String {
        let mut text = "; The root's keys as this host trusts them (RFC 5011).\n".to_owned();
        for (key, state) in &self.keys {
            let (algorithm, bytes) = (u8::from(key.algorithm()), BASE64.encode(key.public_bytes()));
            let state = match state {
                State::Trusted => "trusted".to_owned(),
                State::Revoked => "revoked".to_owned(),
                State::Pending(since) => format!("seen {since}"),
            };
            // Writing to a text cannot fail.
            let _ = writeln!(text, ". IN DNSKEY 257 3 {algorithm} {bytes} ; {state}");
        }
        text
    }

    fn state(&self, key: &PublicKeyBuf) -> Option<State> {
        self.keys.iter().find(|(known, _)| known == key).map(|(_, state)| *state)
    }

    pub(crate) fn trusted(&self) -> Vec<PublicKeyBuf> {
        let trusted = self.keys.iter().filter(|(_, state)| *state == State::Trusted);
        trusted.map(|(key, _)| key.clone()).collect()
    }

    /// Takes note of the keys that the root publishes, validated: those that sign keys, and those
    /// that have revoked themselves. Whether others are trusted than before.
    pub(crate) fn observe(
        &mut self,
        published: &[PublicKeyBuf],
        revoked: &[PublicKeyBuf],
        now: u64,
    ) -> bool {
        let before = self.trusted();
        for (key, state) in &mut self.keys {
            if *state == State::Trusted && revoked.contains(key) {
                *state = State::Revoked;
            }
        }
        self.keys
            .retain(|(key, state)| !matches!(state, State::Pending(_)) || published.contains(key));
        for key in published {
            let room = self.keys.len() < MAX_KEYS;
            match self.keys.iter_mut().find(|(known, _)| known == key) {
                Some((_, state @ State::Pending(_))) => {
                    let State::Pending(since) = *state else { continue };
                    // A clock that was ahead must not shorten the time.
                    let since = since.min(now);
                    *state = match now - since >= HOLD_DOWN.as_secs() {
                        true => State::Trusted,
                        false => State::Pending(since),
                    };
                }
                Some(_) => {}
                None if room => {
                    self.keys.push((key.clone(), State::Pending(now)));
                }
                None => {}
            }
        }
        self.trusted() != before
    }
}

/// The tag of a key that signs keys; 0 where it has none.
pub(crate) fn tag(key: &PublicKeyBuf) -> u16 {
    DNSKEY::with_flags(KEY_SIGNING, key.clone()).calculate_key_tag().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use hickory_proto::dnssec::Algorithm;

    use super::*;

    const DAY: u64 = 86_400;
    const NOW: u64 = 1_800_000_000;

    fn key(of: u8) -> PublicKeyBuf {
        PublicKeyBuf::new(vec![of; 32], Algorithm::ED25519)
    }

    fn built_in() -> Vec<PublicKeyBuf> {
        RootKeys::default().trusted()
    }

    fn published(more: &[PublicKeyBuf]) -> Vec<PublicKeyBuf> {
        [built_in(), more.to_vec()].concat()
    }

    #[test]
    fn a_new_key_is_trusted_after_thirty_days_without_a_break() {
        let mut keys = RootKeys::default();
        let all = published(&[key(1)]);
        for day in 0..30 {
            assert!(!keys.observe(&all, &[], NOW + day * DAY), "day {day}");
            assert_eq!(keys.trusted(), built_in());
        }
        // Gone for a moment: it begins anew.
        keys.observe(&built_in(), &[], NOW + 29 * DAY);
        assert!(!keys.observe(&all, &[], NOW + 30 * DAY));
        assert!(!keys.observe(&all, &[], NOW + 59 * DAY));
        assert!(keys.observe(&all, &[], NOW + 60 * DAY));
        assert_eq!(keys.trusted(), published(&[key(1)]));
        // Once trusted, it may be missing for as long as it likes.
        assert!(!keys.observe(&built_in(), &[], NOW + 90 * DAY));
        assert_eq!(keys.trusted(), published(&[key(1)]));
    }

    #[test]
    fn a_clock_that_was_ahead_does_not_shorten_the_time() {
        let mut keys = RootKeys::default();
        let all = published(&[key(1)]);
        keys.observe(&all, &[], NOW + 400 * DAY);
        assert!(!keys.observe(&all, &[], NOW));
        assert!(!keys.observe(&all, &[], NOW + 29 * DAY));
        assert!(keys.observe(&all, &[], NOW + 30 * DAY));
    }

    #[test]
    fn a_revoked_key_is_never_trusted_again_even_if_it_is_built_in() {
        let mut keys = RootKeys::default();
        let old = built_in()[0].clone();
        assert!(keys.observe(&built_in()[1..], std::slice::from_ref(&old), NOW));
        assert_eq!(keys.trusted(), built_in()[1..]);
        let mut again = RootKeys::parse(&keys.to_text()).expect("what was written");
        for day in 0..40 {
            assert!(!again.observe(&built_in(), &[], NOW + day * DAY));
        }
        assert_eq!(again.trusted(), built_in()[1..]);
    }

    #[test]
    fn what_is_written_reads_back_and_what_a_release_brings_is_trusted_at_once() {
        let mut keys = RootKeys::default();
        keys.observe(&published(&[key(1)]), &[], NOW);
        keys.observe(&published(&[key(1)]), &[], NOW + 31 * DAY);
        keys.observe(&published(&[key(1), key(2)]), &[], NOW + 32 * DAY);
        let text = keys.to_text();
        assert_eq!(RootKeys::parse(&text), Ok(keys));
        assert!(text.contains(&format!("; seen {}", NOW + 32 * DAY)), "{text}");
        // A file from before the release knows one of its keys as new, the other not at all.
        let line = |key: &PublicKeyBuf, state: &str| {
            let bytes = BASE64.encode(key.public_bytes());
            format!(". IN DNSKEY 257 3 {} {bytes} ; {state}\n", u8::from(key.algorithm()))
        };
        let text = line(&key(1), "trusted") + &line(&built_in()[1], "seen 1799999999");
        let read = RootKeys::parse(&text).expect("a file");
        assert_eq!(read.trusted().len(), 3);
    }

    #[test]
    fn a_damaged_file_is_told() {
        for text in [". IN DNSKEY 257 3 15 %% ; trusted", ". IN DNSKEY 257 3 15 AAAA ; hoped for"] {
            assert!(RootKeys::parse(text).is_err(), "{text}");
        }
        let elsewhere =
            format!("corp.example. IN DNSKEY 257 3 15 {} ; trusted", BASE64.encode(&[1; 32]));
        assert!(RootKeys::parse(&elsewhere).is_err());
    }

    #[test]
    fn no_number_of_keys_fills_the_memory() {
        let mut keys = RootKeys::default();
        let many: Vec<PublicKeyBuf> = (0..100).map(key).collect();
        keys.observe(&many, &[], NOW);
        assert_eq!(keys.keys.len(), MAX_KEYS);
        keys.observe(&built_in(), &[], NOW);
        assert_eq!(keys.keys.len(), 2);
    }
}
