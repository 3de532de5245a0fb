//! Messages as they are seen on a home's wire, to begin from.

use std::fs;
use std::path::Path;

/// The types that are asked for, and some that nobody should.
const TYPES: [u16; 26] = [
    1, 2, 5, 6, 12, 13, 15, 16, 28, 33, 35, 39, 41, 43, 46, 47, 48, 50, 52, 64, 65, 249, 251, 252,
    255, 257,
];

const NAMES: [&str; 16] = [
    "www.example",
    "WwW.eXaMpLe",
    "tracker.ads.example",
    "good.ads.example",
    "printer.home.arpa",
    "nas.home.arpa",
    "loop.home.arpa",
    "x.wild.home.arpa",
    "search.example",
    "20.30.0.10.in-addr.arpa",
    "localhost",
    "_dns.resolver.arpa",
    "use-application-dns.net",
    "wpad.local",
    "",
    "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.a.b.c.d.e.f.g.h.example",
];

/// The questions that [`answers`] answer: name, type, DO.
pub(super) const ASKED: [(&str, u16, bool); 16] = [
    ("www.example", 1, false),
    ("www.example", 28, false),
    ("www.example", 1, true),
    ("www.example", 65, false),
    ("example", 15, false),
    ("example", 16, false),
    ("example", 48, true),
    ("gone.example", 1, false),
    ("gone.example", 1, true),
    ("cloaked.example", 1, false),
    ("router.example", 1, false),
    ("chain.example", 1, false),
    ("x.old.example", 28, false),
    ("search.example", 1, false),
    ("_sip._tcp.example", 33, false),
    ("8.8.8.8.in-addr.arpa", 12, false),
];

const A: [u8; 4] = [192, 0, 2, 1];

fn wire(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

/// An OPT record with these options, and the extended RCODE, version and flags in front of them.
fn opt(size: u16, flags: [u8; 4], options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut rdata = Vec::new();
    for (code, content) in options {
        rdata.extend_from_slice(&code.to_be_bytes());
        rdata.extend_from_slice(&(content.len() as u16).to_be_bytes());
        rdata.extend_from_slice(content);
    }
    let mut out = vec![0, 0, 41];
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(&flags);
    out.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
    out.extend_from_slice(&rdata);
    out
}

fn query(name: &str, qtype: u16, flags: [u8; 2], opt: &[u8]) -> Vec<u8> {
    let mut out = vec![0x4c, 0x57, flags[0], flags[1], 0, 1, 0, 0, 0, 0, 0];
    out.push(u8::from(!opt.is_empty()));
    out.extend_from_slice(&wire(name));
    out.extend_from_slice(&qtype.to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    out.extend_from_slice(opt);
    out
}

/// A question that [`answers`] answer, as a client puts it.
pub(super) fn asked(which: usize) -> Vec<u8> {
    let (name, qtype, dnssec_ok) = ASKED[which % ASKED.len()];
    let flags = [0, 0, if dnssec_ok { 0x80 } else { 0 }, 0];
    query(name, qtype, [1, 0], &opt(1232, flags, &[]))
}

/// Questions, and what pretends to be one.
pub(super) fn queries() -> Vec<Vec<u8>> {
    const COOKIE: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8];
    let none: &[u8] = &[];
    let mut out = Vec::new();
    for qtype in TYPES {
        out.push(query("www.example", qtype, [1, 0x20], &opt(1232, [0; 4], &[])));
    }
    for name in NAMES {
        for qtype in [1, 65] {
            out.push(query(name, qtype, [1, 0], none));
        }
    }
    for options in [
        // Cookie, client subnet (IPv4 and IPv6), padding, keepalive, expire, NSID, EDE, unknown.
        &[(10, COOKIE)][..],
        &[(10, &[9; 40])],
        &[(8, &[0, 1, 24, 0, 192, 0, 2])],
        &[(8, &[0, 2, 56, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0])],
        &[(8, &[0, 1, 0, 0])],
        &[(12, &[0; 100])],
        &[(11, &[])],
        &[(9, &[])],
        &[(3, &[])],
        &[(15, &[0, 3])],
        &[(65_001, &[1, 2, 3])],
        &[(10, COOKIE), (12, &[0; 60]), (8, &[0, 1, 24, 0, 10, 0, 30])],
    ] {
        out.push(query("www.example", 1, [1, 0], &opt(4096, [0, 0, 0x80, 0], options)));
    }
    for (size, flags) in [
        (0, [0; 4]),
        (511, [0; 4]),
        (512, [0; 4]),
        (65_535, [0; 4]),
        (1232, [0, 1, 0, 0]),
        (1232, [0, 255, 0x80, 0]),
        (1232, [0xff, 0, 0, 0]),
        (1232, [0, 0, 0x7f, 0xff]),
    ] {
        out.push(query("www.example", 16, [1, 0x10], &opt(size, flags, &[])));
    }
    // Flags: no RD, CD, AD, AA, TC, Z, other opcodes, an answer.
    for flags in [[0, 0], [1, 0x10], [5, 0], [3, 0], [1, 0x40], [0x29, 0], [0x21, 0], [0x81, 0x80]]
    {
        out.push(query("www.example", 1, flags, none));
    }
    let good = query("www.example", 1, [1, 0], &opt(1232, [0; 4], &[]));
    // Counts that lie, classes that nobody serves, names with pointers, two OPT records.
    for (at, value) in [(5, 0), (5, 2), (7, 1), (9, 1), (11, 2), (11, 0), (28, 3), (12, 0xc0)] {
        let mut bad = good.clone();
        bad[at] = value;
        out.push(bad);
    }
    let mut twice = query("www.example", 1, [1, 0], &opt(1232, [0; 4], &[]).repeat(2));
    twice[11] = 2;
    out.push(twice);
    let labels = ["x".repeat(63), "y".repeat(63), "z".repeat(63), "w".repeat(61)].join(".");
    out.push(query(&labels, 1, [1, 0], none));
    out.push(query(&format!("{labels}v"), 1, [1, 0], none));
    out.extend([0, 1, 11, 12, 13, 20].map(|len| good[..len].to_vec()));
    out
}

struct Answer {
    which: usize,
    flags: [u8; 2],
    answers: Vec<Vec<u8>>,
    authorities: Vec<Vec<u8>>,
    additionals: Vec<Vec<u8>>,
}

/// The name that is asked.
const OWN: &[u8] = &[0xc0, 12];

fn record(owner: &[u8], rtype: u16, ttl: u32, rdata: &[u8]) -> Vec<u8> {
    let mut out = owner.to_vec();
    out.extend_from_slice(&rtype.to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    out.extend_from_slice(&ttl.to_be_bytes());
    out.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
    out.extend_from_slice(rdata);
    out
}

impl Answer {
    fn to(which: usize) -> Self {
        let flags = [0x81, 0x80];
        Self { which, flags, answers: vec![], authorities: vec![], additionals: vec![] }
    }

    fn with(mut self, owner: &[u8], rtype: u16, ttl: u32, rdata: &[u8]) -> Self {
        self.answers.push(record(owner, rtype, ttl, rdata));
        self
    }

    fn soa(mut self, minimum: u32) -> Self {
        let mut rdata = [wire("ns.example"), wire("root.example")].concat();
        for number in [1, 7200, 3600, 86_400, minimum] {
            rdata.extend_from_slice(&u32::to_be_bytes(number));
        }
        self.authorities.push(record(&wire("example"), 6, 900, &rdata));
        self
    }

    fn beside(mut self, owner: &[u8], rtype: u16, rdata: &[u8]) -> Self {
        self.authorities.push(record(owner, rtype, 900, rdata));
        self
    }

    fn rcode(mut self, rcode: u8) -> Self {
        self.flags[1] |= rcode;
        self
    }

    fn bytes(mut self) -> Vec<u8> {
        self.additionals.push(opt(1232, [0; 4], &[]));
        let (name, qtype, _) = ASKED[self.which];
        let mut out = query(name, qtype, self.flags, &[]);
        let sections = [self.answers, self.authorities, self.additionals];
        for (at, section) in [6, 8, 10].into_iter().zip(&sections) {
            out[at..at + 2].copy_from_slice(&(section.len() as u16).to_be_bytes());
        }
        out.extend(sections.concat().concat());
        out
    }
}

/// A signature that fits nothing.
fn rrsig(covered: u16) -> Vec<u8> {
    let mut out = covered.to_be_bytes().to_vec();
    out.extend_from_slice(&[13, 2, 0, 0, 0x0e, 0x10]);
    out.extend_from_slice(&[0x6a, 0, 0, 0, 0x69, 0, 0, 0, 0x12, 0x34]);
    out.extend_from_slice(&wire("example"));
    out.extend_from_slice(&[0x5a; 64]);
    out
}

/// Answers of upstream servers, and what pretends to be one.
pub(super) fn answers() -> Vec<Vec<u8>> {
    let www = wire("www.example");
    let mut out = Vec::new();
    let mut add = |answer: Answer| out.push(answer.bytes());
    add(Answer::to(0).with(OWN, 1, 300, &A));
    add(Answer::to(0).with(&www, 1, 300, &A));
    add(Answer::to(0).with(OWN, 1, 0, &A));
    add(Answer::to(0).with(OWN, 1, 0x8000_0000, &A));
    add((1..9).fold(Answer::to(0), |answer, last| answer.with(OWN, 1, 60, &[192, 0, 2, last])));
    add((1..99).fold(Answer::to(0), |answer, last| answer.with(OWN, 1, 60, &[192, 0, 2, last])));
    add(Answer::to(0).with(OWN, 1, 300, &A).with(&wire("bank.example"), 1, 300, &A));
    add(Answer::to(1).with(
        OWN,
        28,
        300,
        &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    ));
    add(Answer::to(1).with(OWN, 28, 300, &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
    add(Answer::to(1).soa(300));
    add(Answer::to(2).with(OWN, 1, 300, &A).with(OWN, 46, 300, &rrsig(1)));
    // HTTPS: ALPN, port, and hints of both kinds, one leading inside.
    let service = [
        &[0, 1, 0][..],
        &[0, 1, 0, 6, 2, b'h', b'2', 2, b'h', b'3'],
        &[0, 3, 0, 2, 1, 187],
        &[0, 4, 0, 8, 192, 0, 2, 1, 192, 168, 1, 1],
        &[0, 6, 0, 16, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    ]
    .concat();
    add(Answer::to(3).with(OWN, 65, 300, &service));
    let alias = [&[0, 0][..], &wire("tracker.ads.example")].concat();
    add(Answer::to(3).with(OWN, 65, 300, &alias));
    // What hickory refuses: parameters out of order, one twice, no data, a target cut off.
    let shuffled = [&[0, 1, 0, 0, 3, 0, 2, 1, 187][..], &[0, 4, 0, 4, 192, 168, 1, 1]];
    add(Answer::to(3).with(
        OWN,
        65,
        300,
        &[&shuffled.concat()[..], &[0, 1, 0, 3, 2, 104, 50]].concat(),
    ));
    add(Answer::to(3).with(OWN, 65, 300, &[shuffled[0], shuffled[1], shuffled[1]].concat()));
    add(Answer::to(3).with(OWN, 65, 300, &[0, 1, 5, b'x']).with(OWN, 65, 300, &service));
    add(Answer::to(5).with(OWN, 16, 300, &[]).with(OWN, 17, 300, &[1, b'm', 0xc0, 16, 0xc0, 16]));
    let mx = [&[0, 10][..], &wire("mail.example")].concat();
    add(Answer::to(4).with(OWN, 15, 300, &mx));
    let text = [&[200][..], &[b'x'; 200]].concat();
    add((0..9).fold(Answer::to(5), |answer, _| answer.with(OWN, 16, 300, &text)));
    let dnskey = [&[1, 1, 3, 13][..], &[0x33; 64]].concat();
    add(Answer::to(6).with(OWN, 48, 300, &dnskey).with(OWN, 46, 300, &rrsig(48)));
    add(Answer::to(7).rcode(3).soa(300));
    add(Answer::to(7).rcode(3));
    add(Answer::to(7).rcode(2));
    add(Answer::to(7).rcode(5));
    let nsec = [wire("hone.example"), vec![0, 1, 0x40]].concat();
    add(Answer::to(8)
        .rcode(3)
        .soa(300)
        .beside(&wire("example"), 46, &rrsig(6))
        .beside(&wire("alpha.example"), 47, &nsec)
        .beside(&wire("alpha.example"), 46, &rrsig(47)));
    let nsec3 = [&[1, 0, 0, 100, 4, 1, 2, 3, 4, 20][..], &[7; 20], &[0, 1, 0x40]].concat();
    let hashed = wire("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example");
    add(Answer::to(8).rcode(3).soa(300).beside(&hashed, 50, &nsec3).beside(
        &hashed,
        46,
        &rrsig(50),
    ));
    let tracker = wire("tracker.ads.example");
    add(Answer::to(9).with(OWN, 5, 300, &tracker).with(&tracker, 1, 300, &A));
    add(Answer::to(10).with(OWN, 1, 300, &[192, 168, 1, 1]).with(OWN, 1, 300, &A));
    add(Answer::to(10).with(OWN, 1, 300, &[127, 0, 0, 1]));
    for length in [1, 3, 8, 9, 20] {
        let link = |at: usize| wire(&format!("c{at}.example"));
        let mut chain = Answer::to(11).with(OWN, 5, 300, &link(0));
        for at in 0..length {
            chain = chain.with(&link(at), 5, 60, &link(at + 1));
        }
        add(chain.with(&link(length), 1, 30, &A));
    }
    let chain = wire("chain.example");
    add(Answer::to(11).with(OWN, 5, 300, &chain));
    add(Answer::to(11).with(OWN, 5, 300, &www).with(&www, 5, 300, &chain));
    // A DNAME with the alias that follows from it.
    add(Answer::to(12)
        .with(&wire("old.example"), 39, 300, &wire("new.example"))
        .with(OWN, 5, 300, &wire("x.new.example"))
        .with(&wire("x.new.example"), 28, 300, &[0x20; 16]));
    add(Answer::to(13).with(OWN, 1, 300, &A));
    let srv = [&[0, 1, 0, 2, 0x13, 0xc4][..], &wire("sip.example")].concat();
    add(Answer::to(14).with(OWN, 33, 300, &srv));
    add(Answer::to(15).with(OWN, 12, 300, &www));
    let mut truncated = Answer::to(5).with(OWN, 16, 300, &text);
    truncated.flags[0] |= 2;
    add(truncated);
    // Pointers: to itself, forwards, into the header, past the end.
    for pointer in [[0xc0, 29], [0xc0, 60], [0xc0, 2], [0xff, 0xff]] {
        add(Answer::to(0).with(&pointer, 1, 300, &A));
        add(Answer::to(0).with(OWN, 5, 300, &pointer).with(&pointer, 1, 300, &A));
    }
    out
}

/// The answers as the target `response` takes them: which question, then the packet.
pub(super) fn numbered_answers() -> Vec<Vec<u8>> {
    let which = |answer: &[u8]| {
        let own = |at: &usize| {
            let (name, qtype, _) = ASKED[*at];
            let question = [&wire(name)[..], &qtype.to_be_bytes()].concat();
            answer.get(12..).is_some_and(|rest| rest.starts_with(&question))
        };
        (0..ASKED.len()).find(own).unwrap_or(0) as u8
    };
    answers().into_iter().map(|answer| [&[which(&answer)][..], &answer].concat()).collect()
}

/// Questions as the target `pipeline` takes them: who asks, then the packet.
pub(super) fn askers_queries() -> Vec<Vec<u8>> {
    let who = [4, 20, 2, 28, 0, 1, 3];
    let queries = queries().into_iter().zip(who.iter().cycle());
    queries.map(|(query, who)| [&[*who][..], &query].concat()).collect()
}

/// Streams of framed questions.
pub(crate) fn streams() -> Vec<Vec<u8>> {
    let framed = |query: &[u8]| [&(query.len() as u16).to_be_bytes(), query].concat();
    let queries = queries();
    let mut out: Vec<Vec<u8>> = queries
        .chunks(4)
        .map(|some| some.iter().flat_map(|query| framed(query)).collect())
        .collect();
    let one = framed(&queries[0]);
    out.extend([vec![0], vec![0, 0], vec![0, 0, 0, 0], vec![0xff, 0xff, 1], one[..9].to_vec()]);
    out
}

/// Writes the committed corpora anew.
#[test]
#[ignore = "it changes the sources"]
fn write_corpora() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (target, inputs) in [
        ("fuzz/__fuzz__/fuzz__targets__question", queries()),
        ("fuzz/__fuzz__/fuzz__targets__pipeline", askers_queries()),
        ("fuzz/__fuzz__/fuzz__targets__response", numbered_answers()),
        ("fuzz/__fuzz__/fuzz__targets__saved", super::targets::saved_caches()),
        ("server/stream/__fuzz__/server__stream__tests__framing", streams()),
    ] {
        let dir = root.join(target).join("corpus");
        fs::create_dir_all(&dir).expect("a directory");
        for input in inputs {
            let name = format!("{:08x}", crc32fast::hash(&input));
            fs::write(dir.join(name), input).expect("a file");
        }
    }
}
