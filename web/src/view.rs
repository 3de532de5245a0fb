//! The values that pages and API show and take.

mod changes;
mod edit;
mod encrypted;
mod leases;
mod lists;
mod names;
mod pair;
mod pause;
mod queries;
mod rules;
mod status;
mod why;

pub use changes::{
    ChangeRow, CollisionRow, CollisionValue, Deed, FieldChange, RecordChange, ValueField,
};
pub use edit::{EditError, FieldError, InForce, Removed, Saved, Unavailable};
pub use encrypted::{AuthorityView, EncryptedView};
pub use leases::{LeaseRow, LeaseState, NewReservation, ReservationView, Reserved};
pub use lists::{ListActivity, ListKind, ListRow, NewList};
pub use names::{LocalNames, NameRow, NameSource, RefusedName};
pub use pair::{Condition, HostStatus, PairEvent, PairOrder, PairStatus};
pub use pause::{NewPause, PauseLength, PauseScope, PauseView};
pub use queries::{
    ClientTally, ForgetOrder, Forgotten, QueriesAnswer, QueriesQuestion, QueryFilter, QueryRow,
    QueryRule, StatisticsView, Step, Tally, UpstreamTally,
};
pub use rules::{MadeRule, NewRule};
pub use status::{
    About, DnsCounters, Health, NetworkView, PolicyView, Problem, ServiceAddress, Severity, Status,
    UpstreamView,
};
pub use why::{WhyAnswer, WhyMatch, WhyPolicy, WhyQuestion, WhyVerdict};

/// How fields are written in JSON where their own type has no say in it.
pub(crate) mod json {
    use std::fmt::Display;

    use serde::Serializer;

    pub(crate) fn text<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn text_or_null<T: Display, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_none(),
        }
    }
}
