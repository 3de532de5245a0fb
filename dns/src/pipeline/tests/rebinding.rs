//! Rebinding: whatever a public name's answer is made of, and whichever way it takes, no private
//! address comes through.

use hickory_proto::rr::rdata::svcb::{IpHint, SvcParamKey, SvcParamValue};
use hickory_proto::rr::rdata::{AAAA, HTTPS};

use super::*;
use crate::Rebinding;
use crate::forward::Checked;
use crate::wire::{Form, Reading, read};

/// Addresses that lead into a house, written in every way there is.
const PRIVATE: [&str; 46] = [
    // This host, this network.
    "0.0.0.0",
    "0.255.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "255.255.255.255",
    // RFC 1918.
    "10.0.0.1",
    "10.255.255.254",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.0.1",
    "192.168.255.254",
    // Carrier NAT and mesh VPNs (RFC 6598), link-local (RFC 3927).
    "100.64.0.1",
    "100.127.255.254",
    "169.254.0.1",
    "169.254.169.254",
    // This host, and IPv4-compatible addresses (RFC 4291, 2.5.5.1).
    "::",
    "::1",
    "::a00:1",
    "::7f00:1",
    "::c0a8:101",
    // IPv4-mapped (RFC 4291, 2.5.5.2), and IPv4-translated (RFC 7915).
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:192.168.1.1",
    "::ffff:169.254.169.254",
    "::ffff:0.0.0.0",
    "::ffff:0:10.0.0.1",
    "::ffff:0:127.0.0.1",
    // NAT64 (RFC 6052; RFC 8215).
    "64:ff9b::a00:1",
    "64:ff9b::7f00:1",
    "64:ff9b::c0a8:101",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "64:ff9b:1:ffff::1",
    // 6to4 (RFC 3056), and Teredo (RFC 4380), whose client's address is inverted.
    "2002:a00:1::1",
    "2002:7f00:1::1",
    "2002:c0a8:101::1",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    "2001:0:4136:e378:8000:63bf:3f57:fefe",
    // Unique local (RFC 4193), link-local, site-local (RFC 3879).
    "fc00::1",
    "fd00:1234::1",
    "fdff:ffff:ffff::1",
    "fe80::1",
    "fe80::5efe:192.168.1.1",
    "febf::1",
    "fec0::1",
    "feff::1",
];

fn address(owner: &str, text: &str) -> Record {
    let data = match text.parse().expect(text) {
        std::net::IpAddr::V4(v4) => RData::A(A(v4)),
        std::net::IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
    };
    Record::from_rdata(hickory(owner), 300, data)
}

fn type_of(text: &str) -> HickoryType {
    if text.contains(':') { HickoryType::AAAA } else { HickoryType::A }
}

/// A service record with a hint: of type SVCB or HTTPS.
fn hinting(owner: &str, rtype: HickoryType, text: &str) -> Record {
    let (key, hint) = match text.parse().expect(text) {
        std::net::IpAddr::V4(v4) => {
            (SvcParamKey::Ipv4Hint, SvcParamValue::Ipv4Hint(IpHint(vec![A(v4)])))
        }
        std::net::IpAddr::V6(v6) => {
            (SvcParamKey::Ipv6Hint, SvcParamValue::Ipv6Hint(IpHint(vec![AAAA(v6)])))
        }
    };
    let service = SVCB::new(1, hickory("."), vec![(key, hint)]);
    let data = match rtype {
        HickoryType::HTTPS => RData::HTTPS(HTTPS(service)),
        _ => RData::SVCB(service),
    };
    Record::from_rdata(hickory(owner), 300, data)
}

/// An answer as it comes from an upstream, read as it is there.
fn arrived(house: &House, owner: &str, rtype: HickoryType, records: Vec<Record>) -> Arc<Entry> {
    let (message, key) = alias::said(house, owner, rtype, records);
    let mut question = Message::query();
    question.metadata.id = message.metadata.id;
    question.queries.clone_from(&message.queries);
    let sent = question.to_vec().expect("encodes");
    let wire = message.to_vec().expect("encodes");
    let Reading::Answer(form) = read(&sent, &wire) else { panic!("an answer to {owner}") };
    let entry = match form {
        Form::Plain(layout) => Entry::from_layout(&wire, layout, &key, house.now),
        Form::Other(message) => Entry::from_checked(Checked::unchecked(*message), &key, house.now),
    };
    entry.expect("it can be kept")
}

/// The answers to `owner` in all the ways in which one is served: as it comes, out of the cache, and
/// expired.
fn served(owner: &str, rtype: HickoryType, records: &[Record]) -> Vec<(Answered, Message)> {
    let mut house = alias::house(&[("mine.home.arpa", "www.example")]);
    let entry = arrived(&house, owner, rtype, records.to_vec());
    let packet = with_edns(house.packet(owner, rtype)).to_vec().expect("encodes");
    let finish = |house: &House, result: &Result| {
        let (outcome, out) = house.finish(&packet, alias::asker(), result);
        let Some(Outcome::Answered(how)) = outcome else { panic!("{outcome:?}") };
        (how, Message::from_vec(&out).expect("a message"))
    };
    let mut all = vec![finish(&house, &Result::Answer(entry.clone()))];
    house.pipeline.cache.insert(&entry);
    let (outcome, out) = house.send_from("10.0.30.7:4000", &packet);
    let Outcome::Answered(how) = outcome else { panic!("{outcome:?}") };
    all.push((how, Message::from_vec(&out).expect("a message")));
    house.later(1000);
    all.push(finish(&house, &Result::Failed(FailureKind::Timeout)));
    all
}

#[test]
fn no_private_address_of_a_public_name_gets_through_in_any_way() {
    let (www, far) = ("www.example.", "far.example.");
    let mut seen = 0;
    for text in PRIVATE {
        let of = type_of(text);
        let (https, svcb) = (HickoryType::HTTPS, HickoryType::SVCB);
        let chain = || vec![cname(www, "near.example."), cname("near.example.", far)];
        let behind = |record| [chain(), vec![record]].concat();
        for (rtype, records) in [
            (of, vec![address(www, text)]),
            (of, behind(address(far, text))),
            (https, vec![hinting(www, https, text)]),
            (https, behind(hinting(far, https, text))),
            (svcb, vec![hinting(www, svcb, text)]),
            (svcb, behind(hinting(far, svcb, text))),
        ] {
            for owner in [www, "mine.home.arpa."] {
                for (how, answer) in served(owner, rtype, &records) {
                    let shown = format!("{text} as {rtype} of {owner}: {:?}", answer.answers);
                    assert_eq!(how, Answered::Withheld, "{shown}");
                    assert!(
                        answer.answers.iter().all(|r| r.record_type() == HickoryType::CNAME),
                        "{shown}"
                    );
                    assert_eq!(answer.metadata.response_code, ResponseCode::NoError, "{shown}");
                    assert_eq!(ede(&answer).map(|(code, _)| code), Some(15), "{shown}");
                    seen += 1;
                }
            }
        }
    }
    assert_eq!(seen, PRIVATE.len() * 6 * 2 * 3);
}

#[test]
fn public_addresses_beside_private_ones_stay() {
    let house = House::new();
    let owner = "mixed.example.";
    let records = vec![address(owner, "192.0.2.7"), address(owner, "192.168.1.1")];
    for (how, answer) in served(owner, HickoryType::A, &records) {
        assert_eq!((how, addresses(&answer)), (Answered::Withheld, vec!["192.0.2.7".to_owned()]));
    }
    house.learn(owner, HickoryType::A, records);
    let (_, told) = house.send(&with_edns(house.packet(owner, HickoryType::A)));
    let (code, text) = ede(&told).expect("an extended error");
    assert!(code == 15 && text.contains("withheld"), "{code} {text}");
}

#[test]
fn allowed_names_and_names_of_the_house_have_their_addresses() {
    let house = House::new();
    let owner = "192-168-1-5.hash.plex.direct.";
    house.learn(owner, HickoryType::A, vec![address(owner, "192.168.1.5")]);
    assert_eq!(house.ask(owner, HickoryType::A).0, Answered::Withheld);
    let rebinding = Some(Rebinding::allowing([name("plex.direct")]));
    house.shared.set_protection(Protection { rebinding, ..Protection::OFF });
    assert_eq!(addresses(&house.ask(owner, HickoryType::A).1), ["192.168.1.5"]);
    assert_eq!(house.ask("printer.home.arpa.", HickoryType::A).0, Answered::Local);
    let other = "router.example.";
    house.learn(other, HickoryType::A, vec![address(other, "192.168.1.1")]);
    assert_eq!(house.ask(other, HickoryType::A).0, Answered::Withheld);
    house.shared.set_protection(Protection::OFF);
    assert_eq!(addresses(&house.ask(other, HickoryType::A).1), ["192.168.1.1"]);
}
