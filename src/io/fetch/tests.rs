use std::io::Write as _;

use super::test_server::{Page, Server};
use super::*;

/// Resolves every name to this address.
struct Always(IpAddr);

impl Resolve for Always {
    fn resolve(&self, _: Name) -> Resolving {
        let addr = SocketAddr::new(self.0, 0);
        Box::pin(async move { Ok(Box::new(std::iter::once(addr)) as Addrs) })
    }
}

fn resolver(addr: &str) -> Arc<dyn Resolve> {
    Arc::new(Always(addr.parse().unwrap()))
}

fn fetcher(limits: Limits) -> Fetcher {
    Fetcher::new(resolver("127.0.0.1"), &client_tls().unwrap(), limits).unwrap()
}

/// The test server's address counts as public, the others of loopback do not.
fn fetcher_beside(limits: Limits, resolved: &str) -> Fetcher {
    let is_public = |addr| addr == IpAddr::from([127, 0, 0, 1]);
    Fetcher::guarded(resolver(resolved), &client_tls().unwrap(), limits, is_public).unwrap()
}

fn request(urls: &[String]) -> Request {
    Request { urls: urls.to_vec(), known: None, allow_private: true }
}

async fn body(fetcher: &Fetcher, url: String) -> Result<Vec<u8>, String> {
    match fetcher.fetch(&request(&[url])).await {
        Ok(Fetched::Content { body, .. }) => Ok(body),
        Ok(Fetched::NotModified) => Err("not modified".to_owned()),
        Err(errors) => Err(errors.to_string()),
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_list_comes_with_what_to_ask_with_next_time() {
    let server = Server::start().await;
    server.put("/l", Page::text("a.example\n").etag("\"1\"").header("last-modified", "yesterday"));
    let fetcher = fetcher(Limits::default());
    let mut request = request(&[server.url("/l")]);
    let Ok(Fetched::Content { body, known }) = fetcher.fetch(&request).await else { panic!() };
    assert_eq!(body, b"a.example\n");
    assert_eq!(known.etag.as_deref(), Some("\"1\""));
    assert_eq!(known.last_modified.as_deref(), Some("yesterday"));
    request.known = Some(known);
    assert_eq!(fetcher.fetch(&request).await.unwrap(), Fetched::NotModified);
    let last = server.requests().pop().unwrap();
    assert!(last.contains("if-modified-since: yesterday\r\n"), "{last}");
    assert!(last.contains("user-agent: lanward/"), "{last}");
}

#[tokio::test]
async fn a_304_to_a_request_that_knew_nothing_is_no_list() {
    let server = Server::start().await;
    server.put("/l", Page::status(304));
    let error = body(&fetcher(Limits::default()), server.url("/l")).await.unwrap_err();
    assert!(error.contains("304"), "{error}");
}

#[tokio::test]
async fn packed_lists_are_unpacked_however_they_are_packed() {
    let server = Server::start().await;
    let packed = gzip(b"a.example\n");
    server.put("/way", Page::text(&packed).header("content-encoding", "gzip"));
    server.put("/file.gz", Page::text(&packed));
    server.put("/both.gz", Page::text(gzip(&packed)).header("content-encoding", "gzip"));
    server.put("/br", Page::text("??").header("content-encoding", "br"));
    server.put("/cut.gz", Page::text(&packed[..packed.len() - 9]));
    let fetcher = fetcher(Limits::default());
    for path in ["/way", "/file.gz", "/both.gz"] {
        assert_eq!(body(&fetcher, server.url(path)).await.unwrap(), b"a.example\n", "{path}");
    }
    assert!(body(&fetcher, server.url("/br")).await.unwrap_err().contains("(br)"));
    assert!(body(&fetcher, server.url("/cut.gz")).await.unwrap_err().contains("damaged"));
}

#[tokio::test]
async fn too_much_is_refused_packed_unpacked_and_by_ratio() {
    let server = Server::start().await;
    server.put("/big", Page::text(vec![b'a'; 3 << 20]));
    server.put("/bomb.gz", Page::text(gzip(&vec![b'a'; 8 << 20])));
    server.put("/wide.gz", Page::text(gzip(&vec![b'a'; 3 << 20])));
    let limits = Limits { packed_bytes: 2 << 20, ..Limits::default() };
    let error = body(&fetcher(limits), server.url("/big")).await.unwrap_err();
    assert!(error.contains("larger than 2 MiB on the wire"), "{error}");
    let error = body(&fetcher(Limits::default()), server.url("/bomb.gz")).await.unwrap_err();
    assert!(error.contains("more than 20 times its size"), "{error}");
    let limits = Limits { unpacked_bytes: 1 << 20, ratio: 10_000, ..Limits::default() };
    let error = body(&fetcher(limits), server.url("/wide.gz")).await.unwrap_err();
    assert!(error.contains("larger than 1 MiB unpacked"), "{error}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let server = Server::start().await;
    server.put("/l", Page { silent: true, ..Page::default() });
    let limits = Limits { total: Duration::from_millis(200), ..Limits::default() };
    let error = body(&fetcher(limits), server.url("/l")).await.unwrap_err();
    assert!(error.contains("not finished"), "{error}");
}

#[tokio::test]
async fn mirrors_are_asked_in_turn_and_every_error_is_told() {
    let server = Server::start().await;
    server.put("/good", Page::text("a.example\n"));
    let fetcher = fetcher(Limits::default());
    let urls = [server.url("/gone"), "http://127.0.0.1:1/".to_owned(), server.url("/good")];
    assert!(matches!(fetcher.fetch(&request(&urls)).await, Ok(Fetched::Content { .. })));
    let error = fetcher.fetch(&request(&urls[..2])).await.unwrap_err().to_string();
    assert!(error.contains("/gone: the server answered 404"), "{error}");
    assert!(error.contains("http://127.0.0.1:1/: Connection refused"), "{error}");
    let none = fetcher.fetch(&request(&[])).await.unwrap_err().to_string();
    assert_eq!(none, "there is no address to fetch it from");
}

#[tokio::test]
async fn redirects_are_followed_so_far() {
    let server = Server::start().await;
    server.put("/a", Page::status(302).header("location", "/b"));
    server.put("/b", Page::status(301).header("location", server.url("/c")));
    server.put("/c", Page::text("a.example\n"));
    server.put("/loop", Page::status(307).header("location", "/loop"));
    server.put("/ftp", Page::status(302).header("location", "ftp://127.0.0.1/x"));
    let fetcher = fetcher(Limits::default());
    assert_eq!(body(&fetcher, server.url("/a")).await.unwrap(), b"a.example\n");
    let error = body(&fetcher, server.url("/loop")).await.unwrap_err();
    assert!(error.contains("more than 5 redirects"), "{error}");
    let error = body(&fetcher, server.url("/ftp")).await.unwrap_err();
    assert!(error.contains("not an http or https address"), "{error}");
}

#[tokio::test]
async fn private_addresses_are_refused_written_resolved_and_redirected_to() {
    let server = Server::start().await;
    server.put("/l", Page::text("a.example\n"));
    let port = server.port;
    server.put("/in", Page::status(302).header("location", format!("http://127.0.0.9:{port}/l")));
    server.put(
        "/named",
        Page::status(302).header("location", format!("http://nas.example:{port}/l")),
    );
    let strict = |urls: &[String]| Request { allow_private: false, ..request(urls) };
    // The real guard: the server itself is out of bounds.
    let error = fetcher(Limits::default()).fetch(&strict(&[server.url("/l")])).await.unwrap_err();
    assert!(error.to_string().contains("127.0.0.1 is a private address"), "{error}");
    for url in ["http://127.1/", "http://0x7f000001/", "http://[::1]/", "http://[::ffff:10.0.0.1]/"]
    {
        let error = fetcher(Limits::default()).fetch(&strict(&[url.to_owned()])).await.unwrap_err();
        assert!(error.to_string().contains("private address"), "{url}: {error}");
    }
    // A guard for which the server is public, so that the next hop is what is refused.
    let beside = fetcher_beside(Limits::default(), "127.0.0.9");
    assert!(beside.fetch(&strict(&[server.url("/l")])).await.is_ok());
    let error = beside.fetch(&strict(&[server.url("/in")])).await.unwrap_err();
    assert!(error.to_string().contains("127.0.0.9 is a private address"), "{error}");
    let error = beside.fetch(&strict(&[server.url("/named")])).await.unwrap_err();
    assert!(error.to_string().contains("nas.example (127.0.0.9) is a private"), "{error}");
    let named = format!("http://nas.example:{port}/l");
    let error = beside.fetch(&strict(std::slice::from_ref(&named))).await.unwrap_err();
    assert!(error.to_string().contains("nas.example (127.0.0.9) is a private"), "{error}");
    // Allowed for the list: the name leads to the server.
    assert!(fetcher(Limits::default()).fetch(&request(&[named])).await.is_ok());
}

#[tokio::test]
async fn a_certificate_needs_a_known_root_and_the_right_name() {
    let cert = rcgen::generate_simple_self_signed(vec!["lists.example".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(cert.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.cert.der().clone()], key)
        .unwrap();
    let server = Server::start_with(Some(Arc::new(tls).into())).await;
    server.put("/l", Page::text("a.example\n"));
    let url = format!("https://lists.example:{}/l", server.port);
    let error = body(&fetcher(Limits::default()), url).await.unwrap_err();
    assert!(error.contains("certificate"), "{error}");
    assert_eq!(server.requests(), [""; 0]);
    let root = cert.cert.der().clone();
    let knows =
        Fetcher::new(resolver("127.0.0.1"), &tls_config(&[root]).unwrap(), Limits::default())
            .unwrap();
    let url = format!("https://lists.example:{}/l", server.port);
    assert_eq!(body(&knows, url).await.unwrap(), b"a.example\n");
    let url = format!("https://other.example:{}/l", server.port);
    let error = body(&knows, url).await.unwrap_err();
    assert!(error.contains("certificate"), "{error}");
}

#[test]
fn an_address_is_public_or_it_is_not() {
    for private in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.1.1",
        "172.31.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:192.168.1.1",
        "::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "2002:a00:1::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "2001::1",
        "100::1",
    ] {
        assert!(!is_public(private.parse().unwrap()), "{private}");
    }
    for public in [
        "1.1.1.1",
        "100.128.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "198.20.0.1",
        "2606:4700::1111",
        "64:ff9b::1.1.1.1",
        "2002:101:101::1",
        "2001:4860:4860::8888",
        "::ffff:8.8.8.8",
    ] {
        assert!(is_public(public.parse().unwrap()), "{public}");
    }
}
