//! Which of the root's keys are trusted, told to whoever asks by names that say so (RFC 8509).

use hickory_proto::rr::{Name, RecordType};

use crate::TrustAnchors;

const IS_TRUSTED: &[u8] = b"root-key-sentinel-is-ta-";
const IS_NOT_TRUSTED: &[u8] = b"root-key-sentinel-not-ta-";

/// Whether a secure answer to this question is to be withheld: the name asks for a key to be trusted
/// that is not, or not to be that is.
pub(super) fn denies(name: &Name, rtype: RecordType, anchors: &TrustAnchors) -> bool {
    if !matches!(rtype, RecordType::A | RecordType::AAAA) {
        return false;
    }
    let Some(label) = name.iter().next().map(<[u8]>::to_ascii_lowercase) else { return false };
    let (digits, wanted) =
        match (label.strip_prefix(IS_TRUSTED), label.strip_prefix(IS_NOT_TRUSTED)) {
            (Some(digits), _) => (digits, true),
            (_, Some(digits)) => (digits, false),
            _ => return false,
        };
    // Five digits, with zeros in front.
    let is_number = digits.len() == 5 && digits.iter().all(u8::is_ascii_digit);
    let tag = std::str::from_utf8(digits).ok().filter(|_| is_number);
    let Some(tag) = tag.and_then(|it| it.parse::<u16>().ok()) else { return false };
    anchors.root_tags().contains(&tag) != wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_which_of_the_roots_keys_are_trusted() {
        let anchors = TrustAnchors::default();
        let denies = |text: &str, rtype| {
            super::denies(&Name::from_ascii(text).expect(text), rtype, &anchors)
        };
        for (label, denied) in [
            ("root-key-sentinel-is-ta-20326", false),
            ("ROOT-key-sentinel-IS-ta-38696", false),
            ("root-key-sentinel-is-ta-19036", true),
            ("root-key-sentinel-not-ta-20326", true),
            ("root-key-sentinel-not-ta-38696", true),
            ("root-key-sentinel-not-ta-19036", false),
            ("root-key-sentinel-not-ta-02032", false),
            // No such names.
            ("root-key-sentinel-is-ta-1", false),
            ("root-key-sentinel-is-ta-99999", false),
            ("root-key-sentinel-is-ta-", false),
        ] {
            let name = format!("{label}.example.");
            assert_eq!(denies(&name, RecordType::A), denied, "{name}");
            assert_eq!(denies(&name, RecordType::AAAA), denied, "{name}");
            assert!(!denies(&name, RecordType::TXT), "{name}");
            assert!(!denies(&format!("www.{name}"), RecordType::A), "{name}");
        }
    }
}
