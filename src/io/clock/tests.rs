use super::*;

const BOOT: BootId = BootId([7; 16]);
const OTHER_BOOT: BootId = BootId([8; 16]);
const DAY: Duration = Duration::from_secs(86_400);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// The clock after a restart of the process, from what the clock before it stored.
fn restart(before: &NodeClock, stored_at: Duration, at: Duration, wall: Duration) -> NodeClock {
    let stored = Floor::parse(&before.floor_at(stored_at));
    NodeClock::resume(stored, before.boot, at, wall)
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

#[test]
fn after_a_reboot_with_a_dead_battery_time_goes_on_from_the_floor() {
    let clock = NodeClock::resume(None, BOOT, secs(100), secs(1_000_000));
    let stored = Floor::parse(&clock.floor_at(secs(500)));
    let again = NodeClock::resume(stored, OTHER_BOOT, secs(20), secs(0));
    assert_eq!(again.at(secs(20)).as_millis(), 1_000_400_000);
}

#[test]
fn after_a_reboot_a_good_wall_clock_counts() {
    let clock = NodeClock::resume(None, BOOT, secs(100), secs(1_000_000));
    let stored = Floor::parse(&clock.floor_at(secs(500)));
    let again = NodeClock::resume(stored, OTHER_BOOT, secs(20), secs(1_005_000));
    assert_eq!(again.at(secs(20)).as_millis(), 1_005_000_000);
}

#[test]
fn without_a_boot_id_the_wall_clock_and_the_floor_decide() {
    let unknown = BootId([0; 16]);
    let clock = NodeClock::resume(None, unknown, secs(100), secs(1_000_000));
    let again = restart(&clock, secs(160), secs(200), secs(2_000_000));
    assert_eq!(again.at(secs(200)).as_millis(), 2_000_000_000);
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
