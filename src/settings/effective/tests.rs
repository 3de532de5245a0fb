use lanward_dhcp::HwAddr;
use proptest::prelude::*;
use serde_json::json;

use super::super::problem::Severity;
use super::*;

mod local_records;

fn records<const N: usize>(records: [(&str, Value); N]) -> BTreeMap<String, String> {
    records.into_iter().map(|(key, value)| (key.to_owned(), value.to_string())).collect()
}

fn host(own: &[&str], partner: &[&str]) -> HostView {
    let parse = |addrs: &[&str]| addrs.iter().filter_map(|addr| addr.parse().ok()).collect();
    HostView {
        node: "pi-a".into(),
        addresses: parse(own),
        partner_addresses: parse(partner),
        ..HostView::default()
    }
}

fn told(effective: &Effective) -> Vec<String> {
    let line = |p: &Problem| format!("{} {}: {}", p.place.key, p.place.field, p.message);
    effective.problems.iter().map(line).collect()
}

#[test]
fn nothing_configured_blocks_by_the_built_in_list_and_serves_loopback_only() {
    let effective = derive(&BTreeMap::new(), &HostView::default());
    assert_eq!(effective.problems, []);
    assert_eq!(effective.lists.len(), 1);
    assert_eq!(effective.policy_lists, [vec![Arc::from("builtin")]]);
    assert_eq!(effective.policies.of([127, 0, 0, 1].into()), Some(PolicyId(0)));
    assert_eq!(effective.policies.of([10, 0, 0, 1].into()), None);
    assert!(effective.dhcp.networks.is_empty());
    assert_eq!(derive(&default_household(), &HostView::default()), effective);
}

#[test]
fn limits_and_rebinding_are_on_until_somebody_says_otherwise() {
    use lanward_dns::{Protection, RateLimit, Rebinding};
    let names = |names: &[&str]| names.iter().map(|name| name.parse().expect("name")).collect();
    let allowing = |text: &[&str]| {
        let names: Vec<lanward_dns::Name> = names(text);
        Some(Rebinding::allowing(names))
    };
    let usual = derive(&BTreeMap::new(), &HostView::default()).protection;
    assert_eq!(
        usual,
        Protection { rebinding: allowing(&["plex.direct"]), ..Protection::default() }
    );
    let records = records([
        ("setting/rate_limit", json!(50)),
        ("setting/private_names", json!(["vpn.example", "lab.example"])),
    ]);
    let effective = derive(&records, &HostView::default());
    assert_eq!(effective.problems, []);
    let rate_limit = Some(RateLimit { per_second: 50, burst: 250 });
    let rebinding = allowing(&["lab.example", "vpn.example"]);
    assert_eq!(effective.protection, Protection { rate_limit, rebinding });
    let off = self::records([
        ("setting/rate_limit", json!(0)),
        ("setting/rebinding_protection", json!(false)),
    ]);
    assert_eq!(derive(&off, &HostView::default()).protection, Protection::OFF);
}

#[test]
fn options_are_encoded_byte_for_byte() {
    let records = records([(
        "network/a",
        json!({
            "subnet": "10.0.20.0/22", "router": "10.0.20.1", "domain": "iot.home.arpa",
            "dhcp": {
                "pools": ["10.0.20.10-10.0.20.20"],
                "ntp": ["10.0.20.1", "10.0.20.2"],
                "search": ["eng.apple.com", "marketing.apple.com", "com"],
                "routes": [
                    {"to": "10.17.0.0/16", "via": "10.0.20.8"},
                    {"to": "10.27.129.0/24", "via": "10.0.20.9"},
                ],
                "options": [
                    {"code": 66, "text": "tftp"},
                    {"code": 43, "hex": "01:02:ff"},
                    {"code": 26, "u16": 1400},
                    {"code": 23, "u8": 64},
                    {"code": 24, "u32": 1},
                    {"code": 150, "addresses": ["10.0.20.5", "10.0.20.6"]},
                ],
            },
        }),
    )]);
    let effective = derive(&records, &host(&["10.0.20.2"], &["10.0.20.3"]));
    assert_eq!(told(&effective), [""; 0]);
    let options = &effective.dhcp.networks["a"].options;
    let expect: &[(u8, &[u8])] = &[
        (1, &[255, 255, 252, 0]),
        (3, &[10, 0, 20, 1]),
        (6, &[10, 0, 20, 2, 10, 0, 20, 3]),
        (15, b"iot.home.arpa"),
        (23, &[64]),
        (24, &[0, 0, 0, 1]),
        (26, &[0x05, 0x78]),
        (28, &[10, 0, 23, 255]),
        (42, &[10, 0, 20, 1, 10, 0, 20, 2]),
        (43, &[1, 2, 255]),
        (66, b"tftp"),
        // The example of RFC 3397 section 3, and a name that is all pointer.
        (119, b"\x03eng\x05apple\x03com\0\x09marketing\xc0\x04\xc0\x0a"),
        // Prefix length, its significant bytes, router; at the end the default route.
        (121, &[16, 10, 17, 10, 0, 20, 8, 24, 10, 27, 129, 10, 0, 20, 9, 0, 10, 0, 20, 1]),
        (150, &[10, 0, 20, 5, 10, 0, 20, 6]),
    ];
    let got: Vec<(u8, &[u8])> = options.iter().map(|(code, v)| (*code, v.as_slice())).collect();
    assert_eq!(got, expect);
}

#[test]
fn a_default_route_of_ones_own_is_not_doubled() {
    let to_all = [options_route("0.0.0.0/0", [10, 0, 0, 9])];
    assert_eq!(options::routes(&to_all, Some([10, 0, 0, 1].into())), [0, 10, 0, 0, 9]);
}

#[test]
fn devices_are_told_where_the_house_answers_encrypted() {
    let network = |dhcp: Value| {
        let mut dhcp = dhcp;
        dhcp["pools"] = json!(["10.0.20.10-10.0.20.20"]);
        records([("network/a", json!({"subnet": "10.0.20.0/24", "dhcp": dhcp}))])
    };
    let served = HostView {
        encrypted: lanward_dns::Ports {
            tls: Some(853),
            https: Some(443),
            http3: Some(443),
            quic: Some(853),
        },
        ..host(&["10.0.20.2"], &["10.0.20.3"])
    };
    let option = |records: &BTreeMap<String, String>, host: &HostView| {
        let effective = derive(records, host);
        assert_eq!(told(&effective), [""; 0]);
        effective.dhcp.networks["a"].options.get(&162).cloned()
    };
    let own = option(&network(json!({})), &served).expect("told");
    let name = b"\x03dns\x04home\x04arpa\0\x08\x0a\0\x14\x02\x0a\0\x14\x03";
    let times = own.windows(name.len()).filter(|at| *at == name).count();
    assert_eq!(times, 3, "each transport, at both hosts: {own:?}");
    let by_hand = network(json!({"options": [{"code": 162, "hex": "00"}]}));
    assert_eq!(option(&by_hand, &served), Some(vec![0]));
    // Neither where somebody else answers, nor where nothing is served.
    assert_eq!(option(&network(json!({"dns": ["10.0.20.1"]})), &served), None);
    assert_eq!(option(&network(json!({})), &host(&["10.0.20.2"], &[])), None);
}

fn options_route(to: &str, via: [u8; 4]) -> super::super::records::Route {
    super::super::records::Route { to: to.parse().expect("net"), via: via.into() }
}

#[test]
fn what_the_server_decides_itself_cannot_be_set_by_number() {
    let records = records([(
        "network/a",
        json!({"subnet": "10.0.0.0/24", "dhcp": {"pools": [], "options": [
            {"code": 6, "addresses": ["10.0.0.1"]},
            {"code": 54, "addresses": ["10.0.0.1"]},
            {"code": 66, "text": "a"},
            {"code": 66, "text": "b"},
        ]}}),
    )]);
    let effective = derive(&records, &host(&["10.0.0.2"], &[]));
    assert_eq!(
        told(&effective),
        [
            "network/a dhcp.options[0]: Option 6 cannot be set by number.",
            "network/a dhcp.options[1]: Option 54 cannot be set by number.",
            "network/a dhcp.options[3]: Option 66 is given twice.",
        ]
    );
    assert_eq!(effective.dhcp.networks["a"].options[&66], b"a");
}

#[test]
fn nobody_is_lent_an_address_that_is_the_routers_the_pairs_or_excluded() {
    let records = records([(
        "network/a",
        json!({"subnet": "10.0.0.0/24", "router": "10.0.0.1", "service_addresses": ["10.0.0.4"],
               "dhcp": {"pools": ["10.0.0.0-10.0.0.20"],
                        "exclude": ["10.0.0.4", "10.0.0.10-10.0.0.18"]}}),
    )]);
    let effective = derive(&records, &host(&["10.0.0.2"], &["10.0.0.3"]));
    assert_eq!(told(&effective), [""; 0]);
    let network = &effective.dhcp.networks["a"];
    let pools: Vec<String> =
        network.pools.iter().map(|pool| format!("{}-{}", pool.start(), pool.end())).collect();
    assert_eq!(pools, ["10.0.0.5-10.0.0.9", "10.0.0.19-10.0.0.20"]);
    assert_eq!(network.server_addr, Some([10, 0, 0, 2].into()), "not the service address");
    assert_eq!(network.options[&6], [10, 0, 0, 4]);
}

#[test]
fn both_hosts_tell_devices_the_same_servers_in_the_same_order() {
    let records = records([
        ("network/a", json!({"subnet": "10.0.0.0/24", "dhcp": {"pools": []}})),
        ("network/far", json!({"subnet": "10.9.0.0/24", "dhcp": {"pools": []}})),
    ]);
    let a = derive(&records, &host(&["127.0.0.1", "10.0.0.9"], &["10.0.0.2"]));
    let b = derive(&records, &host(&["10.0.0.2"], &["10.0.0.9"]));
    for network in ["a", "far"] {
        let servers = &a.dhcp.networks[network].options[&6];
        assert_eq!(servers, &[10, 0, 0, 2, 10, 0, 0, 9]);
        assert_eq!(servers, &b.dhcp.networks[network].options[&6]);
    }
    assert_eq!(a.dhcp.networks["far"].server_addr, None, "only a relay agent leads there");
}

#[test]
fn of_two_reservations_of_one_address_the_lower_id_wins() {
    let records = records([
        ("network/a", json!({"subnet": "10.0.0.0/24", "dhcp": {"pools": []}})),
        (
            "reservation/1",
            json!({"network": "a", "mac": "02:00:00:00:00:01",
                                 "address": "10.0.0.5", "name": "printer"}),
        ),
        (
            "reservation/2",
            json!({"network": "a", "mac": "02:00:00:00:00:02",
                                 "address": "10.0.0.5"}),
        ),
        (
            "reservation/3",
            json!({"network": "a", "mac": "02:00:00:00:00:03",
                                 "address": "10.0.1.5"}),
        ),
        (
            "reservation/4",
            json!({"network": "a", "mac": "02:00:00:00:00:04",
                                 "address": "10.0.0.255"}),
        ),
    ]);
    let effective = derive(&records, &host(&["10.0.0.2"], &[]));
    assert_eq!(
        told(&effective),
        [
            "reservation/2 address: 10.0.0.5 is reserved for *printer* (02:00:00:00:00:01).",
            "reservation/3 address: 10.0.1.5 is outside *a* 10.0.0.0/24.",
            "reservation/4 address: 10.0.0.255 is no device's address: it names *a* or its \
             broadcast.",
        ]
    );
    let kept = &effective.dhcp.networks["a"].reservations;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].hw, Some(HwAddr::ethernet([2, 0, 0, 0, 0, 1])));
    assert_eq!(effective.reserved_names[0].name, "printer.home.arpa".into());
}

#[test]
fn policies_follow_the_subnet_and_an_unknown_one_falls_back_to_the_default() {
    let records = records([
        ("policy/strict", json!({"lists": ["ads"], "block_mode": "nxdomain"})),
        ("list/ads", json!({"builtin": true})),
        ("list/off", json!({"url": "https://lists.example/x", "enabled": false})),
        ("network/a", json!({"subnet": "10.0.0.0/24", "policy": "strict"})),
        (
            "network/b",
            json!({"subnet": "10.0.1.0/24", "policy": "strickt",
                             "prefixes6": ["fd00::/64"]}),
        ),
        ("rule/1", json!({"kind": "deny", "name": "x.example", "policies": ["strict"]})),
        ("rule/2", json!({"kind": "allow", "name": "y.example"})),
    ]);
    let effective = derive(&records, &HostView::default());
    assert_eq!(told(&effective), ["network/b policy: There is no policy *strickt*."]);
    let name = |addr: &str| {
        let policy = effective.policies.of(addr.parse().expect("address"))?;
        Some(effective.policies.policies[usize::from(policy.0)].name.as_str())
    };
    assert_eq!(name("10.0.0.7"), Some("strict"));
    assert_eq!(name("10.0.1.7"), Some("default"));
    assert_eq!(name("fd00::7"), Some("default"));
    assert_eq!(name("::1"), Some("default"));
    assert_eq!(name("192.0.2.1"), None);
    // The default policy has every list that is on.
    assert_eq!(effective.policy_lists, [vec![Arc::from("ads")], vec![Arc::from("ads")]]);
    assert_eq!(effective.rules[0].policies, [PolicyId(1)]);
    assert_eq!(effective.rules[1].policies, [PolicyId(0), PolicyId(1)]);
}

#[test]
fn a_list_may_name_the_policies_that_use_it() {
    let records = records([
        ("policy/default", json!({"lists": ["ads"]})),
        ("policy/strict", json!({"lists": ["ads"]})),
        ("list/ads", json!({"builtin": true, "policies": ["strict"]})),
        ("list/more", json!({"file": "/lists/more", "policies": ["strict", "strickt"]})),
        ("list/off", json!({"file": "/lists/off", "policies": ["strict"], "enabled": false})),
    ]);
    let effective = derive(&records, &HostView::default());
    assert_eq!(told(&effective), ["list/more policies[1]: There is no policy *strickt*."]);
    let (default, strict) = (vec![Arc::from("ads")], vec![Arc::from("ads"), Arc::from("more")]);
    assert_eq!(effective.policy_lists, [default, strict]);
}

#[test]
fn a_record_of_a_later_version_is_used_as_far_as_it_is_understood() {
    let records = records([(
        "network/a",
        json!({"subnet": "10.0.0.0/24", "colour": "blue", "dhcp": {"pools": ["10.0.0.5"]}}),
    )]);
    let effective = derive(&records, &host(&["10.0.0.2"], &[]));
    assert_eq!(told(&effective), ["network/a colour: Unknown key `colour`."]);
    assert_eq!(effective.dhcp.networks["a"].pools.len(), 1);
}

#[test]
fn records_survive_being_written_and_read() {
    let text = include_str!("../../../packaging/household.toml").to_owned();
    let declared = super::super::Declared::parse("household.toml", text).expect("no mistakes");
    let again: BTreeMap<String, String> = declared
        .records
        .iter()
        .map(|(key, json)| {
            let mut problems = Vec::new();
            let again = match key.split_once('/').expect("kind").0 {
                "network" => Network::from_json(key, json, &mut problems).map(|r| r.to_json()),
                "reservation" => {
                    Reservation::from_json(key, json, &mut problems).map(|r| r.to_json())
                }
                "policy" => Policy::from_json(key, json, &mut problems).map(|r| r.to_json()),
                "list" => List::from_json(key, json, &mut problems).map(|r| r.to_json()),
                "rule" => Rule::from_json(key, json, &mut problems).map(|r| r.to_json()),
                "record" => LocalRecord::from_json(key, json, &mut problems).map(|r| r.to_json()),
                _ => Some(json.clone()),
            };
            assert_eq!(problems, [], "{key}");
            (key.clone(), again.expect("read"))
        })
        .collect();
    assert_eq!(again, declared.records);
}

/// JSON of any shape, often with the words that records use.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "10.0.0.0/24",
        "10.0.0.1",
        "0.0.0.0/0",
        "255.255.255.255/32",
        "0.0.0.0-255.255.255.255",
        "10.0.0.5-10.0.0.250",
        "a",
        "default",
        "ads",
        "24h",
        "99999999999999999999h",
        "nxdomain",
        "02:00:5e:10:00:01",
        "ff01",
        "A",
        "CNAME",
        "PTR",
        "SRV",
        "1 2 3 x.y",
        "x.example",
        "deny",
        "https://x.example/",
        "fd00::/64",
        "::/0",
        "",
    ]);
    let leaf = prop_oneof![
        word.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    let field = prop::sample::select(vec![
        "subnet",
        "router",
        "service_addresses",
        "policy",
        "domain",
        "dhcp",
        "pools",
        "exclude",
        "lease_time",
        "max_lease_time",
        "ntp",
        "search",
        "routes",
        "to",
        "via",
        "options",
        "code",
        "text",
        "hex",
        "addresses",
        "u8",
        "u16",
        "u32",
        "network",
        "mac",
        "client_id",
        "address",
        "name",
        "lists",
        "blocking",
        "block_mode",
        "ipv4",
        "ipv6",
        "blocked_ttl",
        "history",
        "level",
        "keep",
        "max_size",
        "keep_statistics",
        "url",
        "file",
        "builtin",
        "kind",
        "mirrors",
        "subdomains",
        "policies",
        "type",
        "value",
        "ttl",
        "vlan",
        "prefixes6",
        "dns",
        "enabled",
        "servers",
        "zones",
        "networks",
        "order",
        "upstreams",
        "strange",
    ]);
    leaf.prop_recursive(4, 64, 12, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((field.clone(), inner), 0..12).prop_map(|fields| Value::Object(
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            )),
        ]
    })
}

fn any_records() -> impl Strategy<Value = BTreeMap<String, String>> {
    let key = prop_oneof![
        prop::sample::select(vec![
            "network/a",
            "network/b",
            "reservation/1",
            "reservation/2",
            "policy/default",
            "policy/a",
            "list/ads",
            "rule/1",
            "record/1",
            "record/2",
            "setting/domain",
            "setting/upstreams",
            "setting/bootstrap",
            "upstream/a",
            "forward/a",
            "setting/mclt",
            "user/1",
            "network/",
            "/",
            "",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let json = prop_oneof![9 => any_json().prop_map(|v| v.to_string()), 1 => any::<String>()];
    prop::collection::btree_map(key, json, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn any_records_give_settings_that_keep_their_promises(records in any_records()) {
        let host = host(&["10.0.0.2", "fd00::2"], &["10.0.0.3"]);
        let effective = derive(&records, &host);
        prop_assert_eq!(&effective, &derive(&records, &host), "the same every time");
        for (id, network) in &effective.dhcp.networks {
            let mut last = None;
            for pool in &network.pools {
                prop_assert!(pool.start() <= pool.end(), "{id}");
                prop_assert!(network.contains(*pool.start()) && network.contains(*pool.end()));
                prop_assert!(last < Some(*pool.start()), "ascending and disjoint");
                prop_assert!(!pool.contains(&std::net::Ipv4Addr::new(10, 0, 0, 2)), "our own");
                last = Some(*pool.end());
            }
            let mut addrs: Vec<_> = network.reservations.iter().map(|r| r.addr).collect();
            addrs.sort_unstable();
            prop_assert!(addrs.windows(2).all(|two| two[0] != two[1]), "one device an address");
            prop_assert!(addrs.iter().all(|addr| network.contains(*addr)));
            prop_assert!(network.lease_time.as_secs() >= 10);
            prop_assert!(network.max_lease_time >= network.lease_time);
            prop_assert!(network.options.values().all(|value| (1..=255).contains(&value.len())));
        }
        let policies = effective.policies.policies.len();
        prop_assert_eq!(effective.policy_lists.len(), policies);
        let known = |policy: PolicyId| usize::from(policy.0) < policies;
        prop_assert!(effective.policies.networks.iter().all(|n| known(n.policy)));
        prop_assert!(effective.rules.iter().flat_map(|r| &r.policies).all(|p| known(*p)));
        prop_assert!(effective.problems.iter().all(|p| !p.message.is_empty() && !p.fix.is_empty()));
        prop_assert!(effective.problems.iter().all(|p| p.severity <= Severity::Error));
    }
}

#[test]
fn service_addresses_are_at_home_by_order_or_by_name() {
    let records = records([(
        "network/a",
        json!({"subnet": "10.0.0.0/24", "prefixes6": ["fd00::/64"], "service_addresses": [
            "10.0.0.53", "10.0.0.54", {"address": "fd00::54", "home": "PI-B"}, "fd00::53",
        ]}),
    )]);
    let homes = |host: &HostView| -> Vec<(String, Rank)> {
        let effective = derive(&records, host);
        assert_eq!(told(&effective), [""; 0]);
        let all = &effective.networks[0].service_addresses;
        all.iter().map(|service| (service.addr.to_string(), service.home)).collect()
    };
    let of = |rank, partner: &str| {
        Some(PairView { rank, partner: partner.into(), awaits_settings: false })
    };
    let here = HostView { pair: of(Rank::Zero, "pi-b"), ..host(&["10.0.0.2"], &["10.0.0.3"]) };
    let node = "pi-b".into();
    let there = HostView { node, pair: of(Rank::One, "pi-a"), ..host(&["10.0.0.3"], &[]) };
    assert_eq!(homes(&here), homes(&there), "both hosts must come to the same answer");
    let expected = [
        ("10.0.0.53", Rank::Zero),
        ("10.0.0.54", Rank::One),
        ("fd00::54", Rank::One),
        ("fd00::53", Rank::Zero),
    ];
    assert_eq!(homes(&here), expected.map(|(addr, rank)| (addr.to_owned(), rank)));
    assert_eq!(homes(&host(&["10.0.0.2"], &[])), homes(&here), "also before there is a pair");
}

#[test]
fn a_service_address_that_somebody_has_is_not_in_force() {
    let records = records([
        (
            "network/a",
            json!({"subnet": "10.0.0.0/24", "router": "10.0.0.1", "service_addresses": [
                "10.0.0.53", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.100", "10.0.0.7",
                "10.0.0.53", "10.0.1.53", "fd00::53", {"address": "10.0.0.54", "home": "pi-c"},
                "10.0.0.55",
            ], "dhcp": {"pools": ["10.0.0.100-10.0.0.199"]}}),
        ),
        (
            "reservation/r",
            json!({"network": "a", "mac": "02:00:00:00:00:01", "address": "10.0.0.7"}),
        ),
    ]);
    let pair = Some(PairView { rank: Rank::Zero, partner: "pi-b".into(), awaits_settings: false });
    let effective = derive(&records, &HostView { pair, ..host(&["10.0.0.2"], &["10.0.0.3"]) });
    let told: Vec<String> = effective.problems.iter().map(|p| p.message.clone()).collect();
    assert_eq!(
        told,
        [
            "10.0.0.1 is the router's address.",
            "10.0.0.2 is this host's own address, and a service address moves.",
            "10.0.0.3 is the other host's own address, and a service address moves.",
            "10.0.0.100 is in the pool 10.0.0.100-10.0.0.199.",
            "10.0.0.7 is reserved for a device.",
            "10.0.0.53 is there twice.",
            "10.0.1.53 is outside *a* 10.0.0.0/24.",
            "fd00::53 is in none of the prefixes6 of *a*.",
            "No host of this pair is called pi-c: the home goes by the order.",
            "10.0.0.55 is one too many: a pair has two hosts.",
            "10.0.0.7 is the network's own.",
        ]
    );
    let kept: Vec<String> =
        effective.networks[0].service_addresses.iter().map(|s| s.addr.to_string()).collect();
    assert_eq!(kept, ["10.0.0.53", "10.0.0.54"]);
    assert_eq!(
        effective.networks[0].dns_servers,
        [[10, 0, 0, 53], [10, 0, 0, 54]].map(Ipv4Addr::from)
    );
}

#[test]
fn where_no_host_can_hold_service_addresses_devices_are_told_the_hosts_own() {
    let records = records([(
        "network/a",
        json!({"subnet": "10.0.0.0/24", "service_addresses": ["10.0.0.53"], "dhcp": {"pools": []}}),
    )]);
    let able = host(&["10.0.0.2"], &["10.0.0.3"]);
    let option6 = |host: &HostView| derive(&records, host).dhcp.networks["a"].options[&6].clone();
    assert_eq!(option6(&able), [10, 0, 0, 53]);
    let unable = HostView { without_service_addresses: true, ..able };
    assert_eq!(option6(&unable), [10, 0, 0, 2, 10, 0, 0, 3]);
}

#[test]
fn a_policy_may_have_a_nat64_and_do_without_validation() {
    for (written, expected) in [
        (json!(true), Some("64:ff9b::/96")),
        (json!("2001:db8:64::/48"), Some("2001:db8:64::/48")),
        (json!(false), None),
    ] {
        let policy = json!({ "lists": [], "dns64": written, "dnssec": false });
        let effective =
            derive(&records([("policy/default", policy.clone())]), &HostView::default());
        assert_eq!(effective.problems, []);
        let of = &effective.policies.policies[0];
        assert_eq!(of.dns64.map(|prefix| prefix.to_string()).as_deref(), expected);
        assert!(!of.dnssec);
        // What is kept reads back.
        let mut problems = Vec::new();
        let read = Policy::from_json("policy/default", &policy.to_string(), &mut problems);
        let read = read.expect("a policy");
        let again = Policy::from_json("policy/default", &read.to_json(), &mut problems);
        assert_eq!((again, problems), (Some(read), vec![]));
    }
    let wrong = json!({ "lists": [], "dns64": "64:ff9b::/90" });
    let told = derive(&records([("policy/default", wrong.clone())]), &HostView::default()).problems;
    assert!(told[0].message.contains("its length is none of 32, 40"), "{told:?}");
}
