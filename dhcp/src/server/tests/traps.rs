//! One regression test for each way other servers were seen to fail.

use super::bench::*;
use crate::options::code;
use crate::{BindingState, Destination, Dropped, Event, HwAddr, Malformed};

#[test]
fn no_reply_goes_to_the_unspecified_address() {
    // Devices ignored offers sent to 0.0.0.0 (erbium #48).
    let mut bench = Bench::new();
    for flags in [0, 0x8000] {
        let mut msg = Msg::new(DISCOVER, 1);
        msg.flags = flags;
        match bench.talk(at(0), &msg).one().to {
            Destination::Link { addr, .. } => assert!(!addr.is_unspecified()),
            to => assert_eq!(to, Destination::Broadcast),
        }
    }
}

#[test]
fn every_reply_has_300_bytes() {
    // Relay agents and firmware drop shorter ones (Technitium #1025, AdGuard Home #4337).
    let mut bench = Bench::new();
    let addr = bench.lease(at(0), 1);
    for msg in [
        Msg::new(DISCOVER, 2).option(code::PARAMETER_LIST, &[1]),
        Msg::new(REQUEST, 1).having(addr).option(code::PARAMETER_LIST, &[1]),
        Msg::new(REQUEST, 2).asking_for(addr),
        Msg::new(INFORM, 1).having(addr).option(code::PARAMETER_LIST, &[1]),
    ] {
        assert_eq!(bench.talk(at(1), &msg).one().payload.len(), 300);
    }
}

#[test]
fn the_message_type_is_first_and_padding_follows_end() {
    // Small clients died of a missing END, or of padding before it (insomniacslk/dhcp #408).
    // `Reply::read` asserts both for every reply of every test; here the bytes themselves.
    let offer = Bench::new().talk(at(0), &Msg::new(DISCOVER, 1).id(b"\x01a")).one();
    assert_eq!(offer.payload[240..243], [53, 1, OFFER]);
    let end = offer.payload.iter().rposition(|byte| *byte != 0).unwrap();
    assert_eq!(offer.payload[end - 4..=end], [61, 2, 1, b'a', 255]);
}

#[test]
fn a_reservation_matches_the_same_way_on_discover_and_on_renewal() {
    // Matched by MAC on DISCOVER and by client identifier on renewal (Technitium #606).
    let mut bench = Bench::with(|config| {
        let home = config.networks.get_mut(HOME).unwrap();
        home.reservations.push(reserve(Some(mac(1)), None, 20));
        home.reservations.push(reserve(None, Some(id_key(b"\x01two")), 21));
    });
    for (n, id, addr) in [(1, b"\x01one", home(20)), (2, b"\x01two", home(21))] {
        let offer = bench.talk(at(0), &Msg::new(DISCOVER, n).id(id)).one();
        assert_eq!(offer.yiaddr, addr);
        for msg in [
            Msg::new(REQUEST, n).select(SERVER, addr),
            Msg::new(REQUEST, n).having(addr).to(SERVER),
            Msg::new(REQUEST, n).having(addr),
            Msg::new(REQUEST, n).asking_for(addr),
        ] {
            let ack = bench.talk(at(1), &msg.id(id)).one();
            assert_eq!((ack.kind, ack.yiaddr), (ACK, addr));
        }
    }
}

#[test]
fn one_reserved_machine_with_three_identities_has_one_address() {
    // PXE without an identifier, then systems with a DUID each (systemd #35781).
    let mut bench = Bench::with(|config| {
        let home = config.networks.get_mut(HOME).unwrap();
        home.reservations.push(reserve(Some(mac(1)), None, 20));
    });
    let duid: &[u8] = b"\xff\0\0\0\x01\0\x02\0\0\xab\x11";
    for msg in [
        Msg::new(DISCOVER, 1),
        Msg::new(DISCOVER, 1).id(duid),
        Msg::new(DISCOVER, 1).id(b"\x01\x02\0\x5e\x10\0\x01"),
    ] {
        let offer = bench.talk(at(0), &msg).one();
        assert_eq!(offer.yiaddr, home(20));
        let mut request = msg.clone().select(SERVER, home(20));
        request.options[0].1 = vec![REQUEST];
        assert_eq!(bench.talk(at(1), &request).one().kind, ACK);
    }
    assert_eq!(bench.book.leases.len(), 1);
}

#[test]
fn a_reservation_made_for_a_running_lease_keeps_the_lease() {
    // Made from the lease list: the lease is the identifier's, the reservation the MAC's.
    let mut bench = Bench::new();
    bench.has(at(0), home(105), id_key(b"\x01abc"), mac(1));
    bench.reconfigure(|config| {
        let home = config.networks.get_mut(HOME).unwrap();
        home.reservations.push(reserve(Some(mac(1)), None, 105));
    });
    let renewal = Msg::new(REQUEST, 1).id(b"\x01abc").having(home(105)).to(SERVER);
    assert_eq!(bench.talk(at(1), &renewal).one().kind, ACK);
    assert_eq!(bench.talk(at(2), &Msg::new(DISCOVER, 1)).one().yiaddr, home(105));
}

#[test]
fn without_client_ids_a_machine_is_its_mac() {
    // A dual boot machine gets a second lease otherwise (nixpkgs #145183).
    let mut bench = Bench::with(|config| {
        config.networks.get_mut(HOME).unwrap().use_client_id = false;
    });
    let addr = bench.lease(at(0), 1);
    let offer = bench.talk(at(1), &Msg::new(DISCOVER, 1).id(b"\xffduid-of-another-system")).one();
    assert_eq!(offer.yiaddr, addr);
    let mut nameless = Msg::new(DISCOVER, 1).id(b"\xffduid");
    nameless.hw = HwAddr::new(1, &[]).unwrap();
    bench.hand(at(1), &nameless).silent(Dropped::Malformed(Malformed::Nameless));
}

#[test]
fn an_inform_is_never_denied() {
    // A NAK makes the client drop its address (packetfence #3146).
    let mut bench = Bench::new();
    bench.has(at(0), home(101), hw_key(9), mac(9));
    for addr in [home(101), [192, 168, 1, 1].into(), home(50)] {
        assert_eq!(bench.talk(at(1), &Msg::new(INFORM, 1).having(addr)).one().kind, ACK);
    }
}

#[test]
fn a_client_from_another_network_is_told_at_once() {
    // Windows 10 repeats its REQUEST for minutes without a NAK (lrndis #4).
    let mut bench = Bench::new();
    for msg in [
        Msg::new(REQUEST, 1).asking_for([192, 168, 178, 20].into()),
        Msg::new(REQUEST, 1).having([192, 168, 178, 20].into()),
        Msg::new(REQUEST, 1).asking_for([10, 0, 40, 101].into()),
    ] {
        assert_eq!(bench.talk(at(0), &msg).one().kind, NAK);
    }
}

#[test]
fn strings_may_end_in_nul() {
    // Microsoft and PXE send the NUL (dnsmasq rfc2131.c).
    let mut bench = Bench::new();
    let came = bench.talk(
        at(0),
        &Msg::new(REQUEST, 1).having(home(101)).option(code::HOST_NAME, b"DESKTOP-1\0"),
    );
    let [Event::Leased { hostname: Some(name), .. }] = &came.events[..] else { panic!("{came:?}") };
    assert_eq!(&**name, "desktop-1");
}

#[test]
fn a_selection_with_an_old_address_or_an_invented_server_does_no_harm() {
    // Android asks the server it chose for an older address, or names no server at all.
    let mut bench = Bench::new();
    bench.has(at(0), home(101), hw_key(9), mac(9));
    let offer = bench.talk(at(0), &Msg::new(DISCOVER, 1)).one();
    // An old address that is another client's now: told so, and the next try works.
    assert_eq!(bench.talk(at(1), &Msg::new(REQUEST, 1).select(SERVER, home(101))).one().kind, NAK);
    // An old address on this network that is free: it may as well have it.
    let old = if offer.yiaddr == home(125) { home(126) } else { home(125) };
    let ack = bench.talk(at(2), &Msg::new(REQUEST, 1).select(SERVER, old)).one();
    assert_eq!((ack.kind, ack.yiaddr), (ACK, old));
    bench
        .hand(at(3), &Msg::new(REQUEST, 1).select([1, 2, 3, 4].into(), old))
        .silent(Dropped::ForAnotherServer);
    assert_eq!(bench.lease(at(4), 1), old);
}

#[test]
fn a_request_that_names_no_address_means_the_offered_one() {
    let mut bench = Bench::new();
    let offer = bench.talk(at(0), &Msg::new(DISCOVER, 1)).one();
    let request = Msg::new(REQUEST, 1).option(code::SERVER_ID, &SERVER.octets());
    let ack = bench.talk(at(1), &request).one();
    assert_eq!((ack.kind, ack.yiaddr), (ACK, offer.yiaddr));
    assert_eq!(bench.talk(at(2), &Msg::new(REQUEST, 1)).one().yiaddr, offer.yiaddr);
    bench.hand(at(3), &Msg::new(REQUEST, 2)).silent(Dropped::NoRecord);
}

#[test]
fn a_decline_storm_ends_after_five_addresses() {
    // One client declined a whole pool away (opnsense #10285).
    let mut bench = Bench::new();
    for n in 0..5u64 {
        let addr = bench.lease(at(n), 1);
        let came = bench.talk(at(n), &Msg::new(DECLINE, 1).asking_for(addr));
        assert!(came.replies.is_empty());
        assert_eq!(bench.book.leases[&addr].state, BindingState::Declined);
        let ignoring = came.events.iter().any(|event| matches!(event, Event::Ignoring { .. }));
        assert_eq!(ignoring, n == 4);
    }
    // It is served all the same, but its word takes no further address out of service.
    for n in 10..20u64 {
        let addr = bench.lease(at(n), 1);
        let decline = Msg::new(DECLINE, 1).asking_for(addr);
        bench.hand(at(n), &decline).silent(Dropped::Misbehaving);
        assert_eq!(bench.book.leases[&addr].state, BindingState::Active);
    }
    let lost = bench.book.leases.values().filter(|lease| lease.state == BindingState::Declined);
    assert_eq!(lost.count(), 5);
    // Nobody else pays for it.
    let addr = bench.lease(at(20), 2);
    bench.talk(at(20), &Msg::new(DECLINE, 2).asking_for(addr));
    assert_eq!(bench.book.leases[&addr].state, BindingState::Declined);
    // An hour later it is believed again.
    let addr = bench.lease(at(4 + 3600), 1);
    bench.talk(at(4 + 3600), &Msg::new(DECLINE, 1).asking_for(addr));
    assert_eq!(bench.book.leases[&addr].state, BindingState::Declined);
}

#[test]
fn a_client_declines_only_what_it_was_given() {
    let mut bench = Bench::new();
    bench.has(at(0), home(101), hw_key(9), mac(9));
    for addr in [home(101), home(102), SERVER] {
        bench.hand(at(1), &Msg::new(DECLINE, 1).asking_for(addr)).silent(Dropped::NotTheirs);
    }
    assert!(bench.book.proposed.is_empty());
}

#[test]
fn a_declined_address_is_held_for_an_hour() {
    let mut bench = Bench::new();
    let addr = bench.lease(at(0), 1);
    bench.talk(at(0), &Msg::new(DECLINE, 1).asking_for(addr));
    assert_eq!(bench.book.leases[&addr].expiry, at(3600));
    assert_ne!(bench.lease(at(1), 1), addr);
}

#[test]
fn a_declined_address_is_offered_to_nobody_while_the_book_settles() {
    let mut bench = Bench::new();
    let addr = bench.lease(at(0), 1);
    bench.hand(at(0), &Msg::new(DECLINE, 1).asking_for(addr));
    let offer = bench.hand(at(0), &Msg::new(DISCOVER, 1).asking_for(addr)).one();
    assert_ne!(offer.yiaddr, addr);
}

#[test]
fn option_108_is_for_clients_that_ask() {
    // Others would give up IPv4 (coredhcp #170); and it is 108, not 106.
    let mut bench = Bench::with(|config| {
        let options = &mut config.networks.get_mut(HOME).unwrap().options;
        options.insert(108, vec![0, 0, 7, 8]);
        options.insert(116, vec![0]);
    });
    let offer = bench.talk(at(0), &Msg::new(DISCOVER, 1)).one();
    assert_eq!((offer.option(108), offer.option(116), offer.option(106)), (None, None, None));
    let asking = Msg::new(DISCOVER, 1).option(code::PARAMETER_LIST, &[3, 108]);
    assert_eq!(bench.talk(at(0), &asking).one().option(108), Some(&[0, 0, 7, 8][..]));
}

#[test]
fn clones_with_one_identifier_are_reported_once() {
    // A cloned machine-id gives several machines the same address (systemd #9609).
    let mut bench = Bench::new();
    let shared =
        |came: &Came| came.events.iter().any(|event| matches!(event, Event::SharedClientId { .. }));
    let seen: Vec<bool> = [(0, 1), (10, 2), (20, 1), (30, 2), (40, 1)]
        .map(|(secs, n)| shared(&bench.talk(at(secs), &Msg::new(DISCOVER, n).id(b"\xffclone"))))
        .into();
    assert_eq!(seen, [false, false, true, false, false]);
    // A phone that changes its private address now and then is no clone.
    for (secs, n) in [(0, 5), (1000, 6), (2000, 5), (3000, 7)] {
        assert!(!shared(&bench.talk(at(secs), &Msg::new(DISCOVER, n).id(b"\x01phone"))));
    }
}

#[test]
fn a_hardware_address_longer_than_its_field_is_refused() {
    // One packet was enough to panic a decoder.
    let mut bench = Bench::new();
    let msg = Msg::new(DISCOVER, 1);
    for hlen in [17, 128, 255] {
        let mut bytes = msg.bytes();
        bytes[2] = hlen;
        bench.hand_bytes(at(0), &msg, &bytes).silent(Dropped::Malformed(Malformed::HwAddrLength));
    }
    let mut bytes = msg.bytes();
    bytes[2] = 16;
    assert_eq!(bench.hand_bytes(at(0), &msg, &bytes).one().kind, OFFER);
}

#[test]
fn an_odd_option_does_not_turn_a_request_into_another() {
    // A decoder that stopped at the Latin-1 name lost 54 and 50 behind it.
    let mut bench = Bench::new();
    let offer = bench.talk(at(0), &Msg::new(DISCOVER, 1)).one();
    let mut request = Msg::new(REQUEST, 1).option(code::HOST_NAME, b"k\xfchl");
    request = request.option(57, &[9]).option(51, &[0, 0, 1]).option(81, &[0, 0]);
    let ack = bench.talk(at(1), &request.select(SERVER, offer.yiaddr)).one();
    assert_eq!((ack.kind, ack.yiaddr), (ACK, offer.yiaddr));
}

#[test]
fn packets_that_are_no_requests_are_dropped_with_their_reason() {
    let mut bench = Bench::new();
    let msg = Msg::new(DISCOVER, 1);
    let good = msg.bytes();
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    for (bytes, reason) in [
        (good[..239].to_vec(), Malformed::TooShort),
        (changed(0, 2), Malformed::NotARequest),
        (changed(236, 0), Malformed::NoCookie),
        (changed(240, 0), Malformed::NoMessageType),
    ] {
        bench.hand_bytes(at(0), &msg, &bytes).silent(Dropped::Malformed(reason));
    }
    for kind in [0, OFFER, ACK, NAK, 9, 10, 255] {
        bench.hand_bytes(at(0), &msg, &changed(242, kind)).silent(Dropped::NotForServers);
    }
    assert_eq!(bench.server.counters().discovers, 0);
}
