//! Who may hold a connection: the one gate of TCP, TLS, HTTPS and QUIC.
//!
//! A newcomer is not turned away while somebody else only holds a place: the connection that has
//! been idle for longest makes room, of the newcomer's own ones when it has its share of places,
//! else of all. So a device that opens connections without end closes its own, and a full house
//! still answers. Only when every place is at work is a newcomer turned away.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::ConnectionLimits;

/// The places and who has them.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) limits: ConnectionLimits,
    /// The origin of `Seat::used`.
    origin: Instant,
    taken: Mutex<Vec<Arc<Seat>>>,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    gate: Arc<Gate>,
    seat: Arc<Seat>,
}

#[derive(Debug)]
struct Seat {
    client: IpAddr,
    /// Questions being answered.
    busy: AtomicUsize,
    /// When the last answer left, or the connection came; milliseconds since the gate's origin.
    used: AtomicU64,
    leave: Notify,
}

/// A question being answered: as long as it lives, its connection is not idle.
#[derive(Debug)]
pub(crate) struct Busy {
    gate: Arc<Gate>,
    seat: Arc<Seat>,
}

impl Gate {
    /// A gate with these limits, or tighter ones when the process may not open files enough.
    pub(super) fn new(limits: ConnectionLimits) -> Self {
        // The store, lists, upstream connections and pages need files too.
        let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
        let files = usize::try_from(files / 2).unwrap_or(usize::MAX).max(1);
        let limits = ConnectionLimits { connections: limits.connections.min(files), ..limits };
        Self { limits, origin: Instant::now(), taken: Mutex::default() }
    }

    /// A place for a connection from `source`; `None` when all that could make room are at work.
    pub(super) fn enter(self: &Arc<Self>, source: IpAddr) -> Option<Place> {
        let client = client_of(source);
        let mut taken = self.lock();
        let own = taken.iter().filter(|seat| seat.client == client).count();
        if own >= self.limits.connections_per_client {
            remove_idle(&mut taken, |seat| seat.client == client)?;
        } else if taken.len() >= self.limits.connections {
            remove_idle(&mut taken, |_| true)?;
        }
        let seat = Arc::new(Seat {
            client,
            busy: AtomicUsize::new(0),
            used: AtomicU64::new(self.now()),
            leave: Notify::new(),
        });
        taken.push(seat.clone());
        Some(Place { gate: self.clone(), seat })
    }

    /// Whether `source` should show first that it is where it says: half of its places, or of all,
    /// are taken.
    pub(super) fn is_crowded(&self, source: IpAddr) -> bool {
        let client = client_of(source);
        let taken = self.lock();
        let own = taken.iter().filter(|seat| seat.client == client).count();
        own >= self.limits.connections_per_client.div_ceil(2)
            || taken.len() >= self.limits.connections.div_ceil(2)
    }

    /// Ends the connection that has been idle for longest, because the system is short of files;
    /// false when there is none.
    pub(super) fn make_room(&self) -> bool {
        remove_idle(&mut self.lock(), |_| true).is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Seat>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        self.origin.elapsed().as_millis() as u64
    }
}

/// Has the one that has been idle for longest leave.
fn remove_idle(taken: &mut Vec<Arc<Seat>>, among: impl Fn(&Seat) -> bool) -> Option<()> {
    let idle = taken
        .iter()
        .enumerate()
        .filter(|(_, seat)| among(seat) && seat.busy.load(Ordering::Relaxed) == 0);
    let (at, _) = idle.min_by_key(|(_, seat)| seat.used.load(Ordering::Relaxed))?;
    taken.swap_remove(at).leave.notify_one();
    Some(())
}

impl Place {
    pub(super) fn limits(&self) -> ConnectionLimits {
        self.gate.limits
    }

    /// Ends when the connection has to make room.
    pub(super) async fn told_to_leave(&self) {
        self.seat.leave.notified().await;
    }

    /// Ends when no question has been at work for so long.
    pub(super) async fn idle(&self, limit: Duration) {
        loop {
            let used = match self.seat.busy.load(Ordering::Relaxed) {
                0 => {
                    self.gate.origin + Duration::from_millis(self.seat.used.load(Ordering::Relaxed))
                }
                _ => Instant::now(),
            };
            let due = used + limit;
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }

    /// A question has come.
    pub(super) fn busy(&self) -> Busy {
        self.seat.busy.fetch_add(1, Ordering::Relaxed);
        Busy { gate: self.gate.clone(), seat: self.seat.clone() }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.seat.used.store(self.gate.now(), Ordering::Relaxed);
        self.seat.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.gate.lock();
        // Not there any more when it had to make room.
        if let Some(at) = taken.iter().position(|seat| Arc::ptr_eq(seat, &self.seat)) {
            taken.swap_remove(at);
        }
    }
}

/// What counts as one client: an IPv4 address, or all of an IPv6 network of one LAN.
fn client_of(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests;
