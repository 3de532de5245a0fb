//! The little DHCP a synthetic client speaks (RFC 2131 section 2, RFC 2132).

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

const COOKIE: [u8; 4] = [99, 130, 83, 99];
const BOOTREQUEST: u8 = 1;
const BOOTREPLY: u8 = 2;

const OPT_HOSTNAME: u8 = 12;
const OPT_DNS: u8 = 6;
const OPT_REQUESTED: u8 = 50;
const OPT_LEASE_TIME: u8 = 51;
const OPT_TYPE: u8 = 53;
const OPT_SERVER_ID: u8 = 54;
const OPT_PARAMETERS: u8 = 55;
const OPT_RELAY: u8 = 82;
const OPT_END: u8 = 255;
/// RFC 8357 section 4: the agent listens on another port than 67; the sub-option has no value.
const RELAY_SOURCE_PORT: u8 = 19;

/// DHCP message types (RFC 2132 section 9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Discover = 1,
    Offer = 2,
    Request = 3,
    Ack = 5,
    Nak = 6,
}

/// What a client says.
pub(super) struct Request<'a> {
    pub(super) kind: Kind,
    pub(super) xid: u32,
    pub(super) secs: u16,
    pub(super) mac: [u8; 6],
    pub(super) hostname: &'a str,
    /// The address the client has (`ciaddr`): RENEWING and REBINDING only.
    pub(super) has: Option<Ipv4Addr>,
    /// The address it asks for (option 50) and the server it picked (option 54): SELECTING only.
    pub(super) selects: Option<(Ipv4Addr, Ipv4Addr)>,
}

/// What a client reads from a reply.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) kind: u8,
    pub(super) xid: u32,
    pub(super) mac: [u8; 6],
    pub(super) addr: Ipv4Addr,
    pub(super) server: Ipv4Addr,
    pub(super) lease: Duration,
    pub(super) dns: Vec<Ipv4Addr>,
}

/// The request as the relay agent at `via` passes it on, or as the client sends it itself.
pub(super) fn encode(request: &Request<'_>, via: Option<SocketAddrV4>) -> Vec<u8> {
    let mut out = vec![0; 236];
    out[0] = BOOTREQUEST;
    out[1] = 1; // Ethernet
    out[2] = 6;
    out[3] = u8::from(via.is_some()); // hops
    out[4..8].copy_from_slice(&request.xid.to_be_bytes());
    out[8..10].copy_from_slice(&request.secs.to_be_bytes());
    out[12..16].copy_from_slice(&request.has.unwrap_or(Ipv4Addr::UNSPECIFIED).octets());
    out[24..28].copy_from_slice(&via.map_or(Ipv4Addr::UNSPECIFIED, |v| *v.ip()).octets());
    out[28..34].copy_from_slice(&request.mac);
    out.extend_from_slice(&COOKIE);
    let mut option = |code: u8, value: &[u8]| {
        out.push(code);
        out.push(value.len() as u8);
        out.extend_from_slice(value);
    };
    option(OPT_TYPE, &[request.kind as u8]);
    option(OPT_HOSTNAME, request.hostname.as_bytes());
    option(OPT_PARAMETERS, &[1, 3, 6, 15, 28, 42, 51, 54, 58, 59]);
    if let Some((addr, server)) = request.selects {
        option(OPT_REQUESTED, &addr.octets());
        option(OPT_SERVER_ID, &server.octets());
    }
    if via.is_some() {
        option(OPT_RELAY, &[1, 4, b'd', b'e', b'm', b'o', RELAY_SOURCE_PORT, 0]);
    }
    out.push(OPT_END);
    out.resize(out.len().max(300), 0);
    out
}

/// Reads a server's reply; `None` when it is not one.
pub(super) fn decode(bytes: &[u8]) -> Option<Reply> {
    let four = |at: usize| bytes.get(at..at + 4).and_then(|b| <[u8; 4]>::try_from(b).ok());
    if *bytes.first()? != BOOTREPLY || four(236)? != COOKIE {
        return None;
    }
    let mut reply = Reply {
        kind: 0,
        xid: u32::from_be_bytes(four(4)?),
        mac: bytes.get(28..34)?.try_into().ok()?,
        addr: four(16)?.into(),
        server: Ipv4Addr::UNSPECIFIED,
        lease: Duration::ZERO,
        dns: Vec::new(),
    };
    let mut rest = bytes.get(240..)?;
    while let [code, tail @ ..] = rest {
        match code {
            0 => rest = tail,
            &OPT_END => break,
            code => {
                let (len, tail) = tail.split_first()?;
                let (value, tail) = tail.split_at_checked(usize::from(*len))?;
                let addr = || <[u8; 4]>::try_from(value).ok();
                match *code {
                    OPT_TYPE => reply.kind = *value.first()?,
                    OPT_SERVER_ID => reply.server = addr()?.into(),
                    OPT_LEASE_TIME => {
                        reply.lease = Duration::from_secs(u32::from_be_bytes(addr()?).into());
                    }
                    OPT_DNS => {
                        let four = value.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
                        reply.dns = four.map(Ipv4Addr::from).collect();
                    }
                    _ => {}
                }
                rest = tail;
            }
        }
    }
    Some(reply)
}
