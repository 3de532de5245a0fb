use super::*;

fn ha(state: PairState, connected: bool) -> Ha {
    Ha {
        node: "pi-a".to_owned(),
        state,
        reason: String::new(),
        since: Time::ZERO,
        serving: true,
        unfit: None,
        prolongs_unsaved: false,
        unsynced: 0,
        bindings: 0,
        partner_down_since: None,
        wait_until: None,
        solo: false,
        partner: Some(PartnerStatus {
            name: "pi-b".to_owned(),
            connected,
            state: None,
            serving: false,
            protocol: Some(2),
            last_contact: None,
            clock_ahead_ms: None,
            refusal: None,
        }),
    }
}

fn says(version: &str, wall_ahead_ms: i64) -> PartnerSays {
    PartnerSays { version: version.to_owned(), started: Timestamp::UNIX_EPOCH, wall_ahead_ms }
}

#[test]
fn few_free_addresses_are_told_only_while_the_partners_half_cannot_be_used() {
    let free = FreeCounts { own: 3, partner_half: 40 };
    let free = BTreeMap::from([("iot".into(), free)]);
    let problems = |state| capacity_problems(&ha(state, false), || free.clone());
    let told = problems(PairState::CommunicationsInterrupted);
    assert_eq!(told.len(), 1);
    assert!(told[0].what.starts_with("3 free addresses are left"), "{}", told[0].what);
    assert!(told[0].fix.contains("lanward pair down"));
    for state in [PairState::Normal, PairState::PartnerDown, PairState::Standalone] {
        assert!(problems(state).is_empty());
    }
}

#[test]
fn clocks_apart_and_different_versions_are_told_while_the_two_are_connected() {
    let own = env!("CARGO_PKG_VERSION");
    let normal = ha(PairState::Normal, true);
    assert!(daemon_problems(&normal, Some(&says(own, 4_000))).is_empty());
    let off = daemon_problems(&normal, Some(&says(own, -7_400)));
    assert_eq!(off.len(), 1);
    assert!(off[0].what.contains("7 s behind"), "{}", off[0].what);
    let other = daemon_problems(&normal, Some(&says("9.9.9", 0)));
    assert!(other[0].what.contains("pi-b 9.9.9"), "{}", other[0].what);
    assert!(daemon_problems(&ha(PairState::Normal, false), Some(&says("9.9.9", 0))).is_empty());
}

#[test]
fn a_partner_that_is_not_ours_is_a_problem_and_one_that_is_silent_is_the_condition() {
    let apart = ha(PairState::CommunicationsInterrupted, false);
    assert!(
        pair_problems(&apart, Some("cannot reach pi-b at 10.0.1.3:647 (no answer)")).is_empty()
    );
    let told = pair_problems(&apart, Some("what answers at 10.0.1.3:647 is not pi-b"));
    assert_eq!(told.len(), 1);
    assert!(pair_problems(&ha(PairState::Normal, true), Some("anything else")).is_empty());
}

#[test]
fn a_host_that_cannot_save_says_who_keeps_an_address_and_who_gets_none() {
    let unfit = Some("No space left on device".to_owned());
    let covered = Ha { unfit: unfit.clone(), serving: false, ..ha(PairState::Normal, true) };
    let said = |ha: &Ha| pair_problems(ha, None).remove(0).what;
    assert_eq!(said(&covered), "pi-a cannot save leases and gives none: No space left on device.");
    let alone = Ha { unfit, partner: None, prolongs_unsaved: true, ..covered };
    assert_eq!(
        said(&alone),
        "pi-a cannot save leases (No space left on device): devices keep the address they have, \
         new ones get none."
    );
}
