use super::*;

const ED25519: &str = "l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=";

#[test]
fn the_built_in_anchors_are_the_two_keys_of_the_root() {
    let anchors = TrustAnchors::default();
    let tags: Vec<u16> = (0..anchors.keys.len())
        .filter_map(|at| {
            let key = anchors.keys.get(at)?.clone();
            hickory_proto::dnssec::rdata::DNSKEY::new(true, true, false, key)
                .calculate_key_tag()
                .ok()
        })
        .collect();
    assert_eq!(tags, [20326, 38696]);
}

#[test]
fn anchors_are_read_as_zone_files_write_them() {
    let text = format!(
        "; a comment\n\
         . 172800 IN DNSKEY 257 3 15 {ED25519} ; ours\n\
         corp.example. IN DNSKEY 257 3 15 {ED25519}\n"
    );
    let anchors = TrustAnchors::parse(&text).expect("anchors");
    assert_eq!(anchors.keys.len(), 1);
    let name = |text| HickoryName::from_ascii(text).expect("name");
    assert_eq!(anchors.above(&name("a.corp.example.")), Some(&name("corp.example.")));
    assert_eq!(anchors.above(&name("example.")), Some(&HickoryName::root()));
    let only = TrustAnchors::parse(&format!("corp.example DNSKEY 257 3 15 {ED25519}"));
    assert_eq!(only.expect("anchors").above(&name("example.")), None);
}

#[test]
fn the_roots_own_keys_stay_unless_others_are_given_for_it() {
    let below = TrustAnchors::parse(&format!("corp.example DNSKEY 257 3 15 {ED25519}"));
    let below = below.expect("anchors").or_root();
    assert_eq!(below.keys.len(), 2);
    assert_eq!(below.zones.len(), 2);
    let root = TrustAnchors::parse(&format!(". DNSKEY 257 3 15 {ED25519}")).expect("anchors");
    assert_eq!(root.clone().or_root(), root);
    assert_eq!(root.keys.len(), 1);
    assert_eq!(TrustAnchors::default().or_root(), TrustAnchors::default());
    assert_ne!(below, root);
}

#[test]
fn what_is_no_anchor_is_refused_with_the_reason() {
    let malformed = [
        format!(". IN DS 20326 8 2 {ED25519}"),
        format!(". IN DNSKEY 385 3 15 {ED25519}"), // revoked
        format!(". IN DNSKEY 0 3 15 {ED25519}"),   // no zone key
        format!(". IN DNSKEY 257 2 15 {ED25519}"),
        ". IN DNSKEY 257 3 15 %%%".to_owned(),
        ". IN DNSKEY 257 3 15".to_owned(),
        ". IN DNSKEY x 3 15 AAAA".to_owned(),
    ];
    for line in malformed {
        let error = TrustAnchors::parse(&line).expect_err(&line);
        assert!(matches!(error, AnchorError::Malformed(_)), "{line}: {error}");
    }
    let unknown = format!(". IN DNSKEY 257 3 1 {ED25519}");
    assert_eq!(TrustAnchors::parse(&unknown).err(), Some(AnchorError::Unsupported));
    assert_eq!(TrustAnchors::parse("; nothing\n\n").err(), Some(AnchorError::Empty));
}

#[test]
fn a_negative_anchor_covers_what_is_below_it_until_its_end() {
    let at = |secs| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(secs);
    let anchor =
        NegativeAnchor { name: "broken.example".parse().expect("name"), until: Some(at(9)) };
    let dnssec = Dnssec { negative: vec![anchor], ..Dnssec::default() };
    let name = |text| HickoryName::from_ascii(text).expect("name");
    assert!(dnssec.exempts(&name("broken.example."), at(8)));
    assert!(dnssec.exempts(&name("www.BROKEN.example."), at(8)));
    assert!(!dnssec.exempts(&name("notbroken.example."), at(8)));
    assert!(!dnssec.exempts(&name("broken.example."), at(9)));
}

#[test]
fn the_worst_part_decides_of_an_answer() {
    use Validation::{Insecure, Secure};
    let bogus = Validation::Bogus(Bogus::Expired);
    assert_eq!(Secure.and(Secure), Secure);
    assert_eq!(Secure.and(Insecure), Insecure);
    assert_eq!(Insecure.and(Secure), Insecure);
    assert_eq!(bogus.and(Insecure), bogus);
}
