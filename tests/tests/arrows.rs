//! The rooms only know the rooms below them. Cargo keeps cycles out; this keeps the *direction*,
//! and keeps runtimes, sockets and databases out of the pure cores' manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Each room with the rooms it may know.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "lanward",
        &["lanward-web", "lanward-ha", "lanward-blocklists", "lanward-dhcp", "lanward-dns"],
    ),
    ("lanward-web", &["lanward-ha", "lanward-blocklists", "lanward-dhcp", "lanward-dns"]),
    ("lanward-ha", &["lanward-dhcp"]),
    ("lanward-blocklists", &["lanward-dns"]),
    ("lanward-dhcp", &[]),
    ("lanward-dns", &[]),
];

/// What a pure core must not depend on directly: time, I/O and randomness come in as arguments.
const PURE: &[&str] = &["lanward-ha", "lanward-blocklists", "lanward-dhcp"];
const IMPURE: &[&str] = &[
    "tokio",
    "tokio-util",
    "mio",
    "async-std",
    "smol",
    "socket2",
    "nix",
    "libc",
    "rustix",
    "redb",
    "rusqlite",
    "reqwest",
    "hyper",
    "axum",
    "rand",
    "getrandom",
    "fastrand",
];

/// Normal and build dependencies of every workspace member, by package name.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root");
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .expect("cargo metadata runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let meta: serde_json::Value = serde_json::from_slice(&out.stdout).expect("cargo prints JSON");
    let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
    meta["packages"]
        .as_array()
        .expect("a list of packages")
        .iter()
        .map(|package| {
            let deps = package["dependencies"].as_array().expect("a list of dependencies");
            let deps = deps.iter().filter(|d| d["kind"] != "dev").map(|d| text(&d["name"]));
            (text(&package["name"]), deps.collect())
        })
        .collect()
}

#[test]
fn every_room_knows_only_rooms_below_it() {
    let found = dependencies();
    for (room, may) in ARROWS {
        let knows = found.get(*room).unwrap_or_else(|| panic!("no package {room}"));
        let ours = knows.iter().filter(|d| d.starts_with("lanward"));
        for known in ours {
            assert!(
                may.contains(&known.as_str()),
                "{room} depends on {known}: arrows only point down (ARCHITECTURE.md)"
            );
        }
    }
}

#[test]
fn nobody_knows_the_tests() {
    for (room, knows) in dependencies() {
        assert!(!knows.contains("lanward-tests"), "{room} depends on lanward-tests");
    }
}

#[test]
fn pure_cores_have_no_runtime_no_sockets_and_no_randomness() {
    let found = dependencies();
    for room in PURE {
        for dep in &found[*room] {
            assert!(
                !IMPURE.contains(&dep.as_str()),
                "{room} is a pure core and must not depend on {dep}"
            );
        }
    }
}
