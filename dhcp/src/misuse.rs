//! Clients that harm others: the ones that decline every address, and the ones that share an
//! identifier.

use std::time::Duration;

use crate::expiring::Expiring;
use crate::{ClientKey, HwAddr, Time};

/// Declines within [`IGNORE_FOR`] after which those of a client are ignored: no client takes more
/// addresses than this out of service.
const DECLINES: u32 = 5;
/// How long declines count, and how long those of a client are ignored after the last allowed
/// one.
pub(crate) const IGNORE_FOR: Duration = Duration::from_secs(3600);
/// Two hardware addresses taking turns within this time are two machines.
const SHARED_WITHIN: Duration = Duration::from_secs(600);
/// A shared identifier is reported once in this time.
const REPORT_AGAIN: Duration = Duration::from_secs(3600);
/// Clients watched at a time, for each of the two.
const LIMIT: usize = 4096;

/// How many addresses each client declined lately.
#[derive(Debug)]
pub(crate) struct Declines {
    counts: Expiring<ClientKey, u32>,
}

impl Declines {
    pub(crate) fn new() -> Declines {
        Declines { counts: Expiring::new(LIMIT) }
    }

    /// Counts one decline that was believed; `true` when it is the last such one for an hour. The
    /// hour starts again with each.
    pub(crate) fn count(&mut self, now: Time, client: &ClientKey) -> bool {
        let count = self.counts.get(now, client).copied().unwrap_or(0) + 1;
        self.counts.insert(client.clone(), count, now + IGNORE_FOR);
        count >= DECLINES
    }

    /// Whether the client's declines are ignored.
    pub(crate) fn is_ignored(&self, now: Time, client: &ClientKey) -> bool {
        self.counts.get(now, client).is_some_and(|count| *count >= DECLINES)
    }
}

/// The hardware addresses each client identifier was last seen with.
#[derive(Debug)]
pub(crate) struct SharedIds {
    seen: Expiring<ClientKey, Turns>,
    reported: Expiring<ClientKey, ()>,
}

#[derive(Clone, Copy, Debug)]
struct Turns {
    current: HwAddr,
    before: Option<HwAddr>,
}

impl SharedIds {
    pub(crate) fn new() -> SharedIds {
        SharedIds { seen: Expiring::new(LIMIT), reported: Expiring::new(LIMIT) }
    }

    /// Notes that `client` speaks from `hw`. Returns both machines when they take turns: one
    /// change is a phone with a new private address, or a dock; changing back is two machines.
    pub(crate) fn see(&mut self, now: Time, client: &ClientKey, hw: HwAddr) -> Option<[HwAddr; 2]> {
        if matches!(client, ClientKey::Hw(_)) {
            return None;
        }
        let known = self.seen.get(now, client).copied();
        let turns = match known {
            Some(turns) if turns.current == hw => turns,
            Some(turns) => Turns { current: hw, before: Some(turns.current) },
            None => Turns { current: hw, before: None },
        };
        self.seen.insert(client.clone(), turns, now + SHARED_WITHIN);
        let other = known.filter(|known| known.before == Some(hw) && known.current != hw)?.current;
        if self.reported.get(now, client).is_some() {
            return None;
        }
        self.reported.insert(client.clone(), (), now + REPORT_AGAIN);
        Some([other, hw])
    }
}
