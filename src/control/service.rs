//! The service addresses' shell: what [`ServiceAddresses`] decides is done here, on the interfaces
//! and on the networks, and what happens there is told to it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use lanward_dhcp::Time;
use lanward_ha::ServiceReport;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::io::guard::{Guard, Order};
use crate::io::interfaces::{self, OwnAddress};
use crate::io::neighbours::{Heard, Neighbours};
use crate::io::netlink::Netlink;
use crate::node::Node;
use crate::service_addresses::{Output, ServiceAddresses, Shown, Wanted};

/// Words of the network that may wait.
const WORDS: usize = 64;
/// How often the guard hears that this process lives, and how soon a lost one is replaced.
const BEAT: Duration = Duration::from_millis(200);
const NEW_GUARD: Duration = Duration::from_secs(2);

/// Something for the service addresses.
pub(super) enum ServiceEvent {
    /// Said on a network.
    Word(Heard),
    /// Whether this host's DNS answered its own question.
    Tested(bool),
}

/// The service addresses of this host, with what they are done by.
pub(super) struct ServiceFront {
    core: ServiceAddresses,
    netlink: Option<Netlink>,
    guard: Option<Guard>,
    guard_at: Instant,
    beat_at: Instant,
    /// The interface of each address, as the settings and the host's addresses have it.
    places: BTreeMap<IpAddr, u32>,
    /// Where each address was added.
    added: BTreeMap<IpAddr, u32>,
    neighbours: BTreeMap<u32, (BTreeSet<IpAddr>, Neighbours)>,
    words_to: mpsc::Sender<Heard>,
    words: mpsc::Receiver<Heard>,
    tested: mpsc::Receiver<bool>,
    /// Whether they depend on the self-test.
    depends: watch::Sender<bool>,
    /// All addresses of the host, those that move among them.
    all: Vec<OwnAddress>,
    shown: watch::Sender<Vec<Shown>>,
    released: Option<oneshot::Sender<()>>,
}

impl ServiceFront {
    /// Nothing is held yet. `all`: the host's addresses; of the self-test its results, and whom to
    /// tell whether they matter here.
    pub(super) fn new(
        core: ServiceAddresses,
        all: Vec<OwnAddress>,
        (tested, depends): (mpsc::Receiver<bool>, watch::Sender<bool>),
        shown: watch::Sender<Vec<Shown>>,
    ) -> ServiceFront {
        let (words_to, words) = mpsc::channel(WORDS);
        ServiceFront {
            core,
            netlink: None,
            guard: None,
            guard_at: Instant::now(),
            beat_at: Instant::now(),
            places: BTreeMap::new(),
            added: BTreeMap::new(),
            neighbours: BTreeMap::new(),
            words_to,
            words,
            tested,
            depends,
            all,
            shown,
            released: None,
        }
    }

    /// Waits for the next thing. May be cancelled at any time without losing one.
    pub(super) async fn next(&mut self) -> ServiceEvent {
        tokio::select! {
            Some(word) = self.words.recv() => ServiceEvent::Word(word),
            Some(answered) = self.tested.recv() => ServiceEvent::Tested(answered),
            else => std::future::pending().await,
        }
    }

    pub(super) fn handle(&mut self, now: Time, event: &ServiceEvent) {
        match event {
            ServiceEvent::Word(Heard { addr, mac, word }) => {
                self.core.handle_word(now, *addr, *mac, *word);
            }
            ServiceEvent::Tested(answered) => {
                self.core.handle_self_test(now, *answered);
                self.show(now);
            }
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        self.core.handle_timeout(now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.core.poll_timeout()
    }

    pub(super) fn handle_link_up(&mut self, now: Time) {
        self.core.handle_link_up(now);
    }

    pub(super) fn handle_link_down(&mut self, now: Time) {
        self.core.handle_link_down(now);
    }

    pub(super) fn handle_frame(&mut self, now: Time, node: &Node) {
        self.core.handle_heard(now, node.pair().partner_service_report());
    }

    /// Hands everything over; `done` hears of it.
    pub(super) fn handle_stop(&mut self, now: Time, done: oneshot::Sender<()>) {
        self.core.handle_stop(now);
        self.released = Some(done);
    }

    /// The host's addresses without those that move.
    pub(super) fn own(&self) -> Vec<OwnAddress> {
        interfaces::without_aliases(&self.all)
    }

    /// Whether neither this host nor its partner can hold service addresses.
    pub(super) fn nobody_can(&self) -> bool {
        !self.core.somebody_can()
    }

    /// The host's addresses changed.
    pub(super) fn set_addresses(&mut self, all: Vec<OwnAddress>) {
        self.all = all;
    }

    /// What is in force, or where, may have changed.
    pub(super) fn set_networks(&mut self, now: Time, node: &Node) {
        let own = self.own();
        let mut wanted = Vec::new();
        self.places.clear();
        for network in &node.effective().networks {
            let place = interfaces::attached(&own, network.subnet).map(|(own, _)| own);
            for service in &network.service_addresses {
                if let Some(place) = place {
                    self.places.insert(service.addr, place.index);
                }
                wanted.push(Wanted {
                    addr: service.addr,
                    home: service.home,
                    network: network.id.clone(),
                    attached: place.is_some_and(|place| place.running),
                });
            }
        }
        let depends = !wanted.is_empty();
        self.depends.send_if_modified(|was| std::mem::replace(was, depends) != depends);
        if self.core.incapable().is_none() {
            self.listen();
        }
        for service in &mut wanted {
            let place = self.places.get(&service.addr);
            service.attached &= place.is_some_and(|place| self.neighbours.contains_key(place));
        }
        let macs = self.neighbours.values().map(|(_, neighbours)| neighbours.mac()).collect();
        let partner = node.pair().partner_name().map(str::to_owned);
        self.core.set_wanted(now, (node.pair().rank(), partner), wanted, macs);
        let aliases =
            self.all.iter().filter(|own| own.net.prefix_len() == own.net.max_prefix_len());
        let present: BTreeMap<IpAddr, u32> = aliases.map(|own| (own.addr(), own.index)).collect();
        for (addr, index) in &present {
            if self.places.contains_key(addr) {
                self.added.entry(*addr).or_insert(*index);
            }
        }
        self.core.handle_present(now, &present.into_keys().collect());
        self.show(now);
    }

    /// Listens on every interface that has a service address, and on no other.
    fn listen(&mut self) {
        let mut wanted: BTreeMap<u32, BTreeSet<IpAddr>> = BTreeMap::new();
        for (addr, index) in &self.places {
            wanted.entry(*index).or_default().insert(*addr);
        }
        self.neighbours.retain(|index, (addresses, _)| wanted.get(index) == Some(addresses));
        for (index, addresses) in wanted {
            if self.neighbours.contains_key(&index) {
                continue;
            }
            match Neighbours::open(index, addresses.clone(), &self.words_to) {
                Ok(neighbours) => {
                    self.neighbours.insert(index, (addresses, neighbours));
                }
                Err(error) => warn!("interface {index} cannot be listened to: {error}"),
            }
        }
    }

    /// Does what is to be done; gives back what the partner is to be told.
    pub(super) fn drain(&mut self, now: Time) -> Vec<ServiceReport> {
        let mut reports = Vec::new();
        let mut moved = false;
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Tell(report) => reports.push(report),
                Output::Note(note) => info!("service addresses: {note}"),
                Output::Announce(addr) => {
                    if let Err(error) = self.by(addr, Neighbours::announce) {
                        debug!("{addr} cannot be announced: {error}");
                    }
                }
                Output::Probe(addr) => {
                    if let Err(error) = self.by(addr, Neighbours::probe) {
                        // Nobody was asked, so silence would mean nothing.
                        self.core.handle_added(now, addr, Err(error.to_string()));
                    }
                }
                Output::Add(addr) => {
                    let result = self.add(addr).map_err(|error| error.to_string());
                    if result.is_ok() {
                        info!("service addresses: {addr} is here now");
                    }
                    self.core.handle_added(now, addr, result);
                    moved = true;
                }
                Output::Remove(addr) => {
                    self.remove(addr);
                    moved = true;
                }
            }
        }
        self.beat();
        if moved {
            self.show(now);
        }
        if self.core.is_empty_handed()
            && let Some(released) = self.released.take()
        {
            let _ = released.send(());
        }
        reports
    }

    fn by(
        &self,
        addr: IpAddr,
        what: impl Fn(&Neighbours, IpAddr) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let neighbours = self.places.get(&addr).and_then(|index| self.neighbours.get(index));
        let unknown = || std::io::Error::other("no interface of this host is on that network");
        what(&neighbours.ok_or_else(unknown)?.1, addr)
    }

    fn add(&mut self, addr: IpAddr) -> std::io::Result<()> {
        let unknown = || std::io::Error::other("no interface of this host is on that network");
        let index = *self.places.get(&addr).ok_or_else(unknown)?;
        // The guard first: from the moment the address is there it must not outlive this process.
        self.added.insert(addr, index);
        self.tell_guard(Order::Hold(index, addr));
        self.netlink()?.add(index, addr)
    }

    fn remove(&mut self, addr: IpAddr) {
        let Some(index) = self.added.remove(&addr).or_else(|| self.places.get(&addr).copied())
        else {
            return;
        };
        match self.netlink().and_then(|netlink| netlink.remove(index, addr)) {
            Ok(()) => info!("service addresses: {addr} is not here any more"),
            Err(error) => warn!("{addr} cannot be removed: {error}"),
        }
        self.tell_guard(Order::Drop(addr));
    }

    fn netlink(&mut self) -> std::io::Result<&mut Netlink> {
        if self.netlink.is_none() {
            self.netlink = Some(Netlink::open()?);
        }
        self.netlink.as_mut().ok_or_else(|| std::io::Error::other("no netlink socket"))
    }

    /// Tells the guard that this process lives.
    fn beat(&mut self) {
        if self.core.is_idle() || self.core.incapable().is_some() || self.beat_at.elapsed() < BEAT {
            return;
        }
        self.beat_at = Instant::now();
        self.tell_guard(Order::Alive);
    }

    /// Starts the guard where there is none, with all that is held, then tells it more.
    fn tell_guard(&mut self, order: Order) {
        if self.guard.is_none() && self.guard_at <= Instant::now() {
            self.guard_at = Instant::now() + NEW_GUARD;
            match Guard::start() {
                Ok(guard) => {
                    let mut held = self.added.iter();
                    let told = held.try_for_each(|(addr, at)| guard.tell(Order::Hold(*at, *addr)));
                    self.guard = told.is_ok().then_some(guard);
                }
                Err(error) => warn!("service addresses have no guard: {error}"),
            }
        }
        if let Some(guard) = &self.guard
            && let Err(error) = guard.tell(order)
        {
            warn!("the guard of the service addresses is gone and is started again: {error}");
            self.guard = None;
        }
    }

    fn show(&self, now: Time) {
        let shown = self.core.shown(now);
        self.shown.send_if_modified(|old| {
            let differs = *old != shown;
            if differs {
                *old = shown;
            }
            differs
        });
    }
}
