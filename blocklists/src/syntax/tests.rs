use proptest::prelude::*;

use super::*;

/// A line as text: rules as `block/exact name`, skips as `skip kind`.
fn read(line: &str) -> (Line, Vec<String>) {
    let mut parts = Vec::new();
    let kind = parse_line(line.as_bytes(), &mut |part| {
        parts.push(match part {
            Ok(rule) => format!(
                "{}{}{} {}",
                if rule.important { "important " } else { "" },
                if rule.action == Action::Block { "block" } else { "allow" },
                if rule.scope == Scope::Exact { " exact" } else { "" },
                rule.name
            ),
            Err(skip) => format!("skip {}", skip.as_str()),
        });
    });
    (kind, parts)
}

fn check(format: Format, table: &[(&str, &[&str])]) {
    for (line, expected) in table {
        let (kind, parts) = read(line);
        assert_eq!(parts, *expected, "{line:?}");
        assert_eq!(kind, Line::Of(format), "{line:?}");
    }
}

#[test]
fn hosts_lines_block_exactly_the_names_written() {
    check(
        Format::Hosts,
        &[
            ("0.0.0.0 ads.example", &["block exact ads.example"]),
            ("127.0.0.1\tADS.example.", &["block exact ads.example"]),
            (":: ads.example", &["block exact ads.example"]),
            ("::1 ads.example", &["block exact ads.example"]),
            ("0 ads.example", &["block exact ads.example"]),
            (
                "  0.0.0.0   a.example  b.example\tc.example  # three",
                &["block exact a.example", "block exact b.example", "block exact c.example"],
            ),
            ("0.0.0.0 ads.example#tight", &["block exact ads.example"]),
            ("0.0.0.0 ads.example ## note", &["block exact ads.example"]),
            ("0.0.0.0 bücher.example", &["block exact xn--bcher-kva.example"]),
            ("127.0.0.1 localhost", &["skip reserved name"]),
            ("127.0.0.1 localhost.localdomain", &["skip reserved name"]),
            ("255.255.255.255 broadcasthost", &["skip reserved name"]),
            ("fe80::1%lo0 localhost", &["skip reserved name"]),
            ("0.0.0.0 0.0.0.0", &["skip address"]),
            ("192.0.2.7 printer.example", &["skip address"]),
            ("0.0.0.0 bad_name!.example", &["skip not a domain name"]),
        ],
    );
}

#[test]
fn plain_and_wildcard_lines_block_the_name_and_all_below() {
    check(
        Format::Domains,
        &[
            ("ads.example", &["block ads.example"]),
            ("Ads.Example.", &["block ads.example"]),
            ("ads.example # why", &["block ads.example"]),
            ("_track.ads.example", &["block _track.ads.example"]),
            ("\u{feff}ads.example", &["block ads.example"]),
            ("ads.example\r", &["block ads.example"]),
            ("пример.example", &["block xn--e1afmkfd.example"]),
            ("com", &["skip reserved name"]),
            ("localhost", &["skip reserved name"]),
            ("192.0.2.1", &["skip address"]),
        ],
    );
    check(
        Format::Wildcard,
        &[
            ("*.ads.example", &["block ads.example"]),
            (".ads.example", &["block ads.example"]),
            ("*.com", &["skip reserved name"]),
        ],
    );
}

#[test]
fn adblock_lines_block_and_allow_trees_and_honour_important() {
    check(
        Format::Adblock,
        &[
            ("||ads.example^", &["block ads.example"]),
            ("||ads.example^|", &["block ads.example"]),
            ("||*.ads.example^", &["block ads.example"]),
            ("|ads.example^", &["block exact ads.example"]),
            ("@@||ads.example^", &["allow ads.example"]),
            ("@@|ads.example^|", &["allow exact ads.example"]),
            ("||ads.example^$important", &["important block ads.example"]),
            ("@@||ads.example^$important", &["important allow ads.example"]),
            ("||ads.example^$third-party", &["skip unsupported modifier"]),
            ("||ads.example^$client=kid,important", &["skip unsupported modifier"]),
            ("||ads.example^$dnsrewrite=192.0.2.1", &["skip unsupported modifier"]),
            ("||ads.example/banner^", &["skip path or URL"]),
            ("||ads.example", &["skip pattern"]),
            ("||ads*.example^", &["skip pattern"]),
            ("-banner.ads.example^", &["skip pattern"]),
            ("://ads.example^", &["skip path or URL"]),
            ("/^ads[0-9]+\\.example$/", &["skip regular expression"]),
            ("/banner.gif", &["skip path or URL"]),
            ("example.com##.ad", &["skip page element"]),
            ("example.com#@#.ad", &["skip page element"]),
            ("##.ad", &["skip page element"]),
            ("||com^", &["skip reserved name"]),
            ("||192.0.2.1^", &["skip address"]),
        ],
    );
}

#[test]
fn dnsmasq_lines_block_trees() {
    check(
        Format::Dnsmasq,
        &[
            ("address=/ads.example/#", &["block ads.example"]),
            ("address=/ads.example/", &["block ads.example"]),
            ("address=/ads.example/0.0.0.0", &["block ads.example"]),
            ("address=/ads.example/::", &["block ads.example"]),
            ("address=/a.example/.b.example/127.0.0.1", &["block a.example", "block b.example"]),
            ("server=/ads.example/", &["block ads.example"]),
            ("local=/ads.example/", &["block ads.example"]),
            ("address=/nas.example/192.0.2.9", &["skip address"]),
            ("server=/corp.example/192.0.2.53", &["skip does not block"]),
            ("server=192.0.2.53", &["skip does not block"]),
            ("address=/#/0.0.0.0", &["skip pattern"]),
        ],
    );
}

#[test]
fn unbound_lines_block_trees_and_single_names() {
    check(
        Format::Unbound,
        &[
            ("local-zone: \"ads.example.\" always_null", &["block ads.example"]),
            ("local-zone: ads.example always_nxdomain", &["block ads.example"]),
            ("local-zone: \"ads.example\" transparent", &["skip does not block"]),
            ("local-zone: \"ads.example\" redirect", &["skip does not block"]),
            ("local-data: \"ads.example A 0.0.0.0\"", &["block exact ads.example"]),
            ("local-data: \"ads.example 60 IN AAAA ::\"", &["block exact ads.example"]),
            ("local-data: \"nas.example A 192.0.2.9\"", &["skip address"]),
            ("local-data: \"ads.example TXT hello\"", &["skip unknown syntax"]),
        ],
    );
}

#[test]
fn comments_and_headers_are_nothing() {
    for line in
        ["", "   ", "! note", "# note", "#note", "## Section", "[Adblock Plus 2.0]", "server:"]
    {
        assert_eq!(read(line), (Line::Blank, vec![]), "{line:?}");
    }
}

#[test]
fn what_is_in_no_syntax_is_counted_not_guessed_at() {
    for (line, kind) in [
        ("<html><body>", Skip::BadName),
        ("<p>two words</p>", Skip::Unknown),
        ("{\"error\":true}", Skip::Url),
        ("https://ads.example/x", Skip::Url),
        ("ads*.example", Skip::Pattern),
        ("two words", Skip::Unknown),
    ] {
        let (is, parts) = read(line);
        assert_eq!((is, parts), (Line::Other, vec![format!("skip {}", kind.as_str())]), "{line:?}");
    }
    let mut skips = Vec::new();
    let not_utf8 = b"ads\xff.example";
    assert_eq!(parse_line(not_utf8, &mut |part| skips.push(part)), Line::Other);
    assert_eq!(parse_line(&[b'a'; 5000], &mut |part| skips.push(part)), Line::Other);
    assert_eq!(skips, [Err(Skip::NotText), Err(Skip::NotText)]);
}

proptest! {
    #[test]
    fn no_line_panics(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        parse_line(&line, &mut |_| {});
    }

    #[test]
    fn no_line_near_the_syntaxes_panics(line in "[@|*.^$#/:=0a-c \"ü]{0,40}") {
        parse_line(line.as_bytes(), &mut |_| {});
    }

    #[test]
    fn a_rule_of_a_list_is_never_a_bare_name(line in "[@|*.^#/=0a-c ]{0,20}") {
        parse_line(line.as_bytes(), &mut |part| {
            if let Ok(rule) = part {
                assert!(rule.name.labels().count() > 1, "{line:?}: {}", rule.name);
            }
        });
    }
}
