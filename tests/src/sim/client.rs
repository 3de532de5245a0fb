//! A DHCP client: what it believes, and the packets it sends.

use std::net::Ipv4Addr;

use super::host::Moment;
use crate::dhcp_client::{Kind, Mac, Message, Reply};

/// The relay agent on the clients' network.
pub(super) const RELAY: Ipv4Addr = Ipv4Addr::new(10, 0, 30, 1);

/// How a device behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// As RFC 2131 wants it.
    Polite,
    /// Finds most of what it is given in use already.
    Declines,
    /// Goes on using, and asking for, an address that it was denied or that has expired. What it
    /// believes counts only for as long as it rightly does.
    Deaf,
    /// Sends everything several times.
    Floods,
}

/// A lease as its client believes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) addr: Ipv4Addr,
    /// Until when, in true time.
    pub(super) until: Moment,
    /// Who gave it.
    pub(super) server: Ipv4Addr,
}

/// What a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Nothing,
    Offer { xid: u32, since: Moment },
    Ack { xid: u32 },
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) mac: Mac,
    pub(super) manner: Manner,
    pub(super) held: Option<Held>,
    /// What it last had, rightly or not.
    pub(super) last: Option<Held>,
    /// Its lease was ended by hand, which it does not know.
    pub(super) ended_by_hand: bool,
    waiting: Waiting,
    last_xid: u32,
    /// The lease time it asks for (option 51), if any.
    pub(super) wants_secs: Option<u32>,
}

/// A packet of a client, and who is to hear it.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) payload: Vec<u8>,
    pub(super) kind: Kind,
    /// One server, or whoever the relay agent reaches.
    pub(super) to: Option<Ipv4Addr>,
    pub(super) src: Ipv4Addr,
}

/// What a reply did to a client.
#[derive(Debug)]
pub(super) enum Heard {
    Nothing,
    /// It takes the offer.
    Asks(Packet),
    /// It has a lease now, or a longer one.
    Leased {
        held: Held,
        new: bool,
    },
    /// It lost its lease.
    Denied,
}

impl Client {
    pub(super) fn new(number: u8, manner: Manner) -> Client {
        Client {
            mac: [2, 0, 0x5e, 0x10, 0, number],
            manner,
            held: None,
            last: None,
            ended_by_hand: false,
            waiting: Waiting::Nothing,
            last_xid: 0,
            wants_secs: None,
        }
    }

    /// The lease it rightly believes to hold.
    pub(super) fn valid(&self, now: Moment) -> Option<Held> {
        self.held.filter(|held| held.until > now)
    }

    /// The lease it acts upon.
    pub(super) fn claims(&self, now: Moment) -> Option<Held> {
        match self.manner {
            Manner::Deaf => self.last,
            _ => self.valid(now),
        }
    }

    fn message(&mut self, kind: Kind) -> Message {
        self.last_xid += 1;
        let xid = self.xid();
        self.named(Message::new(kind, self.mac, xid))
    }

    /// Says what the client always says: its name, and how long a lease it would like.
    fn named(&self, message: Message) -> Message {
        let message = message.hostname("device");
        match self.wants_secs {
            Some(secs) => message.option(51, secs.to_be_bytes()),
            None => message,
        }
    }

    fn xid(&self) -> u32 {
        u32::from(self.mac[5]) << 24 | self.last_xid
    }

    pub(super) fn discover(&mut self, now: Moment) -> Packet {
        let message = self.message(Kind::Discover);
        self.waiting = Waiting::Offer { xid: self.xid(), since: now };
        through_relay(message, Kind::Discover)
    }

    /// The same DISCOVER again, if it is still unanswered.
    pub(super) fn discover_again(&mut self, now: Moment, xid: u32) -> Option<Packet> {
        let Waiting::Offer { xid: open, since } = self.waiting else { return None };
        let secs = u16::try_from((now - since) / 1000).ok()?;
        let message = Message::new(Kind::Discover, self.mac, xid).secs(secs);
        (open == xid).then(|| through_relay(message, Kind::Discover))
    }

    /// It waits for nothing any more.
    pub(super) fn give_up(&mut self) {
        self.waiting = Waiting::Nothing;
    }

    /// The DISCOVER it waits on.
    pub(super) fn open_discover(&self) -> Option<u32> {
        match self.waiting {
            Waiting::Offer { xid, .. } => Some(xid),
            Waiting::Nothing | Waiting::Ack { .. } => None,
        }
    }

    /// RENEWING, at the server that gave the lease.
    pub(super) fn renew(&mut self, held: Held) -> Packet {
        let message = self.message(Kind::Request).ciaddr(held.addr);
        self.waiting = Waiting::Ack { xid: self.xid() };
        let payload = message.to_bytes();
        Packet { payload, kind: Kind::Request, to: Some(held.server), src: held.addr }
    }

    /// REBINDING, at whoever hears it.
    pub(super) fn rebind(&mut self, held: Held, secs: u16) -> Packet {
        let message = self.message(Kind::Request).ciaddr(held.addr).secs(secs);
        self.waiting = Waiting::Ack { xid: self.xid() };
        through_relay(message, Kind::Request)
    }

    /// INIT-REBOOT: the device was restarted and remembers its address.
    pub(super) fn reboot(&mut self, held: Held, secs: u16) -> Packet {
        let message = self.message(Kind::Request).requested(held.addr).secs(secs);
        self.waiting = Waiting::Ack { xid: self.xid() };
        through_relay(message, Kind::Request)
    }

    /// RELEASE.
    pub(super) fn release(&mut self, held: Held) -> Packet {
        let message = self.message(Kind::Release).ciaddr(held.addr).server(held.server);
        self.held = None;
        self.waiting = Waiting::Nothing;
        let payload = message.to_bytes();
        Packet { payload, kind: Kind::Release, to: Some(held.server), src: held.addr }
    }

    /// DECLINE: it found its new address in use.
    pub(super) fn decline(&mut self, held: Held) -> Packet {
        let message = self.message(Kind::Decline).requested(held.addr).server(held.server);
        self.held = None;
        self.last = None;
        self.waiting = Waiting::Nothing;
        through_relay(message, Kind::Decline)
    }

    pub(super) fn hear(&mut self, now: Moment, reply: &Reply) -> Heard {
        match (self.waiting, reply.kind) {
            (Waiting::Offer { xid, .. }, Kind::Offer) if reply.xid == xid => {
                let Some(server) = reply.server() else { return Heard::Nothing };
                self.waiting = Waiting::Ack { xid };
                let message = Message::new(Kind::Request, self.mac, xid)
                    .requested(reply.yiaddr)
                    .server(server);
                Heard::Asks(through_relay(self.named(message), Kind::Request))
            }
            (Waiting::Ack { xid }, Kind::Ack) if reply.xid == xid => {
                let (Some(server), Some(secs)) = (reply.server(), reply.lease_secs()) else {
                    return Heard::Nothing;
                };
                self.waiting = Waiting::Nothing;
                let until = now + u64::from(secs) * 1000;
                let held = Held { addr: reply.yiaddr, until, server };
                let new = self.valid(now).is_none_or(|old| old.addr != held.addr);
                self.held = Some(held);
                self.last = Some(held);
                self.ended_by_hand = false;
                Heard::Leased { held, new }
            }
            (Waiting::Ack { xid }, Kind::Nak) if reply.xid == xid => {
                self.waiting = Waiting::Nothing;
                self.held = None;
                Heard::Denied
            }
            _ => Heard::Nothing,
        }
    }
}

fn through_relay(message: Message, kind: Kind) -> Packet {
    Packet { payload: message.giaddr(RELAY).to_bytes(), kind, to: None, src: RELAY }
}
