//! The bench: a server, a book, a household of two networks, messages and what comes back.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use super::book::TestBook;
use crate::options::code;
use crate::{
    BindingState, Client, ClientKey, Config, Destination, Dropped, Event, HwAddr, Network,
    NetworkId, Output, Probe, ProbeResult, Received, Reservation, Server, Time, Transmit,
};

pub(super) const DISCOVER: u8 = 1;
pub(super) const OFFER: u8 = 2;
pub(super) const REQUEST: u8 = 3;
pub(super) const DECLINE: u8 = 4;
pub(super) const ACK: u8 = 5;
pub(super) const NAK: u8 = 6;
pub(super) const RELEASE: u8 = 7;
pub(super) const INFORM: u8 = 8;

pub(super) const HOME: &str = "home";
pub(super) const SHED: &str = "shed";
/// This node on `home`; `shed` is behind a relay agent, `SHED_RELAY`.
pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 20, 2);
pub(super) const SHED_RELAY: Ipv4Addr = Ipv4Addr::new(10, 0, 40, 1);
pub(super) const PARTNER: Ipv4Addr = Ipv4Addr::new(10, 0, 20, 3);

/// Message type, `yiaddr`, `ciaddr` and `siaddr` of every NAK.
pub(super) const NAK_WITHOUT_ADDRESSES: (u8, Ipv4Addr, Ipv4Addr, Ipv4Addr) =
    (NAK, Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED);

pub(super) fn home(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 20, last)
}

pub(super) fn at(secs: u64) -> Time {
    Time::from_millis(1_700_000_000_000 + secs * 1000)
}

pub(super) fn mac(n: u8) -> HwAddr {
    HwAddr::ethernet([0x02, 0, 0x5e, 0x10, 0, n])
}

pub(super) fn hw_key(n: u8) -> ClientKey {
    ClientKey::Hw(mac(n))
}

pub(super) fn id_key(id: &[u8]) -> ClientKey {
    ClientKey::Id(Arc::from(id))
}

pub(super) fn client(key: ClientKey, hw: HwAddr) -> Client {
    Client { key, hw, hostname: None, vendor_class: None, relay_info: None }
}

pub(super) fn network(third: u8, server_addr: Option<Ipv4Addr>) -> Network {
    let addr = |last| Ipv4Addr::new(10, 0, third, last);
    let mut options = BTreeMap::new();
    options.insert(code::ROUTER, addr(1).octets().to_vec());
    options.insert(6, addr(2).octets().to_vec());
    options.insert(15, b"home.arpa".to_vec());
    options.insert(42, addr(1).octets().to_vec());
    Network {
        subnet: (addr(0), 24),
        server_addr,
        pools: vec![addr(100)..=addr(109), addr(120)..=addr(129)],
        use_client_id: true,
        lease_time: Duration::from_secs(86_400),
        max_lease_time: Duration::from_secs(172_800),
        authoritative: true,
        probe: false,
        options,
        domain: "home.arpa".into(),
        reservations: Vec::new(),
    }
}

pub(super) fn reserve(hw: Option<HwAddr>, id: Option<ClientKey>, last: u8) -> Reservation {
    Reservation { hw, client_id: id, addr: home(last), hostname: Some("printer".into()) }
}

pub(super) struct Bench {
    pub(super) server: Server,
    pub(super) book: TestBook,
    pub(super) config: Config,
}

/// Everything one input brought about.
#[derive(Debug, Default)]
pub(super) struct Came {
    pub(super) replies: Vec<Reply>,
    pub(super) probes: Vec<Probe>,
    pub(super) drops: Vec<Dropped>,
    pub(super) events: Vec<Event>,
}

impl Bench {
    pub(super) fn new() -> Bench {
        Bench::with(|_| {})
    }

    /// A bench whose configuration was changed by `change`.
    pub(super) fn with(change: impl FnOnce(&mut Config)) -> Bench {
        let networks = [(HOME.into(), network(20, Some(SERVER))), (SHED.into(), network(40, None))];
        let mut config = Config { networks: networks.into() };
        change(&mut config);
        let server = Server::new(Arc::new(config.clone()), 7);
        Bench { server, book: TestBook::new(), config }
    }

    pub(super) fn reconfigure(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        self.server.set_config(Arc::new(self.config.clone()));
    }

    /// Hands a message in and nothing else.
    pub(super) fn hand(&mut self, now: Time, msg: &Msg) -> Came {
        let payload = msg.bytes();
        self.hand_bytes(now, msg, &payload)
    }

    pub(super) fn hand_bytes(&mut self, now: Time, msg: &Msg, payload: &[u8]) -> Came {
        let rx = Received { network: msg.from.clone(), src: msg.src, dst: msg.dst, payload };
        self.server.handle_packet(now, &mut self.book, &rx);
        self.drain()
    }

    /// Hands a message in and settles every change at once.
    pub(super) fn talk(&mut self, now: Time, msg: &Msg) -> Came {
        let mut came = self.hand(now, msg);
        came.add(self.settle(now));
        came
    }

    pub(super) fn settle(&mut self, now: Time) -> Came {
        let mut came = Came::default();
        while !self.book.proposed.is_empty() {
            let (ticket, outcome) = self.book.settle(now);
            self.server.handle_outcome(now, ticket, outcome);
            came.add(self.drain());
        }
        came
    }

    pub(super) fn probed(&mut self, now: Time, probe: &Probe, result: ProbeResult) -> Came {
        self.server.handle_probe(now, &mut self.book, probe.id, result);
        self.drain()
    }

    pub(super) fn timeout(&mut self, now: Time) -> Came {
        self.server.handle_timeout(now, &mut self.book);
        self.drain()
    }

    /// DISCOVER and REQUEST; the address and its ACK.
    pub(super) fn lease(&mut self, now: Time, n: u8) -> Ipv4Addr {
        let offer = self.talk(now, &Msg::new(DISCOVER, n)).one();
        assert_eq!(offer.kind, OFFER);
        let ack = self.talk(now, &Msg::new(REQUEST, n).select(SERVER, offer.yiaddr)).one();
        assert_eq!((ack.kind, ack.yiaddr), (ACK, offer.yiaddr));
        ack.yiaddr
    }

    /// Puts a running lease into the book.
    pub(super) fn has(&mut self, now: Time, addr: Ipv4Addr, key: ClientKey, hw: HwAddr) {
        let lease = Duration::from_secs(86_400);
        self.book.put(now, addr, BindingState::Active, Some(client(key, hw)), lease);
    }

    fn drain(&mut self) -> Came {
        let mut came = Came::default();
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Transmit(transmit) => came.replies.push(Reply::read(transmit)),
                Output::Probe(probe) => came.probes.push(probe),
                Output::Dropped(reason) => came.drops.push(reason),
                Output::Event(event) => came.events.push(event),
            }
        }
        came
    }
}

impl Came {
    fn add(&mut self, more: Came) {
        self.replies.extend(more.replies);
        self.probes.extend(more.probes);
        self.drops.extend(more.drops);
        self.events.extend(more.events);
    }

    /// The one reply there is.
    #[track_caller]
    pub(super) fn one(mut self) -> Reply {
        assert_eq!(self.replies.len(), 1, "{self:?}");
        self.replies.remove(0)
    }

    /// Asserts that nothing was said, for this reason.
    #[track_caller]
    pub(super) fn silent(self, reason: Dropped) {
        let quiet = self.replies.is_empty() && self.probes.is_empty() && self.events.is_empty();
        assert!(quiet, "{self:?}");
        assert_eq!(self.drops, [reason]);
    }

    /// The same, where an event tells the operator.
    #[track_caller]
    pub(super) fn silent_though_reported(mut self, reason: Dropped) {
        self.events.clear();
        self.silent(reason);
    }

    /// The one probe asked for, and no reply yet.
    #[track_caller]
    pub(super) fn probe(mut self) -> Probe {
        assert!(self.replies.is_empty(), "{self:?}");
        assert_eq!(self.probes.len(), 1, "{self:?}");
        self.probes.remove(0)
    }
}

/// A client's message.
#[derive(Clone, Debug)]
pub(super) struct Msg {
    pub(super) hw: HwAddr,
    pub(super) xid: u32,
    pub(super) secs: u16,
    pub(super) flags: u16,
    pub(super) ciaddr: Ipv4Addr,
    pub(super) giaddr: Ipv4Addr,
    pub(super) options: Vec<(u8, Vec<u8>)>,
    pub(super) from: Option<NetworkId>,
    pub(super) src: SocketAddrV4,
    pub(super) dst: Ipv4Addr,
}

impl Msg {
    pub(super) fn new(kind: u8, n: u8) -> Msg {
        let none = Ipv4Addr::UNSPECIFIED;
        Msg {
            hw: mac(n),
            xid: 0x1234_0000 + u32::from(n),
            secs: 0,
            flags: 0,
            ciaddr: none,
            giaddr: none,
            options: vec![(code::MESSAGE_TYPE, vec![kind])],
            from: Some(HOME.into()),
            src: SocketAddrV4::new(none, 68),
            dst: Ipv4Addr::BROADCAST,
        }
    }

    pub(super) fn option(mut self, code: u8, value: &[u8]) -> Msg {
        self.options.push((code, value.to_vec()));
        self
    }

    pub(super) fn id(self, id: &[u8]) -> Msg {
        self.option(code::CLIENT_ID, id)
    }

    pub(super) fn asking_for(self, addr: Ipv4Addr) -> Msg {
        self.option(code::REQUESTED_ADDRESS, &addr.octets())
    }

    pub(super) fn select(self, server: Ipv4Addr, addr: Ipv4Addr) -> Msg {
        self.option(code::SERVER_ID, &server.octets()).asking_for(addr)
    }

    /// REBINDING, or RENEWING with [`Msg::to`].
    pub(super) fn having(mut self, addr: Ipv4Addr) -> Msg {
        self.ciaddr = addr;
        self.src = SocketAddrV4::new(addr, 68);
        self
    }

    pub(super) fn to(mut self, dst: Ipv4Addr) -> Msg {
        self.dst = dst;
        self
    }

    pub(super) fn secs(mut self, secs: u16) -> Msg {
        self.secs = secs;
        self
    }

    pub(super) fn xid(mut self, xid: u32) -> Msg {
        self.xid = xid;
        self
    }

    pub(super) fn broadcast_flag(mut self) -> Msg {
        self.flags = 0x8000;
        self
    }

    /// Passed on by the relay agent at `giaddr`, over a network without DHCP of ours.
    pub(super) fn relayed(mut self, giaddr: Ipv4Addr) -> Msg {
        self.giaddr = giaddr;
        self.from = None;
        self.src = SocketAddrV4::new(giaddr, 67);
        self.dst = Ipv4Addr::new(10, 0, 10, 2);
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; 240];
        bytes[0] = 1;
        bytes[1] = self.hw.htype();
        bytes[2] = self.hw.bytes().len() as u8;
        bytes[4..8].copy_from_slice(&self.xid.to_be_bytes());
        bytes[8..10].copy_from_slice(&self.secs.to_be_bytes());
        bytes[10..12].copy_from_slice(&self.flags.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.ciaddr.octets());
        bytes[24..28].copy_from_slice(&self.giaddr.octets());
        bytes[28..28 + self.hw.bytes().len()].copy_from_slice(self.hw.bytes());
        bytes[236..240].copy_from_slice(&[99, 130, 83, 99]);
        for (code, value) in &self.options {
            for piece in value.chunks(255) {
                bytes.extend_from_slice(&[*code, piece.len() as u8]);
                bytes.extend_from_slice(piece);
            }
            if value.is_empty() {
                bytes.extend_from_slice(&[*code, 0]);
            }
        }
        bytes.push(255);
        bytes
    }
}

/// A reply, taken apart without any of the code under test.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) network: Option<NetworkId>,
    pub(super) to: Destination,
    pub(super) source: Ipv4Addr,
    pub(super) kind: u8,
    pub(super) xid: u32,
    pub(super) flags: u16,
    pub(super) ciaddr: Ipv4Addr,
    pub(super) yiaddr: Ipv4Addr,
    pub(super) siaddr: Ipv4Addr,
    pub(super) giaddr: Ipv4Addr,
    /// In the order on the wire; END and what follows left out.
    pub(super) options: Vec<(u8, Vec<u8>)>,
    pub(super) payload: Vec<u8>,
}

impl Reply {
    fn read(transmit: Transmit) -> Reply {
        let payload = transmit.payload;
        let addr = |at: usize| {
            Ipv4Addr::new(payload[at], payload[at + 1], payload[at + 2], payload[at + 3])
        };
        assert_eq!(payload[0], 2, "op");
        assert_eq!(payload[236..240], [99, 130, 83, 99]);
        let mut options = Vec::new();
        let mut pos = 240;
        while payload[pos] != 255 {
            let len = usize::from(payload[pos + 1]);
            options.push((payload[pos], payload[pos + 2..pos + 2 + len].to_vec()));
            pos += 2 + len;
        }
        assert!(payload[pos + 1..].iter().all(|byte| *byte == 0), "only padding after END");
        assert_eq!(options[0].0, code::MESSAGE_TYPE, "message type first");
        Reply {
            network: transmit.network,
            to: transmit.destination,
            source: transmit.source,
            kind: options[0].1[0],
            xid: u32::from_be_bytes([payload[4], payload[5], payload[6], payload[7]]),
            flags: u16::from_be_bytes([payload[10], payload[11]]),
            ciaddr: addr(12),
            yiaddr: addr(16),
            siaddr: addr(20),
            giaddr: addr(24),
            options,
            payload,
        }
    }

    pub(super) fn option(&self, code: u8) -> Option<&[u8]> {
        self.options.iter().find(|(found, _)| *found == code).map(|(_, value)| value.as_slice())
    }

    pub(super) fn secs_option(&self, code: u8) -> Option<u32> {
        Some(u32::from_be_bytes(self.option(code)?.try_into().ok()?))
    }

    pub(super) fn codes(&self) -> Vec<u8> {
        self.options.iter().map(|(code, _)| *code).collect()
    }
}
