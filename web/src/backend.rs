//! What the pages ask of the daemon.

use std::future::Future;
use std::pin::Pin;

use jiff::Timestamp;

use crate::SessionId;
use crate::view::{
    ChangeRow, CollisionRow, EditError, EncryptedView, ForgetOrder, Forgotten, Health, InForce,
    LeaseRow, ListRow, LocalNames, MadeRule, NetworkView, NewList, NewPause, NewReservation,
    NewRule, PairEvent, PairOrder, PauseScope, PolicyView, QueriesAnswer, QueriesQuestion, Removed,
    ReservationView, Saved, StatisticsView, Status, Unavailable, WhyAnswer, WhyQuestion,
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

    /// The names that this host answers itself, and where each comes from.
    fn names(&self) -> Answer<'_, Result<LocalNames, Unavailable>>;

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

    /// Questions that were answered, of both hosts, the newest first. Bounded in time: under a
    /// second, more where the disk is slow.
    fn queries(&self, question: QueriesQuestion) -> Answer<'_, Result<QueriesAnswer, EditError>>;

    /// What the last hours come to, of both hosts; bounded as [`Backend::queries`].
    fn statistics(&self, hours: u32) -> Answer<'_, Result<StatisticsView, EditError>>;

    /// Forgets questions on both hosts, for good: those from one moment (milliseconds since 1970)
    /// until before another, in whole minutes.
    fn forget(
        &self,
        order: ForgetOrder,
        from_ms: Option<i64>,
        to_ms: Option<i64>,
    ) -> Answer<'_, Result<Forgotten, EditError>>;
    /// Forgets this host's cached answers for a name, and with `below` for names below it; all of
    /// them where no name is given. How many answers that were.
    fn forget_answers(
        &self,
        name: Option<String>,
        below: bool,
    ) -> Answer<'_, Result<usize, EditError>>;

    /// Allows or denies a name, with those below it, to all who have a policy. A rule of that policy
    /// that says the opposite of the same name is gone with it.
    fn make_rule(&self, new: NewRule) -> Answer<'_, Result<MadeRule, EditError>>;

    /// Stops blocking for some, for a while, on both hosts. What is paused is in
    /// [`Status::pauses`].
    fn pause(&self, new: NewPause) -> Answer<'_, Result<InForce, EditError>>;

    /// Blocks again: one scope, or everything that is paused.
    fn resume(&self, scope: Option<PauseScope>) -> Answer<'_, Result<InForce, EditError>>;

    /// What happened to the two hosts, the latest first, at most `limit`.
    fn pair_log(&self, limit: usize) -> Answer<'_, Result<Vec<PairEvent>, Unavailable>>;

    /// Tells the pair something. Returns once it is done; a refusal says why.
    fn pair_order(&self, order: PairOrder) -> Answer<'_, Result<(), EditError>>;

    /// The changes of the settings of the last 30 days, newest first, at most `limit`.
    fn changes(&self, limit: usize) -> Answer<'_, Result<Vec<ChangeRow>, Unavailable>>;

    /// Takes a change of the settings back, by a change of its own. `id` may be the first digits
    /// of the change's id, as long as they name one change.
    fn undo(&self, id: String) -> Answer<'_, Result<InForce, EditError>>;

    /// Records that were edited on both hosts while they could not see each other.
    fn collisions(&self) -> Answer<'_, Result<Vec<CollisionRow>, Unavailable>>;

    /// Puts one of the values of such a record in force and forgets that there were others.
    /// `value` is [`crate::view::CollisionValue::id`].
    fn settle(&self, key: String, value: String) -> Answer<'_, Result<InForce, EditError>>;

    /// What devices need to ask encrypted. With `to_trust` the authority is given to somebody who
    /// may install it, and is kept from then on.
    fn encrypted(&self, to_trust: bool) -> Answer<'_, Result<EncryptedView, Unavailable>>;

    /// Begins a session of a browser that has proved to be the owner's. Both hosts know it.
    fn begin_session(&self, id: SessionId) -> Answer<'_, Result<(), Unavailable>>;

    /// Whether a session lives; with `touch` this counts as a use of it. A session ends after 12
    /// hours without use, after 30 days, and when the owner's password changes.
    fn session(&self, id: SessionId, touch: bool) -> Answer<'_, Result<bool, Unavailable>>;

    /// Ends a session, on both hosts.
    fn end_session(&self, id: SessionId) -> Answer<'_, Result<(), Unavailable>>;

    /// Ends all sessions, on both hosts.
    fn end_all_sessions(&self) -> Answer<'_, Result<InForce, EditError>>;

    /// The hash of the owner's password (PHC string); `None` while nobody has claimed the
    /// household. Replicated.
    fn owner_password_hash(&self) -> Answer<'_, Result<Option<String>, Unavailable>>;

    /// Stores the hash of the owner's password.
    fn set_owner_password_hash(&self, phc: String) -> Answer<'_, Result<InForce, EditError>>;
}
