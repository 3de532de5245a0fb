//! Domain names in the one form everything here works on.

use std::fmt;

/// A domain name in wire format: lower case, uncompressed, ending with the root label's zero
/// byte, at most 255 bytes (RFC 1035 section 2.3.4). Lives on the stack: parsing a list of a
/// million names allocates nothing.
#[derive(Clone, Copy)]
pub struct WireName {
    len: u8,
    bytes: [u8; 255],
}

/// Why a text is not a domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there, or only a dot.
    #[error("the name is empty")]
    Empty,
    /// Two dots in a row, or a dot at the start.
    #[error("a label is empty")]
    EmptyLabel,
    /// A label of more than 63 bytes.
    #[error("a label has more than 63 characters")]
    LongLabel,
    /// More than 255 bytes in wire format.
    #[error("the name has more than 253 characters")]
    LongName,
    /// A character that a host or service name cannot have.
    #[error("a character that names do not have")]
    Character,
    /// Not a valid internationalised name (UTS 46).
    #[error("not a valid internationalised name")]
    Idna,
}

impl WireName {
    /// Parses presentation text: letters, digits, hyphen and underscore, in any case, with or
    /// without the final dot. Other scripts become A-labels (UTS 46).
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_ascii() {
            return Self::parse_ascii(text.as_bytes());
        }
        let ascii = idna::domain_to_ascii(text).map_err(|_| NameError::Idna)?;
        Self::parse_ascii(ascii.as_bytes())
    }

    fn parse_ascii(text: &[u8]) -> Result<Self, NameError> {
        let text = text.strip_suffix(b".").unwrap_or(text);
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        let mut name = Self { len: 0, bytes: [0; 255] };
        let mut at = 0_usize;
        for label in text.split(|&b| b == b'.') {
            let len = match label.len() {
                0 => return Err(NameError::EmptyLabel),
                len @ 1..=63 => len,
                _ => return Err(NameError::LongLabel),
            };
            // The label, its length byte, and room for the root label.
            let room = name.bytes.get_mut(at..at + 1 + len).ok_or(NameError::LongName)?;
            let (length_byte, body) = room.split_first_mut().ok_or(NameError::LongName)?;
            *length_byte = len as u8;
            for (to, &from) in body.iter_mut().zip(label) {
                *to = match from {
                    b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => from,
                    b'A'..=b'Z' => from.to_ascii_lowercase(),
                    _ => return Err(NameError::Character),
                };
            }
            at += 1 + len;
        }
        if at > 254 {
            return Err(NameError::LongName);
        }
        name.len = at as u8 + 1;
        Ok(name)
    }

    /// Checks and copies a name in wire format. Upper case is folded; any other byte is kept, as
    /// a question may hold any. `None` when the bytes are not exactly one uncompressed name.
    pub fn from_wire(wire: &[u8]) -> Option<Self> {
        let mut at = 0_usize;
        loop {
            match *wire.get(at)? {
                0 => break,
                len @ 1..=63 => at += 1 + usize::from(len),
                _ => return None,
            }
        }
        if at + 1 != wire.len() {
            return None;
        }
        let mut name = Self { len: u8::try_from(wire.len()).ok()?, bytes: [0; 255] };
        name.bytes.get_mut(..wire.len())?.copy_from_slice(wire);
        // Length bytes are 0 to 63, below any letter: folding the whole is safe.
        name.bytes.make_ascii_lowercase();
        Some(name)
    }

    /// The wire bytes, final zero included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The labels from left to right, without the root.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.as_bytes();
        std::iter::from_fn(move || {
            let (&len, tail) = rest.split_first()?;
            let (label, tail) = tail.split_at_checked(usize::from(len))?;
            rest = tail;
            (len != 0).then_some(label)
        })
    }

    /// The suffix of the last `count` labels; the whole name when it has fewer.
    pub fn suffix(&self, count: usize) -> Self {
        let skip = self.labels().count().saturating_sub(count);
        let offset: usize = self.labels().take(skip).map(|l| l.len() + 1).sum();
        let wire = &self.as_bytes()[offset..];
        let mut bytes = [0; 255];
        bytes[..wire.len()].copy_from_slice(wire);
        Self { len: wire.len() as u8, bytes }
    }

    /// Whether this is `parent` or below it.
    pub fn is_within(&self, parent: &Self) -> bool {
        self.suffix(parent.labels().count()) == *parent
    }

    /// Whether the last label is all digits: an address, not a name (RFC 1123 section 2.1).
    pub fn is_numeric(&self) -> bool {
        self.labels().last().is_some_and(|label| label.iter().all(u8::is_ascii_digit))
    }
}

impl PartialEq for WireName {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for WireName {}

impl PartialOrd for WireName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for WireName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl std::str::FromStr for WireName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

/// Presentation format without the final dot; bytes that are not printable are escaped as `\DDD`
/// (RFC 1035 section 5.1).
impl fmt::Display for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.len == 1 {
            return f.write_str(".");
        }
        for (i, label) in self.labels().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            for &byte in label {
                match byte {
                    b'.' | b'\\' => write!(f, "\\{}", byte as char)?,
                    0x21..=0x7e => write!(f, "{}", byte as char)?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WireName({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_lower_case_wire_bytes_with_the_root() {
        assert_eq!(WireName::parse("Ads.Example").unwrap().as_bytes(), b"\x03ads\x07example\0");
        assert_eq!(WireName::parse("a.b.").unwrap(), WireName::parse("a.b").unwrap());
    }

    #[test]
    fn other_scripts_become_a_labels() {
        assert_eq!(WireName::parse("bücher.example").unwrap().to_string(), "xn--bcher-kva.example");
        assert_eq!(WireName::parse("BÜCHER.example").unwrap().to_string(), "xn--bcher-kva.example");
    }

    #[test]
    fn what_is_not_a_name_says_why() {
        for (text, error) in [
            ("", NameError::Empty),
            (".", NameError::Empty),
            ("a..b", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            ("a b", NameError::Character),
            ("a/b", NameError::Character),
            (&"a".repeat(64), NameError::LongLabel),
            (&"a.".repeat(128), NameError::LongName),
        ] {
            assert_eq!(WireName::parse(text).unwrap_err(), error, "{text:?}");
        }
        // 127 labels of one byte: 254 bytes and the root, the most there can be.
        assert_eq!(WireName::parse(&"a.".repeat(127)).unwrap().as_bytes().len(), 255);
    }

    #[test]
    fn wire_bytes_are_checked() {
        assert!(WireName::from_wire(b"\x01a\0").is_some());
        for bad in [&b""[..], b"\x01", b"\x01a", b"\x01a\0\0", b"\xc0\x0c", b"\x40a\0"] {
            assert!(WireName::from_wire(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn suffixes_are_whole_labels() {
        let name = WireName::parse("x.ads.example").unwrap();
        assert_eq!(name.suffix(2).to_string(), "ads.example");
        assert_eq!(name.suffix(9), name);
        assert!(name.is_within(&WireName::parse("example").unwrap()));
        assert!(!name.is_within(&WireName::parse("s.example").unwrap()));
    }
}
