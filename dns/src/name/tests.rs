use super::*;

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

#[test]
fn text_becomes_lower_case_wire_and_back() {
    assert_eq!(name("Printer.Home.ARPA.").as_wire(), b"\x07printer\x04home\x04arpa\0");
    assert_eq!(name("printer.home.arpa").to_string(), "printer.home.arpa");
    assert_eq!(name(".").as_wire(), b"\0");
    assert_eq!(name(".").to_string(), ".");
    assert_eq!(name("_dns-sd._udp.home.arpa").labels(), 4);
}

#[test]
fn what_is_no_name_is_refused_with_the_reason() {
    assert_eq!("a..b".parse::<Name>(), Err(NameError::EmptyLabel));
    assert_eq!(".a".parse::<Name>(), Err(NameError::EmptyLabel));
    assert_eq!("a".repeat(64).parse::<Name>(), Err(NameError::LongLabel));
    assert_eq!(["a"; 128].join(".").parse::<Name>(), Err(NameError::LongName));
    assert!(["a"; 127].join(".").parse::<Name>().is_ok());
    assert_eq!("caf\u{e9}.example".parse::<Name>(), Err(NameError::Character('\u{e9}')));
    assert_eq!("a b".parse::<Name>(), Err(NameError::Character(' ')));
}

#[test]
fn wire_that_is_no_single_name_is_refused() {
    for bad in [&b""[..], b"\x03ab", b"\x01a", b"\x01a\0x", b"\xc0\x0c", b"\x40a"] {
        assert_eq!(Name::from_wire(bad), None, "{bad:?}");
    }
    assert_eq!(Name::from_wire(b"\x01A\0"), Some(name("a")));
}

#[test]
fn odd_bytes_are_escaped_in_text() {
    let odd = Name::from_wire(b"\x04a.\x07b\0").expect("valid");
    assert_eq!(odd.to_string(), "a\\.\\007b");
}

#[test]
fn reverse_names_follow_the_address() {
    let reverse = |text: &str| Name::reverse_of(text.parse().expect(text)).to_string();
    assert_eq!(reverse("10.0.30.20"), "20.30.0.10.in-addr.arpa");
    assert_eq!(reverse("::ffff:10.0.30.20"), "20.30.0.10.in-addr.arpa");
    assert_eq!(
        reverse("2001:db8::1"),
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
    );
}

#[test]
fn reverse_zones_cover_their_network() {
    let zones = |text: &str| -> Vec<String> {
        Name::reverse_zones(text.parse().expect(text)).iter().map(Name::to_string).collect()
    };
    assert_eq!(zones("10.0.30.0/24"), ["30.0.10.in-addr.arpa"]);
    assert_eq!(zones("10.0.30.128/25"), ["30.0.10.in-addr.arpa"]);
    assert_eq!(zones("10.0.30.0/23"), ["30.0.10.in-addr.arpa", "31.0.10.in-addr.arpa"]);
    assert_eq!(zones("172.16.0.0/12").len(), 16);
    assert_eq!(zones("10.0.0.0/8"), ["10.in-addr.arpa"]);
    assert_eq!(zones("fd00:1::/64"), ["0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa"]);
    assert_eq!(zones("fd00:1::/62").len(), 4);
}

#[test]
fn a_name_is_within_its_parents_only() {
    let host = name("printer.home.arpa");
    assert!(host.is_within(&name("home.arpa")));
    assert!(host.is_within(&host));
    assert!(host.is_within(&Name::root()));
    assert!(!host.is_within(&name("ome.arpa")));
    assert_eq!(name("printer").under(&name("home.arpa")), Ok(host));
}
