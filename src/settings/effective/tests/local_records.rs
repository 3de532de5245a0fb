use serde_json::json;

use super::*;

#[test]
fn local_records_get_the_domain_and_a_cname_stands_alone() {
    let records = records([
        ("setting/domain", json!("LAN.example.")),
        ("record/1", json!({"name": "nas", "type": "A", "value": "10.0.0.5"})),
        ("record/2", json!({"name": "nas", "type": "CNAME", "value": "other.example"})),
        ("record/3", json!({"name": "10.0.0.5", "type": "PTR", "value": "nas.lan.example"})),
        ("record/4", json!({"name": "fd00::5", "type": "PTR", "value": "nas.lan.example"})),
        ("record/5", json!({"name": "mail", "type": "MX", "value": "10 mail.example"})),
    ]);
    let effective = derive(&records, &HostView::default());
    assert_eq!(
        told(&effective),
        ["record/2 name: nas.lan.example is another name for a host and has other records too."]
    );
    let names: Vec<&str> = effective.records.iter().map(|record| &*record.name).collect();
    assert_eq!(
        names,
        [
            "nas.lan.example",
            "5.0.0.10.in-addr.arpa",
            "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa",
            "mail.lan.example",
        ]
    );
}

#[test]
fn records_and_domains_that_nobody_would_find_are_told() {
    let alias = |name: &str| json!({"name": name, "type": "CNAME", "value": "nas"});
    let a = |name: &str| json!({"name": name, "type": "A", "value": "10.0.0.5"});
    let records = records([
        ("network/iot", json!({"subnet": "10.0.30.0/24", "domain": "things.local"})),
        ("network/tor", json!({"subnet": "10.0.40.0/24", "domain": "x.onion"})),
        ("record/1", alias("home.arpa")),
        ("record/2", alias("Things.local.")),
        ("record/3", a("nas.localhost")),
        ("record/4", a("home.arpa")),
        ("record/5", a("nas.onions.example")),
        ("record/6", alias("lan.home.arpa")),
    ]);
    let effective = derive(&records, &HostView::default());
    assert_eq!(
        told(&effective),
        [
            "network/iot domain: Many devices ask the network for names of things.local, not a DNS \
             server.",
            "network/tor domain: Names of x.onion are answered as the standards say, not with \
             devices.",
            "record/1 name: home.arpa is a domain of the household and cannot be another name.",
            "record/2 name: things.local is a domain of the household and cannot be another name.",
            "record/3 name: nas.localhost is answered as the standards say, whatever records it has.",
        ]
    );
    let severities: Vec<Severity> = effective.problems.iter().map(|p| p.severity).collect();
    let (warning, error) = (Severity::Warning, Severity::Error);
    assert_eq!(severities, [warning, warning, error, error, error]);
    assert_eq!(effective.records.len(), 3);
    let local = self::records([("setting/domain", json!("local"))]);
    assert!(told(&derive(&local, &HostView::default()))[0].starts_with("setting/domain domain: "));
}

#[test]
fn aliases_that_lead_nowhere_are_told_and_not_in_force() {
    let alias = |name: &str, value: &str| json!({"name": name, "type": "CNAME", "value": value});
    let of_iot = |name: &str, value: &str| json!({"name": name, "type": "CNAME", "value": value, "networks": ["iot"]});
    let mut records = records([
        ("network/iot", json!({"subnet": "10.0.30.0/24"})),
        ("record/a", alias("a", "b.home.arpa")),
        ("record/b", alias("B", "c")),
        ("record/c", alias("c.home.arpa", "A.home.arpa.")),
        ("record/into", alias("into", "a")),
        ("record/self", alias("self", "self")),
        // For the clients of one network only.
        ("record/x1", alias("x", "y")),
        ("record/y1", json!({"name": "y", "type": "A", "value": "10.0.30.5"})),
        ("record/y2", of_iot("y", "x")),
        // What is a circle for nobody is none.
        ("record/z1", alias("z", "w")),
        ("record/w1", of_iot("w", "z")),
        ("record/z2", json!({"name": "z", "type": "A", "value": "1.1.1.1", "networks": ["iot"]})),
    ]);
    for at in 0..10 {
        let record = alias(&format!("n{at}"), &format!("n{}", at + 1));
        records.insert(format!("record/n{at}"), record.to_string());
    }
    let effective = derive(&records, &HostView::default());
    assert_eq!(
        told(&effective),
        [
            "record/a value: a.home.arpa leads back to itself: a.home.arpa, b.home.arpa, \
             c.home.arpa, a.home.arpa.",
            "record/b value: b.home.arpa leads back to itself: b.home.arpa, c.home.arpa, \
             a.home.arpa, b.home.arpa.",
            "record/c value: c.home.arpa leads back to itself: c.home.arpa, a.home.arpa, \
             b.home.arpa, c.home.arpa.",
            "record/n0 value: n0.home.arpa leads through more than 8 other names.",
            "record/n1 value: n1.home.arpa leads through more than 8 other names.",
            "record/self value: self.home.arpa leads back to itself: self.home.arpa, self.home.arpa.",
            "record/x1 value: x.home.arpa leads back to itself: x.home.arpa, y.home.arpa, \
             x.home.arpa.",
            "record/y2 value: y.home.arpa leads back to itself: y.home.arpa, x.home.arpa, \
             y.home.arpa.",
        ]
    );
    assert!(effective.problems.iter().all(|problem| problem.severity == Severity::Error));
    assert_eq!(effective.problems[0].other, Some(Place::new("record/b", "value")));
    let in_force = |name: &str| effective.records.iter().any(|record| &*record.name == name);
    assert!(!in_force("a.home.arpa") && !in_force("n1.home.arpa") && !in_force("self.home.arpa"));
    for name in ["into.home.arpa", "n2.home.arpa", "w.home.arpa", "y.home.arpa", "z.home.arpa"] {
        assert!(in_force(name), "{name}");
    }
}

#[test]
fn a_record_may_be_for_some_networks_a_wildcard_or_of_a_rarer_type() {
    let records = records([
        ("network/home", json!({"subnet": "10.0.10.0/24"})),
        ("network/iot", json!({"subnet": "10.0.30.0/24"})),
        ("record/1", json!({"name": "nas", "type": "A", "value": "10.0.10.5"})),
        ("record/2", json!({"name": "nas", "type": "CNAME", "value": "x", "networks": ["iot"]})),
        ("record/3", json!({"name": "nas", "type": "A", "value": "1.1.1.1", "networks": ["iot"]})),
        ("record/4", json!({"name": "tv", "type": "A", "value": "1.1.1.1", "networks": ["itt"]})),
        ("record/5", json!({"name": "*", "type": "A", "value": "10.0.10.6"})),
        ("record/6", json!({"name": "*.shop.example", "type": "A", "value": "10.0.10.6"})),
        ("record/7", json!({"name": "x.*.example", "type": "A", "value": "10.0.10.6"})),
        ("record/8", json!({"name": "nas", "type": "caa", "value": "0 issue \"ca.example\""})),
        ("record/9", json!({"name": "nas", "type": "HTTPS", "value": "1 . port=x"})),
    ]);
    let effective = derive(&records, &HostView::default());
    let told = told(&effective);
    assert_eq!(told.len(), 4, "{told:#?}");
    assert!(told[0].starts_with("record/7 name: x.*.example is not a domain name"), "{}", told[0]);
    assert!(told[1].starts_with("record/9 value: 1 . port=x is not the value of a HTTPS record"));
    assert!(told[2].starts_with("record/3 name: nas.home.arpa is another name"), "{}", told[2]);
    assert!(told[3].starts_with("record/4 networks[0]: "), "{}", told[3]);
    let names: Vec<(&str, usize)> =
        effective.records.iter().map(|record| (&*record.name, record.networks.len())).collect();
    assert_eq!(
        names,
        [
            ("nas.home.arpa", 0),
            ("nas.home.arpa", 1),
            ("*.home.arpa", 0),
            ("*.shop.example", 0),
            ("nas.home.arpa", 0),
        ]
    );
}
