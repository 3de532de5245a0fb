//! The question a joining node asks and the answer it gets, as JSON: two small messages, once in a
//! pair's life. Unknown fields are ignored, so later versions may add some.

use std::net::SocketAddr;

use data_encoding::HEXLOWER;
use lanward_ha::ClusterId;
use serde::{Deserialize, Serialize};

use super::Introduction;
use super::invite::{Invite, MAX_ADDRESSES, Secret, printable};

/// "Let me in."
#[derive(Debug, Serialize, Deserialize)]
struct RequestV1 {
    cluster: String,
    secret: String,
    name: String,
    addresses: Vec<SocketAddr>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
enum AnswerV1 {
    Welcome { name: String, addresses: Vec<SocketAddr> },
    NotValid,
    Refused { why: String },
}

/// A request, read.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) cluster: ClusterId,
    pub(super) secret: Secret,
    pub(super) from: Introduction,
}

/// The answer to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Welcome(Introduction),
    Refused(Refusal),
}

/// Why not.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Used up, too old, or never made here: which of them is nobody's business.
    NotValid,
    /// A sentence for people.
    Other(String),
}

impl Request {
    pub(super) fn new(invite: &Invite, own: &Introduction) -> Request {
        Request { cluster: invite.cluster, secret: invite.secret, from: own.clone() }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        to_json(&RequestV1 {
            cluster: HEXLOWER.encode(&self.cluster.0),
            secret: HEXLOWER.encode(&self.secret.0),
            name: self.from.name.clone(),
            addresses: self.from.addresses.clone(),
        })
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Request> {
        let v1: RequestV1 = serde_json::from_slice(bytes).ok()?;
        let hex = |text: &str| HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok();
        Some(Request {
            cluster: ClusterId(hex(&v1.cluster)?),
            secret: Secret(hex(&v1.secret)?),
            from: introduction(&v1.name, v1.addresses),
        })
    }
}

impl Answer {
    pub(super) fn encode(&self) -> Vec<u8> {
        to_json(&match self {
            Answer::Welcome(own) => {
                AnswerV1::Welcome { name: own.name.clone(), addresses: own.addresses.clone() }
            }
            Answer::Refused(Refusal::NotValid) => AnswerV1::NotValid,
            Answer::Refused(Refusal::Other(why)) => AnswerV1::Refused { why: why.clone() },
        })
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Answer> {
        Some(match serde_json::from_slice(bytes).ok()? {
            AnswerV1::Welcome { name, addresses } => {
                Answer::Welcome(introduction(&name, addresses))
            }
            AnswerV1::NotValid => Answer::Refused(Refusal::NotValid),
            AnswerV1::Refused { why } => {
                let why = why.chars().filter(|c| !c.is_control()).take(500).collect();
                Answer::Refused(Refusal::Other(why))
            }
        })
    }
}

fn introduction(name: &str, mut addresses: Vec<SocketAddr>) -> Introduction {
    addresses.truncate(MAX_ADDRESSES);
    Introduction { name: printable(name), addresses }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts and addresses always have a JSON form")
}
