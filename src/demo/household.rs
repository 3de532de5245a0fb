//! Who lives in the demo: three VLANs on loopback and about thirty devices with habits.
//!
//! Every address lies in 127.0.0.0/8, all of which Linux routes to this machine, so a device can
//! really use the address it was leased.

use std::net::Ipv4Addr;

/// One VLAN.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vlan {
    pub(super) id: &'static str,
    /// Third byte of its subnet.
    third: u8,
    pub(super) policy: &'static str,
}

/// The VLANs of the demo's household.
pub(super) const VLANS: [Vlan; 3] = [
    Vlan { id: "home", third: 20, policy: "family" },
    Vlan { id: "iot", third: 30, policy: "strict" },
    Vlan { id: "guests", third: 40, policy: "open" },
];

/// How long a lease of the demo lasts: short, so that many renewals fall into a minute.
pub(super) const LEASE_SECS: u64 = 20;

/// Names that every device asks for now and then.
const WORLD: [&str; 12] = [
    "www.example.com.",
    "news.example.org.",
    "mail.example.net.",
    "video.example.com.",
    "cdn7.example.net.",
    "weather.example.org.",
    "maps.example.com.",
    "shop.example.org.",
    "time.example.net.",
    "school.example.org.",
    "music.example.com.",
    "updates.example.net.",
];

/// Names on the built-in list; a device that wants ads asks for these.
const ADS: [&str; 4] = [
    "doubleclick.net.",
    "ads.doubleclick.net.",
    "googlesyndication.com.",
    "scorecardresearch.com.",
];

/// The addresses of one demo. `second` is the second byte of them all, so that two demos can run
/// side by side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) second: u8,
}

impl Addresses {
    /// The address of node 0 or 1.
    pub(super) fn node(self, rank: usize) -> Ipv4Addr {
        Ipv4Addr::new(127, self.second, 0, 11 + rank as u8)
    }

    /// The test upstream.
    pub(super) fn upstream(self) -> Ipv4Addr {
        Ipv4Addr::new(127, self.second, 0, 53)
    }

    /// A VLAN's router, where its relay agent lives.
    pub(super) fn router(self, vlan: Vlan) -> Ipv4Addr {
        Ipv4Addr::new(127, self.second, vlan.third, 1)
    }

    /// `household.toml` of the demo. `upstream` is where the test upstream listens.
    pub(super) fn household_toml(self, upstream: std::net::SocketAddr) -> String {
        let [a, b] = [self.node(0), self.node(1)];
        let mut text = format!("domain = \"home.arpa\"\nupstreams = [\"{upstream}\"]\n");
        for vlan in VLANS {
            let Vlan { id, third, policy } = vlan;
            let net = format!("127.{}.{third}", self.second);
            text += &format!(
                "\n[[network]]\nid = \"{id}\"\nvlan = {third}\nsubnet = \"{net}.0/24\"\n\
                 router = \"{net}.1\"\npolicy = \"{policy}\"\n\n[network.dhcp]\n\
                 pools = [\"{net}.100-{net}.199\"]\nlease_time = \"{LEASE_SECS}s\"\nprobe = false\n\
                 dns = [\"{a}\", \"{b}\"]\n"
            );
        }
        text += &format!(
            "\n[[reservation]]\nid = \"printer\"\nnetwork = \"home\"\nmac = \"{}\"\n\
             address = \"127.{}.20.9\"\nname = \"printer\"\n",
            PRINTER.mac_text(),
            self.second
        );
        for (id, lists) in [("family", "\"builtin\""), ("strict", "\"builtin\""), ("open", "")] {
            text += &format!("\n[[policy]]\nid = \"{id}\"\nlists = [{lists}]\n");
        }
        text += "\n[[list]]\nid = \"builtin\"\nname = \"Built-in\"\nbuiltin = true\n";
        text
    }
}

/// One synthetic device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Device {
    pub(super) name: &'static str,
    pub(super) vlan: Vlan,
    /// Distinguishes its hardware address.
    index: u8,
    /// Mean pause between two lookups.
    pub(super) pause_millis: u64,
    /// Of a hundred lookups, how many are for ads.
    ads_percent: u64,
}

const PRINTER: Device =
    Device { name: "printer", vlan: VLANS[0], index: 0, pause_millis: 2500, ads_percent: 0 };

/// A device that is nobody's yet: it arrives while one node is dead.
pub(super) const LATECOMER: Device = Device {
    name: "visitor-tablet",
    vlan: VLANS[2],
    index: 99,
    pause_millis: 700,
    ads_percent: 20,
};

/// Everybody who is there from the start.
pub(super) fn devices() -> Vec<Device> {
    let kinds: [(Vlan, u64, u64, &[&'static str]); 5] = [
        (VLANS[0], 700, 25, &["phone-ana", "phone-ben", "phone-cleo", "tablet", "laptop-ana"]),
        (VLANS[0], 900, 15, &["laptop-ben", "desktop", "nas", "workstation", "e-reader"]),
        (VLANS[1], 1500, 10, &["tv", "speaker-kitchen", "speaker-bath", "camera", "doorbell"]),
        (VLANS[1], 2200, 5, &["vacuum", "thermostat", "bulb-1", "bulb-2", "bulb-3", "washer"]),
        (VLANS[2], 1000, 20, &["guest-phone-1", "guest-phone-2", "guest-phone-3", "guest-laptop"]),
    ];
    let mut all = vec![PRINTER];
    for (vlan, pause_millis, ads_percent, names) in kinds {
        for name in names {
            all.push(Device { name, vlan, index: all.len() as u8, pause_millis, ads_percent });
        }
    }
    for name in ["console", "piano", "scale", "watch-ana"] {
        all.push(Device {
            name,
            vlan: VLANS[0],
            index: all.len() as u8,
            pause_millis: 1800,
            ads_percent: 8,
        });
    }
    all
}

/// What a device asks next.
pub(super) enum Question {
    /// A name of the world outside.
    World(&'static str),
    /// A name on the list. Whether it is blocked depends on the VLAN's policy.
    Ad(&'static str),
    /// Another device of the house.
    Neighbour,
}

impl Device {
    /// Its hardware address, locally administered.
    pub(super) fn mac(&self) -> [u8; 6] {
        [0x02, 0x00, 0x5e, 0x10, 0x00, self.index]
    }

    fn mac_text(&self) -> String {
        self.mac().map(|b| format!("{b:02x}")).join(":")
    }

    /// Whether its VLAN's policy blocks ads.
    pub(super) fn blocks_ads(&self) -> bool {
        self.vlan.policy != "open"
    }

    /// Picks its next question by a roll of the dice.
    pub(super) fn question(&self, roll: u64) -> Question {
        let pick = |from: &[&'static str]| from[(roll / 100) as usize % from.len()];
        match roll % 100 {
            r if r < self.ads_percent => Question::Ad(pick(&ADS)),
            r if r >= 88 => Question::Neighbour,
            _ => Question::World(pick(&WORLD)),
        }
    }
}
