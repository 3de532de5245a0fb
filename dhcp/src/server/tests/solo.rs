//! After a double fault no record can be trusted: the link is asked before anything is said.

use super::bench::*;
use crate::{Dropped, ProbeResult, Refusal};

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.book.probes_everything = true;
    bench
}

#[test]
fn every_address_is_probed_before_it_is_offered() {
    let mut bench = bench();
    // Also the one the client had.
    bench.has(at(0), home(104), hw_key(1), mac(1));
    for n in [1, 2] {
        let probe = bench.hand(at(1), &Msg::new(DISCOVER, n)).probe();
        let offer = bench.probed(at(1), &probe, ProbeResult::Silent).one();
        assert_eq!((offer.kind, offer.yiaddr), (OFFER, probe.addr));
        assert!(n != 1 || probe.addr == home(104));
        // The REQUEST follows at once: nothing new can be learnt.
        let ack = bench.talk(at(2), &Msg::new(REQUEST, n).select(SERVER, offer.yiaddr)).one();
        assert_eq!(ack.kind, ACK);
    }
}

#[test]
fn a_lease_is_renewed_when_the_link_is_silent_or_its_client_answers() {
    for result in [ProbeResult::Silent, ProbeResult::Answered(Some(mac(1)))] {
        for renewal in [
            Msg::new(REQUEST, 1).having(home(104)).to(SERVER),
            Msg::new(REQUEST, 1).having(home(104)),
            Msg::new(REQUEST, 1).asking_for(home(104)),
        ] {
            let mut bench = bench();
            bench.has(at(0), home(104), hw_key(1), mac(1));
            let probe = bench.hand(at(1), &renewal).probe();
            assert_eq!(probe.addr, home(104));
            bench.probed(at(1), &probe, result);
            assert_eq!(bench.settle(at(1)).one().kind, ACK);
        }
    }
}

#[test]
fn a_lease_is_not_renewed_while_another_host_answers_and_nobody_is_denied() {
    let mut bench = bench();
    bench.has(at(0), home(104), hw_key(1), mac(1));
    let renewal = Msg::new(REQUEST, 1).having(home(104)).to(SERVER);
    let probe = bench.hand(at(1), &renewal).probe();
    let came = bench.probed(at(1), &probe, ProbeResult::Answered(Some(mac(2))));
    came.silent_though_reported(Dropped::AddressInUse);
    assert!(bench.book.proposed.is_empty(), "nothing is written down against either");
    // Nor is the other one told that the address is the first one's: that may be old knowledge.
    bench
        .hand(at(2), &Msg::new(REQUEST, 2).having(home(104)))
        .silent(Dropped::Refused(Refusal::InUse));
    // When the other has gone the lease goes on.
    let probe = bench.hand(at(3), &renewal).probe();
    bench.probed(at(3), &probe, ProbeResult::Silent);
    assert_eq!(bench.settle(at(3)).one().kind, ACK);
}

#[test]
fn without_a_probe_nothing_is_offered_or_renewed() {
    let mut bench = bench();
    bench.has(at(0), home(104), hw_key(1), mac(1));
    for msg in [Msg::new(DISCOVER, 2), Msg::new(REQUEST, 1).having(home(104)).to(SERVER)] {
        let probe = bench.hand(at(1), &msg).probe();
        bench.probed(at(1), &probe, ProbeResult::Unavailable).silent(Dropped::NotProven);
        bench.hand(at(2), &msg).probe();
        bench.timeout(at(3)).silent(Dropped::NotProven);
    }
}

#[test]
fn an_address_somebody_answers_at_is_passed_over_and_not_written_off() {
    let mut bench = bench();
    let first = bench.hand(at(0), &Msg::new(DISCOVER, 1)).probe();
    let second = bench.probed(at(0), &first, ProbeResult::Answered(Some(mac(9)))).probe();
    assert_ne!(second.addr, first.addr);
    assert_eq!(bench.probed(at(0), &second, ProbeResult::Silent).one().yiaddr, second.addr);
    assert!(bench.book.proposed.is_empty());
    // Its holder turns out to be a client of the house.
    bench.book.adoptable.insert(first.addr);
    let probe = bench.hand(at(1), &Msg::new(REQUEST, 9).having(first.addr)).probe();
    bench.probed(at(1), &probe, ProbeResult::Answered(Some(mac(9))));
    assert_eq!(bench.settle(at(1)).one().kind, ACK);
}

#[test]
fn behind_a_relay_agent_a_lease_on_record_goes_on() {
    // The client itself would answer the echo; the record and its claim agree.
    let mut bench = bench();
    let addr = [10, 0, 40, 104].into();
    bench.has(at(0), addr, hw_key(1), mac(1));
    let renewal = Msg::new(REQUEST, 1).having(addr).relayed(SHED_RELAY);
    assert_eq!(bench.talk(at(1), &renewal).one().kind, ACK);
}

#[test]
fn a_request_long_after_the_offer_is_proven_again() {
    let mut bench = bench();
    let probe = bench.hand(at(0), &Msg::new(DISCOVER, 1)).probe();
    let offer = bench.probed(at(0), &probe, ProbeResult::Silent).one();
    let request = Msg::new(REQUEST, 1).select(SERVER, offer.yiaddr);
    assert_eq!(bench.hand(at(61), &request).probe().addr, offer.yiaddr);
}
