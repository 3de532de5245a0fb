use std::collections::BTreeMap;

use lanward_dns::UpstreamTransport;
use serde_json::{Value, json};

use super::super::{HostView, derive};
use super::*;

fn derived<const N: usize>(records: [(&str, Value); N]) -> Effective {
    let records = records.map(|(key, value)| (key.to_owned(), value.to_string()));
    derive(&BTreeMap::from(records), &HostView::default())
}

fn told(effective: &Effective) -> Vec<String> {
    let line = |p: &Problem| format!("{} {}: {}", p.place.key, p.place.field, p.message);
    effective.problems.iter().map(line).collect()
}

fn labels(effective: &Effective, group: usize) -> Vec<String> {
    let group = &effective.upstreams.groups[group];
    group.servers.iter().map(|server| server.label.to_string()).collect()
}

#[test]
fn the_old_list_of_forwarders_is_the_default_group() {
    let none = derived([]);
    assert_eq!(none.upstreams.groups.len(), 1);
    assert_eq!(labels(&none, 0), ["9.9.9.9", "1.1.1.1"]);
    let old = derived([("setting/upstreams", json!(["192.0.2.1", "192.0.2.2:5353"]))]);
    assert_eq!(told(&old), [] as [String; 0]);
    assert_eq!(labels(&old, 0), ["192.0.2.1", "192.0.2.2:5353"]);
    assert_eq!(&*old.upstreams.groups[0].id, "default");
    let encrypted = derived([("setting/upstreams", json!(["tls://9.9.9.9#dns.quad9.net"]))]);
    assert_eq!(told(&encrypted), [] as [String; 0]);
    let transport = &encrypted.upstreams.groups[0].servers[0].transport;
    assert_eq!(*transport, UpstreamTransport::Tls { name: "dns.quad9.net".into() });
}

#[test]
fn time_servers_of_the_household_are_known() {
    let of = derived([("setting/time_servers", json!(["ntp.corp.example"]))]);
    assert_eq!(told(&of), [] as [String; 0]);
    assert_eq!(of.upstreams.time_names, ["ntp.corp.example".parse().expect("a name")]);
}

#[test]
fn groups_zones_and_policies_are_joined() {
    let effective = derived([
        ("upstream/kids", json!({ "servers": ["1.1.1.3"], "order": "fastest" })),
        ("upstream/default", json!({ "servers": ["9.9.9.9"], "order": "shuffled" })),
        ("policy/kids", json!({ "lists": [], "upstreams": "kids" })),
        ("policy/others", json!({ "lists": [], "upstreams": "default" })),
        ("network/work", json!({ "subnet": "10.0.20.0/24", "prefixes6": ["fd00:20::/64"] })),
        (
            "forward/corp",
            json!({
                "zones": ["corp.example", "10.8.0.0/15"],
                "servers": ["10.8.0.53"],
                "networks": ["work"]
            }),
        ),
    ]);
    assert_eq!(told(&effective), [] as [String; 0]);
    let ids: Vec<&str> = effective.upstreams.groups.iter().map(|group| &*group.id).collect();
    assert_eq!(ids, ["default", "kids", "forward/corp"]);
    let orders: Vec<Order> = effective.upstreams.groups.iter().map(|group| group.order).collect();
    assert_eq!(orders, [Order::Shuffled, Order::Fastest, Order::Listed]);
    let zones: Vec<String> =
        effective.upstreams.zones.iter().map(|zone| zone.zone.to_string()).collect();
    assert_eq!(zones, ["corp.example", "8.10.in-addr.arpa", "9.10.in-addr.arpa"]);
    assert!(effective.upstreams.zones.iter().all(|zone| zone.group == 2));
    assert_eq!(effective.upstreams.zones[0].networks.len(), 2, "IPv4 and IPv6");
    let kids = effective.policies.policies.iter().find(|policy| policy.name == "kids");
    assert_eq!(kids.and_then(|policy| policy.upstreams.as_deref()), Some("kids"));
}

#[test]
fn what_is_not_there_is_told() {
    let effective = derived([
        ("setting/upstreams", json!(["https://dns.quad9.net/dns-query"])),
        ("policy/kids", json!({ "lists": [], "upstreams": "kids" })),
        (
            "forward/corp",
            json!({ "zones": ["corp.example"], "servers": ["10.8.0.53"], "networks": ["wrok"] }),
        ),
    ]);
    assert_eq!(
        told(&effective),
        [
            "setting/upstreams upstreams[0]: Nobody can say where https://dns.quad9.net/dns-query \
             is: it cannot be asked for its own address.",
            "policy/kids upstreams: There is no group of upstream servers *kids*.",
            "forward/corp networks[0]: There is no network *wrok*.",
        ]
    );
    assert_eq!(effective.upstreams.zones, [], "for nobody, rather than for everybody");
    let found = derived([
        ("setting/upstreams", json!(["https://dns.quad9.net/dns-query"])),
        ("setting/bootstrap", json!(["9.9.9.9"])),
    ]);
    assert_eq!(told(&found), [] as [String; 0]);
    assert_eq!(found.upstreams.bootstrap.len(), 1);
    let both = derived([
        ("setting/upstreams", json!(["9.9.9.9"])),
        ("upstream/default", json!({ "servers": ["1.1.1.1"] })),
    ]);
    assert_eq!(labels(&both, 0), ["1.1.1.1"]);
    assert_eq!(both.problems.len(), 1);
}
