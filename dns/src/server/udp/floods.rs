//! Clients that flood, and the kernel's help against them.
//!
//! A packet that gets no answer still has to be received, and while a flood waits in the socket's
//! buffer the questions of others wait behind it, or find no room. A client that goes on like that is
//! therefore thinned out before the buffer: the kernel lets one of 2, 4, 8 ... of its packets through,
//! chosen at random, such that what comes is still several times what it may ask. What it is owed it
//! gets as before. Each packet that comes stands for the others, so that counts stay true about.
//!
//! The program is classic BPF (Linux's filter.rst), which any process may set on its own socket.

use std::net::IpAddr;
use std::time::Duration;

use nix::libc::{SKF_AD_OFF, SKF_AD_RANDOM, SKF_NET_OFF};
use socket2::SockFilter;

use crate::Now;

/// How often a client is judged anew; one that has stopped is thinned out for twice as long at most.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// So long after a change of the filter packets may come that were in the buffer before it, at most.
const BACKLOG: Duration = INTERVAL;

/// Clients that are watched at once; a flood from more is left to the worker.
const WATCHED: usize = 8;

/// One of 65,536: more than a network brings.
const MOST: u8 = 16;

/// The clients of one socket that send what gets no answer.
#[derive(Debug, Default)]
pub(super) struct Floods {
    clients: Vec<Flooding>,
    /// The filter has changed, and the buffer was not seen empty since.
    behind: bool,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Flooding {
    client: IpAddr,
    /// Of 2 to the power of so many packets one comes through.
    shift: u8,
    /// How many came since then; what comes before is not told from the backlog.
    passed: u64,
    since: Now,
}

impl Floods {
    /// Nobody is watched. A worker that asks this before all else pays nothing for the rest.
    pub(super) fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Whether somebody wants to know when the buffer is empty ([`Floods::caught_up`]).
    pub(super) fn is_behind(&self) -> bool {
        self.behind
    }

    /// The buffer is empty: whatever comes now has passed the filter.
    pub(super) fn caught_up(&mut self, now: Now) {
        self.behind = false;
        for one in &mut self.clients {
            one.since = one.since.min(now);
        }
    }

    /// Watches a client from now on: its packet was one that gets no answer.
    pub(super) fn watch(&mut self, client: IpAddr, now: Now) {
        let known = self.clients.iter().any(|one| one.client == client);
        if !known && self.clients.len() < WATCHED {
            self.clients.push(Flooding { client, shift: 0, passed: 0, since: now });
        }
    }

    /// Counts a packet that came through: how many others of its client did not.
    pub(super) fn passed(&mut self, client: IpAddr, now: Now) -> u64 {
        match self.clients.iter_mut().find(|one| one.client == client) {
            Some(one) if now >= one.since => {
                one.passed += 1;
                (1 << one.shift) - 1
            }
            _ => 0,
        }
    }

    /// Judges those who have been watched for long enough, or sent much; who comes through is to be
    /// at most `target` packets a second. Whether the filter has to be another now.
    pub(super) fn review(&mut self, target: u64, now: Now) -> bool {
        let mut changed = false;
        self.clients.retain_mut(|one| {
            let took = now.0.saturating_sub(one.since.0);
            if took < INTERVAL && one.passed < target {
                return true;
            }
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
            let rate = (one.passed << one.shift).saturating_mul(1_000_000) / micros;
            let shift = (0..MOST).find(|shift| rate >> shift <= target).unwrap_or(MOST);
            let since = if shift == one.shift { now } else { Now(now.0 + BACKLOG) };
            changed |= shift != one.shift;
            *one = Flooding { shift, passed: 0, since, ..*one };
            shift > 0
        });
        self.behind |= changed && self.any_thinned();
        changed
    }

    /// Whether anybody is thinned out.
    pub(super) fn any_thinned(&self) -> bool {
        self.clients.iter().any(|one| one.shift > 0)
    }

    /// The filter for a UDP socket of one family.
    pub(super) fn filter(&self) -> Vec<SockFilter> {
        let mut program = Vec::new();
        for one in self.clients.iter().filter(|one| one.shift > 0) {
            let source = source_words(one.client);
            for (at, (offset, word)) in source.iter().enumerate() {
                program.push(SockFilter::new(LOAD, 0, 0, *offset));
                // Another client: past the words that follow, and the verdict.
                let past = 2 * (source.len() - 1 - at) + 4;
                program.push(SockFilter::new(IF_EQUAL, 0, past as u8, *word));
            }
            program.push(SockFilter::new(LOAD, 0, 0, (SKF_AD_OFF + SKF_AD_RANDOM) as u32));
            program.push(SockFilter::new(AND, 0, 0, (1 << one.shift) - 1));
            program.push(SockFilter::new(IF_EQUAL, 1, 0, 0));
            program.push(SockFilter::new(RETURN, 0, 0, NOTHING));
        }
        program.push(SockFilter::new(RETURN, 0, 0, ALL));
        program
    }
}

/// `BPF_LD | BPF_W | BPF_ABS`: a word of the packet, in network order, or what the kernel knows.
const LOAD: u16 = 0x20;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
const IF_EQUAL: u16 = 0x15;
/// `BPF_ALU | BPF_AND | BPF_K`.
const AND: u16 = 0x54;
/// `BPF_RET | BPF_K`: how much of the packet is kept.
const RETURN: u16 = 0x06;
const NOTHING: u32 = 0;
const ALL: u32 = u32::MAX;

/// Where a packet has its source address, counted from the IP header, word by word, and what stands
/// there.
fn source_words(client: IpAddr) -> Vec<(u32, u32)> {
    let at = |offset: usize| (SKF_NET_OFF + offset as i32) as u32;
    match client {
        IpAddr::V4(v4) => vec![(at(12), v4.to_bits())],
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            (0..4).map(|word| (at(8 + 4 * word), (bits >> (96 - 32 * word)) as u32)).collect()
        }
    }
}

#[cfg(test)]
mod tests;
