//! A partner of the release before, which speaks version 1, and its upgrade.

use super::*;
use crate::record::{Remembered, STATE_KEY};
use crate::wire::Body;

/// Links the two as if one of them, and so both, spoke version 1 only.
fn link_by_version_one(bench: &mut Bench) {
    bench.linked = true;
    for side in &mut bench.sides {
        side.frames.clear();
        side.pair.handle_link_up(bench.now);
        // The HELLO waits for the disk.
        while side.drain(bench.now) {}
        for frame in &mut side.frames {
            let Ok(Some(Body::Hello(mut hello))) = Body::from_frame(frame) else { continue };
            (hello.newest, hello.meetings, hello.met) = (1, 0, 0);
            *frame = Body::Hello(hello).into_frame();
        }
    }
    bench.settle();
}

/// What the release before writes down of its part in the pair.
fn state_of_version_one(disk: &mut BTreeMap<String, Vec<u8>>) {
    let record = disk.get_mut(STATE_KEY).expect("a state is written down");
    let mut state = Remembered::decode(record).expect("it can be read");
    (state.meetings, state.met) = (0, 0);
    *record = state.encode();
}

#[test]
fn a_host_that_is_upgraded_is_not_taken_for_one_with_an_older_store() {
    for upgraded in [0, 1] {
        let mut bench = Bench::new();
        link_by_version_one(&mut bench);
        assert_eq!(bench.states(), [PairState::Normal; 2]);
        let lease = bench.leased(0, EVEN, 1, DAY);
        assert_eq!(lease, DAY);

        bench.restart(upgraded);
        let mut disk = bench.sides[upgraded].disk.clone();
        state_of_version_one(&mut disk);
        bench.put_back(upgraded, disk);
        bench.link();
        assert_eq!(bench.states(), [PairState::Normal; 2], "host {upgraded} is upgraded");
        assert!(bench.tables_are_equal());
        for side in 0..2 {
            assert!(!bench.knows(side, EventKind::RolledBack));
            assert!(!bench.knows(side, EventKind::PartnerLostDisk));
        }
    }
}

#[test]
fn a_host_that_went_back_a_release_and_forward_again_is_not_either() {
    for changed in [0, 1] {
        let mut bench = Bench::normal();
        bench.restart(changed);
        let mut disk = bench.sides[changed].disk.clone();
        state_of_version_one(&mut disk);
        bench.put_back(changed, disk.clone());
        link_by_version_one(&mut bench);
        assert_eq!(bench.states(), [PairState::Normal; 2], "host {changed} went back");

        bench.restart(changed);
        let mut disk = bench.sides[changed].disk.clone();
        state_of_version_one(&mut disk);
        bench.put_back(changed, disk);
        bench.link();
        assert_eq!(bench.states(), [PairState::Normal; 2], "host {changed} came forward again");
    }
}
