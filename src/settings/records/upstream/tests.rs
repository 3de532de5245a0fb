use serde_json::json;

use super::*;

#[expect(clippy::needless_pass_by_value, reason = "made in the call")]
fn read(value: Value) -> Upstream {
    let read = Upstream::read(&value).unwrap_or_else(|wrong| panic!("{value}: {wrong:?}"));
    assert_eq!(serde_json::to_value(&read).expect("JSON"), value, "written as it is read");
    read
}

fn server(value: Value) -> (UpstreamTransport, Vec<String>, u16) {
    let server = read(value).server;
    let addresses = server.addresses.iter().map(ToString::to_string).collect();
    (server.transport, addresses, server.port)
}

#[test]
fn the_short_forms_are_read() {
    let tls = |name: &str| UpstreamTransport::Tls { name: name.into() };
    let https =
        |name: &str, path: &str| UpstreamTransport::Https { name: name.into(), path: path.into() };
    let quic = |name: &str| UpstreamTransport::Quic { name: name.into() };
    let at = |address: &str| vec![address.to_owned()];
    assert_eq!(server(json!("9.9.9.9")), (UpstreamTransport::Plain, at("9.9.9.9"), 53));
    assert_eq!(
        server(json!("[2620:fe::fe]:5353")),
        (UpstreamTransport::Plain, at("2620:fe::fe"), 5353)
    );
    assert_eq!(
        server(json!("tls://9.9.9.9#dns.quad9.net")),
        (tls("dns.quad9.net"), at("9.9.9.9"), 853)
    );
    assert_eq!(server(json!("tls://9.9.9.9")), (tls("9.9.9.9"), at("9.9.9.9"), 853));
    assert_eq!(
        server(json!("tls://[2620:fe::fe]:8853#dns.quad9.net")),
        (tls("dns.quad9.net"), at("2620:fe::fe"), 8853)
    );
    assert_eq!(server(json!("tls://2620:fe::fe")), (tls("2620:fe::fe"), at("2620:fe::fe"), 853));
    assert_eq!(
        server(json!("https://9.9.9.9/dns-query")),
        (https("9.9.9.9", "/dns-query"), at("9.9.9.9"), 443)
    );
    assert_eq!(
        server(json!("https://dns.quad9.net")),
        (https("dns.quad9.net", "/dns-query"), vec![], 443)
    );
    assert_eq!(
        server(json!("https://doh.example:8443/a/b")),
        (https("doh.example", "/a/b"), vec![], 8443)
    );
    assert_eq!(
        server(json!("quic://dns.adguard-dns.com")),
        (quic("dns.adguard-dns.com"), vec![], 853)
    );
    let table = json!({ "url": "https://dns.quad9.net/dns-query", "addresses": ["9.9.9.9", "2620:fe::fe"] });
    assert_eq!(server(table).1, ["9.9.9.9", "2620:fe::fe"]);
    assert!(read(json!("quic://dns.adguard-dns.com")).needs_bootstrap());
}

#[test]
fn own_recursion_is_written_in_the_place_of_a_server() {
    let recursive = Upstream::read(&json!("recursive")).expect("a server");
    assert_eq!(recursive.server().transport, UpstreamTransport::Recursion);
    assert_eq!(recursive.server().addresses.len(), 26);
    assert!(!recursive.needs_bootstrap());
    assert_eq!(serde_json::to_value(&recursive).expect("json"), json!("recursive"));
    let roots = json!({ "url": "recursive", "addresses": ["192.0.2.53"] });
    let own = Upstream::read(&roots).expect("a server");
    assert_eq!(own.server().addresses.len(), 1);
    assert_eq!(serde_json::to_value(&own).expect("json"), roots);
    assert!(PlainServer::read(&json!("recursive")).is_err());
}

#[test]
fn what_is_no_server_is_told_with_a_fix() {
    for (value, told) in [
        (json!("sdns://AQMAAAAAAAAAETk0"), "DNSCrypt stamps"),
        (json!("h3://dns.quad9.net"), "HTTP/3 is not spoken"),
        (json!("ftp://9.9.9.9"), "not a way to ask"),
        (json!("dns.quad9.net"), "not the address of a resolver"),
        (json!("tls://"), "is not a server"),
        (json!("tls://9.9.9.9:x"), "is not a server"),
        (json!("tls://9.9.9.9/dns-query"), "has no path"),
        (json!("tls://[9.9.9.9"), "is not a server"),
        (json!(53), "is not a server"),
        (json!({ "url": "tls://9.9.9.9", "addresses": ["1.1.1.1"] }), "in its URL already"),
        (json!({ "url": "9.9.9.9", "addresses": ["1.1.1.1"] }), "has one address"),
        (json!({ "addresses": ["1.1.1.1"] }), "`url` is missing"),
        (json!({ "url": "tls://a.example", "adresses": [] }), "no field `adresses`"),
    ] {
        let wrong = Upstream::read(&value).expect_err("wrong");
        assert!(wrong.message.contains(told), "{value}: {wrong:?}");
        assert!(!wrong.fix.is_empty());
    }
}
