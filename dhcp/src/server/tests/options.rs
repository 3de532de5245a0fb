//! Which options a client is given, in which order, and how much of them.

use super::bench::*;
use crate::options::code;

fn with_option(code: u8, value: &[u8]) -> Bench {
    Bench::with(|config| {
        config.networks.get_mut(HOME).unwrap().options.insert(code, value.to_vec());
    })
}

fn asking(list: &[u8]) -> Msg {
    Msg::new(DISCOVER, 1).option(code::PARAMETER_LIST, list)
}

#[test]
fn options_come_in_the_order_the_client_asks_for_them() {
    let mut bench = Bench::new();
    let offer = bench.talk(at(0), &asking(&[15, 6, 99, 3, 6, 28, 1]).id(b"\x01abc")).one();
    assert_eq!(offer.codes(), [53, 54, 51, 58, 59, 1, 15, 6, 3, 28, 61]);
    assert_eq!(offer.option(code::SUBNET_MASK), Some(&[255, 255, 255, 0][..]));
    assert_eq!(offer.option(code::BROADCAST_ADDRESS), Some(&home(255).octets()[..]));
}

#[test]
fn a_client_that_asks_for_nothing_is_given_everything() {
    let offer = Bench::new().talk(at(0), &Msg::new(DISCOVER, 1)).one();
    assert_eq!(offer.codes(), [53, 54, 51, 58, 59, 1, 3, 6, 15, 42]);
}

#[test]
fn classless_routes_bring_the_router_along() {
    let mut bench = with_option(121, &[0, 10, 0, 20, 1]);
    let offer = bench.talk(at(0), &asking(&[6, 121])).one();
    assert_eq!(offer.codes(), [53, 54, 51, 58, 59, 1, 6, 121, 3]);
    let offer = bench.talk(at(0), &asking(&[3, 121])).one();
    assert_eq!(offer.codes(), [53, 54, 51, 58, 59, 1, 3, 121]);
}

#[test]
fn encrypted_dns_is_told_to_those_who_ask_for_it() {
    let mut bench = with_option(code::ENCRYPTED_DNS, &[0, 1]);
    let offer = bench.talk(at(0), &asking(&[6, 162])).one();
    assert_eq!(offer.option(code::ENCRYPTED_DNS), Some(&[0, 1][..]));
    let offer = bench.talk(at(0), &Msg::new(DISCOVER, 1)).one();
    assert_eq!(offer.option(code::ENCRYPTED_DNS), None);
}

#[test]
fn the_servers_own_options_cannot_be_overridden() {
    let mut bench = Bench::with(|config| {
        let options = &mut config.networks.get_mut(HOME).unwrap().options;
        for code in [50, 51, 52, 53, 54, 58, 59, 61, 81, 82, 118] {
            options.insert(code, vec![9]);
        }
    });
    let offer = bench.talk(at(0), &asking(&[50, 51, 52, 53, 54, 58, 59, 61, 81, 82, 118, 3])).one();
    assert_eq!(offer.codes(), [53, 54, 51, 58, 59, 1, 3]);
    assert_eq!(offer.secs_option(code::LEASE_TIME), Some(86_400));
}

#[test]
fn a_long_option_is_split() {
    let long: Vec<u8> = (0..=255).cycle().take(300).collect();
    let mut bench = with_option(119, &long);
    let msg = asking(&[119]).option(code::MAX_MESSAGE_SIZE, &1500u16.to_be_bytes());
    let offer = bench.talk(at(0), &msg).one();
    let pieces: Vec<_> = offer.options.iter().filter(|(code, _)| *code == 119).collect();
    assert_eq!(pieces.iter().map(|(_, value)| value.len()).collect::<Vec<_>>(), [255, 45]);
    assert_eq!(pieces.iter().flat_map(|(_, value)| value.clone()).collect::<Vec<_>>(), long);
}

#[test]
fn a_reply_fits_what_the_client_takes() {
    for (max, expected) in [(None, 548), (Some(100u16), 548), (Some(576), 548), (Some(700), 672)] {
        let mut bench = Bench::with(|config| {
            let options = &mut config.networks.get_mut(HOME).unwrap().options;
            for code in 200..230 {
                options.insert(code, vec![code; 18]);
            }
        });
        let list: Vec<u8> = (200..230).collect();
        let mut msg = asking(&list).id(&[1; 30]);
        if let Some(max) = max {
            msg = msg.option(code::MAX_MESSAGE_SIZE, &max.to_be_bytes());
        }
        let offer = bench.talk(at(0), &msg).one();
        let len = offer.payload.len();
        assert!(len <= expected && len > expected - 20, "{max:?}: {len}");
        assert_eq!(offer.option(code::CLIENT_ID), Some(&[1; 30][..]), "never left out");
    }
}

#[test]
fn a_reserved_name_is_told_to_a_client_that_asks() {
    let mut bench = Bench::with(|config| {
        let reservation = reserve(Some(mac(1)), None, 20);
        config.networks.get_mut(HOME).unwrap().reservations.push(reservation);
    });
    let offer = bench.talk(at(0), &asking(&[12])).one();
    assert_eq!(offer.option(code::HOST_NAME), Some(&b"printer"[..]));
    let mut other = asking(&[12]);
    other.hw = mac(2);
    assert_eq!(bench.talk(at(0), &other).one().option(code::HOST_NAME), None);
}

#[test]
fn the_name_in_option_81_is_answered_in_the_clients_encoding() {
    let mut bench = Bench::new();
    let dns = Msg::new(DISCOVER, 1).option(code::CLIENT_FQDN, b"\x05\0\0\x06Laptop");
    assert_eq!(
        bench.talk(at(0), &dns).one().option(code::CLIENT_FQDN),
        Some(&b"\x05\xff\xff\x06laptop\x04home\x04arpa\0"[..])
    );
    let ascii = Msg::new(DISCOVER, 1).option(code::CLIENT_FQDN, b"\0\0\0laptop.example");
    assert_eq!(
        bench.talk(at(0), &ascii).one().option(code::CLIENT_FQDN),
        Some(&b"\x03\xff\xfflaptop.home.arpa"[..])
    );
}
