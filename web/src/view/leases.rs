//! Leases and reservations.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use lanward_dhcp::HwAddr;
use serde::Serialize;

use super::json;

/// What an address is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    /// Leased.
    Active,
    /// Reserved, and not leased at present.
    Idle,
    /// The lease ran out.
    Expired,
    /// The client gave it back.
    Released,
    /// A client reported that somebody else uses it; out of service for a while.
    Declined,
}

/// One row of the lease table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeaseRow {
    /// The address.
    pub addr: Ipv4Addr,
    /// The network's id.
    pub network: String,
    /// What it is doing.
    pub state: LeaseState,
    /// The name in DNS: the reservation's, else what the client calls itself. Untrusted text.
    pub name: Option<String>,
    /// The client's hardware address.
    #[serde(serialize_with = "json::text_or_null")]
    pub hw: Option<HwAddr>,
    /// Vendor class (option 60), lossily decoded. Untrusted text.
    pub vendor_class: Option<String>,
    /// Whether the address is reserved for this client.
    pub reserved: Option<Reserved>,
    /// When the client must stop using it; `None` unless [`LeaseState::Active`] or declined.
    #[serde(serialize_with = "json::text_or_null")]
    pub expires: Option<Timestamp>,
    /// When the client last talked to a server about it.
    #[serde(serialize_with = "json::text_or_null")]
    pub last_seen: Option<Timestamp>,
    /// The node that last served it, where that is known.
    pub served_by: Option<String>,
}

/// The reservation of a lease row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reserved {
    /// The reservation's id.
    pub id: String,
    /// Why it is not in force yet, in one sentence.
    pub staged: Option<String>,
}

/// One reservation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReservationView {
    /// Its id: opaque, stable.
    pub id: String,
    /// The network's id.
    pub network: String,
    /// The hardware address it is for; `None` when it is for a client identifier.
    #[serde(serialize_with = "json::text_or_null")]
    pub hw: Option<HwAddr>,
    /// The address.
    pub addr: Ipv4Addr,
    /// The name the device has in DNS.
    pub name: Option<String>,
    /// A note for people.
    pub comment: Option<String>,
    /// Why it is not in force yet, in one sentence.
    pub staged: Option<String>,
    /// Why it cannot be edited (it is declared in a file), in one sentence.
    pub locked: Option<String>,
}

/// A reservation to be made. The pages checked the syntax; the backend judges the rest (inside the
/// network, nobody else's, name free) and reports errors by these field names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReservation {
    /// The id of the reservation this one changes.
    pub replaces: Option<String>,
    /// The network's id.
    pub network: String,
    /// Whose it is.
    pub hw: HwAddr,
    /// The address.
    pub addr: Ipv4Addr,
    /// The name in DNS: one label of letters, digits and inner hyphens.
    pub name: Option<String>,
    /// A note for people.
    pub comment: Option<String>,
}
