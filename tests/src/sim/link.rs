//! The link between the hosts: ordered and whole while it lasts, like TCP; its end is noticed
//! late, or by nobody but the nodes themselves.
//!
//! What is sent into a cut arrives late, in order, if the cut is short and both ends keep the
//! connection (TCP sends again), or never; and then nothing after it does.

use super::host::Moment;
use super::plan::Cut;
use super::rng::Rng;

/// What goes over a connection to one of the hosts.
#[derive(Debug)]
pub(super) enum Carried {
    /// The far end has made this connection.
    Up,
    Frame(Vec<u8>),
    /// The far end has ended it.
    End,
}

/// The cable, and the connection over it.
pub(super) struct Link {
    /// Cuts that last, by number.
    cuts: Vec<(u64, Cut)>,
    last_cut: u64,
    /// Names the connection; what belongs to an earlier one is void.
    pub(super) connection: u64,
    /// Whether each host believes that the connection lasts.
    pub(super) open: [bool; 2],
    /// Nothing of what this host sends on this connection arrives any more.
    dead: [bool; 2],
    /// What this host sent into a cut, to arrive when it ends.
    held: [Vec<Carried>; 2],
    /// When the last thing sent to each host arrives.
    last_arrival: [Moment; 2],
    /// A connection is being made.
    pub(super) dialling: bool,
    slow: u64,
    pub(super) rng: Rng,
}

impl Link {
    /// A cable nobody uses yet.
    pub(super) fn new(mut rng: Rng) -> Link {
        Link {
            cuts: Vec::new(),
            last_cut: 0,
            connection: 0,
            open: [false; 2],
            dead: [true; 2],
            held: [Vec::new(), Vec::new()],
            last_arrival: [0; 2],
            dialling: false,
            slow: rng.pick(&[1, 1, 10, 200]),
            rng,
        }
    }

    /// Whether a connection can be made.
    pub(super) fn is_whole(&self) -> bool {
        self.cuts.is_empty()
    }

    /// Whether the hosts cannot see each other on any network.
    pub(super) fn is_cut_everywhere(&self) -> bool {
        self.cuts.iter().any(|(_, cut)| cut.everywhere && cut.silences == [true; 2])
    }

    /// A new connection.
    pub(super) fn connect(&mut self, now: Moment) {
        self.connection += 1;
        self.open = [false; 2];
        self.dead = [false; 2];
        self.held = [Vec::new(), Vec::new()];
        self.last_arrival = [now; 2];
    }

    /// When what is sent to `to` now arrives.
    pub(super) fn arrival(&mut self, now: Moment, to: usize) -> Moment {
        let takes = match self.rng.range(0, 1000) {
            0 => self.rng.range(1_000, 9_000),
            1..=20 => self.rng.range(50, 600),
            _ => self.rng.range(1, 8) * self.slow,
        };
        let at = (now + takes).max(self.last_arrival[to]);
        self.last_arrival[to] = at;
        at
    }

    /// Something arrives at `to`: what of it gets through.
    pub(super) fn pass(&mut self, connection: u64, to: usize, what: Carried) -> Option<Carried> {
        let from = 1 - to;
        if connection != self.connection || self.dead[from] {
            return None;
        }
        let silencing = self.cuts.iter().filter(|(_, cut)| cut.silences[from]);
        let (mut silenced, mut kept) = (false, true);
        for (_, cut) in silencing {
            silenced = true;
            kept &= cut.kept;
        }
        if silenced && !kept {
            self.dead[from] = true;
            return None;
        }
        if silenced || !self.held[from].is_empty() {
            self.held[from].push(what);
            return None;
        }
        Some(what)
    }

    /// A cut begins; gives its number.
    pub(super) fn cut(&mut self, cut: Cut) -> u64 {
        self.last_cut += 1;
        if cut.only_reset {
            self.dead = [true; 2];
        } else {
            self.cuts.push((self.last_cut, cut));
        }
        self.last_cut
    }

    /// A cut ends; gives what arrives now at each host.
    pub(super) fn mend(&mut self, number: u64) -> [Vec<Carried>; 2] {
        self.cuts.retain(|(cut, _)| *cut != number);
        self.release()
    }

    /// All cuts end.
    pub(super) fn mend_all(&mut self) -> [Vec<Carried>; 2] {
        self.cuts.clear();
        self.release()
    }

    fn release(&mut self) -> [Vec<Carried>; 2] {
        let mut to = [Vec::new(), Vec::new()];
        for from in 0..2 {
            if !self.cuts.iter().any(|(_, cut)| cut.silences[from]) {
                to[1 - from] = std::mem::take(&mut self.held[from]);
            }
        }
        to
    }

    /// Nothing arrives any more on this connection.
    pub(super) fn kill(&mut self) {
        self.dead = [true; 2];
    }
}
