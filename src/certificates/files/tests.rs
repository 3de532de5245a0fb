use std::fs;

use rcgen::{CertificateParams, KeyPair};

use super::*;

fn made() -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["dns.example.org".to_owned()]).expect("a name");
    (params.self_signed(&key).expect("signed").pem(), key.serialize_pem())
}

#[test]
fn files_that_fit_are_taken_and_changes_are_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let files =
        Files { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    let (cert, key) = made();
    fs::write(&files.certificate, &cert).expect("written");
    fs::write(&files.key, &key).expect("written");
    let before = files.stamp();
    let first = files.read().expect("taken");
    assert_eq!(before, files.stamp());

    let (cert, key) = made();
    fs::write(&files.certificate, cert + "\n").expect("written");
    assert_ne!(before, files.stamp());
    let told = files.read().expect_err("half of it is new").to_string();
    assert!(told.contains("key.pem is not that of the certificate in"), "{told}");
    fs::write(&files.key, key).expect("written");
    assert_ne!(files.read().expect("taken").leaf(), first.leaf());
}

#[test]
fn what_is_wrong_is_told_with_the_files_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let files =
        Files { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    let told = |part: &str| {
        let told = files.read().expect_err("refused").to_string();
        assert!(told.contains(part), "{told}");
    };
    told("cert.pem cannot be read: No such file");
    let (cert, key) = made();
    fs::write(&files.certificate, "nonsense").expect("written");
    told("cert.pem holds no certificate (PEM)");
    fs::write(&files.certificate, cert).expect("written");
    told("key.pem cannot be read");
    fs::write(&files.key, "-----BEGIN PRIVATE KEY-----\n*\n-----END PRIVATE KEY-----\n")
        .expect("written");
    told("key.pem holds no private key (PEM)");
    fs::write(&files.key, vec![b'x'; 2 << 20]).expect("written");
    told("larger than a certificate can be");
    fs::write(&files.key, key).expect("written");
    files.read().expect("taken");
}
