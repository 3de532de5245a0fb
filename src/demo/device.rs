//! One synthetic device: gets a lease, keeps it, and asks questions all day.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::household::{Device, Question};
use super::lookup::{self, Looked};
use super::packet::{self, Kind, Reply, Request};
use super::relay::Relay;
use super::report::Event;

/// What all devices share.
pub(super) struct World {
    pub(super) events: mpsc::UnboundedSender<Event>,
    /// Who has which address since when, as the devices themselves believe.
    pub(super) neighbours: Mutex<BTreeMap<&'static str, (Ipv4Addr, Instant)>>,
    pub(super) dns_port: u16,
    pub(super) server_port: u16,
    pub(super) client_port: u16,
}

/// A small generator (xorshift64*): the demo wants variety, not secrecy.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
}

struct Lease {
    addr: Ipv4Addr,
    server: Ipv4Addr,
    lasts: Duration,
    since: Instant,
    dns: Vec<Ipv4Addr>,
}

/// Lives until it is aborted.
pub(super) async fn live(device: Device, relay: Relay, world: Arc<World>, seed: u64) {
    let mut dice = Dice(seed | 1);
    let mut replies = relay.listen(device.mac());
    loop {
        let lease = join(&device, &relay, &world, &mut replies, &mut dice).await;
        world
            .neighbours
            .lock()
            .expect("no panic holds this")
            .insert(device.name, (lease.addr, Instant::now()));
        let addr = lease.addr;
        let servers = lease.dns.clone();
        let mut renewals = Dice(dice.roll() | 1);
        let why = tokio::select! {
            why = keep(&device, &relay, &world, &mut replies, &mut renewals, lease) => why,
            never = browse(&device, &world, &mut dice, addr, &servers) => match never {},
        };
        world.neighbours.lock().expect("no panic holds this").remove(device.name);
        let _ = world.events.send(Event::Lost { device: device.name, addr, why });
    }
}

/// DISCOVER, OFFER, REQUEST, ACK; from the top until it works.
async fn join(
    device: &Device,
    relay: &Relay,
    world: &World,
    replies: &mut mpsc::Receiver<Reply>,
    dice: &mut Dice,
) -> Lease {
    let first = Instant::now();
    loop {
        let xid = dice.roll() as u32;
        let mut request = Request {
            kind: Kind::Discover,
            xid,
            secs: u16::try_from(first.elapsed().as_secs()).unwrap_or(u16::MAX),
            mac: device.mac(),
            hostname: device.name,
            has: None,
            selects: None,
        };
        relay.pass(&request).await;
        // RFC 2131 section 4.1: the first retransmission comes after 4 s; the demo's clients are
        // a little keener.
        let Some(offer) = hear(replies, xid, Kind::Offer, Duration::from_secs(2)).await else {
            continue;
        };
        request.kind = Kind::Request;
        request.selects = Some((offer.addr, offer.server));
        relay.pass(&request).await;
        let Some(ack) = hear(replies, xid, Kind::Ack, Duration::from_secs(2)).await else {
            continue;
        };
        let _ = world.events.send(Event::Leased {
            device: device.name,
            vlan: device.vlan.id,
            addr: ack.addr,
            server: ack.server,
            lasts: ack.lease,
            took: first.elapsed(),
        });
        return Lease {
            addr: ack.addr,
            server: ack.server,
            lasts: ack.lease,
            since: Instant::now(),
            dns: ack.dns,
        };
    }
}

/// The next reply of this conversation that is of `kind`; `None` on a NAK or when none comes.
async fn hear(
    replies: &mut mpsc::Receiver<Reply>,
    xid: u32,
    kind: Kind,
    patience: Duration,
) -> Option<Reply> {
    let wanted = async {
        while let Some(reply) = replies.recv().await {
            if reply.xid == xid && reply.kind == kind as u8 {
                return Some(reply);
            }
            if reply.xid == xid && reply.kind == Kind::Nak as u8 {
                return None;
            }
        }
        None
    };
    timeout(patience, wanted).await.ok().flatten()
}

/// RENEWING by unicast to the server that gave the lease, then REBINDING through the relay
/// (RFC 2131 section 4.4.5). Returns why the lease was lost.
async fn keep(
    device: &Device,
    relay: &Relay,
    world: &World,
    replies: &mut mpsc::Receiver<Reply>,
    dice: &mut Dice,
    mut lease: Lease,
) -> &'static str {
    let own = SocketAddrV4::new(lease.addr, world.client_port);
    let Ok(socket) = UdpSocket::bind(own).await else {
        return "this machine did not let the device use its address";
    };
    loop {
        sleep(lease.lasts / 2).await;
        let due = Instant::now();
        let xid = dice.roll() as u32;
        let mut tries = 0;
        let ack = loop {
            if lease.since.elapsed() >= lease.lasts {
                return "nobody renewed it before it ran out";
            }
            tries += 1;
            let request = Request {
                kind: Kind::Request,
                xid,
                secs: u16::try_from(due.elapsed().as_secs()).unwrap_or(u16::MAX),
                mac: device.mac(),
                hostname: device.name,
                has: Some(lease.addr),
                selects: None,
            };
            let reply = if tries <= 2 {
                renew(&socket, &request, SocketAddrV4::new(lease.server, world.server_port)).await
            } else {
                relay.pass(&request).await;
                hear(replies, xid, Kind::Ack, Duration::from_secs(1)).await
            };
            match reply {
                Some(reply) if reply.kind == Kind::Nak as u8 => return "the server refused it",
                Some(reply) if reply.kind == Kind::Ack as u8 => break reply,
                _ => {}
            }
        };
        lease.since = Instant::now();
        lease.lasts = ack.lease;
        lease.server = ack.server;
        lease.dns = ack.dns;
        let _ = world.events.send(Event::Renewed {
            device: device.name,
            addr: lease.addr,
            server: ack.server,
            lasts: ack.lease,
            tries,
        });
    }
}

/// One unicast REQUEST and the answer to it, if one comes within a second.
async fn renew(socket: &UdpSocket, request: &Request<'_>, server: SocketAddrV4) -> Option<Reply> {
    socket.send_to(&packet::encode(request, None), server).await.ok()?;
    let mut buffer = [0; 2048];
    let answer = async {
        loop {
            let Ok((len, _)) = socket.recv_from(&mut buffer).await else { continue };
            match packet::decode(&buffer[..len]) {
                Some(reply) if reply.xid == request.xid => return reply,
                _ => {}
            }
        }
    };
    timeout(Duration::from_secs(1), answer).await.ok()
}

/// Asks questions for ever.
async fn browse(
    device: &Device,
    world: &World,
    dice: &mut Dice,
    addr: Ipv4Addr,
    servers: &[Ipv4Addr],
) -> std::convert::Infallible {
    let port = world.dns_port;
    let mut servers: Vec<_> = servers.iter().map(|a| SocketAddr::new((*a).into(), port)).collect();
    // Half of the devices prefer the second server, as some stubs rotate.
    if device.mac()[5] % 2 == 1 {
        servers.reverse();
    }
    loop {
        sleep(Duration::from_millis(device.pause_millis / 2 + dice.roll() % device.pause_millis))
            .await;
        let id = dice.roll() as u16;
        let (name, expected) = match device.question(dice.roll()) {
            Question::World(name) => (name.to_owned(), Expected::Any),
            Question::Ad(name) if device.blocks_ads() => (name.to_owned(), Expected::Blocked),
            Question::Ad(name) => (name.to_owned(), Expected::Any),
            Question::Neighbour => match world.settled_neighbour(dice.roll()) {
                Some((name, addr)) => (format!("{name}.home.arpa."), Expected::Address(addr)),
                None => continue,
            },
        };
        let looked = lookup::lookup(addr, &servers, &name, id).await;
        let verdict = expected.check(&looked);
        let _ = world.events.send(Event::Looked { device: device.name, name, looked, verdict });
    }
}

impl World {
    /// A device that has had its address for more than a second: by then both nodes must know it.
    fn settled_neighbour(&self, roll: u64) -> Option<(&'static str, Ipv4Addr)> {
        let all = self.neighbours.lock().expect("no panic holds this");
        let settled: Vec<_> = all
            .iter()
            .filter(|(_, (_, since))| since.elapsed() > Duration::from_secs(1))
            .map(|(name, (addr, _))| (*name, *addr))
            .collect();
        (!settled.is_empty()).then(|| settled[roll as usize % settled.len()])
    }
}

/// What the right answer looks like.
enum Expected {
    Any,
    Blocked,
    Address(Ipv4Addr),
}

/// Whether an answer was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Answered,
    Blocked,
    Local,
    /// An answer came, but the wrong one.
    Wrong,
    /// No answer came.
    Failed,
}

impl Expected {
    fn check(&self, looked: &Looked) -> Verdict {
        let Some(answer) = &looked.answer else { return Verdict::Failed };
        match self {
            Expected::Any if !answer.is_empty() && !answer.contains(&Ipv4Addr::UNSPECIFIED) => {
                Verdict::Answered
            }
            Expected::Blocked if answer[..] == [Ipv4Addr::UNSPECIFIED] => Verdict::Blocked,
            Expected::Address(addr) if answer[..] == [*addr] => Verdict::Local,
            _ => Verdict::Wrong,
        }
    }
}
