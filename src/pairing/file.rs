//! `partner.json`: who the partner is. Small, for its owner alone, there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use data_encoding::HEXLOWER;
use lanward_ha::{ClusterId, Rank};
use serde::{Deserialize, Serialize};

use super::{PairIdentity, PartnerFileError};
use crate::io::link::Peer;

pub(super) const NAME: &str = "partner.json";
const VERSION: &str = "v1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileV1 {
    version: String,
    cluster: String,
    rank: u32,
    partner: PartnerV1,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartnerV1 {
    name: String,
    key_sha256: String,
    addresses: Vec<SocketAddr>,
}

pub(super) fn read(data_dir: &Path) -> Result<Option<PairIdentity>, PartnerFileError> {
    let path = data_dir.join(NAME);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(PartnerFileError::Io { action: "read", path, error }),
    };
    match parse(&text) {
        Ok(pair) => Ok(Some(pair)),
        Err(why) => Err(PartnerFileError::Unreadable { path, why }),
    }
}

fn parse(text: &str) -> Result<PairIdentity, String> {
    let file: FileV1 = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if file.version != VERSION {
        return Err(format!("its version is {:?}, this program knows {VERSION:?}", file.version));
    }
    let cluster = HEXLOWER.decode(file.cluster.as_bytes()).ok();
    let cluster = cluster.and_then(|id| id.try_into().ok());
    let cluster = cluster.ok_or("`cluster` is not 32 hexadecimal digits")?;
    let rank = Rank::from_index(file.rank).ok_or("`rank` is neither 0 nor 1")?;
    let key = file.partner.key_sha256.parse();
    let key = key.map_err(|error| format!("`key_sha256`: {error}"))?;
    let PartnerV1 { name, addresses, .. } = file.partner;
    Ok(PairIdentity { rank, cluster: ClusterId(cluster), partner: Peer { name, key, addresses } })
}

/// Durable when this returns.
pub(super) fn write(data_dir: &Path, pair: &PairIdentity) -> Result<(), PartnerFileError> {
    let file = FileV1 {
        version: VERSION.to_owned(),
        cluster: HEXLOWER.encode(&pair.cluster.0),
        rank: u32::from(pair.rank == Rank::One),
        partner: PartnerV1 {
            name: pair.partner.name.clone(),
            key_sha256: pair.partner.key.to_string(),
            addresses: pair.partner.addresses.clone(),
        },
    };
    let text = serde_json::to_string_pretty(&file).expect("texts and numbers have a JSON form");
    replace(data_dir, NAME, &text)
}

fn replace(data_dir: &Path, name: &str, text: &str) -> Result<(), PartnerFileError> {
    put(data_dir, name, text).map_err(|error| PartnerFileError::Io {
        action: "write",
        path: data_dir.join(name),
        error,
    })
}

fn put(data_dir: &Path, name: &str, text: &str) -> io::Result<()> {
    let unfinished = data_dir.join(format!("{name}.new"));
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&unfinished, data_dir.join(name))?;
    File::open(data_dir)?.sync_all()
}

pub(super) fn remove(data_dir: &Path) -> Result<(), PartnerFileError> {
    let path = data_dir.join(NAME);
    let removed = fs::remove_file(&path).and_then(|()| File::open(data_dir)?.sync_all());
    removed.map_err(|error| PartnerFileError::Io { action: "remove", path, error })
}

/// There while this node has been removed from a pair by its partner.
const REMOVED: &str = "removed.json";

#[derive(Serialize, Deserialize)]
struct RemovedV1 {
    by: String,
}

/// Durable when this returns.
pub(super) fn mark_removed(data_dir: &Path, by: &str) -> Result<(), PartnerFileError> {
    let file = RemovedV1 { by: by.to_owned() };
    let text = serde_json::to_string_pretty(&file).expect("a text has a JSON form");
    replace(data_dir, REMOVED, &text)
}

/// A file that cannot be read counts: what it stands for is to keep silent.
pub(super) fn removed_by(data_dir: &Path) -> Option<String> {
    let text = match fs::read_to_string(data_dir.join(REMOVED)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(_) => String::new(),
    };
    let file = serde_json::from_str::<RemovedV1>(&text);
    Some(file.map_or_else(|_| "the other host".to_owned(), |file| file.by))
}

pub(super) fn clear_removed(data_dir: &Path) -> Result<(), PartnerFileError> {
    let path = data_dir.join(REMOVED);
    match fs::remove_file(&path) {
        Ok(()) => File::open(data_dir)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| PartnerFileError::Io { action: "remove", path, error }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(PartnerFileError::Io { action: "remove", path, error }),
    }
}
