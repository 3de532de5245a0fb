//! The start, in order: what cannot fail later is done first, and DNS answers before anything is
//! fetched. And the end, in the reverse order.
#![allow(clippy::disallowed_methods, reason = "the composition hands the cores their seed")]

use std::io::{IsTerminal, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lanward_blocklists::refresh::Pace;
use lanward_dns::{Encrypted, Server, Shared, StartError};
use lanward_ha::{PairConfig, Times};
use lanward_web::{AuthConfig, Backend, ClaimCodes};
use miette::{IntoDiagnostic, WrapErr, miette};
use rustls::ClientConfig;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

use super::actor::Standing;
use super::actor::{Actor, Changes, Waiting};
use super::admin::Admin;
use super::answers::SavedAnswers;
use super::beside::{Beside, HistoryTalk};
use super::certificates::Keeper;
use super::dhcp::DhcpFront;
use super::handle::Handle;
use super::hosts_file::Watched;
use super::journal::Journal;
use super::pairing::{Around, Opened, Pairing};
use super::pauser::Pauser;
use super::service::ServiceFront;
use super::{household, learned, publisher, self_test, wall};
use crate::backend::{Daemon, Parts};
use crate::history::partner::{self, Partner, Reach, Word};
use crate::history::{self, History, HistorySettings};
use crate::identity::Identity;
use crate::io::admin_socket::AdminSocket;
use crate::io::clock::{self, NodeClock};
use crate::io::fetch::{Fetcher, Limits, client_tls};
use crate::io::interfaces::{self, OwnAddress, Watcher};
use crate::io::netlink;
use crate::io::port_owner;
use crate::io::resolve::UpstreamResolver;
use crate::io::store::Store;
use crate::lists::{self, ListKeeper, ListSettings};
use crate::node::{Input, Node, NodeConfig};
use crate::service_addresses::ServiceAddresses;
use crate::settings::HostView;
use crate::settings::host::HostConfig;
use crate::settings::load::Loaded;

/// How long the hand-over of the service addresses may take; it ends by itself before.
const HAND_OVER: Duration = Duration::from_secs(3);

/// Starts the log. Under a service manager the journal adds the time itself.
pub(super) fn log(filter: &str) {
    // hickory warns of every forged answer: whoever sends those must not fill the log.
    let filter = format!("hickory_net=error,hickory_resolver=error,hickory_proto=error,{filter}");
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    let builder = builder.with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        let _ = builder.without_time().try_init();
    } else {
        let _ = builder.try_init();
    }
}

/// Runs one daemon from start to end.
pub(super) async fn daemon(loaded: Loaded) -> miette::Result<()> {
    let Loaded { path, host, household } = loaded;
    let data_dir = host.node.data_dir.clone();

    // What the node is made from: its store, its key, its partner, its clock, its addresses.
    let (store_to, store_events) = mpsc::unbounded_channel();
    // Before anything is written there.
    let last_lived = clock::last_lived(&data_dir);
    let dir = data_dir.clone();
    let opened = tokio::task::spawn_blocking(move || {
        Store::open(&dir, move |event| {
            let _ = store_to.send(event);
        })
    });
    let (store, mut restored, found) = opened.await.into_diagnostic()?.into_diagnostic()?;
    let identity = Arc::new(Identity::load_or_create(&data_dir).into_diagnostic()?);
    let all = interfaces::own_addresses().into_diagnostic().wrap_err("no own addresses")?;
    let own = interfaces::without_aliases(&all);
    let incapable = netlink::why_not_permitted();
    let clock = NodeClock::start(found.time_floor.as_deref());
    restored.rolled_back = found.rolled_back;
    restored.downtime_unknown = clock.downtime_unknown();
    let journal = Journal::open(&data_dir, &host.node.name);
    journal.own("started", &format!("Lanward {}", env!("CARGO_PKG_VERSION")));
    let (control, commands) = Handle::new();
    let reachable = interfaces::reachable(&own);
    let (own_to, own_seen) = watch::channel(reachable.clone());
    let (partner_host, told) = watch::channel(Vec::new());
    let (removed_to, removed) = mpsc::unbounded_channel();
    let around = Around { store: found.store_id, own: own_seen.clone(), told, removed };
    let Opened { pairing, events: link_events, partner } =
        Pairing::open(&host, identity, control.clone(), around)?;
    let config = NodeConfig {
        pair: PairConfig {
            node: host.node.name.clone(),
            store: found.store_id,
            partner,
            times: Times::default(),
        },
        host: HostView {
            node: host.node.name.clone(),
            addresses: reachable.clone(),
            without_service_addresses: incapable.is_some(),
            ..HostView::default()
        },
    };
    let mut node = Node::new(config, &restored, clock.now(), seed()?);
    let declared = host.household.clone().zip(household);
    if let Some((file, declared)) = &declared {
        household::put_in_force(&mut node, clock.now(), file, declared);
    }

    // DNS answers from here on: first what is local, and with the lists that are on the disk.
    let dns = Shared::new();
    learned::restore(&data_dir, &dns);
    let (hosts_watched, hosts_file) = host.dns.hosts_file.clone().map(Watched::read).unzip();
    let hosts_file = hosts_file.unwrap_or_default();
    publisher::publish_restored(&node, &reachable, Arc::clone(&hosts_file), &dns);
    let (hosts_to, hosts_file) = watch::channel(hosts_file);
    let (pauser, pauses) = Pauser::start(Arc::clone(&dns), &node);
    if let Some(last_lived) = last_lived {
        dns.raise_time_floor(last_lived);
    }
    let tls = client_tls().into_diagnostic()?;
    dns.set_upstream_tls(&tls);
    let (to_partner, for_partner) = mpsc::channel(16);
    let settings = ListSettings::from(&**node.effective());
    let lists = start_lists(&data_dir, &dns, &tls, settings, to_partner).await?;
    tokio::spawn(carry_lists(control.clone(), for_partner));
    let history = start_history(&data_dir, &dns, node.effective().history);
    let mut server = start_dns(&host, &dns).await?;
    let answers = SavedAnswers::new(&data_dir, server.cache());
    tokio::spawn(answers.clone().run());
    tokio::spawn(learned::keep(data_dir.as_path().into(), Arc::clone(&dns)));
    let (mut keeper, certificates) = Keeper::open(
        Arc::clone(&dns),
        &data_dir,
        &host.node.name,
        host.dns.tls_files.clone(),
        node.effective(),
        &reachable,
    );
    let (open, problems) = serve_encrypted(&host, &mut server);
    keeper.opened(&open, problems);
    let view = HostView {
        node: host.node.name.clone(),
        addresses: reachable.clone(),
        without_service_addresses: incapable.is_some(),
        encrypted: open.ports(),
        ..HostView::default()
    };
    node.handle(clock.now(), Input::Host(view));

    // Everything that asks the node.
    let domain = Arc::clone(&node.effective().domain);
    let (changes, changed) = watch::channel(Changes::default());
    let (dhcp_problem, dhcp_problems) = watch::channel(None);
    let addresses = watch_addresses(own_to);
    let (says_to, says) = watch::channel(None);
    let (standing_to, standing) = watch::channel(Standing::default());
    let (services, service_shown) = watch::channel(Vec::new());
    let (acted_on_to, acted_on) = watch::channel(false);
    let (health, tested) = self_test::start(&host.dns.listen, acted_on);
    let core = ServiceAddresses::new(&host.node.name, incapable.clone(), clock.now());
    let service = ServiceFront::new(core, all, (tested, acted_on_to), services);
    let (reach_to, reach) = watch::channel(Reach::Alone);
    let (heard_to, heard) = mpsc::channel(8);
    let history_talk = HistoryTalk { kept: history.is_some(), reach: reach_to, heard: heard_to };
    let partner_history = partner_history(&control, reach);
    tokio::spawn(talk_of_history(
        control.clone(),
        history.clone(),
        Arc::clone(&partner_history),
        heard,
    ));
    let actor = Actor {
        node,
        clock,
        store,
        store_events,
        partner: None,
        link_events,
        commands,
        addresses,
        dhcp: DhcpFront::new(host.dhcp.clone(), own.clone(), dhcp_problem),
        service,
        without_service_addresses: incapable.is_some(),
        changes,
        beside: Beside::new(journal.clone(), says_to, history_talk),
        standing: standing_to,
        removed: removed_to,
        partner_host,
        waiting: Waiting::default(),
        lists: lists.clone(),
        certificates: certificates.clone(),
    };
    let actor = tokio::spawn(actor.run());
    let publishing = publisher::Publisher {
        control: control.clone(),
        dns: Arc::clone(&dns),
        lists: lists.clone(),
        history: history.clone(),
        own: own_seen.clone(),
        hosts_file: hosts_file.clone(),
    };
    if let Some(watched) = hosts_watched {
        tokio::spawn(watched.keep(hosts_to));
    }
    tokio::spawn(keeper.run(control.clone(), changed.clone(), own_seen.clone()));
    tokio::spawn(pauser.run(control.clone(), changed.clone()));
    tokio::spawn(publishing.run(changed));
    tokio::spawn(update_on_hangup(lists.clone()));
    if let Some((file, declared)) = declared {
        for_people(&declared.warnings.render(false));
        let node = host.node.name.clone();
        tokio::spawn(household::keep(control.clone(), node, file, declared));
    }

    // Pages and command line.
    let url = page_url(&host, &own);
    let claim = Arc::new(claim_codes(&data_dir, &url));
    let mut problems = Vec::new();
    if let Some(moved) = &found.moved_aside {
        problems.push(Daemon::host_problem(moved.to_string(), "Check the disk of this host."));
    }
    if found.rolled_back {
        problems.push(Daemon::host_problem(
            "The lease store of this host is older than what it has reported: its last writes \
             were damaged, or an old copy was put back.",
            "Check the disk of this host. The other host of a pair fills the gap; alone, devices \
             do as they renew their leases.",
        ));
    }
    let daemon = Arc::new(Daemon::new(Parts {
        control: control.clone(),
        lists,
        dns: Arc::clone(&dns),
        answers: server.cache(),
        url: Some(url.clone()),
        start_problems: problems,
        dhcp_problem: dhcp_problems,
        hosts_file,
        own: own_seen,
        partner: pairing.partner(),
        says,
        standing,
        removed: pairing.removed(),
        pairing: Arc::clone(&pairing),
        journal: journal.clone(),
        services: service_shown,
        health: health.clone(),
        pauses,
        history: history.clone(),
        partner_history,
        certificates,
        now: wall::now,
        draw,
    }));
    let (stop_web, web) = start_web(&host, &own, &domain, &daemon, &claim).await?;
    let socket = host.socket(std::env::var_os("RUNTIME_DIRECTORY").as_deref().map(Path::new));
    let socket = AdminSocket::bind(&socket).into_diagnostic()?;
    let shown_socket = socket.path().to_owned();
    let (asked_to, asked) = mpsc::channel(16);
    tokio::spawn(socket.serve(asked_to));
    let admin = Admin {
        daemon: Arc::clone(&daemon),
        claim: Arc::clone(&claim),
        pairing: Arc::clone(&pairing),
        journal,
        url: url.clone(),
    };
    let admin = tokio::spawn(admin.run(asked));
    if daemon.owner_password_hash().await.is_ok_and(|hash| hash.is_none()) {
        claim.current();
    }
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    info!("{} serves DNS on {}, pages on {url}", host.node.name, joined(server.listening()));
    if path.is_none() {
        say_what_next(&host, &server, &url, &shown_socket);
    }

    // Until somebody says so, or the node's task ends by itself, which it must not.
    let mut ended = actor;
    let by_itself = tokio::select! {
        result = &mut ended => Some(result),
        () = told_to_stop() => None,
    };
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    info!("stopping");
    health.stopping();
    // Before anything ends: whoever asks a service address meets the other host from here on.
    let _ = tokio::time::timeout(HAND_OVER, control.hand_over()).await;
    let _ = stop_web.send(true);
    admin.abort();
    control.stop("its process was told to stop").await;
    if by_itself.is_none() {
        tokio::select! {
            _ = &mut ended => {}
            () = told_to_stop() => {
                info!("told again: stopping at once");
                control.stop("at once").await;
                let _ = ended.await;
            }
        }
    }
    // What the node sent last goes out before the link ends.
    pairing.stop().await;
    answers.save().await;
    server.shutdown().await;
    if let Some(history) = history {
        let _ = tokio::task::spawn_blocking(move || history.stop()).await;
    }
    let _ = web.await;
    match by_itself {
        None => Ok(()),
        Some(_) => Err(miette!("the node's task ended by itself; the log before this says why")),
    }
}

fn seed() -> miette::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|e| miette!("the system gives no random bytes: {e}"))?;
    Ok(seed)
}

/// Random bytes for the pages' backend.
fn draw() -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok().map(|()| bytes)
}

async fn start_lists(
    data_dir: &Path,
    dns: &Arc<Shared>,
    tls: &ClientConfig,
    settings: ListSettings,
    to_partner: mpsc::Sender<Vec<u8>>,
) -> miette::Result<ListKeeper> {
    let resolver = UpstreamResolver::new(Arc::clone(dns));
    let fetcher = Fetcher::new(Arc::new(resolver), &dns.timely_tls(tls), Limits::default());
    let fetcher = fetcher.into_diagnostic().wrap_err("lists could not be fetched")?;
    let dns = Arc::clone(dns);
    let [a, b, c, d, e, f, g, h, ..] = seed()?;
    let config = lists::Config {
        dir: data_dir.join("lists"),
        fetcher,
        pace: Pace::default(),
        seed: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        publish: Box::new(move |filter, policies| dns.set_filtering(filter, policies)),
        to_partner,
    };
    ListKeeper::start(config, settings).await.into_diagnostic().wrap_err("the lists' folder")
}

/// Carries messages of the list keeper to the partner's.
async fn carry_lists(control: Handle, mut messages: mpsc::Receiver<Vec<u8>>) {
    while let Some(message) = messages.recv().await {
        if control.lists(message).await.is_err() {
            return;
        }
    }
}

/// Room between each DNS worker and the history: four seconds of a thousand questions a second.
const HISTORY_RING: usize = 256 << 10;
/// Bytes of the disk that the history leaves to leases and settings.
const HISTORY_RESERVE: u64 = 64 << 20;

/// The history of questions; without one, DNS goes on.
fn start_history(data_dir: &Path, dns: &Arc<Shared>, settings: HistorySettings) -> Option<History> {
    let reader = dns.record_history(HISTORY_RING)?;
    let servers = Arc::clone(dns);
    let config = history::Config {
        dir: data_dir.join("history"),
        settings,
        upstream: Box::new(move |id| servers.upstream_label(id)),
        now: wall::now,
        reserve_bytes: HISTORY_RESERVE,
    };
    let started = History::start(config, reader);
    started.inspect_err(|error| warn!("no history of questions is kept: {error}")).ok()
}

/// Who asks the partner's history.
fn partner_history(control: &Handle, reach: watch::Receiver<Reach>) -> Arc<Partner> {
    let control = control.clone();
    let send = move |word: Word| {
        // None of its types has a map with keys that are no text, the only way to fail.
        control.history(serde_json::to_value(word).unwrap_or_default());
    };
    Arc::new(Partner::new(reach, Box::new(send)))
}

/// Answers the partner's questions about this host's history, one after another, and hands its
/// answers on.
async fn talk_of_history(
    control: Handle,
    history: Option<History>,
    partner: Arc<Partner>,
    mut heard: mpsc::Receiver<serde_json::Value>,
) {
    while let Some(word) = heard.recv().await {
        // What a later version says in words that this one does not know is passed over.
        let Ok(word) = serde_json::from_value::<Word>(word) else { continue };
        if !word.what.is_question() {
            partner.answered(word);
            continue;
        }
        let Some(history) = history.clone() else { continue };
        let answer = tokio::task::spawn_blocking(move || partner::answer(&history, word)).await;
        if let Ok(Some(word)) = answer {
            control.history(serde_json::to_value(word).unwrap_or_default());
        }
    }
}

async fn start_dns(host: &HostConfig, dns: &Arc<Shared>) -> miette::Result<Server> {
    let defaults = lanward_dns::Config::default();
    let config = lanward_dns::Config {
        listen: host.dns.listen.clone(),
        udp_workers: host.dns.workers.unwrap_or(defaults.udp_workers),
        cache_bytes: host.dns.cache_size,
        ..defaults
    };
    Server::start(config, Arc::clone(dns)).await.map_err(|error| explain(&error))
}

/// Opens the encrypted listeners. What does not work is told, and nothing else waits for it: the
/// household's plain DNS comes first.
fn serve_encrypted(host: &HostConfig, server: &mut Server) -> (Encrypted, Vec<(String, String)>) {
    let asked = Encrypted {
        tls: host.dns.tls_listen.clone(),
        https: host.dns.https_listen.clone(),
        http3: host.dns.https_listen.clone(),
        quic: host.dns.tls_listen.clone(),
    };
    let (open, failed) = server.serve_encrypted(&asked);
    // The same program mostly has a port on every address.
    let mut problems: Vec<(String, String)> = Vec::new();
    for error in &failed {
        let problem = not_encrypted(host, error);
        if !problems.contains(&problem) {
            warn!("{} {}", problem.0, problem.1);
            problems.push(problem);
        }
    }
    (open, problems)
}

fn not_encrypted(host: &HostConfig, error: &StartError) -> (String, String) {
    let StartError::Bind { addr, protocol, .. } = error else {
        return (format!("Encrypted DNS is not served: {error}."), String::new());
    };
    let is_https = host.dns.https_listen.contains(addr);
    let (what, key) = match (is_https, *protocol) {
        (true, "tcp") => ("DNS over HTTPS (HTTP/2)", "https_listen"),
        (true, _) => ("DNS over HTTPS (HTTP/3)", "https_listen"),
        (false, "tcp") => ("DNS over TLS", "tls_listen"),
        (false, _) => ("DNS over QUIC", "tls_listen"),
    };
    let port = addr.port();
    let why = match port_owner::owner(protocol, port) {
        _ if error.is_not_permitted() => {
            "ports below 1024 need root or CAP_NET_BIND_SERVICE".to_owned()
        }
        Some(owner) if error.is_in_use() => {
            format!("{} (process {}) has {protocol} port {port}", owner.name, owner.pid)
        }
        None if error.is_in_use() => format!("another program has {protocol} port {port}"),
        _ => error.to_string(),
    };
    let fix = format!(
        "Everything else goes on. Stop that program and restart Lanward, or write another address \
         or port in [dns] {key}, or {key} = [] to go without."
    );
    (format!("{what} is not served: {why}."), fix)
}

/// What the user is told when DNS cannot be served: who is in the way, and what to do.
fn explain(error: &StartError) -> miette::Report {
    let StartError::Bind { addr, protocol, .. } = error else { return miette!("{error}") };
    if error.is_not_permitted() {
        return miette!(
            help = "start it as the service in packaging/lanward.service, or as root, or give it \
                    another port in [dns] listen",
            "DNS cannot be served on {addr}: ports below 1024 need root or CAP_NET_BIND_SERVICE"
        );
    }
    if !error.is_in_use() {
        return miette!("DNS cannot be served: {error}");
    }
    let owner = port_owner::owner(protocol, addr.port());
    let by = owner.as_ref().map_or_else(
        || "another program".to_owned(),
        |owner| format!("{} (process {})", owner.name, owner.pid),
    );
    let help = match owner.as_ref().map(|owner| owner.name.as_str()) {
        Some(name) if name.starts_with("systemd-resolve") => {
            "set DNSStubListener=no in /etc/systemd/resolved.conf and restart systemd-resolved"
                .to_owned()
        }
        Some("lanward") => "another Lanward runs on this host: stop that one first".to_owned(),
        _ => {
            "stop that program, or give Lanward another address or port in [dns] listen".to_owned()
        }
    };
    miette!(help = help, "DNS cannot be served on {addr}: {by} has {protocol} port {}", addr.port())
}

/// The daemon's own word of address changes: to the node's task, and to whoever only reads.
fn watch_addresses(own: watch::Sender<Vec<IpAddr>>) -> mpsc::Receiver<Vec<OwnAddress>> {
    let (seen_to, mut seen) = mpsc::channel(4);
    let (to, addresses) = mpsc::channel(4);
    tokio::spawn(async move {
        let _watcher = Watcher::start(seen_to);
        while let Some(all) = seen.recv().await {
            own.send_replace(interfaces::reachable(&interfaces::without_aliases(&all)));
            if to.send(all).await.is_err() {
                return;
            }
        }
    });
    addresses
}

/// The address people are told to open.
fn page_url(host: &HostConfig, own: &[OwnAddress]) -> String {
    let listen = host.web.listen.first().copied();
    let listen = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    let addr = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        ip => {
            let same = |addr: &IpAddr| addr.is_ipv4() == ip.is_ipv4();
            interfaces::reachable(own).into_iter().find(same).unwrap_or(ip)
        }
    };
    format!("http://{}/", SocketAddr::new(addr, listen.port()))
}

/// Codes are told to the terminal or journal, and kept in a file only the daemon's user can read.
fn claim_codes(data_dir: &Path, url: &str) -> ClaimCodes {
    let (file, url) = (data_dir.join("claim-code"), url.to_owned());
    ClaimCodes::new(move |code| {
        info!("nobody owns this household yet: open {url}setup and enter the claim code {code}");
        let written = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&file)
            .and_then(|mut file| writeln!(file, "{code}"));
        if let Err(error) = written {
            warn!("the claim code cannot be kept in {}: {error}", file.display());
        }
    })
}

type WebTask = tokio::task::JoinHandle<()>;

async fn start_web(
    host: &HostConfig,
    own: &[OwnAddress],
    domain: &str,
    daemon: &Arc<Daemon>,
    claim: &Arc<ClaimCodes>,
) -> miette::Result<(watch::Sender<bool>, WebTask)> {
    let mut listeners = Vec::new();
    for addr in &host.web.listen {
        let bound = bind_web(*addr).map_err(|error| {
            let owner = port_owner::owner("tcp", addr.port());
            let by = owner.map_or_else(String::new, |o| format!(", {} has it", o.name));
            miette!(
                help = "stop that program, or give the pages another port in [web] listen",
                "the pages cannot be served on {addr}: {error}{by}"
            )
        })?;
        listeners.push(bound);
    }
    let name = &host.node.name;
    let config = AuthConfig {
        names: vec![name.clone(), format!("{name}.{domain}"), "lanward".to_owned()],
        addresses: interfaces::reachable(own),
        claim: Arc::clone(claim),
    };
    let router = lanward_web::router(Arc::clone(daemon) as Arc<dyn Backend>, config);
    let (stop, mut stopped) = watch::channel(false);
    let web = tokio::spawn(async move {
        let told = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        if let Err(error) = lanward_web::serve(listeners, router, told).await {
            warn!("there are no pages: {error}");
        }
    });
    Ok((stop, web))
}

/// Binds one address; `[::]` means IPv6 only, so that it can stand beside `0.0.0.0`.
fn bind_web(addr: SocketAddr) -> std::io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(128)?;
    TcpListener::from_std(socket.into())
}

async fn told_to_stop() {
    let (Ok(mut term), Ok(mut int)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

/// SIGHUP reads files again and fetches lists. (Settings files need no signal: they are watched.)
async fn update_on_hangup(lists: ListKeeper) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    while hangup.recv().await.is_some() {
        info!("hangup: all lists are fetched now");
        lists.update_now(None);
    }
}

fn joined(addrs: &[SocketAddr]) -> String {
    addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Says more than a log line would, on its own lines; nothing when there is nothing to say.
fn for_people(text: &str) {
    if !text.trim().is_empty() {
        warn!("{text}");
    }
}

/// What somebody who started it without any file wants to know.
#[allow(clippy::print_stderr, reason = "this is for the person at the terminal, not for the log")]
fn say_what_next(host: &HostConfig, server: &Server, url: &str, socket: &Path) {
    let dns = server.listening().first().copied();
    let dns = dns.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 53)));
    eprintln!(
        "\nLanward runs alone, on safe defaults, for this machine only:\n\
         \n  pages   {url}\n  DNS     {dns}   try: dig @{} -p {} doubleclick.net\n  \
         DHCP    off\n  data    {}\n  \
         command line   lanward --socket {} status\n\
         \nNext: copy packaging/lanward.toml and packaging/household.toml to /etc/lanward, say \
         which networks you\nhave, check them with `lanward check-config`, and start it again.\n",
        dns.ip(),
        dns.port(),
        host.node.data_dir.display(),
        socket.display(),
    );
}
