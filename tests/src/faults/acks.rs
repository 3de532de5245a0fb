//! The acknowledgement log: what servers have promised to clients, as the clients heard it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::stored::Stored;
use crate::dhcp_client::Mac;
use crate::lab::{Grant, Side};

/// Leases that end this soon are not looked for any more: the store may have ended them.
const NEARLY_OVER: Duration = Duration::from_secs(3);

/// How much earlier than promised a stored lease may end: the client counts from its REQUEST's
/// answer, the server from the REQUEST, and the wire speaks in whole seconds.
const ROUNDING: Duration = Duration::from_millis(2500);

/// One acknowledged lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The client.
    pub mac: Mac,
    /// Its address.
    pub address: Ipv4Addr,
    /// The server that granted it.
    pub server: Ipv4Addr,
    /// When the client heard of it.
    pub at: Instant,
    /// For how long.
    pub secs: u32,
    /// Whether both nodes were in NORMAL from the client's request to the answer.
    pub normal: bool,
}

impl Ack {
    /// When the lease ends.
    pub fn expires(&self) -> Instant {
        self.at + Duration::from_secs(u64::from(self.secs))
    }

    fn is_by(&self, side: Side) -> bool {
        side.has(self.server)
    }
}

impl fmt::Display for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [.., number, high, low] = self.mac;
        write!(
            f,
            "{} for {number:02x}:{high:02x}:{low:02x} by {} for {} s, {} ms ago",
            self.address,
            self.server,
            self.secs,
            self.at.elapsed().as_millis()
        )
    }
}

/// The log. Clients write, whoever compares reads.
#[derive(Debug, Default)]
pub struct AckLog {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// By address: the leases that have not ended yet.
    running: BTreeMap<Ipv4Addr, Vec<Ack>>,
    total: u64,
    in_normal: u64,
    refusals: u64,
    unanswered: Vec<String>,
    shared: Vec<String>,
    /// Since when both nodes are in NORMAL, if they are.
    normal_since: Option<Instant>,
}

impl AckLog {
    /// Both nodes are in NORMAL from now on, or no longer.
    pub fn set_normal(&self, normal: bool) {
        self.lock().normal_since = normal.then(Instant::now);
    }

    /// A client was told that it has an address; it had asked at `asked`.
    pub fn acknowledged(&self, mut ack: Ack, asked: Instant) {
        let mut inner = self.lock();
        ack.normal = inner.normal_since.is_some_and(|since| since <= asked);
        inner.total += 1;
        inner.in_normal += u64::from(ack.normal);
        let Inner { running, shared, .. } = &mut *inner;
        let leases = running.entry(ack.address).or_default();
        leases.retain(|lease| lease.expires() > ack.at);
        for other in leases.iter().filter(|lease| lease.mac != ack.mac) {
            shared.push(format!("{ack} and {other}"));
        }
        leases.push(ack);
    }

    /// What a crowd was granted.
    pub fn granted(&self, grants: &[Grant]) {
        for grant in grants {
            let Grant { mac, address, server, at, secs, .. } = *grant;
            // When it was asked for does not matter: nobody says that both are in NORMAL.
            let ack = Ack { mac, address, server, at, secs, normal: false };
            self.acknowledged(ack, at);
        }
    }

    /// A client that had a lease was refused.
    pub fn refused(&self) {
        self.lock().refusals += 1;
    }

    /// Nobody has answered a client for as long as it waits.
    pub fn unanswered(&self, who: &str) {
        let at = jiff::Timestamp::now();
        self.lock().unanswered.push(format!("{at}: {who}"));
    }

    /// Every try that nobody has answered.
    pub fn unanswered_tries(&self) -> Vec<String> {
        self.lock().unanswered.clone()
    }

    /// How many acknowledgements there were, in all and in NORMAL.
    pub fn counts(&self) -> (u64, u64) {
        let inner = self.lock();
        (inner.total, inner.in_normal)
    }

    /// How often a client with a lease was refused.
    pub fn refusals(&self) -> u64 {
        self.lock().refusals
    }

    /// Leases of one address that ran at one time at two clients.
    pub fn shared(&self) -> Vec<String> {
        self.lock().shared.clone()
    }

    /// The acknowledged leases that run, last heard of at `until` or before.
    pub fn running(&self, until: Instant) -> Vec<Ack> {
        let over = Instant::now() + NEARLY_OVER;
        let inner = self.lock();
        let all = inner.running.values().flatten();
        all.filter(|ack| ack.at <= until && ack.expires() > over).copied().collect()
    }

    /// How many acknowledged leases of `side` a disk of that side must hold at `until`, and those
    /// that it does not hold. The disk of the other side must hold what was acknowledged in
    /// NORMAL.
    pub fn missing(&self, side: Side, disk: &Stored, until: Instant) -> (usize, Vec<String>) {
        let must = |ack: &Ack| ack.is_by(side) || ack.normal;
        let expected: Vec<Ack> = self.running(until).into_iter().filter(must).collect();
        let lost = expected.iter().filter_map(|ack| {
            let why = lacks(disk, ack)?;
            let whose = if ack.is_by(side) { "its own" } else { "of NORMAL" };
            Some(format!("{side} lacks {ack} ({whose}): {why}"))
        });
        (expected.len(), lost.collect())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a disk says instead of an acknowledged lease; `None` if it holds it.
fn lacks(disk: &Stored, ack: &Ack) -> Option<String> {
    let Some(lease) = disk.lease(ack.address) else { return Some("no record".to_owned()) };
    if lease.mac != Some(ack.mac) || !lease.active {
        return Some(format!("{lease:?}"));
    }
    let early = ack.expires().saturating_duration_since(lease.expires);
    (early > ROUNDING).then(|| format!("it ends {} ms early there", early.as_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::stored::StoredLease;
    use crate::lab::Vlan;

    fn ack(mac: u8, server: u8, at: Instant) -> Ack {
        Ack {
            mac: [2, 0, 0, 0, 0, mac],
            address: Vlan::Home.address(60),
            server: Vlan::Home.address(server),
            at,
            secs: 60,
            normal: false,
        }
    }

    #[test]
    fn a_disk_must_hold_what_its_node_acknowledged_and_what_both_did() {
        let now = Instant::now();
        let log = AckLog::default();
        log.acknowledged(ack(1, 2, now), now);
        let held = |mac, expires| {
            Stored::of([(
                Vlan::Home.address(60),
                StoredLease { mac: Some([2, 0, 0, 0, 0, mac]), active: true, expires },
            )])
        };
        let lost = |side, disk: &Stored| log.missing(side, disk, now).1.len();
        assert_eq!(lost(Side::A, &Stored::of([])), 1);
        assert_eq!(lost(Side::B, &Stored::of([])), 0, "B did not give it, and not in NORMAL");
        assert_eq!(lost(Side::A, &held(1, now + Duration::from_secs(60))), 0);
        assert_eq!(lost(Side::A, &held(2, now + Duration::from_secs(60))), 1, "another client");
        assert_eq!(lost(Side::A, &held(1, now + Duration::from_secs(30))), 1, "too short");
        let before = now.checked_sub(Duration::from_secs(1)).expect("the machine has been up");
        assert_eq!(log.missing(Side::A, &Stored::of([]), before).0, 0, "not yet acknowledged");

        log.set_normal(true);
        let later = Instant::now();
        log.acknowledged(ack(1, 2, later), later);
        assert_eq!(log.missing(Side::B, &Stored::of([]), later).1.len(), 1, "given in NORMAL");
    }

    #[test]
    fn two_clients_of_one_address_are_noticed() {
        let now = Instant::now();
        let log = AckLog::default();
        log.acknowledged(ack(1, 2, now), now);
        log.acknowledged(ack(1, 3, now), now);
        assert!(log.shared().is_empty());
        log.acknowledged(ack(2, 3, now), now);
        assert_eq!(log.shared().len(), 2);
    }
}
