//! Pauses of blocking, in the words of the pages, and the records they are made of.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use lanward_dhcp::HwAddr;
use lanward_web::view::{EditError, NewPause, PauseLength, PauseScope as Shown, PauseView};

use super::leases;
use crate::control::Reading;
use crate::settings::effective::PauseSpec;
use crate::settings::fields::Read;
use crate::settings::records::{Pause, PauseScope};
use crate::settings::words::{Id, Mac};

/// The longest pause with an end; for more there is the one without.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Finds whom somebody means: a network there is, a device by its hardware address or by an
/// address it has.
pub(super) fn scope(reading: &Reading<'_>, asked: &Shown) -> Result<PauseScope, EditError> {
    match asked {
        Shown::All => Ok(PauseScope::All),
        Shown::Network(id) => {
            let networks = &reading.node.effective().networks;
            let known = networks.iter().any(|network| *network.id == **id);
            let parsed = Id::parse(id).ok().filter(|_| known);
            parsed.map(PauseScope::Network).ok_or_else(|| {
                let ids: Vec<&str> = networks.iter().map(|network| &*network.id).collect();
                let there = match ids.is_empty() {
                    true => "There are no networks.".to_owned(),
                    false => format!("There are: {}.", ids.join(", ")),
                };
                EditError::field("scope", format!("There is no network {id}. {there}"))
            })
        }
        Shown::Device(text) => device(reading, text),
    }
}

fn device(reading: &Reading<'_>, text: &str) -> Result<PauseScope, EditError> {
    let Ok(addr) = text.parse::<IpAddr>() else {
        let mac = Mac::read(&serde_json::Value::from(text)).map_err(|_| {
            let message = format!("“{text}” is neither an IP address nor a hardware address.");
            EditError::field("scope", message)
        })?;
        return Ok(PauseScope::Device(mac));
    };
    let addr = addr.to_canonical();
    // A device keeps its pause when it gets another address.
    let mac = leases::tenant(reading, addr)
        .and_then(|client| <[u8; 6]>::try_from(client.hw.bytes()).ok());
    Ok(mac.map_or(PauseScope::Address(addr), |mac| PauseScope::Device(Mac(mac))))
}

/// The record of a new pause.
pub(super) fn record(new: &NewPause, now: Timestamp) -> Result<Pause, EditError> {
    let until = match new.length {
        PauseLength::UntilResumed => None,
        PauseLength::For(length) => Some(now.checked_add(length).unwrap_or(Timestamp::MAX)),
        PauseLength::Until(until) => Some(until),
    };
    if let Some(until) = until {
        let length = until.duration_since(now);
        if !length.is_positive() {
            return Err(EditError::field("until", "That moment is over already."));
        }
        if Duration::try_from(length).is_ok_and(|length| length > LONGEST) {
            let message = "A pause with an end may last a year at most.";
            return Err(EditError::field("until", message));
        }
    }
    Ok(Pause { from: now, until })
}

/// The pauses in force for the pages.
pub(super) fn views(reading: &Reading<'_>, in_force: &[PauseSpec]) -> Vec<PauseView> {
    in_force
        .iter()
        .map(|pause| PauseView {
            scope: shown(&pause.scope),
            who: who(reading, &pause.scope),
            until: pause.until,
            left_secs: pause.until.map(|until| {
                let left = until.duration_since(reading.wall);
                // Rounded up: "1 s" is still a pause.
                u64::try_from(left.as_millis().max(0)).unwrap_or(0).div_ceil(1000)
            }),
        })
        .collect()
}

fn shown(scope: &PauseScope) -> Shown {
    match scope {
        PauseScope::All => Shown::All,
        PauseScope::Network(id) => Shown::Network(id.as_str().to_owned()),
        PauseScope::Device(mac) => Shown::Device(mac.to_string()),
        PauseScope::Address(addr) => Shown::Device(addr.to_string()),
    }
}

fn who(reading: &Reading<'_>, scope: &PauseScope) -> String {
    match scope {
        PauseScope::All => "all devices".to_owned(),
        PauseScope::Network(id) => format!("network {}", id.as_str()),
        PauseScope::Address(addr) => addr.to_string(),
        PauseScope::Device(mac) => match name_of(reading, *mac) {
            Some(name) => format!("{name} ({mac})"),
            None => mac.to_string(),
        },
    }
}

/// What the device is called: by its reservation, or by itself.
fn name_of(reading: &Reading<'_>, mac: Mac) -> Option<String> {
    let hw = HwAddr::ethernet(mac.0);
    let networks = reading.node.effective().dhcp.networks.values();
    let mut reserved = networks.flat_map(|network| &network.reservations);
    let reserved = reserved.find(|r| r.hw == Some(hw)).and_then(|r| r.hostname.clone());
    let own = || {
        let mut clients = reading.node.pair().bindings().filter_map(|b| b.client.as_ref());
        clients.find(|client| client.hw == hw).and_then(|client| client.hostname.clone())
    };
    reserved.or_else(own).map(|name| name.to_string())
}

/// Whether a pause covers a client.
pub(super) fn covers(reading: &Reading<'_>, pause: &PauseSpec, client: IpAddr) -> bool {
    let leases = reading.node.pair().bindings().map(lanward_ha::Binding::lease);
    let one = std::slice::from_ref(pause);
    crate::pauses::covered(one, reading.node.effective(), leases).cover(client)
}
