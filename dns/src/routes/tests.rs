use super::*;
use crate::{BlockMode, ForwardZone, Order, Policy, UpstreamGroup, UpstreamServer};

fn group(id: &str, server: &str) -> UpstreamGroup {
    let server = UpstreamServer::plain(server.parse().expect("address"));
    UpstreamGroup { id: id.into(), servers: vec![server], order: Order::Listed }
}

fn policy(upstreams: Option<&str>) -> Policy {
    Policy {
        name: "p".into(),
        filtering: true,
        block_mode: BlockMode::Null,
        blocked_ttl_secs: 10,
        dnssec: true,
        dns64: None,
        history: true,
        upstreams: upstreams.map(Into::into),
    }
}

fn zone(zone: &str, networks: &[&str], group: usize) -> ForwardZone {
    ForwardZone {
        zone: zone.parse().expect("name"),
        networks: networks.iter().map(|net| net.parse().expect("network")).collect(),
        group,
    }
}

fn routes() -> Routes {
    let upstreams = Upstreams {
        groups: vec![
            group("all", "192.0.2.1:53"),
            group("kids", "192.0.2.2:53"),
            group("office", "192.0.2.3:53"),
        ],
        zones: vec![
            zone("corp.example", &[], 2),
            zone("lab.corp.example", &["10.0.20.0/24"], 1),
            zone("lab.corp.example", &["10.0.30.0/24"], 0),
        ],
        ..Upstreams::default()
    };
    let policies = Policies {
        policies: vec![policy(None), policy(Some("kids")), policy(Some("gone"))],
        networks: Vec::new(),
    };
    Routes::new(&upstreams, &policies)
}

fn of_zone(name: &str, source: &str) -> Option<usize> {
    let name: crate::Name = name.parse().expect("name");
    let found = routes().of_zone(name.as_wire(), source.parse().expect("address"));
    found.map(|(route, _)| route.group)
}

#[test]
fn a_policy_has_its_group_or_the_first() {
    let routes = routes();
    assert_eq!(routes.of_policy(PolicyId(0)).group, 0);
    assert_eq!(routes.of_policy(PolicyId(1)).group, 1);
    assert_eq!(routes.of_policy(PolicyId(2)).group, 0);
    assert_eq!(routes.of_policy(PolicyId(9)).group, 0);
}

#[test]
fn the_innermost_zone_that_is_for_the_client_counts() {
    assert_eq!(of_zone("www.example", "10.0.20.5"), None);
    assert_eq!(of_zone("corp.example", "10.0.20.5"), Some(2));
    assert_eq!(of_zone("a.b.corp.example", "10.0.20.5"), Some(2));
    assert_eq!(of_zone("x.lab.corp.example", "10.0.20.5"), Some(1));
    assert_eq!(of_zone("x.lab.corp.example", "::ffff:10.0.30.5"), Some(0));
    assert_eq!(of_zone("x.lab.corp.example", "10.0.40.5"), Some(2));
    assert_eq!(of_zone("notcorp.example", "10.0.20.5"), None);
}

#[test]
fn a_groups_tag_changes_with_its_servers_and_not_with_its_order() {
    let one = group("a", "192.0.2.1:53");
    assert_eq!(one.tag(), group("a", "192.0.2.1:53").tag());
    assert_ne!(one.tag(), group("b", "192.0.2.1:53").tag());
    assert_ne!(one.tag(), group("a", "192.0.2.2:53").tag());
    assert_ne!(one.tag(), group("a", "192.0.2.1:54").tag());
    assert_eq!(one.tag(), UpstreamGroup { order: Order::Shuffled, ..one.clone() }.tag());
}
