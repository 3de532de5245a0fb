//! A browser that asks over HTTPS. Skipped loudly where there is none, and a failure then where the
//! whole check runs.

use std::path::PathBuf;

use data_encoding::BASE64;
use lanward_dns::{
    Answered, Event, LocalHost, LocalNames, LocalZone, Name, RecordType, Transport, Upstreams,
};
use rcgen::{KeyPair, PublicKeyData};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::clients::{run, skip};
use crate::secure::SecureHouse;
use crate::support::loopback;

/// A name that only this house knows, and what stands on its page.
const PAGE: &str = "album.home.arpa";
const CONTENT: &str = "the pictures of the house";

/// Serves the page, to whoever asks for it by its name.
async fn serve() -> u16 {
    let listener = TcpListener::bind(loopback()).await.expect("tcp");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 8192];
                let len = stream.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..len]).to_lowercase();
                let body = format!("<p>{CONTENT}</p>");
                let answer = match request.contains(&format!("\r\nhost: {PAGE}:{port}\r\n")) {
                    true => format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\
                         connection: close\r\n\r\n{body}",
                        body.len()
                    ),
                    false => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
                };
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    port
}

fn local() -> LocalNames {
    let mut names = LocalNames::builder();
    names.zone(&LocalZone {
        apex: "home.arpa".parse().expect("name"),
        name_servers: vec!["pi-a.home.arpa".parse().expect("name")],
        serial: 1,
        negative_ttl_secs: 5,
    });
    let name = PAGE.parse().expect("name");
    let addresses = vec![[127, 0, 0, 1].into()];
    names.host(&LocalHost { name, addresses, ttl_secs: 60 }).expect("host");
    names.build()
}

/// Where there is a browser that may use a folder of ours: one out of a snap may not.
fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "google-chrome-stable", "google-chrome"];
    std::env::split_paths(&path)
        .filter(|folder| !folder.starts_with("/snap"))
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|program| program.is_file())
}

/// A folder with what the browser is told of secure DNS, as its own page of settings writes it.
fn profile(template: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("lanward-browser-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let state = format!(r#"{{"dns_over_https":{{"mode":"secure","templates":"{template}"}}}}"#);
    std::fs::write(folder.join("Local State"), state).expect("written");
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_finds_a_page_of_the_house_by_secure_dns() {
    let Some(browser) = installed() else { return skip("there is no Chromium") };
    let secure = SecureHouse::start(Upstreams::default()).await;
    secure.house.shared.set_local(local());
    let mut history = secure.house.shared.record_history(1 << 16).expect("the only reader");
    let key = KeyPair::generate().expect("a key");
    secure.house.shared.set_certificate(secure.authority.issue_for(&key));
    let port = serve().await;
    let folder = profile(&format!("https://{}/dns-query", secure.https));
    // Believing one key and no other, as if its authority had been made known to the browser.
    let key = BASE64.encode(&Sha256::digest(key.subject_public_key_info()));
    let args = [
        // It keeps certificates in the home.
        format!("HOME={}", folder.display()),
        "timeout".to_owned(),
        "60".to_owned(),
        browser.display().to_string(),
        "--headless=new".to_owned(),
        // Which the root user, as whom the whole check runs, cannot have.
        "--no-sandbox".to_owned(),
        "--disable-gpu".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--no-first-run".to_owned(),
        "--disable-background-networking".to_owned(),
        format!("--user-data-dir={}", folder.display()),
        format!("--ignore-certificate-errors-spki-list={key}"),
        "--dump-dom".to_owned(),
        format!("http://{PAGE}:{port}/"),
    ];
    let Some(told) = run("env", args.into()).await else { return };
    let _ = std::fs::remove_dir_all(folder);
    assert!(told.contains(CONTENT), "{told}");
    let page: Name = PAGE.parse().expect("name");
    let asked: Vec<Event> =
        history.drain().into_iter().filter(|event| event.name == page).collect();
    assert!(asked.iter().any(|event| event.qtype == RecordType::A), "{asked:#?}");
    for event in asked {
        assert_eq!((event.how, event.transport), (Answered::Local, Transport::Https), "{event:?}");
    }
}
