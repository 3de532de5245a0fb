//! The groups of upstream servers of one settings snapshot: who is asked first, and who next.

use std::cell::Cell;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::{ArcSwap, ArcSwapOption};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rustls::ClientConfig;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::health::UpstreamState;
use super::question::{Dice, Question};
use super::server::{Failed, Received, Server};
use super::wrong_clock::{Floor, floored};
use crate::cache::FailureKind;
use crate::history::UpstreamId;
use crate::{Order, Upstreams};

/// So often is a question asked at least while servers are silent; each server is asked once in any
/// case. So many that answer, and have none, are believed: what they cannot find, or cannot write, the
/// next one cannot either.
const TRIES: usize = 3;

/// Of so many questions one goes to any server first when the fastest is preferred, so that one
/// that has become faster is found.
const EXPLORE: u16 = 32;

tokio::task_local! {
    /// The server whose answer came first.
    static ANSWERED: Cell<Option<UpstreamId>>;

    /// Servers that are asked after all others, because what they answered was bogus.
    static AVOIDED: Vec<UpstreamId>;
}

/// Asks, these servers last; another answer than theirs was the client's first.
pub(super) async fn avoiding<T>(servers: Vec<UpstreamId>, asking: impl Future<Output = T>) -> T {
    let _ = ANSWERED.try_with(|first| first.set(None));
    AVOIDED.scope(servers, asking).await
}

/// The server whose answer came first.
pub(super) fn who_answered() -> Option<UpstreamId> {
    ANSWERED.try_with(Cell::get).ok().flatten()
}

/// Asks, and tells which server gave the first answer: validation asks more than one question, and
/// the first is the client's.
pub(super) async fn noting_who<T>(asking: impl Future<Output = T>) -> (T, Option<UpstreamId>) {
    let noted = async {
        let result = asking.await;
        (result, ANSWERED.with(Cell::get))
    };
    ANSWERED.scope(Cell::default(), noted).await
}

fn note(server: UpstreamId) {
    // Probes and look-ups of names are nobody's question.
    let _ = ANSWERED.try_with(|first| first.set(first.get().or(Some(server))));
}

/// What all servers share, and what they tell the forwarding task.
#[derive(Debug, Default)]
pub(crate) struct Common {
    /// Whose certificates are believed.
    tls: ArcSwapOption<ClientConfig>,
    /// By which time they are judged at least.
    floor: Arc<Floor>,
    /// Some server wants to be probed.
    pub(crate) probe: Notify,
    /// A server that was down answers: whoever waits for others may ask it.
    recovered: Notify,
    /// Plain servers that know where others are.
    pub(super) bootstrap: ArcSwap<Vec<SocketAddr>>,
    /// As `recovered`, for the forwarding task, which forgets what failed meanwhile.
    forget: AtomicBool,
    /// How many servers there have been.
    servers: AtomicU16,
}

impl Common {
    pub(crate) fn believe(&self, config: &ClientConfig) {
        self.tls.store(Some(self.timely(config)));
    }

    /// `config`, judging certificates by the same time.
    pub(crate) fn timely(&self, config: &ClientConfig) -> Arc<ClientConfig> {
        floored(config, &self.floor)
    }

    pub(crate) fn raise_floor(&self, to: SystemTime) {
        self.floor.raise(to);
    }

    pub(super) fn tls(&self) -> Option<Arc<ClientConfig>> {
        self.tls.load_full()
    }

    /// A number that no server had for a long time.
    pub(super) fn next_server(&self) -> UpstreamId {
        UpstreamId(self.servers.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn recover(&self) {
        self.forget.store(true, Ordering::Relaxed);
        self.recovered.notify_waiters();
        self.probe.notify_one();
    }

    /// Whether a server has come back since the last call.
    pub(super) fn has_recovered(&self) -> bool {
        self.forget.swap(false, Ordering::Relaxed)
    }
}

/// All groups of one snapshot.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    pub(crate) upstreams: Upstreams,
    groups: Vec<Group>,
    pub(crate) common: Arc<Common>,
}

#[derive(Debug)]
struct Group {
    servers: Vec<Arc<Server>>,
    order: Order,
}

impl Groups {
    /// The groups of `upstreams`, with the connections, health and counters of servers that were
    /// there `before`.
    pub(crate) fn new(upstreams: Upstreams, before: &Groups) -> Self {
        let common = before.common.clone();
        common.bootstrap.store(Arc::new(upstreams.bootstrap.clone()));
        let mut all: Vec<Arc<Server>> =
            before.groups.iter().flat_map(|group| group.servers.iter().cloned()).collect();
        let mut groups = Vec::with_capacity(upstreams.groups.len());
        for group in &upstreams.groups {
            let mut servers = Vec::with_capacity(group.servers.len());
            for config in &group.servers {
                let known = all.iter().find(|server| server.config == *config).cloned();
                servers.push(known.unwrap_or_else(|| {
                    let server = Arc::new(Server::new(config.clone(), common.clone()));
                    all.push(server.clone());
                    server
                }));
            }
            groups.push(Group { servers, order: group.order });
        }
        Self { upstreams, groups, common }
    }

    pub(super) fn servers(&self) -> impl Iterator<Item = (usize, &Arc<Server>)> {
        let groups = self.groups.iter().enumerate();
        groups.flat_map(|(index, group)| group.servers.iter().map(move |server| (index, server)))
    }

    /// The server as the settings write it.
    pub(crate) fn label(&self, id: UpstreamId) -> Option<Arc<str>> {
        let (_, server) = self.servers().find(|(_, server)| server.id == id)?;
        Some(server.config.label.clone())
    }

    pub(super) fn has_servers(&self, group: usize) -> bool {
        self.groups.get(group).is_some_and(|group| !group.servers.is_empty())
    }

    /// How many servers may be asked in place of one.
    pub(super) fn others(&self, group: usize) -> usize {
        self.groups.get(group).map_or(0, |group| group.servers.len().saturating_sub(1))
    }

    /// Whether none of the group's servers answers, as far as is known.
    pub(super) fn is_down(&self, group: usize) -> bool {
        let down = |server: &Arc<Server>| server.state() == UpstreamState::Down;
        self.groups.get(group).is_some_and(|group| group.servers.iter().all(down))
    }

    /// The first usable answer of any server of the group, or why there is none.
    pub(crate) async fn ask(
        &self,
        group: usize,
        question: &Question,
    ) -> Result<Received, FailureKind> {
        let Some(group) = self.groups.get(group) else { return Err(FailureKind::NoForwarder) };
        let order = group.in_order();
        let silent = Silent::default();
        match timeout(self.upstreams.timeout, self.race(&order, question, &silent)).await {
            Ok(result) => result,
            Err(_) => {
                for server in silent.of(&order) {
                    server.failed(Failed::new(FailureKind::Timeout, "it does not answer"));
                }
                Err(FailureKind::Timeout)
            }
        }
    }

    /// Asks one server after the other, each when those before have failed or are slow. `silent`
    /// tells which of `order` owe an answer.
    async fn race(
        &self,
        order: &[&Arc<Server>],
        question: &Question,
        silent: &Silent,
    ) -> Result<Received, FailureKind> {
        let Some(first) = order.first() else { return Err(FailureKind::NoForwarder) };
        let mut running = FuturesUnordered::new();
        let tried = async |at: usize, server: &Arc<Server>, again: bool| {
            (at, server.ask(question, again, &|| silent.spoke(at)).await)
        };
        running.push(tried(0, first, false));
        silent.asked(0);
        let (mut tries, mut without) = (1, 0);
        let mut hedge = pin!(sleep(self.upstreams.hedge_after));
        loop {
            let hedging = without < TRIES && tries < order.len().max(TRIES);
            tokio::select! {
                Some((at, result)) = running.next() => {
                    silent.spoke(at);
                    match result {
                        Ok(received) => {
                            order.get(at).into_iter().for_each(|server| note(server.id));
                            return Ok(received);
                        }
                        Err(why) => {
                            without += usize::from(why.is_of_the_question());
                            if tries >= order.len() || without >= TRIES {
                                if running.is_empty() {
                                    return Err(why.kind);
                                }
                                continue;
                            }
                        }
                    }
                }
                () = hedge.as_mut(), if hedging => silent.of(order).for_each(|server| server.late()),
                () = self.common.recovered.notified(), if !hedging && without < TRIES => {}
            }
            let at = tries % order.len();
            if let Some(server) = order.get(at) {
                running.push(tried(at, server, tries >= order.len()));
                silent.asked(at);
            }
            tries += 1;
            let rounds = 1 + (tries / order.len()) as u32;
            hedge.as_mut().reset(Instant::now() + self.upstreams.hedge_after * rounds);
        }
    }
}

/// Which servers, by their place in the order, have been asked and said nothing yet.
#[derive(Debug, Default)]
struct Silent(AtomicU64);

impl Silent {
    fn asked(&self, at: usize) {
        self.0.fetch_or(1 << at.min(63), Ordering::Relaxed);
    }

    fn spoke(&self, at: usize) {
        self.0.fetch_and(!(1 << at.min(63)), Ordering::Relaxed);
    }

    fn of<'a>(
        &self,
        order: &'a [&'a Arc<Server>],
    ) -> impl Iterator<Item = &'a Arc<Server>> + use<'a> {
        let silent = self.0.load(Ordering::Relaxed);
        let of = order.iter().enumerate();
        of.filter(move |(at, _)| silent >> at.min(&63) & 1 != 0).map(|(_, server)| *server)
    }
}

impl Group {
    /// All servers in the order in which they are asked: those that are up first.
    fn in_order(&self) -> Vec<&Arc<Server>> {
        let mut all: Vec<&Arc<Server>> = self.servers.iter().collect();
        if all.len() < 2 {
            return all;
        }
        let start = |dice: &Dice| usize::from(dice.number()) % all.len();
        match self.order {
            Order::Listed => {}
            Order::Shuffled => {
                let dice = Dice::throw();
                let start = start(&dice);
                all.rotate_left(start);
            }
            Order::Fastest => {
                let dice = Dice::throw();
                let start = start(&dice);
                // One that was never asked goes first.
                all.sort_by_key(|server| server.latency().unwrap_or(Duration::ZERO));
                if dice.id().is_multiple_of(EXPLORE) {
                    all.rotate_left(start);
                }
            }
        }
        all.sort_by_key(|server| server.state());
        // Rather one that is slow than one that lies.
        let _ = AVOIDED.try_with(|avoided| all.sort_by_key(|server| avoided.contains(&server.id)));
        all
    }
}
