use std::net::Ipv4Addr;

use super::*;

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

fn zone(apex: &str) -> LocalZone {
    LocalZone {
        apex: name(apex),
        name_servers: vec![name("lanward.home.arpa")],
        serial: 1,
        negative_ttl_secs: 5,
    }
}

fn host(text: &str, address: &str) -> LocalHost {
    let addresses = address.split(' ').map(|address| address.parse().expect(address)).collect();
    LocalHost { name: name(text), addresses, ttl_secs: 60 }
}

fn record(owner: &str, data: RecordData) -> LocalRecord {
    LocalRecord { name: name(owner), ttl_secs: 60, data, networks: Vec::new() }
}

fn house() -> LocalNames {
    let mut b = LocalNames::builder();
    let home = zone("home.arpa");
    b.zone(&home).reverse("10.0.30.0/24".parse().expect("net"), &home);
    b.host(&host("printer.home.arpa", "10.0.30.20")).expect("host");
    b.host(&host("deep.down.home.arpa", "10.0.30.21")).expect("host");
    b.record(&record("nas.home.arpa", RecordData::Cname(name("printer.home.arpa"))))
        .expect("cname");
    b.record(&record("shop.example", RecordData::A([10, 0, 30, 9].into()))).expect("a");
    b.record(&record("txt.example", RecordData::Txt(vec![b"hello".to_vec()]))).expect("txt");
    b.build()
}

fn verdict(names: &LocalNames, owner: &str, rtype: RecordType) -> &'static str {
    verdict_for(names, owner, rtype, "10.0.30.7")
}

fn verdict_for(names: &LocalNames, owner: &str, rtype: RecordType, asker: &str) -> &'static str {
    match names.find(name(owner).as_wire(), rtype, asker.parse().expect(asker)) {
        Found::Elsewhere => "elsewhere",
        Found::Records(_) => "records",
        Found::Alias(_) => "alias",
        Found::NoData(_) => "nodata",
        Found::NxDomain(_) => "nxdomain",
    }
}

/// The data of the records found, in order.
fn data<'n>(names: &'n LocalNames, owner: &str, rtype: RecordType, asker: &str) -> Vec<&'n [u8]> {
    match names.find(name(owner).as_wire(), rtype, asker.parse().expect(asker)) {
        Found::Records(found) => found.records().map(|record| &*record.rdata).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn ten_thousand_hosts_are_built_and_found() {
    let mut b = LocalNames::builder();
    let home = zone("home.arpa");
    b.zone(&home).reverse("10.0.0.0/8".parse().expect("net"), &home);
    for index in 0..10_000u32 {
        let address = Ipv4Addr::from_bits(0x0a00_0000 + index).to_string();
        b.host(&host(&format!("host{index}.home.arpa"), &address)).expect("host");
    }
    let names = b.build();
    assert_eq!(verdict(&names, "host9999.home.arpa", RecordType::A), "records");
    assert_eq!(verdict(&names, "15.39.0.10.in-addr.arpa", RecordType::PTR), "records");
    assert_eq!(verdict(&names, "39.0.10.in-addr.arpa", RecordType::PTR), "nodata");
}

#[test]
fn names_in_own_zones_are_all_ours() {
    let names = house();
    assert_eq!(verdict(&names, "printer.home.arpa", RecordType::A), "records");
    assert_eq!(verdict(&names, "printer.home.arpa", RecordType::AAAA), "nodata");
    assert_eq!(verdict(&names, "nas.home.arpa", RecordType::A), "alias");
    assert_eq!(verdict(&names, "nas.home.arpa", RecordType::CNAME), "records");
    assert_eq!(verdict(&names, "nobody.home.arpa", RecordType::A), "nxdomain");
    assert_eq!(verdict(&names, "home.arpa", RecordType::SOA), "records");
    assert_eq!(verdict(&names, "home.arpa", RecordType::NS), "records");
    assert_eq!(verdict(&names, "home.arpa", RecordType::A), "nodata");
}

#[test]
fn a_name_between_the_apex_and_a_host_exists() {
    assert_eq!(verdict(&house(), "down.home.arpa", RecordType::A), "nodata");
    assert_eq!(verdict(&house(), "up.home.arpa", RecordType::A), "nxdomain");
}

#[test]
fn the_signer_of_an_inner_zone_is_asked_of_the_zone_around_it() {
    let mut b = LocalNames::builder();
    for apex in ["house.example", "guests.house.example", "iot.x.y.house.example", "guests.lan"] {
        b.zone(&zone(apex));
    }
    b.zone(&zone("30.0.10.in-addr.arpa"));
    let names = b.build();
    for (owner, verdict_) in [
        // Ours above and below: the name has no DS, and no stranger hears of it.
        ("guests.house.example", "nodata"),
        ("iot.x.y.house.example", "nodata"),
        // The zone above is somebody else's.
        ("house.example", "elsewhere"),
        ("guests.lan", "elsewhere"),
        ("30.0.10.in-addr.arpa", "elsewhere"),
        ("nobody.guests.house.example", "nxdomain"),
    ] {
        assert_eq!(verdict(&names, owner, RecordType::DS), verdict_, "{owner}");
    }
    let Found::NoData(Some(around)) = names.find(
        name("guests.house.example").as_wire(),
        RecordType::DS,
        "10.0.30.7".parse().expect("v4"),
    ) else {
        panic!("no DS")
    };
    assert_eq!(around.apex, name("house.example"), "whose SOA comes along");
}

#[test]
fn a_name_between_a_zone_and_one_inside_it_exists() {
    let mut b = LocalNames::builder();
    b.zone(&zone("house.example")).zone(&zone("iot.x.y.house.example"));
    let names = b.build();
    for (owner, verdict_) in [
        ("y.house.example", "nodata"),
        ("x.y.house.example", "nodata"),
        ("z.y.house.example", "nxdomain"),
        ("x.house.example", "nxdomain"),
        ("iot.x.y.house.example", "nodata"),
    ] {
        assert_eq!(verdict(&names, owner, RecordType::A), verdict_, "{owner}");
    }
}

#[test]
fn reverse_names_follow_hosts() {
    let names = house();
    assert_eq!(verdict(&names, "20.30.0.10.in-addr.arpa", RecordType::PTR), "records");
    assert_eq!(verdict(&names, "99.30.0.10.in-addr.arpa", RecordType::PTR), "nxdomain");
    assert_eq!(verdict(&names, "1.31.0.10.in-addr.arpa", RecordType::PTR), "elsewhere");
}

#[test]
fn a_record_outside_own_zones_covers_addresses_only() {
    let names = house();
    assert_eq!(verdict(&names, "shop.example", RecordType::A), "records");
    assert_eq!(verdict(&names, "shop.example", RecordType::AAAA), "nodata");
    assert_eq!(verdict(&names, "shop.example", RecordType::HTTPS), "nodata");
    assert_eq!(verdict(&names, "shop.example", RecordType::MX), "elsewhere");
    assert_eq!(verdict(&names, "www.shop.example", RecordType::A), "elsewhere");
    assert_eq!(verdict(&names, "txt.example", RecordType::A), "elsewhere");
    assert_eq!(verdict(&names, "txt.example", RecordType::TXT), "records");
}

#[test]
fn an_alias_beside_other_data_is_refused() {
    let mut b = LocalNames::builder();
    let alias = record("x.home.arpa", RecordData::Cname(name("y.home.arpa")));
    b.record(&alias).expect("first");
    b.record(&alias).expect("the same again");
    let other = record("x.home.arpa", RecordData::A([10, 0, 0, 1].into()));
    assert_eq!(b.record(&other).err(), Some(LocalError::AliasAndData(name("x.home.arpa"))));
}

#[test]
fn texts_may_be_empty_but_not_missing_or_long() {
    let mut b = LocalNames::builder();
    let mut txt = |texts| b.record(&record("t.home.arpa", RecordData::Txt(texts))).err();
    let refused = Some(LocalError::Text(name("t.home.arpa")));
    assert_eq!(txt(vec![Vec::new()]), None);
    assert_eq!(txt(vec![vec![b'x'; 255], vec![b'y'; 255]]), None);
    assert_eq!(txt(Vec::new()), refused);
    assert_eq!(txt(vec![vec![b'x'; 256]]), refused);
}

#[test]
fn an_explicit_ptr_wins_over_the_hosts_own() {
    let mut b = LocalNames::builder();
    let ptr = record("1.0.0.10.in-addr.arpa", RecordData::Ptr(name("router.home.arpa")));
    b.record(&ptr).expect("ptr");
    b.host(&host("other.home.arpa", "10.0.0.1")).expect("host");
    let names = b.build();
    let found = data(&names, "1.0.0.10.in-addr.arpa", RecordType::PTR, "10.0.30.7");
    assert_eq!(found, [name("router.home.arpa").as_wire()]);
}

#[test]
fn a_name_shared_by_many_records_keeps_them_all_once() {
    let mut b = LocalNames::builder();
    for _ in 0..2 {
        b.host(&host("two.home.arpa", "10.0.0.1")).expect("host");
        b.host(&host("two.home.arpa", "10.0.0.2")).expect("host");
    }
    let names = b.build();
    assert_eq!(data(&names, "two.home.arpa", RecordType::A, "10.0.30.7").len(), 2);
}

/// The same house with three networks, and names that are not the same in all of them.
fn split_house() -> LocalNames {
    let mut b = LocalNames::builder();
    let home = zone("home.arpa");
    b.zone(&home).zone(&zone("iot.home.arpa")).domain(&name("home.arpa"));
    let net = |text: &str| text.parse().expect(text);
    let office = b.network([net("10.0.10.0/24"), net("fd00:10::/64")], Some(&name("home.arpa")));
    let things = b.network([net("10.0.30.0/24")], Some(&name("iot.home.arpa")));
    let server = b.network([net("10.0.30.128/25")], None);
    b.host(&host("nas.home.arpa", "10.0.30.5 10.0.10.5 192.0.2.5 fd00:10::5")).expect("nas");
    b.host(&host("tv.iot.home.arpa", "10.0.30.9")).expect("tv");
    let mut add = |owner: &str, data, networks: &[NetworkId]| {
        let record = LocalRecord { networks: networks.into(), ..record(owner, data) };
        b.record(&record).expect(owner);
    };
    let a = |last| RecordData::A([10, 0, 0, last].into());
    add("shop.example", a(1), &[]);
    add("shop.example", RecordData::Txt(vec![b"all".to_vec()]), &[]);
    add("shop.example", a(2), &[things, server]);
    add("deep.secret.home.arpa", a(3), &[office]);
    add("*.lab.home.arpa", a(4), &[office]);
    add("mixed.home.arpa", RecordData::Cname(name("nas.home.arpa")), &[]);
    add("mixed.home.arpa", a(5), &[office]);
    b.build()
}

#[test]
fn a_client_gets_the_addresses_of_its_own_network_first() {
    let names = split_house();
    let a = |asker| data(&names, "nas.home.arpa", RecordType::A, asker);
    let [things, office, outside]: [&[u8]; 3] = [&[10, 0, 30, 5], &[10, 0, 10, 5], &[192, 0, 2, 5]];
    assert_eq!(a("10.0.10.7"), [office, things, outside]);
    assert_eq!(a("fd00:10::7"), [office, things, outside]);
    assert_eq!(a("::ffff:10.0.10.7"), [office, things, outside]);
    assert_eq!(a("10.0.30.7"), [things, office, outside]);
    assert_eq!(a("10.0.30.130"), [things, office, outside], "its own network has none");
    assert_eq!(a("127.0.0.1"), [things, office, outside], "as they were given");
}

#[test]
fn records_for_a_network_stand_in_place_of_everybodys() {
    let names = split_house();
    let a = |asker| data(&names, "shop.example", RecordType::A, asker);
    assert_eq!(a("10.0.10.7"), [[10, 0, 0, 1]]);
    assert_eq!(a("10.0.30.7"), [[10, 0, 0, 2]]);
    assert_eq!(a("10.0.30.200"), [[10, 0, 0, 2]]);
    let txt = |asker| verdict_for(&names, "shop.example", RecordType::TXT, asker);
    assert_eq!((txt("10.0.10.7"), txt("10.0.30.7")), ("records", "elsewhere"));
    let mixed = |asker| verdict_for(&names, "mixed.home.arpa", RecordType::A, asker);
    assert_eq!((mixed("10.0.30.7"), mixed("10.0.10.7")), ("alias", "records"));
}

#[test]
fn a_name_for_one_network_does_not_exist_for_the_others() {
    let names = split_house();
    for (owner, inside) in [
        ("deep.secret.home.arpa", "records"),
        ("secret.home.arpa", "nodata"),
        ("any.lab.home.arpa", "records"),
        ("lab.home.arpa", "nodata"),
    ] {
        assert_eq!(verdict_for(&names, owner, RecordType::A, "10.0.10.7"), inside, "{owner}");
        for asker in ["10.0.30.7", "127.0.0.1"] {
            assert_eq!(verdict_for(&names, owner, RecordType::A, asker), "nxdomain", "{owner}");
        }
    }
}

#[test]
fn a_plain_name_is_completed_with_the_domain_of_the_clients_network() {
    let names = split_house();
    let asked = |plain: &str, rtype, asker: &str| match names.find_asked(
        name(plain).as_wire(),
        rtype,
        asker.parse().expect(asker),
    ) {
        Found::Records(found) => found.records().count(),
        Found::Elsewhere => 0,
        other => panic!("{other:?}"),
    };
    assert_eq!(asked("nas", RecordType::A, "10.0.10.7"), 3);
    assert_eq!(asked("nas", RecordType::A, "10.0.30.7"), 3, "in the household's domain");
    assert_eq!(asked("tv", RecordType::A, "10.0.30.7"), 1);
    assert_eq!(asked("tv", RecordType::A, "10.0.10.7"), 0, "another network's domain");
    assert_eq!(asked("nas", RecordType::TXT, "10.0.10.7"), 0, "not an address");
    assert_eq!(asked("nas.example", RecordType::A, "10.0.10.7"), 0, "not plain");
    assert_eq!(asked(&"x".repeat(63), RecordType::A, "10.0.10.7"), 0);
}

/// The zone of RFC 4592, 2.2.1, under another name.
fn wild_house() -> LocalNames {
    let mut b = LocalNames::builder();
    b.zone(&zone("house.test"));
    let mut add = |owner: &str, data| {
        b.record(&record(owner, data)).expect(owner);
    };
    let txt = || RecordData::Txt(vec![b"this is a wildcard".to_vec()]);
    add("*.house.test", txt());
    add("*.house.test", RecordData::Mx { preference: 10, exchange: name("host1.house.test") });
    add("sub.*.house.test", txt());
    add("host1.house.test", RecordData::A([192, 0, 2, 1].into()));
    add("_ssh._tcp.host1.house.test", txt());
    add("_ssh._tcp.host2.house.test", txt());
    add("*.lab.example", RecordData::A([10, 0, 0, 1].into()));
    add("a.lab.example", RecordData::A([10, 0, 0, 2].into()));
    add("*.deep.lab.example", RecordData::A([10, 0, 0, 3].into()));
    b.build()
}

#[test]
fn a_wildcard_in_a_zone_of_ours_is_that_of_rfc_4592() {
    let names = wild_house();
    for (owner, rtype, verdict_) in [
        ("host3.house.test", RecordType::MX, "records"),
        ("host3.house.test", RecordType::A, "nodata"),
        ("foo.bar.house.test", RecordType::TXT, "records"),
        ("host1.house.test", RecordType::MX, "nodata"),
        ("sub.*.house.test", RecordType::MX, "nodata"),
        ("_telnet._tcp.host1.house.test", RecordType::TXT, "nxdomain"),
        ("host2.house.test", RecordType::MX, "nodata"),
        ("ghost.*.house.test", RecordType::MX, "nxdomain"),
        ("*.house.test", RecordType::MX, "records"),
        ("house.test", RecordType::MX, "nodata"),
    ] {
        assert_eq!(verdict(&names, owner, rtype), verdict_, "{owner} {rtype:?}");
    }
}

#[test]
fn a_wildcard_outside_covers_all_names_below_that_have_no_record() {
    let names = wild_house();
    for (owner, address) in [
        ("x.lab.example", Some(1)),
        ("x.y.lab.example", Some(1)),
        ("a.lab.example", Some(2)),
        ("x.a.lab.example", Some(1)),
        ("x.deep.lab.example", Some(3)),
        ("deep.lab.example", Some(1)),
        ("lab.example", None),
        ("slab.example", None),
    ] {
        let found = data(&names, owner, RecordType::A, "10.0.30.7");
        let wanted: Vec<[u8; 4]> = address.map(|last| [10, 0, 0, last]).into_iter().collect();
        assert_eq!(found, wanted, "{owner}");
    }
    assert_eq!(verdict(&names, "x.lab.example", RecordType::AAAA), "nodata");
    assert_eq!(verdict(&names, "x.lab.example", RecordType::MX), "elsewhere");
}

#[test]
fn the_content_is_another_when_a_record_is_and_not_for_the_serial() {
    let of = |serial, last: u8, ttl_secs| {
        let mut b = LocalNames::builder();
        b.zone(&LocalZone { serial, ..zone("home.arpa") });
        for last in [last, 200] {
            let data = RecordData::A([10, 0, 0, last].into());
            let record = LocalRecord { ttl_secs, ..record("a.home.arpa", data) };
            b.record(&record).expect("a");
        }
        b.build().content()
    };
    assert_eq!(of(1, 7, 60), of(2, 7, 60));
    assert_ne!(of(1, 7, 60), of(1, 8, 60));
    assert_ne!(of(1, 7, 60), of(1, 7, 61));
}

#[test]
fn data_of_rarer_types_is_read_from_the_text_of_zone_files() {
    let wire = |rtype, text: &str| match RecordData::from_text(rtype, text) {
        Ok(RecordData::Other(_, wire)) => Some(wire),
        _ => None,
    };
    let caa = wire(RecordType::CAA, "0 issue \"ca.example\"");
    assert_eq!(caa.as_deref(), Some(&b"\0\x05issueca.example"[..]));
    let https = wire(RecordType::HTTPS, "1 . alpn=h2 port=8443 ipv4hint=10.0.0.5");
    let wanted = b"\0\x01\0\0\x01\0\x03\x02h2\0\x03\0\x02\x20\xfb\0\x04\0\x04\x0a\0\0\x05";
    assert_eq!(https.as_deref(), Some(&wanted[..]));
    for (rtype, bad) in [
        (RecordType::CAA, ""),
        (RecordType::CAA, "x issue"),
        (RecordType::HTTPS, "1"),
        (RecordType::HTTPS, "1 . port=99999999"),
        (RecordType::SSHFP, "1 1 zz"),
        (RecordType::TLSA, "3 1 1"),
        (RecordType::A, "10.0.0.1"),
    ] {
        assert_eq!(wire(rtype, bad), None, "{rtype:?} {bad}");
    }
}

#[test]
fn no_name_of_the_house_is_passed_over_whatever_its_top_label_is() {
    for top in ["a", "x1", "arpa", "example", "xn--p1ai"] {
        let mut b = LocalNames::builder();
        b.zone(&zone(top));
        b.record(&record(&format!("*.{top}"), RecordData::A([10, 0, 30, 9].into()))).expect("a");
        let names = b.build();
        assert_eq!(verdict(&names, &format!("www.{top}"), RecordType::A), "records", "{top}");
        assert_eq!(verdict(&names, top, RecordType::SOA), "records", "{top}");
        assert_eq!(verdict(&names, "www.other.org", RecordType::A), "elsewhere");
    }
    let mut b = LocalNames::builder();
    b.record(&record("*", RecordData::A([10, 0, 30, 9].into()))).expect("a");
    assert_eq!(verdict(&b.build(), "www.other.org", RecordType::A), "records");
}
