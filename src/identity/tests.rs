use super::*;

#[test]
fn the_key_is_made_once_and_is_the_same_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = Identity::load_or_create(dir.path()).unwrap();
    let again = Identity::load_or_create(dir.path()).unwrap();
    assert_eq!(first.fingerprint(), again.fingerprint());
    let other = Identity::load_or_create(&dir.path().join("other")).unwrap();
    assert_ne!(first.fingerprint(), other.fingerprint());
}

#[test]
fn the_key_file_and_its_folder_are_for_the_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    Identity::load_or_create(dir.path()).unwrap();
    let mode = |path: &str| fs::metadata(dir.path().join(path)).unwrap().permissions().mode();
    assert_eq!(mode("identity") & 0o7777, 0o700);
    assert_eq!(mode("identity/key.pem") & 0o7777, 0o600);
}

#[test]
fn a_key_that_others_may_read_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    Identity::load_or_create(dir.path()).unwrap();
    let path = dir.path().join("identity/key.pem");
    for mode in [0o640, 0o604, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = Identity::load_or_create(dir.path()).unwrap_err();
        assert!(matches!(error, IdentityError::Exposed { .. }), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}

#[test]
fn a_damaged_key_is_neither_used_nor_replaced() {
    let dir = tempfile::tempdir().unwrap();
    Identity::load_or_create(dir.path()).unwrap();
    let path = dir.path().join("identity/key.pem");
    fs::write(&path, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
    let error = Identity::load_or_create(dir.path()).unwrap_err();
    assert!(matches!(error, IdentityError::NotAKey { .. }), "{error}");
    assert!(fs::read_to_string(&path).unwrap().contains("AAAA"));
}

#[test]
fn a_stop_while_the_key_was_written_leaves_no_half_key() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("identity");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("key.new"), "-----BEGIN PRIV").unwrap();
    Identity::load_or_create(dir.path()).unwrap();
    assert!(!folder.join("key.new").exists());
}

#[test]
fn the_certificate_shows_the_key_the_fingerprint_names() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::load_or_create(dir.path()).unwrap();
    let certificate = identity.certificate();
    let parsed = rustls::server::ParsedCertificate::try_from(&certificate).unwrap();
    let shown = Fingerprint::of_spki(&parsed.subject_public_key_info());
    assert_eq!(shown, identity.fingerprint());
}

#[test]
fn a_fingerprint_reads_back_from_its_text_only() {
    let fingerprint = Fingerprint::of_spki(b"key");
    assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    assert_eq!(fingerprint.to_string().to_uppercase().parse(), Ok(fingerprint));
    for text in ["", "00", "zz", &"0".repeat(63), &"0".repeat(65), &"ä".repeat(32)] {
        assert_eq!(text.parse::<Fingerprint>(), Err(NotAFingerprint));
    }
}
