//! What the pages ask of the daemon.

use std::future::Future;
use std::pin::Pin;

use jiff::Timestamp;

use crate::view::{
    EditError, Health, InForce, LeaseRow, ListRow, NetworkView, NewList, NewReservation,
    PolicyView, Removed, ReservationView, Saved, Status, Unavailable, WhyAnswer, WhyQuestion,
};

/// A future a [`Backend`] answers with.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The daemon as the pages see it. Reads are cheap (memory only): every page asks for
/// [`Backend::status`]. Edits return once they are durable here, and say where they are in force.
///
/// Text in the answers may be anything a client or a list publisher sent; the pages escape it.
pub trait Backend: Send + Sync + 'static {
    /// The node's own time line as a date: what expiries are compared with.
    fn now(&self) -> Timestamp;

    /// The node, its partner, its counters and what needs attention.
    fn status(&self) -> Answer<'_, Result<Status, Unavailable>>;

    /// Whether this host answers DNS.
    fn health(&self) -> Health;

    /// All networks, in the order of the settings.
    fn networks(&self) -> Answer<'_, Result<Vec<NetworkView>, Unavailable>>;

    /// All policies, in the order of the settings.
    fn policies(&self) -> Answer<'_, Result<Vec<PolicyView>, Unavailable>>;

    /// Every binding that is not free, and every reservation without one
    /// ([`crate::view::LeaseState::Idle`]), in any order: the pages filter, sort and cut.
    fn leases(&self) -> Answer<'_, Result<Vec<LeaseRow>, Unavailable>>;

    /// Every reservation.
    fn reservations(&self) -> Answer<'_, Result<Vec<ReservationView>, Unavailable>>;

    /// Makes a reservation, or changes the one named by `replaces`.
    fn reserve(&self, new: NewReservation) -> Answer<'_, Result<Saved, EditError>>;

    /// Removes a reservation; the lease, if any, goes on. Tells what it was, for "Undo".
    fn unreserve(&self, id: String) -> Answer<'_, Result<Removed<NewReservation>, EditError>>;

    /// Ends the lease on `addr` as if the client had given it back.
    fn release(&self, addr: std::net::Ipv4Addr) -> Answer<'_, Result<InForce, EditError>>;

    /// All blocklists and allowlists, in the order of the settings.
    fn lists(&self) -> Answer<'_, Result<Vec<ListRow>, Unavailable>>;

    /// Adds a list and starts its first download.
    fn add_list(&self, new: NewList) -> Answer<'_, Result<Saved, EditError>>;

    /// Removes a list; its rules stop at once. Tells what it was, for "Undo".
    fn remove_list(&self, id: String) -> Answer<'_, Result<Removed<NewList>, EditError>>;

    /// Switches a list off (its rules stop, its data stays) or on again.
    fn set_list_enabled(&self, id: String, on: bool) -> Answer<'_, Result<InForce, EditError>>;

    /// Starts to fetch one list now, or all of them; returns without waiting for the end.
    fn update_list(&self, id: Option<String>) -> Answer<'_, Result<(), EditError>>;

    /// Puts into force the version of a list that is held back ([`ListRow::held`]).
    fn accept_held(&self, id: String) -> Answer<'_, Result<InForce, EditError>>;

    /// Which lists and rules match a name, and which of them decides.
    fn why(&self, question: WhyQuestion) -> Answer<'_, Result<WhyAnswer, Unavailable>>;

    /// The hash of the owner's password (PHC string); `None` while nobody has claimed the
    /// household. Replicated.
    fn owner_password_hash(&self) -> Answer<'_, Result<Option<String>, Unavailable>>;

    /// Stores the hash of the owner's password.
    fn set_owner_password_hash(&self, phc: String) -> Answer<'_, Result<InForce, EditError>>;
}
