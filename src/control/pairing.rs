//! The partner: who it is, the link to it, and how this host gets one.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lanward_dhcp::{BindingState, Time};
use lanward_ha::{Binding, PairConfig, PairState, PairStatus, Partner, Rank, StoreId, Times};
use miette::miette;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::admin::stopping;
use super::handle::Handle;
use super::silence;
use crate::admin::{Held, InviteReply, JoinReply, Refusal, RefusalKind, RemoveReply};
use crate::identity::Identity;
use crate::io::interfaces;
use crate::io::link::{End, Link, LinkConfig, LinkError, LinkEvent, LinkTimes, Peer};
use crate::io::port_owner;
use crate::pairing::{self, Desk, Introduction, Joined, PairIdentity};
use crate::settings::host::{self, HostConfig};

/// Events of the link that may wait for the node's task.
const EVENTS: usize = 64;
/// A partner that is told to leave has this long to stop in order.
const LEAVE: Duration = Duration::from_secs(5);
/// How often to look whether the partner has been silent for long.
const SILENCE_LOOK: Duration = Duration::from_secs(60);

/// Makes pairs, and keeps the link.
pub(crate) struct Pairing {
    node: String,
    data_dir: PathBuf,
    config: host::Pair,
    identity: Arc<Identity>,
    control: Handle,
    store: StoreId,
    desk: Arc<Desk>,
    events: mpsc::Sender<LinkEvent>,
    own: watch::Receiver<Vec<IpAddr>>,
    /// The addresses the partner told of its host.
    told: watch::Receiver<Vec<IpAddr>>,
    /// Where the partner's link ends, as far as is known.
    partner: watch::Sender<Option<IpAddr>>,
    /// Who removed this node from its pair, while that is where it stands.
    removed: watch::Sender<Option<String>>,
    /// The running link. It is another one after this node joined a pair.
    link: Mutex<Option<Link>>,
    /// One change of the pair at a time.
    changing: Mutex<()>,
}

/// What the pairing goes by.
pub(super) struct Around {
    /// This node's store.
    pub(super) store: StoreId,
    /// The addresses of this host that others can use.
    pub(super) own: watch::Receiver<Vec<IpAddr>>,
    /// Those the partner told of its host.
    pub(super) told: watch::Receiver<Vec<IpAddr>>,
    /// Hears of the partner that removed this node.
    pub(super) removed: mpsc::UnboundedReceiver<String>,
}

/// What the start needs of the pairing.
pub(super) struct Opened {
    pub(super) pairing: Arc<Pairing>,
    /// What happens on the link.
    pub(super) events: mpsc::Receiver<LinkEvent>,
    /// What the node is told of its partner.
    pub(super) partner: Option<Partner>,
}

impl Pairing {
    /// Reads who the partner is and starts the link to it; a lone node listens for a second host
    /// that joins.
    pub(super) fn open(
        host: &HostConfig,
        identity: Arc<Identity>,
        control: Handle,
        around: Around,
    ) -> miette::Result<Opened> {
        let Around { store, own, told, removed } = around;
        let data_dir = host.node.data_dir.clone();
        let pair = pairing::load(&data_dir).map_err(|error| miette!("{error}"))?;
        let (events, heard) = mpsc::channel(EVENTS);
        let (joined_to, joined) = mpsc::unbounded_channel();
        let desk = Arc::new(Desk::new(data_dir.clone(), identity.fingerprint(), joined_to));
        let pairing = Pairing {
            node: host.node.name.clone(),
            data_dir,
            config: host.pair.clone(),
            identity,
            control,
            store,
            desk,
            events,
            own,
            told,
            partner: watch::Sender::new(pair.as_ref().and_then(first_address)),
            removed: watch::Sender::new(pairing::removed_by(&host.node.data_dir)),
            link: Mutex::const_new(None),
            changing: Mutex::const_new(()),
        };
        let link = pairing.start_link(pair.as_ref()).map_err(|error| explain(&error))?;
        let pairing = Arc::new(Pairing { link: Mutex::new(Some(link)), ..pairing });
        tokio::spawn(Arc::clone(&pairing).welcome(joined));
        tokio::spawn(Arc::clone(&pairing).follow_paths());
        tokio::spawn(Arc::clone(&pairing).follow_removal(removed));
        tokio::spawn(Arc::clone(&pairing).follow_silence());
        let partner = pair.as_ref().map(PairIdentity::for_pair);
        Ok(Opened { pairing, events: heard, partner })
    }

    fn start_link(&self, pair: Option<&PairIdentity>) -> Result<Link, LinkError> {
        let end = match pair {
            Some(PairIdentity { rank: Rank::One, .. }) => End::Dial,
            _ => End::Listen(vec![self.config.listen]),
        };
        let config = LinkConfig {
            identity: Arc::clone(&self.identity),
            end,
            partner: pair.map(|pair| self.reached(pair)),
            desk: Some(Arc::clone(&self.desk) as _),
            times: LinkTimes::default(),
        };
        Link::start(config, self.events.clone())
    }

    /// Tells the link and the node of the host that joined.
    async fn welcome(self: Arc<Self>, mut joined: mpsc::UnboundedReceiver<Joined>) {
        while let Some(Joined(pair)) = joined.recv().await {
            info!("{} joined: the two are a pair from now on", pair.partner.name);
            if self.control.paired(self.for_node(Some(&pair))).await.is_err() {
                return;
            }
            let why = format!("{} joined with an invite of this host", pair.partner.name);
            if self.control.note("became one of a pair", &why).await.is_err() {
                return;
            }
            self.partner.send_replace(first_address(&pair));
            if let Some(link) = &*self.link.lock().await {
                link.set_partner(Some(self.reached(&pair)));
            }
        }
    }

    /// The partner with every address it may be reached at.
    fn reached(&self, pair: &PairIdentity) -> Peer {
        let mut peer = pair.partner.clone();
        let (told, own) = (self.told.borrow(), self.own.borrow());
        peer.addresses = pairing::partner_paths(&peer.addresses, &told, &own);
        peer
    }

    /// Tells the link of every network the two hosts share, as they come and go.
    async fn follow_paths(self: Arc<Self>) {
        let (mut told, mut own) = (self.told.clone(), self.own.clone());
        loop {
            tokio::select! {
                changed = told.changed() => if changed.is_err() { return },
                changed = own.changed() => if changed.is_err() { return },
            }
            let link = self.link.lock().await;
            if let (Some(link), Ok(Some(pair))) = (&*link, pairing::load(&self.data_dir)) {
                link.set_partner(Some(self.reached(&pair)));
            }
        }
    }

    fn for_node(&self, pair: Option<&PairIdentity>) -> PairConfig {
        PairConfig {
            node: self.node.clone(),
            store: self.store,
            partner: pair.map(PairIdentity::for_pair),
            times: Times::default(),
        }
    }

    async fn introduction(&self) -> Introduction {
        let mut addresses = self.config.advertise.clone();
        if addresses.is_empty() {
            let listening = match &*self.link.lock().await {
                Some(link) if !link.listening().is_empty() => link.listening().to_vec(),
                _ => vec![self.config.listen],
            };
            addresses = pairing::reachable_at(&listening, &self.own.borrow());
        }
        Introduction { name: self.node.clone(), addresses }
    }

    /// An invite for the second host.
    pub(super) async fn invite(&self) -> Result<InviteReply, Refusal> {
        if let Some(by) = self.removed.borrow().as_ref() {
            return Err(refusal(format!(
                "{by} removed this host from its pair, so this one has no household to invite to: \
                 make the invite on {by}, or run `lanward pair remove` here first"
            )));
        }
        let invite = self.desk.invite(&self.introduction().await).map_err(refusal)?;
        Ok(InviteReply { invite: invite.to_string(), valid_secs: pairing::VALID.as_secs() })
    }

    /// Joins the host that made the invite. What this one held is saved first.
    pub(super) async fn join(&self, invite: &str) -> Result<JoinReply, Refusal> {
        let _changing = self.changing.lock().await;
        let own = self.introduction().await;
        let times = LinkTimes::default();
        let dropped = self.held().await?;
        let joined = pairing::join(&self.data_dir, &self.identity, invite, &own, times).await;
        let pair = joined.map_err(refusal)?;
        let backup = pairing::backup_folder(&self.data_dir).map_err(refusal)?;
        let copy = self.control.copy_store(backup.join("leases.redb"));
        copy.await.map_err(stopping)?.map_err(refusal)?;
        self.control.paired(self.for_node(Some(&pair))).await.map_err(stopping)?;
        self.take_up(Some(&pair)).await?;
        info!("joined {}: its leases and settings are taken over", pair.partner.name);
        let name = pair.partner.name;
        let why = format!("it joined {name} and took over its leases and settings");
        self.control.note("became one of a pair", &why).await.map_err(stopping)?;
        let backup = Some(backup.display().to_string());
        Ok(JoinReply { partner: name, backup, dropped })
    }

    /// What this node holds of its own, and would drop by joining a pair.
    pub(super) async fn held(&self) -> Result<Held, Refusal> {
        let held = self.control.ask(|reading| {
            let active = |binding: &&Binding| binding.state == BindingState::Active;
            let count = |prefix: &str| {
                reading.node.records().keys().filter(|key| key.starts_with(prefix)).count() as u64
            };
            Held {
                leases: reading.node.pair().bindings().filter(active).count() as u64,
                networks: count("network/"),
                reservations: count("reservation/"),
                lists: count("list/"),
            }
        });
        held.await.map_err(stopping)
    }

    /// `by` says that the other host is off: taken for true where nothing of it answers.
    pub(crate) async fn down(&self, by: &str) -> Result<(), Refusal> {
        let _changing = self.changing.lock().await;
        let pair = self.pair()?;
        self.must_be_silent(&pair, "").await?;
        let done = self.control.partner_off(by).await.map_err(stopping)?;
        done.map_err(|why| refusal(format!("{why}.")))
    }

    /// Hands DHCP over to the partner, or takes this host's part again.
    pub(crate) async fn maintenance(&self, on: bool, by: &str) -> Result<(), Refusal> {
        let _changing = self.changing.lock().await;
        if on {
            let (status, _) = self.standing().await?;
            let Some(partner) = status.partner else {
                return Err(refusal("This host has no partner that could serve meanwhile."));
            };
            if !partner.connected || !partner.serving {
                let name = partner.name;
                return Err(refusal(format!(
                    "{name} does not serve now, so nobody would: this host goes on."
                )));
            }
        }
        let done = self.control.maintenance(on, by).await.map_err(stopping)?;
        done.map_err(refusal)
    }

    /// Ends the pair: this host goes on alone with the household it has. A partner that is
    /// connected is told, and stops first; another one must be silent, unless `force` says that
    /// it will not serve.
    pub(crate) async fn remove(&self, by: &str, force: bool) -> Result<RemoveReply, Refusal> {
        let _changing = self.changing.lock().await;
        if self.removed.borrow().is_some() {
            return self.stand_alone().await;
        }
        let pair = self.pair()?;
        let name = pair.partner.name.clone();
        let (status, _) = self.standing().await?;
        let connected = status.partner.is_some_and(|partner| partner.connected);
        let told = connected && self.ask_to_leave(by).await?;
        if !told && !force {
            if connected {
                return Err(refusal(format!(
                    "{name} is connected and did not stop when it was told that it is removed. \
                     Stop Lanward there first, then run this again."
                )));
            }
            self.must_be_silent(&pair, "").await?;
        }
        self.part().await?;
        Ok(RemoveReply { partner: Some(name), told })
    }

    /// The partner is gone for good: its place is free for another host, which the invite is for.
    /// What it may have promised is held back meanwhile.
    pub(super) async fn replace(&self, by: &str) -> Result<InviteReply, Refusal> {
        let changing = self.changing.lock().await;
        let pair = self.pair()?;
        // Whether what answers is the host to be replaced or the one to take its place, nothing
        // that can be asked from here tells for sure: a host of rank 1 listens to nobody.
        let same_host = " If it is the same host, emptied or set up anew, take its network cable \
                         out for this one command: plug it in again when you have the invite, and \
                         join with it there.";
        self.must_be_silent(&pair, same_host).await?;
        let (status, _) = self.standing().await?;
        if status.state != PairState::PartnerDown {
            let done = self.control.partner_off(by).await.map_err(stopping)?;
            done.map_err(|why| refusal(format!("{why}.")))?;
        }
        self.part().await?;
        drop(changing);
        self.invite().await
    }

    /// Why there is no link, in a sentence, while there is none.
    pub(crate) fn trouble(&self) -> Option<String> {
        // While the link is being changed there is nothing to tell.
        self.link.try_lock().ok()?.as_ref().and_then(Link::trouble)
    }

    /// Who removed this node from its pair.
    pub(super) fn removed(&self) -> watch::Receiver<Option<String>> {
        self.removed.subscribe()
    }

    /// The removed host becomes a household of its own.
    async fn stand_alone(&self) -> Result<RemoveReply, Refusal> {
        let config = self.for_node(None);
        self.control.unpaired(config).await.map_err(stopping)?;
        pairing::clear_removed(&self.data_dir).map_err(refusal)?;
        self.take_up(None).await?;
        let why = "it was removed from its pair and is a household of its own now";
        self.control.note("goes on alone", why).await.map_err(stopping)?;
        Ok(RemoveReply { partner: None, told: false })
    }

    fn pair(&self) -> Result<PairIdentity, Refusal> {
        let pair = pairing::load(&self.data_dir).map_err(refusal)?;
        pair.ok_or_else(|| refusal("This host has no partner."))
    }

    async fn standing(&self) -> Result<(PairStatus, Time), Refusal> {
        let status = self.control.ask(|reading| (reading.node.pair().status(), reading.now));
        status.await.map_err(stopping)
    }

    /// Refuses where anything of the partner answers; `more` is said with it.
    async fn must_be_silent(&self, pair: &PairIdentity, more: &str) -> Result<(), Refusal> {
        let name = &pair.partner.name;
        let own = interfaces::own_addresses().map_err(refusal)?;
        let answers = silence::who_answers(&self.reached(pair).addresses, &own).await;
        if answers.is_empty() {
            return Ok(());
        }
        Err(refusal(format!(
            "{name} is not off: {} answers. Two hosts that both take the other for off could give \
             one address to two devices. Turn that host off, or unplug it, then say this \
             again.{more}",
            answers.join(" and ")
        )))
    }

    /// Tells the connected partner that it is out of the pair; whether it stopped in order.
    async fn ask_to_leave(&self, by: &str) -> Result<bool, Refusal> {
        self.control.remove_partner(by).await.map_err(stopping)?;
        let until = Instant::now() + LEAVE;
        while Instant::now() < until {
            let (status, _) = self.standing().await?;
            if status.state == PairState::PartnerDown
                && status.partner_down_since == Some(Time::ZERO)
            {
                return Ok(true);
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(false)
    }

    /// Forgets the partner: on the disk, in the node, on the link.
    async fn part(&self) -> Result<(), Refusal> {
        pairing::unpair(&self.data_dir).map_err(refusal)?;
        self.desk.withdraw();
        self.control.unpaired(self.for_node(None)).await.map_err(stopping)?;
        self.take_up(None).await
    }

    /// Takes up the part this node has now: the link that goes with it, and whether it may serve.
    async fn take_up(&self, pair: Option<&PairIdentity>) -> Result<(), Refusal> {
        // The old link goes first: its port is not this node's business any more, and events of
        // the old link must not be taken for the new one's.
        let mut link = self.link.lock().await;
        if let Some(old) = link.take() {
            old.stop().await;
        }
        pairing::clear_removed(&self.data_dir).map_err(refusal)?;
        self.removed.send_replace(None);
        self.control.mute(false).await.map_err(stopping)?;
        *link = Some(self.start_link(pair).map_err(refusal)?);
        self.partner.send_replace(pair.and_then(first_address));
        Ok(())
    }

    /// Takes the partner for off by itself, where the household wants that, under the same test.
    async fn follow_silence(self: Arc<Self>) {
        let mut pause = SILENCE_LOOK;
        loop {
            sleep(pause).await;
            let due = self.control.ask(|reading| {
                let status = reading.node.pair().status();
                let silence = reading.now.since(status.since);
                status.state == PairState::CommunicationsInterrupted
                    && reading.node.effective().auto_partner_down.is_some_and(|due| silence >= due)
            });
            pause = match due.await {
                Err(_) => return,
                Ok(false) => SILENCE_LOOK,
                // A refusal is in the log; there is no use in asking every minute.
                Ok(true) => match self.down("the setting auto_partner_down").await {
                    Ok(()) => SILENCE_LOOK,
                    Err(_) => SILENCE_LOOK * 30,
                },
            };
        }
    }

    /// Falls silent when the partner removed this node, and keeps that over a restart.
    async fn follow_removal(self: Arc<Self>, mut removed: mpsc::UnboundedReceiver<String>) {
        if self.removed.borrow().is_some() && self.control.mute(true).await.is_err() {
            return;
        }
        while let Some(by) = removed.recv().await {
            let _changing = self.changing.lock().await;
            warn!(
                "{by} removed this host from the pair: it answers DNS and no DHCP. To join again, \
                 run `lanward pair invite` on {by} and `lanward pair join` here; to make this host \
                 a household of its own, run `lanward pair remove` here"
            );
            // The orderly stop goes over the link, so that one stays until the partner ends it.
            if let Err(error) = pairing::mark_removed(&self.data_dir, &by) {
                warn!("that cannot be kept on the disk: {error}");
            }
            self.removed.send_replace(Some(by));
            sleep(LEAVE).await;
            if let Some(link) = &*self.link.lock().await {
                link.set_partner(None);
            }
            if self.control.mute(true).await.is_err() {
                return;
            }
        }
    }

    /// The partner's address, for links to its pages.
    pub(super) fn partner(&self) -> watch::Receiver<Option<IpAddr>> {
        self.partner.subscribe()
    }

    /// Ends the link after what was sent has gone out.
    pub(super) async fn stop(&self) {
        if let Some(link) = self.link.lock().await.take() {
            link.stop().await;
        }
    }
}

fn first_address(pair: &PairIdentity) -> Option<IpAddr> {
    pair.partner.addresses.first().map(SocketAddr::ip)
}

fn refusal(error: impl std::fmt::Display) -> Refusal {
    let message = error.to_string();
    warn!("pairing: {message}");
    Refusal::new(RefusalKind::Invalid, message)
}

/// What the user is told when the pair's port cannot be had.
fn explain(error: &LinkError) -> miette::Report {
    let LinkError::Listen { addr, error: cause } = error else { return miette!("{error}") };
    let by = match port_owner::owner("tcp", addr.port()) {
        Some(owner) => format!("{} (process {}) has it", owner.name, owner.pid),
        None => cause.to_string(),
    };
    miette!(
        help = "stop that program, or give the pair another port in [pair] listen",
        "this host cannot listen for its partner on {addr}: {by}"
    )
}
