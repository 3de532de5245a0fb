//! A house for fuzz targets: lists, local names, policies, and a cache with some of everything.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;

use super::shapes;
use crate::{
    Asker, BlockMode, ClientNetwork, Filter, ListId, LocalHost, LocalNames, LocalRecord, LocalZone,
    Name, Now, Pipeline, Policies, Policy, PolicyId, Protection, RecordData, RuleRef, Shared,
    Transport, Verdict,
};

/// When the cache was filled.
pub(crate) const START: Now = Now(Duration::from_secs(100_000));

pub(crate) struct House {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pipeline: Pipeline,
}

/// Blocks `ads.example` with all below it but `good.ads.example`.
struct Ads;

impl Filter for Ads {
    fn verdict(&self, name: &[u8], policy: PolicyId) -> Verdict {
        assert!(policy.0 < 2, "only policies that exist");
        assert!(Name::from_wire(name).is_some(), "only names");
        for suffix in crate::name::suffixes(name) {
            match suffix {
                b"\x04good\x03ads\x07example\0" => {
                    return Verdict::Allowed(RuleRef { list: ListId(0), labels: 3 });
                }
                b"\x03ads\x07example\0" => {
                    return Verdict::Blocked(RuleRef { list: ListId(0), labels: 2 });
                }
                _ => {}
            }
        }
        Verdict::NoMatch
    }

    fn list_name(&self, _list: ListId) -> &str {
        "ads"
    }

    fn list_names(&self) -> Vec<(ListId, Arc<str>)> {
        vec![(ListId(0), Arc::from("ads"))]
    }
}

impl House {
    /// With nothing in its cache.
    pub(crate) fn empty() -> Self {
        let shared = Shared::new();
        shared.set_filtering(Arc::new(Ads), policies());
        shared.set_protection(Protection { rate_limit: None, ..Protection::default() });
        shared.set_local(local());
        Self { shared, pipeline: Pipeline::new(1 << 20) }
    }

    /// With answers of all shapes in its cache, and some failures.
    pub(crate) fn new() -> Self {
        let house = Self::empty();
        let learned = shapes::answers().into_iter().filter(|answer| {
            Message::from_vec(answer).is_ok() && house.pipeline.learn(answer, START)
        });
        assert!(learned.count() > 10, "the cache is not empty");
        house
    }
}

/// Somebody of the house, or not: `who` decides.
pub(crate) fn asker(who: u8) -> Asker {
    let source = match who & 7 {
        // Nobody of ours.
        0 => SocketAddr::from(([192, 0, 2, 1], 4000)),
        // Where it would be reflected.
        1 => SocketAddr::from(([10, 0, 30, 7], 53)),
        // Unfiltered.
        2 => SocketAddr::from(([10, 0, 99, 7], 4000)),
        3 => "[fd00:30::7]:4000".parse().expect("an address"),
        _ => SocketAddr::from(([10, 0, 30, 7], 4000)),
    };
    let transport = match who >> 3 & 3 {
        0 | 1 => Transport::Udp,
        2 => Transport::Tcp,
        _ => Transport::Https,
    };
    Asker { source, local: IpAddr::V4(Ipv4Addr::new(10, 0, 30, 2)), transport }
}

fn policies() -> Policies {
    let policy = |name: &str, filtering| Policy {
        name: name.into(),
        filtering,
        block_mode: BlockMode::Null,
        blocked_ttl_secs: 10,
        upstreams: None,
        history: true,
        dnssec: true,
        dns64: (!filtering).then_some(crate::Prefix64::WELL_KNOWN),
    };
    let network = |subnet: &str, policy| ClientNetwork {
        subnet: subnet.parse().expect(subnet),
        policy: PolicyId(policy),
    };
    Policies {
        policies: vec![policy("filtered", true), policy("open", false)],
        networks: vec![
            network("10.0.0.0/16", 0),
            network("10.0.99.0/24", 1),
            network("fd00:30::/64", 0),
        ],
    }
}

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

fn local() -> LocalNames {
    let zone = LocalZone {
        apex: name("home.arpa"),
        name_servers: vec![name("lanward.home.arpa")],
        serial: 7,
        negative_ttl_secs: 5,
    };
    let mut b = LocalNames::builder();
    b.zone(&zone).reverse("10.0.30.0/24".parse().expect("net"), &zone);
    b.host(&LocalHost {
        name: name("printer.home.arpa"),
        addresses: vec!["10.0.30.20".parse().expect("v4"), "fd00:30::20".parse().expect("v6")],
        ttl_secs: 60,
    })
    .expect("host");
    for (owner, data) in [
        ("nas.home.arpa", RecordData::Cname(name("printer.home.arpa"))),
        ("loop.home.arpa", RecordData::Cname(name("pool.home.arpa"))),
        ("pool.home.arpa", RecordData::Cname(name("loop.home.arpa"))),
        ("search.example", RecordData::Cname(name("www.example"))),
        ("*.wild.home.arpa", RecordData::Cname(name("printer.home.arpa"))),
    ] {
        let record = LocalRecord { name: name(owner), ttl_secs: 60, data, networks: Vec::new() };
        b.record(&record).expect(owner);
    }
    b.build()
}
