//! Disks that fail: every system call of a commit, one after the other, and no space left.

use std::time::{Instant, SystemTime};

use lanward_tests::faults::{AckLog, Meddler, Mount, Shelf, Stored};
use lanward_tests::lab::daemon::DOMAIN;
use lanward_tests::lab::{
    Crowd, Grant, Lab, Place, Program, Side, Story, Vlan, dig, secs, wait_for,
};

/// Devices that come at each fault: enough that both hosts are meant.
const NEWCOMERS: u16 = 3;

/// What a failing call does to the daemon.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// The call fails with this.
    Error(&'static str),
    /// The process is killed in it.
    Kill,
}

#[test]
fn each_failing_system_call_of_a_commit_costs_no_lease_and_the_partner_goes_on() {
    let Some(story) = Story::begin_on_disks("each system call of a commit fails") else { return };
    let mut lab = Lab::build("calls");
    lab.start_pair();
    let log = AckLog::default();
    // On two networks by turns: B alone has half of each pool for all who come.
    let [home, iot] = [Vlan::Home, Vlan::Iot];
    let mut crowds = [home, iot].map(|vlan| lab.crowd(NEWCOMERS, vlan, Place::Middle));

    let watcher = Meddler::watch(&lab, Side::A);
    log.granted(&crowds[0].arrive(secs(10)));
    lab.tables_equal_within(secs(5));
    let calls = watcher.calls();
    watcher.leave();
    let count = |name: &str| calls.iter().filter(|call| call.name == name).count();
    let (syncs, writes) = (count("fdatasync"), count("pwrite64"));
    assert!(syncs > 0 && writes > syncs, "{calls:?}");
    story.step(&format!("{NEWCOMERS} leases are {writes} pwrite64 and {syncs} fdatasync at A"));

    // The first commit is the first lease: as many writes as there are to a flush.
    let of_one = calls.iter().position(|call| call.name == "fdatasync").unwrap_or(0) + 1;
    let mut turns = Vec::new();
    turns.push(("fdatasync", 1, Failure::Error("EIO")));
    turns.push(("fdatasync", 1, Failure::Kill));
    turns.push(("fdatasync", 2, Failure::Error("EIO")));
    for nth in 1..=of_one {
        let failure = if nth % 2 == 0 { Failure::Kill } else { Failure::Error("ENOSPC") };
        turns.push(("pwrite64", nth, failure));
    }
    for (turn, which) in turns.into_iter().enumerate() {
        one_call(&story, &mut lab, &log, &mut crowds[turn % 2], which);
    }
    assert!(log.shared().is_empty(), "{:?}", log.shared());
}

/// Fails one call, and sees the house through it.
#[track_caller]
fn one_call(
    story: &Story,
    lab: &mut Lab,
    log: &AckLog,
    crowd: &mut Crowd,
    (call, nth, failure): (&str, usize, Failure),
) {
    let what = match failure {
        Failure::Error(error) => format!("error={error}"),
        Failure::Kill => "signal=SIGKILL".to_owned(),
    };
    let what = format!("{call}:{what}:when={nth}");
    let log_before = lab.daemon(Side::A).log_text().len();
    let meddler = Meddler::inject(lab, Side::A, &what);
    crowd.are_replaced();
    let began = Instant::now();
    let grants = crowd.arrive(secs(12));
    let served = began.elapsed();
    assert_eq!(grants.len(), usize::from(NEWCOMERS), "{what}: not everybody is served");
    log.granted(&grants);

    // The number of the last commit is kept beside the store; without it nothing is lost.
    let only_the_number = || {
        let calls = meddler.calls();
        let hit = calls.iter().find(|call| call.injected);
        hit.is_some_and(|call| call.file.ends_with(".reported"))
    };
    match failure {
        Failure::Kill => {
            let ended = lab.daemon_mut(Side::A).ended_within(secs(5));
            assert!(ended.is_some(), "{what}: it goes on");
        }
        Failure::Error(error) => {
            let unfit = wait_for(secs(5), || is_unfit(lab, Side::A));
            assert!(unfit.is_some() || only_the_number(), "{what}: A does not say so");
            if unfit.is_some() {
                let said = lab.daemon(Side::A).log_text().split_off(log_before);
                let error = if error == "EIO" { "os error 5" } else { "os error 28" };
                for word in ["cannot be saved", error, "Check the disk"] {
                    assert!(said.contains(word), "{what}: the log lacks {word}: {said}");
                }
                crowd.are_replaced();
                let grants = crowd.arrive(secs(5));
                assert_eq!(grants.len(), usize::from(NEWCOMERS), "{what}: B does not go on");
                let by_b = |grant: &Grant| Side::B.has(grant.server);
                assert!(grants.iter().all(by_b), "{what}: A gives leases: {grants:?}");
                log.granted(&grants);
            }
        }
    }
    assert!(!lab.daemon(Side::A).log_text().contains("panicked"), "{what}: A panicked");
    meddler.leave();
    lab.daemon_mut(Side::A).kill();
    let (looked_for, lost) = compare(lab, Side::A, log);
    assert!(lost.is_empty(), "{what}: {lost:#?}");
    let since = Instant::now();
    lab.start(Side::A);
    lab.normal_within(secs(5));
    lab.tables_equal_within(secs(5));
    story.step(&format!(
        "{what}: {NEWCOMERS} served in {} ms; 0 of {looked_for} lost; equal {} ms after the restart",
        served.as_millis(),
        since.elapsed().as_millis()
    ));
}

/// What the store of a dead daemon lacks.
#[track_caller]
fn compare(lab: &Lab, side: Side, log: &AckLog) -> (usize, Vec<String>) {
    let disk = Stored::read(&lab.daemon(side).data_dir());
    let disk = disk.unwrap_or_else(|why| panic!("{side}: unreadable: {why}"));
    log.missing(side, &disk, Instant::now())
}

/// What a host says of its disk, if it says that leases cannot be saved.
fn is_unfit(lab: &Lab, side: Side) -> Option<String> {
    let status = lab.daemon(side).status()?;
    let problems = status["problems"].as_array()?.iter();
    let what = problems.filter_map(|problem| problem["what"].as_str());
    what.map(str::to_owned).find(|what| what.contains("cannot save leases"))
}

#[test]
fn a_full_disk_stops_neither_names_nor_leases_of_the_pair() {
    let Some(story) = Story::begin_on_disks("the disk of A is full") else { return };
    let mut lab = Lab::build("full");
    let folder = lab.dir().join("small");
    let _small = Mount::in_memory(&folder, 4096);
    lab.daemon_mut(Side::A).keep_data_in(&folder);
    lab.start_pair();
    let mut tv = lab.device("tv", Program::Udhcpc, Vlan::Home);
    tv.switch_on();
    let address = tv.bound_within(secs(5)).address;
    let log = AckLog::default();
    let mut old = lab.crowd(20, Vlan::Home, Place::Middle);
    log.granted(&old.arrive(secs(10)));

    fill(&folder);
    story.step("no byte is left on the disk of A");
    let mut new = lab.crowd(20, Vlan::Home, Place::Middle);
    let began = Instant::now();
    let grants = new.arrive(secs(10));
    assert_eq!(grants.len(), 20, "newcomers have to wait");
    log.granted(&grants);
    story.step(&format!("20 newcomers served after {} ms", began.elapsed().as_millis()));
    let unfit = wait_for(secs(5), || is_unfit(&lab, Side::A));
    story.step(&format!("A says: {}", unfit.expect("A says that its disk is full")));

    let again = old.reboot(secs(10));
    assert_eq!((again.len(), old.refusals()), (20, 0), "old devices are served too");
    assert!(again.iter().all(|grant| Side::B.has(grant.server)), "A promises: {again:?}");
    log.granted(&again);
    for side in Side::BOTH {
        let name = format!("tv.{DOMAIN}");
        let server = Vlan::Home.host(side);
        dig::named_within(&lab.desk, server, (&name, address), (SystemTime::now(), secs(1)));
    }
    story.step("20 devices restarted and kept their address; both hosts answer for names");

    lab.daemon_mut(Side::A).kill();
    let (looked_for, lost) = compare(&lab, Side::A, &log);
    assert!(lost.is_empty(), "{lost:#?}");
    lab.launch(Side::A);
    let told = wait_for(secs(5), || {
        let running = lab.daemon_mut(Side::A).is_running();
        (!running || is_unfit(&lab, Side::A).is_some()).then_some(running)
    });
    story.step(&format!(
        "started again on the full disk, it {}: {}",
        if told == Some(true) { "runs" } else { "ends" },
        lab.daemon(Side::A).log_tail(2).replace('\n', " / ")
    ));
    assert!(told.is_some(), "A neither runs with a warning nor ends with one");
    lab.daemon_mut(Side::A).kill();
    std::fs::remove_file(folder.join("ballast")).expect("it is there");
    lab.start(Side::A);
    lab.normal_within(secs(5));
    lab.tables_equal_within(secs(5));
    story.step(&format!("room again: NORMAL, tables equal, 0 of {looked_for} lost"));
}

/// Writes until nothing more fits.
fn fill(folder: &std::path::Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(folder.join("ballast")).expect("the disk is writable");
    while file.write_all(&[0; 4096]).is_ok() {}
    while file.write_all(&[0; 1]).is_ok() {}
}

#[test]
fn a_lone_host_that_cannot_save_says_so_and_prolongs_what_runs() {
    let Some(story) = Story::begin_on_disks("a lone host cannot save") else { return };
    let mut lab = Lab::build("lone-eio");
    lab.start(Side::A);
    let log = AckLog::default();
    let mut crowd = lab.crowd(NEWCOMERS, Vlan::Home, Place::Middle);
    let mut old = lab.crowd(NEWCOMERS, Vlan::Home, Place::Middle);
    log.granted(&old.arrive(secs(10)));
    let mut tv = lab.device("tv", Program::Udhcpc, Vlan::Home);
    tv.switch_on();
    let address = tv.bound_within(secs(5)).address;

    let meddler = Meddler::inject(&lab, Side::A, "fdatasync:error=EIO");
    let grants = crowd.arrive(secs(3));
    assert!(grants.is_empty(), "promised what it cannot keep: {grants:?}");
    story.step(&format!("it says: {}", is_unfit(&lab, Side::A).expect("it says so")));
    keep_their_addresses(&mut old);
    is_named(&lab, address);
    meddler.leave();
    lab.daemon_mut(Side::A).kill();
    let (looked_for, lost) = compare(&lab, Side::A, &log);
    assert!(lost.is_empty(), "{lost:#?}");
    lab.start(Side::A);
    let grants = crowd.arrive(secs(5));
    assert_eq!(grants.len(), usize::from(NEWCOMERS));
    keep_their_addresses(&mut old);
    story.step(&format!("names and old devices go on; started again, 0 of {looked_for} lost"));
}

#[test]
fn a_lone_host_with_a_full_disk_keeps_the_house_going_over_a_restart() {
    let Some(story) = Story::begin_on_disks("the disk of a lone host is full") else { return };
    let mut lab = Lab::build("lone-full");
    let shelf = Shelf::create();
    let disk = shelf.disk("a");
    lab.daemon_mut(Side::A).keep_data_in(disk.folder());
    lab.start(Side::A);
    let log = AckLog::default();
    let mut old = lab.crowd(20, Vlan::Home, Place::Middle);
    log.granted(&old.arrive(secs(10)));
    let mut tv = lab.device("tv", Program::Udhcpc, Vlan::Home);
    tv.switch_on();
    let address = tv.bound_within(secs(5)).address;

    fill(disk.folder());
    let mut new = lab.crowd(20, Vlan::Iot, Place::Middle);
    // The store has a little room of its own.
    let mut newcomers = 0;
    while is_unfit(&lab, Side::A).is_none() {
        assert!(newcomers < 200, "there is no end of room");
        new.are_replaced();
        let grants = new.arrive(secs(3));
        newcomers += grants.len();
        log.granted(&grants);
    }
    let said = is_unfit(&lab, Side::A).expect("it said so");
    story.step(&format!("no room after {newcomers} newcomers: {said}"));
    new.are_replaced();
    let grants = new.arrive(secs(3));
    assert!(grants.is_empty(), "promised what it cannot keep: {grants:?}");
    keep_their_addresses(&mut old);
    is_named(&lab, address);

    lab.daemon_mut(Side::A).kill();
    let (looked_for, lost) = compare(&lab, Side::A, &log);
    assert!(lost.is_empty(), "{lost:#?}");
    lab.launch(Side::A);
    keep_their_addresses(&mut old);
    story.step("started again on the full disk, and 20 devices keep their address");
    lab.daemon_mut(Side::A).kill();
    std::fs::remove_file(disk.folder().join("ballast")).expect("it is there");
    lab.start(Side::A);
    keep_their_addresses(&mut old);
    assert_eq!(new.arrive(secs(5)).len(), 20);
    is_named(&lab, address);
    story.step(&format!("room again: newcomers are served, 0 of {looked_for} lost"));
}

/// Every device of the crowd restarts, and may go on with its address.
#[track_caller]
fn keep_their_addresses(crowd: &mut Crowd) {
    let before = crowd.refusals();
    let again = crowd.reboot(secs(10));
    assert_eq!((again.len(), crowd.refusals() - before), (crowd.len(), 0));
}

/// Host A still knows the television by its name.
#[track_caller]
fn is_named(lab: &Lab, address: std::net::Ipv4Addr) {
    let name = format!("tv.{DOMAIN}");
    let server = Vlan::Home.host(Side::A);
    dig::named_within(&lab.desk, server, (&name, address), (SystemTime::now(), secs(1)));
}

/// The control: the comparison must notice a disk that says "written" and is not.
#[test]
fn a_disk_that_lies_about_its_flush_is_noticed() {
    let Some(story) = Story::begin_on_disks("a disk lies") else { return };
    let mut lab = Lab::build("lies");
    let shelf = Shelf::create();
    let disk = shelf.disk("a");
    lab.daemon_mut(Side::A).keep_data_in(disk.folder());
    lab.start(Side::A);
    let log = AckLog::default();
    let mut crowd = lab.crowd(NEWCOMERS, Vlan::Home, Place::Middle);
    let look = |lab: &Lab| {
        let held = disk.clone_now();
        let folder = lab.dir().join("cut");
        let _mounted = held.mounted(&folder);
        let disk = Stored::read(&folder).map(|disk| log.missing(Side::A, &disk, Instant::now()));
        disk.map_or_else(|why| vec![why], |(_, lost)| lost)
    };
    log.granted(&crowd.arrive(secs(10)));
    assert_eq!(look(&lab), Vec::<String>::new());
    let meddler = Meddler::inject(&lab, Side::A, "fdatasync,fsync:retval=0");
    crowd.are_replaced();
    log.granted(&crowd.arrive(secs(10)));
    let lost = look(&lab);
    assert!(!lost.is_empty(), "the harness notices nothing");
    story.step(&format!("noticed: {}", lost[0]));
    meddler.leave();
    lab.daemon_mut(Side::A).kill();
}
