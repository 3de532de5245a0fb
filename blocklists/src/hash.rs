//! The keyed hash of names, taken of all suffixes in one pass.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

/// The secret of this installation. With it nobody outside can construct a name that collides
/// with a rule, or rules that overflow one bucket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey(pub [u8; 16]);

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(..)")
    }
}

/// SipHash-1-3 with the key already mixed in; copied for every name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameHasher(SipHasher13);

/// One suffix of a name: `labels` labels, from `offset` in the wire bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Suffix {
    pub(crate) hash: u64,
    pub(crate) labels: u8,
    pub(crate) offset: u8,
    /// This is the whole name.
    pub(crate) whole: bool,
}

impl NameHasher {
    pub(crate) fn new(key: &HashKey) -> Self {
        Self(SipHasher13::new_with_key(&key.0))
    }

    /// Calls `each` for every suffix of `wire` from the shortest (one label) to the whole name.
    /// The hash runs over the labels from right to left, each with its length byte before it, so
    /// that each suffix costs its own label and a finish. Bytes that are no name call nothing.
    pub(crate) fn suffixes(&self, wire: &[u8], mut each: impl FnMut(Suffix)) {
        let mut offsets = [0_u8; 128];
        let mut count = 0_usize;
        let mut at = 0_usize;
        if wire.len() > 255 {
            return;
        }
        loop {
            match wire.get(at) {
                Some(0) => break,
                Some(&len @ 1..=63) => {
                    let Some(slot) = offsets.get_mut(count) else { return };
                    *slot = at as u8;
                    count += 1;
                    at += 1 + usize::from(len);
                }
                _ => return,
            }
        }
        let mut hasher = self.0;
        let mut end = at;
        for (labels, &offset) in (1_u8..).zip(offsets[..count].iter().rev()) {
            let start = usize::from(offset);
            let Some(label) = wire.get(start..end) else { return };
            hasher.write(label);
            end = start;
            each(Suffix { hash: hasher.finish(), labels, offset, whole: start == 0 });
        }
    }

    /// The hash of a whole name, as [`Self::suffixes`] gives it for its last suffix.
    pub(crate) fn whole(&self, wire: &[u8]) -> u64 {
        let mut hash = 0;
        self.suffixes(wire, |suffix| hash = suffix.hash);
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WireName;

    #[test]
    fn a_suffix_hashes_as_the_name_it_is() {
        let hasher = NameHasher::new(&HashKey([7; 16]));
        let name = WireName::parse("a.bc.example").unwrap();
        let mut seen = Vec::new();
        hasher.suffixes(name.as_bytes(), |s| seen.push(s));
        assert_eq!(seen.len(), 3);
        for suffix in &seen {
            let text = name.suffix(usize::from(suffix.labels));
            assert_eq!(suffix.hash, hasher.whole(text.as_bytes()));
            assert_eq!(text.as_bytes(), &name.as_bytes()[usize::from(suffix.offset)..]);
        }
        assert_eq!(seen.iter().map(|s| s.whole).collect::<Vec<_>>(), [false, false, true]);
    }

    #[test]
    fn label_boundaries_and_the_key_change_the_hash() {
        let hasher = NameHasher::new(&HashKey([7; 16]));
        let other = NameHasher::new(&HashKey([8; 16]));
        let ab_c = WireName::parse("ab.c").unwrap();
        let a_bc = WireName::parse("a.bc").unwrap();
        assert_ne!(hasher.whole(ab_c.as_bytes()), hasher.whole(a_bc.as_bytes()));
        assert_ne!(hasher.whole(ab_c.as_bytes()), other.whole(ab_c.as_bytes()));
    }

    #[test]
    fn what_is_no_name_has_no_suffix() {
        let hasher = NameHasher::new(&HashKey([7; 16]));
        for bad in [&b""[..], b"\x01", b"\x05ab\0", b"\xc0\x0c", &[1; 300]] {
            hasher.suffixes(bad, |s| panic!("{s:?} of {bad:?}"));
        }
    }
}
