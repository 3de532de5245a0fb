//! How two nodes become a pair, and part.
//!
//! The first node makes an *invite*: a text with its addresses, its key and a secret that is good
//! once and for ten minutes, and lives in memory alone. The second connects with TLS pinned to
//! that key from the first byte, shows its own key, and says the secret inside. Nothing else is
//! trusted, and no password travels. Then each has the other's key in `partner.json`.
//!
//! The inviting node writes first and answers then. Should the answer be lost, the same node may
//! ask again with the same invite and gets the same answer; any other node is refused.
#![allow(
    clippy::disallowed_methods,
    reason = "secrets are random, invites end by the clock, backups are named after it"
)]

use std::fs::{self, DirBuilder, File};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use lanward_ha::{ClusterId, Partner, Rank};

use crate::identity::Identity;
use crate::io::link::{AskError, LinkTimes, Peer, ask_to_join};

mod desk;
mod file;
mod invite;
#[cfg(test)]
mod tests;
mod wire;

pub use desk::{Desk, InviteError, Joined, VALID};
pub use invite::{Invite, NotAnInvite};

use wire::{Answer, Refusal, Request};

/// A node's place in its pair, as `partner.json` keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairIdentity {
    /// This node's rank: zero for the node that invited, one for the node that joined.
    pub rank: Rank,
    /// The pair.
    pub cluster: ClusterId,
    /// The other node: its name, its key, where it may be reached.
    pub partner: Peer,
}

impl PairIdentity {
    /// What the pair's core is told of the partner.
    pub fn for_pair(&self) -> Partner {
        Partner { name: self.partner.name.clone(), cluster: self.cluster, rank: self.rank }
    }
}

/// What a node tells of itself when it invites or joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// Its name, for people.
    pub name: String,
    /// Where its pair port may be reached from the other host.
    pub addresses: Vec<SocketAddr>,
}

/// Why `partner.json` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PartnerFileError {
    /// The system refused.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `remove`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It says something else than it should.
    #[error(
        "{} does not say who the partner is ({why}): restore it from a backup, or remove the \
         partner here and there and pair the two again", path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// The pair this node is in; `None` for a lone node.
pub fn load(data_dir: &Path) -> Result<Option<PairIdentity>, PartnerFileError> {
    file::read(data_dir)
}

/// Forgets the partner; `None` when there was none. The partner keeps its side until it does the
/// same: its connections are refused from here on.
pub fn unpair(data_dir: &Path) -> Result<Option<PairIdentity>, PartnerFileError> {
    let was = file::read(data_dir)?;
    if was.is_some() {
        file::remove(data_dir)?;
    }
    Ok(was)
}

/// Keeps that the partner `by` removed this node: from here on this one has no partner, and must
/// not answer DHCP clients beside the one that goes on, until somebody decides what it is to be.
pub fn mark_removed(data_dir: &Path, by: &str) -> Result<(), PartnerFileError> {
    file::mark_removed(data_dir, by)?;
    unpair(data_dir).map(drop)
}

/// Who removed this node from its pair, if that is where it stands.
pub fn removed_by(data_dir: &Path) -> Option<String> {
    file::removed_by(data_dir)
}

/// This node is a household of its own, or one of a pair again.
pub fn clear_removed(data_dir: &Path) -> Result<(), PartnerFileError> {
    file::clear_removed(data_dir)
}

/// Why a node did not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The text is no invite.
    #[error(transparent)]
    Invite(#[from] NotAnInvite),
    /// This node has a partner.
    #[error(
        "this node is paired with {0} already: only if {0} is gone for good, run `lanward pair remove` \
         here first"
    )]
    Paired(String),
    /// It is this node's own invite.
    #[error("this invite was made here: run `lanward pair join` on the other host")]
    Own,
    /// None of the inviting node's addresses answered.
    #[error(
        "{inviter} did not answer at any of its addresses ({}): is it running, and does a firewall \
         between the two let the pair port through?", .tried.join("; ")
    )]
    Unreachable {
        /// The inviting node's name.
        inviter: String,
        /// What was tried, with what came of it.
        tried: Vec<String>,
    },
    /// The invite is used up, too old, or was never made there.
    #[error(
        "the invite has been used or has expired: make a new one with `lanward pair invite` on {0}"
    )]
    NotValid(String),
    /// The inviting node would not.
    #[error("{inviter} refused: {why}")]
    Refused {
        /// The inviting node's name.
        inviter: String,
        /// Its sentence.
        why: String,
    },
    /// The partner could not be kept.
    #[error(transparent)]
    File(#[from] PartnerFileError),
}

/// Joins the node that made the invite, and keeps it as the partner. What this node held before
/// is to be saved first ([`backup_folder`]): the pair takes over the inviting node's household.
/// May be called again with the same invite when the answer was lost.
pub async fn join(
    data_dir: &Path,
    identity: &Identity,
    invite: &str,
    own: &Introduction,
    times: LinkTimes,
) -> Result<PairIdentity, JoinError> {
    let invite: Invite = invite.parse()?;
    if let Some(pair) = load(data_dir)? {
        return Err(JoinError::Paired(pair.partner.name));
    }
    if invite.key == identity.fingerprint() {
        return Err(JoinError::Own);
    }
    let request = Request::new(&invite, own).encode();
    let answer = ask(identity, &invite, request, times).await?;
    let inviter = || invite.name.clone();
    let introduction = match Answer::decode(&answer) {
        Some(Answer::Welcome(introduction)) => introduction,
        Some(Answer::Refused(Refusal::NotValid)) => return Err(JoinError::NotValid(inviter())),
        Some(Answer::Refused(Refusal::Other(why))) => {
            return Err(JoinError::Refused { inviter: inviter(), why });
        }
        None => {
            let why = "it answered something this version does not understand".to_owned();
            return Err(JoinError::Refused { inviter: inviter(), why });
        }
    };
    let mut addresses = invite.addresses.clone();
    addresses.extend(introduction.addresses);
    addresses.sort_unstable();
    addresses.dedup();
    let partner = Peer { name: introduction.name, key: invite.key, addresses };
    let pair = PairIdentity { rank: Rank::One, cluster: invite.cluster, partner };
    file::write(data_dir, &pair)?;
    Ok(pair)
}

/// Tries the inviting node's addresses until one answers.
async fn ask(
    identity: &Identity,
    invite: &Invite,
    request: Vec<u8>,
    times: LinkTimes,
) -> Result<Vec<u8>, JoinError> {
    let mut tried = Vec::new();
    let mut closed = false;
    for addr in &invite.addresses {
        match ask_to_join(identity, invite.key, *addr, request.clone(), times).await {
            Ok(answer) => return Ok(answer),
            Err(error) => {
                closed |= matches!(error, AskError::NotOpen { .. });
                tried.push(error.to_string());
            }
        }
    }
    if closed {
        return Err(JoinError::NotValid(invite.name.clone()));
    }
    Err(JoinError::Unreachable { inviter: invite.name.clone(), tried })
}

/// Makes a folder `backup-<unix seconds>` in the data folder, for what a joining node held: copy
/// the store into it with `Store::copy_to(&folder.join("leases.redb"))`. `partner.json` is in it
/// already, if there was one.
pub fn backup_folder(data_dir: &Path) -> io::Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    for n in 0..100 {
        let name = if n == 0 { format!("backup-{now}") } else { format!("backup-{now}-{n}") };
        let folder = data_dir.join(name);
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => {
                let partner = data_dir.join(file::NAME);
                if partner.try_exists()? {
                    fs::copy(&partner, folder.join(file::NAME))?;
                }
                File::open(&folder)?.sync_all()?;
                File::open(data_dir)?.sync_all()?;
                return Ok(folder);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Every address the partner's pair port may be reached at: those its `partner.json` has, then
/// those its host told of itself (`told`), on the same port. An address this host has too is no
/// way to the partner: both may have a bridge of containers, and a service address moves.
pub fn partner_paths(recorded: &[SocketAddr], told: &[IpAddr], own: &[IpAddr]) -> Vec<SocketAddr> {
    let mut paths = recorded.to_vec();
    let Some(port) = recorded.first().map(SocketAddr::port) else { return paths };
    for addr in told.iter().filter(|addr| !own.contains(addr)) {
        let path = SocketAddr::new(*addr, port);
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// Where the other host may reach this node's pair port: each address it listens on, or all of
/// the host's own (`own`, without loopback and link-local ones) where it listens on all.
pub fn reachable_at(listening: &[SocketAddr], own: &[IpAddr]) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for listens in listening {
        if !listens.ip().is_unspecified() {
            addresses.push(*listens);
            continue;
        }
        let same_kind = own.iter().filter(|addr| addr.is_ipv4() == listens.is_ipv4());
        addresses.extend(same_kind.map(|addr| SocketAddr::new(*addr, listens.port())));
    }
    addresses
}
