//! Networks with their DHCP scopes, and reservations.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Record, default_policy};
use crate::settings::fields::{Fields, Read, Wrong};
use crate::settings::words::{Hex, Id, Mac, Name, Period, Range};

/// One network of the household: usually one VLAN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Network {
    /// What people call it; the id when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its VLAN id, 1 to 4094; for people, the interface is found by its addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// Its IPv4 subnet.
    pub subnet: Ipv4Net,
    /// IPv6 prefixes whose DNS clients belong to this network too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefixes6: Vec<IpNet>,
    /// Its router (option 3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub router: Option<Ipv4Addr>,
    /// What devices are told to use for DNS, held by either host; none: both hosts' own
    /// addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service_addresses: Vec<ServiceAddress>,
    /// The policy of its devices.
    pub policy: Id,
    /// The domain of its devices' names; none: the household's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<Name>,
    /// Its DHCP scope; none: no DHCP here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<Dhcp>,
}

/// An address for DNS that moves to the other host when its own is gone. Written as the address
/// alone, or as `{ address = "10.0.20.53", home = "pi-a" }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAddress {
    /// The address, IPv4 or IPv6.
    pub address: IpAddr,
    /// The name of the host that holds it while both are well; none: the first address is at home
    /// on the host that was there first, the second on the other.
    pub home: Option<String>,
}

impl Serialize for ServiceAddress {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Some(home) = &self.home else { return self.address.serialize(to) };
        let mut table = to.serialize_struct("ServiceAddress", 2)?;
        table.serialize_field("address", &self.address)?;
        table.serialize_field("home", home)?;
        table.end()
    }
}

impl Read for ServiceAddress {
    fn read(value: &Value) -> Result<ServiceAddress, Wrong> {
        let Value::Object(table) = value else {
            return Ok(ServiceAddress { address: IpAddr::read(value)?, home: None });
        };
        let form = "Write it such as { address = \"10.0.20.53\", home = \"pi-a\" }.";
        if let Some(unknown) = table.keys().find(|key| !["address", "home"].contains(&&***key)) {
            return Err(Wrong::new(format!("Unknown key `{unknown}`."), form));
        }
        let Some(address) = table.get("address") else {
            return Err(Wrong::new("`address` is missing.", form));
        };
        let home = table.get("home").filter(|home| !home.is_null());
        Ok(ServiceAddress {
            address: IpAddr::read(address)?,
            home: home.map(String::read).transpose()?,
        })
    }
}

/// The DHCP scope of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dhcp {
    /// Whether DHCP is served here (default true).
    pub enabled: bool,
    /// Addresses for devices without a reservation.
    pub pools: Vec<Range>,
    /// Addresses in the pools that are never given out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Range>,
    /// Lease time (default 24h).
    pub lease_time: Period,
    /// Longest lease time a device may ask for (default: the lease time).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_lease_time: Option<Period>,
    /// Whether option 61 tells devices apart (default true); else only their MAC does.
    pub client_id: bool,
    /// Whether to refuse addresses that are wrong for the network (default true).
    pub authoritative: bool,
    /// Whether to ask the network if an address is in use before a device gets it for the first
    /// time (default true).
    pub probe: bool,
    /// DNS servers to tell devices, instead of this pair (option 6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<Vec<Ipv4Addr>>,
    /// Time servers (option 42).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ntp: Vec<Ipv4Addr>,
    /// Domains to search (option 119).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<Name>,
    /// Routes (option 121).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Any other option.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<RawOption>,
}

/// A route for option 121.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// Where it leads.
    pub to: Ipv4Net,
    /// The router that leads there.
    pub via: Ipv4Addr,
}

/// Any DHCP option by number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RawOption {
    /// Its code.
    pub code: u8,
    /// Its value.
    #[serde(flatten)]
    pub value: OptionValue,
}

/// How the value of a [`RawOption`] is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OptionValue {
    /// Text, as it is.
    Text(String),
    /// Bytes.
    Hex(Hex),
    /// IPv4 addresses, 4 bytes each.
    Addresses(Vec<Ipv4Addr>),
    /// One byte.
    U8(u8),
    /// Two bytes, big end first.
    U16(u16),
    /// Four bytes, big end first.
    U32(u32),
}

/// A fixed address for one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reservation {
    /// The network's id.
    pub network: Id,
    /// The device's MAC address, and/or
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// the client identifier it sends (option 61, type byte included).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Hex>,
    /// The address.
    pub address: Ipv4Addr,
    /// Its name in DNS, one label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl Record for Network {
    const KIND: &'static str = "network";

    fn read(fields: &mut Fields<'_>) -> Option<Network> {
        let name = fields.optional("name");
        let vlan = fields.optional("vlan").filter(|vlan| {
            let good = (1..=4094).contains(vlan);
            if !good {
                fields.wrong(
                    "vlan",
                    Wrong::new(format!("{vlan} is not a VLAN id."), "Use 1 to 4094."),
                );
            }
            good
        });
        let subnet = fields.required("subnet", "\"10.0.20.0/24\"");
        let network = Network {
            name,
            vlan,
            subnet: subnet.unwrap_or_default(),
            prefixes6: fields.list("prefixes6"),
            router: fields.optional("router"),
            service_addresses: fields.list("service_addresses"),
            policy: fields.optional("policy").unwrap_or_else(default_policy),
            domain: fields.optional("domain"),
            dhcp: fields.table("dhcp", Dhcp::read),
        };
        subnet.map(|_| network)
    }
}

impl Dhcp {
    /// A scope with the given pools and everything else by default.
    pub fn new(pools: Vec<Range>) -> Dhcp {
        Dhcp {
            enabled: true,
            pools,
            exclude: Vec::new(),
            lease_time: Period(Duration::from_secs(86_400)),
            max_lease_time: None,
            client_id: true,
            authoritative: true,
            probe: true,
            dns: None,
            ntp: Vec::new(),
            search: Vec::new(),
            routes: Vec::new(),
            options: Vec::new(),
        }
    }

    fn read(fields: &mut Fields<'_>) -> Option<Dhcp> {
        let default = Dhcp::new(fields.list("pools"));
        // A switch that cannot be read must not turn a server on.
        let enabled = !fields.has("enabled") || fields.or("enabled", false);
        Some(Dhcp {
            enabled,
            exclude: fields.list("exclude"),
            lease_time: fields.or("lease_time", default.lease_time),
            max_lease_time: fields.optional("max_lease_time"),
            client_id: fields.or("client_id", default.client_id),
            authoritative: fields.or("authoritative", default.authoritative),
            probe: fields.or("probe", default.probe),
            dns: fields.has("dns").then(|| fields.list("dns")),
            ntp: fields.list("ntp"),
            search: fields.list("search"),
            routes: fields.tables("routes", |fields| {
                let to = fields.required("to", "\"10.8.0.0/16\"");
                let via = fields.required("via", "\"10.0.20.1\"");
                Some(Route { to: to?, via: via? })
            }),
            options: fields.tables("options", RawOption::read),
            ..default
        })
    }
}

impl RawOption {
    fn read(fields: &mut Fields<'_>) -> Option<RawOption> {
        let code = fields.required("code", "66");
        let mut values: Vec<OptionValue> = Vec::new();
        let mut given = 0;
        for name in ["text", "hex", "addresses", "u8", "u16", "u32"] {
            given += usize::from(fields.has(name));
            values.extend(match name {
                "text" => fields.optional(name).map(OptionValue::Text),
                "hex" => fields.optional(name).map(OptionValue::Hex),
                "addresses" if !fields.has(name) => None,
                "addresses" => Some(OptionValue::Addresses(fields.list(name))),
                "u8" => fields.optional(name).map(OptionValue::U8),
                "u16" => fields.optional(name).map(OptionValue::U16),
                _ => fields.optional(name).map(OptionValue::U32),
            });
        }
        if given != 1 {
            fields.wrong(
                "",
                Wrong::new(
                    if given == 0 {
                        "The option has no value."
                    } else {
                        "The option has two values."
                    },
                    "Give exactly one of text, hex, addresses, u8, u16 and u32.",
                ),
            );
            return None;
        }
        Some(RawOption { code: code?, value: values.pop()? })
    }
}

impl Record for Reservation {
    const KIND: &'static str = "reservation";

    fn read(fields: &mut Fields<'_>) -> Option<Reservation> {
        let network = fields.required("network", "\"iot\"");
        let (has_mac, has_id) = (fields.has("mac"), fields.has("client_id"));
        if !has_mac && !has_id {
            fields.wrong(
                "",
                Wrong::new(
                    "The reservation does not say whose it is.",
                    "Add mac = \"02:00:5e:10:00:01\", or client_id.",
                ),
            );
        }
        let mac = fields.optional("mac");
        let client_id: Option<Hex> = fields.optional("client_id").filter(|id: &Hex| {
            let good = (2..=255).contains(&id.0.len());
            if !good {
                fields.wrong(
                    "client_id",
                    Wrong::new(
                        format!("A client identifier has 2 to 255 bytes, not {}.", id.0.len()),
                        "Copy it from the device's lease, type byte included.",
                    ),
                );
            }
            good
        });
        let address = fields.required("address", "\"10.0.20.5\"");
        let name: Option<Name> = fields.optional("name").filter(|name: &Name| {
            let good = !name.as_str().contains(['.', '_']);
            if !good {
                fields.wrong(
                    "name",
                    Wrong::new(
                        format!("{name} is not one host name."),
                        "Use letters, digits and hyphens; the network's domain is added to it.",
                    ),
                );
            }
            good
        });
        let comment = fields.optional("comment");
        if mac.is_none() && client_id.is_none() {
            return None;
        }
        Some(Reservation { network: network?, mac, client_id, address: address?, name, comment })
    }
}
