//! Lanward's DNS: names, answering, cache, upstreams and the DNS listeners.
//!
//! A daemon keeps one [`Shared`], puts snapshots into it ([`Filter`], [`LocalNames`],
//! [`Policies`], [`Upstreams`]) whenever they change, and starts one [`Server`] on it.
#![forbid(unsafe_code)]

mod cache;
mod counters;
mod discovery;
mod dns64;
mod dnssec;
mod filter;
mod forward;
#[cfg(test)]
mod fuzz;
mod history;
mod learned;
mod limiter;
mod local;
mod name;
mod offenders;
mod pauses;
mod pipeline;
mod policy;
mod protection;
mod record_type;
mod root_keys;
mod routes;
mod server;
mod shared;
mod transport;
mod upstreams;
mod waiting;
mod wire;

pub use cache::{DamagedCache, Now};
pub use counters::{Answered, Counters, DropReason, Validated};
pub use discovery::{Discovery, Ports};
pub use dns64::{Prefix64, Prefix64Error};
pub use dnssec::{
    AnchorError, Bogus, Dnssec, DnssecMode, DnssecState, NegativeAnchor, Suspended, TrustAnchors,
    Validation,
};
pub use filter::{EmptyFilter, Filter, ListId, PolicyId, RuleRef, Verdict};
pub use forward::{UpstreamState, UpstreamStatus};
pub use history::{
    Decision, DnssecOutcome, Event, HistoryNudge, HistoryReader, Recorder, UpstreamId,
};
pub use local::{
    LocalError, LocalHost, LocalNames, LocalNamesBuilder, LocalRecord, LocalZone, NetworkId,
    RecordData,
};
pub use name::{Name, NameError};
pub use pauses::Pauses;
pub use pipeline::{Asker, Outcome, Pipeline, SELF_TEST, has_fixed_answer};
pub use policy::{BlockMode, ClientNetwork, Policies, Policy};
pub use protection::{Protection, RateLimit, Rebinding};
pub use record_type::RecordType;
pub use server::{
    AnswerCache, Certificate, CertificateError, Config, ConnectionLimits, Encrypted, Server,
    StartError, WaitingLimits,
};
pub use shared::{Excess, OverLimit, Shared};
pub use transport::Transport;
pub use upstreams::{
    ForwardZone, Order, UpstreamGroup, UpstreamServer, UpstreamTransport, Upstreams,
};
