use std::net::UdpSocket;

use socket2::SockRef;

use super::*;

const TARGET: u64 = 1000;

fn at(millis: u64) -> Now {
    Now(Duration::from_secs(3600) + Duration::from_millis(millis))
}

fn client(last: u8) -> IpAddr {
    [10, 0, 30, last].into()
}

/// A client that sends so many packets a second for so many seconds, through the filter as it is: what
/// came through in the last of them, and what all were counted as.
fn flood(floods: &mut Floods, client: IpAddr, rate: u64, from: u64, seconds: u64) -> (u64, u64) {
    let (mut last, mut counted) = (0, 0);
    for packet in 0..rate * seconds {
        let now = at(from + packet * 1000 / rate);
        // Instead of at random: every so many.
        let shift = floods.clients.iter().find(|one| one.client == client).map_or(0, |c| c.shift);
        if packet % (1 << shift) != 0 {
            continue;
        }
        floods.watch(client, now);
        counted += 1 + floods.passed(client, now);
        floods.review(TARGET, now);
        if floods.is_behind() {
            floods.caught_up(now);
        }
        last += u64::from(packet >= rate * (seconds - 1));
    }
    (last, counted)
}

#[test]
fn a_flood_is_thinned_out_at_once_to_about_what_is_wanted_and_counted_as_what_it_was() {
    for rate in [5_000, 50_000, 400_000] {
        let mut floods = Floods::default();
        let (last, counted) = flood(&mut floods, client(7), rate, 0, 3);
        assert!((TARGET / 3..=TARGET).contains(&last), "{last} of {rate}");
        let true_about = counted.abs_diff(rate * 3) < rate / 10;
        assert!(true_about, "counted as {counted} instead of {}", rate * 3);
        let first = floods.clients[0];
        assert!(floods.any_thinned(), "{first:?}");
    }
}

#[test]
fn who_sends_little_that_gets_no_answer_is_let_alone() {
    let mut floods = Floods::default();
    assert_eq!(flood(&mut floods, client(7), 500, 0, 3), (500, 1500));
    assert!(!floods.any_thinned());
    assert!(!floods.review(TARGET, at(5000)));
    assert!(floods.is_empty(), "and forgotten when it stops");
}

#[test]
fn a_flood_that_has_ended_is_forgotten_two_intervals_later() {
    let mut floods = Floods::default();
    flood(&mut floods, client(7), 50_000, 0, 2);
    floods.caught_up(at(2000));
    floods.review(TARGET, at(3100));
    assert!(floods.any_thinned(), "some came within that interval");
    floods.caught_up(at(3100));
    assert!(floods.review(TARGET, at(4200)), "the filter is to be another: none");
    assert!(floods.is_empty());
}

#[test]
fn what_was_in_the_buffer_when_the_filter_came_stands_for_itself_alone() {
    let mut floods = Floods::default();
    floods.watch(client(7), at(0));
    let arrive = |floods: &mut Floods, now| -> u64 {
        (0..1600).map(|_| floods.passed(client(7), now)).sum()
    };
    assert_eq!(arrive(&mut floods, at(10)), 0);
    assert!(floods.review(TARGET, at(10)));
    assert_eq!(arrive(&mut floods, at(15)), 0, "they came before it");
    assert!(floods.is_behind());
    floods.caught_up(at(70));
    assert!(!floods.is_behind());
    assert!(arrive(&mut floods, at(70)) > 1600 * 100);
    // A buffer that never is empty does not keep it from being judged again.
    assert!(floods.review(2 * TARGET, at(2000)));
    assert_eq!(arrive(&mut floods, at(2999)), 0);
    assert!(arrive(&mut floods, at(3000)) > 0);
}

#[test]
fn no_more_than_a_few_are_watched() {
    let mut floods = Floods::default();
    for last in 0..=255 {
        floods.watch(client(last), at(0));
    }
    assert_eq!(floods.clients.len(), WATCHED);
    assert_eq!(floods.passed(client(200), at(0)), 0);
}

/// How many of 8,000 packets from `from` come through to a socket at `to` with this filter.
fn received(floods: &Floods, from: &str, to: &str) -> usize {
    let socket = UdpSocket::bind((to, 0)).expect("a socket");
    SockRef::from(&socket).attach_filter(&floods.filter()).expect("the kernel takes it");
    socket.set_nonblocking(true).expect("a socket");
    let sender = UdpSocket::bind((from, 0)).expect("a socket");
    let mut buffer = [0; 64];
    let mut received = 0;
    for _ in 0..8000 {
        sender.send_to(b"a question", socket.local_addr().expect("bound")).expect("sent");
        received += usize::from(socket.recv(&mut buffer).is_ok());
    }
    received
}

#[test]
fn the_kernel_lets_a_share_of_those_clients_through_and_all_of_the_others() {
    let mut floods = Floods::default();
    for (address, shift) in [("127.0.0.2", 3), ("127.0.0.3", 16), ("127.0.0.4", 0)] {
        let client = address.parse().expect("an address");
        floods.clients.push(Flooding { client, shift, passed: 0, since: at(0) });
    }
    let eighth = received(&floods, "127.0.0.2", "127.0.0.1");
    assert!((800..1200).contains(&eighth), "{eighth}");
    assert!(received(&floods, "127.0.0.3", "127.0.0.1") < 20);
    assert_eq!(received(&floods, "127.0.0.4", "127.0.0.1"), 8000);
    assert_eq!(received(&floods, "127.0.0.5", "127.0.0.1"), 8000);
}

#[test]
fn the_kernel_tells_ipv6_addresses_apart_by_all_their_words() {
    let flooding = |address: &str| {
        let client = address.parse().expect("an address");
        let one = Flooding { client, shift: 4, passed: 0, since: at(0) };
        Floods { clients: vec![one], ..Floods::default() }
    };
    let sixteenth = received(&flooding("::1"), "::1", "::1");
    assert!((350..650).contains(&sixteenth), "{sixteenth}");
    for other in ["::2", "::1:0:1", "0:0:1::1", "1::1"] {
        assert_eq!(received(&flooding(other), "::1", "::1"), 8000, "{other}");
    }
}
