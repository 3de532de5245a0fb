use super::*;
use crate::Name;

fn zone_of(text: &str) -> Option<String> {
    let name: Name = text.parse().expect(text);
    let zone = stays_inside(name.as_wire())?;
    Some(Name::from_wire(zone).expect("a zone is a name").to_string())
}

#[test]
fn private_names_stay_inside_under_their_zone() {
    for (name, zone) in [
        ("printer.local", "local"),
        ("a.b.test", "test"),
        ("x.home.arpa", "home.arpa"),
        ("home.arpa", "home.arpa"),
        ("1.2.3.10.in-addr.arpa", "10.in-addr.arpa"),
        ("10.in-addr.arpa", "10.in-addr.arpa"),
        ("1.1.16.172.in-addr.arpa", "16.172.in-addr.arpa"),
        ("1.1.31.172.in-addr.arpa", "31.172.in-addr.arpa"),
        ("5.1.168.192.in-addr.arpa", "168.192.in-addr.arpa"),
        ("1.1.254.169.in-addr.arpa", "254.169.in-addr.arpa"),
        ("1.1.100.100.in-addr.arpa", "100.100.in-addr.arpa"),
        ("1.0.0.127.in-addr.arpa", "127.in-addr.arpa"),
        ("7.2.0.192.in-addr.arpa", "2.0.192.in-addr.arpa"),
        ("255.255.255.255.in-addr.arpa", "255.255.255.255.in-addr.arpa"),
        ("1.0.d.f.ip6.arpa", "d.f.ip6.arpa"),
        ("1.8.e.f.ip6.arpa", "8.e.f.ip6.arpa"),
        ("1.8.b.d.0.1.0.0.2.ip6.arpa", "8.b.d.0.1.0.0.2.ip6.arpa"),
    ] {
        assert_eq!(zone_of(name).as_deref(), Some(zone), "{name}");
    }
    let loopback = Name::reverse_of("::1".parse().expect("v6")).to_string();
    assert_eq!(zone_of(&loopback), Some(loopback));
}

#[test]
fn public_names_do_not() {
    for name in [
        ".",
        "arpa",
        "example.com",
        "mylocal",
        "local.example",
        "in-addr.arpa",
        "172.in-addr.arpa",
        "1.1.15.172.in-addr.arpa",
        "1.1.32.172.in-addr.arpa",
        "1.1.1.1.in-addr.arpa",
        "1.1.63.100.in-addr.arpa",
        "1.0.0.192.in-addr.arpa",
        "x.y.in-addr.arpa",
        "c.f.ip6.arpa",
        "0.ip6.arpa",
        "1.9.b.d.0.1.0.0.2.ip6.arpa",
    ] {
        assert_eq!(zone_of(name), None, "{name}");
    }
}
