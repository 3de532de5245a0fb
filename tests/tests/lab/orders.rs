//! What people do to a pair: say that the other host is off.

use lanward_tests::lab::{Cut, Lab, Place, Side, Story, Vlan, secs};

use super::table::{HEALED_WITHIN, all_arrive, all_keep};

const DOWN: &str = "PARTNER-DOWN";

#[test]
fn the_other_node_is_off_is_refused_while_it_can_be_heard() {
    let Some(story) = Story::begin("somebody says that A is off") else { return };
    let mut lab = Lab::build("off");
    lab.daemon(Side::A).declare(600, "mclt = \"5s\"");
    lab.start_pair();
    let mut old = lab.crowd(20, Vlan::Home, Place::Middle);
    let had = all_arrive(&mut old, 20, secs(10));
    let refused = |lab: &Lab, when: &str| {
        let said = lab.daemon(Side::B).cli(&["pair", "down", "--yes"]);
        assert!(!said.status.success(), "accepted {when}: {said:?}");
        assert!(!said.err.contains("panicked") && said.err.contains("pi-a"), "{said:?}");
        story.step(&format!("refused {when}: {}", said.err.trim().replace('\n', " / ")));
    };
    refused(&lab, "while both are in NORMAL");
    lab.household.cut(Cut::PairLink);
    lab.state_within(Side::B, "COMMUNICATIONS-INTERRUPTED", secs(10));
    refused(&lab, "while only their link is cut");
    lab.household.heal();
    lab.healed_within(HEALED_WITHIN);

    lab.daemon_mut(Side::A).kill();
    let host = lab.household.host(Side::A);
    let attached = || Vlan::ALL.into_iter().filter(|vlan| vlan.attached());
    attached().for_each(|vlan| host.ip(&format!("link set {} down", vlan.id())));
    lab.state_within(Side::B, "COMMUNICATIONS-INTERRUPTED", secs(10));
    let said = lab.daemon(Side::B).cli(&["pair", "down", "--yes"]);
    assert!(said.status.success(), "refused although A is off: {said:?}");
    lab.state_within(Side::B, DOWN, secs(5));
    story.step(&format!("A is off: {}", said.out.trim().replace('\n', " / ")));
    let mut new = lab.crowd(20, Vlan::Iot, Place::Middle);
    let had_new = all_arrive(&mut new, 20, secs(10));
    all_keep(&mut old, &had, secs(10));

    let host = lab.household.host(Side::A);
    attached().for_each(|vlan| host.ip(&format!("link set {} up", vlan.id())));
    lab.start(Side::A);
    let healed = lab.healed_within(HEALED_WITHIN);
    all_keep(&mut old, &had, secs(10));
    all_keep(&mut new, &had_new, secs(10));
    story.step(&format!("A is back: tables equal after {} ms, nobody moved", healed.as_millis()));
}
