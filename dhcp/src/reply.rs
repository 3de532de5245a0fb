//! Replies as bytes. The fixed part and the message types are `dhcproto`'s; the options are put
//! in order here: message type first, what the client asks for in its order, option 82 last.

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::v4::{HType, Message, MessageType, Opcode};
use dhcproto::{Encodable, Encoder};

use crate::Network;
use crate::exchange::Exchange;
use crate::hostname::is_reserved_name;
use crate::options::code;

/// Smallest payload sent: relay agents and firmware drop what is shorter than a BOOTP message.
const MIN_PAYLOAD: usize = 300;
/// The datagram every client takes (RFC 2132 section 9.10).
const DEFAULT_DATAGRAM: u16 = 576;
/// The largest datagram sent: what fits an Ethernet frame.
const MAX_DATAGRAM: u16 = 1500;
/// IP and UDP headers.
const HEADERS: usize = 28;
/// The fixed part of the message, cookie included.
const FIXED: usize = 240;

/// What a reply says, besides what follows from the request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Say {
    Offer { addr: Ipv4Addr, lease: Duration },
    Ack { addr: Ipv4Addr, lease: Duration },
    InformAck,
    Nak { message: &'static str },
}

/// The reply to `exchange` on `network`, from the server called `server_id`.
pub(crate) fn encode(
    exchange: &Exchange,
    network: &Network,
    hostname: Option<&str>,
    server_id: Ipv4Addr,
    say: Say,
) -> Vec<u8> {
    let mut options = Encoded::new(exchange.request.max_message_size());
    options.own(code::MESSAGE_TYPE, &[message_type(say).into()]);
    options.own(code::SERVER_ID, &server_id.octets());
    let tail = tail(exchange);
    options.reserve(&tail);
    match say {
        Say::Offer { lease, .. } | Say::Ack { lease, .. } => {
            put_lease(&mut options, lease);
            put_asked(&mut options, exchange, network, hostname);
        }
        Say::InformAck => put_asked(&mut options, exchange, network, hostname),
        Say::Nak { message } => options.own(code::MESSAGE, message.as_bytes()),
    }
    let mut packet = header(exchange, say);
    packet.extend_from_slice(&options.finish(&tail));
    // Padding follows END, never the other way round.
    packet.resize(packet.len().max(MIN_PAYLOAD), code::PAD);
    packet
}

fn message_type(say: Say) -> MessageType {
    match say {
        Say::Offer { .. } => MessageType::Offer,
        Say::Ack { .. } | Say::InformAck => MessageType::Ack,
        Say::Nak { .. } => MessageType::Nak,
    }
}

/// The fixed part (RFC 2131 section 4.3.1, table 3).
fn header(exchange: &Exchange, say: Say) -> Vec<u8> {
    let request = &exchange.request;
    let none = Ipv4Addr::UNSPECIFIED;
    let (ciaddr, yiaddr) = match say {
        Say::Offer { addr, .. } => (none, addr),
        Say::Ack { addr, .. } => (request.ciaddr, addr),
        Say::InformAck => (request.ciaddr, none),
        Say::Nak { .. } => (none, none),
    };
    let mut flags = request.flags;
    if matches!(say, Say::Nak { .. }) && request.is_relayed() {
        // The relay agent must broadcast it: the client's address may be wrong there
        // (RFC 2131 section 4.3.2).
        flags |= 0x8000;
    }
    let chaddr = request.hw.bytes();
    let mut message =
        Message::new_with_id(request.xid, ciaddr, yiaddr, none, request.giaddr, chaddr);
    message
        .set_opcode(Opcode::BootReply)
        .set_htype(HType::from(request.hw.htype()))
        .set_flags(flags.into());
    let mut bytes = Vec::with_capacity(MIN_PAYLOAD);
    let encoded = message.encode(&mut Encoder::new(&mut bytes));
    debug_assert!(encoded.is_ok() && bytes.len() == FIXED, "a fixed part without options");
    bytes
}

/// Lease time, T1 and T2 (RFC 2131 section 4.4.5).
fn put_lease(options: &mut Encoded, lease: Duration) {
    let secs = u32::try_from(lease.as_secs()).unwrap_or(u32::MAX).max(1);
    // 0xffffffff would mean for ever.
    let secs = secs.min(u32::MAX - 1);
    let rebinding = u64::from(secs) * 7 / 8;
    options.own(code::LEASE_TIME, &secs.to_be_bytes());
    options.own(code::RENEWAL_TIME, &(secs / 2).to_be_bytes());
    options.own(code::REBINDING_TIME, &u32::try_from(rebinding).unwrap_or(secs).to_be_bytes());
}

/// The configuration the client asked for, in its order; all of it when it named nothing.
fn put_asked(
    options: &mut Encoded,
    exchange: &Exchange,
    network: &Network,
    hostname: Option<&str>,
) {
    options.own(code::SUBNET_MASK, &mask(network).octets());
    let asked: Vec<u8> = match exchange.request.parameter_list() {
        Some(list) => list.to_vec(),
        None => network.options.keys().copied().filter(|code| !only_if_asked(*code)).collect(),
    };
    for asked in asked {
        put_configured(options, network, hostname, asked);
        // A client that takes classless routes ignores the router option, one that does not
        // needs it (RFC 3442): both are sent.
        if asked == code::CLASSLESS_ROUTES && network.options.contains_key(&asked) {
            put_configured(options, network, hostname, code::ROUTER);
        }
    }
    if let Some(fqdn) = fqdn_reply(exchange, network, hostname) {
        options.put(code::CLIENT_FQDN, &fqdn);
    }
}

fn put_configured(options: &mut Encoded, network: &Network, hostname: Option<&str>, asked: u8) {
    let broadcast = u32::from(network.subnet.0) | !u32::from(mask(network));
    match (network.options.get(&asked), asked) {
        _ if is_ours(asked) => {}
        (Some(value), _) => options.put(asked, value),
        (None, code::BROADCAST_ADDRESS) => options.put(asked, &broadcast.to_be_bytes()),
        (None, code::HOST_NAME) => {
            if let Some(name) = hostname {
                options.put(asked, name.as_bytes());
            }
        }
        (None, _) => {}
    }
}

/// Options whose value is the server's to say, never the configuration's: 50 to 59, and what
/// is echoed.
fn is_ours(asked: u8) -> bool {
    matches!(
        asked,
        code::PAD | code::REQUESTED_ADDRESS
            ..=code::REBINDING_TIME
                | code::CLIENT_ID
                | code::CLIENT_FQDN
                | code::RELAY_INFO
                | code::SUBNET_SELECTION
                | code::END
    )
}

/// Options that switch something off in a client which knows them, IPv4 (RFC 8925) or link-local
/// addresses (RFC 2563), and a long one that few read (RFC 9463). Only for clients that name them.
fn only_if_asked(asked: u8) -> bool {
    matches!(asked, code::IPV6_ONLY | code::AUTO_CONFIGURE | code::ENCRYPTED_DNS)
}

/// Option 81 back to a client that sent it (RFC 4702 section 4): the name the household's DNS
/// has for it, which this server sees to (S, and O when the client wanted to do it itself).
fn fqdn_reply(exchange: &Exchange, network: &Network, hostname: Option<&str>) -> Option<Vec<u8>> {
    const S: u8 = 0x01;
    const O: u8 = 0x02;
    const E: u8 = 0x04;
    let sent = *exchange.request.option(code::CLIENT_FQDN)?.first()?;
    let own_name = exchange.request.hostname();
    let label = hostname.or(own_name.as_deref().filter(|name| !is_reserved_name(name)))?;
    let flags = S | if sent & S == 0 { O } else { 0 } | (sent & E);
    let mut option = vec![flags, 255, 255];
    if sent & E == 0 {
        option.extend_from_slice(format!("{label}.{}", network.domain).as_bytes());
        return Some(option);
    }
    let labels = std::iter::once(label).chain(network.domain.split('.'));
    for label in labels.filter(|label| !label.is_empty()) {
        option.push(u8::try_from(label.len()).ok().filter(|len| *len <= 63)?);
        option.extend_from_slice(label.as_bytes());
    }
    option.push(0);
    Some(option)
}

/// What is sent back as it came: subnet selection (RFC 3011), client identifier (RFC 6842), and
/// relay agent information, whole and last (RFC 3046).
fn tail(exchange: &Exchange) -> Vec<u8> {
    let mut bytes = Vec::new();
    for echoed in [code::SUBNET_SELECTION, code::CLIENT_ID, code::RELAY_INFO] {
        if let Some(value) = exchange.request.option(echoed) {
            write(&mut bytes, echoed, value);
        }
    }
    bytes
}

fn mask(network: &Network) -> Ipv4Addr {
    let len = u32::from(network.subnet.1.min(32));
    Ipv4Addr::from(u32::MAX.checked_shl(32 - len).unwrap_or(0))
}

/// Options written so far, within what the client takes.
struct Encoded {
    bytes: Vec<u8>,
    written: [bool; 256],
    /// How many bytes of options the client takes, END not counted.
    room: usize,
}

impl Encoded {
    fn new(max_message_size: Option<u16>) -> Encoded {
        let datagram = max_message_size.unwrap_or(0).clamp(DEFAULT_DATAGRAM, MAX_DATAGRAM);
        let room = usize::from(datagram) - HEADERS - FIXED - 1;
        Encoded { bytes: Vec::new(), written: [false; 256], room }
    }

    /// Keeps room for what comes last.
    fn reserve(&mut self, tail: &[u8]) {
        self.room = self.room.saturating_sub(tail.len());
    }

    /// Writes an option no reply goes without.
    fn own(&mut self, code: u8, value: &[u8]) {
        self.written[usize::from(code)] = true;
        write(&mut self.bytes, code, value);
    }

    /// Writes an option once, if there is room: the client put first what it needs most.
    fn put(&mut self, code: u8, value: &[u8]) {
        let len = value.len() + 2 * value.len().div_ceil(255).max(1);
        if self.written[usize::from(code)] || self.bytes.len() + len > self.room {
            return;
        }
        self.own(code, value);
    }

    fn finish(mut self, tail: &[u8]) -> Vec<u8> {
        self.bytes.extend_from_slice(tail);
        self.bytes.push(code::END);
        self.bytes
    }
}

/// Writes an option, in several pieces when it is longer than 255 bytes (RFC 3396).
fn write(bytes: &mut Vec<u8>, code: u8, value: &[u8]) {
    if value.is_empty() {
        bytes.extend_from_slice(&[code, 0]);
    }
    for piece in value.chunks(255) {
        bytes.push(code);
        bytes.push(piece.len() as u8);
        bytes.extend_from_slice(piece);
    }
}
