//! Clients that ask too much.

use super::*;
use crate::RateLimit;

#[test]
fn a_client_over_its_limit_is_sent_to_tcp_or_not_answered_and_the_others_are() {
    let house = House::new();
    let rate_limit = Some(RateLimit { per_second: 10, burst: 20 });
    house.shared.set_protection(Protection { rate_limit, ..Protection::OFF });
    let mut outcomes = std::collections::BTreeMap::new();
    for id in 0..220 {
        let mut message = house.packet("printer.home.arpa.", HickoryType::A);
        message.metadata.id = id;
        let packet = message.to_vec().expect("encodes");
        let (outcome, out) = house.send_from("10.0.30.7:4000", &packet);
        *outcomes.entry(format!("{outcome:?}")).or_insert(0) += 1;
        if outcome == Outcome::Answered(Answered::Limited) {
            let answer = Message::from_vec(&out).expect("a message");
            assert!(answer.metadata.truncation && answer.answers.is_empty());
            assert_eq!(out.len(), packet.len(), "no larger than the question");
        }
        let (outcome, _) = house.send_from(
            "10.0.30.8:4000",
            &house.packet("printer.home.arpa.", HickoryType::A).to_vec().expect("encodes"),
        );
        if id < 20 {
            assert_eq!(outcome, Outcome::Answered(Answered::Local));
        }
    }
    let told: Vec<(String, i32)> = outcomes.into_iter().collect();
    let expected =
        [("Answered(Limited)", 20), ("Answered(Local)", 20), ("Dropped(RateLimit)", 180)];
    assert_eq!(told, expected.map(|(what, times)| (what.to_owned(), times)));
    let over = house.shared.over_limit();
    assert_eq!(
        (over.len(), over[0].client.to_string().as_str(), over[0].refused),
        (2, "10.0.30.7", 200)
    );
}

#[test]
fn malformed_questions_count_too() {
    let house = House::new();
    let rate_limit = Some(RateLimit { per_second: 1, burst: 3 });
    house.shared.set_protection(Protection { rate_limit, ..Protection::OFF });
    let mut packet = house.packet("printer.home.arpa.", HickoryType::A).to_vec().expect("encodes");
    packet.push(0);
    let answered = |source: &str| {
        (0..10)
            .filter(|_| matches!(house.send_from(source, &packet).0, Outcome::Answered(_)))
            .count()
    };
    assert_eq!(answered("10.0.30.9:4000"), 3);
}
