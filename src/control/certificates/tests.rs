#![allow(clippy::disallowed_methods, reason = "tests look at files")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::settings::HostView;

fn settings() -> Effective {
    crate::settings::derive(&std::collections::BTreeMap::new(), &HostView::default())
}

fn open(folder: &Path, node: &str) -> Keeper {
    let own = ["10.0.10.2".parse().expect("an address")];
    Keeper::open(Dns::new(), folder, node, None, &settings(), &own).0
}

fn authority(keeper: &Keeper) -> &Authority {
    keeper.authority.as_ref().expect("an authority")
}

#[test]
fn the_authority_is_made_once_and_its_key_is_nobody_elses() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = open(folder.path(), "pi-a");
    let path = folder.path().join("identity/ca.pem");
    let mode = std::fs::metadata(&path).expect("written").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(first.leaf.is_some());
    let second = open(folder.path(), "pi-a");
    assert!(authority(&first).is(authority(&second)));
}

#[test]
fn an_exposed_or_damaged_authority_is_told_and_not_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    open(folder.path(), "pi-a");
    let path = folder.path().join("identity/ca.pem");
    let told = |part: &str| {
        let mut keeper = open(folder.path(), "pi-a");
        assert!(keeper.authority.is_none());
        let open =
            Encrypted { tls: vec!["127.0.0.1:853".parse().expect("addr")], ..Encrypted::default() };
        keeper.opened(&open, Vec::new());
        let problems = keeper.shown.borrow().problems.clone();
        assert!(problems.len() == 1 && problems[0].0.contains(part), "{problems:?}");
    };
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("changed");
    told("ca.pem can be read by others on this host (mode 0644)");
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("changed");
    std::fs::write(&path, "nonsense").expect("written");
    told("it holds no certificate authority");
    assert_eq!(std::fs::read_to_string(&path).expect("still there"), "nonsense");
}

#[test]
fn another_domain_gets_another_authority_unless_somebody_was_given_this_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut keeper = open(folder.path(), "pi-a");
    let first = authority(&keeper).fingerprint();
    let moved =
        Subject { names: ["dns.example.org".to_owned()].into(), addresses: BTreeSet::new() };
    keeper.domain = "example.org".to_owned();
    keeper.issue(moved.clone());
    let second = authority(&keeper).fingerprint();
    assert_ne!(first, second);
    assert!(keeper.leaf.as_ref().is_some_and(|(_, leaf)| leaf.left_out.is_empty()));

    keeper.authority.as_mut().expect("one").hand_out();
    keeper.domain = "example.net".to_owned();
    let away = Subject { names: ["dns.example.net".to_owned()].into(), ..moved };
    keeper.issue(away);
    assert_eq!(authority(&keeper).fingerprint(), second);
    let open =
        Encrypted { tls: vec!["127.0.0.1:853".parse().expect("addr")], ..Encrypted::default() };
    keeper.opened(&open, Vec::new());
    let problems = keeper.shown.borrow().problems.clone();
    assert!(problems[0].0.contains("may not sign for dns.example.net"), "{problems:?}");
    assert!(problems[0].1.contains("lanward ca new"), "{problems:?}");
}

#[tokio::test]
async fn both_hosts_of_a_pair_go_on_with_one_authority() {
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let [mut a, mut b] =
        [("pi-a", 0), ("pi-b", 1)].map(|(node, at)| open(folders[at].path(), node));
    assert!(!authority(&a).is(authority(&b)));
    // Each tells the other, as both do when the link comes up.
    let (control, _commands) = Handle::new();
    let told = [&a, &b].map(|keeper| authority(keeper).to_secret_text());
    for (keeper, text) in [(&mut a, &told[1]), (&mut b, &told[0])] {
        keeper.carry_out(Order::Partner(text.clone()), &control).await.expect("running");
    }
    assert!(authority(&a).is(authority(&b)));
    let read = open(folders[1].path(), "pi-b");
    assert!(authority(&a).is(authority(&read)), "and on the disk");

    // A new one made by hand replaces it on both.
    let (to, made) = oneshot::channel();
    a.carry_out(Order::Renew(to), &control).await.expect("running");
    made.await.expect("answered").expect("made");
    let text = authority(&a).to_secret_text();
    b.carry_out(Order::Partner(text), &control).await.expect("running");
    assert!(authority(&a).is(authority(&b)));
}

#[test]
fn files_are_taken_when_they_change_and_bad_ones_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let files =
        Files { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    let own = ["10.0.10.2".parse().expect("an address")];
    let open = || {
        let files = Some(files.clone());
        Keeper::open(Dns::new(), folder.path(), "pi-a", files, &settings(), &own).0
    };
    let mut keeper = open();
    assert!(!keeper.from_files && keeper.file_problem.is_some() && keeper.leaf.is_some());
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["dns.example.org".to_owned()]).expect("names");
    std::fs::write(&files.certificate, params.self_signed(&key).expect("signed").pem())
        .expect("written");
    std::fs::write(&files.key, key.serialize_pem()).expect("written");
    keeper.look_at_files();
    assert!(keeper.from_files && keeper.file_problem.is_none());
    std::fs::write(&files.key, "nonsense").expect("written");
    keeper.look_at_files();
    assert!(keeper.from_files, "the one before stays");
    assert!(
        keeper
            .file_problem
            .as_ref()
            .is_some_and(|why| why.contains("key.pem holds no private key"))
    );
}
