//! The DHCP server's sockets: opened when some network wants DHCP, opened again when that failed,
//! and the mapping between interfaces and networks.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lanward_dhcp::{NetworkId, Probe, ProbeHow, ProbeId, ProbeResult, Transmit};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use crate::io::dhcp_socket::{self, Datagram, DhcpSocket};
use crate::io::interfaces::{self, OwnAddress};
use crate::io::probe;
use crate::node::Node;
use crate::settings::host;

/// The pause after the socket could not be opened.
const RETRY: Duration = Duration::from_secs(5);
/// The pause after another server was found.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Something the sockets heard.
pub(super) enum Heard {
    /// A datagram, with the network of the interface it came in by.
    Packet { network: Option<NetworkId>, datagram: Datagram },
    /// The end of a conflict probe.
    Probe { probe: ProbeId, result: ProbeResult },
    /// Nothing of interest.
    Nothing,
}

/// The sockets of the DHCP server.
pub(super) struct DhcpFront {
    config: host::Dhcp,
    socket: Option<DhcpSocket>,
    /// Whether some network wants DHCP here.
    wanted: bool,
    /// Whether this host may not answer whatever the settings want.
    muted: bool,
    /// Whether another server is looked for before the first packet is taken.
    wary: bool,
    looking: bool,
    found_to: mpsc::UnboundedSender<Option<(NetworkId, Ipv4Addr)>>,
    found: mpsc::UnboundedReceiver<Option<(NetworkId, Ipv4Addr)>>,
    retry_at: Instant,
    addresses: Vec<OwnAddress>,
    interfaces: BTreeMap<NetworkId, u32>,
    done: mpsc::UnboundedSender<(ProbeId, ProbeResult)>,
    probed: mpsc::UnboundedReceiver<(ProbeId, ProbeResult)>,
    /// Why DHCP is not served, for people.
    problem: watch::Sender<Option<String>>,
    /// Whether the log says already that this host cannot probe.
    probing_told: Arc<AtomicBool>,
}

impl DhcpFront {
    /// No socket yet: that takes a network that wants DHCP. What goes wrong is said in `problem`.
    pub(super) fn new(
        config: host::Dhcp,
        addresses: Vec<OwnAddress>,
        problem: watch::Sender<Option<String>>,
    ) -> DhcpFront {
        let (done, probed) = mpsc::unbounded_channel();
        let (found_to, found) = mpsc::unbounded_channel();
        DhcpFront {
            socket: None,
            wanted: false,
            muted: false,
            wary: config.server_port == dhcp_socket::SERVER_PORT && !config.next_to_others,
            looking: false,
            found_to,
            found,
            retry_at: Instant::now(),
            addresses,
            interfaces: BTreeMap::new(),
            done,
            probed,
            problem,
            probing_told: Arc::default(),
            config,
        }
    }

    /// The host's addresses changed.
    pub(super) fn set_addresses(&mut self, addresses: Vec<OwnAddress>) {
        self.addresses = addresses;
    }

    /// Whether this host may not answer anybody. In force with the next
    /// [`DhcpFront::set_networks`].
    pub(super) fn set_muted(&mut self, muted: bool) {
        self.muted = muted;
    }

    /// What the node has in force changed.
    pub(super) fn set_networks(&mut self, node: &Node) {
        let settings = node.effective();
        self.wanted = self.config.enabled && !self.muted && !settings.dhcp.networks.is_empty();
        // A host that has a partner, or gave a lease before, belongs here.
        let status = node.pair().status();
        self.wary &= status.partner.is_none() && status.bindings == 0;
        let attached = settings.networks.iter().filter_map(|network| {
            let (own, _) = interfaces::attached(&self.addresses, network.subnet)?;
            Some((network.id.clone(), own.index))
        });
        self.interfaces = attached.collect();
        if !self.wanted && self.socket.take().is_some() {
            info!("DHCP is not served here any more: its port is closed");
            self.problem.send_replace(None);
        } else if self.wanted && self.socket.is_none() {
            self.open();
        }
    }

    /// Looks for another server on every network; the answer comes by `found`. A host that was
    /// installed anew, or lost all it had, does not know that its former partner serves.
    fn look(&mut self) {
        self.looking = true;
        let networks = self.interfaces.clone();
        let found_to = self.found_to.clone();
        tokio::spawn(async move {
            let mut asked = tokio::task::JoinSet::new();
            for (network, index) in networks {
                asked.spawn(async move {
                    let xid = RandomState::new().hash_one(index) as u32;
                    let answer = dhcp_socket::other_server(index, xid).await;
                    // Who may not ask serves without asking, as he does without probing.
                    answer.ok().flatten().map(|server| (network, server))
                });
            }
            let _ = found_to.send(asked.join_all().await.into_iter().flatten().min());
        });
    }

    fn looked(&mut self, found: Option<(NetworkId, Ipv4Addr)>) {
        self.looking = false;
        let Some((network, server)) = found else {
            self.wary = false;
            self.retry_at = Instant::now();
            return;
        };
        let text = format!(
            "another DHCP server ({server}) answers on {network}, so this host gives no addresses. \
             If that is your other Lanward, join it: `lanward pair invite` there, `lanward pair \
             join` here. Else switch its DHCP off, or set next_to_others = true under [dhcp]"
        );
        if self.problem.borrow().as_ref() != Some(&text) {
            warn!("DHCP is not served on this host: {text}");
        }
        self.problem.send_replace(Some(text));
        self.retry_at = Instant::now() + LOOK_AGAIN;
    }

    fn open(&mut self) {
        if self.wary && !self.interfaces.is_empty() {
            if !self.looking {
                self.look();
            }
            return;
        }
        let listen = SocketAddrV4::new(self.config.listen, self.config.server_port);
        match DhcpSocket::open(listen, self.config.client_port) {
            Ok(socket) => {
                info!("DHCP is served on {listen}");
                self.socket = Some(socket);
                self.problem.send_replace(None);
            }
            Err(error) => {
                let text = error.to_string();
                if self.problem.borrow().as_ref() != Some(&text) {
                    warn!("DHCP is not served on this host: {text}");
                }
                self.problem.send_replace(Some(text));
                self.retry_at = Instant::now() + RETRY;
            }
        }
    }

    /// Waits for the next thing. May be cancelled at any time without losing one.
    pub(super) async fn next(&mut self) -> Heard {
        let Some(socket) = &self.socket else {
            if !self.wanted {
                return match self.probed.recv().await {
                    Some((probe, result)) => Heard::Probe { probe, result },
                    None => std::future::pending().await,
                };
            }
            tokio::select! {
                Some(found) = self.found.recv() => self.looked(found),
                () = sleep_until(self.retry_at), if !self.looking => self.open(),
            }
            return Heard::Nothing;
        };
        tokio::select! {
            received = socket.receive() => match received {
                Ok(datagram) => {
                    let index = datagram.ifindex;
                    let on = |(_, i): &(&NetworkId, &u32)| **i == index;
                    let network = self.interfaces.iter().find(on).map(|(id, _)| id.clone());
                    Heard::Packet { network, datagram }
                }
                Err(error) => {
                    warn!("the DHCP socket failed and is opened again: {error}");
                    self.socket = None;
                    self.retry_at = Instant::now() + Duration::from_millis(200);
                    Heard::Nothing
                }
            },
            Some((probe, result)) = self.probed.recv() => Heard::Probe { probe, result },
        }
    }

    /// Sends a reply. A reply that cannot be sent is a lost packet: the client asks again.
    pub(super) fn send(&self, transmit: &Transmit) {
        let Some(socket) = &self.socket else { return };
        let index = transmit.network.as_ref().and_then(|id| self.interfaces.get(id)).copied();
        if let Err(error) = socket.send(transmit, index) {
            debug!("a DHCP reply could not be sent: {error}");
        }
    }

    /// Asks the link whether an address is in use.
    pub(super) fn probe(&self, probe: &Probe) {
        let index = self.interfaces.get(&probe.network).copied();
        if index.is_none() && probe.how == ProbeHow::Arp {
            let _ = self.done.send((probe.id, ProbeResult::Unavailable));
            return;
        }
        let (id, how, addr) = (probe.id, probe.how, probe.addr);
        let (done, told) = (self.done.clone(), Arc::clone(&self.probing_told));
        tokio::spawn(async move {
            let result = match probe::probe(how, index, addr).await {
                Ok(result) => result,
                Err(error) => {
                    if !told.swap(true, Ordering::Relaxed) {
                        warn!("new addresses are given without asking the link first: {error}");
                    }
                    ProbeResult::Unavailable
                }
            };
            let _ = done.send((id, result));
        });
    }
}
