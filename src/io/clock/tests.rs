use super::*;

const BOOT: BootId = BootId([7; 16]);
const OTHER_BOOT: BootId = BootId([8; 16]);
const DAY: Duration = Duration::from_secs(86_400);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// The clock after a restart of the process, from what the clock before it stored.
fn restart(before: &NodeClock, stored_at: Duration, at: Duration, wall: Duration) -> NodeClock {
    NodeClock::resume(Some(&before.floor_at(stored_at)), before.boot, at, wall)
}

#[test]
fn starts_at_the_wall_clock_and_moves_with_the_boot_clock() {
    let clock = NodeClock::resume(None, BOOT, secs(100), secs(1_000_000));
    assert_eq!(clock.at(secs(100)).as_millis(), 1_000_000_000);
    assert_eq!(clock.at(secs(130)).as_millis(), 1_000_030_000);
}

#[test]
fn a_wall_clock_step_of_a_day_does_not_reach_a_restarted_process() {
    let clock = NodeClock::resume(None, BOOT, secs(100), secs(1_000_000));
    for wall in [secs(1_000_000) - DAY, secs(1_000_200), secs(1_000_000) + DAY] {
        let again = restart(&clock, secs(160), secs(200), wall);
        assert_eq!(again.at(secs(200)), clock.at(secs(200)));
    }
}

/// The clock after a reboot 1,000 s after the last word was stored, with some wall clock.
fn reboot(before: &NodeClock, stored_at: Duration, wall: Duration) -> NodeClock {
    NodeClock::resume(Some(&before.floor_at(stored_at)), OTHER_BOOT, secs(20), wall)
}

#[test]
fn no_wall_clock_at_a_reboot_ends_a_lease_early() {
    let clock = NodeClock::resume(None, BOOT, secs(100), secs(1_000_000));
    let granted = clock.at(secs(500));
    let true_wall = secs(1_000_400 + 1_000);
    let walls = [secs(0), true_wall - DAY, true_wall, true_wall + DAY, true_wall + DAY * 36_500];
    for wall in walls {
        let again = reboot(&clock, secs(500), wall);
        assert_eq!(again.at(secs(20)), granted, "the wall clock at {wall:?} counts for nothing");
        assert_eq!(again.at(secs(80)), granted + secs(60));
        assert!(again.downtime_unknown());
    }
}

#[test]
fn leases_of_a_boot_in_1970_are_not_ended_by_the_boot_after_it() {
    // The floor of an earlier life; then a boot without a clock that NTP mends after the grant.
    let before = NodeClock::resume(None, BOOT, secs(100), secs(1_000_000));
    let dead = reboot(&before, secs(500), secs(20));
    let granted = dead.at(secs(600));
    // Two days of truth later it boots with the right time.
    let again = NodeClock::resume(
        Some(&dead.floor_at(secs(660))),
        BootId([9; 16]),
        secs(15),
        secs(1_000_400) + DAY * 2,
    );
    assert_eq!(again.at(secs(15)).since(granted), secs(60), "only what this node saw has passed");
}

#[test]
fn a_wall_clock_stepped_back_in_a_boot_does_not_turn_node_time_back() {
    let clock = NodeClock::resume(None, BOOT, secs(100), secs(1_000_000) + DAY);
    let again = reboot(&clock, secs(500), secs(1_000_500));
    assert!(again.at(secs(20)) >= clock.at(secs(500)));
}

#[test]
fn within_a_boot_the_downtime_is_known() {
    let clock = NodeClock::resume(None, BOOT, secs(100), secs(1_000_000));
    assert!(!clock.downtime_unknown(), "a new data folder holds no promise");
    let again = restart(&clock, secs(160), secs(4_000), secs(0));
    assert!(!again.downtime_unknown());
    assert_eq!(again.at(secs(4_000)), clock.at(secs(4_000)));
}

#[test]
fn without_a_boot_id_every_start_is_one_after_a_reboot() {
    let unknown = BootId([0; 16]);
    let clock = NodeClock::resume(None, unknown, secs(100), secs(1_000_000));
    let again = restart(&clock, secs(160), secs(200), secs(2_000_000));
    assert_eq!(again.at(secs(200)), clock.at(secs(160)));
    assert!(again.downtime_unknown());
}

#[test]
fn what_an_earlier_version_stored_is_read() {
    let clock = NodeClock::resume(None, BOOT, secs(100), secs(1_000_000));
    let mut stored = clock.floor_at(secs(160));
    stored.extend_from_slice(b"what a later version appends");
    assert_eq!(Floor::parse(&stored), Floor::parse(&clock.floor_at(secs(160))));
}

#[test]
fn a_host_up_for_longer_than_its_wall_clock_is_old_has_a_time_nonetheless() {
    let clock = NodeClock::resume(None, BOOT, secs(500), secs(3));
    assert_eq!(clock.at(secs(500)).as_millis(), 3_000);
    assert_eq!(clock.at(secs(501)).as_millis(), 4_000);
}

#[test]
fn an_unreadable_floor_counts_as_none() {
    for bytes in [&b""[..], b"short", &[0xff; 31]] {
        assert_eq!(Floor::parse(bytes), None);
    }
    let clock = NodeClock::start(Some(&[0xff; 40]));
    assert!(clock.now() > Time::ZERO);
}

#[test]
fn the_real_clock_runs_and_survives_a_restart() {
    let clock = NodeClock::start(None);
    let again = NodeClock::start(Some(&clock.floor()));
    assert!(again.now() >= clock.now() - secs(1));
    assert!(again.now().since(clock.now()) < secs(5));
    let shown = clock.wall_at(clock.now() + secs(10)).duration_since(clock.wall()).unwrap();
    assert!(shown > secs(9) && shown < secs(11), "{shown:?}");
}
