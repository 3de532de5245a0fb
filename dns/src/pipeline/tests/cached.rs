//! What the cache gives beyond the answer itself.

use std::collections::BTreeMap;

use super::*;

/// What is answered to a question with this id.
fn first_addresses(house: &House, text: &str) -> BTreeMap<String, usize> {
    let mut first = BTreeMap::new();
    for id in 0..60 {
        let mut message = house.packet(text, HickoryType::A);
        message.metadata.id = id;
        let (_, answer) = house.send(&message);
        let mut all = addresses(&answer);
        *first.entry(all[0].clone()).or_insert(0) += 1;
        all.sort();
        assert_eq!(all, ["192.0.2.1", "192.0.2.2", "192.0.2.3"], "none lost, none twice");
    }
    first
}

#[test]
fn each_address_stands_first_equally_often() {
    let house = House::new();
    let owner = "www.example.";
    house.learn(owner, HickoryType::A, vec![a(owner, 300, 1), a(owner, 300, 2), a(owner, 300, 3)]);
    let first = first_addresses(&house, owner);
    assert!(first.len() == 3 && first.values().all(|times| *times == 20), "{first:?}");
}

#[test]
fn behind_an_alias_too_and_the_alias_stays_in_front() {
    let house = House::new();
    let (alias, owner) = ("shop.example.", "cdn.example.net.");
    let records = vec![cname(alias, owner), a(owner, 300, 1), a(owner, 300, 2), a(owner, 300, 3)];
    house.learn(alias, HickoryType::A, records);
    for id in [0, 1, 2, 77] {
        let mut message = house.packet(alias, HickoryType::A);
        message.metadata.id = id;
        let (_, answer) = house.send(&message);
        assert_eq!(answer.answers[0].data.to_string(), owner);
        assert!(answer.answers[1..].iter().all(|record| record.name == hickory(owner)));
        assert_eq!(answer.answers.len(), 4);
    }
}

#[test]
fn what_is_asked_for_late_in_its_life_is_asked_for_again_once() {
    let mut house = House::new();
    let owner = "www.example.";
    let ask = |house: &House| {
        let packet = house.packet(owner, HickoryType::A).to_vec().expect("encodes");
        house.send_from("10.0.30.7:4000", &packet).0
    };
    house.learn(owner, HickoryType::A, vec![a(owner, 300, 1)]);
    house.later(269);
    assert_eq!(ask(&house), Outcome::Answered(Answered::Cached));
    house.later(1);
    assert_eq!(ask(&house), Outcome::Aging(Answered::Cached));
    assert_eq!(ask(&house), Outcome::Answered(Answered::Cached), "one is enough");
    house.learn(owner, HickoryType::A, vec![a(owner, 300, 1)]);
    house.later(280);
    assert_eq!(ask(&house), Outcome::Aging(Answered::Cached), "and again in its next life");
}

#[test]
fn an_answer_that_lives_for_seconds_is_not_asked_for_ahead_of_time() {
    let mut house = House::new();
    let owner = "brief.example.";
    house.learn(owner, HickoryType::A, vec![a(owner, 9, 1)]);
    house.later(8);
    assert_eq!(house.ask(owner, HickoryType::A).0, Answered::Cached);
    let packet = house.packet(owner, HickoryType::A).to_vec().expect("encodes");
    let outcome = house.send_from("10.0.30.7:4000", &packet).0;
    assert_eq!(outcome, Outcome::Answered(Answered::Cached));
}
