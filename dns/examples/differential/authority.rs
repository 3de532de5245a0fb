//! The name server that both forward to: it answers as a recursive resolver would that has all of
//! `rich.example` and `other.example` at hand.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use hickory_proto::op::{Edns, Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NS, NULL, SOA, SRV, TXT, caa::CAA, svcb};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

/// Starts it on loopback, over UDP and TCP.
pub(crate) async fn start() -> io::Result<SocketAddr> {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let addr = tcp.local_addr()?;
    let udp = Arc::new(UdpSocket::bind(addr).await?);
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        loop {
            let Ok((len, client)) = udp.recv_from(&mut buffer).await else { continue };
            if let Some(reply) = answer(&buffer[..len], true) {
                let _ = udp.send_to(&reply, client).await;
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            tokio::spawn(async move {
                while let Ok(len) = stream.read_u16().await {
                    let mut packet = vec![0; len.into()];
                    if stream.read_exact(&mut packet).await.is_err() {
                        return;
                    }
                    let Some(reply) = answer(&packet, false) else { return };
                    let framed = [&(reply.len() as u16).to_be_bytes(), reply.as_slice()].concat();
                    if stream.write_all(&framed).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(addr)
}

fn answer(packet: &[u8], udp: bool) -> Option<Vec<u8>> {
    let query = Message::from_vec(packet).ok()?;
    let asked = query.queries.first()?.clone();
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    reply.metadata.recursion_desired = query.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    reply.metadata.checking_disabled = query.metadata.checking_disabled;
    reply.queries.push(asked.clone());
    reply.edns = query.edns.as_ref().map(|edns| {
        let mut own = Edns::new();
        own.set_max_payload(1232);
        own.set_dnssec_ok(edns.flags().dnssec_ok);
        own
    });
    resolve(&mut reply, asked.name().clone(), asked.query_type());
    let limit = match (udp, &query.edns) {
        (false, _) => 65_535,
        (true, None) => 512,
        (true, Some(edns)) => usize::from(edns.max_payload()).clamp(512, 1232),
    };
    let whole = reply.to_vec().ok()?;
    if whole.len() <= limit {
        return Some(whole);
    }
    reply.metadata.truncation = true;
    reply.answers.clear();
    reply.authorities.clear();
    reply.additionals.clear();
    reply.to_vec().ok()
}

/// Follows aliases to their end.
fn resolve(reply: &mut Message, mut name: Name, rtype: RecordType) {
    for _ in 0..16 {
        match look_up(&name, rtype) {
            Found::Records(records) => {
                reply.answers.extend(records);
                return;
            }
            Found::Alias(records, target) => {
                let known = reply.answers.iter().any(|r| records.contains(r));
                reply.answers.extend(records);
                if rtype == RecordType::CNAME || known {
                    return;
                }
                name = target;
            }
            Found::NoData(apex) => return reply.authorities.push(soa(&apex)),
            Found::NxDomain(apex) => {
                reply.metadata.response_code = ResponseCode::NXDomain;
                return reply.authorities.push(soa(&apex));
            }
            Found::Fails(code) => {
                reply.metadata.response_code = code;
                return;
            }
        }
    }
}

enum Found {
    Records(Vec<Record>),
    Alias(Vec<Record>, Name),
    NoData(Name),
    NxDomain(Name),
    Fails(ResponseCode),
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap_or_else(|_| Name::root())
}

fn soa(apex: &Name) -> Record {
    let server = name("ns.rich.example.");
    let data = SOA::new(server, name("hostmaster.rich.example."), 7, 3600, 900, 604_800, 300);
    Record::from_rdata(apex.clone(), 600, RData::SOA(data))
}

/// The number at the end of a label that begins with `prefix`.
fn number(label: &str, prefix: &str) -> Option<u32> {
    label.strip_prefix(prefix)?.parse().ok()
}

fn look_up(asked: &Name, rtype: RecordType) -> Found {
    let rich = name("rich.example.");
    let lower = asked.to_lowercase();
    let root = Name::root();
    if lower.is_root() || lower == name("com.") || lower == name("example.") {
        return match rtype {
            RecordType::NS => Found::Records(vec![ns(asked, "a.root.example.")]),
            RecordType::SOA => Found::Records(vec![soa(asked)]),
            _ => Found::NoData(if lower.is_root() { root } else { lower }),
        };
    }
    if lower == name("other.example.") {
        return own(asked, rtype, &lower, 5, &[RecordType::A, RecordType::TXT]);
    }
    if !rich.zone_of(&lower) {
        return Found::NxDomain(root);
    }
    let labels: Vec<String> = lower
        .iter()
        .map(|label| String::from_utf8_lossy(label).into_owned())
        .take(lower.num_labels() as usize - 2)
        .collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    in_zone(asked, rtype, &rich, &labels)
}

/// `labels` are those before `rich.example`.
fn in_zone(asked: &Name, rtype: RecordType, rich: &Name, labels: &[&str]) -> Found {
    use RecordType as R;
    let alias = |target: &str| {
        let target = name(target);
        let record = Record::from_rdata(asked.clone(), 300, RData::CNAME(CNAME(target.clone())));
        Found::Alias(vec![record], target)
    };
    let own = |n: u32, types: &[RecordType]| own(asked, rtype, rich, n, types);
    match labels {
        [] => own(1, &[R::A, R::NS, R::SOA, R::MX, R::TXT, R::CAA]),
        [label] if number(label, "a").is_some() => {
            let n = number(label, "a").unwrap_or(0);
            let types = [R::A, R::TXT, R::AAAA, R::SRV];
            own(n, if n.is_multiple_of(2) { &types[..2] } else { &types })
        }
        ["c0"] => alias("a1.rich.example."),
        [label] if number(label, "c").is_some() => {
            alias(&format!("c{}.rich.example.", number(label, "c").unwrap_or(1) - 1))
        }
        [label] if number(label, "d").is_some() => own(0, &[R::A, R::Unknown(39)]),
        [below @ .., label] if number(label, "d").is_some() => {
            // RFC 6672: the DNAME and the alias made from it.
            let owner = name(&format!("{label}.rich.example."));
            let target = name("w.rich.example.");
            let record = |owner: &Name| unknown(owner, 39, wire(&target));
            let to = name(&format!("{}.w.rich.example.", below.join(".")));
            let made = Record::from_rdata(asked.clone(), 300, RData::CNAME(CNAME(to.clone())));
            Found::Alias(vec![record(&owner), made], to)
        }
        ["w"] => Found::NoData(rich.clone()),
        ["exists", "w"] => own(3, &[R::TXT]),
        [_, "exists", "w"] => Found::NxDomain(rich.clone()),
        [.., "w"] => own(2, &[R::A, R::MX, R::TXT]),
        ["ent"] => Found::NoData(rich.clone()),
        ["deep", "ent"] => own(4, &[R::A]),
        [label] if number(label, "big").is_some() => {
            own(number(label, "big").unwrap_or(0) + 100, &[R::TXT, R::A])
        }
        [label] if number(label, "https").is_some() => {
            own(number(label, "https").unwrap_or(0), &[R::HTTPS, R::SVCB, R::A])
        }
        [label] if number(label, "u").is_some() => {
            own(7, &[R::Unknown(65_280), R::Unknown(99), R::Unknown(256)])
        }
        [label] if number(label, "sub").is_some() => own(6, &[R::NS, R::A, R::SOA, R::DS]),
        ["h", label] if number(label, "sub").is_some() => own(8, &[R::A, R::AAAA, R::HINFO]),
        ["fail0" | "fail1"] => Found::Fails(ResponseCode::ServFail),
        ["fail2"] => Found::Fails(ResponseCode::Refused),
        ["fail3"] => Found::Fails(ResponseCode::NotImp),
        ["cnx"] => alias("nx1.rich.example."),
        ["cnodata"] => alias("ent.rich.example."),
        ["cout"] => alias("other.example."),
        ["cwild"] => alias("anything.w.rich.example."),
        ["cdname"] => alias("x.d1.rich.example."),
        ["cself"] => alias("cself.rich.example."),
        ["loop0"] => alias("loop1.rich.example."),
        ["loop1"] => alias("loop0.rich.example."),
        ["mail"] => own(9, &[R::MX, R::A, R::SRV]),
        ["zero"] => own(200, &[R::A, R::TXT]),
        ["week"] => own(201, &[R::A, R::TXT]),
        ["_tcp"] => Found::NoData(rich.clone()),
        ["_sip", "_tcp"] => own(3, &[R::SRV, R::NAPTR]),
        ["odd\u{1}.x"] => own(3, &[R::A, R::TXT]),
        [.., label] if label.starts_with('m') && label.len() > 1 => own(3, &[R::A]),
        _ => Found::NxDomain(rich.clone()),
    }
}

/// A name with records of some types, a few of each, made from `n`.
fn own(asked: &Name, rtype: RecordType, apex: &Name, n: u32, types: &[RecordType]) -> Found {
    if !types.contains(&rtype) {
        return Found::NoData(apex.clone());
    }
    let ttl = match n {
        200 => 0,
        201 => 604_800,
        _ => 300,
    };
    let many = |count: u32| (0..count).collect::<Vec<u32>>();
    let record = |data: RData| Record::from_rdata(asked.clone(), ttl, data);
    let last = |i: u32| (n * 8 + i) as u8;
    let host = |i: u32| name(&format!("a{i}.rich.example."));
    Found::Records(match rtype {
        RecordType::A => {
            let a = |i| record(RData::A(A(Ipv4Addr::new(198, 18, 0, last(i)))));
            many(1 + n % 4).into_iter().map(a).collect()
        }
        RecordType::AAAA => {
            let ip = |i| Ipv6Addr::new(0x2001, 0x4, 0x112, 0, 0, 0, 0, last(i).into());
            many(1 + n % 4).into_iter().map(|i| record(RData::AAAA(AAAA(ip(i))))).collect()
        }
        RecordType::TXT => {
            let (count, len) = if (100..200).contains(&n) { (n - 99, 120) } else { (2, 20) };
            let text = |i: u32| format!("{i}{}", "t".repeat(len));
            let txt = |i| record(RData::TXT(TXT::new(vec![text(i), String::new()])));
            many(count).into_iter().map(txt).collect()
        }
        RecordType::MX => {
            many(3).into_iter().map(|i| record(RData::MX(MX::new(i as u16, host(i))))).collect()
        }
        RecordType::NS => many(2).into_iter().map(|i| ns(asked, &host(i).to_ascii())).collect(),
        RecordType::SOA => vec![soa(asked)],
        RecordType::SRV => {
            let srv = |i: u32| record(RData::SRV(SRV::new(i as u16, 5, 5060, host(i))));
            many(2).into_iter().map(srv).collect()
        }
        RecordType::CAA => {
            vec![record(RData::CAA(CAA::new_issue(false, Some(name("ca.example.")), Vec::new())))]
        }
        RecordType::HTTPS | RecordType::SVCB => vec![service(asked, rtype, n)],
        RecordType::NAPTR => {
            let data = b"\0\x0a\0\x0a\x01s\x07SIP+D2U\0\x04_sip\x04_udp\x04rich\x07example\0";
            vec![unknown(asked, 35, data.to_vec())]
        }
        RecordType::HINFO => vec![unknown(asked, 13, b"\x03cpu\x02os".to_vec())],
        RecordType::DS => vec![unknown(asked, 43, vec![0, 1, 8, 2, 1, 2, 3, 4, 5, 6, 7, 8])],
        RecordType::Unknown(39) => vec![unknown(asked, 39, wire(&name("w.rich.example.")))],
        RecordType::Unknown(code) => {
            vec![unknown(asked, code, vec![n as u8; 9]), unknown(asked, code, vec![0; 300])]
        }
        _ => Vec::new(),
    })
}

fn ns(owner: &Name, target: &str) -> Record {
    Record::from_rdata(owner.clone(), 300, RData::NS(NS(name(target))))
}

fn wire(name: &Name) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name {
        wire.push(label.len() as u8);
        wire.extend_from_slice(label);
    }
    wire.push(0);
    wire
}

fn unknown(owner: &Name, code: u16, data: Vec<u8>) -> Record {
    let rdata = NULL::with(data);
    let rdata = RData::Unknown { code: RecordType::from(code), rdata };
    Record::from_rdata(owner.clone(), 300, rdata)
}

/// Alias form for 0, service form otherwise (RFC 9460).
fn service(owner: &Name, rtype: RecordType, n: u32) -> Record {
    let data = match n {
        0 => svcb::SVCB::new(0, name("other.example."), Vec::new()),
        _ => {
            let alpn = svcb::Alpn(vec!["h2".to_owned(), "h3".to_owned()]);
            let params = vec![
                (svcb::SvcParamKey::Alpn, svcb::SvcParamValue::Alpn(alpn)),
                (svcb::SvcParamKey::Port, svcb::SvcParamValue::Port(8000 + n as u16)),
            ];
            svcb::SVCB::new(n as u16, Name::root(), params)
        }
    };
    let data = match rtype {
        RecordType::HTTPS => RData::HTTPS(hickory_proto::rr::rdata::HTTPS(data)),
        _ => RData::SVCB(data),
    };
    Record::from_rdata(owner.clone(), 300, data)
}
