//! The link between the nodes: ordered and whole while it lasts, like TCP; its end is noticed
//! late, or by nobody but the nodes themselves.

use super::host::Moment;
use super::rng::Rng;

/// The cable, and the connection over it.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// Whether the two hosts can reach each other.
    pub(super) reachable: bool,
    /// Names the connection; frames of an earlier one are void.
    pub(super) connection: u64,
    /// Whether each host believes that the connection lasts.
    pub(super) open: [bool; 2],
    /// Nothing arrives any more, whatever they believe.
    pub(super) broken: bool,
    /// When the last thing sent to each host arrives.
    last_arrival: [Moment; 2],
    /// A connection is being made.
    pub(super) dialling: bool,
}

impl Link {
    /// A cable nobody uses yet.
    pub(super) fn new() -> Link {
        Link { reachable: true, ..Link::default() }
    }

    /// A new connection.
    pub(super) fn connect(&mut self, now: Moment) {
        self.connection += 1;
        self.open = [true; 2];
        self.broken = false;
        self.last_arrival = [now; 2];
        self.dialling = false;
    }

    /// When what is sent to `to` now arrives.
    pub(super) fn arrival(&mut self, now: Moment, to: usize, rng: &mut Rng) -> Moment {
        let takes = match rng.range(0, 1000) {
            0 => rng.range(1_000, 9_000),
            1..=20 => rng.range(50, 600),
            _ => rng.range(1, 8),
        };
        let at = (now + takes).max(self.last_arrival[to]);
        self.last_arrival[to] = at;
        at
    }
}
