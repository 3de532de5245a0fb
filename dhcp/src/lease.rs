//! The words for leases that `dhcp` and `ha` share: who a client is and what is bound to an address.

use std::fmt;
use std::hash::Hasher;
use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::Time;

/// A hardware address of up to 16 bytes with its ARP hardware type (RFC 2131 section 2, `htype`,
/// `hlen`, `chaddr`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HwAddr {
    htype: u8,
    len: u8,
    bytes: [u8; 16],
}

impl HwAddr {
    /// A hardware address of type `htype`; `None` when `bytes` is longer than `chaddr` (16).
    pub fn new(htype: u8, bytes: &[u8]) -> Option<HwAddr> {
        let mut all = [0; 16];
        all.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(HwAddr { htype, len: bytes.len() as u8, bytes: all })
    }

    /// An Ethernet address (hardware type 1).
    pub fn ethernet(mac: [u8; 6]) -> HwAddr {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&mac);
        HwAddr { htype: 1, len: 6, bytes }
    }

    /// The ARP hardware type; 1 is Ethernet.
    pub fn htype(&self) -> u8 {
        self.htype
    }

    /// The address itself, at most 16 bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Whether this is an Ethernet address with the locally administered bit set, as phones use
    /// for their "private" addresses.
    pub fn is_randomised(&self) -> bool {
        self.htype == 1 && self.len == 6 && self.bytes[0] & 0x02 != 0
    }
}

/// `02:00:5e:10:00:01`; other hardware types as `TYPE-aa:bb:..`.
impl fmt::Display for HwAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.htype != 1 {
            write!(f, "{}-", self.htype)?;
        }
        for (i, byte) in self.bytes().iter().enumerate() {
            write!(f, "{}{byte:02x}", if i == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for HwAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What names a client in the lease table: its client identifier (option 61, RFC 2132 section
/// 9.14) where it sent one and the network uses them, else its hardware address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientKey {
    /// The bytes of option 61, type byte included; 1 to 255 of them.
    Id(Arc<[u8]>),
    /// Hardware type and `chaddr`.
    Hw(HwAddr),
}

impl ClientKey {
    /// Feeds the key to a hasher, always in the same way: the two nodes of a pair decide by such
    /// hashes which of them answers, so versions must agree on it. (What `Hash` feeds may change
    /// with the compiler.)
    pub fn feed(&self, hasher: &mut impl Hasher) {
        match self {
            ClientKey::Id(id) => {
                hasher.write_u8(0);
                hasher.write(id);
            }
            ClientKey::Hw(hw) => {
                hasher.write_u8(1);
                hasher.write_u8(hw.htype());
                hasher.write(hw.bytes());
            }
        }
    }
}

/// `id:ff0a0b..` or `hw:02:00:5e:10:00:01`.
impl fmt::Display for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientKey::Hw(hw) => write!(f, "hw:{hw}"),
            ClientKey::Id(id) => {
                f.write_str("id:")?;
                id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The client of a binding as the server last saw it. Everything here came from the network and
/// is untrusted text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// What the binding is keyed by.
    pub key: ClientKey,
    /// The hardware address of its last message.
    pub hw: HwAddr,
    /// The host name it asked for (options 12 or 81), already reduced to one DNS label of
    /// letters, digits and inner hyphens; `None` where it sent none or nothing usable was left.
    pub hostname: Option<Arc<str>>,
    /// Vendor class (option 60) as sent, at most 255 bytes.
    pub vendor_class: Option<Arc<[u8]>>,
    /// Relay agent information (option 82) as received, for display and for staging.
    pub relay_info: Option<Arc<[u8]>>,
}

/// The state of a binding. RESERVED is a matter of configuration and OFFERED of one node's
/// memory; neither is a binding state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BindingState {
    /// Nobody's: the owner of the address may grant it.
    Free,
    /// Leased; the client may use it until the binding's expiry.
    Active,
    /// The lease ran out; not free before the partner agreed (R3).
    Expired,
    /// The client gave it back; not free before the partner agreed (R3).
    Released,
    /// A client reported it in use by somebody else; out of service for a while.
    Declined,
}

/// What a lease book tells of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub addr: Ipv4Addr,
    /// Its state.
    pub state: BindingState,
    /// The client it is, or last was, bound to; `None` only for an address never granted or
    /// declined without a known client.
    pub client: Option<Client>,
    /// When the client last talked to a server about it (client last transaction time).
    pub cltt: Time,
    /// When the client must stop using it.
    pub expiry: Time,
}
