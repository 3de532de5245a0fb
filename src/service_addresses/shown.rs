//! Who holds what and why, in words.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lanward_dhcp::Time;

use super::slot::{Other, Slot, State};
use super::{Mac, ServiceAddresses};

/// For so long after a stranger used an address people are told.
const FOREIGN: Duration = Duration::from_secs(60);

/// Who holds a service address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// This host, or its partner: the name.
    Host(String),
    /// Some other device.
    Stranger(Mac),
    /// Nobody, or nobody knows.
    Nobody,
}

/// One service address, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The address.
    pub addr: IpAddr,
    /// The network's id.
    pub network: Arc<str>,
    /// The name of the host it is at home on.
    pub home: String,
    /// Who holds it.
    pub holder: Holder,
    /// Whether that is how it should be.
    pub well: bool,
    /// Whether a stranger uses it at the same time.
    pub shared: bool,
    /// Why it is so: one sentence.
    pub why: String,
}

impl ServiceAddresses {
    /// Every service address.
    pub fn shown(&self, now: Time) -> Vec<Shown> {
        self.slots.iter().map(|(addr, slot)| self.show(now, *addr, slot)).collect()
    }

    fn show(&self, now: Time, addr: IpAddr, slot: &Slot) -> Shown {
        let own = self.node.as_str();
        let partner = self.partner_name.as_deref().unwrap_or("the other host");
        let mine = slot.home == self.rank;
        let home = if mine { own } else { partner };
        let foreign = slot.foreign.filter(|(_, at)| now.since(*at) < FOREIGN || slot.is_foreign());
        let stranger = foreign.map(|(mac, _)| mac);
        let held_by = |name: &str| Holder::Host(name.to_owned());
        let (holder, well, why) = match (&slot.state, slot.other, stranger) {
            (State::Held(_), _, Some(mac)) => {
                let mac = text(mac);
                let why =
                    format!("{mac} uses it, too: find that device and give it another address.");
                (held_by(own), false, why)
            }
            (State::Held(_), _, _) if !self.dns_ok => {
                let why = format!(
                    "The DNS server of {own} does not answer, and nobody else can take it."
                );
                (held_by(own), false, why)
            }
            (State::Held(held), _, _) if held.offered => {
                (held_by(own), true, format!("{own} hands it over to {partner}."))
            }
            (State::Held(_), _, _) if mine => {
                (held_by(own), true, format!("It is at home on {own}."))
            }
            (State::Held(_), _, _) if self.partner_name.is_none() => {
                (held_by(own), true, "There is no second host yet.".to_owned())
            }
            (State::Held(_), Other::Says { can: true, .. }, _) => {
                (held_by(own), true, format!("{partner} is back and gets it in a moment."))
            }
            (State::Held(_), Other::Says { .. }, _) => {
                let why = self.partners_trouble(partner);
                (held_by(own), false, format!("{why}, so {own} holds it."))
            }
            (State::Held(_), _, _) => {
                (held_by(own), false, format!("{partner} does not answer, so {own} holds it."))
            }
            (_, Other::Says { holds: true, .. }, _) if !mine => {
                (held_by(partner), true, format!("It is at home on {partner}."))
            }
            (_, Other::Says { holds: true, .. }, _) => {
                let why = self
                    .own_trouble(slot)
                    .unwrap_or_else(|| format!("{own} gets it back in a moment"));
                (held_by(partner), false, format!("{why}; {partner} holds it."))
            }
            (_, _, Some(mac)) => {
                let why = format!(
                    "{} answers at this address, so no host takes it: find that device, or use \
                     another service address.",
                    text(mac)
                );
                (Holder::Stranger(mac), false, why)
            }
            (State::Probing { .. } | State::Adding, _, _) => {
                let why = format!("{own} asks the network whether anybody has it, then takes it.");
                (Holder::Nobody, false, why)
            }
            _ => {
                let why = self.own_trouble(slot).unwrap_or_else(|| {
                    format!("Nobody is known to hold it; {own} takes it when the network is silent")
                });
                (Holder::Nobody, false, format!("{why}."))
            }
        };
        let (network, home) = (Arc::clone(&slot.network), home.to_owned());
        let shared = slot.is_here() && stranger.is_some();
        Shown { addr, network, home, holder, well, shared, why }
    }

    /// Why this host does not hold an address; without the final dot.
    fn own_trouble(&self, slot: &Slot) -> Option<String> {
        let own = &self.node;
        if let Some(why) = &self.incapable {
            return Some(why.clone());
        }
        if self.stopping.is_some() {
            return Some(format!("{own} is stopping"));
        }
        if !self.dns_ok {
            return Some(format!("The DNS server of {own} does not answer"));
        }
        if !slot.attached {
            return Some(format!("{own} has no running interface on {}", slot.network));
        }
        let trouble = slot.trouble.as_ref();
        trouble.map(|error| format!("{own} cannot add it: {error}"))
    }

    /// Why the partner cannot hold an address although it is there.
    fn partners_trouble(&self, partner: &str) -> String {
        match &self.partner.report {
            Some(report) if !report.capable => {
                format!("{partner} may not add addresses (CAP_NET_ADMIN)")
            }
            Some(report) if !report.dns_ok => {
                format!("The DNS server of {partner} does not answer")
            }
            _ => format!("{partner} is stopping, or not on that network"),
        }
    }
}

fn text(mac: Mac) -> String {
    lanward_dhcp::HwAddr::ethernet(mac).to_string()
}
