use super::*;

fn text(raw: &[u8]) -> Option<String> {
    host_name(raw).map(|name| name.to_string())
}

#[test]
fn a_name_is_reduced_to_one_plain_label() {
    assert_eq!(text(b"Laptop").as_deref(), Some("laptop"));
    assert_eq!(text(b"laptop.home.arpa").as_deref(), Some("laptop"));
    assert_eq!(text(b"Anna's iPhone").as_deref(), Some("anna-s-iphone"));
    assert_eq!(text(b"-tv--1-").as_deref(), Some("tv--1"));
    assert_eq!(text("kühlschrank".as_bytes()).as_deref(), Some("k-hlschrank"));
    assert_eq!(text(&[b'k', 0xfc, b'l']).as_deref(), Some("k-l"));
    assert_eq!(text(&[b'a'; 200]).map(|name| name.len()), Some(63));
}

#[test]
fn trailing_nuls_are_not_part_of_a_name() {
    assert_eq!(text(b"printer\0").as_deref(), Some("printer"));
    assert_eq!(text(b"printer\0\0junk").as_deref(), Some("printer"));
}

#[test]
fn names_that_would_catch_other_peoples_traffic_are_reserved() {
    for name in ["wpad", "WPAD", "isatap", "localhost", "wpad.home.arpa", "-wpad-", "wpad\0x"] {
        let reduced = text(name.as_bytes()).expect(name);
        assert!(is_reserved_name(&reduced), "{name}");
    }
    assert!(!is_reserved_name("wpad-2"));
}

#[test]
fn names_without_a_letter_or_digit_are_none() {
    for name in ["", ".", "---", "\0", "\u{1f980}"] {
        assert_eq!(text(name.as_bytes()), None, "{name:?}");
    }
}

#[test]
fn an_fqdn_is_read_in_both_encodings() {
    let dns = from_fqdn_option(b"\x05\0\0\x06laptop\x04home\x04arpa\0");
    assert_eq!(dns.as_deref(), Some("laptop"));
    let dns_partial = from_fqdn_option(b"\x05\0\0\x06Laptop");
    assert_eq!(dns_partial.as_deref(), Some("laptop"));
    let ascii = from_fqdn_option(b"\x01\0\0laptop.home.arpa");
    assert_eq!(ascii.as_deref(), Some("laptop"));
    for bad in [&b""[..], b"\x05\0", b"\x05\0\0", b"\x05\0\0\x3flaptop", b"\x01\0\0", b"\x05\0\0\0"]
    {
        assert_eq!(from_fqdn_option(bad), None, "{bad:?}");
    }
}
