//! A node whose disk has failed.

use super::*;

const EVEN_2: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 102);

/// A lone node and its disk, with a lease of EVEN for client 1 that was given at the bench's time.
fn lone() -> Bench {
    let mut bench = Bench::new();
    bench.sides[0] = Side::new(config(Rank::Zero, false), BTreeMap::new(), bench.now);
    bench.settle();
    assert_eq!(bench.leased(0, EVEN, 1, DAY), DAY);
    bench
}

impl Bench {
    fn disk_fails(&mut self, at: usize) {
        let now = self.now;
        self.sides[at].holds_disk = true;
        self.sides[at].pair.handle_store_failed(now, "No space left on device");
        self.settle();
    }

    /// A lone node starts from what is on the disk.
    fn starts_alone(&mut self) {
        let disk = std::mem::take(&mut self.sides[0].disk);
        self.sides[0] = Side::new(config(Rank::Zero, false), disk, self.now);
        self.settle();
    }

    fn answers(&self, at: usize, n: u8) -> Answering {
        let pair = &self.sides[at].pair;
        pair.answering(self.now, Asking::Broadcast, &"lan".into(), &client(n).key, Some(EVEN))
    }
}

#[test]
fn a_lone_node_that_cannot_save_prolongs_what_runs_and_gives_nothing_new() {
    let mut bench = lone();
    bench.pass(HOUR * 6);
    bench.disk_fails(0);
    assert!(bench.sides[0].pair.status().prolongs_unsaved);
    assert_eq!(bench.answers(0, 1), Answering::Yes);
    assert_eq!(bench.may(0, EVEN, 1), Ok(()));
    // What is on the disk,
    assert_eq!(bench.leased(0, EVEN, 1, DAY), HOUR * 18);
    // and an hour at a time beyond it.
    for _ in 0..100 {
        bench.pass(HOUR / 2);
        let left = (HOUR * 24).saturating_sub(bench.now.since(Time::from_millis(1_000_000_000)));
        assert_eq!(bench.leased(0, EVEN, 1, DAY), left.max(HOUR));
    }
    assert_eq!(bench.leased(0, EVEN, 1, HOUR / 4), HOUR / 4, "no more than is asked for");
    assert_eq!(bench.state_of(0, EVEN), Some(BindingState::Active));
    for addr in [EVEN, ODD] {
        assert_eq!(bench.may(0, addr, 2), Err(Refusal::NotDurable));
        let ticket = bench.grant(0, addr, 2, DAY);
        assert_eq!(bench.outcome(0, ticket), Some(Outcome::Refused(Refusal::NotDurable)));
    }
    let released = Change::Release { addr: EVEN, client: client(1).key };
    let ticket = bench.propose(0, released);
    assert_eq!(bench.outcome(0, ticket), Some(Outcome::Refused(Refusal::NotDurable)));
}

#[test]
fn what_a_lone_node_prolonged_unsaved_is_kept_by_its_next_start() {
    let mut bench = lone();
    bench.pass(HOUR * 6);
    bench.disk_fails(0);
    // The client outlives the lease on the disk by two days, and has an hour left.
    for _ in 0..96 {
        bench.pass(HOUR / 2);
        bench.leased(0, EVEN, 1, DAY);
    }
    let promised = bench.now + HOUR;
    // Three lives, the second of which cannot save either.
    bench.starts_alone();
    bench.pass(HOUR / 4);
    bench.disk_fails(0);
    bench.starts_alone();
    while bench.now < promised {
        assert_eq!(bench.may(0, EVEN, 2), Err(Refusal::InUse));
        bench.pass(Duration::from_secs(60));
    }
    // It ends an hour and the guard after the last start, and no later.
    assert_eq!(bench.may(0, EVEN, 1), Ok(()));
    bench.pass(HOUR);
    assert_eq!(bench.state_of(0, EVEN), Some(BindingState::Free));
}

#[test]
fn what_was_under_way_when_the_disk_failed_is_not_promised() {
    let mut bench = lone();
    bench.pass(HOUR * 20);
    bench.sides[0].holds_disk = true;
    let first = Ipv4Addr::new(10, 0, 0, 102);
    let tickets = [
        bench.grant(0, EVEN, 1, DAY),
        bench.grant(0, EVEN, 1, DAY * 2),
        bench.grant(0, first, 2, DAY),
    ];
    bench.disk_fails(0);
    for ticket in tickets {
        assert_eq!(bench.outcome(0, ticket), Some(Outcome::Refused(Refusal::NotDurable)));
    }
    assert_eq!(bench.leased(0, EVEN, 1, DAY), HOUR * 4, "what it had before");
    let again = bench.grant(0, first, 2, DAY);
    assert_eq!(bench.outcome(0, again), Some(Outcome::Refused(Refusal::NotDurable)));
}

#[test]
fn a_node_of_a_pair_that_cannot_save_says_what_runs_while_nobody_serves_in_its_place() {
    let mut bench = Bench::normal();
    assert_eq!(bench.leased(0, EVEN, 1, DAY), DAY);
    bench.pass(HOUR);
    bench.disk_fails(0);
    bench.pass(Duration::from_secs(1));
    // The partner does.
    assert!(!bench.sides[0].pair.status().prolongs_unsaved);
    assert_eq!(bench.answers(0, 1), Answering::No);
    assert_eq!(bench.may(0, EVEN, 1), Err(Refusal::NotDurable));
    // It is gone.
    bench.cut();
    assert_eq!(bench.answers(0, 1), Answering::Yes);
    let left = bench.sides[0].pair.binding(EVEN).expect("leased").client_expiry.since(bench.now);
    assert_eq!(bench.leased(0, EVEN, 1, DAY), Duration::from_secs(left.as_secs()));
    bench.pass(DAY - HOUR);
    let ticket = bench.grant(0, EVEN, 1, DAY);
    assert_eq!(bench.outcome(0, ticket), Some(Outcome::Refused(Refusal::NotDurable)));
}

#[test]
fn a_node_of_a_pair_that_cannot_save_repeats_its_own_word_only() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, DAY);
    bench.leased(1, ODD, 2, DAY);
    bench.restart(0);
    bench.pass(Duration::from_secs(11));
    bench.disk_fails(0);
    // Known from the disk, from a life before and from the partner.
    for (addr, n) in [(EVEN, 1), (ODD, 2)] {
        assert_eq!(bench.state_of(0, addr), Some(BindingState::Active));
        assert_eq!(bench.may(0, addr, n), Err(Refusal::NotDurable));
    }
}

#[test]
fn what_a_lone_node_prolonged_unsaved_is_known_to_the_pair_it_becomes() {
    let mut bench = lone();
    bench.pass(HOUR * 23);
    bench.disk_fails(0);
    bench.pass(HOUR * 2);
    assert_eq!(bench.leased(0, EVEN, 1, DAY), HOUR);
    let promised = bench.now + HOUR;
    // It is paired while nothing can be saved, and starts twice as a host of the pair.
    bench.restart(0);
    bench.pass(Duration::from_secs(11));
    bench.restart(0);
    let known = bench.sides[0].pair.binding(EVEN).cloned().expect("on the disk");
    assert!(known.client_expiry >= promised);
}

#[test]
fn a_node_of_a_pair_that_cannot_save_repeats_nothing_to_who_may_have_given_it_back() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, DAY);
    bench.leased(0, EVEN_2, 2, DAY);
    bench.cut();
    // Client 2 begins anew while the disk still works, and asks when it does not.
    let now = bench.now;
    bench.a().offered(now, EVEN_2, &client(2));
    bench.disk_fails(0);
    assert_eq!(bench.may(0, EVEN, 1), Ok(()), "who asks for it has it");
    let offer = bench.sides[0].pair.may_offer(now, EVEN, &client(1));
    assert_eq!(offer, Err(Refusal::NotDurable));
    assert_eq!(bench.may(0, EVEN_2, 2), Err(Refusal::NotDurable));
}
