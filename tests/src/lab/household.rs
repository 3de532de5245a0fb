//! The household: two hosts, a router, a switch per network, and whatever is plugged in.
//!
//! ```text
//!        home 10.77.10.0/24         iot 10.77.30.0/24         guests 10.77.40.0/24
//!   A .2 ─┤                    A .2 ─┤                              │
//!   B .3 ─┤                    B .3 ─┤                              │
//!         ├─ .1 router .1 ───────────┤    router .1 ────────────────┤
//! devices ─┤                devices ─┤        (dhcrelay)   devices ─┤
//! ```
//! The router forwards between all three and runs ISC's `dhcrelay` for *guests*, where the hosts
//! have no foot. Every wire ends in one namespace, the switch; the name of its port there says
//! which side of the house it is on (`a-`, `b-`, or `m-` for the middle), and that is what a cut
//! goes by.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::Path;

use super::netns::Netns;
use super::process::Process;

/// One of the two hosts, and the side of the house it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Host A.
    A,
    /// Host B.
    B,
}

impl Side {
    /// Both.
    pub const BOTH: [Side; 2] = [Side::A, Side::B];

    /// The other one.
    pub const fn other(self) -> Side {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }

    /// Whether this is one of its addresses.
    pub fn has(self, address: Ipv4Addr) -> bool {
        Vlan::ALL.iter().any(|vlan| vlan.host(self) == address)
    }

    /// `a` or `b`.
    pub const fn letter(self) -> char {
        match self {
            Side::A => 'a',
            Side::B => 'b',
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host {}", self.letter().to_ascii_uppercase())
    }
}

/// The networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vlan {
    /// Attached to both hosts.
    Home,
    /// Attached to both hosts.
    Iot,
    /// Reached only through the router's relay agent.
    Guests,
}

impl Vlan {
    /// All three.
    pub const ALL: [Vlan; 3] = [Vlan::Home, Vlan::Iot, Vlan::Guests];

    /// The id in the settings.
    pub const fn id(self) -> &'static str {
        match self {
            Vlan::Home => "home",
            Vlan::Iot => "iot",
            Vlan::Guests => "guests",
        }
    }

    /// The VLAN number in the settings, and the third byte of its addresses.
    pub const fn number(self) -> u8 {
        match self {
            Vlan::Home => 10,
            Vlan::Iot => 30,
            Vlan::Guests => 40,
        }
    }

    /// The address with this last byte.
    pub const fn address(self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.number(), last)
    }

    /// The router's address.
    pub const fn router(self) -> Ipv4Addr {
        self.address(1)
    }

    /// Whether the hosts have a foot in it.
    pub const fn attached(self) -> bool {
        !matches!(self, Vlan::Guests)
    }

    /// The address of a host as devices of this network reach it.
    pub const fn host(self, side: Side) -> Ipv4Addr {
        let vlan = if self.attached() { self } else { Vlan::Home };
        match side {
            Side::A => vlan.address(2),
            Side::B => vlan.address(3),
        }
    }

    /// The first and the last address devices may be given.
    pub const fn pool(self) -> (Ipv4Addr, Ipv4Addr) {
        (self.address(50), self.address(249))
    }
}

/// Where a device is plugged in: in the middle it reaches both sides of a split house.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// With host A.
    SideOf(Side),
    /// Reaches both sides whatever is cut.
    Middle,
}

/// What is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The pair's link: TCP between the two hosts. Devices still reach both.
    PairLink,
    /// TCP packets from this host to the other; those to it pass.
    PairLinkFrom(Side),
    /// Nothing comes from this host nor goes to it, and nobody is told: its power is gone.
    Host(Side),
    /// Nothing comes from this host; what others send still reaches it.
    HostFrom(Side),
    /// The house falls into two: nothing passes from side to side, ARP and broadcasts included.
    House,
}

/// The wires, the switch and the router.
#[derive(Debug)]
pub struct Household {
    label: String,
    switch: Netns,
    router: Netns,
    hosts: [Netns; 2],
    relay: Process,
    plugged: u32,
}

impl Household {
    /// Builds it; `label` tells the households of one test process apart, `dir` gets the logs.
    pub fn build(label: &str, dir: &Path) -> Household {
        let switch = Netns::create(&format!("{label}-switch"));
        for vlan in Vlan::ALL {
            let id = vlan.id();
            switch.ip(&format!("link add {id} type bridge forward_delay 0 mcast_snooping 0"));
            switch.ip(&format!("link set {id} up"));
        }
        let router = Netns::create(&format!("{label}-router"));
        router.sh("echo 1 > /proc/sys/net/ipv4/ip_forward");
        for vlan in Vlan::ALL {
            let id = vlan.id();
            plug(&switch, &format!("m-router-{id}"), id, &router, id);
            router.ip(&format!("addr add {}/24 dev {id}", vlan.router()));
        }
        let hosts = Side::BOTH.map(|side| build_host(label, side, &switch));
        let relay = start_relay(&router, dir);
        Household { label: label.to_owned(), switch, router, hosts, relay, plugged: 0 }
    }

    /// A host's namespace.
    pub fn host(&self, side: Side) -> &Netns {
        match side {
            Side::A => &self.hosts[0],
            Side::B => &self.hosts[1],
        }
    }

    /// The router's namespace.
    pub fn router(&self) -> &Netns {
        &self.router
    }

    /// What the relay agent printed.
    pub fn relay_log(&self) -> String {
        self.relay.output()
    }

    /// Makes a namespace with one interface, `eth0`, plugged into a network.
    pub fn plug_in(&mut self, name: &str, vlan: Vlan, place: Place) -> Netns {
        self.plugged += 1;
        let netns = Netns::create(&format!("{}-{name}", self.label));
        let side = match place {
            Place::SideOf(side) => side.letter(),
            Place::Middle => 'm',
        };
        plug(&self.switch, &format!("{side}-{}", self.plugged), vlan.id(), &netns, "eth0");
        netns.ip(&format!("link set eth0 address {}", self.last_mac()));
        netns
    }

    /// The hardware address of what was plugged in last.
    pub(super) fn last_mac(&self) -> String {
        let [.., high, low] = self.plugged.to_be_bytes();
        format!("02:4c:57:ff:{high:02x}:{low:02x}")
    }

    /// Cuts; an earlier cut is replaced.
    pub fn cut(&self, cut: Cut) {
        let rules = match cut {
            Cut::House => "iifname \"a-*\" oifname \"b-*\" drop\n\
                           iifname \"b-*\" oifname \"a-*\" drop"
                .to_owned(),
            Cut::PairLink => {
                format!("{}\n{}", one_way(Side::A), one_way(Side::B))
            }
            Cut::PairLinkFrom(side) => one_way(side),
            Cut::Host(side) => {
                let port = format!("{}-host-*", side.letter());
                format!("iifname \"{port}\" drop\noifname \"{port}\" drop")
            }
            Cut::HostFrom(side) => format!("iifname \"{}-host-*\" drop", side.letter()),
        };
        self.nft(&format!(
            "flush ruleset\n\
             table bridge cut {{\nchain forward {{\n\
             type filter hook forward priority 0\n{rules}\n}}\n}}\n"
        ));
    }

    /// Unplugs a host from all its networks, or plugs it in again.
    pub fn plug_host(&self, side: Side, plugged: bool) {
        let to = if plugged { "up" } else { "down" };
        for vlan in Vlan::ALL.into_iter().filter(|vlan| vlan.attached()) {
            self.host(side).ip(&format!("link set {} {to}", vlan.id()));
        }
    }

    /// Mends what was cut.
    pub fn heal(&self) {
        self.nft("flush ruleset\n");
    }

    fn nft(&self, script: &str) {
        self.switch.sh(&format!("nft -f - <<'RULES'\n{script}RULES"));
    }
}

/// Drops TCP from one host to the other, on every network.
fn one_way(from: Side) -> String {
    let (here, there) = (from.letter(), from.other().letter());
    format!(
        "iifname \"{here}-host-*\" oifname \"{there}-host-*\" ether type ip ip protocol tcp drop"
    )
}

fn build_host(label: &str, side: Side, switch: &Netns) -> Netns {
    let letter = side.letter();
    let host = Netns::create(&format!("{label}-host-{letter}"));
    for vlan in Vlan::ALL.into_iter().filter(|vlan| vlan.attached()) {
        let id = vlan.id();
        plug(switch, &format!("{letter}-host-{id}"), id, &host, id);
        host.ip(&format!("addr add {}/24 dev {id}", vlan.host(side)));
    }
    host.ip(&format!("route add default via {}", Vlan::Home.router()));
    host
}

/// Lays a wire: `port` on the switch's bridge, `device` in `netns`.
fn plug(switch: &Netns, port: &str, bridge: &str, netns: &Netns, device: &str) {
    switch.ip(&format!("link add {port} type veth peer name {device} netns {}", netns.name()));
    switch.ip(&format!("link set {port} master {bridge} up"));
    netns.ip(&format!("link set {device} up"));
}

/// Starts ISC's relay agent: requests from *guests* go to both hosts.
fn start_relay(router: &Netns, dir: &Path) -> Process {
    let mut command = router.command("dhcrelay");
    command.args(["-4", "-d", "--no-pid", "-id", Vlan::Guests.id(), "-iu", Vlan::Home.id()]);
    for side in Side::BOTH {
        command.arg(Vlan::Guests.host(side).to_string());
    }
    Process::start(command, &dir.join("dhcrelay.log")).expect("dhcrelay can be started")
}
