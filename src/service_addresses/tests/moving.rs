//! Everything in order: starts, stops, hand-overs.

use super::*;

#[test]
fn each_host_holds_its_own_and_announces_it() {
    let mut bench = Bench::new();
    bench.run(3_000);
    assert_eq!(bench.holders(), [vec![A], vec![B]]);
    let first: Vec<_> = bench.announced.iter().filter(|(_, at, _)| *at == A).collect();
    assert_eq!(first.len(), 5, "at 0, 150, 300, 600 and 1000 ms: {first:?}");
    assert_eq!(bench.why(A, OF_A), "It is at home on pi-a.");
    assert_eq!(bench.why(A, OF_B), "It is at home on pi-b.");
}

#[test]
fn a_lone_host_holds_all_of_them() {
    let mut bench = Bench::new();
    bench.kill(B);
    let wanted = [(OF_A, Rank::Zero), (OF_B, Rank::One)].map(|(addr, home)| Wanted {
        addr,
        home,
        network: "home".into(),
        attached: true,
    });
    let process = bench.hosts[A].process.as_mut().expect("it runs");
    process.set_wanted(bench.now, (Rank::Zero, None), wanted.to_vec(), vec![mac(A)]);
    bench.run(500);
    assert_eq!(bench.holders(), [vec![A], vec![A]]);
    assert_eq!(bench.why(A, OF_B), "There is no second host yet.");
}

#[test]
fn a_planned_stop_leaves_no_moment_without_a_holder() {
    let mut bench = Bench::settled();
    let now = bench.now;
    bench.hosts[A].process.as_mut().expect("it runs").handle_stop(now);
    bench.run(500);
    assert!(bench.hosts[A].process.as_ref().expect("it runs").is_empty_handed());
    assert_eq!(bench.holders(), [vec![B], vec![B]]);
    assert_eq!(bench.worst_without, Duration::ZERO);
    assert!(bench.worst_twice <= millis(300), "{:?}", bench.worst_twice);
    let (last, by, _) = bench.announced.last().expect("it was announced");
    assert_eq!(*by, B);
    assert!(*last > now + millis(250), "announced again once the old holder let go");
}

#[test]
fn a_stop_without_a_partner_ends_at_once() {
    let mut bench = Bench::settled();
    bench.power_off(B);
    bench.run(3_000);
    let now = bench.now;
    bench.hosts[A].process.as_mut().expect("it runs").handle_stop(now);
    bench.run(20);
    assert!(bench.hosts[A].process.as_ref().expect("it runs").is_empty_handed());
    assert_eq!(bench.holders(), [const { Vec::<usize>::new() }; 2]);
}

#[test]
fn a_stop_whose_partner_cannot_take_over_ends_all_the_same() {
    let mut bench = Bench::settled();
    bench.hosts[B].dns_works = false;
    bench.run(3_000);
    let now = bench.now;
    bench.hosts[A].process.as_mut().expect("it runs").handle_stop(now);
    bench.run(2_100);
    assert!(bench.hosts[A].process.as_ref().expect("it runs").is_empty_handed());
}

#[test]
fn a_host_that_comes_back_gets_its_address_without_a_gap() {
    let mut bench = Bench::settled();
    bench.power_off(A);
    bench.run(3_000);
    assert_eq!(bench.holders(), [vec![B], vec![B]]);
    assert_eq!(bench.why(B, OF_A), "pi-a does not answer, so pi-b holds it.");
    bench.run(1_000);
    bench.forget();
    bench.link = [true; 2];
    bench.hosts[B].link = false;
    let now = bench.now;
    bench.hosts[B].process.as_mut().expect("it runs").handle_link_down(now);
    bench.start(A);
    bench.run(500);
    assert_eq!(bench.holders(), [vec![B], vec![B]], "not before it has been well for a while");
    bench.run(1_500);
    assert_eq!(bench.holders(), [vec![A], vec![B]]);
    assert_eq!(bench.worst_without, Duration::ZERO);
    assert!(bench.worst_twice <= millis(300), "{:?}", bench.worst_twice);
}

#[test]
fn a_changed_home_moves_the_address() {
    let mut bench = Bench::settled();
    for (at, rank) in [(A, Rank::Zero), (B, Rank::One)] {
        let name = ["pi-a", "pi-b"][1 - at].to_owned();
        let wanted = BOTH.map(|addr| Wanted {
            addr,
            home: Rank::One,
            network: "home".into(),
            attached: true,
        });
        let process = bench.hosts[at].process.as_mut().expect("it runs");
        process.set_wanted(bench.now, (rank, Some(name)), wanted.to_vec(), vec![mac(at)]);
    }
    bench.run(2_000);
    assert_eq!(bench.holders(), [vec![B], vec![B]]);
    assert_eq!(bench.worst_without, Duration::ZERO);
}

#[test]
fn an_address_that_left_the_settings_leaves_the_interface() {
    let mut bench = Bench::settled();
    let process = bench.hosts[A].process.as_mut().expect("it runs");
    process.set_wanted(bench.now, (Rank::Zero, Some("pi-b".into())), Vec::new(), vec![mac(A)]);
    bench.run(100);
    assert_eq!(bench.holders()[0], Vec::<usize>::new());
}
