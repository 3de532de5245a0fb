//! Every message in every state of the client, on an attached network.

use std::time::Duration;

use super::bench::*;
use crate::options::code;
use crate::{Asking, BindingState, Change, Denial, Dropped, Event, Refusal};

#[test]
fn discover_is_offered_an_address_and_request_gets_it() {
    let mut bench = Bench::new();
    let offer = bench.talk(at(0), &Msg::new(DISCOVER, 1)).one();
    assert_eq!((offer.kind, offer.xid), (OFFER, 0x1234_0001));
    assert!(bench.config.networks[HOME].pools.iter().any(|pool| pool.contains(&offer.yiaddr)));
    assert_eq!(offer.option(code::SERVER_ID), Some(&SERVER.octets()[..]));
    assert_eq!(offer.source, SERVER);
    assert!(bench.book.leases.is_empty(), "an offer binds nothing");

    let came = bench.talk(at(1), &Msg::new(REQUEST, 1).select(SERVER, offer.yiaddr));
    let [Event::Leased { addr, renewal: false, .. }] = came.events[..] else { panic!("{came:?}") };
    assert_eq!(addr, offer.yiaddr);
    let ack = came.one();
    assert_eq!((ack.kind, ack.yiaddr, ack.xid), (ACK, offer.yiaddr, 0x1234_0001));
    assert_eq!(ack.secs_option(code::LEASE_TIME), Some(86_400));
    assert_eq!(ack.secs_option(code::RENEWAL_TIME), Some(43_200));
    assert_eq!(ack.secs_option(code::REBINDING_TIME), Some(75_600));
    let lease = &bench.book.leases[&ack.yiaddr];
    assert_eq!(lease.client.as_ref().map(|client| &client.key), Some(&hw_key(1)));
    assert_eq!(bench.server.counters().acks, 1);
}

#[test]
fn a_repeated_discover_is_offered_the_same_address_for_a_minute() {
    let mut bench = Bench::new();
    let first = bench.talk(at(0), &Msg::new(DISCOVER, 1)).one().yiaddr;
    for n in 2..=19 {
        let other = bench.talk(at(1), &Msg::new(DISCOVER, n)).one().yiaddr;
        assert_ne!(other, first, "kept for client 1");
    }
    assert_eq!(bench.talk(at(59), &Msg::new(DISCOVER, 1)).one().yiaddr, first);
    // The hold was renewed at 59 s; without a REQUEST it ends a minute later.
    bench.talk(at(60), &Msg::new(DISCOVER, 20)).one();
    bench.talk(at(61), &Msg::new(DISCOVER, 21)).one();
}

#[test]
fn a_client_finds_its_last_address_again() {
    let mut bench = Bench::new();
    let addr = bench.lease(at(0), 1);
    bench.book.put(
        at(10),
        addr,
        BindingState::Expired,
        Some(client(hw_key(1), mac(1))),
        Duration::ZERO,
    );
    assert_eq!(bench.talk(at(100_000), &Msg::new(DISCOVER, 1)).one().yiaddr, addr);
}

#[test]
fn the_requested_address_is_offered_when_it_is_free() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.talk(at(0), &Msg::new(DISCOVER, 1).asking_for(home(125))).one().yiaddr,
        home(125)
    );
    // Held for client 1 now, outside the pools, and on another network.
    for asked in [home(125), home(50), std::net::Ipv4Addr::new(192, 168, 1, 20)] {
        let offer = bench.talk(at(1), &Msg::new(DISCOVER, 2).asking_for(asked)).one();
        assert_ne!(offer.yiaddr, asked);
    }
}

#[test]
fn selecting_another_server_frees_the_offer() {
    let mut bench = Bench::with(|config| {
        config.networks.get_mut(HOME).unwrap().pools = vec![home(100)..=home(100)];
    });
    bench.talk(at(0), &Msg::new(DISCOVER, 1)).one();
    bench.hand(at(1), &Msg::new(DISCOVER, 2)).silent_though_reported(Dropped::PoolExhausted);
    bench
        .hand(at(3), &Msg::new(REQUEST, 1).select(PARTNER, home(101)))
        .silent(Dropped::ForAnotherServer);
    assert!(bench.book.proposed.is_empty());
    assert_eq!(bench.talk(at(4), &Msg::new(DISCOVER, 2)).one().yiaddr, home(100));
}

#[test]
fn init_reboot_is_acked_when_the_binding_is_known() {
    let mut bench = Bench::new();
    let addr = bench.lease(at(0), 1);
    let ack = bench.talk(at(500), &Msg::new(REQUEST, 1).asking_for(addr)).one();
    assert_eq!((ack.kind, ack.yiaddr), (ACK, addr));
    assert_eq!(bench.book.asked.borrow().last(), Some(&(Asking::Broadcast, Some(addr))));
}

#[test]
fn init_reboot_without_a_record_is_not_answered() {
    let mut bench = Bench::new();
    bench.hand(at(0), &Msg::new(REQUEST, 1).asking_for(home(101))).silent(Dropped::NoRecord);
}

#[test]
fn init_reboot_on_the_wrong_network_is_denied_by_an_authoritative_server_only() {
    let strange = std::net::Ipv4Addr::new(192, 168, 1, 20);
    let mut bench = Bench::new();
    let nak = bench.talk(at(0), &Msg::new(REQUEST, 1).asking_for(strange)).one();
    assert_eq!((nak.kind, nak.yiaddr, nak.ciaddr, nak.siaddr), NAK_WITHOUT_ADDRESSES);
    assert_eq!(nak.option(code::SERVER_ID), Some(&SERVER.octets()[..]));
    assert_eq!(nak.option(code::LEASE_TIME), None);

    bench.reconfigure(|config| config.networks.get_mut(HOME).unwrap().authoritative = false);
    bench.hand(at(1), &Msg::new(REQUEST, 1).asking_for(strange)).silent(Dropped::NoRecord);
    // A client with a record here is denied all the same.
    bench.lease(at(2), 2);
    assert_eq!(bench.talk(at(3), &Msg::new(REQUEST, 2).asking_for(strange)).one().kind, NAK);
}

#[test]
fn an_address_that_is_active_to_another_client_is_denied() {
    let mut bench = Bench::new();
    let addr = bench.lease(at(0), 1);
    for msg in [
        Msg::new(REQUEST, 2).asking_for(addr),
        Msg::new(REQUEST, 2).select(SERVER, addr),
        Msg::new(REQUEST, 2).having(addr),
        Msg::new(REQUEST, 2).having(addr).to(SERVER),
    ] {
        let came = bench.talk(at(1), &msg);
        let [Event::Denied { reason: Denial::InUse, .. }] = came.events[..] else {
            panic!("{came:?}")
        };
        assert_eq!(came.one().kind, NAK);
    }
}

#[test]
fn what_the_book_may_not_grant_is_never_denied() {
    // The partner may well have granted it: silence, the client finds the partner.
    let mut bench = Bench::new();
    bench.book.refused.insert(home(101), Refusal::PartnersHalf);
    for msg in [
        Msg::new(REQUEST, 1).asking_for(home(101)),
        Msg::new(REQUEST, 1).select(SERVER, home(101)),
        Msg::new(REQUEST, 1).having(home(101)),
        Msg::new(REQUEST, 1).having(home(101)).to(SERVER),
    ] {
        bench.hand(at(0), &msg).silent(Dropped::Refused(Refusal::PartnersHalf));
    }
}

#[test]
fn renewing_and_rebinding_prolong_the_binding() {
    let mut bench = Bench::new();
    let addr = bench.lease(at(0), 1);
    let came = bench.talk(at(43_200), &Msg::new(REQUEST, 1).having(addr).to(SERVER));
    let [Event::Leased { renewal: true, .. }] = came.events[..] else { panic!("{came:?}") };
    let ack = came.one();
    assert_eq!((ack.kind, ack.yiaddr, ack.ciaddr), (ACK, addr, addr));
    assert_eq!(bench.book.asked.borrow().last(), Some(&(Asking::Addressed, Some(addr))));
    assert_eq!(bench.book.leases[&addr].expiry, at(43_200 + 86_400));

    let ack = bench.talk(at(118_800), &Msg::new(REQUEST, 1).having(addr)).one();
    assert_eq!((ack.kind, ack.yiaddr), (ACK, addr));
    assert_eq!(bench.book.asked.borrow().last(), Some(&(Asking::Broadcast, Some(addr))));
}

#[test]
fn a_renewal_after_the_record_was_lost_is_taken_up() {
    // A lone node that lost its disk: the address is free to grant, and its user asks for it.
    let mut bench = Bench::new();
    let ack = bench.talk(at(0), &Msg::new(REQUEST, 1).having(home(104)).to(SERVER)).one();
    assert_eq!((ack.kind, ack.yiaddr), (ACK, home(104)));
    // But nothing outside the pools, and not this node's own address.
    bench.hand(at(1), &Msg::new(REQUEST, 2).having(home(50))).silent(Dropped::NoRecord);
    bench.hand(at(1), &Msg::new(REQUEST, 2).having(SERVER)).silent(Dropped::NoRecord);
}

#[test]
fn a_binding_outside_the_new_pools_lasts_as_promised_and_no_longer() {
    let mut bench = Bench::new();
    let addr = bench.lease(at(0), 1);
    bench.reconfigure(|config| {
        config.networks.get_mut(HOME).unwrap().pools = vec![home(200)..=home(209)];
    });
    for msg in [
        Msg::new(REQUEST, 1).having(addr).to(SERVER),
        Msg::new(REQUEST, 1).having(addr),
        Msg::new(REQUEST, 1).asking_for(addr),
    ] {
        bench.hand(at(43_200), &msg).silent(Dropped::NotServed);
    }
    assert_eq!(bench.book.leases[&addr].state, BindingState::Active);
    assert!(bench.lease(at(86_400), 1) >= home(200));
}

#[test]
fn release_ends_the_binding_of_its_own_client_only() {
    let mut bench = Bench::new();
    let addr = bench.lease(at(0), 1);
    bench.hand(at(1), &Msg::new(RELEASE, 2).having(addr).to(SERVER)).silent(Dropped::NotTheirs);
    bench
        .hand(at(1), &Msg::new(RELEASE, 1).having(addr).option(code::SERVER_ID, &PARTNER.octets()))
        .silent(Dropped::ForAnotherServer);
    let came = bench.talk(
        at(1),
        &Msg::new(RELEASE, 1).having(addr).to(SERVER).option(code::SERVER_ID, &SERVER.octets()),
    );
    assert!(came.replies.is_empty(), "a RELEASE has no answer");
    assert_eq!(bench.book.leases[&addr].state, BindingState::Released);
}

#[test]
fn inform_gets_settings_but_no_address_and_no_lease() {
    let mut bench = Bench::new();
    let ack = bench.talk(at(0), &Msg::new(INFORM, 1).having(home(50))).one();
    assert_eq!((ack.kind, ack.yiaddr, ack.ciaddr), (ACK, [0, 0, 0, 0].into(), home(50)));
    assert_eq!(ack.option(code::ROUTER), Some(&home(1).octets()[..]));
    for code in [code::LEASE_TIME, code::RENEWAL_TIME, code::REBINDING_TIME] {
        assert_eq!(ack.option(code), None);
    }
    assert!(bench.book.proposed.is_empty(), "an INFORM changes nothing");
}

#[test]
fn a_reservation_comes_before_the_address_the_client_had() {
    let mut bench = Bench::new();
    let had = bench.lease(at(0), 1);
    bench.reconfigure(|config| {
        let home = config.networks.get_mut(HOME).unwrap();
        home.reservations.push(reserve(Some(mac(1)), None, 20));
    });
    // Its running lease goes on; a new search ends at the reservation, outside the pools.
    let ack = bench.talk(at(10), &Msg::new(REQUEST, 1).having(had).to(SERVER)).one();
    assert_eq!((ack.kind, ack.yiaddr), (ACK, had));
    assert_eq!(bench.lease(at(20), 1), home(20));
}

#[test]
fn a_reservation_is_no_bypass_of_the_book() {
    let mut bench = Bench::with(|config| {
        let home = config.networks.get_mut(HOME).unwrap();
        home.reservations.push(reserve(Some(mac(1)), None, 20));
    });
    bench.book.refused.insert(home(20), Refusal::PartnersHalf);
    let offer = bench.talk(at(0), &Msg::new(DISCOVER, 1)).one();
    assert!(bench.config.networks[HOME].pools.iter().any(|pool| pool.contains(&offer.yiaddr)));
}

#[test]
fn a_reserved_address_is_for_its_client_alone() {
    let mut bench = Bench::with(|config| {
        let home = config.networks.get_mut(HOME).unwrap();
        home.reservations.push(reserve(Some(mac(1)), None, 105));
        home.pools = vec![super::bench::home(105)..=super::bench::home(106)];
    });
    assert_eq!(bench.lease(at(0), 2), home(106));
    bench.hand(at(1), &Msg::new(DISCOVER, 3)).silent_though_reported(Dropped::PoolExhausted);
    let came = bench.talk(at(2), &Msg::new(REQUEST, 3).select(SERVER, home(105)));
    let [Event::Denied { reason: Denial::Reserved, .. }] = came.events[..] else {
        panic!("{came:?}")
    };
    assert_eq!(bench.lease(at(3), 1), home(105));
}

#[test]
fn a_node_that_stops_serving_in_the_middle_of_a_search_does_not_call_its_pool_exhausted() {
    let mut bench = Bench::with(|config| {
        config.networks.get_mut(HOME).unwrap().pools = vec![home(100)..=home(101)];
    });
    for refusal in [Refusal::NotDurable, Refusal::NotServing] {
        for addr in [home(100), home(101)] {
            bench.book.refused.insert(addr, refusal);
        }
        bench.hand(at(0), &Msg::new(DISCOVER, 1)).silent(Dropped::NotServing);
    }
    bench.book.refused.clear();
    bench.lease(at(1), 2);
}

#[test]
fn an_empty_pool_is_reported_once_a_minute() {
    let mut bench = Bench::with(|config| {
        config.networks.get_mut(HOME).unwrap().pools = Vec::new();
    });
    let reports = |came: Came| came.events.len();
    assert_eq!(reports(bench.hand(at(0), &Msg::new(DISCOVER, 1))), 1);
    assert_eq!(reports(bench.hand(at(30), &Msg::new(DISCOVER, 2))), 0);
    assert_eq!(reports(bench.hand(at(61), &Msg::new(DISCOVER, 3))), 1);
    assert_eq!(bench.server.counters().dropped[&Dropped::PoolExhausted], 3);
}

#[test]
fn the_lease_time_asked_for_is_bounded_and_the_book_may_shorten_it() {
    let mut bench = Bench::new();
    for (asked, given) in [(600, 600), (1, 60), (0, 86_400), (u32::MAX, 172_800)] {
        let msg = Msg::new(DISCOVER, 1).option(code::LEASE_TIME, &asked.to_be_bytes());
        assert_eq!(bench.talk(at(0), &msg).one().secs_option(code::LEASE_TIME), Some(given));
    }
    bench.book.cap = Duration::from_secs(3600);
    let offer = bench.talk(at(1), &Msg::new(DISCOVER, 1)).one();
    assert_eq!(offer.secs_option(code::LEASE_TIME), Some(3600));
}

#[test]
fn a_node_that_serves_nobody_says_nothing() {
    let mut bench = Bench::new();
    let addr = bench.lease(at(0), 1);
    bench.book.answering = crate::Answering::No;
    for msg in [
        Msg::new(DISCOVER, 1),
        Msg::new(REQUEST, 1).asking_for(addr),
        Msg::new(REQUEST, 1).having(addr).to(SERVER),
        Msg::new(REQUEST, 1).asking_for([192, 168, 1, 1].into()),
        Msg::new(INFORM, 1).having(addr),
    ] {
        bench.hand(at(1), &msg).silent(Dropped::NotServing);
    }
}

#[test]
fn every_address_of_a_pool_is_found() {
    let mut bench = Bench::new();
    let mut addrs: Vec<_> = (1..=20).map(|n| bench.lease(at(0), n)).collect();
    addrs.sort_unstable();
    let all: Vec<_> = (100..=109).chain(120..=129).map(home).collect();
    assert_eq!(addrs, all);
}

#[test]
fn a_newcomer_gets_the_address_that_was_given_back_longest_ago() {
    let mut bench = Bench::new();
    for (n, addr) in (100..=109).chain(120..=129).enumerate() {
        let last = Some(client(hw_key(200), mac(200)));
        let ago = if addr == 107 { 1 } else { 100 + n as u64 };
        bench.book.put(at(ago), home(addr), BindingState::Free, last, Duration::ZERO);
    }
    // All twenty are compared only if the search starts anywhere; sixteen are enough to skip
    // the latest.
    let offer = bench.talk(at(1000), &Msg::new(DISCOVER, 1)).one();
    let left = bench.book.leases[&offer.yiaddr].expiry;
    assert!(left <= at(104), "{} was left at {left:?}", offer.yiaddr);
}

#[test]
fn a_grant_the_book_refuses_is_not_acked() {
    let mut bench = Bench::new();
    let offer = bench.talk(at(0), &Msg::new(DISCOVER, 1)).one();
    bench.hand(at(1), &Msg::new(REQUEST, 1).select(SERVER, offer.yiaddr));
    bench.has(at(1), offer.yiaddr, hw_key(9), mac(9));
    let came = bench.settle(at(1));
    came.silent(Dropped::Refused(Refusal::InUse));
}

#[test]
fn the_book_is_told_who_the_client_is() {
    let mut bench = Bench::new();
    let offer = bench.talk(at(0), &Msg::new(DISCOVER, 1).id(b"\x01abc")).one();
    bench.hand(
        at(1),
        &Msg::new(REQUEST, 1)
            .id(b"\x01abc")
            .select(SERVER, offer.yiaddr)
            .option(code::HOST_NAME, b"Laptop")
            .option(code::VENDOR_CLASS, b"MSFT 5.0"),
    );
    let [(_, Change::Grant { addr, client, desired })] = &bench.book.proposed[..] else {
        panic!("{:?}", bench.book.proposed)
    };
    assert_eq!((*addr, *desired), (offer.yiaddr, Duration::from_secs(86_400)));
    assert_eq!((&client.key, client.hw), (&id_key(b"\x01abc"), mac(1)));
    assert_eq!(client.hostname.as_deref(), Some("laptop"));
    assert_eq!(client.vendor_class.as_deref(), Some(&b"MSFT 5.0"[..]));
}
