//! One message of a client, read once and for all.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use dhcproto::v4::MessageType;

use crate::hostname;
use crate::options::{Options, code, four_bytes, relay_code, sub_option};
use crate::{ClientKey, HwAddr};

/// The fixed part of a message, cookie included (RFC 2131 section 2, RFC 951).
const HEADER_LEN: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Relay agents a message may have passed (RFC 1542 section 4.1.1).
const MAX_HOPS: u8 = 16;

/// Why a packet is no DHCP message of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Malformed {
    /// Shorter than the fixed part.
    #[error("too short")]
    TooShort,
    /// Not a request (`op` is not 1).
    #[error("not a request")]
    NotARequest,
    /// A hardware address longer than its field.
    #[error("hardware address of more than 16 bytes")]
    HwAddrLength,
    /// No magic cookie: plain BOOTP, or garbage.
    #[error("no magic cookie")]
    NoCookie,
    /// No message type: BOOTP with vendor extensions.
    #[error("no message type")]
    NoMessageType,
    /// It passed too many relay agents, likely a loop.
    #[error("too many hops")]
    TooManyHops,
    /// Neither a hardware address nor a client identifier.
    #[error("nothing names the client")]
    Nameless,
}

/// One message of a client.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) kind: MessageType,
    pub(crate) xid: u32,
    pub(crate) secs: u16,
    pub(crate) flags: u16,
    pub(crate) ciaddr: Ipv4Addr,
    pub(crate) giaddr: Ipv4Addr,
    pub(crate) hw: HwAddr,
    options: Options,
}

impl Request {
    /// Reads a message.
    pub(crate) fn parse(packet: &[u8]) -> Result<Request, Malformed> {
        let (header, field) =
            packet.split_first_chunk::<HEADER_LEN>().ok_or(Malformed::TooShort)?;
        // The length of the hardware address is judged before anything looks at the address.
        let [op, htype, hlen, hops, ..] = *header;
        if op != 1 {
            return Err(Malformed::NotARequest);
        }
        if header[236..] != COOKIE {
            return Err(Malformed::NoCookie);
        }
        let chaddr = header[28..44].get(..usize::from(hlen)).ok_or(Malformed::HwAddrLength)?;
        let hw = HwAddr::new(htype, chaddr).ok_or(Malformed::HwAddrLength)?;
        if hops > MAX_HOPS {
            return Err(Malformed::TooManyHops);
        }
        let options = Options::read(field, &header[108..236], &header[44..108]);
        let kind = match options.get(code::MESSAGE_TYPE) {
            Some([kind, ..]) => MessageType::from(*kind),
            _ => return Err(Malformed::NoMessageType),
        };
        let word = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
        let request = Request {
            kind,
            xid: u32::from_be_bytes(word(4)),
            secs: u16::from_be_bytes([header[8], header[9]]),
            flags: u16::from_be_bytes([header[10], header[11]]),
            ciaddr: Ipv4Addr::from(word(12)),
            giaddr: Ipv4Addr::from(word(24)),
            hw,
            options,
        };
        if hlen == 0 && request.client_id().is_none() {
            return Err(Malformed::Nameless);
        }
        Ok(request)
    }

    /// The value of an option, as sent.
    pub(crate) fn option(&self, code: u8) -> Option<&[u8]> {
        self.options.get(code)
    }

    /// The client identifier (option 61); the type byte alone names nobody.
    pub(crate) fn client_id(&self) -> Option<ClientKey> {
        let id = self.option(code::CLIENT_ID)?;
        // Pieces may add up to more than one option can hold; such an identifier is nobody's.
        (2..=255).contains(&id.len()).then(|| ClientKey::Id(Arc::from(id)))
    }

    /// The address the client asks for (option 50).
    pub(crate) fn requested_addr(&self) -> Option<Ipv4Addr> {
        self.addr_option(code::REQUESTED_ADDRESS)
    }

    /// The server the message is for (option 54).
    pub(crate) fn server_id(&self) -> Option<Ipv4Addr> {
        self.addr_option(code::SERVER_ID)
    }

    /// The subnet the client wants an address on (option 118, RFC 3011).
    pub(crate) fn subnet_selection(&self) -> Option<Ipv4Addr> {
        self.addr_option(code::SUBNET_SELECTION)
    }

    /// The lease time the client asks for (option 51); zero asks for nothing.
    pub(crate) fn lease_time(&self) -> Option<Duration> {
        let secs = u32::from_be_bytes(four_bytes(self.option(code::LEASE_TIME)?)?);
        (secs != 0).then(|| Duration::from_secs(u64::from(secs)))
    }

    /// The options the client asks for, in its order (option 55).
    pub(crate) fn parameter_list(&self) -> Option<&[u8]> {
        self.option(code::PARAMETER_LIST)
    }

    /// The largest datagram, IP and UDP headers included, the client takes (option 57).
    pub(crate) fn max_message_size(&self) -> Option<u16> {
        self.option(code::MAX_MESSAGE_SIZE)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// How long the client has been trying, in seconds. Some clients send the field with its
    /// bytes swapped.
    pub(crate) fn secs_trying(&self) -> u16 {
        if self.secs > 255 && self.secs & 0xff == 0 { self.secs.swap_bytes() } else { self.secs }
    }

    /// Whether the client cannot take unicast before it has an address (RFC 2131 section 2).
    pub(crate) fn wants_broadcast(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// Whether a relay agent passed the message on.
    pub(crate) fn is_relayed(&self) -> bool {
        !self.giaddr.is_unspecified()
    }

    /// What the relay agent wrote into option 82 under `code`. A message that no relay agent
    /// passed on has nothing to say here: the client would have written it itself.
    pub(crate) fn relay_option(&self, code: u8) -> Option<&[u8]> {
        if !self.is_relayed() {
            return None;
        }
        sub_option(self.option(code::RELAY_INFO)?, code)
    }

    /// An address the relay agent wrote into option 82.
    pub(crate) fn relay_addr_option(&self, code: u8) -> Option<Ipv4Addr> {
        four_bytes(self.relay_option(code)?).map(Ipv4Addr::from)
    }

    /// Whether the relay agent wants to be answered at the port it sent from (RFC 8357).
    pub(crate) fn answer_to_source_port(&self) -> bool {
        self.relay_option(relay_code::SOURCE_PORT).is_some()
    }

    /// The name the client calls itself: option 81, else option 12, reduced to one label.
    pub(crate) fn hostname(&self) -> Option<Arc<str>> {
        self.option(code::CLIENT_FQDN)
            .and_then(hostname::from_fqdn_option)
            .or_else(|| self.option(code::HOST_NAME).and_then(hostname::host_name))
    }

    fn addr_option(&self, code: u8) -> Option<Ipv4Addr> {
        four_bytes(self.option(code)?).map(Ipv4Addr::from).filter(|addr| !addr.is_unspecified())
    }
}
