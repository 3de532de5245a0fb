use ipnet::{IpNet, Ipv4Net};
use proptest::prelude::*;

use super::*;

fn read<T: Read>(text: &str) -> Result<T, String> {
    T::read(&Value::from(text)).map_err(|wrong| wrong.message)
}

#[test]
fn values_are_written_the_way_they_are_read() {
    fn same<T: Read + ToString>(texts: &[&str]) {
        for text in texts {
            let read = read::<T>(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
            assert_eq!(read.to_string(), *text);
        }
    }
    same::<Period>(&["0s", "10s", "90s", "5m", "90m", "24h", "36h", "2d", "7d"]);
    same::<Range>(&["10.0.0.1", "10.0.0.1-10.0.0.9"]);
    same::<Mac>(&["02:00:5e:10:00:01"]);
    same::<Hex>(&["ff0a0b"]);
    same::<Name>(&["nas", "nas.home.arpa", "_ipp._tcp.home.arpa"]);
    same::<Zone>(&["corp.example", "192.168.0.0/16", "fd00::/8"]);
    same::<Id>(&["iot", "a-1_b.c"]);
}

#[test]
fn other_ways_to_write_the_same_are_read_too() {
    assert_eq!(read::<Period>("1h30m"), read::<Period>("90m"));
    assert_eq!(read::<Period>("1w"), read::<Period>("7d"));
    assert_eq!(read::<Mac>("02-00-5E-10-00-01"), read::<Mac>("02:00:5e:10:00:01"));
    assert_eq!(read::<Mac>("0200.5e10.0001"), read::<Mac>("02:00:5e:10:00:01"));
    assert_eq!(read::<Name>("NAS.Home.Arpa."), read::<Name>("nas.home.arpa"));
}

#[test]
fn what_is_wrong_is_said_in_plain_words() {
    let wrong = |got: Result<Ipv4Addr, String>| got.expect_err("wrong");
    assert_eq!(
        wrong(read("10.0.20.300")),
        "10.0.20.300 is not an IPv4 address: each part goes to 255."
    );
    assert_eq!(
        wrong(read("10.0.20")),
        "10.0.20 is not an IPv4 address: it has four numbers with dots between them."
    );
    assert_eq!(
        wrong(read("10.0.20.05")),
        "10.0.20.05 is not an IPv4 address: a part must not begin with 0."
    );
    assert_eq!(
        read::<Name>("a..b").expect_err("wrong"),
        "a..b is not a domain name: it has an empty part."
    );
}

#[test]
fn wire_names_have_lengths_and_end_with_zero() {
    let name = Name::parse("ads.example").unwrap_or_else(|wrong| panic!("{wrong:?}"));
    assert_eq!(name.to_wire(), b"\x03ads\x07example\0");
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(text in any::<String>(), digits in "[0-9./:a-f-]{0,30}") {
        for text in [text, digits] {
            let _ = read::<Period>(&text);
            let _ = read::<Range>(&text);
            let _ = read::<Mac>(&text);
            let _ = read::<Hex>(&text);
            let _ = read::<Name>(&text);
            let _ = read::<Zone>(&text);
            let _ = read::<Id>(&text);
            let _ = read::<Ipv4Net>(&text);
            let _ = read::<IpNet>(&text);
            let _ = read::<Zone>(&text);
        }
    }

    #[test]
    fn any_period_survives_being_written(secs in 0u64..=u64::MAX / 2) {
        let period = Period(Duration::from_secs(secs));
        prop_assert_eq!(read::<Period>(&period.to_string()), Ok(period));
    }
}
