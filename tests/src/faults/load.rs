//! A load: devices that come, restart again and again, and leave without a word.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::acks::{Ack, AckLog};
use super::trial::Dice;
use crate::dhcp_client::{self, Kind, Mac, Message, Reply};
use crate::lab::netns::Netns;
use crate::lab::wire::Wire;

/// How long a device waits for an answer before it asks again. Impatient on purpose, for more
/// talk while hosts die.
pub const IMPATIENT: Duration = Duration::from_millis(400);

/// How long a real device waits at least (RFC 2131 section 4.1: four seconds, less one by chance).
pub const PATIENT: Duration = Duration::from_secs(3);

/// How long a device with a lease stays content, at most, before it restarts and asks again.
const CONTENT: Duration = Duration::from_millis(800);

/// One in so many devices that restart is replaced by one that nobody has seen.
const REPLACED: u64 = 60;

/// The load. It ends when it is dropped.
#[derive(Debug)]
pub struct Load {
    log: Arc<AckLog>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    // The namespace goes last: the socket inside it is closed before.
    _netns: Netns,
}

impl Load {
    /// `count` devices behind the wire `eth0` of `netns` that wait for `patience` before they ask
    /// again; `number` tells the loads of a trial apart and goes into hardware addresses.
    pub fn start(
        netns: Netns,
        (number, count): (u8, u16),
        patience: Duration,
        log: &Arc<AckLog>,
    ) -> Load {
        let wire = netns.enter(Wire::open).expect("a packet socket can be opened");
        let stop: Arc<AtomicBool> = Arc::default();
        let mut crowd = Crowd {
            wire,
            log: Arc::clone(log),
            dice: Dice::new(u64::from(number) + 1),
            number,
            patience,
            newest: 0,
            xid: u32::from(number) << 24,
            members: Vec::new(),
        };
        for _ in 0..count {
            let member = crowd.newcomer();
            crowd.members.push(member);
        }
        let stopped = Arc::clone(&stop);
        let run = move || {
            while !stopped.load(Ordering::Relaxed) {
                crowd.turn();
            }
        };
        let thread = Builder::new().name(format!("load-{number}")).spawn(run);
        let thread = Some(thread.expect("a thread can be started"));
        Load { log: Arc::clone(log), stop, thread, _netns: netns }
    }

    /// What was promised to its devices.
    pub fn log(&self) -> &AckLog {
        &self.log
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Crowd {
    wire: Wire,
    log: Arc<AckLog>,
    dice: Dice,
    number: u8,
    patience: Duration,
    newest: u16,
    xid: u32,
    members: Vec<Member>,
}

struct Member {
    mac: Mac,
    xid: u32,
    state: State,
    /// Whether it has asked and not been answered.
    waits: bool,
    /// When it began to ask, for the seconds it tells.
    began: Instant,
    /// When it said its last words.
    asked: Instant,
    /// When it says the next.
    due: Instant,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [.., number, high, low] = self.mac;
        let (state, ago) = (self.state, self.asked.elapsed().as_millis());
        write!(f, "{number:02x}:{high:02x}:{low:02x} asked {ago} ms ago: {state:?}")
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    Selecting,
    Requesting { address: Ipv4Addr, server: Ipv4Addr },
    Rebooting { address: Ipv4Addr },
    Bound { address: Ipv4Addr },
}

impl Crowd {
    fn newcomer(&mut self) -> Member {
        self.newest = self.newest.wrapping_add(1);
        let [high, low] = self.newest.to_be_bytes();
        let now = Instant::now();
        Member {
            mac: [0x02, 0x4c, 0x4c, self.number, high, low],
            xid: 0,
            state: State::Selecting,
            waits: false,
            began: now,
            asked: now,
            due: now + self.dice.below(CONTENT),
        }
    }

    fn turn(&mut self) {
        let now = Instant::now();
        for index in 0..self.members.len() {
            if self.members[index].due <= now {
                self.speak(index, now);
            }
        }
        while let Some(reply) = self.wire.receive() {
            self.hear(&reply);
        }
        self.wire.wait(Duration::from_millis(5));
    }

    fn speak(&mut self, index: usize, now: Instant) {
        if matches!(self.members[index].state, State::Bound { .. }) && self.dice.one_in(REPLACED) {
            self.members[index] = self.newcomer();
        }
        if self.members[index].waits {
            self.log.unanswered(&self.members[index].to_string());
        }
        self.xid += 1;
        let (xid, patience) = (self.xid, self.patience);
        let member = &mut self.members[index];
        member.state = match member.state {
            State::Bound { address } => {
                member.began = now;
                State::Rebooting { address }
            }
            // A REQUEST that nobody answers goes back to the beginning.
            State::Requesting { .. } => State::Selecting,
            other => other,
        };
        member.say(&self.wire, xid, now, patience);
    }

    fn hear(&mut self, reply: &Reply) {
        let whose = |member: &Member| member.mac == reply.mac && member.xid == reply.xid;
        let Some(index) = self.members.iter().position(whose) else { return };
        let Some(server) = reply.server() else { return };
        let now = Instant::now();
        let content = self.dice.below(CONTENT);
        let member = &mut self.members[index];
        match (reply.kind, member.state) {
            (Kind::Offer, State::Selecting) => {
                member.state = State::Requesting { address: reply.yiaddr, server };
                member.say(&self.wire, member.xid, now, self.patience);
            }
            (Kind::Ack, State::Requesting { .. } | State::Rebooting { .. }) => {
                let ack = Ack {
                    mac: member.mac,
                    address: reply.yiaddr,
                    server,
                    at: now,
                    secs: reply.lease_secs().unwrap_or(0),
                    normal: false,
                };
                self.log.acknowledged(ack, member.asked);
                member.state = State::Bound { address: reply.yiaddr };
                member.waits = false;
                member.due = now + content;
            }
            (Kind::Nak, State::Requesting { .. }) => {
                (member.state, member.due, member.waits) = (State::Selecting, now, false);
            }
            (Kind::Nak, State::Rebooting { .. }) => {
                self.log.refused();
                (member.state, member.due, member.waits) = (State::Selecting, now, false);
            }
            _ => {}
        }
    }
}

impl Member {
    fn say(&mut self, wire: &Wire, xid: u32, now: Instant, patience: Duration) {
        let secs = u16::try_from(now.duration_since(self.began).as_secs()).unwrap_or(u16::MAX);
        let message = |kind| Message::new(kind, self.mac, xid).secs(secs);
        let message = match self.state {
            State::Selecting => message(Kind::Discover),
            State::Requesting { address, server } => {
                message(Kind::Request).requested(address).server(server)
            }
            State::Rebooting { address } | State::Bound { address } => {
                message(Kind::Request).requested(address)
            }
        };
        let payload = message.option(55, [1, 3, 6, 51, 54]).to_bytes();
        wire.send(&dhcp_client::broadcast_frame(self.mac, &payload));
        (self.xid, self.asked, self.due) = (xid, now, now + patience);
        self.waits = true;
    }
}
