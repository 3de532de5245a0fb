//! Conflict probes before a first grant.

use super::bench::*;
use crate::{Change, Dropped, Event, ProbeHow, ProbeResult};

fn bench() -> Bench {
    Bench::with(|config| {
        for network in config.networks.values_mut() {
            network.probe = true;
        }
    })
}

#[test]
fn an_address_is_probed_before_its_first_offer() {
    let mut bench = bench();
    let probe = bench.hand(at(0), &Msg::new(DISCOVER, 1)).probe();
    assert_eq!((&*probe.network, probe.how), (HOME, ProbeHow::Arp));
    let offer = bench.probed(at(0), &probe, ProbeResult::Silent).one();
    assert_eq!((offer.kind, offer.yiaddr), (OFFER, probe.addr));
    // The REQUEST needs none, and neither does a repeated DISCOVER.
    assert_eq!(bench.talk(at(1), &Msg::new(DISCOVER, 1)).one().yiaddr, probe.addr);
    let ack = bench.talk(at(1), &Msg::new(REQUEST, 1).select(SERVER, probe.addr)).one();
    assert_eq!(ack.kind, ACK);
    assert_eq!(bench.server.counters().probes, 1);
}

#[test]
fn a_returning_client_waits_for_no_probe() {
    let mut bench = bench();
    bench.has(at(0), home(101), hw_key(1), mac(1));
    assert_eq!(bench.hand(at(1), &Msg::new(DISCOVER, 1)).one().yiaddr, home(101));
}

#[test]
fn behind_a_relay_agent_the_probe_is_an_echo() {
    let mut bench = bench();
    let probe = bench.hand(at(0), &Msg::new(DISCOVER, 1).relayed(SHED_RELAY)).probe();
    assert_eq!((&*probe.network, probe.how), (SHED, ProbeHow::Icmp));
}

#[test]
fn an_address_in_use_is_declined_and_the_next_one_offered() {
    let mut bench = bench();
    let first = bench.hand(at(0), &Msg::new(DISCOVER, 1)).probe();
    let came = bench.probed(at(0), &first, ProbeResult::Answered(Some(mac(99))));
    let [Event::Conflict { addr, by, .. }] = came.events[..] else { panic!("{came:?}") };
    assert_eq!((addr, by), (first.addr, Some(mac(99))));
    let second = came.probe();
    assert_ne!(second.addr, first.addr);
    let [(_, Change::Decline { addr, .. })] = bench.book.proposed[..] else {
        panic!("{:?}", bench.book.proposed)
    };
    assert_eq!(addr, first.addr);
    assert_eq!(bench.probed(at(0), &second, ProbeResult::Silent).one().yiaddr, second.addr);
    // Not even while the book has not settled it is it offered to anybody else.
    for n in 2..=19 {
        let probe = bench.hand(at(1), &Msg::new(DISCOVER, n)).probe();
        assert_ne!(probe.addr, first.addr);
        bench.probed(at(1), &probe, ProbeResult::Silent).one();
    }
}

#[test]
fn the_client_itself_at_the_address_is_no_conflict() {
    let mut bench = bench();
    let probe = bench.hand(at(0), &Msg::new(DISCOVER, 1)).probe();
    let offer = bench.probed(at(0), &probe, ProbeResult::Answered(Some(mac(1)))).one();
    assert_eq!(offer.yiaddr, probe.addr);
}

#[test]
fn where_the_host_cannot_probe_the_client_is_served_all_the_same() {
    let mut bench = bench();
    let probe = bench.hand(at(0), &Msg::new(DISCOVER, 1)).probe();
    assert_eq!(bench.probed(at(0), &probe, ProbeResult::Unavailable).one().kind, OFFER);
    assert_eq!(bench.server.counters().probes_unavailable, 1);
}

#[test]
fn a_probe_nobody_reports_on_is_given_up_after_a_second() {
    let mut bench = bench();
    let probe = bench.hand(at(0), &Msg::new(DISCOVER, 1)).probe();
    let (when, why) = bench.server.poll_timeout().expect("a wake-up");
    assert_eq!((when, why), (at(1), "a conflict probe is overdue"));
    assert_eq!(bench.timeout(when).one().yiaddr, probe.addr);
    // Its late result is nobody's.
    let came = bench.probed(at(2), &probe, ProbeResult::Answered(None));
    assert!(came.replies.is_empty() && came.events.is_empty(), "{came:?}");
    assert_eq!(bench.server.poll_timeout(), None);
}

#[test]
fn a_repetition_while_the_probe_runs_starts_no_second_one() {
    let mut bench = bench();
    let probe = bench.hand(at(0), &Msg::new(DISCOVER, 1)).probe();
    bench.hand(at(0), &Msg::new(DISCOVER, 1).xid(77)).silent(Dropped::Repeated);
    // One answer, to the transaction the client is listening for.
    assert_eq!(bench.probed(at(0), &probe, ProbeResult::Silent).one().xid, 77);
}

#[test]
fn two_clients_are_not_probed_the_same_address() {
    let mut bench = bench();
    let asked = |n| Msg::new(DISCOVER, n).asking_for(home(108));
    let first = bench.hand(at(0), &asked(1)).probe();
    let second = bench.hand(at(0), &asked(2)).probe();
    assert_eq!(first.addr, home(108));
    assert_ne!(second.addr, home(108));
}

#[test]
fn a_hostile_host_that_answers_for_everything_gets_four_addresses_a_discover() {
    let mut bench = bench();
    let mut came = bench.hand(at(0), &Msg::new(DISCOVER, 1));
    let mut declined = 0;
    while let Some(probe) = came.probes.first().cloned() {
        declined += 1;
        came = bench.probed(at(0), &probe, ProbeResult::Answered(Some(mac(99))));
    }
    assert_eq!(declined, 4);
    assert_eq!(came.drops, [Dropped::AddressInUse]);
}

#[test]
fn an_unknown_renewal_is_taken_up_after_a_probe() {
    let mut bench = bench();
    let renewal = Msg::new(REQUEST, 1).having(home(104)).to(SERVER);
    let probe = bench.hand(at(0), &renewal).probe();
    assert_eq!(probe.addr, home(104));
    // The client has the address: it answers itself.
    bench.probed(at(0), &probe, ProbeResult::Answered(Some(mac(1))));
    assert_eq!(bench.settle(at(0)).one().kind, ACK);

    let probe = bench.hand(at(1), &Msg::new(REQUEST, 2).having(home(105)).to(SERVER)).probe();
    let came = bench.probed(at(1), &probe, ProbeResult::Answered(Some(mac(99))));
    came.silent_though_reported(Dropped::AddressInUse);
}

#[test]
fn behind_a_relay_agent_an_unknown_renewal_is_not_probed() {
    // The client would answer the echo itself, and an echo has no hardware address.
    let mut bench = bench();
    let renewal = Msg::new(REQUEST, 1).having([10, 0, 40, 104].into()).relayed(SHED_RELAY);
    assert_eq!(bench.talk(at(0), &renewal).one().kind, ACK);
}

#[test]
fn a_message_whose_probe_is_overdue_is_not_lost_to_a_newer_one() {
    let mut bench = bench();
    let first = bench.hand(at(0), &Msg::new(DISCOVER, 1)).probe();
    // The shell hands in a packet before it gets around to the timeout.
    bench.hand(at(2), &Msg::new(DISCOVER, 2)).probe();
    assert_eq!(bench.timeout(at(2)).one().yiaddr, first.addr);
}

#[test]
fn only_so_many_messages_wait_for_probes() {
    let mut bench = Bench::with(|config| {
        let home = config.networks.get_mut(HOME).unwrap();
        home.probe = true;
        home.subnet = ([10, 0, 16, 0].into(), 20);
        home.pools = vec![[10, 0, 18, 0].into()..=[10, 0, 29, 255].into()];
    });
    let mut probes = 0;
    for n in 0..300u16 {
        let mut msg = Msg::new(DISCOVER, 1);
        msg.hw = crate::HwAddr::new(1, &[2, 0, 0, 0, (n >> 8) as u8, n as u8]).unwrap();
        let came = bench.hand(at(0), &msg);
        probes += came.probes.len();
        assert_eq!(came.drops.len(), usize::from(n >= 256));
    }
    assert_eq!(probes, 256);
}
