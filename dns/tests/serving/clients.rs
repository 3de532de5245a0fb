//! Other people's clients against every encrypted transport. Skipped loudly where they are not
//! installed, and a failure then where the whole check runs.

use std::fmt::Write as _;
use std::process::Command;

use lanward_dns::Upstreams;

use crate::secure::{NAME, SecureHouse};

/// Runs a client and returns what it printed; `None` when it is not installed.
pub(crate) async fn run(program: &'static str, args: Vec<String>) -> Option<String> {
    let ran = tokio::task::spawn_blocking(move || Command::new(program).args(args).output());
    match ran.await.expect("runs") {
        Ok(output) => {
            let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
            let _ = write!(text, "{}", String::from_utf8_lossy(&output.stderr));
            Some(text)
        }
        Err(error) => {
            skip(&format!("{program}: {error}"));
            None
        }
    }
}

#[allow(clippy::print_stderr, reason = "a test that is skipped must be seen")]
pub(crate) fn skip(why: &str) {
    let required = std::env::var("LANWARD_REQUIRE_LAB").is_ok_and(|value| value == "1");
    assert!(!required, "needed here: {why}");
    eprintln!("LOUD SKIP: {why}");
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn kdig_is_answered_over_every_transport() {
    let secure = SecureHouse::start(Upstreams::default()).await;
    let folder = std::env::temp_dir().join(format!("lanward-kdig-{}", std::process::id()));
    std::fs::write(&folder, secure.authority.pem()).expect("written");
    let ca = folder.display();
    let asks = [
        (secure.tls, "+tls +padding", "PADDING"),
        (secure.https, "+https", "HTTP/2-POST"),
        (secure.https, "+https +https-get", "HTTP/2-GET"),
        (secure.quic, "+quic", "QUICv1"),
    ];
    for (to, how, seen) in asks {
        let args = format!(
            "@{} -p {} +tls-ca={ca} +tls-hostname={NAME} {how} +time=5 printer.home.arpa",
            to.ip(),
            to.port()
        );
        let Some(told) = run("kdig", words(&args)).await else { break };
        // Some distributions build it without QUIC.
        if told.contains("not supported") {
            skip(&format!("kdig {how}: {told}"));
            continue;
        }
        assert!(told.contains("10.0.30.20") && told.contains(seen), "kdig {args}\n{told}");
        assert!(!told.contains("WARNING"), "kdig {args}\n{told}");
    }
    let _ = std::fs::remove_file(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_is_answered_over_https() {
    let secure = SecureHouse::start(Upstreams::default()).await;
    let file = std::env::temp_dir().join(format!("lanward-curl-{}", std::process::id()));
    std::fs::write(&file, secure.authority.pem()).expect("written");
    let (ca, https) = (file.display(), secure.https);
    // It finds the name's address; what would be there is not there.
    let args = format!(
        "-sv -m 5 --cacert {ca} --doh-url https://{https}/dns-query http://printer.home.arpa:1/"
    );
    if let Some(told) = run("curl", words(&args)).await {
        assert!(told.contains("DoH A: 10.0.30.20"), "{told}");
    }
    let dns = "AAABAAABAAAAAAAAB3ByaW50ZXIEaG9tZQRhcnBhAAABAAE";
    let args = format!(
        "-sv -m 5 --http2 --cacert {ca} -H accept:application/dns-message -o /dev/null \
         https://{https}/dns-query?dns={dns}"
    );
    if let Some(told) = run("curl", words(&args)).await {
        assert!(
            told.contains("< HTTP/2 200") && told.contains("cache-control: max-age=60"),
            "{told}"
        );
    }
    let _ = std::fs::remove_file(file);
}
