//! The invite as a text.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use data_encoding::{BASE32_NOPAD, Encoding};
use lanward_ha::ClusterId;

use crate::identity::Fingerprint;

/// The text of an invite starts with this; the number is its format.
const PREFIX: &str = "lanward1:";
/// More addresses than any household's host has.
pub(super) const MAX_ADDRESSES: usize = 32;
/// The longest name that is carried, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 63;
/// Twice what the longest invite has.
const MAX_TEXT_BYTES: usize = 4096;

/// The secret of an invite.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Secret(pub(super) [u8; 16]);

/// Never in a log.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What the second host needs to find the first, know it, and be let in, once. Its text
/// (`lanward1:...`) is a secret until it is used or has expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// The name of the node that made it.
    pub name: String,
    /// Its key.
    pub key: Fingerprint,
    /// Where its pair port may be reached.
    pub addresses: Vec<SocketAddr>,
    /// The pair to be.
    pub cluster: ClusterId,
    pub(super) secret: Secret,
}

/// A text that is no invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnInvite {
    /// It looks like something else.
    #[error(
        "this is no invite: an invite starts with `{PREFIX}`, as `lanward pair invite` shows it"
    )]
    Other,
    /// A later version made it.
    #[error("this invite was made by a later version of lanward: use the same version here")]
    Newer,
    /// A letter is wrong or missing.
    #[error("this invite is not complete: copy the whole text as `lanward pair invite` shows it")]
    Damaged,
}

/// The text: the fields in a row and their CRC-32, in base32, small letters.
impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::new();
        bytes.extend(self.cluster.0);
        bytes.extend(self.key.0);
        bytes.extend(self.secret.0);
        let name = clip(&self.name);
        bytes.push(u8::try_from(name.len()).unwrap_or(0));
        bytes.extend(name.as_bytes());
        for addr in self.addresses.iter().take(MAX_ADDRESSES) {
            match addr.ip() {
                IpAddr::V4(v4) => bytes.extend([&[4][..], &v4.octets()].concat()),
                IpAddr::V6(v6) => bytes.extend([&[6][..], &v6.octets()].concat()),
            }
            bytes.extend(addr.port().to_be_bytes());
        }
        bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
        write!(f, "{PREFIX}{}", base32().encode(&bytes).to_ascii_lowercase())
    }
}

impl FromStr for Invite {
    type Err = NotAnInvite;

    /// White space anywhere is ignored: a terminal may have broken the line.
    fn from_str(text: &str) -> Result<Invite, NotAnInvite> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(NotAnInvite::Other);
        }
        let text: String = text.split_whitespace().collect();
        let text = text.to_ascii_lowercase();
        let Some(payload) = text.strip_prefix(PREFIX) else {
            let version = text.strip_prefix("lanward").and_then(|rest| rest.split_once(':'));
            let newer = version.is_some_and(|(number, _)| number.parse::<u32>().is_ok());
            return Err(if newer { NotAnInvite::Newer } else { NotAnInvite::Other });
        };
        let bytes = base32().decode(payload.to_ascii_uppercase().as_bytes());
        let bytes = bytes.map_err(|_| NotAnInvite::Damaged)?;
        let (fields, sum) = bytes.split_last_chunk::<4>().ok_or(NotAnInvite::Damaged)?;
        if crc32fast::hash(fields) != u32::from_be_bytes(*sum) {
            return Err(NotAnInvite::Damaged);
        }
        read_fields(fields).ok_or(NotAnInvite::Damaged)
    }
}

fn read_fields(bytes: &[u8]) -> Option<Invite> {
    let (cluster, rest) = bytes.split_first_chunk::<16>()?;
    let (key, rest) = rest.split_first_chunk::<32>()?;
    let (secret, rest) = rest.split_first_chunk::<16>()?;
    let (length, rest) = rest.split_first()?;
    let (name, mut rest) = rest.split_at_checked(usize::from(*length))?;
    let mut addresses = Vec::new();
    while let Some((family, after)) = rest.split_first() {
        let (ip, after) = match family {
            4 => after.split_first_chunk::<4>().map(|(ip, after)| (IpAddr::from(*ip), after))?,
            6 => after.split_first_chunk::<16>().map(|(ip, after)| (IpAddr::from(*ip), after))?,
            _ => return None,
        };
        let (port, after) = after.split_first_chunk::<2>()?;
        addresses.push(SocketAddr::new(ip, u16::from_be_bytes(*port)));
        rest = after;
    }
    Some(Invite {
        name: printable(std::str::from_utf8(name).ok()?),
        key: Fingerprint(*key),
        addresses,
        cluster: ClusterId(*cluster),
        secret: Secret(*secret),
    })
}

fn base32() -> Encoding {
    BASE32_NOPAD
}

/// A foreign name as it may be shown: no control characters, not too long, not empty.
pub(super) fn printable(name: &str) -> String {
    let clean: String = name.chars().filter(|c| !c.is_control()).collect();
    let clean = clip(clean.trim());
    if clean.is_empty() { "the other node".to_owned() } else { clean.to_owned() }
}

/// The longest beginning of a text that fits.
fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_NAME_BYTES)).unwrap_or(text)
}
