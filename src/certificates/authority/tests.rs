use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{ServerName, UnixTime};

use super::*;

/// 2026-01-01.
const NOW: UnixSecs = 1_767_225_600;

fn subject(names: &[&str], addresses: &[&str]) -> Subject {
    Subject {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        addresses: addresses.iter().map(|addr| addr.parse().expect(addr)).collect(),
    }
}

/// Whether a device that trusts the authority takes the leaf for `host`.
fn trusts(authority: &Authority, leaf: &Leaf, host: &str, at: UnixSecs) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = verifier.build().expect("a verifier");
    let name = ServerName::try_from(host.to_owned()).expect(host);
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
    let leaf = CertificateDer::from(leaf.certificate.leaf().to_vec());
    verifier.verify_server_cert(&leaf, &[], &name, &[], at).is_ok()
}

#[test]
fn a_device_that_trusts_it_takes_the_hosts_names_and_addresses() {
    let authority = Authority::create("lan.example.org", NOW, None).expect("made");
    let subject = subject(
        &["pi-a.lan.example.org", "dns.lan.example.org", "pi-a.home.arpa"],
        &["10.0.10.2", "192.168.1.2", "fd00::2"],
    );
    let leaf = authority.issue(&subject, NOW).expect("issued");
    assert!(leaf.left_out.is_empty());
    for host in [
        "pi-a.lan.example.org",
        "dns.lan.example.org",
        "pi-a.home.arpa",
        "10.0.10.2",
        "192.168.1.2",
        "fd00::2",
    ] {
        assert!(trusts(&authority, &leaf, host, NOW), "{host}");
    }
    assert!(!trusts(&authority, &leaf, "pi-b.lan.example.org", NOW));
    assert!(!trusts(&authority, &leaf, "10.0.10.3", NOW));
    assert!(trusts(&authority, &leaf, "10.0.10.2", NOW - DAY), "a clock that is behind");
    assert!(!trusts(&authority, &leaf, "10.0.10.2", NOW + 91 * DAY), "over");
    let other = Authority::create("lan.example.org", NOW, None).expect("made");
    assert!(!trusts(&other, &leaf, "10.0.10.2", NOW));
}

#[test]
fn it_signs_for_no_name_or_address_of_the_internet() {
    let authority = Authority::create("home.arpa", NOW, None).expect("made");
    let wanted = subject(&["dns.home.arpa", "www.example.com", "xhome.arpa"], &["192.0.2.1"]);
    let leaf = authority.issue(&wanted, NOW).expect("issued");
    assert_eq!(leaf.left_out, ["www.example.com", "xhome.arpa"]);
    assert!(trusts(&authority, &leaf, "dns.home.arpa", NOW));
    assert!(!trusts(&authority, &leaf, "192.0.2.1", NOW));

    // Whoever has its key and signs all the same is not believed.
    let key = KeyPair::generate().expect("a key");
    for host in ["www.example.com", "192.0.2.1"] {
        let mut forged = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        set_dates(&mut forged, NOW, NOW + 30 * DAY);
        let own = params("home.arpa", NOW);
        let forged = forged.signed_by(&key, &Issuer::from_params(&own, &authority.key));
        let chain = vec![forged.expect("signed").der().clone()];
        let der = PrivatePkcs8KeyDer::from(key.serialize_der());
        let certificate = Certificate::new(chain, der.into()).expect("fits");
        let forged = Leaf { certificate, expires: 0, left_out: Vec::new(), renew: (0, 0) };
        assert!(!trusts(&authority, &forged, host, NOW), "{host}");
    }
}

#[test]
fn what_is_written_is_read_back_and_goes_on_signing() {
    let mut authority = Authority::create("home.arpa", NOW, None).expect("made");
    authority.hand_out();
    let text = authority.to_secret_text();
    let with_more = text.replacen("domain:", "of a later release: 7\ndomain:", 1);
    for text in [&text, &with_more] {
        let read = Authority::from_secret_text(text).expect("read");
        assert!(read.is(&authority) && read.is_handed_out());
        let leaf = read.issue(&subject(&["dns.home.arpa"], &[]), NOW).expect("issued");
        assert!(trusts(&authority, &leaf, "dns.home.arpa", NOW));
    }
    assert!(!authority.certificate_pem().contains("PRIVATE"));
    assert!(!format!("{authority:?}").contains("PRIVATE"));
}

#[test]
fn a_damaged_text_is_told_and_not_used() {
    let text = Authority::create("home.arpa", NOW, None).expect("made").to_secret_text();
    let other = Authority::create("home.arpa", NOW, None).expect("made").to_secret_text();
    let key = |text: &str| text[text.find("-----BEGIN PRIVATE").expect("a key")..].to_owned();
    let mixed = text.replace(&key(&text), &key(&other));
    let cut = text.replace(&key(&text), "");
    for bad in ["", "domain: home.arpa", &mixed, &cut, &text.replace("created: ", "made: ")] {
        assert!(Authority::from_secret_text(bad).is_err(), "{bad}");
    }
}

#[test]
fn of_two_authorities_both_hosts_choose_the_same() {
    let older = Authority::create("home.arpa", NOW, None).expect("made");
    let newer = Authority::create("home.arpa", NOW + DAY, None).expect("made");
    let unset =
        Authority::create("home.arpa", 100, None).expect("made by a clock that was not set");
    let mut trusted = Authority::create("home.arpa", NOW + 2 * DAY, None).expect("made");
    trusted.hand_out();
    let anew = Authority::create("home.arpa", NOW + 3 * DAY, Some(&older)).expect("made");
    let in_order = [&anew, &trusted, &older, &newer, &unset];
    for (index, first) in in_order.iter().enumerate() {
        for second in &in_order[index + 1..] {
            assert!(first.precedes(second) && !second.precedes(first), "{index}");
        }
        assert!(!first.precedes(first));
    }
}

#[test]
fn a_certificate_is_renewed_in_time_and_when_the_clock_was_set() {
    let authority = Authority::create("home.arpa", NOW, None).expect("made");
    let leaf = authority.issue(&subject(&["dns.home.arpa"], &[]), NOW).expect("issued");
    assert_eq!(leaf.expires, NOW + 90 * DAY);
    assert!(!leaf.is_due(NOW) && !leaf.is_due(NOW + 59 * DAY));
    assert!(leaf.is_due(NOW + 60 * DAY));
    assert!(leaf.is_due(NOW - 10 * DAY), "issued by a clock that ran ahead");
    assert!(!leaf.is_due(1000), "a clock that is not set yet");

    // At boot, before the clock is set.
    let early = authority.issue(&subject(&["dns.home.arpa"], &[]), 1000).expect("issued");
    assert!(trusts(&authority, &early, "dns.home.arpa", NOW + DAY));
    assert!(early.is_due(NOW + 200 * DAY));
}
