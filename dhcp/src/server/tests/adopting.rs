//! A client claims an address that no record supports: only the book can allow it, and only the
//! link can prove that nobody else has it.

use super::bench::*;
use crate::{
    BindingState, Change, Denial, Dropped, Event, ProbeHow, ProbeResult, Refusal, Reservation,
};

/// The partner's half, which the book adopts when `adoptable` says so.
fn bench(adoptable: bool) -> Bench {
    let mut bench = Bench::new();
    for last in (101..=129).step_by(2) {
        bench.book.refused.insert(home(last), Refusal::PartnersHalf);
        if adoptable {
            bench.book.adoptable.insert(home(last));
        }
    }
    bench
}

fn claims() -> [Msg; 3] {
    [
        Msg::new(REQUEST, 1).having(home(105)),
        Msg::new(REQUEST, 1).having(home(105)).to(SERVER),
        Msg::new(REQUEST, 1).asking_for(home(105)),
    ]
}

#[test]
fn a_claim_the_book_does_not_adopt_is_left_alone() {
    for claim in claims() {
        let mut bench = bench(false);
        bench.hand(at(0), &claim).silent(Dropped::Refused(Refusal::PartnersHalf));
    }
    // An address of the own half: the partner may have been told of it by this client alone.
    bench(false).hand(at(0), &Msg::new(REQUEST, 1).asking_for(home(104))).silent(Dropped::NoRecord);
}

#[test]
fn a_claim_is_adopted_after_a_silent_probe_or_one_the_client_answers() {
    for claim in claims() {
        for result in [ProbeResult::Silent, ProbeResult::Answered(Some(mac(1)))] {
            let mut bench = bench(true);
            // Although the network does not ask for probes.
            let probe = bench.hand(at(0), &claim).probe();
            assert_eq!((probe.addr, probe.how), (home(105), ProbeHow::Arp));
            let came = bench.probed(at(0), &probe, result);
            assert!(came.replies.is_empty(), "not before it is written down");
            let [(_, Change::Adopt { addr, .. })] = bench.book.proposed[..] else {
                panic!("{:?}", bench.book.proposed)
            };
            assert_eq!(addr, home(105));
            let ack = bench.settle(at(0)).one();
            assert_eq!((ack.kind, ack.yiaddr), (ACK, home(105)));
            assert_eq!(bench.server.counters().adopted, 1);
            // From here on it is a client like any other.
            bench.book.refused.clear();
            let renewal = Msg::new(REQUEST, 1).having(home(105)).to(SERVER);
            assert_eq!(bench.talk(at(100), &renewal).one().kind, ACK);
            assert_eq!(bench.server.counters().adopted, 1);
        }
    }
}

#[test]
fn a_claim_is_not_adopted_while_another_host_answers_there() {
    for by in [Some(mac(99)), None] {
        let mut bench = bench(true);
        let probe = bench.hand(at(0), &claims()[0]).probe();
        let came = bench.probed(at(0), &probe, ProbeResult::Answered(by));
        assert!(came.events.iter().any(|event| matches!(event, Event::Conflict { .. })));
        came.silent_though_reported(Dropped::AddressInUse);
        // Whoever answers may be the rightful holder: nothing is written down against it.
        assert!(bench.book.proposed.is_empty());
        let holder = Msg::new(REQUEST, 99).having(home(105));
        let probe = bench.hand(at(1), &holder).probe();
        bench.probed(at(1), &probe, ProbeResult::Answered(Some(mac(99))));
        assert_eq!(bench.settle(at(1)).one().kind, ACK);
        // And from there on the other one is wrong.
        assert_eq!(bench.hand(at(2), &claims()[0]).one().kind, NAK);
    }
}

#[test]
fn a_claim_is_not_adopted_when_the_link_cannot_be_asked() {
    let mut bench = bench(true);
    let probe = bench.hand(at(0), &claims()[0]).probe();
    bench.probed(at(0), &probe, ProbeResult::Unavailable).silent(Dropped::NotProven);
    bench.hand(at(1), &claims()[0]).probe();
    bench.timeout(at(2)).silent(Dropped::NotProven);
}

#[test]
fn a_probe_for_one_claim_proves_nothing_for_another() {
    let mut bench = bench(true);
    let probe = bench.hand(at(0), &claims()[0]).probe();
    bench.probed(at(0), &probe, ProbeResult::Silent);
    // The book refused it after all; another client claims the same address.
    bench.book.proposed.clear();
    let probe = bench.hand(at(1), &Msg::new(REQUEST, 2).having(home(105))).probe();
    assert_eq!(probe.addr, home(105));
}

#[test]
fn behind_a_relay_agent_a_claim_to_an_address_in_use_cannot_be_told_from_its_claimant() {
    let mut bench = bench(true);
    let shed = |last| [10, 0, 40, last].into();
    for last in [105, 107] {
        bench.book.refused.insert(shed(last), Refusal::PartnersHalf);
        bench.book.adoptable.insert(shed(last));
    }
    let rebinding = Msg::new(REQUEST, 1).having(shed(105)).relayed(SHED_RELAY);
    bench.hand(at(0), &rebinding).silent(Dropped::NotProven);
    // Before INIT-REBOOT is over the client does not answer: who does is another.
    let reboot = Msg::new(REQUEST, 2).asking_for(shed(107)).relayed(SHED_RELAY);
    let probe = bench.hand(at(0), &reboot).probe();
    assert_eq!(probe.how, ProbeHow::Icmp);
    bench.probed(at(0), &probe, ProbeResult::Silent);
    assert_eq!(bench.settle(at(0)).one().yiaddr, shed(107));
}

#[test]
fn only_what_is_given_out_there_is_adopted_and_a_wrong_claim_is_denied_as_ever() {
    let mut bench = bench(true);
    bench.reconfigure(|config| {
        let network = config.networks.get_mut(HOME).unwrap();
        let hw = Some(mac(9));
        network.reservations.push(Reservation {
            hw,
            client_id: None,
            addr: home(107),
            hostname: None,
        });
    });
    bench.book.adoptable.insert(home(50));
    bench.has(at(0), home(109), hw_key(8), mac(8));
    bench.hand(at(1), &Msg::new(REQUEST, 1).having(home(50))).silent(Dropped::NoRecord);
    for (addr, why) in [
        (home(107), Denial::Reserved),
        (home(109), Denial::InUse),
        ([10, 9, 9, 9].into(), Denial::WrongNetwork),
    ] {
        let came = bench.hand(at(1), &Msg::new(REQUEST, 1).having(addr));
        let denied = came
            .events
            .iter()
            .any(|event| matches!(event, Event::Denied { reason, .. } if *reason == why));
        assert!(denied, "{came:?}");
        assert_eq!(came.one().kind, NAK);
    }
}

#[test]
fn a_client_asking_for_a_lease_anew_adopts_nothing() {
    let mut bench = bench(true);
    let came = bench.hand(at(0), &Msg::new(DISCOVER, 1).asking_for(home(105)));
    assert_eq!(u32::from(came.one().yiaddr) % 2, 0, "an address of the own half");
    bench
        .hand(at(1), &Msg::new(REQUEST, 2).select(SERVER, home(105)))
        .silent(Dropped::Refused(Refusal::PartnersHalf));
}

#[test]
fn an_address_its_client_lost_is_claimed_back_by_proof_only() {
    // Released, and the partner has not agreed: the book alone would refuse.
    let mut bench = bench(true);
    bench.has(at(0), home(105), hw_key(1), mac(1));
    bench.book.leases.get_mut(&home(105)).unwrap().state = BindingState::Released;
    let probe = bench.hand(at(1), &claims()[0]).probe();
    bench.probed(at(1), &probe, ProbeResult::Silent);
    assert_eq!(bench.settle(at(1)).one().kind, ACK);
}
