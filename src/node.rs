//! The node: one pure machine that joins the DHCP server, the pair and the settings document.
//!
//! It routes and orders; it never interprets a packet. The shell and the simulator drive the very
//! same code: feed [`Input`]s with [`Node::handle`], drain [`Output`]s with [`Node::poll_output`]
//! after each, and wake it at [`Node::poll_timeout`] with [`Input::Timeout`].
//!
//! ```text
//!   packets ──► dhcp::Server ──proposes──► ha::Pair ◄──frames──► the partner
//!                  ▲     ▲                    │   ▲
//!          settings│     └─────outcomes───────┘   │settings messages
//!                  │                              ▼
//!              derive ◄──────records────── ha::SettingsDocument ◄── edits
//! ```
//!
//! The pair and the document number their writes on their own; the node puts what both want
//! written after one input into one batch, and tells each what has become durable.

mod batches;
#[cfg(test)]
mod tests;
mod undo;
mod words;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use lanward_dhcp::{Config, Counters, Outcome, Server, Ticket, Time};
use lanward_ha::{
    Aside, AutomergeDocument, ChangeId, CollidingValue, DocumentOutput, Pair, PairConfig,
    PairOutput, Rank, Restored, ServiceReport, Sessions, SessionsOutput, SettingsChange,
    SettingsDocument, Stamp, StoreId,
};
use sha2::{Digest, Sha256};

use crate::settings::effective::{Effective, HostView, PairView, derive};
use crate::settings::problem::{Problem, Severity};
use batches::{Batches, Writer};

pub use undo::{is_for_good, undo_of};
pub use words::{EditError, Input, NodeConfig, Output, SessionDeed, UndoRefusal};

/// The key of the owner's record. Its password's hash stands in it, and whatever ends all logins
/// when it changes.
pub const OWNER: &str = "user/owner";

/// One host's part of the control plane, without its sockets, clock and disk.
#[derive(Debug)]
pub struct Node {
    server: Server,
    pair: Pair,
    document: AutomergeDocument,
    sessions: Sessions,
    host: HostView,
    /// It joined, and does not know the household's settings yet: only that they are not its own.
    awaits_settings: bool,
    effective: Arc<Effective>,
    batches: Batches,
    /// Edits that wait for the disk: the document's batch, and the id to answer.
    edits: VecDeque<(u64, u64)>,
    /// Releases by hand that wait for their outcome.
    releases: BTreeMap<Ticket, u64>,
    /// How far the wall clock is ahead of the node's time, for dates in the change log.
    wall_ahead_millis: i64,
    unfit: Option<String>,
    /// The pair has stopped, and whether its partner took over.
    stopped: Option<bool>,
    out: VecDeque<Output>,
}

impl Node {
    /// A node from what its store held. `seed` is to be secret, and new at each start.
    pub fn new(config: NodeConfig, restored: &Restored, now: Time, seed: [u8; 32]) -> Node {
        Node::with_fault(config, restored, now, seed, None)
    }

    /// A node that breaks a rule, for a simulator that must prove it would notice.
    #[doc(hidden)]
    pub fn with_fault(
        config: NodeConfig,
        restored: &Restored,
        now: Time,
        seed: [u8; 32],
        fault: Option<lanward_ha::Fault>,
    ) -> Node {
        let NodeConfig { pair: mut pair_config, mut host } = config;
        // Changes are numbered under a name of this start alone: a store that was set back to an
        // older copy would give a number to another change, and the two could never meet again.
        let mut life = [0; 16];
        life.copy_from_slice(&seed[16..]);
        let document = AutomergeDocument::new(&pair_config.node, StoreId(life), restored);
        // How long a store that is not whole has to wait is decided at once. A store that knows
        // nothing of the household leaves that to the partner.
        if document.records().contains_key("setting/mclt") {
            let mclt = derive(document.records(), &host).mclt;
            pair_config.times = pair_config.times.or_mclt(mclt);
        }
        let mut pair = Pair::with_fault(pair_config, restored, now, fault);
        host.partner_addresses = pair.partner_addresses().to_vec();
        pair.set_addresses(host.addresses.clone());
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = seed;
        let seed = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        pair.set_life(u64::from_le_bytes([i, j, k, l, m, n, o, p]));
        let knows_nothing = document.records().is_empty() && !pair.has_served();
        let awaits_settings = knows_nothing && pair.rank() == Rank::One;
        let mut node = Node {
            server: Server::new(Arc::new(Config::default()), seed),
            pair,
            document,
            sessions: Sessions::new(restored),
            host,
            awaits_settings,
            effective: Arc::default(),
            batches: Batches::default(),
            edits: VecDeque::new(),
            releases: BTreeMap::new(),
            wall_ahead_millis: 0,
            unfit: None,
            stopped: None,
            out: VecDeque::new(),
        };
        node.derive(now);
        node.route(now);
        node
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Time, input: Input<'_>) {
        match input {
            Input::Timeout => {
                self.pair.handle_timeout(now);
                self.server.handle_timeout(now, &mut self.pair);
            }
            Input::Dhcp(received) => self.server.handle_packet(now, &mut self.pair, &received),
            Input::ProbeDone { probe, result } => {
                self.server.handle_probe(now, &mut self.pair, probe, result);
            }
            Input::LinkUp => self.pair.handle_link_up(now),
            Input::LinkDown { reason } => self.pair.handle_link_down(now, &reason),
            Input::Frame(frame) => self.pair.handle_frame(now, frame),
            Input::Stored { seq } => self.stored(now, seq),
            Input::StoreFailed { error } => self.store_failed(now, error),
            Input::Host(host) => {
                self.pair.set_addresses(host.addresses.clone());
                self.host = host;
                self.derive(now);
            }
            Input::Edit { id, author, writes } => self.edit(now, id, &author, None, &writes),
            Input::Undo { id, author, change } => self.undo(now, id, &author, change),
            Input::Date(wall) => {
                let signed = |time: Time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
                self.wall_ahead_millis = signed(wall).saturating_sub(signed(now));
            }
            Input::Lists(message) => self.pair.send_aside(Aside::Lists, message),
            Input::Authority(text) => self.pair.send_aside(Aside::Authority, text.into_bytes()),
            Input::Release { id, addr } => match self.pair.release_by_hand(now, addr) {
                Some(ticket) => {
                    self.releases.insert(ticket, id);
                }
                None => self.out.push_back(Output::ReleaseDone { id, released: false }),
            },
            Input::Paired(config) => self.paired(now, config),
            Input::PartnerOff { id, by } => {
                let result = self.pair.partner_is_off(now, &by).map_err(|why| why.to_string());
                self.out.push_back(Output::PartnerOffDone { id, result });
            }
            Input::Stop { why } => self.pair.stop(now, &why),
            Input::Resume => self.pair.resume(now),
            Input::RemovePartner { by } => {
                self.pair.remove_partner(now, &by);
            }
            Input::Unpaired(config) => {
                self.pair.handle_unpaired(now, config);
                self.awaits_settings = false;
                self.derive(now);
            }
        }
        self.route(now);
    }

    /// Tells the partner of the service addresses; see [`Pair::send_service_report`].
    pub fn send_service_report(&mut self, now: Time, report: &ServiceReport) {
        self.pair.send_service_report(report);
        self.route(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Input::Timeout`] is wanted next, and what for.
    pub fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        self.pair.poll_timeout().into_iter().chain(self.server.poll_timeout()).min()
    }

    /// The pair: its status and its bindings.
    pub fn pair(&self) -> &Pair {
        &self.pair
    }

    /// What is in force on this node; shared, so that who keeps it copies nothing.
    pub fn effective(&self) -> &Arc<Effective> {
        &self.effective
    }

    /// The household's records.
    pub fn records(&self) -> &BTreeMap<String, String> {
        self.document.records()
    }

    /// Records edited on both sides of a break and not settled: all values, the one in force
    /// first.
    pub fn collisions(&self) -> &BTreeMap<String, Vec<String>> {
        self.document.collisions()
    }

    /// The values of a colliding record with their authors, the one in force first.
    pub fn colliding(&mut self, id: &str) -> Vec<CollidingValue> {
        self.document.colliding(id)
    }

    /// The latest changes of the settings, newest first: all records of each. Their dates are
    /// those of the wall clock where they were made.
    pub fn changes(&mut self, limit: usize) -> Vec<SettingsChange> {
        self.document.changes(limit)
    }

    /// Whether the partner has all of this node's settings; `None` without a link to it.
    pub fn settings_agreed(&mut self) -> Option<bool> {
        self.document.is_agreed()
    }

    /// Something happens to a login session; tells whether it is alive then. Nobody has one while
    /// the household has no owner.
    pub fn session(&mut self, now: Time, deed: SessionDeed) -> bool {
        let Some(stamp) = self.document.records().get(OWNER).map(|record| stamp(record)) else {
            return false;
        };
        let alive = match deed {
            SessionDeed::Begin(key) => {
                self.sessions.begin(now, key, stamp);
                self.sessions.is_alive(now, key, stamp, false)
            }
            SessionDeed::Ask { key, touch } => self.sessions.is_alive(now, key, stamp, touch),
            SessionDeed::End(key) => {
                self.sessions.end(now, key);
                false
            }
        };
        self.route(now);
        alive
    }

    /// What the DHCP server counted since the start.
    pub fn dhcp_counters(&self) -> &Counters {
        self.server.counters()
    }

    fn stored(&mut self, now: Time, seq: u64) {
        let covered = self.batches.stored(seq);
        if let Some(pair) = covered.pair {
            self.pair.handle_stored(now, pair);
        }
        let Some(document) = covered.document else { return };
        self.document.handle_stored(document);
        while let Some((seq, id)) = self.edits.front().copied()
            && seq <= document
        {
            self.edits.pop_front();
            self.out.push_back(Output::EditDone { id, result: Ok(()) });
        }
    }

    fn store_failed(&mut self, now: Time, error: String) {
        self.pair.handle_store_failed(now, &error);
        for (_, id) in std::mem::take(&mut self.edits) {
            let result = Err(EditError::NotDurable(error.clone()));
            self.out.push_back(Output::EditDone { id, result });
        }
        self.unfit = Some(error);
    }

    fn edit(
        &mut self,
        now: Time,
        id: u64,
        author: &str,
        undoes: Option<ChangeId>,
        writes: &[(String, Option<String>)],
    ) {
        let refusal = match &self.unfit {
            Some(error) => Some(EditError::NotDurable(error.clone())),
            None => self.objections(undoes.is_some(), writes),
        };
        if let Some(refusal) = refusal {
            self.out.push_back(Output::EditDone { id, result: Err(refusal) });
            return;
        }
        let date = self.date(now);
        let seq = match undoes {
            None => self.document.edit(date, author, writes),
            Some(undoes) => self.document.undo(date, author, undoes, writes),
        };
        match seq {
            Some(seq) => self.edits.push_back((seq, id)),
            None => self.out.push_back(Output::EditDone { id, result: Ok(()) }),
        }
    }

    /// Takes a change back by writing what was there before it.
    fn undo(&mut self, now: Time, id: u64, author: &str, change: ChangeId) {
        let changes = self.document.change(change);
        match undo_of(&changes, self.document.records()) {
            Ok(writes) => self.edit(now, id, author, Some(change), &writes),
            Err(refusal) => {
                self.out.push_back(Output::EditDone { id, result: Err(refusal.into()) });
            }
        }
    }

    /// The wall clock at `now`.
    fn date(&self, now: Time) -> Time {
        let ahead = Duration::from_millis(self.wall_ahead_millis.unsigned_abs());
        if self.wall_ahead_millis < 0 { now - ahead } else { now + ahead }
    }

    /// What would be wrong with the records an edit writes. A `strict` edit may not break any
    /// other record either.
    fn objections(&self, strict: bool, writes: &[(String, Option<String>)]) -> Option<EditError> {
        let mut records = self.document.records().clone();
        for (key, value) in writes {
            match value {
                Some(value) => records.insert(key.clone(), value.clone()),
                None => records.remove(key),
            };
        }
        // A new record may also put an older one out of force (two reservations of one address);
        // a record that is taken away may leave others that name it, and they are told as such.
        let objects = |problem: &Problem| {
            let other = problem.other.as_ref().map(|other| &other.key);
            let touches = writes.iter().any(|(key, value)| {
                *key == problem.place.key || value.is_some() && other == Some(key)
            });
            touches || strict && !self.effective.problems.contains(problem)
        };
        let sentences: Vec<String> = derive(&records, &self.host)
            .problems
            .into_iter()
            .filter(|problem| problem.severity == Severity::Error && objects(problem))
            .map(|problem| format!("{} {}", problem.message, problem.fix))
            .collect();
        (!sentences.is_empty()).then_some(EditError::Invalid(sentences))
    }

    fn paired(&mut self, now: Time, config: PairConfig) {
        let joins = config.partner.as_ref().is_some_and(|partner| partner.rank == Rank::One);
        self.pair.handle_paired(now, config);
        if joins {
            self.document.reset();
        }
        self.awaits_settings = joins;
        self.derive(now);
    }

    /// Puts what the records say in force.
    fn derive(&mut self, now: Time) {
        if self.renew_effective(now) {
            self.out.push_back(Output::SettingsChanged);
        }
    }

    fn renew_effective(&mut self, now: Time) -> bool {
        self.host.partner_addresses = self.pair.partner_addresses().to_vec();
        let rank = self.pair.rank();
        let partner = self.pair.partner_name().map(str::to_owned);
        let awaits_settings = self.awaits_settings && self.document.records().is_empty();
        self.host.pair = partner.map(|partner| PairView { rank, partner, awaits_settings });
        let effective = derive(self.document.records(), &self.host);
        if effective.dhcp != self.effective.dhcp {
            self.server.set_config(Arc::new(effective.dhcp.clone()));
            let networks = &effective.dhcp.networks;
            let pools = networks.iter().map(|(id, network)| (id.clone(), network.pools.clone()));
            self.pair.set_pools(pools.collect());
            let reservations = networks.values().flat_map(|network| &network.reservations);
            self.pair.set_reservations(reservations.cloned());
        }
        if effective.mclt != Duration::ZERO {
            self.pair.set_mclt(now, effective.mclt);
        }
        let differs = effective != *self.effective;
        self.effective = Arc::new(effective);
        differs
    }

    /// Carries what the three machines want to where it belongs, until they are quiet; then what
    /// they want written leaves as one batch.
    fn route(&mut self, now: Time) {
        loop {
            if let Some(output) = self.pair.poll_output() {
                self.route_pair(now, output);
            } else if let Some(output) = self.document.poll_output() {
                self.route_document(now, output);
            } else if let Some(output) = self.sessions.poll_output() {
                match output {
                    SessionsOutput::Send(message) => {
                        self.pair.send_aside(Aside::Sessions, message);
                    }
                    SessionsOutput::Store(writes) => self.batches.add_writes(writes),
                }
            } else if let Some(output) = self.server.poll_output() {
                self.out.push_back(match output {
                    lanward_dhcp::Output::Transmit(transmit) => Output::Dhcp(transmit),
                    lanward_dhcp::Output::Probe(probe) => Output::Probe(probe),
                    lanward_dhcp::Output::Dropped(reason) => Output::Dropped(reason),
                    lanward_dhcp::Output::Event(event) => Output::DhcpEvent(event),
                });
            } else {
                break;
            }
        }
        if let Some(batch) = self.batches.take_batch() {
            self.out.push_back(Output::Store(batch));
        }
        // The last answers leave first.
        if let Some(handed_over) = self.stopped.take() {
            self.out.push_back(Output::Stopped { handed_over });
        }
    }

    fn route_pair(&mut self, now: Time, output: PairOutput) {
        match output {
            PairOutput::Send(frame) => self.out.push_back(Output::Send(frame)),
            PairOutput::CloseLink { reason } => self.out.push_back(Output::CloseLink { reason }),
            PairOutput::Store(batch) => self.batches.add(Writer::Pair, batch),
            PairOutput::Outcome { ticket, outcome } => match self.releases.remove(&ticket) {
                Some(id) => {
                    let released = matches!(outcome, Outcome::Committed { .. });
                    self.out.push_back(Output::ReleaseDone { id, released });
                }
                None => self.server.handle_outcome(now, ticket, outcome),
            },
            PairOutput::SettingsLinkUp => {
                self.document.handle_link_up();
                self.sessions.handle_link_up(now);
                self.out.push_back(Output::ListsLink(true));
            }
            PairOutput::SettingsLinkDown => {
                self.document.handle_link_down();
                self.sessions.handle_link_down();
                self.out.push_back(Output::ListsLink(false));
            }
            PairOutput::Aside(Aside::Sessions, message) => {
                if let Err(error) = self.sessions.handle_message(now, &message) {
                    self.pair.close_link(now, &error.to_string());
                }
            }
            PairOutput::Aside(Aside::Lists, message) => {
                self.out.push_back(Output::Lists(message));
            }
            PairOutput::Aside(Aside::Authority, message) => match String::from_utf8(message) {
                Ok(text) => self.out.push_back(Output::Authority(text)),
                Err(error) => self.pair.close_link(now, &format!("authority: {error}")),
            },
            PairOutput::Settings(message) => {
                if let Err(error) = self.document.handle_message(&message) {
                    self.pair.close_link(now, &error.to_string());
                }
                // They may be the built-in ones: then no record comes.
                if self.awaits_settings && self.document.is_agreed() == Some(true) {
                    self.awaits_settings = false;
                    self.derive(now);
                }
            }
            PairOutput::PartnerAddresses => self.derive(now),
            PairOutput::Stopped { handed_over } => self.stopped = Some(handed_over),
            PairOutput::Removed => self.out.push_back(Output::Removed),
            PairOutput::LeasesChanged { named } => {
                self.out.push_back(Output::LeasesChanged { named });
            }
            PairOutput::Event(event) => self.out.push_back(Output::Event(event)),
        }
    }

    fn route_document(&mut self, now: Time, output: DocumentOutput) {
        match output {
            DocumentOutput::Send(message) => self.pair.send_settings(&message),
            DocumentOutput::Store(batch) => self.batches.add(Writer::Document, batch),
            DocumentOutput::Changed => {
                // Records that are no settings (users, devices) count as a change too.
                self.renew_effective(now);
                self.out.push_back(Output::SettingsChanged);
            }
        }
    }
}

/// Names the owner's record as it is.
fn stamp(record: &str) -> Stamp {
    Stamp(Sha256::digest(record.as_bytes()).into())
}
