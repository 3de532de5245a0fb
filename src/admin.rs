//! The admin protocol: what the command line asks of the daemon on its own host.
//!
//! One request and one reply are each one line of JSON over a Unix socket. Whoever may open the
//! socket (its owner and group) is an owner of the household: there is no password. A connection
//! may carry several requests, one after another.
//!
//! ```text
//! {"ask":"why","name":"ads.example","client":"10.0.30.7"}
//! {"reply":"done","data":{"name":"ads.example",..}}
//! {"ask":"release","address":"10.0.30.9"}
//! {"reply":"refused","kind":"not_found","message":"There is no lease on 10.0.30.9.","fields":[]}
//! ```
//!
//! `data` has the same shapes as `/api/v1` (the types of `lanward_web::view`), or one of the
//! types below. Fields are only ever added.

mod answer;

use std::net::{IpAddr, Ipv4Addr};

use lanward_web::view::{EditError, ForgetOrder, ListKind, QueriesQuestion, Unavailable};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use answer::answer;

/// The longest request or reply, bytes: more than the largest household's lease table.
pub const LINE_MAX: usize = 16 << 20;

/// One question or order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Request {
    /// The node, its partner, its counters, what needs attention. Done with a [`StatusReply`].
    Status,
    /// Whether this host answers DNS. Done with a [`HealthReply`].
    Health,
    /// Encrypted DNS and the household's certificate authority, its public part. Done with an
    /// [`lanward_web::view::EncryptedView`].
    Authority,
    /// Make a new authority for both hosts. Done with the same.
    NewAuthority,
    /// All networks.
    Networks,
    /// All policies.
    Policies,
    /// All leases, and reservations without one.
    Leases,
    /// All reservations.
    Reservations,
    /// Reserve an address for a device.
    Reserve {
        /// The network's id; `None`: the one the address lies in.
        #[serde(default)]
        network: Option<String>,
        /// The device's MAC address.
        mac: String,
        /// The address.
        address: Ipv4Addr,
        /// Its name in DNS.
        #[serde(default)]
        name: Option<String>,
        /// For people.
        #[serde(default)]
        comment: Option<String>,
    },
    /// Remove a reservation.
    Unreserve {
        /// Its id.
        id: String,
    },
    /// End a lease as if the device had given it back.
    Release {
        /// Its address.
        address: Ipv4Addr,
    },
    /// The names that this host answers itself.
    Names,
    /// All lists.
    Lists,
    /// Add a list.
    AddList {
        /// Its id; `None`: derived from the name.
        #[serde(default)]
        id: Option<String>,
        /// Its name; `None`: its source.
        #[serde(default)]
        name: Option<String>,
        /// A web address, or the absolute path of a file on the hosts.
        source: String,
        /// Whether its names are allowed instead of blocked.
        #[serde(default)]
        allow: bool,
        /// The policies that use it; none: all.
        #[serde(default)]
        policies: Vec<String>,
    },
    /// Remove a list.
    RemoveList {
        /// Its id.
        id: String,
    },
    /// Switch a list on or off.
    SetListEnabled {
        /// Its id.
        id: String,
        /// On or off.
        enabled: bool,
    },
    /// Fetch lists now; done at once, while the fetching goes on.
    UpdateList {
        /// Which; `None`: all.
        #[serde(default)]
        id: Option<String>,
    },
    /// Put the held version of a list into force.
    AcceptHeld {
        /// Its id.
        id: String,
    },
    /// Forget this host's cached DNS answers. Done with a [`ForgottenReply`].
    Flush {
        /// For which name; `None`: all.
        #[serde(default)]
        name: Option<String>,
        /// For names below it too.
        #[serde(default)]
        below: bool,
    },
    /// The latest changes of the settings, newest first.
    Changes {
        /// At most so many.
        limit: usize,
    },
    /// Take a change of the settings back.
    Undo {
        /// Its id, or the first digits of it.
        change: String,
    },
    /// Records that were edited on both hosts while they could not see each other.
    Collisions,
    /// Put one of the values of such a record in force, for good.
    Settle {
        /// The record.
        key: String,
        /// The id of the value.
        value: String,
    },
    /// Stop blocking for a while.
    Pause {
        /// For whom: `all`, `network/iot`, `device/02:00:5e:10:00:01`, `device/10.0.30.7`.
        scope: String,
        /// For so many seconds; with neither this nor `until`: until somebody ends it.
        #[serde(default)]
        secs: Option<u64>,
        /// Until then (RFC 3339).
        #[serde(default)]
        until: Option<String>,
    },
    /// Block again.
    Resume {
        /// For whom; `None`: for everybody who is paused.
        #[serde(default)]
        scope: Option<String>,
    },
    /// The pauses in force.
    Pauses,
    /// Which lists and rules match a name.
    Why {
        /// The name.
        name: String,
        /// Only for this policy.
        #[serde(default)]
        policy: Option<String>,
        /// Only for the policy this client has.
        #[serde(default)]
        client: Option<IpAddr>,
    },
    /// Questions that were answered, of both hosts.
    Queries {
        /// Which.
        question: QueriesQuestion,
    },
    /// What the last hours come to, on both hosts.
    Statistics {
        /// How many hours.
        hours: u32,
    },
    /// Forget questions on both hosts.
    Forget {
        /// Which.
        order: ForgetOrder,
        /// Not before, milliseconds since 1970.
        from_ms: Option<i64>,
        /// Before.
        to_ms: Option<i64>,
    },
    /// Set the owner's password.
    SetPassword {
        /// Its argon2 hash (PHC string): the password itself does not travel.
        phc: String,
    },
    /// The code that lets a browser claim this household. Done with a [`ClaimReply`].
    Claim,
    /// Make an invite for the second host. Done with an [`InviteReply`].
    PairInvite,
    /// Join the host that made this invite. Done with a [`JoinReply`].
    PairJoin {
        /// The invite.
        invite: String,
    },
    /// What this host holds of its own and would drop by joining a pair. Done with a [`Held`].
    PairHeld,
    /// The other host is off. Refused where anything of it answers.
    PairDown,
    /// Let the partner serve, and keep silent towards DHCP clients; or end that.
    PairMaintenance {
        /// Begin or end.
        on: bool,
    },
    /// End the pair; this host goes on alone. Done with a [`RemoveReply`].
    PairRemove {
        /// Also where the partner did not stop, or its host answers.
        #[serde(default)]
        force: bool,
    },
    /// The other host is gone for good: free its place, and make an invite for the host that
    /// takes it. Done with an [`InviteReply`].
    PairReplace,
    /// The timeline of the pair, the latest first. Done with a list of
    /// [`crate::timeline::Entry`].
    PairLog {
        /// How many.
        limit: usize,
    },
    /// The household's records: an object of key (such as `network/iot`) to record.
    Records,
    /// Change records: all of it or nothing.
    Edit {
        /// What to write.
        writes: Vec<RecordWrite>,
    },
}

/// One record to be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordWrite {
    /// Its key, such as `network/iot`.
    pub key: String,
    /// The record; `None` removes it.
    pub value: Option<Value>,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// As asked.
    Done {
        /// What was asked for, or where an edit is in force.
        data: Value,
    },
    /// Nothing was changed.
    Refused(Refusal),
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What sort of reason.
    pub kind: RefusalKind,
    /// What is wrong and what to do, for people.
    pub message: String,
    /// What is wrong with single fields.
    #[serde(default)]
    pub fields: Vec<WrongField>,
}

/// Sorts of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// The request is not one, or not one this version knows.
    Unknown,
    /// The request asks for something that cannot be.
    Invalid,
    /// What it names is not there.
    NotFound,
    /// It is declared in a file and cannot be edited.
    Locked,
    /// It does not fit what is in force by now.
    Conflict,
    /// The daemon cannot do it now.
    Unavailable,
}

/// One field of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrongField {
    /// Its name in the request.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// The status, with the words for the pair's condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusReply {
    /// As in `/api/v1/status`.
    #[serde(flatten)]
    pub status: lanward_web::view::Status,
    /// The pair's condition in two or three words.
    pub headline: String,
    /// What it means, in a sentence.
    pub sentence: String,
    /// What to do about it, if anything.
    pub next: Option<String>,
    /// How bad the worst of it is: the pair's condition and the problems.
    pub severity: lanward_web::view::Severity,
}

/// An invite for the second host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteReply {
    /// To be given to `lanward pair join` there.
    pub invite: String,
    /// How long it is good for.
    pub valid_secs: u64,
}

/// A pair was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinReply {
    /// The name of the partner.
    pub partner: String,
    /// Where what this host held before was saved; `None` when it held nothing.
    #[serde(default)]
    pub backup: Option<String>,
    /// What that was.
    #[serde(default)]
    pub dropped: Held,
}

/// What a host holds of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Leases that run.
    pub leases: u64,
    /// Networks.
    pub networks: u64,
    /// Reservations.
    pub reservations: u64,
    /// Lists that were added.
    pub lists: u64,
}

/// A pair was ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveReply {
    /// The partner that was removed; `None` when this host was the removed one.
    pub partner: Option<String>,
    /// Whether it was told, and has stopped.
    pub told: bool,
}

/// Whether this host answers DNS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReply {
    /// Whether devices may be sent to it.
    pub well: bool,
    /// Why, in one sentence.
    pub why: String,
}

/// What [`Request::Flush`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgottenReply {
    /// How many answers are gone.
    pub forgotten: usize,
}

/// The state of the claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimReply {
    /// The code; `None` when the household has an owner already.
    pub code: Option<String>,
    /// Where to enter it.
    pub url: String,
    /// How long the code is good for.
    #[serde(default)]
    pub valid_secs: Option<u64>,
}

impl Reply {
    /// Done with `data`.
    pub fn done(data: &impl Serialize) -> Reply {
        match serde_json::to_value(data) {
            Ok(data) => Reply::Done { data },
            Err(error) => Reply::Refused(Refusal::new(
                RefusalKind::Unavailable,
                format!("The answer cannot be written as JSON: {error}."),
            )),
        }
    }
}

impl Refusal {
    /// A refusal as a whole.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Refusal {
        Refusal { kind, message: message.into(), fields: Vec::new() }
    }

    /// A refusal because of one field.
    pub fn field(field: &str, message: impl Into<String>) -> Refusal {
        let message = message.into();
        let fields = vec![WrongField { field: field.to_owned(), message: message.clone() }];
        Refusal { kind: RefusalKind::Invalid, message, fields }
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Reply {
        Reply::Refused(refusal)
    }
}

impl From<Unavailable> for Refusal {
    fn from(why: Unavailable) -> Refusal {
        Refusal::new(RefusalKind::Unavailable, why.0)
    }
}

impl From<EditError> for Refusal {
    fn from(error: EditError) -> Refusal {
        let message = error.to_string();
        match error {
            EditError::Fields(fields) => Refusal {
                kind: RefusalKind::Invalid,
                message,
                fields: fields
                    .into_iter()
                    .map(|wrong| WrongField {
                        field: wrong.field.to_owned(),
                        message: wrong.message,
                    })
                    .collect(),
            },
            EditError::NotFound(_) => Refusal::new(RefusalKind::NotFound, message),
            EditError::Locked(_) => Refusal::new(RefusalKind::Locked, message),
            EditError::Refused(_) => Refusal::new(RefusalKind::Conflict, message),
            EditError::Unavailable(_) => Refusal::new(RefusalKind::Unavailable, message),
        }
    }
}

fn list_kind(allow: bool) -> ListKind {
    if allow { ListKind::Allow } else { ListKind::Block }
}
