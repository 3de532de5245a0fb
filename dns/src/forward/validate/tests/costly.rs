//! Answers that are made to cost as much as can be.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::effort::{MAX_ASKED, MAX_SPENT};
use super::*;

/// A name of so many labels below `zone`.
fn deep(first: &str, labels: usize, zone: &str) -> String {
    format!("{first}.{}{zone}", "x.".repeat(labels))
}

const DEPTH: usize = 12;

/// Zone in zone in zone, each signed; in the innermost stands `name`, with what `end` puts there.
fn nested(at: usize, end: impl FnOnce(Signed, &str) -> Signed) -> Vec<Signed> {
    let origin = |depth| deep_zone(at, depth);
    let innermost = Signed::new(&origin(DEPTH), NSEC3);
    let mut zones = vec![end(innermost, &format!("name.{}", origin(DEPTH)))];
    for depth in (0..DEPTH).rev() {
        let zone = Signed::new(&origin(depth), NSEC3).delegates(&zones[zones.len() - 1]);
        zones.push(zone);
    }
    zones
}

fn deep_zone(at: usize, depth: usize) -> String {
    format!("{}z{at}.test.", "x.".repeat(depth))
}

fn name_in(at: usize) -> String {
    format!("name.{}", deep_zone(at, DEPTH))
}

/// Eleven aliases, each to a name in the innermost of a dozen zones; and an honest zone.
fn costly_world() -> World {
    let mut test = Signed::new("test.", Denies::Nsec);
    let mut all = Vec::new();
    for at in 0..11 {
        let zones = nested(at, |zone, own| match at {
            10 => zone.a(own),
            _ => zone.alias(own, &name_in(at + 1)),
        });
        test = test.delegates(&zones[zones.len() - 1]);
        all.extend(zones);
    }
    let honest = Signed::new("honest.test.", NSEC3).a("www.honest.test.").a(&deep(
        "name",
        32,
        "honest.test.",
    ));
    let test = test.delegates(&honest);
    let root = Signed::new(".", Denies::Nsec).delegates(&test);
    all.extend([root, test, honest]);
    World::new(all)
}

#[tokio::test]
async fn a_question_has_no_more_asked_and_looked_at_than_any_is_worth() {
    let world = Arc::new(costly_world());
    let validator = validator(&world);
    verdict(&validator, "www.honest.test.", A).await;
    world.asked();
    let before = validator.checks.load(Ordering::Relaxed);
    let found = validator.resolve(plain(&name_in(0), A)).await;
    assert_eq!(found.err(), Some(FailureKind::TooMuch));
    let asked = world.asked().len() as u32;
    assert!((MAX_ASKED / 2..=MAX_ASKED + 1).contains(&asked), "{asked}");
    let checks = validator.checks.load(Ordering::Relaxed) - before;
    assert!(checks <= u64::from(MAX_SPENT), "{checks}");
    // Others have not paid for it: what was asked for it is known, and no zone counts as broken.
    assert_eq!(verdict(&validator, "www.honest.test.", A).await, Secure);
    assert_eq!(verdict(&validator, &name_in(10), A).await, Secure);
}

#[tokio::test]
async fn a_name_as_deep_as_an_ipv6_address_is_checked_to_the_end() {
    let world = Arc::new(costly_world());
    let validator = validator(&world);
    assert_eq!(verdict(&validator, &deep("name", 32, "honest.test."), A).await, Secure);
    let asked = world.asked().len() as u32;
    assert!(asked < MAX_ASKED / 2, "{asked}: there is room left");
}

#[tokio::test]
async fn many_signatures_on_many_proofs_are_cut_off() {
    let world = Arc::new(costly_world());
    let validator = validator(&world);
    verdict(&validator, "www.honest.test.", A).await;
    // Each alias and each denial comes with as many signatures as are looked at.
    world.tamper(|_, message| {
        for section in [&mut message.answers, &mut message.authorities] {
            let signed: Vec<Record> =
                section.iter().filter(|record| signature(record).is_some()).cloned().collect();
            for at in 0..7 {
                section.extend(signed.iter().map(|record| spoiled(record, at)));
            }
        }
    });
    let before = validator.checks.load(Ordering::Relaxed);
    let found = validator.resolve(plain(&name_in(0), A)).await;
    assert_eq!(found.err(), Some(FailureKind::TooMuch));
    let checks = validator.checks.load(Ordering::Relaxed) - before;
    assert!(checks <= u64::from(MAX_SPENT) / 2, "each counts by its signatures: {checks}");
}

/// The same signature, but wrong.
fn spoiled(record: &Record, at: u8) -> Record {
    let mut record = record.clone();
    let rrsig = signature(&record).expect("an RRSIG");
    let mut bytes = rrsig.sig().to_vec();
    bytes[0] ^= 1 + at;
    let rrsig = RRSIG::from_sig(rrsig.input().clone(), bytes);
    record.data = RData::DNSSEC(DNSSECRData::RRSIG(rrsig));
    record
}

#[tokio::test]
async fn an_ordinary_name_waits_for_no_costly_one() {
    let world = Arc::new(costly_world());
    let validator = validator(&world);
    let mut running = FuturesUnordered::new();
    let run = async |text: String, ordinary: bool| {
        let _ = validator.resolve(plain(&text, A)).await;
        ordinary
    };
    for _ in 0..50 {
        running.push(run(name_in(0), false));
    }
    running.push(run("www.honest.test.".to_owned(), true));
    let mut before = 0;
    while running.next().await == Some(false) {
        before += 1;
    }
    assert_eq!(before, 0, "of 50 costly names were done first");
}

#[tokio::test]
async fn what_is_spent_on_one_question_is_summed_up_over_all_servers_that_are_asked() {
    let world = Arc::new(costly_world());
    let validator = validator(&world);
    verdict(&validator, "www.honest.test.", A).await;
    world.tamper(|lookup, message| {
        if lookup.name == name("www.honest.test.") {
            // Large sets are dear, so few of them do.
            let address = |at| RData::A(std::net::Ipv4Addr::from_bits(at).into());
            let set = (0..600).map(|at| Record::from_rdata(lookup.name.clone(), 300, address(at)));
            message.answers.extend(set);
        }
    });
    effort::bounded(async {
        let mut tries = 0;
        while !effort::is_costly() && tries < 10 {
            tries += 1;
            let found = verdict(&validator, "www.honest.test.", A).await;
            assert_eq!(found, Bad(Bogus::Signature));
            validator.forget_above(&name("www.honest.test."));
        }
        assert!((2..=4).contains(&tries), "{tries}");
    })
    .await;
    // The next question begins anew.
    assert!(!effort::is_costly());
}

#[tokio::test]
async fn a_long_name_below_a_zone_of_many_iterations_is_not_hashed() {
    let dear = Signed::new("dear.test.", Denies::Nsec3 { opt_out: false, iterations: 50 });
    let test = Signed::new("test.", Denies::Nsec).delegates(&dear);
    let root = Signed::new(".", Denies::Nsec).delegates(&test);
    let world = Arc::new(World::new(vec![root, test, dear]));
    let validator = validator(&world);
    assert_eq!(verdict(&validator, &deep("name", 32, "dear.test."), A).await, Secure);
    let found = validator.resolve(plain(&deep("name", 100, "dear.test."), A)).await;
    assert_eq!(found.err(), Some(FailureKind::TooMuch));
}

#[tokio::test]
async fn each_record_of_a_large_answer_is_given_once() {
    let plain_zone = Signed::new("plain.test.", Denies::Nsec).unsigned().a("www.plain.test.");
    let test = Signed::new("test.", Denies::Nsec).delegates(&plain_zone);
    let root = Signed::new(".", Denies::Nsec).delegates(&test);
    let world = Arc::new(World::new(vec![root, test, plain_zone]));
    let validator = validator(&world);
    world.tamper(|lookup, message| {
        if lookup.name == name("www.plain.test.") {
            let address = |at| RData::A(std::net::Ipv4Addr::from_bits(at).into());
            let set = |at| Record::from_rdata(lookup.name.clone(), 300, address(at));
            message.answers = (0..500).chain(0..500).map(set).collect();
        }
    });
    let checked = validator.resolve(plain("www.plain.test.", A)).await.expect("an answer");
    assert_eq!(checked.validation, Insecure);
    let in_order =
        checked.message.answers.iter().zip(0..).all(
            |(record, at)| matches!(&record.data, RData::A(address) if address.0.to_bits() == at),
        );
    assert!(in_order && checked.message.answers.len() == 500);
}

/// A world in which each name that begins with `n` is an alias to the same of the next zone, signed
/// when it is asked for, with three wrong signatures before each good one and two wrong keys of the
/// same tag before each right one.
struct Hostile(Arc<World>);

impl Hostile {
    fn chain(&self, first: &Name) -> Message {
        let label = first.iter().next().expect("a label").to_vec();
        let mut message = self.0.answer(&name("honest.test."), A);
        message.queries[0].name = first.clone();
        (message.answers, message.authorities) = (Vec::new(), Vec::new());
        for at in 0..11 {
            let zone = self.0.zone(&deep_zone(at, DEPTH));
            let own = zone.origin.prepend_label(label.as_slice()).expect("a name");
            let to = name(&deep_zone((at + 1) % 11, DEPTH))
                .prepend_label(label.as_slice())
                .expect("a name");
            let data = match at {
                10 => RData::A(std::net::Ipv4Addr::new(192, 0, 2, 1).into()),
                _ => RData::CNAME(hickory_proto::rr::rdata::CNAME(to)),
            };
            let record = Record::from_rdata(own.clone(), 300, data);
            let rrsig = zone.sign(&own, record.record_type(), std::slice::from_ref(&record));
            let rrsig = RData::DNSSEC(DNSSECRData::RRSIG(rrsig));
            let rrsig = Record::from_rdata(own, 300, rrsig);
            message.answers.extend((0..3).map(|at| spoiled(&rrsig, at)));
            message.answers.extend([rrsig, record]);
        }
        message
    }
}

impl Ask for Hostile {
    fn ask(&self, lookup: Lookup) -> crate::forward::validate::Asking {
        match lookup.rtype {
            A if lookup.name.iter().next().is_some_and(|label| label.starts_with(b"n")) => {
                let message = self.chain(&lookup.name);
                Box::pin(async move { Ok(message) })
            }
            _ => self.0.ask(lookup),
        }
    }
}

/// What others wait for while one client asks for such names as often as it may, 200 times a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures time: run it alone, with --release and --nocapture"]
async fn measure_what_others_wait_for() {
    let world = Arc::new(costly_world());
    let zones: Vec<Name> = (0..11).map(|at| name(&deep_zone(at, DEPTH))).collect();
    let wrong_keys: Vec<Record> = zones
        .iter()
        .map(|zone| {
            let tag = world.zone(&zone.to_string()).dnskey.calculate_key_tag().expect("a tag");
            let mut key = colliding(tag, 1);
            key.name = zone.clone();
            key
        })
        .collect();
    world.tamper(move |lookup, message| {
        let wrong = wrong_keys.iter().filter(|key| key.name == lookup.name);
        if lookup.rtype == DNSKEY {
            message.answers.splice(0..0, wrong.cloned());
        }
    });
    let settings = Dnssec { anchors: anchors(&world), ..Dnssec::default() };
    let validator = Arc::new(Validator::new(Arc::new(Hostile(world)), Arc::new(settings), false));
    // Its zones are known: what is left is the work.
    for at in 0..11 {
        let _ = validator.resolve(plain(&name_in(at), A)).await;
    }
    for round in ["quiet", "under attack"] {
        let mut attack = tokio::task::JoinSet::new();
        let asks = validator.clone();
        if round == "under attack" {
            attack.spawn(async move {
                let mut tick = tokio::time::interval(Duration::from_millis(5));
                let mut waiting = tokio::task::JoinSet::new();
                for at in 0.. {
                    tick.tick().await;
                    while waiting.try_join_next().is_some() {}
                    // As many as one client may have waiting.
                    if waiting.len() < 500 {
                        let (asks, first) =
                            (asks.clone(), format!("n{at}.{}", deep_zone(0, DEPTH)));
                        waiting.spawn(async move { asks.resolve(plain(&first, A)).await.is_ok() });
                    }
                }
            });
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut took = Vec::new();
        for _ in 0..1000 {
            let begun = Instant::now();
            let found = validator.resolve(plain("www.honest.test.", A)).await;
            took.push(begun.elapsed());
            assert!(found.is_ok_and(|found| found.validation == Secure));
            validator.forget(&name("honest.test."));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        took.sort();
        crate::fuzz::say(&format!(
            "{round}: p50 {:?}, p99 {:?}, longest {:?}; {} checks",
            took[500],
            took[990],
            took[999],
            validator.checks.swap(0, Ordering::Relaxed)
        ));
    }
}
