//! `lanward demo`: a real pair and a synthetic household on loopback, with one host killed in the
//! middle. Needs no root, no network and no file.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the demo plays the outside world: it lives in real time and talks to a terminal"
)]

mod device;
mod household;
mod lookup;
mod nodes;
mod packet;
mod relay;
mod report;
mod upstream;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use miette::IntoDiagnostic;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::admin::Request;
use crate::cli::DemoOptions;
use device::World;
use household::{Addresses, Device, LATECOMER, VLANS};
use nodes::{NAMES, Node, PORTS};
use relay::Relay;
pub use report::Report;
use report::{Event, Ledger};

/// How long the demo lasts when nobody says otherwise.
const DEFAULT_SECONDS: u64 = 90;
/// The shortest demo in which every act has its time.
const SHORTEST_SECONDS: u64 = 30;
/// A promise: an address for a device never seen before, one node dead.
const NEWCOMER_PROMISE: Duration = Duration::from_secs(5);
/// A promise: from the start of the killed node until both are in step again.
const RECOVERY_PROMISE: Duration = Duration::from_secs(15);

/// Why there was no demo at all.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Something of the demo's own could not be set up.
    #[error("the demo could not be set up: {0}")]
    Setup(#[from] std::io::Error),
    /// A node did not come up, or the two did not become a pair.
    #[error("{0}")]
    Node(String),
}

/// Runs the demonstration; the exit code is 1 when a promise broke.
pub fn run(options: DemoOptions) -> miette::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(DemoError::Setup).into_diagnostic()?;
    let report = runtime.block_on(play(&options)).into_diagnostic()?;
    if options.json {
        println!("{}", serde_json::to_string(&report).into_diagnostic()?);
    } else {
        println!("{report}");
    }
    Ok(if report.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Plays the demo and returns what happened.
pub async fn play(options: &DemoOptions) -> Result<Report, DemoError> {
    let base = Folder::new()?;
    let mut demo = Demo::set_up(options, &base.0).await?;
    let result = demo.play(options).await;
    demo.devices.shutdown().await;
    for node in &mut demo.nodes {
        let _ = node.kill().await;
    }
    result?;
    Ok(demo.ledger.close(demo.cast))
}

struct Demo {
    addresses: Addresses,
    nodes: [Node; 2],
    relays: Vec<Relay>,
    world: Arc<World>,
    events: mpsc::UnboundedReceiver<Event>,
    devices: JoinSet<()>,
    ledger: Ledger,
    /// How many devices took part.
    cast: usize,
    quiet: bool,
}

impl Demo {
    async fn set_up(options: &DemoOptions, base: &Path) -> Result<Demo, DemoError> {
        let addresses = free_addresses()?;
        let [a, b] = [addresses.node(0), addresses.node(1)];
        let upstream = upstream::start(SocketAddr::new(addresses.upstream().into(), 0)).await?;
        let household = addresses.household_toml(upstream);
        let nodes = [
            Node::prepare(0, addresses, base, &household)?,
            Node::prepare(1, addresses, base, &household)?,
        ];
        let servers = [a, b].map(|addr| SocketAddrV4::new(addr, PORTS.dhcp_server));
        let mut relays = Vec::new();
        for vlan in VLANS {
            relays.push(Relay::start(addresses.router(vlan), servers).await?);
        }
        let (to, events) = mpsc::unbounded_channel();
        let world = Arc::new(World {
            events: to,
            neighbours: Mutex::default(),
            dns_port: PORTS.dns,
            server_port: PORTS.dhcp_server,
            client_port: PORTS.dhcp_client,
        });
        let ledger = Ledger::new(BTreeMap::from([(a, NAMES[0]), (b, NAMES[1])]));
        let devices = JoinSet::new();
        let quiet = options.json;
        let mut demo =
            Demo { addresses, nodes, relays, world, events, devices, ledger, cast: 0, quiet };
        demo.make_pair().await.map_err(DemoError::Node)?;
        Ok(demo)
    }

    /// Starts both nodes and joins them, as an owner would at two keyboards.
    async fn make_pair(&mut self) -> Result<(), String> {
        self.say("Starting two nodes on loopback ...");
        for node in &mut self.nodes {
            node.start().map_err(|e| format!("{} cannot be started: {e}", node.name()))?;
            node.reach("STANDALONE", Duration::from_secs(20)).await?;
        }
        let invite = self.nodes[0].ask(Request::PairInvite).await?;
        let invite = invite["invite"].as_str().unwrap_or_default().to_owned();
        self.nodes[1].ask(Request::PairJoin { invite }).await?;
        for node in &mut self.nodes {
            node.reach("NORMAL", Duration::from_secs(20)).await?;
        }
        let claim = self.nodes[0].ask(Request::Claim).await?;
        self.say(&format!(
            "The pair is up. Its pages, for your browser:\n\n    {}    {}\n    {}    {}\n",
            self.nodes[0].name(),
            claim["url"].as_str().unwrap_or_default(),
            self.nodes[1].name(),
            self.nodes[1].url(),
        ));
        if let Some(code) = claim["code"].as_str() {
            self.say(&format!("    Claim code: {code}\n"));
        }
        Ok(())
    }

    async fn play(&mut self, options: &DemoOptions) -> Result<(), DemoError> {
        let seconds = options.seconds.unwrap_or(DEFAULT_SECONDS).max(SHORTEST_SECONDS);
        let act = |share: u64| Duration::from_secs(seconds * share / 100);
        let started = Instant::now();
        let mut keys = Keys::new(options);
        for device in household::devices() {
            self.enter(device);
        }
        if keys.are_there() {
            self.say("Enter kills pi-a at once; without it that happens by itself.\n");
        }
        self.watch(act(40), &mut keys).await;

        self.nodes[0].kill().await?;
        self.ledger.node_killed(self.addresses.node(0));
        self.note("pi-a is dead (SIGKILL). pi-b goes on alone.");
        self.watch(act(5), &mut Keys::nobody()).await;
        self.enter(LATECOMER);
        self.note("a device that was never here before arrives");
        self.watch(act(25), &mut keys).await;

        self.nodes[0].start()?;
        self.note("pi-a comes back");
        let back = Instant::now();
        self.recover(back).await;
        let rest = Duration::from_secs(seconds).saturating_sub(started.elapsed());
        self.watch(rest.max(Duration::from_secs(3)), &mut keys).await;
        self.note("the household goes to bed; comparing the two tables");
        self.devices.shutdown().await;
        self.drain();
        self.check_promises().await;
        Ok(())
    }

    fn enter(&mut self, device: Device) {
        let relay = VLANS.iter().position(|v| v.id == device.vlan.id).map(|i| &self.relays[i]);
        let Some(relay) = relay else { return };
        self.cast += 1;
        let seed = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(self.cast as u64 + 1);
        self.devices.spawn(device::live(device, relay.clone(), Arc::clone(&self.world), seed));
    }

    /// Prints events for so long, or until a key is pressed.
    async fn watch(&mut self, how_long: Duration, keys: &mut Keys) {
        let end = sleep(how_long);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return,
                () = keys.pressed() => return,
                Some(event) = self.events.recv() => self.take(event),
            }
        }
    }

    /// Watches until both nodes say that they are in step, or for twice the promised time.
    async fn recover(&mut self, back: Instant) {
        let deadline = back + RECOVERY_PROMISE * 2;
        while Instant::now() < deadline {
            self.watch(Duration::from_millis(100), &mut Keys::nobody()).await;
            let mut normal = 0;
            for node in &self.nodes {
                let status = node.ask(Request::Status).await.unwrap_or_default();
                normal += usize::from(status["pair"]["condition"] == "both_up");
            }
            if normal == 2 {
                let took = back.elapsed().as_secs_f64();
                self.ledger.report.recovery_seconds = Some(took);
                return self.note(&format!("both nodes are in step again after {took:.1} s"));
            }
        }
        self.note("the nodes are not in step");
        let tail = self.nodes[0].log_tail();
        self.say(&tail);
    }

    fn drain(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.take(event);
        }
    }

    /// What only the end can tell: equal tables, and nothing forgotten.
    async fn check_promises(&mut self) {
        let mut tables = self.tables().await;
        for _ in 0..50 {
            if tables[0] == tables[1] {
                break;
            }
            sleep(Duration::from_millis(100)).await;
            tables = self.tables().await;
        }
        let [a, b] = tables;
        let differ = a.iter().filter(|row| !b.contains(row)).count()
            + b.iter().filter(|row| !a.contains(row)).count();
        let believed = self.ledger.believed();
        let missing: Vec<_> = believed
            .iter()
            .filter(|(addr, _)| {
                let addr = addr.to_string();
                !a.iter().any(|(x, _)| *x == addr) || !b.iter().any(|(x, _)| *x == addr)
            })
            .collect();
        let report = &mut self.ledger.report;
        report.table_differences = Some(differ as u64);
        for (addr, device) in missing {
            report.leases_lost += 1;
            report.broken.push(format!("{device} has {addr}, but a node has forgotten it"));
        }
        if differ > 0 {
            report.broken.push(format!("the two tables differ in {differ} bindings"));
        }
        let late = |seconds: Option<f64>, promise: Duration| {
            seconds.is_none_or(|s| s > promise.as_secs_f64())
        };
        if late(report.recovery_seconds, RECOVERY_PROMISE) {
            let promise = RECOVERY_PROMISE.as_secs();
            report.broken.push(format!("the killed node was not back in step within {promise} s"));
        }
        if late(report.newcomer_seconds, NEWCOMER_PROMISE) {
            let promise = NEWCOMER_PROMISE.as_secs();
            report.broken.push(format!("the new device had no address within {promise} s"));
        }
        if report.queries_answered == 0 || report.renewals == 0 || report.queries_blocked == 0 {
            report.broken.push("nothing was asked, renewed or blocked at all".to_owned());
        }
    }

    /// Both nodes' active leases; none for a node that does not answer.
    async fn tables(&self) -> [Vec<(String, String)>; 2] {
        let [a, b] = &self.nodes;
        [a.leases().await.unwrap_or_default(), b.leases().await.unwrap_or_default()]
    }

    fn take(&mut self, event: Event) {
        if let Event::Leased { device, took, .. } = &event
            && *device == LATECOMER.name
        {
            self.ledger.report.newcomer_seconds.get_or_insert(took.as_secs_f64());
        }
        if let Some(line) = self.ledger.take(event) {
            self.say(&line);
        }
    }

    fn note(&mut self, text: &str) {
        self.take(Event::Note(text.to_owned()));
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            println!("{text}");
        }
    }
}

/// Enter, when somebody sits there.
struct Keys(Option<mpsc::UnboundedReceiver<()>>);

impl Keys {
    fn new(options: &DemoOptions) -> Keys {
        if options.json || options.seconds.is_some() || !std::io::stdin().is_terminal() {
            return Keys(None);
        }
        let (to, lines) = mpsc::unbounded_channel();
        // Reading a terminal cannot be cancelled: the thread ends with the process.
        let reader = std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
            for _ in std::io::stdin().lines().map_while(Result::ok) {
                if to.send(()).is_err() {
                    return;
                }
            }
        });
        Keys(reader.is_ok().then_some(lines))
    }

    fn nobody() -> Keys {
        Keys(None)
    }

    fn are_there(&self) -> bool {
        self.0.is_some()
    }

    async fn pressed(&mut self) {
        if let Some(lines) = &mut self.0
            && lines.recv().await.is_some()
        {
            return;
        }
        self.0 = None;
        std::future::pending::<()>().await;
    }
}

/// A folder that goes away with the demo.
struct Folder(PathBuf);

impl Folder {
    fn new() -> std::io::Result<Folder> {
        let path = std::env::temp_dir().join(format!("lanward-demo-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A second byte under which nobody uses our ports yet: another demo may be running.
fn free_addresses() -> std::io::Result<Addresses> {
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrInUse);
    for second in 77..=96 {
        let addresses = Addresses { second };
        let taken = [0, 1].into_iter().find_map(|rank| {
            let addr = IpAddr::V4(addresses.node(rank));
            let udp = [PORTS.dns, PORTS.dhcp_server].map(|p| SocketAddr::new(addr, p));
            let tcp = [PORTS.dns, PORTS.web, PORTS.pair].map(|p| SocketAddr::new(addr, p));
            let udp = udp.into_iter().find_map(|a| std::net::UdpSocket::bind(a).err());
            udp.or_else(|| tcp.into_iter().find_map(|a| std::net::TcpListener::bind(a).err()))
        });
        match taken {
            None => return Ok(addresses),
            Some(error) => last = error,
        }
    }
    Err(last)
}
