//! The root changes its keys (RFC 5011), and tells by names which are trusted (RFC 8509).

use hickory_proto::dnssec::PublicKey;
use hickory_proto::dnssec::rdata::DNSKEY;

use super::*;
use crate::learned::Learned;

const MONTH: u64 = 31 * 86_400;

fn line(key: &DNSKEY, state: &str) -> String {
    let bytes = data_encoding::BASE64.encode(key.public_key().public_bytes());
    format!(". IN DNSKEY 257 3 15 {bytes} ; {state}\n")
}

/// Asks something with what `keys` say by now.
async fn look(world: &Arc<World>, keys: &Arc<Learned>) -> Validation {
    let anchors = keys.in_place_of_built_in(&TrustAnchors::default());
    let settings = Dnssec { anchors, ..Dnssec::default() };
    let validator = Validator::new(world.clone(), Arc::new(settings), true).telling(keys, 0);
    verdict(&validator, "www.good.test.", A).await
}

fn good(root: Signed) -> World {
    let good = Signed::new("good.test.", Denies::Nsec).a("www.good.test.");
    let test = Signed::new("test.", Denies::Nsec).delegates(&good);
    World::new(vec![root.delegates(&test), test, good])
}

fn published(key: &DNSKEY) -> RData {
    RData::DNSSEC(DNSSECRData::DNSKEY(key.clone()))
}

#[tokio::test]
async fn the_root_may_roll_its_key_without_anybody_doing_anything() {
    let (mut old, mut new) = (Signed::new(".", Denies::Nsec), Signed::new(".", Denies::Nsec));
    let (first, second) = (old.dnskey.clone(), new.dnskey.clone());
    old.put(&name("."), published(&second));
    new.put(&name("."), published(&first));
    let (before, after) = (Arc::new(good(old)), Arc::new(good(new)));
    let keys = Arc::new(Learned::default());
    keys.restore(&line(&first, "trusted")).expect("a key");

    // The new key is published, and has not been for long enough when it signs.
    assert_eq!(look(&before, &keys).await, Secure);
    assert_eq!(look(&after, &keys).await, Bad(Bogus::Signature));
    // It has.
    let text = keys.to_text();
    let seen = text.lines().find(|line| line.contains("; seen ")).expect("the new key is noted");
    let since: u64 = seen.rsplit(' ').next().expect("a time").parse().expect("a number");
    keys.restore(&text.replace(&since.to_string(), &(since - MONTH).to_string())).expect("keys");
    let _ = keys.have_keys_changed();
    assert_eq!(look(&before, &keys).await, Secure);
    assert!(keys.have_keys_changed());
    assert_eq!(look(&after, &keys).await, Secure);
}

#[tokio::test]
async fn a_key_is_revoked_by_its_owner_only() {
    let (mut root, lost) = (Signed::new(".", Denies::Nsec), Signed::new(".", Denies::Nsec));
    let mut revoking = lost;
    let trusted = line(&root.dnskey, "trusted") + &line(&revoking.dnskey, "trusted");
    let revoked_line = line(&revoking.dnskey, "revoked");
    revoking.dnskey = DNSKEY::new(true, true, true, revoking.dnskey.public_key().clone());
    root.put(&name("."), published(&revoking.dnskey));
    let world = Arc::new(good(root));
    let keys = Arc::new(Learned::default());
    keys.restore(&trusted).expect("keys");
    let _ = keys.have_keys_changed();

    assert_eq!(look(&world, &keys).await, Secure);
    assert!(!keys.have_keys_changed(), "anybody could say that it is revoked");
    world.tamper(move |lookup, message| {
        if lookup.rtype == DNSKEY && lookup.name.is_root() {
            let set: Vec<Record> = message
                .answers
                .iter()
                .filter(|record| record.record_type() == DNSKEY)
                .cloned()
                .collect();
            let rrsig = revoking.sign(&name("."), DNSKEY, &set);
            let data = RData::DNSSEC(DNSSECRData::RRSIG(rrsig));
            message.answers.push(Record::from_rdata(name("."), 300, data));
        }
    });
    assert_eq!(look(&world, &keys).await, Secure);
    assert!(keys.have_keys_changed());
    assert!(keys.to_text().contains(&revoked_line), "{}", keys.to_text());
}

#[tokio::test]
async fn keys_that_the_settings_give_are_nobody_elses_to_change() {
    let mut root = Signed::new(".", Denies::Nsec);
    root.put(&name("."), published(&Signed::new(".", Denies::Nsec).dnskey));
    let world = Arc::new(good(root));
    let keys = Arc::new(Learned::default());
    let before = keys.to_text();
    let given = anchors(&world);
    assert_eq!(keys.in_place_of_built_in(&given), given);
    let settings = Dnssec { anchors: given, ..Dnssec::default() };
    let validator = Validator::new(world.clone(), Arc::new(settings), true).telling(&keys, 0);
    assert_eq!(verdict(&validator, "www.good.test.", A).await, Secure);
    keys.restore(&before).expect("keys");
    assert_eq!(keys.in_place_of_built_in(&TrustAnchors::default()), TrustAnchors::default());
    assert!(!keys.to_text().contains("; seen "), "{}", keys.to_text());
}

#[tokio::test]
async fn names_tell_which_key_is_trusted() {
    let world = Arc::new(world());
    let validator = validator(&world);
    let own = world.zone(".").dnskey.calculate_key_tag().expect("a tag");
    let ask = async |label: &str, tag: u16, cd| {
        let text = format!("root-key-sentinel-{label}-ta-{tag:05}.wild.good.test.");
        let asked = validator.resolve(Lookup { cd, ..plain(&text, A) }).await;
        asked.map(|checked| checked.message.answers.is_empty())
    };
    assert_eq!(ask("is", own, false).await, Ok(false));
    assert_eq!(ask("not", own, false).await, Err(FailureKind::Sentinel));
    assert_eq!(ask("is", 20326, false).await, Err(FailureKind::Sentinel));
    assert_eq!(ask("not", 20326, false).await, Ok(false));
    assert_eq!(ask("not", own, true).await, Ok(false), "who checks by itself is told nothing");
    let text = format!("root-key-sentinel-not-ta-{own:05}.plain.test.");
    let unsigned = validator.resolve(plain(&text, A)).await;
    assert!(unsigned.is_ok(), "only where the answer is secure");
}
