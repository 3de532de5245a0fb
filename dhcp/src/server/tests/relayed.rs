//! Relay agents: which network, which server, which port.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::bench::*;
use crate::options::code;
use crate::{Asking, Destination, Dropped};

const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 10, 2);

fn relay(port: Option<u16>) -> Destination {
    Destination::Relay { addr: SHED_RELAY, port }
}

#[test]
fn giaddr_names_the_network_and_takes_the_answer() {
    let mut bench = Bench::new();
    let offer = bench.talk(at(0), &Msg::new(DISCOVER, 1).relayed(SHED_RELAY)).one();
    assert!(bench.config.networks[SHED].contains(offer.yiaddr));
    assert_eq!((offer.to, offer.giaddr), (relay(None), SHED_RELAY));
    assert_eq!(offer.network, None);
    // Without an address of its own there, the server is called as the relay agent called it.
    assert_eq!(offer.option(code::SERVER_ID), Some(&OWN.octets()[..]));
    let request = Msg::new(REQUEST, 1).select(OWN, offer.yiaddr).relayed(SHED_RELAY);
    let ack = bench.talk(at(1), &request).one();
    assert_eq!((ack.kind, ack.to, ack.source), (ACK, relay(None), OWN));
}

#[test]
fn a_renewal_through_the_router_is_about_the_clients_network() {
    let mut bench = Bench::new();
    let addr = Ipv4Addr::new(10, 0, 40, 101);
    bench.has(at(0), addr, hw_key(1), mac(1));
    // Unicast, no giaddr, and it comes in on another network than the client's.
    let mut renewal = Msg::new(REQUEST, 1).having(addr).to(SERVER);
    renewal.from = Some(HOME.into());
    let ack = bench.talk(at(1), &renewal).one();
    assert_eq!((ack.kind, ack.yiaddr), (ACK, addr));
    assert_eq!((ack.to, ack.network.as_ref()), (Destination::Unicast(addr), None));
    assert_eq!(bench.book.asked.borrow().last(), Some(&(Asking::Addressed, Some(addr))));
    let release = Msg::new(RELEASE, 1).having(addr).to(SERVER);
    bench.talk(at(2), &release);
    assert_eq!(bench.book.leases[&addr].state, crate::BindingState::Released);
}

#[test]
fn option_82_is_echoed_whole_and_last() {
    let mut bench = Bench::new();
    // Circuit id, an unknown sub-option, and one that is cut off.
    let info = b"\x01\x03abc\xf0\x02xy\x05\x09z";
    let mut discover = Msg::new(DISCOVER, 1).option(code::RELAY_INFO, info).relayed(SHED_RELAY);
    discover = discover.id(b"\x01abc");
    let offer = bench.talk(at(0), &discover).one();
    assert_eq!(offer.options.last(), Some(&(code::RELAY_INFO, info.to_vec())));
    assert_eq!(offer.option(code::CLIENT_ID), Some(&b"\x01abc"[..]));
    let nak = bench.talk(
        at(0),
        &Msg::new(REQUEST, 1)
            .asking_for([192, 168, 1, 1].into())
            .option(code::RELAY_INFO, info)
            .id(b"\x01abc")
            .relayed(SHED_RELAY),
    );
    let nak = nak.one();
    assert_eq!(nak.kind, NAK);
    assert_eq!(nak.option(code::CLIENT_ID), Some(&b"\x01abc"[..]));
    assert_eq!(nak.options.last(), Some(&(code::RELAY_INFO, info.to_vec())));
}

#[test]
fn link_selection_names_the_network_instead_of_giaddr() {
    let mut bench = Bench::new();
    let select = |link: [u8; 4]| {
        let mut info = vec![5, 4];
        info.extend_from_slice(&link);
        Msg::new(DISCOVER, 1).option(code::RELAY_INFO, &info).relayed([127, 0, 0, 9].into())
    };
    let offer = bench.talk(at(0), &select([10, 0, 40, 0])).one();
    assert!(bench.config.networks[SHED].contains(offer.yiaddr));
    assert_eq!(offer.to, Destination::Relay { addr: [127, 0, 0, 9].into(), port: None });
    bench.hand(at(0), &select([10, 0, 99, 0])).silent(Dropped::NoNetwork);
    // A client that writes option 82 itself selects nothing.
    let mut direct = select([10, 0, 40, 0]);
    direct.giaddr = Ipv4Addr::UNSPECIFIED;
    direct.from = Some(HOME.into());
    direct.dst = Ipv4Addr::BROADCAST;
    let offer = bench.talk(at(0), &direct).one();
    assert!(bench.config.networks[HOME].contains(offer.yiaddr));
}

#[test]
fn subnet_selection_is_obeyed_and_echoed() {
    let mut bench = Bench::new();
    let discover = Msg::new(DISCOVER, 1).option(code::SUBNET_SELECTION, &[10, 0, 40, 0]);
    let offer = bench.talk(at(0), &discover).one();
    assert!(bench.config.networks[SHED].contains(offer.yiaddr));
    assert_eq!(offer.option(code::SUBNET_SELECTION), Some(&[10, 0, 40, 0][..]));
    // It asked on `home`, so that is where it is.
    assert_eq!(offer.network.as_deref(), Some(HOME));
    assert_eq!(offer.source, SERVER);
    let unknown = Msg::new(DISCOVER, 1).option(code::SUBNET_SELECTION, &[10, 0, 99, 0]);
    bench.hand(at(0), &unknown).silent(Dropped::NoNetwork);
}

#[test]
fn the_relay_agent_may_stand_in_for_the_server() {
    let mut bench = Bench::new();
    let stand_in = [10, 0, 40, 1];
    let info = [&[11, 4][..], &stand_in].concat();
    let with = |msg: Msg| msg.option(code::RELAY_INFO, &info).relayed(SHED_RELAY);
    let offer = bench.talk(at(0), &with(Msg::new(DISCOVER, 1))).one();
    assert_eq!(offer.option(code::SERVER_ID), Some(&stand_in[..]));
    assert_eq!(offer.source, OWN, "no host can send from another's address");
    let request = with(Msg::new(REQUEST, 1).select(stand_in.into(), offer.yiaddr));
    assert_eq!(bench.talk(at(1), &request).one().kind, ACK);
    assert_eq!(bench.book.asked.borrow().last(), Some(&(Asking::Addressed, None)));
    // Both servers are called the same there: without an offer of ours it is not ours alone.
    let other = with(Msg::new(REQUEST, 2).select(stand_in.into(), [10, 0, 40, 105].into()));
    bench.talk(at(2), &other);
    assert_eq!(bench.book.asked.borrow().last(), Some(&(Asking::Broadcast, None)));
}

#[test]
fn a_relay_agent_on_another_port_is_answered_there() {
    let mut bench = Bench::new();
    let mut discover = Msg::new(DISCOVER, 1).relayed(SHED_RELAY);
    discover.src = SocketAddrV4::new(SHED_RELAY, 4011);
    assert_eq!(bench.talk(at(0), &discover).one().to, relay(None), "not asked for");
    let discover = discover.option(code::RELAY_INFO, &[19, 0]);
    assert_eq!(bench.talk(at(0), &discover).one().to, relay(Some(4011)));
}

#[test]
fn a_denial_through_a_relay_agent_has_the_broadcast_bit() {
    let mut bench = Bench::new();
    let request = Msg::new(REQUEST, 1).asking_for([192, 168, 1, 1].into()).relayed(SHED_RELAY);
    let nak = bench.talk(at(0), &request).one();
    assert_eq!((nak.kind, nak.to, nak.flags), (NAK, relay(None), 0x8000));
}

#[test]
fn an_unknown_relay_agent_and_a_relay_loop_are_not_served() {
    let mut bench = Bench::new();
    bench
        .hand(at(0), &Msg::new(DISCOVER, 1).relayed([10, 0, 99, 1].into()))
        .silent(Dropped::NoNetwork);
    let msg = Msg::new(DISCOVER, 1).relayed(SHED_RELAY);
    let mut looped = msg.bytes();
    looped[3] = 17;
    bench
        .hand_bytes(at(0), &msg, &looped)
        .silent(Dropped::Malformed(crate::Malformed::TooManyHops));
}

#[test]
fn a_broadcast_on_an_interface_of_no_network_is_not_served() {
    let mut bench = Bench::new();
    let mut msg = Msg::new(DISCOVER, 1);
    msg.from = None;
    bench.hand(at(0), &msg).silent(Dropped::NoNetwork);
    msg.from = Some("gone".into());
    bench.hand(at(0), &msg).silent(Dropped::NoNetwork);
    // A network this node has no address in, heard directly: there is nothing to answer from.
    msg.from = Some(SHED.into());
    bench.hand(at(0), &msg).silent(Dropped::NoServerAddress);
}
