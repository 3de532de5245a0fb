//! Hosts, wires and programs that fail.

use super::*;

#[test]
fn a_host_without_power_is_replaced_after_the_silence_and_three_probes() {
    let mut bench = Bench::settled();
    bench.power_off(A);
    bench.run(3_000);
    assert_eq!(bench.holders(), [vec![B], vec![B]]);
    assert!(bench.worst_without <= millis(1_150), "{:?}", bench.worst_without);
    assert!(bench.worst_without >= millis(850), "not before it was silent and the network asked");
}

#[test]
fn a_killed_process_is_replaced_as_soon_as_its_address_is_gone() {
    let mut bench = Bench::settled();
    bench.kill(A);
    bench.run(50);
    assert_eq!(bench.holders(), [vec![A], vec![B]], "somebody answers: not taken");
    bench.hosts[A].interface.clear();
    bench.run(2_000);
    assert_eq!(bench.holders(), [vec![B], vec![B]]);
    assert!(bench.worst_without <= millis(700), "{:?}", bench.worst_without);
    assert_eq!(bench.worst_twice, Duration::ZERO);
}

#[test]
fn what_a_killed_process_left_is_held_again_by_its_home() {
    let mut bench = Bench::settled();
    bench.kill(A);
    bench.run(1_000);
    bench.start(A);
    bench.run(3_000);
    assert_eq!(bench.holders(), [vec![A], vec![B]]);
    assert_eq!(bench.worst_twice, Duration::ZERO);
}

#[test]
fn what_a_killed_process_left_of_the_partners_is_given_back() {
    let mut bench = Bench::settled();
    bench.power_off(B);
    bench.run(3_000);
    bench.kill(A);
    bench.link = [true; 2];
    assert_eq!(bench.holders(), [vec![A], vec![A]]);
    bench.start(A);
    bench.start(B);
    bench.hosts[A].link = false;
    bench.run(3_000);
    assert_eq!(bench.holders(), [vec![A], vec![B]]);
    assert!(bench.worst_twice <= millis(300), "{:?}", bench.worst_twice);
}

#[test]
fn a_cut_link_moves_nothing_while_the_network_carries() {
    let mut bench = Bench::settled();
    bench.link = [false; 2];
    bench.run(30_000);
    assert_eq!(bench.holders(), [vec![A], vec![B]]);
    assert_eq!((bench.worst_twice, bench.worst_without), (Duration::ZERO, Duration::ZERO));
    bench.link = [true; 2];
    bench.run(5_000);
    assert_eq!(bench.holders(), [vec![A], vec![B]]);
    assert_eq!((bench.worst_twice, bench.worst_without), (Duration::ZERO, Duration::ZERO));
}

#[test]
fn a_link_cut_in_one_direction_moves_nothing_either() {
    for deaf in [A, B] {
        let mut bench = Bench::settled();
        bench.link[1 - deaf] = false;
        bench.run(20_000);
        assert_eq!(bench.holders(), [vec![A], vec![B]]);
        assert_eq!((bench.worst_twice, bench.worst_without), (Duration::ZERO, Duration::ZERO));
    }
}

#[test]
fn a_house_split_in_two_has_both_on_both_sides_and_one_of_each_once_it_is_mended() {
    let mut bench = Bench::settled();
    bench.network = [false; 2];
    bench.run(6_000);
    assert_eq!(bench.holders(), [vec![A, B], vec![A, B]]);
    bench.network = [true; 2];
    bench.forget();
    bench.twice.clear();
    bench.run(10_000);
    assert_eq!(bench.holders(), [vec![A], vec![B]]);
    assert!(bench.worst_twice <= millis(250), "{:?}", bench.worst_twice);
    assert_eq!(bench.worst_without, Duration::ZERO);
}

#[test]
fn who_is_not_heard_gives_way_to_the_host_it_hears() {
    // The link may go on for a while in the direction that is left.
    let cases = [A, B].into_iter().flat_map(|at| [0, 400, 1200, 60_000].map(|last| (at, last)));
    for (unheard, lasts) in cases {
        let mut bench = Bench::settled();
        bench.one_way_lasts = millis(lasts);
        bench.network[unheard] = false;
        bench.run(30_000);
        let heard = 1 - unheard;
        assert_eq!(bench.holders(), [vec![heard], vec![heard]], "host {unheard} is not heard");
        assert!(bench.worst_twice <= millis(2_000), "{:?}", bench.worst_twice);
        bench.network[unheard] = true;
        bench.forget();
        bench.run(30_000);
        assert_eq!(bench.holders(), [vec![A], vec![B]]);
        assert!(bench.worst_twice <= millis(300), "{:?}", bench.worst_twice);
        assert_eq!(bench.worst_without, Duration::ZERO);
    }
}

#[test]
fn an_address_that_a_stranger_has_is_not_taken_until_the_stranger_is_gone() {
    let mut bench = Bench::new();
    bench.strangers.insert(OF_A);
    bench.run(10_000);
    assert_eq!(bench.holders(), [Vec::new(), vec![B]]);
    let why = bench.why(A, OF_A);
    assert!(why.starts_with("02:00:00:00:00:63 answers at this address"), "{why}");
    bench.strangers.clear();
    bench.run(10_000);
    assert_eq!(bench.holders(), [vec![A], vec![B]]);
}

#[test]
fn a_held_address_is_defended_once_in_ten_seconds_and_kept() {
    let mut bench = Bench::settled();
    for _ in 0..10 {
        bench.words.push_back((bench.now, A, OF_A, STRANGER, Word::Has));
        bench.run(500);
    }
    assert_eq!(bench.announced.len(), 1);
    assert_eq!(bench.holders(), [vec![A], vec![B]]);
    assert!(bench.why(A, OF_A).starts_with("02:00:00:00:00:63 uses it, too"));
}

#[test]
fn dns_that_fails_for_two_seconds_gives_the_addresses_away_until_it_recovers() {
    let mut bench = Bench::settled();
    bench.hosts[A].dns_works = false;
    bench.run(1_500);
    assert_eq!(bench.holders(), [vec![A], vec![B]]);
    bench.run(1_500);
    assert_eq!(bench.holders(), [vec![B], vec![B]]);
    assert_eq!(bench.why(B, OF_A), "The DNS server of pi-a does not answer, so pi-b holds it.");
    bench.run(10_000);
    bench.hosts[A].dns_works = true;
    bench.run(3_000);
    assert_eq!(bench.holders(), [vec![A], vec![B]]);
}

#[test]
fn where_neither_dns_answers_nothing_moves() {
    let mut bench = Bench::settled();
    (bench.hosts[A].dns_works, bench.hosts[B].dns_works) = (false, false);
    bench.run(10_000);
    assert_eq!(bench.holders(), [vec![A], vec![B]]);
}

#[test]
fn a_host_that_may_not_add_addresses_leaves_them_to_the_other() {
    let mut bench = Bench::settled();
    bench.kill(B);
    bench.hosts[B].interface.clear();
    bench.hosts[B].capable = false;
    bench.run(100);
    bench.start(B);
    bench.run(5_000);
    assert_eq!(bench.holders(), [vec![A], vec![A]]);
    let why = bench.why(A, OF_B);
    assert_eq!(why, "pi-b may not add addresses (CAP_NET_ADMIN), so pi-a holds it.");
    assert_eq!(bench.why(B, OF_B), "CAP_NET_ADMIN is missing; pi-a holds it.");
    assert!(bench.hosts[B].process.as_ref().expect("it runs").somebody_can());
}

#[test]
fn an_address_that_vanished_is_added_again() {
    let mut bench = Bench::settled();
    bench.hosts[A].interface.clear();
    let now = bench.now;
    bench.hosts[A].process.as_mut().expect("it runs").handle_present(now, &BTreeSet::new());
    bench.run(500);
    assert_eq!(bench.holders(), [vec![A], vec![B]]);
}

/// Numbers as good as random (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

#[test]
fn whatever_happens_each_address_ends_at_home_with_one_holder() {
    for seed in 1..=60 {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut bench = Bench::settled();
        for _ in 0..12 {
            let at = dice.roll(2) as usize;
            match dice.roll(7) {
                0 => bench.kill(at),
                1 => bench.network[at] = false,
                2 => bench.link[at] = false,
                3 => bench.hosts[at].dns_works = false,
                4 => (bench.network, bench.link) = ([true; 2], [true; 2]),
                5 if bench.hosts[at].process.is_none() => bench.start(at),
                _ => bench.hosts[at].dns_works = true,
            }
            bench.run(dice.roll(4_000));
        }
        (bench.network, bench.link) = ([true; 2], [true; 2]);
        for at in [A, B] {
            bench.hosts[at].dns_works = true;
            if bench.hosts[at].process.is_none() {
                bench.start(at);
            }
        }
        bench.run(30_000);
        bench.forget();
        bench.run(5_000);
        assert_eq!(bench.holders(), [vec![A], vec![B]], "seed {seed}");
        let quiet = (bench.worst_twice, bench.worst_without);
        assert_eq!(quiet, (Duration::ZERO, Duration::ZERO), "seed {seed}");
    }
}
