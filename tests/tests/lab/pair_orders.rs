//! What people tell a pair, and what the two hosts make of it: maintenance, removing, replacing;
//! and the link's way over every network the two share.

use std::net::Ipv4Addr;

use lanward_tests::lab::{Lab, Place, Side, Story, Vlan, secs, wait_for};

const APART: &str = "COMMUNICATIONS-INTERRUPTED";

/// Takes a host off every network, or puts it back.
fn plugged(lab: &Lab, side: Side, state: &str) {
    for vlan in Vlan::ALL.into_iter().filter(|vlan| vlan.attached()) {
        lab.household.host(side).ip(&format!("link set {} {state}", vlan.id()));
    }
    if state == "up" {
        // The kernel forgets routes of an interface that is down.
        let router = Vlan::Home.router();
        lab.household.host(side).ip(&format!("route replace default via {router}"));
    }
}

/// Runs a command that must be refused; what it says.
#[track_caller]
fn refused(lab: &Lab, side: Side, args: &[&str]) -> String {
    let said = lab.daemon(side).cli(args);
    assert!(!said.status.success(), "{args:?} was done: {said:?}");
    said.err
}

/// Runs a command that must be done; what it says.
#[track_caller]
fn done(lab: &Lab, side: Side, args: &[&str]) -> String {
    let said = lab.daemon(side).cli(args);
    assert!(said.status.success(), "{args:?}: {said:?}");
    said.out
}

/// What its status says of the pair.
fn condition(lab: &Lab, side: Side) -> String {
    let status = lab.daemon(side).status().expect("it runs");
    status["pair"]["condition"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_cut_network_moves_the_link_to_another_one() {
    let Some(story) = Story::begin("the link's networks are cut one by one") else { return };
    let mut lab = Lab::build("paths");
    lab.start_pair();
    let over = |lab: &Lab, vlan: Vlan| {
        let there = format!("({}:", vlan.host(Side::A));
        let log = lab.daemon(Side::B).log_text();
        let last =
            log.lines().rfind(|line| line.contains("the link to pi-a is up")).map(str::to_owned);
        last.is_some_and(|line| line.contains(&there)).then_some(())
    };
    assert!(over(&lab, Vlan::Home).is_some(), "the first address of the invite is the first way");
    let cut = |lab: &Lab, vlan: Vlan| {
        lab.household.host(Side::B).sh(&format!(
            "nft -f - <<'RULES'\nflush ruleset\ntable inet cut {{\nchain input {{\ntype filter hook \
             input priority 0\niifname {} tcp sport 647 drop\n}}\n}}\nRULES",
            vlan.id()
        ));
    };
    for (gone, way) in [(Vlan::Home, Vlan::Iot), (Vlan::Iot, Vlan::Home)] {
        cut(&lab, gone);
        let began = std::time::Instant::now();
        let moved = wait_for(secs(15), || over(&lab, way));
        let found = began.elapsed();
        assert!(moved.is_some(), "the link does not come up over {}", way.id());
        lab.normal_within(secs(5));
        story.step(&format!(
            "{} swallows what A says: the link is up over {} after {} ms",
            gone.id(),
            way.id(),
            found.as_millis()
        ));
    }
    lab.tables_equal_within(secs(5));
}

#[test]
fn a_host_in_maintenance_leaves_dhcp_to_the_other() {
    let Some(story) = Story::begin("`lanward pair maintenance`") else { return };
    let mut lab = Lab::build("maint");
    lab.start_pair();
    let told = done(&lab, Side::B, &["pair", "maintenance"]);
    assert!(told.contains("pi-a serves DHCP for everybody"), "{told}");
    assert_eq!(condition(&lab, Side::B), "maintenance");
    lab.state_within(Side::A, "PARTNER-DOWN", secs(2));
    assert_eq!(condition(&lab, Side::A), "partner_stopped");
    let granted = lab.crowd(10, Vlan::Home, Place::Middle).arrive(secs(10));
    assert_eq!(granted.len(), 10);
    let by_a: Vec<Ipv4Addr> = granted.iter().map(|grant| grant.server).collect();
    assert!(by_a.iter().all(|server| *server == Vlan::Home.host(Side::A)), "{by_a:?}");
    let told = refused(&lab, Side::A, &["pair", "maintenance"]);
    assert!(told.contains("does not serve now"), "nobody would be left: {told}");
    story.step("A serves every newcomer; A itself may not go");

    done(&lab, Side::B, &["pair", "maintenance", "--off"]);
    lab.normal_within(secs(10));
    lab.tables_equal_within(secs(5));
    story.step("NORMAL again");
}

#[test]
fn a_removed_host_serves_nobody_until_it_joins_again() {
    let Some(story) = Story::begin("`lanward pair remove`") else { return };
    let mut lab = Lab::build("remove");
    lab.start_pair();
    let mut crowd = lab.crowd(10, Vlan::Home, Place::Middle);
    assert_eq!(crowd.arrive(secs(10)).len(), 10);
    let told = done(&lab, Side::A, &["pair", "remove", "--yes"]);
    assert!(told.contains("it was told"), "{told}");
    lab.state_within(Side::A, "STANDALONE", secs(2));
    let removed = wait_for(secs(10), || (condition(&lab, Side::B) == "removed").then_some(()));
    assert!(removed.is_some(), "B knows that it was removed");
    let refused_to_invite = refused(&lab, Side::B, &["pair", "invite"]);
    assert!(refused_to_invite.contains("removed this host"), "{refused_to_invite}");

    lab.daemon_mut(Side::B).kill();
    lab.start(Side::B);
    assert_eq!(condition(&lab, Side::B), "removed", "also after a restart");
    crowd.are_replaced();
    let granted = crowd.arrive(secs(10));
    assert_eq!(granted.len(), 10);
    assert!(granted.iter().all(|grant| grant.server == Vlan::Home.host(Side::A)));
    story.step("A goes on alone; B answers no device, also after a restart");

    let invite = lab.invite(Side::A);
    done(&lab, Side::B, &["pair", "join", &invite]);
    lab.normal_within(secs(20));
    lab.tables_equal_within(secs(5));
    story.step("joined again: NORMAL, and the tables are equal");
}

#[test]
fn a_dead_host_is_replaced_by_one_command() {
    let Some(story) = Story::begin("`lanward pair replace`") else { return };
    let mut lab = Lab::build("replace");
    lab.start_pair();
    let mut crowd = lab.crowd(10, Vlan::Home, Place::Middle);
    let before = crowd.arrive(secs(10));
    assert_eq!(before.len(), 10);
    lab.daemon_mut(Side::B).kill();
    plugged(&lab, Side::B, "down");
    lab.state_within(Side::A, APART, secs(10));
    let reply = lab.daemon(Side::A).json(&["pair", "replace", "--yes"]);
    let invite = reply["invite"].as_str().expect("an invite").to_owned();
    lab.state_within(Side::A, "STANDALONE", secs(2));
    story.step("A has given up B's place");

    std::fs::remove_dir_all(lab.daemon(Side::B).data_dir()).expect("its disk is gone");
    plugged(&lab, Side::B, "up");
    lab.start(Side::B);
    done(&lab, Side::B, &["pair", "join", &invite]);
    lab.normal_within(secs(20));
    lab.tables_equal_within(secs(5));
    let after = crowd.reboot(secs(15));
    let addresses = |grants: &[lanward_tests::lab::Grant]| {
        grants.iter().map(|grant| (grant.mac, grant.address)).collect::<Vec<_>>()
    };
    assert_eq!(addresses(&after), addresses(&before), "everybody kept its address");
    story.step("a new host took it; everybody kept its address");
}
