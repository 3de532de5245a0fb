//! What became of each question, for whoever keeps a history.
//!
//! Each worker writes its events into a bounded ring of its own (`ring`); one [`HistoryReader`]
//! empties them all. A full ring loses the event and counts it
//! ([`Counters::history_lost`](crate::Counters::history_lost)): an answer never waits for the
//! history. What a client's policy does not want kept never enters a ring.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::{Answered, Name, Now, RecordType, Transport};

mod codec;
mod labels;
mod ring;

pub(crate) use codec::{Draft, Rule};
pub(crate) use labels::Labels;
pub use ring::{HistoryNudge, HistoryReader, Recorder};
pub(crate) use ring::{Hub, Recording};

/// One question and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When the question came, on the clock of [`HistoryReader::now`].
    pub at: Now,
    /// Who asked; never an IPv4-mapped IPv6 address.
    pub client: IpAddr,
    /// How the question came.
    pub transport: Transport,
    /// The name that was asked.
    pub name: Name,
    /// The type that was asked.
    pub qtype: RecordType,
    /// Who knew the answer.
    pub how: Answered,
    /// The response code (RFC 6895, 2.3): that in the answer's header, or BADVERS, 16.
    pub rcode: u8,
    /// The client's policy.
    pub policy: Arc<str>,
    /// The rule of a list that decided, if one did.
    pub decision: Option<Decision>,
    /// The upstream whose answer it is.
    pub upstream: Option<UpstreamId>,
    /// What DNSSEC said of the answer.
    pub dnssec: DnssecOutcome,
    /// From the question's arrival to its answer, when somebody else had to be asked. `None`:
    /// answered at once, which takes microseconds; reading the clock a second time would cost as
    /// much as all the rest of an event.
    pub took: Option<Duration>,
}

/// The rule that decided on a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is an exception, so that nothing else could block the name.
    pub allowed: bool,
    /// What people call the list.
    pub list: Arc<str>,
    /// The rule: the name, or one it lies below.
    pub rule: Name,
    /// The name in the answer that the rule matched, when it was not the one asked for (CNAME
    /// cloaking).
    pub target: Option<Name>,
}

/// An upstream, as the forwarding side numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamId(pub u16);

/// What DNSSEC says of an answer (RFC 4035, 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DnssecOutcome {
    /// Nobody looked.
    #[default]
    Unchecked,
    /// Signed, and the signatures hold.
    Secure,
    /// Its zone is not signed.
    Insecure,
    /// Signed, and wrong.
    Bogus,
}

impl DnssecOutcome {
    /// All of them, in the order of their declaration.
    pub const ALL: [DnssecOutcome; 4] =
        [Self::Unchecked, Self::Secure, Self::Insecure, Self::Bogus];

    /// A short name for people and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unchecked => "unchecked",
            Self::Secure => "secure",
            Self::Insecure => "insecure",
            Self::Bogus => "bogus",
        }
    }
}

impl From<crate::Validation> for DnssecOutcome {
    fn from(validation: crate::Validation) -> Self {
        match validation {
            crate::Validation::Secure => Self::Secure,
            crate::Validation::Insecure => Self::Insecure,
            crate::Validation::Bogus(_) => Self::Bogus,
            crate::Validation::Unchecked => Self::Unchecked,
        }
    }
}

/// The way a question has gone by the time its answer is written, as far as the stages themselves
/// do not see it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Way {
    /// When the question came.
    pub(crate) received: Now,
    /// Whose answer it is.
    pub(crate) upstream: Option<UpstreamId>,
    pub(crate) dnssec: DnssecOutcome,
}
