//! The table of RFC 8906, section 8 (ISC's EDNS compliance test), row by row against the local
//! zone, as bytes on the wire.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use lanward_dns::Upstreams;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{House, ask_raw};

const ZONE: &[u8] = b"\x04home\x04arpa\0";
const NOERROR: u16 = 0;
const NXDOMAIN: u16 = 3;
const NOTIMP: u16 = 4;
const REFUSED: u16 = 5;
const FORMERR: u16 = 1;
const BADVERS: u16 = 16;

/// A question as it is written, byte by byte.
#[derive(Clone)]
struct Question {
    /// Third and fourth byte of the header.
    flags: u16,
    name: &'static [u8],
    rtype: u16,
    class: u16,
    header_only: bool,
    opt: Option<Opt>,
    tcp: bool,
}

/// An OPT record.
#[derive(Clone)]
struct Opt {
    size: u16,
    version: u8,
    flags: u16,
    options: Vec<(u16, Vec<u8>)>,
}

/// What must be in the answer.
#[derive(Clone, Copy)]
struct Wanted {
    rcode: u16,
    /// The SOA is the answer.
    soa: bool,
    /// An OPT record, with DO or without.
    opt: Option<bool>,
}

const RD: u16 = 0x0100;
const AD: u16 = 0x0020;
const CD: u16 = 0x0010;
const Z: u16 = 0x0040;
const AA: u16 = 0x0400;
const TC: u16 = 0x0200;
const QR: u16 = 0x8000;
const DO: u16 = 0x8000;

fn plain() -> Question {
    Question { flags: 0, name: ZONE, rtype: 6, class: 1, header_only: false, opt: None, tcp: false }
}

fn opt(version: u8, flags: u16, options: &[(u16, &[u8])]) -> Option<Opt> {
    let options = options.iter().map(|(code, data)| (*code, data.to_vec())).collect();
    Some(Opt { size: 4096, version, flags, options })
}

impl Question {
    fn wire(&self) -> Vec<u8> {
        let count = u16::from(!self.header_only);
        let additional = u16::from(self.opt.is_some());
        let mut wire = Vec::new();
        for number in [0x1234, self.flags, count, 0, 0, additional] {
            wire.extend_from_slice(&number.to_be_bytes());
        }
        if !self.header_only {
            wire.extend_from_slice(self.name);
            wire.extend_from_slice(&self.rtype.to_be_bytes());
            wire.extend_from_slice(&self.class.to_be_bytes());
        }
        if let Some(opt) = &self.opt {
            let mut data = Vec::new();
            for (code, option) in &opt.options {
                data.extend_from_slice(&code.to_be_bytes());
                data.extend_from_slice(&(option.len() as u16).to_be_bytes());
                data.extend_from_slice(option);
            }
            wire.extend_from_slice(&[0, 0, 41]);
            wire.extend_from_slice(&opt.size.to_be_bytes());
            wire.extend_from_slice(&[0, opt.version]);
            wire.extend_from_slice(&opt.flags.to_be_bytes());
            wire.extend_from_slice(&(data.len() as u16).to_be_bytes());
            wire.extend_from_slice(&data);
        }
        wire
    }

    async fn ask(&self, server: SocketAddr) -> Vec<u8> {
        let wire = self.wire();
        if !self.tcp {
            return ask_raw(server, &wire, Duration::from_secs(5)).await.expect("an answer");
        }
        let mut stream = TcpStream::connect(server).await.expect("connects");
        let framed = [&(wire.len() as u16).to_be_bytes(), wire.as_slice()].concat();
        stream.write_all(&framed).await.expect("write");
        let len = stream.read_u16().await.expect("a length");
        let mut answer = vec![0; len.into()];
        stream.read_exact(&mut answer).await.expect("an answer");
        answer
    }
}

/// Everything a row of the table looks at, checked on the bytes and on the message.
fn check(row: &str, question: &Question, wanted: Wanted, bytes: &[u8]) {
    let flags = u16::from_be_bytes([bytes[2], bytes[3]]);
    assert_eq!(bytes[..2], [0x12, 0x34], "{row}: id");
    assert_ne!(flags & QR, 0, "{row}: QR");
    assert_eq!(flags & 0x7800, question.flags & 0x7800, "{row}: opcode");
    assert_eq!(flags & RD, question.flags & RD, "{row}: RD is copied (RFC 1035, 4.1.1)");
    assert_eq!(flags & CD, question.flags & CD, "{row}: CD is copied (RFC 4035, 3.2.2)");
    assert_eq!(flags & Z, 0, "{row}: Z must be zero");
    assert_eq!(flags & AD, 0, "{row}: nothing was validated");
    assert_eq!(flags & TC, 0, "{row}: it fits");
    let message = Message::from_vec(bytes).expect("a message");
    let rcode = u16::from(message.metadata.response_code);
    assert_eq!(rcode, wanted.rcode, "{row}: code");
    let soa = message.answers.iter().any(|r| r.record_type() == RecordType::SOA);
    assert_eq!(soa, wanted.soa, "{row}: SOA");
    assert_eq!(flags & AA != 0, wanted.rcode == NOERROR || wanted.rcode == NXDOMAIN, "{row}: AA");
    assert_eq!(message.edns.is_some(), wanted.opt.is_some(), "{row}: OPT");
    if let (Some(edns), Some(dnssec_ok)) = (&message.edns, wanted.opt) {
        assert_eq!(edns.version(), 0, "{row}: version");
        assert_eq!(edns.flags().dnssec_ok, dnssec_ok, "{row}: DO is copied (RFC 3225, 3)");
        assert_eq!(edns.flags().z, 0, "{row}: flags that are not defined are zero");
        assert!(edns.options().as_ref().is_empty(), "{row}: options that are not known");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_the_table_is_ok() {
    let house = House::start(Upstreams::default()).await;
    let ok = Wanted { rcode: NOERROR, soa: true, opt: None };
    let no_data = Wanted { soa: false, ..ok };
    let edns = Wanted { opt: Some(false), ..ok };
    let edns_do = Wanted { opt: Some(true), ..ok };
    let version = Wanted { rcode: BADVERS, soa: false, opt: Some(false) };
    let version_do = Wanted { opt: Some(true), ..version };
    let code = |rcode| Wanted { rcode, soa: false, opt: None };
    let cookie: (u16, &[u8]) = (10, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let old_cookie: (u16, &[u8]) = (10, &[9; 24]);
    let subnet: (u16, &[u8]) = (8, &[0, 1, 0, 0]);
    let all: &[(u16, &[u8])] = &[(3, &[]), cookie, subnet, (9, &[])];
    let soa = plain;
    let with = |opt: Option<Opt>| Question { opt, ..plain() };
    let small = |question: Question| {
        let opt = question.opt.map(|opt| Opt { size: 512, ..opt });
        Question { opt, ..question }
    };
    let rows: Vec<(&str, Question, Wanted)> = vec![
        // RFC 8906, 8.1
        ("dns", soa(), ok),
        ("unknown type", Question { rtype: 1000, ..soa() }, no_data),
        ("cd", Question { flags: CD, ..soa() }, ok),
        ("ad", Question { flags: AD, ..soa() }, ok),
        ("z", Question { flags: Z, ..soa() }, ok),
        ("rd", Question { flags: RD, ..soa() }, ok),
        ("all flags", Question { flags: RD | CD | AD | Z | AA | 0x0080 | 0x000f, ..soa() }, ok),
        ("opcode 15", Question { flags: 0x7800, header_only: true, ..soa() }, code(NOTIMP)),
        ("opcode 15, asked", Question { flags: 0x7800, ..soa() }, code(NOTIMP)),
        ("update", Question { flags: 0x2800, ..soa() }, code(NOTIMP)),
        ("notify", Question { flags: 0x2000, ..soa() }, code(NOTIMP)),
        ("tcp", Question { tcp: true, ..soa() }, ok),
        // 8.2
        ("edns", with(opt(0, 0, &[])), edns),
        ("edns1", with(opt(1, 0, &[])), version),
        ("edns255", with(opt(255, 0, &[])), version),
        ("ednsopt", with(opt(0, 0, &[(100, &[])])), edns),
        ("ednsopt with data", with(opt(0, 0, &[(65_001, &[7; 40])])), edns),
        ("ednsflags", with(opt(0, 0x0080, &[])), edns),
        ("all ednsflags", with(opt(0, 0xffff, &[])), edns_do),
        ("edns1flags", with(opt(1, 0x0080, &[])), version),
        ("edns1opt", with(opt(1, 0, &[(100, &[])])), version),
        ("do", with(opt(0, DO, &[])), edns_do),
        ("edns1do", with(opt(1, DO, &[])), version_do),
        ("edns@512", small(with(opt(0, DO, &[]))), edns_do),
        ("edns512tcp", small(Question { tcp: true, ..with(opt(0, DO, &[])) }), edns_do),
        ("ednstcp", Question { tcp: true, ..with(opt(0, 0, &[])) }, edns),
        ("edns1tcp", Question { tcp: true, ..with(opt(1, 0, &[])) }, version),
        (
            "edns size 0",
            Question { opt: opt(0, 0, &[]).map(|o| Opt { size: 0, ..o }), ..soa() },
            edns,
        ),
        ("cookie", with(opt(0, 0, &[cookie])), edns),
        ("cookie of another server", with(opt(0, 0, &[old_cookie])), edns),
        ("docookie", with(opt(0, DO, &[cookie])), edns_do),
        ("nsid", with(opt(0, 0, &[(3, &[])])), edns),
        ("subnet", with(opt(0, 0, &[subnet])), edns),
        ("expire", with(opt(0, 0, &[(9, &[])])), edns),
        ("padding", with(opt(0, 0, &[(12, &[0; 100])])), edns),
        ("optlist", with(opt(0, 0, all)), edns),
        ("optlist with do", with(opt(0, DO, all)), edns_do),
        ("edns1optlist", with(opt(1, 0, all)), version),
        // Beside the table.
        ("no question", Question { header_only: true, ..soa() }, code(FORMERR)),
        ("class chaos", Question { class: 3, ..soa() }, code(REFUSED)),
        ("axfr", Question { rtype: 252, tcp: true, ..soa() }, code(REFUSED)),
        ("ixfr", Question { rtype: 251, ..soa() }, code(REFUSED)),
        ("type 0", Question { rtype: 0, ..soa() }, code(FORMERR)),
        ("opt as type", Question { rtype: 41, ..soa() }, code(FORMERR)),
        ("tsig as type", Question { rtype: 250, ..soa() }, code(NOTIMP)),
        ("any", Question { rtype: 255, ..soa() }, no_data),
        (
            "below the zone",
            Question { name: b"\x04gone\x04home\x04arpa\0", ..soa() },
            Wanted { rcode: NXDOMAIN, soa: false, opt: None },
        ),
    ];
    for (row, question, wanted) in rows {
        let bytes = question.ask(house.addr).await;
        check(row, &question, wanted, &bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn edns_that_is_malformed_is_a_format_error() {
    let house = House::start(Upstreams::default()).await;
    let good = Question { opt: opt(0, 0, &[(100, &[1, 2, 3])]), ..plain() }.wire();
    let twice = {
        let one = Question { opt: opt(0, 0, &[]), ..plain() }.wire();
        let mut wire = [one.as_slice(), &one[one.len() - 11..]].concat();
        wire[11] = 2;
        wire
    };
    let mut long_option = good.clone();
    let at = long_option.len() - 4;
    long_option[at] = 9;
    let trailing = [good.as_slice(), b"x"].concat();
    for (row, packet) in [
        ("two OPT records", twice),
        ("an option longer than the record", long_option),
        ("bytes after the end", trailing),
        ("a record cut off", good[..good.len() - 1].to_vec()),
    ] {
        let bytes = ask_raw(house.addr, &packet, Duration::from_secs(5)).await.expect(row);
        assert_eq!(bytes[3] & 15, FORMERR as u8, "{row}");
    }
}
