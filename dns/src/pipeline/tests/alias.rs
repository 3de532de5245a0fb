//! Aliases of the house that lead out of it: what is asked upstream is their target, and what holds of
//! the answer is what holds of that.

use hickory_proto::rr::rdata::AAAA;

use super::*;
use crate::forward::Checked;
use crate::{ForwardZone, Order, Rebinding, UpstreamGroup, UpstreamServer, Upstreams};

/// A house with these aliases, whose names below `corp.example` are known to a server of its own.
pub(super) fn house(aliases: &[(&str, &str)]) -> House {
    let zone = |apex: &str| LocalZone {
        apex: name(apex),
        name_servers: vec![name("pi-a.home.arpa")],
        serial: 7,
        negative_ttl_secs: 5,
    };
    let mut b = LocalNames::builder();
    b.domain(&name("home.arpa")).zone(&zone("home.arpa"));
    for (owner, target) in aliases {
        let (name, data) = (name(owner), RecordData::Cname(name(target)));
        b.record(&LocalRecord { name, ttl_secs: 60, data, networks: Vec::new() }).expect(owner);
    }
    let house = House::new();
    house.shared.set_local(b.build());
    let group = |id: &str, server: &str| UpstreamGroup {
        id: id.into(),
        servers: vec![UpstreamServer::plain(server.parse().expect(server))],
        order: Order::Listed,
    };
    house.shared.set_upstreams(Upstreams {
        groups: vec![group("all", "192.0.2.53:53"), group("office", "192.0.2.54:53")],
        zones: ["corp.example", "ad.home.arpa"]
            .map(|zone| ForwardZone { zone: name(zone), networks: Vec::new(), group: 1 })
            .into(),
        ..Upstreams::default()
    });
    house
}

/// What whoever is asked upstream says of the name that `owner` leads to.
pub(super) fn said(
    house: &House,
    owner: &str,
    rtype: HickoryType,
    records: Vec<Record>,
) -> (Message, Key) {
    let packet = with_edns(house.packet(owner, rtype)).to_vec().expect("encodes");
    let query = Query::parse(&packet).expect("a question");
    let errand = Errand::of(&house.shared.snapshot.load(), &query, asker());
    let target = errand.alias.as_ref().map_or(query.name(), |alias| alias.target().as_wire());
    let target = Name::from_wire(target).expect("a name").to_string();
    let mut message = Message::response(1, OpCode::Query);
    message.queries.push(Asked::query(hickory(&format!("{target}.")), rtype));
    message.answers = records;
    (message, errand.key)
}

/// The same, ready to be served.
pub(super) fn entry(
    house: &House,
    owner: &str,
    rtype: HickoryType,
    records: Vec<Record>,
) -> Arc<Entry> {
    let (message, key) = said(house, owner, rtype, records);
    Entry::from_answer(message, &key, house.now).expect("an answer")
}

pub(super) fn asker() -> Asker {
    let source = "10.0.30.7:4000".parse().expect("source");
    Asker { source, local: LOCAL, transport: Transport::Udp }
}

/// Asks, has the target asked upstream, and gives the answer made of what that says.
pub(super) fn resolved(
    house: &House,
    owner: &str,
    rtype: HickoryType,
    result: &Result,
) -> (Answered, Message) {
    let packet = with_edns(house.packet(owner, rtype)).to_vec().expect("encodes");
    assert_eq!(house.send_from("10.0.30.7:4000", &packet).0, Outcome::Miss, "{owner}");
    let (outcome, out) = house.finish(&packet, asker(), result);
    let Some(Outcome::Answered(how)) = outcome else { panic!("{owner}: {outcome:?}") };
    (how, Message::from_vec(&out).expect("a message"))
}

fn answered(
    house: &House,
    owner: &str,
    rtype: HickoryType,
    records: Vec<Record>,
) -> (Answered, Message) {
    resolved(house, owner, rtype, &Result::Answer(entry(house, owner, rtype, records)))
}

fn private(owner: &str, last: u8) -> Record {
    Record::from_rdata(hickory(owner), 300, RData::A(A([192, 168, 1, last].into())))
}

#[test]
fn an_alias_to_a_zone_that_others_know_keeps_its_private_addresses() {
    let house = house(&[("dc.home.arpa", "dc1.corp.example")]);
    let records = vec![private("dc1.corp.example.", 10)];
    let (how, answer) = answered(&house, "dc.home.arpa.", HickoryType::A, records);
    assert_eq!(how, Answered::Forwarded);
    assert_eq!(addresses(&answer), ["dc1.corp.example.", "192.168.1.10"]);
}

#[test]
fn an_alias_to_a_zone_inside_ours_that_others_know_is_asked_of_them() {
    let house = house(&[("dc.home.arpa", "dc1.ad.home.arpa"), ("no.home.arpa", "x.home.arpa")]);
    assert!(house.is_miss("dc1.ad.home.arpa.", HickoryType::A), "as the name itself is");
    let records = vec![private("dc1.ad.home.arpa.", 10)];
    let (how, answer) = answered(&house, "dc.home.arpa.", HickoryType::A, records);
    assert_eq!(how, Answered::Forwarded);
    assert_eq!(addresses(&answer), ["dc1.ad.home.arpa.", "192.168.1.10"]);
    let (_, answer) = house.ask("no.home.arpa.", HickoryType::A);
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
}

#[test]
fn an_alias_to_a_name_that_may_have_private_addresses_keeps_them() {
    let house = house(&[("media.home.arpa", "192-168-1-5.hash.plex.direct")]);
    let owner = "192-168-1-5.hash.plex.direct.";
    let asked = || answered(&house, "media.home.arpa.", HickoryType::A, vec![private(owner, 5)]);
    assert_eq!(asked().0, Answered::Withheld);
    let rebinding = Some(Rebinding::allowing([name("plex.direct")]));
    house.shared.set_protection(Protection { rebinding, ..Protection::OFF });
    let (how, answer) = asked();
    assert_eq!(
        (how, addresses(&answer)),
        (Answered::Forwarded, vec![owner.into(), "192.168.1.5".into()])
    );
}

#[test]
fn no_alias_of_the_house_brings_a_public_names_private_address_in() {
    let house = house(&[
        ("tv.home.arpa", "evil.example"),
        // The alias stands in a zone that others know, its target does not.
        ("tv.corp.example", "evil.example"),
        // The alias may have private addresses, its target may not.
        ("tv.plex.direct", "evil.example"),
    ]);
    let rebinding = Some(Rebinding::allowing([name("plex.direct")]));
    house.shared.set_protection(Protection { rebinding, ..Protection::OFF });
    let loopback = Record::from_rdata(
        hickory("evil.example."),
        300,
        RData::AAAA(AAAA(std::net::Ipv6Addr::LOCALHOST)),
    );
    let chain = |last| {
        // Nor does a public name's own alias into such a zone.
        vec![cname("evil.example.", "dc1.corp.example."), private("dc1.corp.example.", last)]
    };
    for owner in ["tv.home.arpa.", "tv.corp.example.", "tv.plex.direct."] {
        for (rtype, records, left) in [
            (HickoryType::A, vec![private("evil.example.", 1)], 1),
            (HickoryType::AAAA, vec![loopback.clone()], 1),
            (HickoryType::A, chain(10), 2),
        ] {
            let (how, answer) = answered(&house, owner, rtype, records);
            assert_eq!(how, Answered::Withheld, "{owner} {rtype}");
            assert_eq!(answer.answers.len(), left, "{owner} {rtype}: {:?}", answer.answers);
        }
    }
}

#[test]
fn what_is_told_of_an_answer_is_told_behind_an_alias_too() {
    let mut house = house(&[("out.home.arpa", "www.example")]);
    let told = |answer: &Message| ede(answer).map(|(code, _)| code);
    let ask =
        |house: &House, result: &Result| resolved(house, "out.home.arpa.", HickoryType::A, result);
    let of = |house: &House, records| entry(house, "out.home.arpa.", HickoryType::A, records);

    let fresh = of(&house, vec![a("www.example.", 60, 1)]);
    assert_eq!(told(&ask(&house, &Result::Answer(fresh.clone())).1), None);

    let inside = of(&house, vec![private("www.example.", 1)]);
    let (how, answer) = ask(&house, &Result::Answer(inside));
    assert_eq!((how, told(&answer)), (Answered::Withheld, Some(15)));

    let (message, key) =
        said(&house, "out.home.arpa.", HickoryType::A, vec![a("www.example.", 60, 1)]);
    let checked = Checked { synthesised: true, ..Checked::unchecked(message) };
    let made = Entry::from_checked(checked, &key, house.now).expect("an answer");
    assert_eq!(told(&ask(&house, &Result::Answer(made)).1), Some(29));

    house.pipeline.cache.insert(&fresh);
    house.later(100);
    let (how, answer) = ask(&house, &Result::Late);
    assert_eq!((how, told(&answer)), (Answered::Stale, Some(3)));
    assert_eq!(answer.answers[1].ttl, 30);
}

/// Rules of a household, and a record that leads to what they block.
fn leading_to_ads() -> House {
    house(&[
        ("stats.home.arpa", "x.ads.example"),
        ("good.home.arpa", "good.ads.example"),
        ("mine.home.arpa", "ads.example"),
        ("shop.home.arpa", "shop.example"),
    ])
}

fn with_rules(house: &House, rules: &[(&str, bool)]) {
    let rules = rules.iter().map(|(text, blocked)| (name(text), *blocked));
    house.shared.set_filter(Arc::new(Rules(rules.collect())));
}

#[test]
fn where_an_alias_of_the_house_leads_is_blocked_like_the_name_itself_and_not_asked() {
    let house = leading_to_ads();
    let mut reader = house.shared.record_history(1 << 16).expect("the only reader");
    let (how, answer) = house.send(&with_edns(house.packet("stats.home.arpa.", HickoryType::A)));
    assert_eq!((how, addresses(&answer)), (Answered::Blocked, vec!["0.0.0.0".to_owned()]));
    assert_eq!(answer.answers[0].name, hickory("stats.home.arpa."));
    let told = "blocked by list ads, rule ads.example".to_owned();
    assert_eq!(ede(&answer), Some((15, told)));
    let decision = reader.drain().remove(0).decision.expect("a rule decided");
    assert_eq!(decision.rule, name("ads.example"));
    assert_eq!(decision.target, Some(name("x.ads.example")));
    // Nobody else's business: a client that is not filtered, and a pause.
    let packet = house.packet("stats.home.arpa.", HickoryType::A).to_vec().expect("encodes");
    assert_eq!(house.send_from("10.0.99.7:4000", &packet).0, Outcome::Miss);
    house.shared.set_pauses(crate::Pauses::everybody());
    assert!(house.is_miss("stats.home.arpa.", HickoryType::A));
}

#[test]
fn an_exception_for_the_alias_or_for_its_target_covers_what_that_leads_to() {
    let house = leading_to_ads();
    with_rules(
        &house,
        &[("ads.example", true), ("good.ads.example", false), ("mine.home.arpa", false)],
    );
    for (owner, target) in
        [("mine.home.arpa.", "ads.example."), ("good.home.arpa.", "good.ads.example.")]
    {
        let records = vec![cname(target, "y.ads.example."), a("y.ads.example.", 60, 1)];
        let (how, answer) = answered(&house, owner, HickoryType::A, records);
        assert_eq!((how, answer.answers.len()), (Answered::Forwarded, 3), "{owner}");
    }
    let records = vec![cname("shop.example.", "y.ads.example."), a("y.ads.example.", 60, 1)];
    assert_eq!(answered(&house, "shop.home.arpa.", HickoryType::A, records).0, Answered::Blocked);
}

#[test]
fn a_list_that_arrives_while_the_target_is_asked_counts() {
    let house = leading_to_ads();
    let records = vec![a("shop.example.", 60, 1)];
    let result = Result::Answer(entry(&house, "shop.home.arpa.", HickoryType::A, records));
    let mut reader = house.shared.record_history(1 << 16).expect("the only reader");
    with_rules(&house, &[("shop.example", true)]);
    let packet = house.packet("shop.home.arpa.", HickoryType::A).to_vec().expect("encodes");
    let (outcome, _) = house.finish(&packet, asker(), &result);
    assert_eq!(outcome, Some(Outcome::Answered(Answered::Blocked)));
    let decision = reader.drain().remove(0).decision.expect("a rule decided");
    assert_eq!(decision.target, Some(name("shop.example")));
}

#[test]
fn aliases_that_go_round_or_on_and_on_fail_with_the_reason() {
    let owned: Vec<(String, String)> = (0..20)
        .map(|at| (format!("c{at}.home.arpa"), format!("c{}.home.arpa", at + 1)))
        .chain((0..9).map(|at| (format!("o{at}.home.arpa"), format!("o{}.home.arpa", at + 1))))
        .collect();
    let mut aliases: Vec<(&str, &str)> =
        owned.iter().map(|(owner, target)| (&**owner, &**target)).collect();
    aliases.extend([
        ("a.home.arpa", "b.home.arpa"),
        ("b.home.arpa", "a.home.arpa"),
        ("self.home.arpa", "self.home.arpa"),
        ("o9.home.arpa", "www.example"),
    ]);
    let house = house(&aliases);
    for owner in
        ["a.home.arpa.", "self.home.arpa.", "c0.home.arpa.", "c11.home.arpa.", "o1.home.arpa."]
    {
        for rtype in [HickoryType::A, HickoryType::TXT, HickoryType::HTTPS] {
            let (how, answer) = house.send(&with_edns(house.packet(owner, rtype)));
            assert_eq!(how, Answered::Local, "{owner}");
            assert_eq!(answer.metadata.response_code, ResponseCode::ServFail, "{owner}");
            assert!(answer.answers.is_empty() && !answer.metadata.authoritative, "{owner}");
            let (code, text) = ede(&answer).expect("the reason");
            assert!(code == 0 && text.contains("circle"), "{owner}: {code} {text}");
        }
        // The record itself is no secret.
        assert_eq!(house.ask(owner, HickoryType::CNAME).1.answers.len(), 1);
    }
    // Eight are followed, to a name of the house and out of it.
    let (_, end) = house.ask("c12.home.arpa.", HickoryType::A);
    let got = (end.answers.len(), end.metadata.response_code);
    assert_eq!(got, (8, ResponseCode::NXDomain));
    let records = vec![a("www.example.", 60, 1)];
    let (_, end) = answered(&house, "o2.home.arpa.", HickoryType::A, records);
    assert_eq!(addresses(&end).last().map(String::as_str), Some("192.0.2.1"));
    assert_eq!(end.answers.len(), 9);
}

#[test]
fn an_answer_is_not_taken_for_that_of_a_name_that_was_not_asked() {
    let to = |target: &str| house(&[("x.home.arpa", target)]);
    let first = to("evil.example");
    let evil = entry(&first, "x.home.arpa.", HickoryType::A, vec![private("evil.example.", 66)]);
    let packet = with_edns(first.packet("x.home.arpa.", HickoryType::A)).to_vec().expect("encodes");
    for result in [Result::Answer(evil.clone()), Result::Known(evil)] {
        // Meanwhile the alias leads to another name, whose private addresses would be fine.
        let (outcome, out) = to("dc1.corp.example").finish(&packet, asker(), &result);
        assert_eq!(outcome, Some(Outcome::Answered(Answered::Failed)));
        let answer = Message::from_vec(&out).expect("a message");
        let got = (answer.metadata.response_code, answer.answers.len());
        assert_eq!(got, (ResponseCode::ServFail, 0));
        // Or there is no alias any more: then the house says what there is.
        let (outcome, out) = house(&[]).finish(&packet, asker(), &result);
        assert_eq!(outcome, Some(Outcome::Answered(Answered::Local)));
        let answer = Message::from_vec(&out).expect("a message");
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    }
}

#[test]
fn an_alias_is_answered_at_once_while_its_target_is_known_and_has_it_asked_for_ahead_of_time() {
    let mut house = house(&[("out.home.arpa", "www.example")]);
    let records = vec![a("www.example.", 100, 1)];
    let entry = entry(&house, "out.home.arpa.", HickoryType::A, records);
    house.pipeline.cache.insert(&entry);
    let message = with_edns(house.packet("out.home.arpa.", HickoryType::A));
    let packet = message.to_vec().expect("encodes");
    house.later(40);
    let (how, answer) = house.send(&message);
    assert_eq!((how, answer.answers.len(), answer.answers[1].ttl), (Answered::Cached, 2, 60));
    // Near its end, once.
    house.later(55);
    let ask = |house: &House| house.send_from("10.0.30.7:4000", &packet).0;
    assert_eq!(ask(&house), Outcome::Aging(Answered::Cached));
    assert_eq!(ask(&house), Outcome::Answered(Answered::Cached));
    house.later(10);
    assert_eq!(ask(&house), Outcome::Miss, "an expired answer is no answer yet");
}

#[test]
fn that_asking_for_an_aliass_target_has_failed_is_remembered() {
    let mut house = house(&[("out.home.arpa", "www.example")]);
    let records = vec![a("www.example.", 100, 1)];
    let (_, key) = said(&house, "out.home.arpa.", HickoryType::A, Vec::new());
    let message = with_edns(house.packet("out.home.arpa.", HickoryType::A));
    house.pipeline.cache.insert_failure(key.as_bytes(), FailureKind::Timeout, house.now);
    let (how, answer) = house.send(&message);
    assert_eq!((how, ede(&answer).map(|(code, _)| code)), (Answered::Failed, Some(13)));
    house.later(1);
    assert!(house.is_miss("out.home.arpa.", HickoryType::A), "it is asked again");
    // With an expired answer at hand, that is served meanwhile.
    let entry = entry(&house, "out.home.arpa.", HickoryType::A, records);
    house.pipeline.cache.insert(&entry);
    house.later(200);
    house.pipeline.cache.insert_failure(key.as_bytes(), FailureKind::Timeout, house.now);
    let (how, answer) = house.send(&message);
    assert_eq!((how, ede(&answer).map(|(code, _)| code)), (Answered::Stale, Some(3)));
}
