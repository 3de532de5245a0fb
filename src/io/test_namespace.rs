//! For tests that need interfaces of their own: they run in a network namespace, in a second
//! process of the test binary.

use std::process::Command;

/// Says loudly that a test was skipped; with `LANWARD_REQUIRE_LAB=1` that is a failure.
#[allow(clippy::print_stderr, reason = "whoever runs the tests must see it")]
pub(super) fn skip(why: &str) {
    let required = std::env::var("LANWARD_REQUIRE_LAB").is_ok_and(|value| value == "1");
    assert!(!required, "LANWARD_REQUIRE_LAB=1, but {why}");
    eprintln!("LOUD SKIP: {why}");
}

/// Runs the ignored test `name` of this binary in a network namespace of its own.
pub(super) fn run_ignored(name: &str) {
    let unshare = |args: &[&str]| Command::new("unshare").arg("-n").args(args).output();
    if !unshare(&["true"]).is_ok_and(|done| done.status.success()) {
        return skip("this user may not make network namespaces (run as root)");
    }
    let own = std::env::current_exe().unwrap();
    let done =
        unshare(&[own.to_str().unwrap(), "--exact", name, "--ignored", "--nocapture"]).unwrap();
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && text.contains("1 passed"), "{text}\n{done:?}");
}
