//! One disk is lost: wiped, damaged, or put back to what it held some time ago.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use lanward_tests::dhcp_client::Mac;
use lanward_tests::lab::{Lab, Place, Side, Story, Vlan, secs, shared, wait_for};

use super::table::{HEALED_WITHIN, all_arrive, all_keep};

/// The household's MCLT in these scenarios. The wait after a lost disk is this and a minute's
/// guard, whatever the settings say.
const MCLT: Duration = Duration::from_secs(5);
const GUARD: Duration = Duration::from_secs(60);

/// What happens to the disk of A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// The store is gone.
    Wiped,
    /// The store is what it was some leases ago, and does not know better itself.
    Backup,
    /// One bit of a lease is another.
    Flipped,
}

/// They wait for a minute each, so they run side by side.
#[test]
fn a_lost_disk_is_refilled_by_the_partner_and_nobody_loses_an_address() {
    let Some(story) = Story::begin("the disk of A is lost, in three ways") else { return };
    std::thread::scope(|scope| {
        for loss in [Loss::Wiped, Loss::Backup, Loss::Flipped] {
            let story = &story;
            scope.spawn(move || lose(story, loss));
        }
    });
}

fn lose(story: &Story, loss: Loss) {
    let mut lab = Lab::build(&format!("{loss:?}").to_lowercase());
    lab.daemon(Side::A).declare(600, &format!("mclt = \"{}s\"", MCLT.as_secs()));
    lab.start_pair();
    let data_dir = lab.daemon(Side::A).data_dir();
    let backup = lab.dir().join("backup");
    let mut old = lab.crowd(16, Vlan::Home, Place::Middle);
    let had_old = all_arrive(&mut old, 16, secs(15));
    if loss == Loss::Backup {
        lab.daemon_mut(Side::A).kill();
        copy_store(&data_dir, &backup);
        lab.start(Side::A);
        lab.normal_within(secs(15));
    }
    let mut new = lab.crowd(16, Vlan::Iot, Place::Middle);
    let had_new = all_arrive(&mut new, 16, secs(15));

    lab.daemon_mut(Side::A).kill();
    match loss {
        Loss::Wiped => remove_store(&data_dir),
        Loss::Backup => {
            remove_store(&data_dir);
            copy_store(&backup, &data_dir);
        }
        Loss::Flipped => flip(&data_dir.join("leases.redb"), had_new[3].mac),
    }
    let started = Instant::now();
    lab.start(Side::A);
    let states = |lab: &Lab| Side::BOTH.map(|side| lab.daemon(side).state().unwrap_or_default().0);
    let recovers = |lab: &Lab| states(lab)[0].starts_with("RECOVER");
    let seen = wait_for(secs(15), || recovers(&lab).then_some(()));
    assert!(seen.is_some(), "{loss:?}: A does not recover: {:?}", states(&lab));
    story.step(&format!("{loss:?}: A is in {}, B in {}", states(&lab)[0], states(&lab)[1]));

    // B alone answers meanwhile: whoever comes, and whoever asks again.
    let mut guests = lab.crowd(10, Vlan::Guests, Place::Middle);
    let had_guests = all_arrive(&mut guests, 10, secs(15));
    let old_again = all_keep(&mut old, &had_old, secs(15));
    let new_again = all_keep(&mut new, &had_new, secs(15));
    if recovers(&lab) {
        let all = [&had_guests[..], &old_again, &new_again].concat();
        let by_a: Vec<_> = all.iter().filter(|grant| Side::A.has(grant.server)).collect();
        assert!(by_a.is_empty(), "{loss:?}: A serves although it recovers: {by_a:?}");
    }
    story.step(&format!("{loss:?}: B serves 10 newcomers and all 32 others, each as before"));

    for side in Side::BOTH {
        lab.state_within(side, "NORMAL", MCLT + GUARD + secs(15));
    }
    let normal = started.elapsed();
    lab.healed_within(HEALED_WITHIN);
    all_keep(&mut old, &had_old, secs(15));
    all_keep(&mut new, &had_new, secs(15));
    let again = all_keep(&mut guests, &had_guests, secs(15));
    let known = lab.leases(Side::A);
    assert!(again.iter().all(|grant| known.contains_key(&grant.address)), "A lacks some");
    let mut late = lab.crowd(16, Vlan::Home, Place::Middle);
    let late = all_arrive(&mut late, 16, secs(15));
    let by_a = late.iter().filter(|grant| Side::A.has(grant.server)).count();
    assert!(by_a > 0, "{loss:?}: A does not serve again");
    story.step(&format!(
        "{loss:?}: NORMAL {:.0} s after A's start, tables equal; nobody's address has changed; A \
         serves {by_a} of 16 newcomers",
        normal.as_secs_f64()
    ));
}

fn is_of_store(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with("leases.redb")
}

fn remove_store(data_dir: &Path) {
    for entry in fs::read_dir(data_dir).expect("a data folder").filter_map(Result::ok) {
        if is_of_store(&entry.file_name()) {
            fs::remove_file(entry.path()).expect("a file can be removed");
        }
    }
}

fn copy_store(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the lab's folder is writable");
    for entry in fs::read_dir(from).expect("a data folder").filter_map(Result::ok) {
        if is_of_store(&entry.file_name()) {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("a file can be copied");
        }
    }
}

/// Flips one bit of a lease, wherever the store has it: pages that are no longer in use hold
/// copies, and a flip in those is nobody's loss.
fn flip(store: &Path, mac: Mac) {
    let mut bytes = fs::read(store).expect("a store");
    let places = bytes.windows(mac.len()).enumerate().filter(|(_, window)| *window == mac);
    let places: Vec<usize> = places.map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "the lease is not in the store");
    for at in places {
        bytes[at + 1] ^= 0x10;
    }
    fs::write(store, bytes).expect("the store is writable");
}

/// What is left of A is its settings file: it does not know that it ever had a partner.
#[test]
fn a_host_that_lost_everything_stays_silent_beside_its_former_partner() {
    let Some(story) = Story::begin("A loses its whole data folder") else { return };
    let mut lab = Lab::build("gone");
    lab.daemon(Side::A).declare(600, "");
    lab.start_pair();
    let mut old = lab.crowd(40, Vlan::Home, Place::Middle);
    let had = all_arrive(&mut old, 40, secs(10));
    lab.daemon_mut(Side::A).kill();
    fs::remove_dir_all(lab.daemon(Side::A).data_dir()).expect("the data folder can be removed");
    lab.start(Side::A);

    let mut new = lab.crowd(40, Vlan::Home, Place::Middle);
    let grants = all_arrive(&mut new, 40, secs(15));
    let again = all_keep(&mut old, &had, secs(10));
    let had_again = again.clone();
    let all = [had, again, grants].concat();
    let twice = shared(&all);
    assert!(twice.is_empty(), "addresses with two holders: {twice:#?}");
    let told = wait_for(secs(10), || {
        let status = lab.daemon(Side::A).status()?;
        let problems = status["problems"].as_array()?.iter();
        let what: Vec<&str> = problems.filter_map(|problem| problem["what"].as_str()).collect();
        what.iter().find(|what| what.contains("DHCP")).map(|&what| what.to_owned())
    });
    story.step(&format!("80 devices, 0 addresses shared; A says: {}", told.expect("A says why")));

    // It comes in the place of the one that is gone for good: that one must not be heard.
    let replace = ["pair", "replace", "--yes", "--json"];
    let said = lab.daemon(Side::B).cli(&replace);
    assert!(!said.status.success() && said.out.contains("is not off"), "{said:?}");
    assert!(said.out.contains("plug it in again when you have the invite"), "{said:?}");
    let said = lab.daemon(Side::B).cli(&["pair", "invite"]);
    assert!(said.err.contains("pair replace"), "B does not say what to do: {said:?}");
    lab.household.plug_host(Side::A, false);
    let said = lab.daemon(Side::B).cli(&replace);
    assert!(said.status.success(), "{said:?}");
    let reply: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let invite = reply["invite"].as_str().expect("an invite").to_owned();
    lab.household.plug_host(Side::A, true);
    let joined = wait_for(secs(15), || {
        let said = lab.daemon(Side::A).cli(&["pair", "join", &invite, "--yes"]);
        said.status.success().then_some(())
    });
    assert!(joined.is_some(), "A cannot join: {}", lab.daemon(Side::A).log_tail(5));
    lab.normal_within(secs(20));
    lab.tables_equal_within(HEALED_WITHIN);
    all_keep(&mut old, &had_again, secs(10));
    story.step("A joins in its own place: NORMAL, tables equal, nobody moved");
}
