//! Growing delays between wrong passwords of one client. Never a lock-out: the longest wait is
//! half a minute, and other clients do not notice.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong tries that cost nothing: people mistype.
const FREE: u32 = 3;
/// The longest wait.
const MOST: Duration = Duration::from_secs(30);
/// A client is forgotten after this time without a try.
const MEMORY: Duration = Duration::from_secs(15 * 60);
/// Clients remembered at most.
const CLIENTS: usize = 4096;

#[derive(Default)]
pub(crate) struct Delays {
    clients: Mutex<HashMap<IpAddr, Record>>,
}

struct Record {
    wrong: u32,
    last: Instant,
}

impl Delays {
    /// How long `client` has still to wait before it may try; zero: it may now.
    pub(crate) fn wait(&self, now: Instant, client: IpAddr) -> Duration {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.get(&whose(client)).map_or(Duration::ZERO, |r| {
            penalty(r.wrong).saturating_sub(now.saturating_duration_since(r.last))
        })
    }

    /// A try begins; it counts as wrong until [`Delays::right`] says otherwise, so that a volley
    /// sent at once does not get in before the first one is judged.
    pub(crate) fn tried(&self, now: Instant, client: IpAddr) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= CLIENTS {
            clients.retain(|_, r| now.saturating_duration_since(r.last) < MEMORY);
            if clients.len() >= CLIENTS {
                clients.clear();
            }
        }
        let record = clients.entry(whose(client)).or_insert(Record { wrong: 0, last: now });
        if now.saturating_duration_since(record.last) >= MEMORY {
            record.wrong = 0;
        }
        record.wrong = record.wrong.saturating_add(1);
        record.last = now;
    }

    /// The client's try was right.
    pub(crate) fn right(&self, client: IpAddr) {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).remove(&whose(client));
    }
}

fn penalty(wrong: u32) -> Duration {
    match wrong.checked_sub(FREE) {
        None | Some(0) => Duration::ZERO,
        Some(over) => Duration::from_secs(1 << (over - 1).min(5)).min(MOST),
    }
}

/// One IPv6 host has a whole /64 of addresses to try from.
fn whose(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(v6) => {
            let s = v6.segments();
            IpAddr::V6(Ipv6Addr::new(s[0], s[1], s[2], s[3], 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "tests start from some instant")]

    use super::*;

    #[test]
    fn waits_grow_to_half_a_minute_and_no_further() {
        let (delays, me) = (Delays::default(), IpAddr::from([10, 0, 0, 9]));
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..12 {
            delays.tried(now, me);
            let wait = delays.wait(now, me);
            waits.push(wait.as_secs());
            now += wait;
        }
        assert_eq!(waits, [0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30, 30]);
        assert_eq!(delays.wait(now, IpAddr::from([10, 0, 0, 10])), Duration::ZERO);
        delays.right(me);
        delays.tried(now, me);
        assert_eq!(delays.wait(now, me), Duration::ZERO);
    }

    #[test]
    fn an_ipv6_host_cannot_escape_by_another_address() {
        let delays = Delays::default();
        let now = Instant::now();
        for i in 0..5u16 {
            delays.tried(now, IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, i)));
        }
        let other = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, 99));
        assert!(delays.wait(now, other) > Duration::ZERO);
    }
}
