//! The partner: who it is, the link to it, and how this host gets one.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use lanward_ha::{PairConfig, Partner, Rank, StoreId, Times};
use miette::miette;
use tokio::sync::{Mutex, mpsc, watch};
use tracing::{info, warn};

use super::admin::stopping;
use super::handle::Handle;
use crate::admin::{InviteReply, JoinReply, Refusal, RefusalKind};
use crate::identity::Identity;
use crate::io::link::{End, Link, LinkConfig, LinkError, LinkEvent, LinkTimes, Peer};
use crate::io::port_owner;
use crate::pairing::{self, Desk, Introduction, Joined, PairIdentity};
use crate::settings::host::{self, HostConfig};

/// Events of the link that may wait for the node's task.
const EVENTS: usize = 64;

/// Makes pairs, and keeps the link.
pub(super) struct Pairing {
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
    /// The running link. It is another one after this node joined a pair.
    link: Mutex<Option<Link>>,
}

/// What the pairing goes by.
pub(super) struct Around {
    /// This node's store.
    pub(super) store: StoreId,
    /// The addresses of this host that others can use.
    pub(super) own: watch::Receiver<Vec<IpAddr>>,
    /// Those the partner told of its host.
    pub(super) told: watch::Receiver<Vec<IpAddr>>,
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
        let Around { store, own, told } = around;
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
            link: Mutex::const_new(None),
        };
        let link = pairing.start_link(pair.as_ref()).map_err(|error| explain(&error))?;
        let pairing = Arc::new(Pairing { link: Mutex::new(Some(link)), ..pairing });
        tokio::spawn(Arc::clone(&pairing).welcome(joined));
        tokio::spawn(Arc::clone(&pairing).follow_paths());
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
            if self.control.paired(self.for_node(&pair)).await.is_err() {
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

    fn for_node(&self, pair: &PairIdentity) -> PairConfig {
        PairConfig {
            node: self.node.clone(),
            store: self.store,
            partner: Some(pair.for_pair()),
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
        let invite = self.desk.invite(&self.introduction().await).map_err(refusal)?;
        Ok(InviteReply { invite: invite.to_string(), valid_secs: pairing::VALID.as_secs() })
    }

    /// Joins the host that made the invite. What this one held is saved first.
    pub(super) async fn join(&self, invite: &str) -> Result<JoinReply, Refusal> {
        let own = self.introduction().await;
        let times = LinkTimes::default();
        let joined = pairing::join(&self.data_dir, &self.identity, invite, &own, times).await;
        let pair = joined.map_err(refusal)?;
        let backup = pairing::backup_folder(&self.data_dir).map_err(refusal)?;
        let copy = self.control.copy_store(backup.join("leases.redb"));
        copy.await.map_err(stopping)?.map_err(refusal)?;
        // The listener goes first: its port is not this node's business any more, and events of
        // the old link must not be taken for the new one's.
        let mut link = self.link.lock().await;
        if let Some(old) = link.take() {
            old.stop().await;
        }
        self.control.paired(self.for_node(&pair)).await.map_err(stopping)?;
        *link = Some(self.start_link(Some(&pair)).map_err(refusal)?);
        self.partner.send_replace(first_address(&pair));
        info!("joined {}: its leases and settings are taken over", pair.partner.name);
        Ok(JoinReply { partner: pair.partner.name, backup: Some(backup.display().to_string()) })
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
