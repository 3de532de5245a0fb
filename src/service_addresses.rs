//! Service addresses: the addresses devices ask for DNS, which move to the host that answers
//! (pair protocol, section 12).
//!
//! A pure machine. What happens goes in by the `handle_*` verbs, what is to be done comes out of
//! [`ServiceAddresses::poll_output`], and [`ServiceAddresses::poll_timeout`] says when it wants to
//! be woken. Each address has a home; it is there while its home can hold it, and else with the
//! other host. The states of one address on one host:
//!
//! ```text
//!            nobody holds it        300 ms of silence
//!   AWAY ──────────────────► PROBING ────────────────► HELD
//!    ▲ ▲                        │                       │ ▲
//!    │ └─── somebody answers ───┘                       │ │ the partner offers it
//!    │                                                  │ └───────────── AWAY
//!    └── the partner holds it, too, and shall; or this host stops ──┘
//! ```
//!
//! - **Taking** from a partner that is silent (800 ms, or at once when the link breaks) goes by
//!   the network's word: three probes within 300 ms, and whoever answers keeps the address, be it
//!   the partner behind a broken link or a stranger.
//! - **Giving** is make before break: the holder offers, the other adds and announces, and only
//!   then the holder removes, a quarter of a second later, so that no question meets nobody. That
//!   agreed moment is the only time two hosts that hear each other hold one address.
//! - **Two holders** (a split house that grew together): the host that is not the home removes it
//!   at once. A home that sees the other go on nevertheless is not heard by it (a cut in one
//!   direction), and gives way.

mod shown;
mod slot;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lanward_dhcp::Time;
use lanward_ha::{Rank, ServiceReport};

pub use shown::{Holder, Shown};
use slot::{Other, Slot, State};

/// A partner that says nothing for so long is silent.
pub const SILENCE: Duration = Duration::from_millis(800);
/// How often each node tells what it holds.
pub const REPORT_EVERY: Duration = Duration::from_millis(200);
/// A partner that reports does so this soon after the link came up.
const FIRST_REPORT: Duration = Duration::from_secs(1);
/// After its start a host leaves the partner's addresses alone for so long: the link comes up.
const START: Duration = Duration::from_secs(2);
/// DNS that does not answer its own host for so long gives the addresses away.
const DNS_PATIENCE: Duration = Duration::from_secs(2);
/// A planned stop waits so long for the partner.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// The hardware address of an Ethernet interface.
pub type Mac = [u8; 6];

/// A service address as the settings have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The address.
    pub addr: IpAddr,
    /// The rank of its home.
    pub home: Rank,
    /// The network's id, for people.
    pub network: Arc<str>,
    /// Whether this host has a running interface on that network.
    pub attached: bool,
}

/// What somebody on the network said of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// That it has it.
    Has,
    /// That it has it from now on, to everybody.
    Announces,
    /// That it is about to take it, if nobody objects (RFC 5227 section 2.1.1, RFC 4862 section
    /// 5.4).
    Probes,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask the network who has the address; what is said comes back by
    /// [`ServiceAddresses::handle_word`].
    Probe(IpAddr),
    /// Add it to the interface; answered by [`ServiceAddresses::handle_added`].
    Add(IpAddr),
    /// Remove it from the interface.
    Remove(IpAddr),
    /// Tell the network that it is here.
    Announce(IpAddr),
    /// Tell the partner.
    Tell(ServiceReport),
    /// For the log: one sentence.
    Note(String),
}

/// The partner, as the link shows it.
#[derive(Debug, Default)]
struct Partner {
    /// Since when the link is up.
    up: Option<Time>,
    heard: Time,
    report: Option<ServiceReport>,
    /// Known from its last report, also after the link broke.
    macs: Vec<Mac>,
    /// Whether it was counted as silent, for the log.
    gone: bool,
}

/// What the partner is good for at the moment.
enum Hearing<'a> {
    /// It is there, or cannot be; nothing is known of what it holds yet.
    Unknown,
    /// It says so.
    Says(&'a ServiceReport),
    /// It is silent, or there is none.
    Absent,
}

/// All service addresses, on one host.
#[derive(Debug)]
pub struct ServiceAddresses {
    node: String,
    rank: Rank,
    partner_name: Option<String>,
    started: Time,
    /// Why this host may not add addresses.
    incapable: Option<String>,
    macs: Vec<Mac>,
    dns_ok: bool,
    dns_fails_since: Option<Time>,
    stopping: Option<Time>,
    partner: Partner,
    slots: BTreeMap<IpAddr, Slot>,
    said: ServiceReport,
    next_report: Time,
    wake: Option<Time>,
    out: VecDeque<Output>,
}

impl ServiceAddresses {
    /// A host that has just started, with its name. `incapable`: why it may not add addresses.
    pub fn new(node: &str, incapable: Option<String>, now: Time) -> ServiceAddresses {
        ServiceAddresses {
            node: node.to_owned(),
            rank: Rank::Zero,
            partner_name: None,
            started: now,
            incapable,
            macs: Vec::new(),
            dns_ok: false,
            dns_fails_since: None,
            stopping: None,
            partner: Partner::default(),
            slots: BTreeMap::new(),
            said: ServiceReport::default(),
            next_report: now,
            wake: None,
            out: VecDeque::new(),
        }
    }

    /// What the settings want, who this host is in the pair, and the hardware addresses of its
    /// interfaces on those networks.
    pub fn set_wanted(
        &mut self,
        now: Time,
        (rank, partner): (Rank, Option<String>),
        wanted: Vec<Wanted>,
        macs: Vec<Mac>,
    ) {
        self.rank = rank;
        self.partner_name = partner;
        self.macs = macs;
        let kept: BTreeSet<IpAddr> = wanted.iter().map(|wanted| wanted.addr).collect();
        for (addr, slot) in &self.slots {
            if !kept.contains(addr) && slot.is_here() {
                self.out.push_back(Output::Remove(*addr));
            }
        }
        self.slots.retain(|addr, _| kept.contains(addr));
        for wanted in wanted {
            let slot = self.slots.entry(wanted.addr).or_insert_with(|| Slot::new(&wanted, now));
            slot.set(&wanted);
        }
        self.decide(now);
    }

    /// The service addresses that are on the host's interfaces. One that is there at the start is
    /// what a killed process left: it is held until it is known who shall.
    pub fn handle_present(&mut self, now: Time, present: &BTreeSet<IpAddr>) {
        for (addr, slot) in &mut self.slots {
            slot.found(now, present.contains(addr));
        }
        self.decide(now);
    }

    /// The link to the partner is up.
    pub fn handle_link_up(&mut self, now: Time) {
        self.partner.up = Some(now);
        self.partner.heard = now;
        self.partner.report = None;
        self.partner.gone = false;
        self.next_report = now;
        self.slots.values_mut().for_each(|slot| slot.heard_again(now));
        self.decide(now);
    }

    /// The link broke.
    pub fn handle_link_down(&mut self, now: Time) {
        self.partner.up = None;
        self.partner.report = None;
        self.decide(now);
    }

    /// Anything came from the partner; `report` is the last it said of the addresses.
    pub fn handle_heard(&mut self, now: Time, report: Option<&ServiceReport>) {
        self.partner.heard = now;
        // Frames may come by the thousand, and most change nothing here.
        if self.partner.report.as_ref() == report && !self.partner.gone {
            return;
        }
        if self.partner.gone {
            self.partner.gone = false;
            self.slots.values_mut().for_each(|slot| slot.heard_again(now));
        }
        self.partner.report = report.cloned();
        if let Some(report) = report {
            self.partner.macs.clone_from(&report.macs);
        }
        self.decide(now);
    }

    /// This host's DNS answered its own question, or did not.
    pub fn handle_self_test(&mut self, now: Time, answered: bool) {
        let ok = if answered {
            self.dns_fails_since = None;
            true
        } else {
            let since = *self.dns_fails_since.get_or_insert(now);
            self.dns_ok && now.since(since) < DNS_PATIENCE
        };
        if ok != self.dns_ok {
            self.dns_ok = ok;
            self.decide(now);
        }
    }

    /// Somebody on the network said something of an address; not this host itself.
    pub fn handle_word(&mut self, now: Time, addr: IpAddr, mac: Mac, word: Word) {
        // A link that has just come up carried words in both directions.
        let absent = matches!(self.hearing(now, self.rank), Hearing::Absent);
        let hears = self.partner.up.is_some() && !absent;
        let partners = self.partner.macs.contains(&mac);
        let mine = |slot: &Slot| slot.home == self.rank;
        let Some(slot) = self.slots.get_mut(&addr) else { return };
        let mine = mine(slot);
        if let Some(output) = slot.word(now, (addr, mac, word), partners, hears, mine) {
            self.out.push_back(output);
        }
        self.decide(now);
    }

    /// How adding an address ended.
    pub fn handle_added(&mut self, now: Time, addr: IpAddr, result: Result<(), String>) {
        let Some(slot) = self.slots.get_mut(&addr) else { return };
        match result {
            Ok(()) => slot.added(now),
            Err(error) => {
                let note = format!("{addr} cannot be added: {error}");
                slot.refused(now, error);
                self.out.push_back(Output::Note(note));
            }
        }
        self.decide(now);
    }

    /// This host stops in order: its addresses go to the partner.
    pub fn handle_stop(&mut self, now: Time) {
        self.stopping.get_or_insert(now);
        self.decide(now);
    }

    /// Whether nothing is held any more.
    pub fn is_empty_handed(&self) -> bool {
        !self.slots.values().any(Slot::is_here)
    }

    /// Whether there is anything to do at all.
    pub fn is_idle(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether this host's DNS answered its own last questions.
    pub fn dns_ok(&self) -> bool {
        self.dns_ok
    }

    /// Whether this host or its partner may add addresses, as far as is known.
    pub fn somebody_can(&self) -> bool {
        let partner = self.partner.report.as_ref();
        self.incapable.is_none() || partner.is_some_and(|report| report.capable)
    }

    /// Why this host may not add addresses.
    pub fn incapable(&self) -> Option<&str> {
        self.incapable.as_deref()
    }

    /// The addresses that are on this host now.
    pub fn held(&self) -> impl Iterator<Item = IpAddr> {
        self.slots.iter().filter(|(_, slot)| slot.is_here()).map(|(addr, _)| *addr)
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Time) {
        self.decide(now);
    }

    /// When [`ServiceAddresses::handle_timeout`] is wanted.
    pub fn poll_timeout(&self) -> Option<Time> {
        let slots = self.slots.values().filter_map(|slot| slot.wake);
        slots.chain(self.wake).min()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// What is known of the partner, for an address of this home.
    fn hearing(&self, now: Time, home: Rank) -> Hearing<'_> {
        let Partner { up, heard, report, .. } = &self.partner;
        match (up, report) {
            (Some(_), Some(report)) if now < *heard + SILENCE => Hearing::Says(report),
            (Some(up), None) if now < *up + FIRST_REPORT => Hearing::Unknown,
            // A partner that does not know of service addresses holds none.
            (Some(_), _) => Hearing::Absent,
            (None, _) => {
                let early = now < self.started + START && self.partner.macs.is_empty();
                let waits = early && home != self.rank && self.partner_name.is_some();
                if waits { Hearing::Unknown } else { Hearing::Absent }
            }
        }
    }

    /// Moves every address on, then tells the partner what it has to know.
    fn decide(&mut self, now: Time) {
        self.note_silence(now);
        let able = self.incapable.is_none() && self.dns_ok && self.stopping.is_none();
        let late = self.stopping.is_some_and(|at| now.since(at) >= STOP_PATIENCE);
        let addrs: Vec<IpAddr> = self.slots.keys().copied().collect();
        for addr in addrs {
            let Some(slot) = self.slots.get(&addr) else { continue };
            let other = match self.hearing(now, slot.home) {
                Hearing::Unknown => Other::Unknown,
                Hearing::Absent => Other::Absent,
                Hearing::Says(report) => Other::Says {
                    can: report.can.contains(&addr),
                    holds: report.held.contains(&addr),
                    offers: report.offered.contains(&addr),
                },
            };
            let mine = slot.home == self.rank;
            let stopping = self.stopping.is_some();
            let around = slot::Around { now, addr, able, mine, stopping, late, other };
            if let Some(slot) = self.slots.get_mut(&addr) {
                slot.step(&around, &mut self.out);
            }
        }
        self.tell(now);
        self.wake = self.next_look(now);
    }

    /// When time alone changes what is known.
    fn next_look(&self, now: Time) -> Option<Time> {
        if self.slots.is_empty() {
            return None;
        }
        let Partner { up, heard, report, .. } = &self.partner;
        let silence = match (up, report) {
            (Some(_), Some(_)) => *heard + SILENCE,
            (Some(up), None) => *up + FIRST_REPORT,
            (None, _) => self.started + START,
        };
        let report = up.map(|_| self.next_report);
        let stop = self.stopping.map(|at| at + STOP_PATIENCE);
        [Some(silence), report, stop].into_iter().flatten().filter(|at| *at > now).min()
    }

    fn note_silence(&mut self, now: Time) {
        let Some(name) = &self.partner_name else { return };
        let gone = matches!(self.hearing(now, self.rank), Hearing::Absent);
        if gone && !self.partner.gone && !self.partner.macs.is_empty() {
            let note = match self.partner.up {
                Some(_) => format!("{name} says nothing any more"),
                None => format!("the link to {name} broke"),
            };
            self.out.push_back(Output::Note(note));
            // Whoever hears us and is not heard must not take what is here.
            self.slots.values_mut().for_each(|slot| slot.partner_lost(now));
        }
        self.partner.gone = gone;
    }

    /// Tells the partner: at once when something has changed, else now and then.
    fn tell(&mut self, now: Time) {
        if self.partner.up.is_none() || self.slots.is_empty() && self.said.held.is_empty() {
            return;
        }
        let report = self.report();
        if report != self.said || self.next_report <= now {
            self.said = report.clone();
            self.next_report = now + REPORT_EVERY;
            self.out.push_back(Output::Tell(report));
        }
    }

    fn report(&self) -> ServiceReport {
        let able = self.incapable.is_none() && self.dns_ok && self.stopping.is_none();
        let which = |is: &dyn Fn(&Slot) -> bool| -> Vec<IpAddr> {
            self.slots.iter().filter(|(_, slot)| is(slot)).map(|(addr, _)| *addr).collect()
        };
        ServiceReport {
            capable: self.incapable.is_none(),
            dns_ok: self.dns_ok,
            can: which(&|slot| able && slot.attached && !slot.is_foreign()),
            held: which(&|slot| matches!(slot.state, State::Held(_))),
            offered: which(&|slot| matches!(&slot.state, State::Held(held) if held.offered)),
            macs: self.macs.clone(),
        }
    }
}
