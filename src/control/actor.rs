//! The task that owns the node: everything that happens on this host reaches the node here, one
//! thing after another, and everything the node wants done leaves from here.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use lanward_dhcp::{Event as Dhcp, Received};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, error, info, trace, warn};

use super::beside::Beside;
use super::certificates::Certificates;
use super::dhcp::{DhcpFront, Heard};
use super::handle::{Command, Reading};
use super::service::ServiceFront;
use super::wall;
use crate::io::clock::{FLOOR_EVERY, NodeClock};
use crate::io::interfaces::{self, OwnAddress};
use crate::io::link::{LinkEvent, LinkSender};
use crate::io::store::{Store, StoreEvent};
use crate::lists::ListKeeper;
use crate::node::{EditError, Input, Node, Output};
use crate::settings::HostView;

/// Counts changes, for whoever derives things from the node. Several changes in a row are one
/// reason to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Leases that began or ended.
    pub(super) leases: u64,
    /// Those of devices with a name.
    pub(super) names: u64,
    /// Of what is in force: settings, or the host's addresses.
    pub(super) settings: u64,
}

/// What was asked of this node that its pair's core does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Somebody put this host into maintenance: who.
    pub(crate) maintenance: Option<String>,
}

/// An orderly stop of the process that has not ended after this long is cut short.
const STOP_LIMIT: Duration = Duration::from_millis(3500);

/// Everything the task listens to, and what it answers through.
pub(super) struct Actor {
    pub(super) node: Node,
    pub(super) clock: NodeClock,
    pub(super) store: Store,
    pub(super) store_events: mpsc::UnboundedReceiver<StoreEvent>,
    /// The way to the partner, while there is one.
    pub(super) partner: Option<LinkSender>,
    pub(super) link_events: mpsc::Receiver<LinkEvent>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) addresses: mpsc::Receiver<Vec<OwnAddress>>,
    pub(super) dhcp: DhcpFront,
    pub(super) service: ServiceFront,
    pub(super) changes: watch::Sender<Changes>,
    pub(super) beside: Beside,
    pub(super) standing: watch::Sender<Standing>,
    /// Hears that the partner removed this node.
    pub(super) removed: mpsc::UnboundedSender<String>,
    /// The addresses the partner told of its host, for the link and for whoever looks for it.
    pub(super) partner_host: watch::Sender<Vec<IpAddr>>,
    pub(super) waiting: Waiting,
    /// What the node was told last.
    pub(super) without_service_addresses: bool,
    /// The keeper of the blocklists, which has words of its own for the partner's.
    pub(super) lists: ListKeeper,
    /// The keeper of the certificates, likewise.
    pub(super) certificates: Certificates,
}

/// Those who wait for the end of something.
#[derive(Default)]
pub(super) struct Waiting {
    edits: HashMap<u64, oneshot::Sender<Result<(), EditError>>>,
    releases: HashMap<u64, oneshot::Sender<bool>>,
    partner_off: HashMap<u64, oneshot::Sender<Result<(), String>>>,
    maintenance: Option<oneshot::Sender<Result<(), String>>>,
    last_id: u64,
    /// The process ends, and this late at the latest.
    ending: Option<Instant>,
    /// It ends now.
    ended: bool,
}

impl Waiting {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

impl Actor {
    /// Runs until it is told to stop or nobody can tell it any more; then everything that was
    /// given to the store is on the disk.
    pub(super) async fn run(mut self) {
        let mut floor = tokio::time::interval(FLOOR_EVERY);
        floor.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.set_networks();
        self.partner_changed();
        self.drain();
        while !self.waiting.ended {
            let wake = self.wake();
            let ending = self.waiting.ending;
            // What was begun is brought to its end before anything new is taken from the clients:
            // under load they wait in the socket, not in the node. All others are few.
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    None => break,
                    Some(command) => self.command(command),
                },
                () = tokio::time::sleep_until(ending.unwrap_or(wake)), if ending.is_some() => {
                    warn!("the other host did not take over in time; this one stops nonetheless");
                    break;
                }
                Some(event) = self.store_events.recv() => self.stored(event),
                Some(event) = self.link_events.recv() => self.linked(event),
                () = tokio::time::sleep_until(wake) => self.timeout(),
                Some(addresses) = self.addresses.recv() => self.addresses_changed(addresses),
                event = self.service.next() => self.service.handle(self.clock.now(), &event),
                _ = floor.tick() => {
                    self.store.save_time(self.clock.floor());
                    if let Some(partner) = self.node.pair().partner_name() {
                        self.beside.introduce(partner);
                    }
                }
                heard = self.dhcp.next() => self.heard(heard),
            }
            self.drain();
        }
        self.beside.own("stopped", "its process ends");
        self.store.save_time(self.clock.floor());
        let (store, journal) = (self.store, self.beside.journal);
        // Closing waits for the disk.
        let closed = tokio::task::spawn_blocking(move || {
            store.close();
            journal.flush();
        });
        let _ = closed.await;
    }

    /// When the node wants to be woken.
    fn wake(&self) -> Instant {
        let now = self.clock.now();
        let at = self.node.poll_timeout();
        if let Some((at, why)) = at {
            trace!("next wake-up in {} ms: {why}", at.since(now).as_millis());
        }
        // Nothing to wait for: look again in a while, which costs nothing.
        let at = at.map_or(now + FLOOR_EVERY, |(at, _)| at);
        let at = self.service.poll_timeout().map_or(at, |other| other.min(at));
        Instant::now() + at.since(now)
    }

    fn timeout(&mut self) {
        let now = self.clock.now();
        if self.service.poll_timeout().is_some_and(|at| at <= now) {
            self.service.handle_timeout(now);
        }
        self.handle(Input::Timeout);
    }

    /// The networks, or where they are, may have changed.
    fn set_networks(&mut self) {
        self.dhcp.set_networks(&self.node);
        self.service.set_networks(self.clock.now(), &self.node);
    }

    fn handle(&mut self, input: Input<'_>) {
        self.node.handle(self.clock.now(), input);
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Ask(question) => {
                let now = self.clock.now();
                question(&mut Reading { node: &mut self.node, now, wall: wall::now() });
            }
            Command::Edit { author, writes, done } => {
                let id = self.waiting.next_id();
                self.waiting.edits.insert(id, done);
                self.handle(Input::Date(wall::date()));
                self.handle(Input::Edit { id, author, writes });
            }
            Command::Undo { author, change, done } => {
                let id = self.waiting.next_id();
                self.waiting.edits.insert(id, done);
                self.handle(Input::Date(wall::date()));
                self.handle(Input::Undo { id, author, change });
            }
            Command::Release { addr, done } => {
                let id = self.waiting.next_id();
                self.waiting.releases.insert(id, done);
                self.handle(Input::Release { id, addr });
            }
            Command::Session { deed, done } => {
                let _ = done.send(self.node.session(self.clock.now(), deed));
            }
            Command::Lists(message) => self.handle(Input::Lists(message)),
            Command::Authority(text) => self.handle(Input::Authority(text)),
            Command::Paired(config) => {
                self.handle(Input::Paired(config));
                self.partner_changed();
                self.set_networks();
            }
            Command::Unpaired(config) => {
                self.handle(Input::Unpaired(config));
                self.partner_changed();
                self.set_networks();
            }
            Command::HandOver { done } => self.service.handle_stop(self.clock.now(), done),
            Command::PartnerOff { by, done } => {
                let id = self.waiting.next_id();
                self.waiting.partner_off.insert(id, done);
                self.handle(Input::PartnerOff { id, by });
            }
            Command::RemovePartner { by } => self.handle(Input::RemovePartner { by }),
            Command::Maintenance { on: true, by, done } => {
                self.standing.send_modify(|standing| standing.maintenance = Some(by.clone()));
                self.waiting.maintenance = Some(done);
                self.handle(Input::Stop { why: format!("maintenance, asked for by {by}") });
            }
            Command::Maintenance { on: false, done, .. } => {
                self.end_maintenance();
                let _ = done.send(Ok(()));
            }
            Command::Mute(mute) => {
                self.dhcp.set_muted(mute);
                self.dhcp.set_networks(&self.node);
            }
            Command::History(word) => self.beside.history(word),
            Command::Note { what, why } => self.beside.own(&what, &why),
            Command::CopyStore { target, done } => {
                let _ = done.send(self.store.copy_to(&target));
            }
            Command::Stop { why } if self.waiting.ending.is_none() => {
                self.waiting.ending = Some(Instant::now() + STOP_LIMIT);
                // In maintenance everything is handed over already.
                self.waiting.ended = self.standing.borrow().maintenance.is_some()
                    && self.waiting.maintenance.is_none();
                self.handle(Input::Stop { why });
            }
            Command::Stop { .. } => self.waiting.ended = true,
        }
    }

    fn end_maintenance(&mut self) {
        let was = self.standing.send_if_modified(|standing| standing.maintenance.take().is_some());
        if was {
            self.handle(Input::Resume);
        }
    }

    /// An orderly stop is over: of the process, or into maintenance.
    fn stopped(&mut self, handed_over: bool) {
        if self.waiting.ending.is_some() {
            self.waiting.ended = true;
        }
        let Some(done) = self.waiting.maintenance.take() else { return };
        if handed_over {
            let _ = done.send(Ok(()));
            return;
        }
        // Nobody would answer: this host goes on.
        self.end_maintenance();
        let why = "The other host did not take over in time. This one goes on serving.";
        let _ = done.send(Err(why.to_owned()));
    }

    fn stored(&mut self, event: StoreEvent) {
        match event {
            StoreEvent::Durable { seq } => self.handle(Input::Stored { seq }),
            StoreEvent::Failed { error } => {
                error!(
                    "leases and settings cannot be saved on this host ({error}): it answers DNS \
                     and gives no new leases; the other host goes on, or, where none does, this \
                     one prolongs the leases that run. Check the disk, then restart."
                );
                self.handle(Input::StoreFailed { error });
            }
        }
    }

    fn linked(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Up { peer_addr, sender } => {
                info!("the link to the partner is up ({peer_addr})");
                self.partner = Some(sender.clone());
                self.handle(Input::LinkUp);
                // The HELLO first: it opens every link.
                self.drain();
                if let Some(partner) = self.node.pair().partner_name() {
                    self.beside.link_up(&sender, partner);
                }
                self.service.handle_link_up(self.clock.now());
            }
            LinkEvent::Frame(frame) => {
                let partner = self.node.pair().partner_name().unwrap_or_default();
                if !self.beside.heard(&frame, partner) {
                    self.handle(Input::Frame(&frame));
                    self.service.handle_frame(self.clock.now(), &self.node);
                }
            }
            LinkEvent::Down { reason } => {
                self.partner = None;
                self.beside.link_down(self.node.pair().partner_name());
                self.service.handle_link_down(self.clock.now());
                warn!("the link to the partner is down: {reason}");
                self.handle(Input::LinkDown { reason });
            }
        }
    }

    fn partner_changed(&self) {
        self.beside.partner(self.node.pair().partner_name());
    }

    fn addresses_changed(&mut self, addresses: Vec<OwnAddress>) {
        self.service.set_addresses(addresses);
        self.host_changed();
    }

    /// What the settings depend on besides themselves has changed.
    fn host_changed(&mut self) {
        let own = self.service.own();
        self.without_service_addresses = self.service.nobody_can();
        let host = HostView {
            node: self.node.pair().name().to_owned(),
            addresses: interfaces::reachable(&own),
            without_service_addresses: self.without_service_addresses,
            encrypted: self.certificates.shown().borrow().ports,
            ..HostView::default()
        };
        self.dhcp.set_addresses(own);
        self.handle(Input::Host(host));
        self.set_networks();
        self.changes.send_modify(|changes| changes.settings += 1);
    }

    fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Packet { network, datagram } => self.handle(Input::Dhcp(Received {
                network,
                src: datagram.src,
                dst: datagram.dst,
                payload: &datagram.payload,
            })),
            Heard::Probe { probe, result } => self.handle(Input::ProbeDone { probe, result }),
            Heard::Nothing => {}
        }
    }

    /// Does what the node and the service addresses want done.
    fn drain(&mut self) {
        self.drain_node();
        if self.service.nobody_can() != self.without_service_addresses {
            self.host_changed();
            self.drain_node();
        }
        let now = self.clock.now();
        for report in self.service.drain(now) {
            self.node.send_service_report(now, &report);
            self.drain_node();
        }
    }

    fn drain_node(&mut self) {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Dhcp(transmit) => self.dhcp.send(&transmit),
                Output::Probe(probe) => self.dhcp.probe(&probe),
                Output::Dropped(why) => trace!("DHCP packet not answered: {why}"),
                Output::DhcpEvent(event) => log_dhcp(&event),
                Output::Send(frame) => {
                    if let Some(partner) = &self.partner {
                        partner.send(frame);
                    }
                }
                Output::CloseLink { reason } => {
                    if let Some(partner) = &self.partner {
                        partner.close(&reason);
                    }
                }
                Output::Store(batch) => self.store.write(batch),
                Output::EditDone { id, result } => {
                    if let Some(done) = self.waiting.edits.remove(&id) {
                        let _ = done.send(result);
                    }
                }
                Output::ReleaseDone { id, released } => {
                    if let Some(done) = self.waiting.releases.remove(&id) {
                        let _ = done.send(released);
                    }
                }
                Output::SettingsChanged => {
                    self.set_networks();
                    self.changes.send_modify(|changes| changes.settings += 1);
                }
                Output::Lists(message) => self.lists.partner_said(message),
                Output::Authority(text) => self.certificates.partner_said(text),
                Output::ListsLink(up) => {
                    self.lists.partner_link(up);
                    self.certificates.partner_link(up);
                }
                Output::LeasesChanged { named } => self.changes.send_modify(|changes| {
                    changes.leases += 1;
                    changes.names += u64::from(named);
                }),
                Output::PartnerOffDone { id, result } => {
                    if let Some(done) = self.waiting.partner_off.remove(&id) {
                        let _ = done.send(result);
                    }
                }
                Output::Stopped { handed_over } => self.stopped(handed_over),
                Output::Removed => {
                    let partner = self.node.pair().partner_name();
                    let _ = self.removed.send(partner.unwrap_or("the other host").to_owned());
                }
                Output::Event(event) => self.beside.event(&event),
            }
        }
        let told = self.node.pair().partner_addresses();
        self.partner_host.send_if_modified(|known| {
            let differs = known != told;
            if differs {
                *known = told.to_vec();
            }
            differs
        });
    }
}

/// What happened to a client. Names and addresses of people's devices are for debugging; what
/// wants somebody's attention is a warning.
fn log_dhcp(event: &Dhcp) {
    match event {
        Dhcp::Conflict { network, addr, by } => {
            let by = by.map_or_else(|| "something".to_owned(), |hw| hw.to_string());
            warn!("{addr} on {network} is used by {by} without a lease: not given to anybody");
        }
        Dhcp::Ignoring { network, client, duration } => {
            warn!(
                "{client} on {network} declined too many addresses: what else it declines within {} min counts for nothing. Something on that network may answer for every address",
                duration.as_secs() / 60
            );
        }
        Dhcp::SharedClientId { network, client, hw: [a, b] } => {
            warn!(
                "{a} and {b} on {network} send the same client identifier {client}: give one a new machine-id"
            );
        }
        Dhcp::PoolExhausted { network } => {
            warn!("no free address on {network}: enlarge its pool");
        }
        other => debug!("DHCP: {other:?}"),
    }
}
