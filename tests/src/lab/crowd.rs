//! A crowd of devices that nobody has seen before, all behind one wire.
//!
//! They speak real frames with an own hardware address each, but run no IP stack and answer no
//! ARP: a server that would hand one address to two of them is not saved by its conflict probe.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::netns::Netns;
use super::wire::Wire;
use crate::dhcp_client::{self, Kind, Mac, Message, Reply};

/// How long a device waits for an answer before it asks again. Impatient on purpose: RFC 2131
/// section 4.1 would wait four seconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// What one device of the crowd was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The device's name.
    pub name: String,
    /// Its hardware address.
    pub mac: Mac,
    /// The address it was given.
    pub address: Ipv4Addr,
    /// By which server.
    pub server: Ipv4Addr,
    /// For how long.
    pub secs: u32,
    /// From when.
    pub at: Instant,
}

impl Grant {
    /// When it ends.
    pub fn expires(&self) -> Instant {
        self.at + Duration::from_secs(u64::from(self.secs))
    }
}

/// The crowd.
#[derive(Debug)]
pub struct Crowd {
    wire: Wire,
    number: u8,
    members: Vec<Member>,
    xid: u32,
    newest: u16,
    patience: Duration,
    unanswered: Vec<String>,
    // The namespace goes last: the socket inside it is closed before.
    _netns: Netns,
}

/// One device.
#[derive(Debug)]
struct Member {
    name: String,
    mac: Mac,
    xid: u32,
    state: State,
    began: Instant,
    sent: Option<Instant>,
    refusals: u32,
}

/// Where a device is in its conversation.
#[derive(Clone, Debug)]
enum State {
    /// Looking for servers.
    Selecting,
    /// Asks one server for one address.
    Requesting { address: Ipv4Addr, server: Ipv4Addr },
    /// Asks everybody whether it may go on using the address it remembers (INIT-REBOOT).
    Rebooting { address: Ipv4Addr },
    /// Has an address.
    Bound(Grant),
}

impl Crowd {
    /// `count` devices behind the wire `eth0` of `netns`; `number` (0 to 255) tells the crowds of
    /// a test apart and goes into names and hardware addresses.
    pub(super) fn new(netns: Netns, number: u8, count: u16) -> Crowd {
        let wire = netns.enter(Wire::open).expect("a packet socket can be opened");
        let began = Instant::now();
        let members = (0..count).map(|index| Member::new(number, index, began));
        let xid = u32::from(number) << 24;
        Crowd {
            wire,
            number,
            members: members.collect(),
            xid,
            newest: count,
            patience: PATIENCE,
            unanswered: Vec::new(),
            _netns: netns,
        }
    }

    /// How many devices it has.
    #[allow(clippy::len_without_is_empty, reason = "there is always somebody in a crowd")]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// A device asks again after this long and no sooner.
    pub fn be_patient(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// What was asked and had to be asked again: one line each, with the wall clock's time.
    pub fn unanswered(&self) -> &[String] {
        &self.unanswered
    }

    /// All of them leave without a word, and as many come that nobody has seen before.
    pub fn are_replaced(&mut self) {
        let began = Instant::now();
        for member in &mut self.members {
            *member = Member::new(self.number, self.newest, began);
            self.newest += 1;
        }
    }

    /// All devices look for an address at the same time. Returns what was granted by `limit`;
    /// whoever is missing has none.
    pub fn arrive(&mut self, limit: Duration) -> Vec<Grant> {
        self.arrive_and(limit, |_| ())
    }

    /// The same; calls `granted` at each grant, at once.
    pub fn arrive_and(&mut self, limit: Duration, granted: impl FnMut(&Grant)) -> Vec<Grant> {
        for member in &mut self.members {
            member.state = State::Selecting;
        }
        self.converse(limit, granted)
    }

    /// All devices that have an address restart and ask whether they may go on using it. Returns
    /// who may; a device that is refused looks for another address and is counted in
    /// [`Crowd::refusals`].
    pub fn reboot(&mut self, limit: Duration) -> Vec<Grant> {
        for member in &mut self.members {
            if let State::Bound(grant) = &member.state {
                member.state = State::Rebooting { address: grant.address };
            }
        }
        self.converse(limit, |_| ())
    }

    /// How often a server has refused (NAK) one of them.
    pub fn refusals(&self) -> u32 {
        self.members.iter().map(|member| member.refusals).sum()
    }

    /// Talks until everybody has an address or `limit` is over.
    fn converse(&mut self, limit: Duration, mut granted: impl FnMut(&Grant)) -> Vec<Grant> {
        let began = Instant::now();
        for member in &mut self.members {
            (member.began, member.sent) = (began, None);
        }
        while began.elapsed() < limit
            && self.members.iter().any(|member| !matches!(member.state, State::Bound(_)))
        {
            self.send_due();
            while let Some(reply) = self.wire.receive() {
                if let Some(grant) = self.hear(&reply) {
                    granted(grant);
                }
            }
            self.wire.wait(Duration::from_millis(20));
        }
        let grants = self.members.iter().filter_map(|member| match &member.state {
            State::Bound(grant) => Some(grant.clone()),
            _ => None,
        });
        grants.collect()
    }

    fn send_due(&mut self) {
        let now = Instant::now();
        for member in &mut self.members {
            if member.sent.is_some_and(|sent| now.duration_since(sent) < self.patience) {
                continue;
            }
            if let Some(sent) = member.sent
                && !matches!(member.state, State::Bound(_))
            {
                let at = jiff::Timestamp::now() - now.duration_since(sent);
                self.unanswered.push(format!("{at} {} {:?}", member.name, member.state));
            }
            // A REQUEST that nobody answers goes back to the beginning.
            if member.sent.is_some() && matches!(member.state, State::Requesting { .. }) {
                member.state = State::Selecting;
            }
            if !matches!(member.state, State::Requesting { .. }) {
                self.xid += 1;
                member.xid = self.xid;
            }
            if let Some(message) = member.message(now) {
                let payload = message.to_bytes();
                self.wire.send(&dhcp_client::broadcast_frame(member.mac, &payload));
                member.sent = Some(now);
            }
        }
    }

    /// Gives a reply to whom it is for; the grant, if it is one.
    fn hear(&mut self, reply: &Reply) -> Option<&Grant> {
        let whose = |member: &&mut Member| member.mac == reply.mac && member.xid == reply.xid;
        let member = self.members.iter_mut().find(whose)?;
        let had = matches!(member.state, State::Bound(_));
        member.hear(reply);
        match &member.state {
            State::Bound(grant) if !had => Some(grant),
            _ => None,
        }
    }
}

impl Member {
    fn new(number: u8, index: u16, began: Instant) -> Member {
        let [high, low] = index.to_be_bytes();
        Member {
            name: format!("crowd-{number}-{index}"),
            mac: [0x02, 0x4c, 0x57, number, high, low],
            xid: 0,
            state: State::Selecting,
            began,
            sent: None,
            refusals: 0,
        }
    }

    /// What it has to say next.
    fn message(&self, now: Instant) -> Option<Message> {
        let secs = u16::try_from(now.duration_since(self.began).as_secs()).unwrap_or(u16::MAX);
        let message = |kind| Message::new(kind, self.mac, self.xid).secs(secs).hostname(&self.name);
        // Subnet mask, router, DNS servers, domain, lease time, server, T1, T2.
        let asks = [1, 3, 6, 15, 51, 54, 58, 59];
        match &self.state {
            State::Selecting => Some(message(Kind::Discover).option(55, asks)),
            State::Requesting { address, server } => {
                Some(message(Kind::Request).requested(*address).server(*server).option(55, asks))
            }
            State::Rebooting { address } => {
                Some(message(Kind::Request).requested(*address).option(55, asks))
            }
            State::Bound(_) => None,
        }
    }

    fn hear(&mut self, reply: &Reply) {
        let Some(server) = reply.server() else { return };
        match (reply.kind, &self.state) {
            (Kind::Offer, State::Selecting) => {
                self.state = State::Requesting { address: reply.yiaddr, server };
                self.sent = None;
            }
            (Kind::Ack, State::Requesting { .. } | State::Rebooting { .. }) => {
                self.state = State::Bound(Grant {
                    name: self.name.clone(),
                    mac: self.mac,
                    address: reply.yiaddr,
                    server,
                    secs: reply.lease_secs().unwrap_or(0),
                    at: Instant::now(),
                });
            }
            (Kind::Nak, State::Requesting { .. } | State::Rebooting { .. }) => {
                self.refusals += 1;
                self.state = State::Selecting;
                self.sent = None;
            }
            _ => {}
        }
    }
}

/// Addresses that more than one device holds at one time, with their holders.
pub fn shared(grants: &[Grant]) -> Vec<(Ipv4Addr, Vec<&Grant>)> {
    let mut holders: BTreeMap<Ipv4Addr, Vec<&Grant>> = BTreeMap::new();
    for grant in grants {
        holders.entry(grant.address).or_default().push(grant);
    }
    let overlap = |grants: &[&Grant]| {
        grants.iter().enumerate().any(|(i, one)| {
            let others = grants.iter().skip(i + 1);
            others
                .filter(|other| other.mac != one.mac)
                .any(|other| one.at < other.expires() && other.at < one.expires())
        })
    };
    holders.into_iter().filter(|(_, grants)| overlap(grants)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(last: u8, address: u8, at: Instant, secs: u32) -> Grant {
        Grant {
            name: format!("d{last}"),
            mac: [2, 0, 0, 0, 0, last],
            address: Ipv4Addr::new(10, 77, 10, address),
            server: Ipv4Addr::new(10, 77, 10, 2),
            secs,
            at,
        }
    }

    #[test]
    fn an_address_is_shared_only_if_two_devices_hold_it_at_one_time() {
        let now = Instant::now();
        let later = now + Duration::from_secs(61);
        let one_after_the_other = [grant(1, 9, now, 60), grant(2, 9, later, 60)];
        assert!(shared(&one_after_the_other).is_empty());
        let renewed = [grant(1, 9, now, 60), grant(1, 9, now, 60)];
        assert!(shared(&renewed).is_empty());
        let together = [grant(1, 9, now, 62), grant(2, 9, later, 60), grant(3, 8, now, 60)];
        let found = shared(&together);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, Ipv4Addr::new(10, 77, 10, 9));
    }
}
