//! Where replies go (RFC 2131 section 4.1), when no relay agent is between.

use super::bench::*;
use crate::{Destination, HwAddr};

fn broadcast() -> (Option<crate::NetworkId>, Destination) {
    (Some(HOME.into()), Destination::Broadcast)
}

fn sent(reply: &Reply) -> (Option<crate::NetworkId>, Destination) {
    (reply.network.clone(), reply.to)
}

#[test]
fn a_client_without_address_is_sent_a_frame() {
    let mut bench = Bench::new();
    let offer = bench.talk(at(0), &Msg::new(DISCOVER, 1)).one();
    let frame = Destination::Link { hw: mac(1), addr: offer.yiaddr };
    assert_eq!(sent(&offer), (Some(HOME.into()), frame));
    let ack = bench.talk(at(0), &Msg::new(REQUEST, 1).select(SERVER, offer.yiaddr)).one();
    assert_eq!(sent(&ack), (Some(HOME.into()), frame));
}

#[test]
fn the_broadcast_flag_is_obeyed() {
    let mut bench = Bench::new();
    let offer = bench.talk(at(0), &Msg::new(DISCOVER, 1).broadcast_flag()).one();
    assert_eq!((sent(&offer), offer.flags), (broadcast(), 0x8000));
    let request = Msg::new(REQUEST, 1).select(SERVER, offer.yiaddr).broadcast_flag();
    assert_eq!(sent(&bench.talk(at(0), &request).one()), broadcast());
}

#[test]
fn a_client_with_an_address_is_sent_to_it_whatever_its_flags() {
    let mut bench = Bench::new();
    let addr = bench.lease(at(0), 1);
    let unicast = (Some(HOME.into()), Destination::Unicast(addr));
    let renewal = Msg::new(REQUEST, 1).having(addr).to(SERVER).broadcast_flag();
    assert_eq!(sent(&bench.talk(at(1), &renewal).one()), unicast);
    let rebinding = Msg::new(REQUEST, 1).having(addr);
    assert_eq!(sent(&bench.talk(at(2), &rebinding).one()), unicast);
    assert_eq!(sent(&bench.talk(at(3), &Msg::new(INFORM, 1).having(addr)).one()), unicast);
}

#[test]
fn a_denial_on_the_link_is_broadcast() {
    let mut bench = Bench::new();
    let addr = bench.lease(at(0), 1);
    for msg in [
        Msg::new(REQUEST, 2).asking_for(addr),
        Msg::new(REQUEST, 2).having(addr).to(SERVER),
        Msg::new(REQUEST, 2).having([192, 168, 1, 9].into()),
    ] {
        let nak = bench.talk(at(1), &msg).one();
        assert_eq!((nak.kind, sent(&nak)), (NAK, broadcast()));
    }
}

#[test]
fn a_denial_of_a_routed_renewal_goes_to_the_client() {
    let mut bench = Bench::new();
    let addr = [10, 0, 40, 101].into();
    bench.has(at(0), addr, hw_key(1), mac(1));
    let nak = bench.talk(at(1), &Msg::new(REQUEST, 2).having(addr).to(SERVER)).one();
    assert_eq!((nak.kind, sent(&nak)), (NAK, (None, Destination::Unicast(addr))));
}

#[test]
fn an_inform_without_ciaddr_is_answered_where_it_came_from() {
    let mut bench = Bench::new();
    let mut inform = Msg::new(INFORM, 1);
    assert_eq!(sent(&bench.talk(at(0), &inform).one()), broadcast());
    inform.src = std::net::SocketAddrV4::new(home(50), 68);
    let to = (Some(HOME.into()), Destination::Unicast(home(50)));
    assert_eq!(sent(&bench.talk(at(0), &inform).one()), to);
}

#[test]
fn hardware_other_than_ethernet_is_sent_broadcasts() {
    let mut bench = Bench::new();
    for hw in [HwAddr::new(32, &[7; 16]).unwrap(), HwAddr::new(1, &[7; 8]).unwrap()] {
        let mut msg = Msg::new(DISCOVER, 1);
        msg.hw = hw;
        assert_eq!(sent(&bench.talk(at(0), &msg).one()), broadcast());
    }
}
