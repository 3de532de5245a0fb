use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, OpCode, Query as Asked, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, NULL, SOA, SVCB};
use hickory_proto::rr::{DNSClass, Name as HickoryName, RData, Record, RecordType as HickoryType};
use proptest::prelude::*;

use super::*;
use crate::cache::FailureKind;
use crate::history::{DnssecOutcome, UpstreamId};
use crate::{
    BlockMode, ClientNetwork, Filter, ListId, LocalHost, LocalNames, LocalRecord, LocalZone, Name,
    Policies, Protection, RecordData, RuleRef, Verdict,
};

mod alias;
mod amplification;
mod cached;
mod history;
mod local;
mod protection;
mod rebinding;
mod special;

/// The address that is asked.
const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 30, 2));

/// Names and the verdict on them and everything below.
struct Rules(HashMap<Name, bool>);

impl Filter for Rules {
    fn verdict(&self, name: &[u8], policy: PolicyId) -> Verdict {
        for suffix in crate::name::suffixes(name) {
            let rule = Name::from_wire(suffix).expect("a suffix is a name");
            let found = RuleRef { list: ListId(0), labels: rule.labels() as u8 };
            match self.0.get(&rule) {
                Some(true) => return Verdict::Blocked(found),
                Some(false) => return Verdict::Allowed(found),
                None => {}
            }
        }
        assert!(policy.0 < 2, "only policies that exist");
        Verdict::NoMatch
    }

    fn list_name(&self, _list: ListId) -> &str {
        "ads"
    }

    fn list_names(&self) -> Vec<(ListId, Arc<str>)> {
        vec![(ListId(0), Arc::from("ads"))]
    }
}

pub(crate) struct House {
    pub(crate) shared: Arc<Shared>,
    pipeline: Pipeline,
    now: Now,
}

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

fn hickory(text: &str) -> HickoryName {
    HickoryName::from_ascii(text).expect(text)
}

fn policy(name: &str, filtering: bool, block_mode: BlockMode) -> Policy {
    Policy {
        name: name.into(),
        filtering,
        block_mode,
        blocked_ttl_secs: 10,
        dnssec: true,
        dns64: None,
        upstreams: None,
        history: true,
    }
}

fn policies(mode: BlockMode) -> Policies {
    let network = |subnet: &str, policy| ClientNetwork {
        subnet: subnet.parse().expect(subnet),
        policy: PolicyId(policy),
    };
    Policies {
        policies: vec![policy("filtered", true, mode), policy("open", false, mode)],
        networks: vec![network("10.0.0.0/16", 0), network("10.0.99.0/24", 1)],
    }
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
    let printer = LocalHost {
        name: name("printer.home.arpa"),
        addresses: vec!["10.0.30.20".parse().expect("v4"), "fd00::20".parse().expect("v6")],
        ttl_secs: 60,
    };
    b.host(&printer).expect("host");
    let alias = |owner: &str, target: &str| LocalRecord {
        name: name(owner),
        ttl_secs: 60,
        data: RecordData::Cname(name(target)),
        networks: Vec::new(),
    };
    for (owner, target) in [
        ("nas.home.arpa", "printer.home.arpa"),
        ("gone.home.arpa", "nobody.home.arpa"),
        ("loop.home.arpa", "pool.home.arpa"),
        ("pool.home.arpa", "loop.home.arpa"),
        ("search.example", "safe.search.example.net"),
        ("leak.home.arpa", "secret.local"),
    ] {
        b.record(&alias(owner, target)).expect("alias");
    }
    b.build()
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with(BlockMode::Null)
    }

    fn with(mode: BlockMode) -> Self {
        let shared = Shared::new();
        shared.set_policies(policies(mode));
        // Here one client asks everything at the same moment.
        shared.set_protection(Protection { rate_limit: None, ..Protection::default() });
        shared.set_local(local());
        let rules = [
            ("ads.example", true),
            ("good.ads.example", false),
            ("printer.home.arpa", true),
            ("use-application-dns.net", false),
        ];
        let rules = rules.map(|(text, blocked)| (name(text), blocked));
        shared.set_filter(Arc::new(Rules(rules.into())));
        Self { shared, pipeline: Pipeline::new(1 << 20), now: Now(Duration::from_secs(1000)) }
    }

    fn packet(&self, text: &str, rtype: HickoryType) -> Message {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.queries.push(Asked::query(hickory(text), rtype));
        message
    }

    fn send_from(&self, source: &str, packet: &[u8]) -> (Outcome, Vec<u8>) {
        let mut out = vec![0xff; 7];
        let asker = Asker {
            source: source.parse().expect(source),
            local: LOCAL,
            transport: Transport::Udp,
        };
        let outcome = self.pipeline.handle(&self.shared, packet, asker, self.now, &mut out);
        (outcome, out)
    }

    /// Ends a question that came half a second ago.
    fn finish(&self, packet: &[u8], asker: Asker, result: &Result) -> (Option<Outcome>, Vec<u8>) {
        let way = Way {
            received: Now(self.now.0 - Duration::from_millis(500)),
            upstream: Some(UpstreamId(3)),
            dnssec: DnssecOutcome::Secure,
        };
        let (snapshot, mut out) = (self.shared.snapshot.load(), Vec::new());
        let history = &mut self.shared.history();
        let outcome = self
            .pipeline
            .finish(&snapshot, packet, asker, result, way, self.now, &mut out, history);
        (outcome, out)
    }

    fn send(&self, message: &Message) -> (Answered, Message) {
        let packet = message.to_vec().expect("encodes");
        let (outcome, out) = self.send_from("10.0.30.7:4000", &packet);
        let (Outcome::Answered(how) | Outcome::Aging(how)) = outcome else { panic!("{outcome:?}") };
        let answer = Message::from_vec(&out).expect("a message");
        assert_eq!(answer.metadata.id, message.metadata.id);
        (how, answer)
    }

    pub(crate) fn ask(&self, text: &str, rtype: HickoryType) -> (Answered, Message) {
        self.send(&self.packet(text, rtype))
    }

    fn is_miss(&self, text: &str, rtype: HickoryType) -> bool {
        let packet = self.packet(text, rtype).to_vec().expect("encodes");
        self.send_from("10.0.30.7:4000", &packet).0 == Outcome::Miss
    }

    fn learn(&self, text: &str, rtype: HickoryType, records: Vec<Record>) {
        let mut message = Message::response(1, OpCode::Query);
        message.queries.push(Asked::query(hickory(text), rtype));
        message.answers = records;
        let wire = message.to_vec().expect("encodes");
        assert!(self.pipeline.learn(&wire, self.now));
    }

    fn later(&mut self, secs: u64) {
        self.now.0 += Duration::from_secs(secs);
    }
}

fn a(owner: &str, ttl: u32, last: u8) -> Record {
    Record::from_rdata(hickory(owner), ttl, RData::A(A([192, 0, 2, last].into())))
}

fn cname(owner: &str, target: &str) -> Record {
    Record::from_rdata(hickory(owner), 300, RData::CNAME(CNAME(hickory(target))))
}

fn addresses(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
}

fn ede(message: &Message) -> Option<(u16, String)> {
    let edns = message.edns.as_ref()?;
    let bytes = edns.options().as_ref().iter().find_map(|(code, option)| {
        (u16::from(*code) == 15).then(|| Vec::<u8>::try_from(option).expect("bytes"))
    })?;
    let text = String::from_utf8(bytes[2..].to_vec()).expect("text");
    Some((u16::from_be_bytes([bytes[0], bytes[1]]), text))
}

fn with_edns(mut message: Message) -> Message {
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    message.edns = Some(edns);
    message
}

#[test]
fn strangers_and_reflectors_get_nothing_not_even_an_error() {
    let house = House::new();
    let good = house.packet("printer.home.arpa.", HickoryType::A).to_vec().expect("encodes");
    let bad = [&good[..20], &[0xff; 10]].concat();
    for packet in [&good, &bad] {
        let from = |source: &str| house.send_from(source, packet).0;
        assert_eq!(from("192.0.2.1:4000"), Outcome::Dropped(DropReason::Source));
        assert_eq!(from("[2001:db8::1]:4000"), Outcome::Dropped(DropReason::Source));
        for port in [0, 7, 19, 53] {
            let source = format!("10.0.30.7:{port}");
            assert_eq!(from(&source), Outcome::Dropped(DropReason::SourcePort));
        }
        assert!(matches!(from("[::ffff:10.0.30.7]:4000"), Outcome::Answered(_)));
    }
}

#[test]
fn hosts_are_answered_with_authority_and_no_list_blocks_them() {
    let house = House::new();
    let (how, answer) = house.ask("Printer.Home.arpa.", HickoryType::A);
    assert_eq!(how, Answered::Local);
    assert!(answer.metadata.authoritative && answer.metadata.recursion_available);
    assert_eq!(addresses(&answer), ["10.0.30.20"]);
    assert_eq!(addresses(&house.ask("printer.home.arpa.", HickoryType::AAAA).1), ["fd00::20"]);
    let (_, ptr) = house.ask("20.30.0.10.in-addr.arpa.", HickoryType::PTR);
    assert_eq!(addresses(&ptr), ["printer.home.arpa."]);
}

#[test]
fn the_case_of_the_question_comes_back() {
    let house = House::new();
    let packet = house.packet("pRiNtEr.HOME.arpa.", HickoryType::A).to_vec().expect("encodes");
    let (_, out) = house.send_from("10.0.30.7:4000", &packet);
    assert_eq!(out[12..packet.len()], packet[12..]);
}

#[test]
fn names_of_the_house_that_are_not_there_are_negative_with_soa() {
    let house = House::new();
    let (_, gone) = house.ask("nobody.home.arpa.", HickoryType::A);
    assert_eq!(gone.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(gone.authorities[0].name, hickory("home.arpa."));
    assert_eq!(gone.authorities[0].ttl, 5);
    let (_, no_data) = house.ask("printer.home.arpa.", HickoryType::MX);
    assert_eq!(no_data.metadata.response_code, ResponseCode::NoError);
    assert!(no_data.answers.is_empty());
    assert!(matches!(no_data.authorities[0].data, RData::SOA(_)));
}

#[test]
fn local_aliases_are_followed_and_loops_end() {
    let house = House::new();
    let (_, alias) = house.ask("nas.home.arpa.", HickoryType::A);
    assert_eq!(addresses(&alias), ["printer.home.arpa.", "10.0.30.20"]);
    let (_, gone) = house.ask("gone.home.arpa.", HickoryType::A);
    assert_eq!(gone.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(addresses(&gone), ["nobody.home.arpa."]);
    let (how, looped) = house.ask("loop.home.arpa.", HickoryType::A);
    assert_eq!(how, Answered::Local);
    assert!(looped.answers.len() < 20);
    assert!(house.is_miss("search.example.", HickoryType::A), "its target is asked upstream");
    let (_, inside) = house.ask("leak.home.arpa.", HickoryType::A);
    assert_eq!(inside.metadata.response_code, ResponseCode::NXDomain, "its target is not");
}

#[test]
fn any_is_answered_minimally() {
    let house = House::new();
    for text in ["www.example.", "printer.home.arpa.", "nas.home.arpa."] {
        let (_, answer) = house.ask(text, HickoryType::ANY);
        assert_eq!(answer.answers.len(), 1, "{text}");
        assert_eq!(answer.answers[0].record_type(), HickoryType::HINFO, "{text}");
    }
}

#[test]
fn a_blocked_name_is_null_with_the_list_and_rule_named() {
    let house = House::new();
    let (how, answer) = house.send(&with_edns(house.packet("x.ads.example.", HickoryType::A)));
    assert_eq!(how, Answered::Blocked);
    assert_eq!(addresses(&answer), ["0.0.0.0"]);
    assert_eq!(answer.answers[0].ttl, 10);
    let told = "blocked by list ads, rule ads.example".to_owned();
    assert_eq!(ede(&answer), Some((15, told)));
    let (_, six) = house.ask("x.ads.example.", HickoryType::AAAA);
    assert_eq!(addresses(&six), ["::"]);
    assert!(six.edns.is_none(), "no OPT without OPT");
    for other in [HickoryType::HTTPS, HickoryType::MX, HickoryType::TXT] {
        let (how, none) = house.ask("ads.example.", other);
        assert_eq!(how, Answered::Blocked);
        assert_eq!(none.metadata.response_code, ResponseCode::NoError);
        assert!(none.answers.is_empty());
        assert!(matches!(none.authorities[0].data, RData::SOA(_)));
    }
}

#[test]
fn an_allowed_name_and_an_unfiltered_client_pass() {
    let house = House::new();
    assert!(house.is_miss("good.ads.example.", HickoryType::A));
    let packet = house.packet("ads.example.", HickoryType::A).to_vec().expect("encodes");
    assert_eq!(house.send_from("10.0.99.7:4000", &packet).0, Outcome::Miss);
}

#[test]
fn a_pause_lifts_blocking_from_those_it_covers_and_from_nobody_else() {
    let house = House::new();
    let ask = |source: &str, text: &str| {
        let packet = house.packet(text, HickoryType::A).to_vec().expect("encodes");
        house.send_from(source, &packet).0
    };
    let (tv, phone) = ("10.0.30.7:4000", "10.0.30.8:4000");
    let blocked = Outcome::Answered(Answered::Blocked);
    house.shared.set_pauses(crate::Pauses::of(Vec::new(), vec!["10.0.30.7".parse().expect("v4")]));
    assert_eq!(ask(tv, "ads.example."), Outcome::Miss);
    assert_eq!(ask(phone, "ads.example."), blocked);
    // A device is not told to stay with this resolver while nothing is filtered for it.
    assert_eq!(ask(tv, "use-application-dns.net."), Outcome::Miss);
    house.shared.set_pauses(crate::Pauses::everybody());
    assert_eq!(ask(phone, "ads.example."), Outcome::Miss);
    // What a cached answer leads to is not judged either, and is again when the pause ends.
    let chain = vec![cname("cloak.example.", "ads.example."), a("ads.example.", 300, 9)];
    house.learn("cloak.example.", HickoryType::A, chain);
    let cached = ask(phone, "cloak.example.");
    assert_ne!(cached, blocked);
    house.shared.set_pauses(crate::Pauses::none());
    assert_eq!(ask(phone, "cloak.example."), blocked);
    assert_eq!(ask(tv, "ads.example."), blocked);
    // A pause serves nobody who is not served.
    house.shared.set_pauses(crate::Pauses::everybody());
    assert!(matches!(ask("192.0.2.1:4000", "ads.example."), Outcome::Dropped(_)));
}

#[test]
fn block_modes_differ_in_code_and_address() {
    let code = |mode| House::with(mode).ask("ads.example.", HickoryType::A).1;
    let gone = code(BlockMode::NxDomain);
    assert_eq!(gone.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(gone.authorities.len(), 1);
    let none = code(BlockMode::NoData);
    assert_eq!((none.metadata.response_code, none.answers.len()), (ResponseCode::NoError, 0));
    let own = BlockMode::Address([10, 0, 0, 9].into(), "fd00::9".parse().expect("v6"));
    assert_eq!(addresses(&code(own)), ["10.0.0.9"]);
}

#[test]
fn canaries_are_refused_only_while_filtering() {
    let house = House::new();
    for text in ["use-application-dns.net.", "mask.icloud.com.", "mask-h2.icloud.com."] {
        let (how, answer) = house.ask(text, HickoryType::A);
        assert_eq!(how, Answered::Special);
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
        let packet = house.packet(text, HickoryType::A).to_vec().expect("encodes");
        assert_eq!(house.send_from("10.0.99.7:4000", &packet).0, Outcome::Miss);
    }
    assert!(house.is_miss("www.icloud.com.", HickoryType::A));
}

#[test]
fn a_cached_answer_ages_and_expires() {
    let mut house = House::new();
    house.learn(
        "www.example.",
        HickoryType::A,
        vec![a("www.example.", 300, 1), a("www.example.", 200, 2)],
    );
    house.later(50);
    let (how, answer) = house.ask("WWW.example.", HickoryType::A);
    assert_eq!(how, Answered::Cached);
    let mut ttls: Vec<u32> = answer.answers.iter().map(|record| record.ttl).collect();
    ttls.sort_unstable();
    assert_eq!(ttls, [150, 250]);
    assert!(!answer.metadata.authoritative);
    house.later(149);
    assert_eq!(house.ask("www.example.", HickoryType::A).0, Answered::Cached);
    house.later(1);
    assert!(house.is_miss("www.example.", HickoryType::A));
}

#[test]
fn answers_with_and_without_dnssec_are_kept_apart() {
    let house = House::new();
    house.learn("www.example.", HickoryType::A, vec![a("www.example.", 300, 1)]);
    let mut message = with_edns(house.packet("www.example.", HickoryType::A));
    message.edns.as_mut().expect("set").set_dnssec_ok(true);
    let packet = message.to_vec().expect("encodes");
    assert_eq!(house.send_from("10.0.30.7:4000", &packet).0, Outcome::Miss);
    let mut message = house.packet("www.example.", HickoryType::A);
    message.metadata.checking_disabled = true;
    let packet = message.to_vec().expect("encodes");
    assert_eq!(house.send_from("10.0.30.7:4000", &packet).0, Outcome::Miss);
}

#[test]
fn negative_answers_live_as_long_as_their_soa_says() {
    let mut house = House::new();
    let mut message = Message::response(1, OpCode::Query);
    message.metadata.response_code = ResponseCode::NXDomain;
    message.queries.push(Asked::query(hickory("nobody.example."), HickoryType::A));
    let soa = SOA::new(hickory("ns.example."), hickory("h.example."), 1, 2, 3, 4, 60);
    message.authorities.push(Record::from_rdata(hickory("example."), 900, RData::SOA(soa)));
    assert!(house.pipeline.learn(&message.to_vec().expect("encodes"), house.now));
    house.later(20);
    let (how, answer) = house.ask("nobody.example.", HickoryType::A);
    assert_eq!(how, Answered::Cached);
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(answer.authorities[0].ttl, 40);
    house.later(40);
    assert!(house.is_miss("nobody.example.", HickoryType::A));
    message.authorities.clear();
    let kept = house.pipeline.learn(&message.to_vec().expect("encodes"), house.now);
    assert!(!kept, "RFC 2308, 5: not without SOA");
}

#[test]
fn cloaked_trackers_are_blocked_by_what_they_lead_to_at_every_use() {
    let house = House::new();
    let chain = vec![cname("shop.example.", "t.ads.example."), a("t.ads.example.", 300, 9)];
    house.learn("shop.example.", HickoryType::A, chain);
    let (how, answer) = house.send(&with_edns(house.packet("shop.example.", HickoryType::A)));
    assert_eq!(how, Answered::Blocked);
    assert_eq!(addresses(&answer), ["0.0.0.0"]);
    let told = "blocked by list ads, rule ads.example".to_owned();
    assert_eq!(ede(&answer), Some((15, told)));
    house.shared.set_filter(Arc::new(Rules(HashMap::new())));
    let (how, answer) = house.ask("shop.example.", HickoryType::A);
    assert_eq!(how, Answered::Cached, "the list is gone, the cache is not");
    assert_eq!(addresses(&answer), ["t.ads.example.", "192.0.2.9"]);
}

#[test]
fn a_service_record_that_leads_to_a_tracker_is_blocked() {
    let house = House::new();
    let service = SVCB::new(1, hickory("edge.ads.example."), vec![]);
    let data = RData::HTTPS(hickory_proto::rr::rdata::HTTPS(service));
    let record = Record::from_rdata(hickory("shop.example."), 300, data);
    house.learn("shop.example.", HickoryType::HTTPS, vec![record]);
    assert_eq!(house.ask("shop.example.", HickoryType::HTTPS).0, Answered::Blocked);
}

#[test]
fn records_that_are_not_the_questions_are_not_believed() {
    let house = House::new();
    let records = vec![a("www.example.", 300, 1), a("bank.example.", 300, 66)];
    house.learn("www.example.", HickoryType::A, records);
    let (_, answer) = house.ask("www.example.", HickoryType::A);
    assert_eq!(addresses(&answer), ["192.0.2.1"]);
    assert!(house.is_miss("bank.example.", HickoryType::A));
}

#[test]
fn a_dname_stays_with_the_alias_made_from_it() {
    let house = House::new();
    let target = NULL::with(b"\x03new\x07example\0".to_vec());
    let data = RData::Unknown { code: HickoryType::DNAME, rdata: target };
    let records = vec![
        Record::from_rdata(hickory("old.example."), 300, data.clone()),
        Record::from_rdata(hickory("other.example."), 300, data),
        cname("www.old.example.", "www.new.example."),
        a("www.new.example.", 300, 4),
    ];
    house.learn("www.old.example.", HickoryType::A, records);
    let (_, answer) = house.ask("www.old.example.", HickoryType::A);
    let owners: Vec<String> = answer.answers.iter().map(|r| r.name.to_string()).collect();
    assert_eq!(owners, ["old.example.", "www.old.example.", "www.new.example."]);
}

#[test]
fn an_answer_too_large_for_udp_is_truncated_and_whole_over_tcp() {
    let house = House::new();
    let many: Vec<Record> = (0..100).map(|last| a("many.example.", 300, last)).collect();
    house.learn("many.example.", HickoryType::A, many);
    for message in [
        house.packet("many.example.", HickoryType::A),
        with_edns(house.packet("many.example.", HickoryType::A)),
    ] {
        let (_, answer) = house.send(&message);
        assert!(answer.metadata.truncation && answer.answers.is_empty());
        assert_eq!(answer.edns.is_some(), message.edns.is_some());
        let packet = message.to_vec().expect("encodes");
        let asker = Asker {
            source: "10.0.30.7:4000".parse().expect("source"),
            local: LOCAL,
            transport: Transport::Tcp,
        };
        let mut out = Vec::new();
        house.pipeline.handle(&house.shared, &packet, asker, house.now, &mut out);
        let whole = Message::from_vec(&out).expect("a message");
        assert_eq!(whole.answers.len(), 100);
        assert!(!whole.metadata.truncation);
    }
}

#[test]
fn without_recursion_desired_nobody_else_is_asked() {
    let house = House::new();
    let mut message = with_edns(house.packet("www.example.", HickoryType::A));
    message.metadata.recursion_desired = false;
    let (how, answer) = house.send(&message);
    assert_eq!(how, Answered::Refused);
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
    assert_eq!(ede(&answer), Some((20, String::new())));
}

#[test]
fn failing_upstreams_give_a_stale_answer_or_a_remembered_failure() {
    let mut house = House::new();
    house.learn("www.example.", HickoryType::A, vec![a("www.example.", 60, 1)]);
    house.later(100);
    let message = with_edns(house.packet("www.example.", HickoryType::A));
    let packet = message.to_vec().expect("encodes");
    let finish = |house: &House, packet: &[u8], result| {
        let asker = Asker {
            source: "10.0.30.7:4000".parse().expect("source"),
            local: LOCAL,
            transport: Transport::Udp,
        };
        let (outcome, out) = house.finish(packet, asker, &result);
        outcome.map(|outcome| (outcome, Message::from_vec(&out).expect("a message")))
    };
    let failed = || Result::Failed(FailureKind::Timeout);
    let (outcome, stale) = finish(&house, &packet, failed()).expect("an answer");
    assert_eq!(outcome, Outcome::Answered(Answered::Stale));
    assert_eq!(stale.answers[0].ttl, 30);
    assert_eq!(ede(&stale), Some((3, String::new())));

    // While the failure is remembered, at once, and afterwards asked again.
    let query = Query::parse(&packet).expect("valid");
    let key = Route::default().key(query.name(), &query);
    house.pipeline.cache.insert_failure(key.as_bytes(), FailureKind::Timeout, house.now);
    assert_eq!(house.send(&message).0, Answered::Stale);
    house.later(1);
    assert!(house.is_miss("www.example.", HickoryType::A));

    // A day after expiry it is too old.
    house.later(24 * 3600);
    let (outcome, answer) = finish(&house, &packet, failed()).expect("an answer");
    assert_eq!(outcome, Outcome::Answered(Answered::Failed));
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    let told = "no upstream resolver answered in time".to_owned();
    assert_eq!(ede(&answer), Some((22, told)));
    assert!(finish(&house, &packet, Result::Late).is_none(), "nothing to say yet");
}

#[test]
fn an_alias_out_of_the_house_stands_before_its_targets_answer() {
    let house = House::new();
    house.learn(
        "safe.search.example.net.",
        HickoryType::A,
        vec![cname("safe.search.example.net.", "x.example.net."), a("x.example.net.", 300, 5)],
    );
    let packet = house.packet("Search.example.", HickoryType::A).to_vec().expect("encodes");
    let query = Query::parse(&packet).expect("valid");
    let alias = Alias::of(&house.shared.snapshot.load(), &query, [10, 0, 30, 7].into(), |_| {
        Default::default()
    })
    .expect("an alias");
    assert_eq!(*alias.target(), name("safe.search.example.net"));
    let entry = house.pipeline.fresh(&alias.key, house.now).expect("learned");
    let asker = Asker {
        source: "10.0.30.7:4000".parse().expect("source"),
        local: LOCAL,
        transport: Transport::Udp,
    };
    let result = Result::Answer(entry);
    let (_, out) = house.finish(&packet, asker, &result);
    let answer = Message::from_vec(&out).expect("a message");
    assert_eq!(addresses(&answer), ["safe.search.example.net.", "x.example.net.", "192.0.2.5"]);
    assert_eq!(answer.answers[0].name, hickory("search.example."));
}

#[test]
fn ad_is_told_only_to_those_who_understand_it() {
    let house = House::new();
    let mut message = Message::response(1, OpCode::Query);
    message.metadata.authentic_data = true;
    message.queries.push(Asked::query(hickory("www.example."), HickoryType::A));
    message.answers.push(a("www.example.", 300, 1));
    assert!(house.pipeline.learn(&message.to_vec().expect("encodes"), house.now));
    let mut query = house.packet("www.example.", HickoryType::A);
    assert!(!house.send(&query).1.metadata.authentic_data);
    query.metadata.authentic_data = true;
    assert!(house.send(&query).1.metadata.authentic_data);
}

proptest! {
    #[test]
    fn no_packet_makes_the_pipeline_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..700),
        transport in (0..Transport::ALL.len()).prop_map(|at| Transport::ALL[at]),
    ) {
        let house = House::new();
        let asker = Asker { source: "10.0.30.7:4000".parse().expect("source"), local: LOCAL, transport };
        house.pipeline.handle(&house.shared, &bytes, asker, house.now, &mut Vec::new());
    }

    #[test]
    fn no_almost_good_packet_makes_the_pipeline_panic(
        which in 0usize..6,
        rtype in 0u16..300,
        changes in proptest::collection::vec((0usize..80, any::<u8>()), 0..4),
    ) {
        let house = House::new();
        let names = ["x.ads.example.", "nas.home.arpa.", "search.example.", "localhost.",
            "1.0.0.10.in-addr.arpa.", "."];
        let message = with_edns(house.packet(names[which], HickoryType::from(rtype)));
        let mut packet = message.to_vec().expect("encodes");
        for (at, byte) in changes {
            if let Some(slot) = packet.get_mut(at) {
                *slot = byte;
            }
        }
        let (outcome, out) = house.send_from("10.0.30.7:4000", &packet);
        if matches!(outcome, Outcome::Answered(_)) {
            prop_assert!(Message::from_vec(&out).is_ok());
            prop_assert!(out.len() <= 1232);
        }
    }

    #[test]
    fn no_upstream_answer_makes_the_cache_panic(
        bytes in proptest::collection::vec(any::<u8>(), 12..300),
    ) {
        let house = House::new();
        house.pipeline.learn(&bytes, house.now);
    }
}
