//! The frames two nodes exchange (pair protocol, section 6), as protobuf messages.
//!
//! **Versions.** HELLO carries the range of protocol versions a node speaks; both then speak the
//! highest common one ([`agree`]). A release speaks its own version and the one before, so hosts
//! are updated one after the other, in any order. The rules that make this work:
//! - a field or a kind of frame is only ever added, with a new number, and numbers are never
//!   used again; its absence means what the older version did;
//! - a field that changes what a binding *means* is sent only where the agreed version has it,
//!   because an older node stores and passes on a binding without the fields it does not know;
//! - a kind of frame a node does not know is skipped.
//!
//! All times on the wire are durations from the instant of sending, so clocks are never compared.
//! Nothing here panics on foreign bytes; what does not decode is a [`WireError`].

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use lanward_dhcp::{BindingState, Client, ClientKey, HwAddr, Time};
use prost::{Message, Oneof};

use crate::binding::{Binding, Versions};
use crate::{PairState, Rank, ServiceReport};

/// The protocol version of this release.
pub(crate) const PROTOCOL: u32 = 2;
/// The oldest protocol version this release speaks.
pub(crate) const PROTOCOL_OLDEST: u32 = 1;

/// The highest version both ends speak.
pub(crate) fn agree(oldest: u32, newest: u32) -> Option<u32> {
    let version = PROTOCOL.min(newest);
    (version >= PROTOCOL_OLDEST && version >= oldest).then_some(version)
}

/// Why bytes of the partner were not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    #[error("a frame is not a protobuf message: {0}")]
    Malformed(#[from] prost::DecodeError),
    #[error("a frame lacks {0}, or has it wrong")]
    Field(&'static str),
}

/// One frame.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Frame {
    #[prost(oneof = "Body", tags = "1, 2, 3, 4, 6, 7, 11, 12, 13, 20, 21, 22, 23")]
    pub(crate) body: Option<Body>,
}

/// What a frame says. The handshakes of recovery and of an orderly stop need no frames of their
/// own: each step is a state, announced when it is durable.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Body {
    #[prost(message, tag = "1")]
    Hello(Hello),
    #[prost(message, tag = "2")]
    State(Announce),
    #[prost(message, tag = "3")]
    Updates(Updates),
    #[prost(message, tag = "4")]
    Acks(Acks),
    /// All that was to be sent after the break has been sent and confirmed.
    #[prost(message, tag = "6")]
    UpdatesDone(Empty),
    /// The receiver was taken out of the pair: it is to stop in order. Since version 2.
    #[prost(message, tag = "7")]
    Removed(Empty),
    #[prost(message, tag = "11")]
    Contact(Contact),
    /// A part of a message of the settings document.
    #[prost(message, tag = "12")]
    Settings(SettingsPart),
    /// The addresses of the sender's host.
    #[prost(message, tag = "13")]
    Host(Host),
    /// Who holds which service address.
    #[prost(message, tag = "20")]
    Service(Service),
    /// Login sessions.
    #[prost(message, tag = "21")]
    Sessions(Opaque),
    /// Copies of blocklists.
    #[prost(message, tag = "22")]
    Lists(Opaque),
    /// The certificate authority, with its key: the link is encrypted, and its other end is the
    /// partner. A release that does not know it passes over it.
    #[prost(message, tag = "23")]
    Authority(Opaque),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Empty {}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Hello {
    #[prost(uint32, tag = "1")]
    pub(crate) newest: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) oldest: u32,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) cluster: Vec<u8>,
    #[prost(string, tag = "4")]
    pub(crate) node: String,
    #[prost(uint32, tag = "5")]
    pub(crate) rank: u32,
    #[prost(bytes = "vec", tag = "6")]
    pub(crate) store: Vec<u8>,
    #[prost(uint32, tag = "7")]
    pub(crate) state: u32,
    /// Whether this store was ever served from.
    #[prost(bool, tag = "8")]
    pub(crate) served: bool,
    #[prost(uint64, tag = "9")]
    pub(crate) mclt_ms: u64,
    /// The store of the receiver, as far as the sender remembers one.
    #[prost(bytes = "vec", tag = "10")]
    pub(crate) your_store: Vec<u8>,
    /// How often the sender has started.
    #[prost(uint64, tag = "11")]
    pub(crate) incarnation: u64,
    /// The receiver lost what it promised, as far as the sender knows. Since version 2, like all
    /// below.
    #[prost(bool, tag = "12")]
    pub(crate) you_lost: bool,
    /// In STARTUP, the state the sender would go on in.
    #[prost(uint32, tag = "13")]
    pub(crate) resumes: u32,
    /// Names this start of the sender; in earlier releases when it started, on its own clock.
    #[prost(uint64, tag = "14")]
    pub(crate) life: u64,
    /// For how long addresses without a record are held back, by half.
    #[prost(uint64, tag = "15")]
    pub(crate) even_held_ms: u64,
    #[prost(uint64, tag = "16")]
    pub(crate) odd_held_ms: u64,
    /// The number of the last meeting in NORMAL that the sender entered.
    #[prost(uint64, tag = "17")]
    pub(crate) meetings: u64,
    /// The number of the last one that the receiver entered too, as far as the sender knows: a
    /// receiver that does not remember it has an older copy of its store.
    #[prost(uint64, tag = "18")]
    pub(crate) met: u64,
}

/// The sender entered a state, durably.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Announce {
    #[prost(uint32, tag = "1")]
    pub(crate) state: u32,
    #[prost(string, tag = "2")]
    pub(crate) reason: String,
}

/// At most [`UPDATES_A_FRAME`] bindings, with the state their sender was in when it sent them.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Updates {
    #[prost(uint32, tag = "1")]
    pub(crate) state: u32,
    #[prost(message, repeated, tag = "2")]
    pub(crate) updates: Vec<Update>,
}

/// How many updates travel in one frame.
pub(crate) const UPDATES_A_FRAME: usize = 64;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Update {
    /// Names this update until it is answered; never reused on one link.
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(fixed32, tag = "2")]
    pub(crate) addr: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) state: u32,
    #[prost(message, optional, tag = "4")]
    pub(crate) client: Option<ClientFields>,
    /// How long ago the client was heard.
    #[prost(uint64, tag = "5")]
    pub(crate) age_ms: u64,
    /// How long the client may use the address; negative once it may not.
    #[prost(sint64, tag = "6")]
    pub(crate) expiry_ms: i64,
    /// How long the sender may have let the client use it by the time it is heard again.
    #[prost(uint64, tag = "7")]
    pub(crate) potential_ms: u64,
    #[prost(uint64, tag = "8")]
    pub(crate) hold_ms: u64,
    #[prost(uint64, tag = "9")]
    pub(crate) version_zero: u64,
    #[prost(uint64, tag = "10")]
    pub(crate) version_one: u64,
    /// Since version 2, like the next.
    #[prost(fixed64, tag = "11")]
    pub(crate) pledge: u64,
    #[prost(bool, tag = "12")]
    pub(crate) withdrawing: bool,
    /// The version that last gave or prolonged the lease; zero from who does not know it.
    #[prost(uint64, tag = "13")]
    pub(crate) granted_zero: u64,
    #[prost(uint64, tag = "14")]
    pub(crate) granted_one: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ClientFields {
    /// Option 61, empty where the client is known by its hardware address.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) id: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub(crate) htype: u32,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) hw: Vec<u8>,
    #[prost(string, tag = "4")]
    pub(crate) hostname: String,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) vendor_class: Vec<u8>,
    #[prost(bytes = "vec", tag = "6")]
    pub(crate) relay_info: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Acks {
    #[prost(message, repeated, tag = "1")]
    pub(crate) acks: Vec<Ack>,
}

/// The answer to one update: it is on the sender's disk, or the sender knows better and sends
/// what it knows.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Ack {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(bool, tag = "2")]
    pub(crate) accepted: bool,
}

/// A document's message may be larger than a frame: it travels in parts, in order.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SettingsPart {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) bytes: Vec<u8>,
    /// Another part of the same message follows.
    #[prost(bool, tag = "2")]
    pub(crate) more: bool,
}

/// How much of a document's message travels in one frame.
pub(crate) const SETTINGS_PART: usize = 256 * 1024;
/// The largest message of a document that is put together; a household's is a hundredth of it.
pub(crate) const SETTINGS_LARGEST: usize = 64 * 1024 * 1024;

/// A message that is carried and not looked into.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Opaque {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) bytes: Vec<u8>,
}

/// The largest such message.
pub(crate) const ASIDE_LARGEST: usize = 256 * 1024;

/// The addresses of a host: 4 or 16 bytes each.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Host {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(crate) addresses: Vec<Vec<u8>>,
}

impl Host {
    pub(crate) fn of(addresses: &[IpAddr]) -> Host {
        Host { addresses: addresses_out(addresses) }
    }

    pub(crate) fn read(&self) -> Result<Vec<IpAddr>, WireError> {
        addresses_in(&self.addresses)
    }
}

fn addresses_out(addresses: &[IpAddr]) -> Vec<Vec<u8>> {
    let bytes = |addr: &IpAddr| match addr {
        IpAddr::V4(addr) => addr.octets().to_vec(),
        IpAddr::V6(addr) => addr.octets().to_vec(),
    };
    addresses.iter().map(bytes).collect()
}

fn addresses_in(addresses: &[Vec<u8>]) -> Result<Vec<IpAddr>, WireError> {
    let addr = |bytes: &Vec<u8>| {
        let v4 = <[u8; 4]>::try_from(bytes.as_slice()).map(IpAddr::from);
        let v6 = <[u8; 16]>::try_from(bytes.as_slice()).map(IpAddr::from);
        v4.or(v6).map_err(|_| WireError::Field("an address"))
    };
    addresses.iter().map(addr).collect()
}

/// What a node says of the service addresses. Addresses are 4 or 16 bytes each.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Service {
    #[prost(bool, tag = "1")]
    pub(crate) capable: bool,
    #[prost(bool, tag = "2")]
    pub(crate) dns_ok: bool,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub(crate) can: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub(crate) held: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "5")]
    pub(crate) offered: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub(crate) macs: Vec<Vec<u8>>,
}

impl Service {
    pub(crate) fn of(report: &ServiceReport) -> Service {
        Service {
            capable: report.capable,
            dns_ok: report.dns_ok,
            can: addresses_out(&report.can),
            held: addresses_out(&report.held),
            offered: addresses_out(&report.offered),
            macs: report.macs.iter().map(|mac| mac.to_vec()).collect(),
        }
    }

    pub(crate) fn read(&self) -> Result<ServiceReport, WireError> {
        let mac = |mac: &Vec<u8>| {
            mac.as_slice().try_into().map_err(|_| WireError::Field("a hardware address"))
        };
        Ok(ServiceReport {
            capable: self.capable,
            dns_ok: self.dns_ok,
            can: addresses_in(&self.can)?,
            held: addresses_in(&self.held)?,
            offered: addresses_in(&self.offered)?,
            macs: self.macs.iter().map(mac).collect::<Result<_, _>>()?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Contact {
    /// Whether the sender answers clients.
    #[prost(bool, tag = "1")]
    pub(crate) serving: bool,
    #[prost(message, repeated, tag = "2")]
    pub(crate) free: Vec<FreeCount>,
    /// The sender's node time, to show how far the clocks are apart.
    #[prost(uint64, tag = "3")]
    pub(crate) clock_ms: u64,
    /// The sender knows that the receiver is about to stop answering, and answers everybody.
    #[prost(bool, tag = "4")]
    pub(crate) covering: bool,
}

/// How many addresses of its own half the sender can still grant on a network.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FreeCount {
    #[prost(string, tag = "1")]
    pub(crate) network: String,
    #[prost(uint64, tag = "2")]
    pub(crate) free: u64,
}

impl Body {
    pub(crate) fn into_frame(self) -> Vec<u8> {
        Frame { body: Some(self) }.encode_to_vec()
    }

    /// The body of a frame; `None` for a kind this version does not know.
    pub(crate) fn from_frame(bytes: &[u8]) -> Result<Option<Body>, WireError> {
        Ok(Frame::decode(bytes)?.body)
    }
}

impl ClientFields {
    pub(crate) fn of(client: &Client) -> ClientFields {
        ClientFields {
            id: match &client.key {
                ClientKey::Id(id) => id.to_vec(),
                ClientKey::Hw(_) => Vec::new(),
            },
            htype: u32::from(client.hw.htype()),
            hw: client.hw.bytes().to_vec(),
            hostname: client.hostname.as_deref().unwrap_or_default().to_owned(),
            vendor_class: client.vendor_class.as_deref().unwrap_or_default().to_vec(),
            relay_info: client.relay_info.as_deref().unwrap_or_default().to_vec(),
        }
    }

    pub(crate) fn read(self) -> Result<Client, WireError> {
        let hw = u8::try_from(self.htype)
            .ok()
            .and_then(|htype| HwAddr::new(htype, &self.hw))
            .ok_or(WireError::Field("a hardware address"))?;
        let key = match self.id.len() {
            0 => ClientKey::Hw(hw),
            1..=255 => ClientKey::Id(Arc::from(self.id)),
            _ => return Err(WireError::Field("a client identifier")),
        };
        Ok(Client {
            key,
            hw,
            hostname: (!self.hostname.is_empty()).then(|| Arc::from(self.hostname)),
            vendor_class: (!self.vendor_class.is_empty()).then(|| Arc::from(self.vendor_class)),
            relay_info: (!self.relay_info.is_empty()).then(|| Arc::from(self.relay_info)),
        })
    }
}

impl Update {
    /// A binding as it travels at `now`.
    pub(crate) fn of(id: u64, binding: &Binding, now: Time) -> Update {
        let left = millis(binding.client_expiry.since(now));
        let over = millis(now.since(binding.client_expiry));
        let Versions([version_zero, version_one]) = binding.versions;
        let Versions([granted_zero, granted_one]) = binding.granted;
        Update {
            id,
            addr: u32::from(binding.addr),
            state: state_number(binding.state),
            client: binding.client.as_ref().map(ClientFields::of),
            age_ms: millis(now.since(binding.cltt)),
            expiry_ms: i64::try_from(left).unwrap_or(i64::MAX)
                - i64::try_from(over).unwrap_or(i64::MAX),
            potential_ms: millis(binding.told_potential().since(now)),
            hold_ms: millis(binding.hold_until.since(now)),
            version_zero,
            version_one,
            pledge: binding.pledge,
            withdrawing: binding.withdrawing,
            granted_zero,
            granted_one,
        }
    }

    /// The binding as its receiver understands it at `now`: the partner's promise becomes the
    /// received potential.
    pub(crate) fn read(self, now: Time) -> Result<Binding, WireError> {
        let expiry = Duration::from_millis(self.expiry_ms.unsigned_abs());
        Ok(Binding {
            state: state_from(self.state)?,
            client: self.client.map(ClientFields::read).transpose()?,
            cltt: now - Duration::from_millis(self.age_ms),
            client_expiry: if self.expiry_ms < 0 { now - expiry } else { now + expiry },
            recv_potential: now + Duration::from_millis(self.potential_ms),
            hold_until: match self.hold_ms {
                0 => Time::ZERO,
                left => now + Duration::from_millis(left),
            },
            versions: Versions([self.version_zero, self.version_one]),
            granted: Versions([self.granted_zero, self.granted_one]),
            pledge: self.pledge,
            withdrawing: self.withdrawing,
            partner_knows: true,
            ..Binding::untouched(Ipv4Addr::from(self.addr))
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn state_number(state: BindingState) -> u32 {
    match state {
        BindingState::Free => 0,
        BindingState::Active => 1,
        BindingState::Expired => 2,
        BindingState::Released => 3,
        BindingState::Declined => 4,
    }
}

pub(crate) fn state_from(number: u32) -> Result<BindingState, WireError> {
    Ok(match number {
        0 => BindingState::Free,
        1 => BindingState::Active,
        2 => BindingState::Expired,
        3 => BindingState::Released,
        4 => BindingState::Declined,
        _ => return Err(WireError::Field("a binding's state")),
    })
}

pub(crate) fn pair_state_number(state: PairState) -> u32 {
    match state {
        PairState::Standalone => 0,
        PairState::Startup => 1,
        PairState::Normal => 2,
        PairState::CommunicationsInterrupted => 3,
        PairState::PartnerDown => 4,
        PairState::Recover => 5,
        PairState::RecoverWait => 6,
        PairState::RecoverDone => 7,
        PairState::Conflict => 8,
        PairState::Shutdown => 9,
    }
}

pub(crate) fn pair_state_from(number: u32) -> Result<PairState, WireError> {
    Ok(match number {
        0 => PairState::Standalone,
        1 => PairState::Startup,
        2 => PairState::Normal,
        3 => PairState::CommunicationsInterrupted,
        4 => PairState::PartnerDown,
        5 => PairState::Recover,
        6 => PairState::RecoverWait,
        7 => PairState::RecoverDone,
        8 => PairState::Conflict,
        9 => PairState::Shutdown,
        _ => return Err(WireError::Field("a node's state")),
    })
}

/// 16 bytes of an id; `None` where the sender left it out.
pub(crate) fn id_from(bytes: &[u8]) -> Result<Option<[u8; 16]>, WireError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    bytes.try_into().map(Some).map_err(|_| WireError::Field("an id"))
}

pub(crate) fn rank_from(number: u32) -> Result<Rank, WireError> {
    Rank::from_index(number).ok_or(WireError::Field("a rank"))
}
