//! A tiny DHCPv4 client for tests: the bytes of its messages, nothing else.
//!
//! Written from RFC 2131 and RFC 2132 without the DHCP library the server uses, so that the two
//! cannot share a misreading. No sockets and no clock: the caller sends and receives.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// A hardware address on Ethernet.
pub type Mac = [u8; 6];

/// What marks the options of a DHCP message (RFC 2131 section 3).
const MAGIC: [u8; 4] = [99, 130, 83, 99];
/// Where the options begin, after the fixed fields and the magic.
const OPTIONS_AT: usize = 240;
/// The shortest message relays and old devices accept (RFC 1542 section 2.1).
const BOOTP_LEN: usize = 300;

/// Message types (RFC 2132 section 9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Client looks for servers.
    Discover,
    /// Server proposes an address.
    Offer,
    /// Client asks for one address.
    Request,
    /// Client found the address in use.
    Decline,
    /// Server grants.
    Ack,
    /// Server refuses.
    Nak,
    /// Client gives its address back.
    Release,
    /// Client asks for settings only.
    Inform,
}

impl Kind {
    const ALL: [Kind; 8] = [
        Kind::Discover,
        Kind::Offer,
        Kind::Request,
        Kind::Decline,
        Kind::Ack,
        Kind::Nak,
        Kind::Release,
        Kind::Inform,
    ];

    /// The number on the wire.
    pub fn code(self) -> u8 {
        Kind::ALL.iter().zip(1..).find(|(kind, _)| **kind == self).map_or(0, |(_, code)| code)
    }

    fn from_code(code: u8) -> Option<Kind> {
        Kind::ALL.get(usize::from(code.checked_sub(1)?)).copied()
    }
}

/// A message of a client. Options are sent in the order they were added; type 53 comes first.
#[derive(Clone, Debug)]
pub struct Message {
    kind: Kind,
    xid: u32,
    mac: Mac,
    secs: u16,
    broadcast: bool,
    ciaddr: Ipv4Addr,
    giaddr: Ipv4Addr,
    options: Vec<(u8, Vec<u8>)>,
}

impl Message {
    /// A message of `kind` from the client with hardware address `mac`, all else unset.
    pub fn new(kind: Kind, mac: Mac, xid: u32) -> Message {
        Message {
            kind,
            xid,
            mac,
            secs: 0,
            broadcast: false,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            giaddr: Ipv4Addr::UNSPECIFIED,
            options: Vec::new(),
        }
    }

    /// Seconds since the client began.
    pub fn secs(self, secs: u16) -> Message {
        Message { secs, ..self }
    }

    /// Asks for broadcast answers (the client cannot receive unicast yet).
    pub fn broadcast(self) -> Message {
        Message { broadcast: true, ..self }
    }

    /// The address the client has and uses.
    pub fn ciaddr(self, ciaddr: Ipv4Addr) -> Message {
        Message { ciaddr, ..self }
    }

    /// The relay agent the message came through.
    pub fn giaddr(self, giaddr: Ipv4Addr) -> Message {
        Message { giaddr, ..self }
    }

    /// Adds an option.
    pub fn option(mut self, code: u8, value: impl Into<Vec<u8>>) -> Message {
        self.options.push((code, value.into()));
        self
    }

    /// Adds the host name (option 12).
    pub fn hostname(self, name: &str) -> Message {
        self.option(12, name)
    }

    /// Adds the wanted address (option 50).
    pub fn requested(self, addr: Ipv4Addr) -> Message {
        self.option(50, addr.octets())
    }

    /// Adds the chosen server (option 54).
    pub fn server(self, addr: Ipv4Addr) -> Message {
        self.option(54, addr.octets())
    }

    /// The message on the wire (the payload of UDP), padded to the old BOOTP length.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![1, 1, 6, 0];
        out.extend_from_slice(&self.xid.to_be_bytes());
        out.extend_from_slice(&self.secs.to_be_bytes());
        out.extend_from_slice(&if self.broadcast { [0x80, 0] } else { [0, 0] });
        out.extend_from_slice(&self.ciaddr.octets());
        out.extend_from_slice(&[0; 8]); // yiaddr and siaddr are the server's to fill
        out.extend_from_slice(&self.giaddr.octets());
        out.extend_from_slice(&self.mac);
        out.resize(OPTIONS_AT - MAGIC.len(), 0); // rest of chaddr, sname, file
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[53, 1, self.kind.code()]);
        for (code, value) in &self.options {
            let len = u8::try_from(value.len()).expect("no option of a test exceeds 255 bytes");
            out.extend_from_slice(&[*code, len]);
            out.extend_from_slice(value);
        }
        out.push(255);
        if out.len() < BOOTP_LEN {
            out.resize(BOOTP_LEN, 0);
        }
        out
    }
}

/// A server's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What it says.
    pub kind: Kind,
    /// Which of the client's exchanges it belongs to.
    pub xid: u32,
    /// The client's hardware address.
    pub mac: Mac,
    /// The address for the client.
    pub yiaddr: Ipv4Addr,
    /// The relay agent it went through.
    pub giaddr: Ipv4Addr,
    /// All options, by code; parts of one option are joined (RFC 3396).
    pub options: BTreeMap<u8, Vec<u8>>,
}

impl Reply {
    /// Reads the payload of a UDP datagram; `None` unless it is a whole DHCP reply.
    pub fn parse(bytes: &[u8]) -> Option<Reply> {
        if bytes.first() != Some(&2) || bytes.get(236..OPTIONS_AT)? != MAGIC {
            return None;
        }
        let address = |at: usize| -> Option<Ipv4Addr> {
            Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?))
        };
        let options = parse_options(bytes.get(OPTIONS_AT..)?)?;
        Some(Reply {
            kind: Kind::from_code(*options.get(&53)?.first()?)?,
            xid: u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?),
            mac: bytes.get(28..34)?.try_into().ok()?,
            yiaddr: address(16)?,
            giaddr: address(24)?,
            options,
        })
    }

    /// The server's identifier (option 54).
    pub fn server(&self) -> Option<Ipv4Addr> {
        let bytes: [u8; 4] = self.options.get(&54)?.as_slice().try_into().ok()?;
        Some(Ipv4Addr::from(bytes))
    }

    /// The lease time in seconds (option 51).
    pub fn lease_secs(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.options.get(&51)?.as_slice().try_into().ok()?))
    }

    /// The server's explanation (option 56), if it gave one.
    pub fn message(&self) -> Option<String> {
        self.options.get(&56).map(|text| String::from_utf8_lossy(text).into_owned())
    }
}

/// The options up to END; `None` if one is cut off or END is missing.
fn parse_options(mut rest: &[u8]) -> Option<BTreeMap<u8, Vec<u8>>> {
    let mut options: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    loop {
        match *rest.first()? {
            0 => rest = rest.get(1..)?,
            255 => return Some(options),
            code => {
                let len = usize::from(*rest.get(1)?);
                let value = rest.get(2..2 + len)?;
                options.entry(code).or_default().extend_from_slice(value);
                rest = rest.get(2 + len..)?;
            }
        }
    }
}

/// An Ethernet frame with `payload` broadcast from a client without an address:
/// 0.0.0.0 port 68 to 255.255.255.255 port 67 (RFC 2131 section 4.1).
pub fn broadcast_frame(mac: Mac, payload: &[u8]) -> Vec<u8> {
    let udp_len = u16::try_from(8 + payload.len()).expect("a test's message fits a datagram");
    let mut ip = vec![0x45, 0];
    ip.extend_from_slice(&(20 + udp_len).to_be_bytes());
    ip.extend_from_slice(&[0, 0, 0, 0, 64, 17, 0, 0]);
    ip.extend_from_slice(&[0; 4]);
    ip.extend_from_slice(&[255; 4]);
    let sum = internet_checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());

    let mut frame = vec![0xff; 6];
    frame.extend_from_slice(&mac);
    frame.extend_from_slice(&[0x08, 0x00]);
    frame.extend_from_slice(&ip);
    // A UDP checksum of 0 means "none" (RFC 768); the IP header and DHCP guard themselves.
    for word in [68, 67, udp_len, 0] {
        frame.extend_from_slice(&word.to_be_bytes());
    }
    frame.extend_from_slice(payload);
    frame
}

/// What a frame carries to UDP port 68, if it is such a frame.
pub fn client_payload(frame: &[u8]) -> Option<&[u8]> {
    if frame.get(12..14)? != [0x08, 0x00] {
        return None;
    }
    let ip = frame.get(14..)?;
    let header = usize::from(*ip.first()? & 0x0f) * 4;
    if header < 20 || *ip.get(9)? != 17 || internet_checksum(ip.get(..header)?) != 0 {
        return None;
    }
    let udp = ip.get(header..)?;
    if udp.get(2..4)? != 68_u16.to_be_bytes() {
        return None;
    }
    let len = usize::from(u16::from_be_bytes(udp.get(4..6)?.try_into().ok()?));
    udp.get(8..len)
}

/// The ones' complement sum of RFC 1071; 0 over a header with a right checksum.
fn internet_checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded to 16 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = [2, 0, 0x5e, 0x10, 0, 1];

    #[test]
    fn a_message_begins_with_its_type_and_is_padded_after_the_end() {
        let bytes = Message::new(Kind::Discover, MAC, 7).secs(3).hostname("tv").to_bytes();
        assert_eq!(bytes.len(), BOOTP_LEN);
        assert_eq!(bytes[OPTIONS_AT..OPTIONS_AT + 8], [53, 1, 1, 12, 2, b't', b'v', 255]);
        assert_eq!(bytes[8..10], [0, 3]);
        assert_eq!(bytes[28..34], MAC);
    }

    #[test]
    fn a_frame_is_read_back_only_at_the_clients_port() {
        let mut frame = broadcast_frame(MAC, b"hello");
        assert_eq!(client_payload(&frame), None, "port 67 is the server's");
        frame[36..38].copy_from_slice(&68_u16.to_be_bytes());
        assert_eq!(client_payload(&frame), Some(&b"hello"[..]));
        frame[20] ^= 1;
        assert_eq!(client_payload(&frame), None, "a wrong IP checksum is noticed");
    }

    #[test]
    fn a_reply_without_an_end_or_with_a_cut_option_is_no_reply() {
        let mut bytes = Message::new(Kind::Ack, MAC, 7).option(51, 60_u32.to_be_bytes()).to_bytes();
        assert_eq!(Reply::parse(&bytes), None, "a request is no reply");
        bytes[0] = 2;
        let reply = Reply::parse(&bytes).expect("a whole reply");
        assert_eq!((reply.kind, reply.xid, reply.lease_secs()), (Kind::Ack, 7, Some(60)));
        assert_eq!(Reply::parse(&bytes[..OPTIONS_AT + 3]), None, "no END");
        assert_eq!(Reply::parse(&bytes[..OPTIONS_AT + 7]), None, "cut inside option 51");
    }
}
