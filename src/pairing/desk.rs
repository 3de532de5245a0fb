//! The inviting side: at most one invite at a time, in memory alone.
#![allow(clippy::disallowed_methods, reason = "secrets are random, and invites end by the clock")]

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lanward_ha::{ClusterId, Rank};
use subtle::ConstantTimeEq;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::invite::{Invite, Secret};
use super::wire::{Answer, Refusal, Request};
use super::{Introduction, PairIdentity, PartnerFileError, file};
use crate::identity::Fingerprint;
use crate::io::link::{JoinDesk, Peer};

/// How long an invite is good for.
pub const VALID: Duration = Duration::from_secs(600);
/// For this long after its end, somebody who comes with an old invite is told so; later, unknown
/// keys are not listened to at all.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Somebody joined: to the composition, which tells the link and the node. Both files are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined(pub PairIdentity);

/// Why there is no invite.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// This node has a partner.
    #[error(
        "this node is paired with {0} already: only if {0} is gone for good, run `lanward pair replace` \
         here, which makes an invite for the host that takes its place"
    )]
    Paired(String),
    /// Nobody could use it.
    #[error(
        "this host has no address another host could reach: connect it to the network first, or say \
         in lanward.toml which address to use"
    )]
    NoAddress,
    /// Whether there is a partner could not be read.
    #[error(transparent)]
    File(#[from] PartnerFileError),
    /// The system gave no random numbers.
    #[error("cannot make a secret: {0}")]
    NoSecret(io::Error),
}

/// Where invites are made and joining nodes are answered.
#[derive(Debug)]
pub struct Desk {
    data_dir: PathBuf,
    key: Fingerprint,
    joined: mpsc::UnboundedSender<Joined>,
    valid: Duration,
    open: Mutex<Option<Open>>,
}

/// The one invite there is.
#[derive(Debug)]
struct Open {
    invite: Invite,
    made: Instant,
    /// The node that used it. It alone may ask again: its answer may have been lost.
    used_by: Option<Fingerprint>,
}

impl Desk {
    /// A desk without an invite. `key` is this node's; `joined` hears of the node that joins.
    pub fn new(data_dir: PathBuf, key: Fingerprint, joined: mpsc::UnboundedSender<Joined>) -> Desk {
        Desk { data_dir, key, joined, valid: VALID, open: Mutex::new(None) }
    }

    /// Invites that are good for another time than [`VALID`], for tests.
    #[must_use]
    pub fn valid_for(self, valid: Duration) -> Desk {
        Desk { valid, ..self }
    }

    /// Makes an invite; one made before is void from here on.
    pub fn invite(&self, own: &Introduction) -> Result<Invite, InviteError> {
        if let Some(pair) = file::read(&self.data_dir)? {
            return Err(InviteError::Paired(pair.partner.name));
        }
        if own.addresses.is_empty() {
            return Err(InviteError::NoAddress);
        }
        let invite = Invite {
            name: own.name.clone(),
            key: self.key,
            addresses: own.addresses.clone(),
            cluster: ClusterId(random()?),
            secret: Secret(random()?),
        };
        let open = Open { invite: invite.clone(), made: Instant::now(), used_by: None };
        *self.lock() = Some(open);
        Ok(invite)
    }

    /// Voids the invite, if there is one. To be called when the partner is removed: the node that
    /// used the invite could ask again.
    pub fn withdraw(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the partner down, unless this node joined another one since it made the invite.
    fn keep(&self, pair: &PairIdentity) -> Result<(), InviteError> {
        match file::read(&self.data_dir)? {
            Some(other) => Err(InviteError::Paired(other.partner.name)),
            None => Ok(file::write(&self.data_dir, pair)?),
        }
    }

    fn decide(&self, from: SocketAddr, key: Fingerprint, request: &[u8]) -> Answer {
        let Some(request) = Request::decode(request) else {
            warn!("{from} asked to join in words this version does not understand");
            let why = "it does not understand the request: use the same version on both".to_owned();
            return Answer::Refused(Refusal::Other(why));
        };
        let name = &request.from.name;
        // Held over the write: of two nodes that come at once, one is first.
        let mut open = self.lock();
        let refused = |why: &str| {
            warn!(
                "refused to pair with {name} ({from}): {why}; for a new invite run `lanward pair invite`"
            );
            Answer::Refused(Refusal::NotValid)
        };
        let Some(open) = open.as_mut() else { return refused("there is no invite") };
        let secret = request.secret.0.ct_eq(&open.invite.secret.0);
        if !bool::from(secret) || request.cluster != open.invite.cluster {
            return refused("it does not know the invite's secret");
        }
        match open.used_by {
            Some(used_by) if used_by != key => return refused("the invite has been used"),
            None if open.made.elapsed() >= self.valid => return refused("the invite has expired"),
            _ => {}
        }
        if open.used_by.is_none() {
            let partner =
                Peer { name: name.clone(), key, addresses: request.from.addresses.clone() };
            let pair = PairIdentity { rank: Rank::Zero, cluster: open.invite.cluster, partner };
            if let Err(error) = self.keep(&pair) {
                warn!("cannot pair with {name}: {error}");
                return Answer::Refused(Refusal::Other(error.to_string()));
            }
            open.used_by = Some(key);
            info!("paired with {name} ({from}), key {key}");
            drop(self.joined.send(Joined(pair)));
        }
        Answer::Welcome(Introduction {
            name: open.invite.name.clone(),
            addresses: open.invite.addresses.clone(),
        })
    }
}

impl JoinDesk for Desk {
    fn is_open(&self) -> bool {
        self.lock().as_ref().is_some_and(|open| open.made.elapsed() < self.valid + REMEMBERED)
    }

    fn answer(&self, from: SocketAddr, key: Fingerprint, request: &[u8]) -> Vec<u8> {
        self.decide(from, key, request).encode()
    }
}

fn random() -> Result<[u8; 16], InviteError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| InviteError::NoSecret(io::Error::other(error)))?;
    Ok(bytes)
}
