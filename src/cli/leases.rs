//! `lanward leases`.

use std::net::Ipv4Addr;
use std::process::ExitCode;

use serde::Deserialize;
use serde_json::Value;

use super::{Common, Done, daemon, text};
use crate::admin::Request;

#[derive(Debug, clap::Args)]
pub(super) struct Leases {
    #[command(subcommand)]
    order: Option<Order>,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
    /// List leases and reservations (without an order, this is done).
    List {
        /// Only this network.
        #[arg(long)]
        network: Option<String>,
    },
    /// End a lease now, as if the device had given its address back.
    Release {
        /// The address.
        address: Ipv4Addr,
    },
    /// Keep an address for a device.
    Reserve {
        /// The address.
        address: Ipv4Addr,
        /// The device's MAC address [default: of the device that has the address now].
        #[arg(long)]
        mac: Option<String>,
        /// Its name in DNS.
        #[arg(long)]
        name: Option<String>,
        /// The network [default: the one the address lies in].
        #[arg(long)]
        network: Option<String>,
        /// A note.
        #[arg(long)]
        comment: Option<String>,
    },
    /// Remove the reservation of an address; a lease goes on.
    Unreserve {
        /// The address.
        address: Ipv4Addr,
    },
}

/// The part of a lease that is shown.
#[derive(Debug, Deserialize)]
struct Row {
    addr: Ipv4Addr,
    network: String,
    state: String,
    name: Option<String>,
    hw: Option<String>,
    reserved: Option<Value>,
    expires: Option<String>,
}

impl Leases {
    pub(super) fn execute(&self, common: &Common) -> Done {
        match &self.order {
            None => list(common, None),
            Some(Order::List { network }) => list(common, network.as_deref()),
            Some(Order::Release { address }) => {
                let data = daemon::ask(common, &Request::Release { address: *address })?;
                Ok(edited(common, &data, &format!("{address} is released.")))
            }
            Some(Order::Reserve { address, mac, name, network, comment }) => {
                let mac = match mac {
                    Some(mac) => mac.clone(),
                    None => holder(common, *address)?,
                };
                let request = Request::Reserve {
                    network: network.clone(),
                    mac: mac.clone(),
                    address: *address,
                    name: name.clone(),
                    comment: comment.clone(),
                };
                let data = daemon::ask(common, &request)?;
                Ok(edited(common, &data, &format!("{address} is reserved for {mac}.")))
            }
            Some(Order::Unreserve { address }) => unreserve(common, *address),
        }
    }
}

fn list(common: &Common, network: Option<&str>) -> Done {
    let data = daemon::ask(common, &Request::Leases)?;
    let wanted = |row: &Value| network.is_none_or(|network| row["network"] == network);
    let rows: Vec<Value> =
        data.as_array().into_iter().flatten().filter(|row| wanted(row)).cloned().collect();
    let data = Value::Array(rows);
    let mut rows: Vec<Row> = daemon::read(&data)?;
    if common.json {
        text::print_json(&data);
        return Ok(ExitCode::SUCCESS);
    }
    if rows.is_empty() {
        text::print_line("No leases.");
        return Ok(ExitCode::SUCCESS);
    }
    rows.sort_by(|a, b| (&a.network, a.addr).cmp(&(&b.network, b.addr)));
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let reserved = if row.reserved.is_some() { "reserved" } else { "" };
            vec![
                row.network.clone(),
                row.addr.to_string(),
                row.hw.clone().unwrap_or_else(|| "-".into()),
                row.name.clone().unwrap_or_else(|| "-".into()),
                row.state.clone(),
                text::from_now(row.expires.as_deref()),
                reserved.to_owned(),
            ]
        })
        .collect();
    let head = ["NETWORK", "ADDRESS", "MAC", "NAME", "STATE", "EXPIRES", ""];
    text::table(&head, &cells).iter().for_each(|line| text::print_line(line));
    Ok(ExitCode::SUCCESS)
}

/// The MAC address of the device that has `address` now.
fn holder(common: &Common, address: Ipv4Addr) -> Result<String, super::Failure> {
    let rows: Vec<Row> = daemon::read(&daemon::ask(common, &Request::Leases)?)?;
    let row = rows.into_iter().find(|row| row.addr == address && row.state == "active");
    row.and_then(|row| row.hw).ok_or_else(|| {
        super::Failure::new(format!("nobody has {address} now."))
            .fix("Say whose it is to be: --mac 02:00:5e:10:00:01.")
    })
}

fn unreserve(common: &Common, address: Ipv4Addr) -> Done {
    #[derive(Deserialize)]
    struct Reservation {
        id: String,
        addr: Ipv4Addr,
    }
    let all: Vec<Reservation> = daemon::read(&daemon::ask(common, &Request::Reservations)?)?;
    let Some(found) = all.into_iter().find(|reservation| reservation.addr == address) else {
        return Err(super::Failure::new(format!("{address} is not reserved.")));
    };
    let data = daemon::ask(common, &Request::Unreserve { id: found.id })?;
    Ok(edited(common, &data, &format!("{address} is no longer reserved.")))
}

/// Tells that an edit was made, and where it is in force.
pub(super) fn edited(common: &Common, data: &Value, done: &str) -> ExitCode {
    if common.json {
        text::print_json(data);
        return ExitCode::SUCCESS;
    }
    let partner = data["partner"].as_str().unwrap_or("the other host");
    let place = match data["in_force"].as_str() {
        Some("both_hosts") => "In force on both hosts.".to_owned(),
        Some("partner_later") => format!("In force here; {partner} gets it when it is back."),
        Some("staged") => data["reason"].as_str().unwrap_or("Not in force yet.").to_owned(),
        _ => "In force.".to_owned(),
    };
    text::print_line(&text::clean(&format!("{done} {place}")));
    ExitCode::SUCCESS
}
