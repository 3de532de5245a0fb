use super::*;

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

fn zone(apex: &str) -> LocalZone {
    LocalZone {
        apex: name(apex),
        name_server: name("lanward.home.arpa"),
        serial: 1,
        negative_ttl_secs: 5,
    }
}

fn host(text: &str, address: &str) -> LocalHost {
    LocalHost { name: name(text), addresses: vec![address.parse().expect(address)], ttl_secs: 60 }
}

fn record(owner: &str, data: RecordData) -> LocalRecord {
    LocalRecord { name: name(owner), ttl_secs: 60, data }
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
    match names.find(name(owner).as_wire(), rtype) {
        Found::Elsewhere => "elsewhere",
        Found::Records(_) => "records",
        Found::Alias(_) => "alias",
        Found::NoData(_) => "nodata",
        Found::NxDomain(_) => "nxdomain",
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
    let Found::Records(node) = names.find(name("1.0.0.10.in-addr.arpa").as_wire(), RecordType::PTR)
    else {
        panic!("no PTR")
    };
    assert_eq!(node.records.len(), 1);
    assert_eq!(&*node.records[0].rdata, name("router.home.arpa").as_wire());
}

#[test]
fn a_name_shared_by_many_records_keeps_them_all_once() {
    let mut b = LocalNames::builder();
    for _ in 0..2 {
        b.host(&host("two.home.arpa", "10.0.0.1")).expect("host");
        b.host(&host("two.home.arpa", "10.0.0.2")).expect("host");
    }
    let names = b.build();
    let Found::Records(node) = names.find(name("two.home.arpa").as_wire(), RecordType::A) else {
        panic!("no A")
    };
    assert_eq!(node.records.len(), 2);
}
