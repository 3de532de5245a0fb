//! Who may hold a connection: the one gate of TCP, TLS, HTTPS and QUIC.
//!
//! A newcomer is not turned away while somebody else only holds a place: the connection that has
//! been idle for longest makes room, of the newcomer's own ones when it has its share of places, of
//! its IPv6 network's when that has, else of all. So a device that opens connections without end
//! closes its own, and a full house still answers. Only when every place is at work is a newcomer
//! turned away.
//!
//! A client is an address, as for the rate limit (docs/decisions/020). An IPv6 network is bounded as
//! well, because a device can have as many of its addresses as it likes.

use std::net::IpAddr;
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
    from: Origin,
    /// Questions being answered.
    busy: AtomicUsize,
    /// When the last answer left, or the connection came; milliseconds since the gate's origin.
    used: AtomicU64,
    leave: Notify,
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Origin {
    client: IpAddr,
    /// The first 64 bits of an IPv6 address.
    network: Option<u64>,
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
        let connections = limits.connections.min(files);
        let per_network = limits.connections_per_network.min(connections.div_ceil(2));
        let limits =
            ConnectionLimits { connections, connections_per_network: per_network, ..limits };
        Self { limits, origin: Instant::now(), taken: Mutex::default() }
    }

    /// A place for a connection from `source`; `None` when all that could make room are at work.
    pub(super) fn enter(self: &Arc<Self>, source: IpAddr) -> Option<Place> {
        let from = Origin::of(source);
        let mut taken = self.lock();
        let (own, neighbours) = count(&taken, from);
        if own >= self.limits.connections_per_client {
            remove_idle(&mut taken, |seat| seat.from == from)?;
        } else if neighbours >= self.limits.connections_per_network {
            remove_idle(&mut taken, |seat| seat.from.network == from.network)?;
        } else if taken.len() >= self.limits.connections {
            remove_idle(&mut taken, |_| true)?;
        }
        let seat = Arc::new(Seat {
            from,
            busy: AtomicUsize::new(0),
            used: AtomicU64::new(self.now()),
            leave: Notify::new(),
        });
        taken.push(seat.clone());
        Some(Place { gate: self.clone(), seat })
    }

    /// Whether `source` should show first that it is where it says: half of its places, of its
    /// network's, or of all, are taken.
    pub(super) fn is_crowded(&self, source: IpAddr) -> bool {
        let taken = self.lock();
        let (own, neighbours) = count(&taken, Origin::of(source));
        own >= self.limits.connections_per_client.div_ceil(2)
            || neighbours >= self.limits.connections_per_network.div_ceil(2)
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

/// How many come from the same client, and how many from the same IPv6 network.
fn count(taken: &[Arc<Seat>], from: Origin) -> (usize, usize) {
    let own = taken.iter().filter(|seat| seat.from == from).count();
    let near = |seat: &&Arc<Seat>| from.network.is_some() && seat.from.network == from.network;
    (own, taken.iter().filter(near).count())
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

impl Origin {
    fn of(source: IpAddr) -> Self {
        let client = source.to_canonical();
        let network = match client {
            IpAddr::V6(v6) => Some((v6.to_bits() >> 64) as u64),
            IpAddr::V4(_) => None,
        };
        Self { client, network }
    }
}

#[cfg(test)]
mod tests;
