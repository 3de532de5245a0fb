//! How two nodes find each other, part, and get in step again.

use super::*;

#[test]
fn a_partner_that_never_served_learns_everything_before_it_serves() {
    let mut bench = Bench::new();
    let now = bench.now;
    bench.sides[0] = Side::new(config(Rank::Zero, false), BTreeMap::new(), now);
    bench.settle();
    for n in 0..200 {
        bench.leased(0, Ipv4Addr::new(10, 0, 0, n), n, DAY);
    }
    bench.a().handle_paired(now, config(Rank::Zero, true));
    bench.settle();
    assert_eq!(bench.leased(0, Ipv4Addr::new(10, 0, 1, 1), 250, DAY), DAY, "still alone");
    assert_eq!(bench.may(1, ODD, 251), Err(Refusal::NotServing));
    bench.link();
    assert_eq!(bench.states(), [PairState::Normal; 2]);
    assert!(bench.tables_are_equal());
    assert_eq!(bench.sides[1].pair.bindings().count(), 201);
    assert_eq!(bench.sides[0].pair.status().unsynced, 0);
}

#[test]
fn a_join_that_breaks_off_leaves_the_old_node_alone_and_the_new_one_silent() {
    let mut bench = Bench::new();
    let now = bench.now;
    bench.sides[0] = Side::new(config(Rank::Zero, false), BTreeMap::new(), now);
    bench.settle();
    bench.leased(0, ODD, 1, DAY);
    bench.a().handle_paired(now, config(Rank::Zero, true));
    bench.sides[1].holds_disk = true;
    bench.link();
    assert_eq!(bench.may(0, Ipv4Addr::new(10, 0, 0, 103), 2), Err(Refusal::PartnersHalf));
    bench.cut();
    assert_eq!(bench.states(), [PairState::Standalone, PairState::Startup]);
    assert_eq!(bench.may(0, Ipv4Addr::new(10, 0, 0, 103), 2), Ok(()));
    bench.sides[1].holds_disk = false;
    bench.pass(HOUR);
    assert_eq!(bench.states()[1], PairState::Startup, "it never gives up waiting");
    bench.link();
    assert_eq!(bench.states(), [PairState::Normal; 2]);
    assert!(bench.tables_are_equal());
}

#[test]
fn the_node_that_joins_forgets_what_it_held() {
    let mut bench = Bench::new();
    let now = bench.now;
    for (at, rank) in [(0, Rank::Zero), (1, Rank::One)] {
        let lone = PairConfig { partner: None, ..config(rank, true) };
        bench.sides[at] = Side::new(lone, BTreeMap::new(), now);
    }
    bench.settle();
    bench.leased(0, EVEN, 1, DAY);
    bench.leased(1, Ipv4Addr::new(192, 168, 0, 7), 2, DAY);
    bench.a().handle_paired(now, config(Rank::Zero, true));
    bench.b().handle_paired(now, config(Rank::One, true));
    bench.link();
    assert_eq!(bench.states(), [PairState::Normal; 2]);
    assert!(bench.tables_are_equal());
    assert_eq!(bench.sides[1].disk.keys().filter(|key| key.starts_with("binding/")).count(), 1);
}

#[test]
fn a_restarted_node_serves_when_it_is_in_step_or_after_ten_seconds() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, DAY);
    bench.restart(1);
    assert_eq!(bench.states()[1], PairState::Startup);
    assert_eq!(bench.may(1, EVEN, 1), Err(Refusal::NotServing));
    bench.pass(Duration::from_secs(9));
    assert_eq!(bench.states()[1], PairState::Startup);
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.states()[1], PairState::CommunicationsInterrupted);
    assert_eq!(bench.may(1, EVEN, 1), Ok(()));
    bench.restart(1);
    bench.link();
    assert_eq!(bench.states(), [PairState::Normal; 2]);
}

#[test]
fn what_happened_on_both_sides_of_a_break_is_on_both_afterwards() {
    let mut bench = Bench::interrupted();
    for n in (0..200).step_by(2) {
        bench.leased(0, Ipv4Addr::new(10, 0, 0, n), n, DAY);
        bench.leased(1, Ipv4Addr::new(10, 0, 0, n + 1), n + 1, DAY);
    }
    assert_eq!(bench.sides[0].pair.status().unsynced, 100);
    bench.link();
    assert_eq!(bench.states(), [PairState::Normal; 2]);
    assert!(bench.tables_are_equal());
    assert_eq!(bench.sides[0].pair.bindings().count(), 200);
}

#[test]
fn a_lease_prolonged_on_both_sides_keeps_the_longer_promise() {
    let mut bench = Bench::normal();
    bench.leased(0, EVEN, 1, DAY);
    bench.cut();
    bench.pass(HOUR);
    bench.leased(0, EVEN, 1, DAY);
    bench.pass(HOUR);
    bench.leased(1, EVEN, 1, DAY);
    let latest = bench.now + DAY;
    bench.link();
    assert!(bench.tables_are_equal());
    assert_eq!(bench.sides[0].pair.binding(EVEN).map(|b| b.client_expiry), Some(latest));
}

#[test]
fn silence_counts_as_a_lost_link() {
    let mut bench = Bench::normal();
    bench.sides[0].holds_frames = true;
    bench.pass(Duration::from_millis(2_900));
    assert_eq!(bench.states()[1], PairState::Normal);
    bench.pass(Duration::from_millis(1_200));
    assert_eq!(bench.states()[1], PairState::CommunicationsInterrupted);
    assert_eq!(bench.sides[1].closed.len(), 1);
    let status = bench.sides[1].pair.status();
    assert!(status.reason.contains("no word from a"), "{}", status.reason);
}

#[test]
fn unequal_lead_times_keep_the_two_apart() {
    let mut bench = Bench::interrupted();
    let now = bench.now;
    bench.b().set_mclt(now, HOUR * 2);
    bench.link();
    assert_eq!(bench.states(), [PairState::CommunicationsInterrupted; 2]);
    let refusal = bench.sides[0].pair.status().partner.and_then(|partner| partner.refusal);
    assert!(refusal.is_some_and(|why| why.contains("7200 s and this node 3600 s")));
    bench.a().set_mclt(now, HOUR * 2);
    bench.cut();
    bench.link();
    assert_eq!(bench.states(), [PairState::Normal; 2]);
}

#[test]
fn a_node_of_another_pair_is_hung_up_on() {
    let mut bench = Bench::interrupted();
    let now = bench.now;
    let mut other = config(Rank::One, true);
    other.partner.as_mut().expect("it has a partner").cluster = ClusterId([1; 16]);
    bench.sides[1] = Side::new(other, BTreeMap::new(), now);
    bench.link();
    assert!(bench.sides[0].closed.iter().any(|why| why.contains("another pair")));
    assert_eq!(bench.states()[0], PairState::CommunicationsInterrupted);
}

#[test]
fn a_node_stopped_while_it_joined_takes_over_its_partners_leases() {
    let mut bench = Bench::new();
    let now = bench.now;
    for (at, rank) in [(0, Rank::Zero), (1, Rank::One)] {
        let lone = PairConfig { partner: None, ..config(rank, true) };
        let mut side = Side::new(lone, BTreeMap::new(), now);
        side.drain(now);
        bench.sides[at] = Side::new(config(rank, true), side.disk, now);
    }
    // What it held before it joined counts for nothing, and it serves nobody from it.
    bench.pass(HOUR);
    assert_eq!(bench.states()[1], PairState::Startup);
    bench.link();
    bench.cut();
    bench.link();
    bench.pass(HOUR + Duration::from_secs(100));
    assert_eq!(bench.states(), [PairState::Normal; 2]);
}

#[test]
fn the_timeline_says_who_when_and_why() {
    let mut bench = Bench::normal();
    bench.cut();
    let last = bench.sides[0].events.last().expect("something happened");
    assert_eq!(last.what, EventKind::Entered(PairState::CommunicationsInterrupted));
    assert_eq!((last.who.as_str(), last.at), ("a", bench.now));
    assert_eq!(last.why, "the link to b is lost: cut");
}

#[test]
fn a_settings_message_larger_than_a_frame_arrives_whole() {
    let mut bench = Bench::normal();
    let message: Vec<u8> = (0..3_000_000_u32).map(|n| (n / 7) as u8).collect();
    bench.sides[0].holds_frames = true;
    bench.a().send_settings(&message);
    bench.settle();
    let frames: Vec<_> = bench.sides[0].frames.drain(..).collect();
    assert!(frames.len() > 10 && frames.iter().all(|frame| frame.len() < 300_000));
    let now = bench.now;
    for frame in frames {
        bench.b().handle_frame(now, &frame);
    }
    let heard = std::iter::from_fn(|| bench.b().poll_output()).find_map(|output| match output {
        PairOutput::Settings(message) => Some(message),
        _ => None,
    });
    assert!(heard == Some(message));
}

#[test]
fn clocks_that_differ_are_shown_and_change_nothing() {
    let mut bench = Bench::interrupted();
    let ahead = bench.now + DAY;
    for side in 0..2 {
        bench.sides[side].frames.clear();
        bench.sides[side].holds_frames = true;
    }
    // Node a lives a day ahead: the two are driven by hand.
    bench.a().handle_link_up(ahead);
    let now = bench.now;
    bench.b().handle_link_up(now);
    for _ in 0..6 {
        bench.sides[0].drain(ahead);
        bench.sides[1].drain(now);
        let (from_a, from_b) =
            (bench.sides[0].frames.split_off(0), bench.sides[1].frames.split_off(0));
        from_b.iter().for_each(|frame| bench.a().handle_frame(ahead, frame));
        from_a.iter().for_each(|frame| bench.b().handle_frame(now, frame));
    }
    assert_eq!(bench.states(), [PairState::Normal; 2]);
    let clock = |side: usize| {
        let partner = bench.sides[side].pair.status().partner;
        partner.and_then(|partner| partner.clock_ahead_ms)
    };
    assert_eq!(clock(1), Some(86_400_000));
    assert_eq!(clock(0), Some(-86_400_000));
}

#[test]
fn words_beside_the_leases_reach_the_partner_whatever_they_are_about() {
    let mut bench = Bench::normal();
    for about in [Aside::Sessions, Aside::Lists, Aside::Authority] {
        bench.a().send_aside(about, b"word".to_vec());
        bench.settle();
        let heard = std::mem::take(&mut bench.sides[1].asides);
        assert_eq!(heard, [(about, b"word".to_vec())]);
    }
}
