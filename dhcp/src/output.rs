//! What the server wants done: packets sent, addresses probed; and what it tells the operator.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::request::Malformed;
use crate::{ClientKey, HwAddr, NetworkId, Refusal};

/// One thing for the shell to do, or to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a packet.
    Transmit(Transmit),
    /// Ask the link whether an address is in use, and report by `Server::handle_probe`.
    Probe(Probe),
    /// A packet was not answered. Counted as well; a shell logs it at its lowest level.
    Dropped(Dropped),
    /// Something worth a line in the log.
    Event(Event),
}

/// A packet to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The network on whose interface it leaves; `None`: the host's routes decide.
    pub network: Option<NetworkId>,
    /// Where to.
    pub destination: Destination,
    /// The source address to send from: the address the client or relay agent knows this server by.
    pub source: Ipv4Addr,
    /// The UDP payload, at least 300 bytes.
    pub payload: Vec<u8>,
}

/// How a packet reaches its client (RFC 2131 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A relay agent, by UDP.
    Relay {
        /// Its `giaddr`.
        addr: Ipv4Addr,
        /// The port it asked to be answered at (RFC 8357); `None`: the server port.
        port: Option<u16>,
    },
    /// A client that has its address already: UDP to the client port.
    Unicast(Ipv4Addr),
    /// A client that has no address yet: a frame to its hardware address, holding a UDP packet to
    /// `addr` and the client port. `network` is set.
    Link {
        /// The client's hardware address; always Ethernet, 6 bytes.
        hw: HwAddr,
        /// The address the client is about to have.
        addr: Ipv4Addr,
    },
    /// 255.255.255.255, the client port, on the interface of `network` (which is set).
    Broadcast,
}

/// Names a probe until it is answered. Never reused by one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeId(pub u64);

/// A question to the link: does anybody use this address?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Comes back with the result.
    pub id: ProbeId,
    /// The network the address is in.
    pub network: NetworkId,
    /// The address.
    pub addr: Ipv4Addr,
    /// How to ask.
    pub how: ProbeHow,
}

/// How to ask for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeHow {
    /// One ARP request with an empty sender address (RFC 5227 section 2.1.1), on the interface of
    /// the network.
    Arp,
    /// One ICMP echo request: the network is behind a relay agent.
    Icmp,
}

/// What became of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// Nobody answered in time.
    Silent,
    /// Somebody answered: the hardware address, where the probe can tell it.
    Answered(Option<HwAddr>),
    /// The host does not allow probing; the server goes on without.
    Unavailable,
}

/// Why a packet was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Dropped {
    /// The packet is not a DHCP message.
    #[error("not a DHCP message: {0}")]
    Malformed(Malformed),
    /// A message type that servers send, or one this server does not know.
    #[error("not a message for a server")]
    NotForServers,
    /// No configured network fits where it came from.
    #[error("no network with DHCP fits it")]
    NoNetwork,
    /// No address of this node to answer from is known on that network.
    #[error("no own address is known there")]
    NoServerAddress,
    /// There is no way to reach the client: no interface, no address, no relay agent.
    #[error("the client cannot be reached")]
    Unreachable,
    /// It names another server.
    #[error("it is meant for another server")]
    ForAnotherServer,
    /// This node serves nobody in its present state.
    #[error("this node serves nobody now")]
    NotServing,
    /// The partner answers this client.
    #[error("left to the partner")]
    LeftToPartner,
    /// The client asks for an address no record of it exists for.
    #[error("no record of this client at this address")]
    NoRecord,
    /// The address is no longer one that is given out.
    #[error("the address is no longer given out")]
    NotServed,
    /// The address is not one of this client's.
    #[error("the address is not this client's")]
    NotTheirs,
    /// No address is left that this node may grant.
    #[error("no free address")]
    PoolExhausted,
    /// Somebody else was found to use the address.
    #[error("somebody else uses the address")]
    AddressInUse,
    /// A DECLINE of a client that declined too many addresses.
    #[error("the client declined too many addresses")]
    Misbehaving,
    /// The lease book cannot vouch for the address, and the link could not be asked who uses it.
    #[error("it cannot be shown that nobody else has the address")]
    NotProven,
    /// The same message is being worked on.
    #[error("a repetition of a message in work")]
    Repeated,
    /// Too much is in flight.
    #[error("too much in flight")]
    Overloaded,
    /// The lease book refused.
    #[error("the lease book refused: {0:?}")]
    Refused(Refusal),
    /// The lease book did not settle the change in time.
    #[error("the change was not settled in time")]
    NotSettled,
}

/// Something worth a line in the log. Names in here came from the network and are untrusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An address was offered.
    Offered {
        /// Where.
        network: NetworkId,
        /// What.
        addr: Ipv4Addr,
        /// To whom.
        client: ClientKey,
    },
    /// A lease was granted or prolonged, and the client told.
    Leased {
        /// Where.
        network: NetworkId,
        /// What.
        addr: Ipv4Addr,
        /// To whom.
        client: ClientKey,
        /// The client's hardware address.
        hw: HwAddr,
        /// What the client calls itself.
        hostname: Option<Arc<str>>,
        /// For how long.
        lease: Duration,
        /// Whether the client had this address already.
        renewal: bool,
    },
    /// The client was told that it may not have the address (NAK).
    Denied {
        /// Where the client is.
        network: NetworkId,
        /// The address it asked for.
        addr: Ipv4Addr,
        /// Who.
        client: ClientKey,
        /// Why.
        reason: Denial,
    },
    /// A client gave its address back.
    Released {
        /// Where.
        network: NetworkId,
        /// What.
        addr: Ipv4Addr,
        /// Who.
        client: ClientKey,
    },
    /// A client found its address in use by somebody else.
    Declined {
        /// Where.
        network: NetworkId,
        /// What.
        addr: Ipv4Addr,
        /// Who.
        client: ClientKey,
    },
    /// A probe found an address in use that nobody has a lease of.
    Conflict {
        /// Where.
        network: NetworkId,
        /// What.
        addr: Ipv4Addr,
        /// Who answered, where it can be told.
        by: Option<HwAddr>,
    },
    /// A client declined too many addresses: what else it declines is not believed for a while.
    /// It is served like any other.
    Ignoring {
        /// Where.
        network: NetworkId,
        /// Who.
        client: ClientKey,
        /// For how long.
        duration: Duration,
    },
    /// Two machines use the same client identifier at the same time, often clones of one disk
    /// image: they are given the same address. Reported once an hour for an identifier.
    SharedClientId {
        /// Where.
        network: NetworkId,
        /// The identifier.
        client: ClientKey,
        /// The two machines.
        hw: [HwAddr; 2],
    },
    /// A network has no address left that this node may grant. Reported once a minute.
    PoolExhausted {
        /// Where.
        network: NetworkId,
    },
}

/// Why a client was denied an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Denial {
    /// The address does not belong to the network the client is on.
    #[error("address is wrong for this network")]
    WrongNetwork,
    /// Another client has it.
    #[error("address is in use by another client")]
    InUse,
    /// It is reserved for another client.
    #[error("address is reserved for another client")]
    Reserved,
}
