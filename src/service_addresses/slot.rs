//! One service address on one host.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lanward_dhcp::Time;
use lanward_ha::Rank;

use super::{Mac, Output, Wanted, Word};

/// Probes before an address is taken, and the pause after each.
const PROBES: u8 = 3;
const PROBE_PAUSE: Duration = Duration::from_millis(100);
/// When a taken address is announced. The first four find devices that learned of the address
/// from the old holder in the meantime, and a partner that this host does not hear.
const ANNOUNCE: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(150),
    Duration::from_millis(300),
    Duration::from_millis(600),
    Duration::from_secs(1),
    Duration::from_secs(5),
];
/// How often everything is announced in the first five seconds without the partner; less than its
/// three probes take.
const LOST_EVERY: Duration = Duration::from_millis(250);
/// And after that.
const REFRESH: Duration = Duration::from_secs(3);
/// What was handed over is kept for so long: questions under way still meet an answer.
const LINGER: Duration = Duration::from_millis(250);
/// A home that is well gets its address back after so long.
const GIVE_BACK: Duration = Duration::from_secs(1);
/// A partner that hears this host lets go of its address within this time.
const HEEDED: Duration = Duration::from_secs(1);
/// Who gave way does not take the address again for so long after the other announced it: two of
/// its announcements, and one may be lost.
const GIVE_WAY: Duration = Duration::from_secs(7);
/// The shortest and the longest pause after somebody answered a probe.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// A host that defends its address does so at most once in this time (RFC 5227 section 2.4).
const DEFEND: Duration = Duration::from_secs(10);
/// What the system lists may be as old as this.
const SETTLED: Duration = Duration::from_secs(1);

/// Where an address is, seen from this host.
#[derive(Debug)]
pub(super) enum State {
    /// Not here.
    Away,
    /// Not here; the network is asked who has it.
    Probing { asked: u8, next: Time },
    /// On its way to the interface.
    Adding,
    /// Here.
    Held(Held),
}

#[derive(Debug, Default)]
pub(super) struct Held {
    /// When it is to be announced.
    announce: VecDeque<Time>,
    /// The partner may take it.
    pub(super) offered: bool,
    /// Since when the partner says that it holds it, too.
    clash: Option<Time>,
    /// When it was announced because somebody else used it.
    defended: Option<Time>,
    /// How often the partner announced it after that.
    unheeded: u8,
    /// When the partner, which seemed to hear this host, announced it.
    challenged: Option<Time>,
}

/// The partner, as far as this address is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) enum Other {
    Unknown,
    Absent,
    Says { can: bool, holds: bool, offers: bool },
}

/// What a decision depends on besides the address itself.
pub(super) struct Around {
    pub(super) now: Time,
    pub(super) addr: IpAddr,
    /// This host may hold addresses: it has the right to, and its DNS answers.
    pub(super) able: bool,
    /// The address is at home here.
    pub(super) mine: bool,
    pub(super) stopping: bool,
    /// This host has stopped for long enough.
    pub(super) late: bool,
    pub(super) other: Other,
}

/// One service address.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) home: Rank,
    pub(super) network: Arc<str>,
    pub(super) attached: bool,
    pub(super) state: State,
    /// Who else uses it, neither this host nor the partner, and when that was heard last.
    pub(super) foreign: Option<(Mac, Time)>,
    /// Why it could not be added.
    pub(super) trouble: Option<String>,
    pub(super) other: Other,
    pub(super) wake: Option<Time>,
    not_before: Time,
    retry: Duration,
    /// When this host last added or removed it.
    changed: Option<Time>,
    other_can_since: Option<Time>,
}

impl Slot {
    pub(super) fn new(wanted: &Wanted, now: Time) -> Slot {
        Slot {
            home: wanted.home,
            network: Arc::clone(&wanted.network),
            attached: wanted.attached,
            state: State::Away,
            foreign: None,
            trouble: None,
            other: Other::Unknown,
            wake: None,
            not_before: now,
            retry: RETRY_MIN,
            changed: None,
            other_can_since: None,
        }
    }

    pub(super) fn set(&mut self, wanted: &Wanted) {
        self.home = wanted.home;
        self.network = Arc::clone(&wanted.network);
        self.attached = wanted.attached;
    }

    /// Whether it is on this host's interface, or about to be.
    pub(super) fn is_here(&self) -> bool {
        matches!(self.state, State::Adding | State::Held(_))
    }

    /// Whether a stranger keeps this host from taking it.
    pub(super) fn is_foreign(&self) -> bool {
        !self.is_here() && self.foreign.is_some()
    }

    /// The system says whether it is on the interface.
    pub(super) fn found(&mut self, now: Time, present: bool) {
        if self.changed.is_some_and(|changed| now.since(changed) < SETTLED) {
            return;
        }
        match (&self.state, present) {
            (State::Away | State::Probing { .. }, true) => self.hold(now),
            (State::Held(_), false) => {
                self.state = State::Away;
                self.not_before = now;
            }
            _ => {}
        }
    }

    pub(super) fn added(&mut self, now: Time) {
        if matches!(self.state, State::Adding) {
            self.hold(now);
        }
    }

    fn hold(&mut self, now: Time) {
        let announce = ANNOUNCE.map(|after| now + after).into();
        self.state = State::Held(Held { announce, ..Held::default() });
        self.changed = Some(now);
        self.foreign = None;
        self.trouble = None;
        self.retry = RETRY_MIN;
    }

    pub(super) fn refused(&mut self, now: Time, error: String) {
        self.trouble = Some(error);
        self.back_off(now);
        self.not_before = self.not_before.max(now + Duration::from_secs(1));
    }

    /// The two hosts hear each other again: what was heard before does not count.
    pub(super) fn heard_again(&mut self, now: Time) {
        self.retry = RETRY_MIN;
        self.not_before = now;
    }

    /// The partner is not heard any more.
    pub(super) fn partner_lost(&mut self, now: Time) {
        self.retry = RETRY_MIN;
        if let State::Held(held) = &mut self.state {
            // It may hear this host and not be heard. Whenever its end of the link breaks, it must
            // learn while it probes that what is here is held.
            held.announce = (0..20).map(|step| now + LOST_EVERY * step).collect();
        }
    }

    /// Somebody said something of the address; the defence, if any, is to be done.
    pub(super) fn word(
        &mut self,
        now: Time,
        (addr, mac, word): (IpAddr, Mac, Word),
        partners: bool,
        hears: bool,
        mine: bool,
    ) -> Option<Output> {
        match &mut self.state {
            State::Probing { .. } => {
                // Of two hosts that are about to take it the home goes first.
                if word != Word::Probes || !(partners && mine) {
                    if word != Word::Probes && !partners {
                        self.foreign = Some((mac, now));
                    }
                    self.back_off(now);
                    self.yield_to(now, word, partners && !hears);
                }
                None
            }
            State::Away => {
                self.yield_to(now, word, partners && !hears);
                None
            }
            State::Held(_) if word == Word::Probes => None,
            State::Held(held) if !partners => {
                self.foreign = Some((mac, now));
                let again = held.defended.is_none_or(|at| now.since(at) >= DEFEND);
                again.then(|| {
                    held.defended = Some(now);
                    Output::Announce(addr)
                })
            }
            State::Held(held) if word == Word::Announces && !hears => {
                // It does not hear this host: whoever hears gives way, the home only after a word.
                if mine && held.defended.is_none_or(|at| now.since(at) >= GIVE_WAY) {
                    held.defended = Some(now);
                    held.unheeded = 0;
                    return Some(Output::Announce(addr));
                }
                held.unheeded += 1;
                if mine && held.unheeded < 2 {
                    return None;
                }
                self.give_way(now);
                Some(Output::Remove(addr))
            }
            State::Held(held) if word == Word::Announces => {
                // By its reports it hears this host; if those stop, it was wrong to think so.
                held.challenged = Some(now);
                None
            }
            State::Held(_) | State::Adding => None,
        }
    }

    /// A partner that is only heard on the network keeps what it announces there.
    fn yield_to(&mut self, now: Time, word: Word, only_there: bool) {
        if word == Word::Announces && only_there {
            self.not_before = self.not_before.max(now + GIVE_WAY);
        }
    }

    fn give_way(&mut self, now: Time) {
        self.state = State::Away;
        self.changed = Some(now);
        self.not_before = now + GIVE_WAY;
    }

    fn back_off(&mut self, now: Time) {
        self.state = State::Away;
        self.not_before = now + self.retry;
        self.retry = (self.retry * 2).min(RETRY_MAX);
    }

    /// Decides what becomes of it now.
    pub(super) fn step(&mut self, around: &Around, out: &mut VecDeque<Output>) {
        self.wake = None;
        self.watch(around);
        match self.state {
            State::Held(_) => self.step_held(around, out),
            State::Away => self.step_away(around, out),
            State::Probing { .. } => self.step_probing(around, out),
            State::Adding => {}
        }
    }

    /// Takes note of what the partner says.
    fn watch(&mut self, around: &Around) {
        let held_before = matches!(self.other, Other::Says { holds: true, .. });
        self.other = around.other;
        let Other::Says { can, holds, .. } = around.other else {
            self.other_can_since = None;
            return;
        };
        self.other_can_since = can.then(|| self.other_can_since.unwrap_or(around.now));
        if holds {
            // It asked the network, too.
            self.foreign = None;
        } else if held_before && let State::Held(held) = &mut self.state {
            // Devices that asked just before it let go may have met the partner.
            held.announce.push_front(around.now);
        }
    }

    /// Whether this host shall hold it.
    fn shall(&self, around: &Around) -> bool {
        let other_can = matches!(around.other, Other::Says { can: true, .. });
        around.able && self.attached && (around.mine || !other_can)
    }

    fn step_held(&mut self, around: &Around, out: &mut VecDeque<Output>) {
        let now = around.now;
        let able = around.able && self.attached;
        let shall = self.shall(around);
        let State::Held(held) = &mut self.state else { return };
        let mut leave = around.late;
        match around.other {
            Other::Unknown => held.offered = false,
            Other::Absent => {
                leave |= around.stopping;
                held.offered = false;
                held.clash = None;
                if held.challenged.take().is_some_and(|at| now.since(at) < GIVE_WAY) {
                    self.not_before = now + GIVE_WAY;
                    leave = true;
                }
            }
            // It hands it over, and keeps it for a moment.
            Other::Says { offers: true, .. } => held.clash = None,
            Other::Says { holds: true, can, .. } => {
                let since = *held.clash.get_or_insert(now);
                let patience = match () {
                    () if held.offered => Some(LINGER),
                    () if shall && around.mine => Some(HEEDED),
                    // Neither can hold it, and both do: one of them is enough.
                    () if around.mine && !can => None,
                    () => Some(Duration::ZERO),
                };
                if let Some(patience) = patience {
                    self.wake = Some(since + patience);
                    if now.since(since) >= patience {
                        if !held.offered && around.mine && shall {
                            self.not_before = now + GIVE_WAY;
                        }
                        leave = true;
                    }
                }
            }
            Other::Says { can, .. } => {
                held.clash = None;
                leave |= around.stopping && !can;
                let well = self.other_can_since.map(|since| since + GIVE_BACK);
                let due = well.is_some_and(|well| !able || well <= now);
                held.offered = can && !shall && due;
                if can && !shall && !due {
                    self.wake = well;
                }
            }
        }
        if leave {
            self.state = State::Away;
            self.changed = Some(now);
            self.wake = None;
            out.push_back(Output::Remove(around.addr));
            return;
        }
        let lost = matches!(around.other, Other::Absent);
        let mut due = false;
        while held.announce.front().is_some_and(|at| *at <= now) {
            held.announce.pop_front();
            due = true;
        }
        if due {
            out.push_back(Output::Announce(around.addr));
        }
        if held.announce.is_empty() && lost {
            held.announce.push_back(now + REFRESH);
        }
        self.wake = self.wake.into_iter().chain(held.announce.front().copied()).min();
    }

    fn step_away(&mut self, around: &Around, out: &mut VecDeque<Output>) {
        if !self.shall(around) {
            return;
        }
        match around.other {
            Other::Unknown => {}
            Other::Says { offers: true, .. } => {
                self.state = State::Adding;
                out.push_back(Output::Add(around.addr));
            }
            Other::Says { holds: true, .. } => {}
            Other::Says { .. } | Other::Absent if around.now < self.not_before => {
                self.wake = Some(self.not_before);
            }
            Other::Says { .. } | Other::Absent => {
                self.state = State::Probing { asked: 0, next: around.now };
                self.step_probing(around, out);
            }
        }
    }

    fn step_probing(&mut self, around: &Around, out: &mut VecDeque<Output>) {
        let taken = matches!(around.other, Other::Unknown | Other::Says { holds: true, .. });
        if taken || !self.shall(around) {
            self.state = State::Away;
            return;
        }
        let State::Probing { asked, next } = &mut self.state else { return };
        if around.now >= *next && *asked == PROBES {
            self.state = State::Adding;
            out.push_back(Output::Add(around.addr));
            return;
        }
        if around.now >= *next {
            out.push_back(Output::Probe(around.addr));
            *asked += 1;
            *next = around.now + PROBE_PAUSE;
        }
        self.wake = Some(*next);
    }
}
