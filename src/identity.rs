//! Who this node is to its partner: one key, made at the first start, kept in
//! `identity/key.pem` of the data folder and never anywhere else.
//!
//! The certificate TLS asks for is made from the key at every start: the partner pins the key
//! (SHA-256 of its SubjectPublicKeyInfo), so the certificate around it means nothing and there is
//! no second file that could get out of step with the first.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use data_encoding::HEXLOWER;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};

#[cfg(test)]
mod tests;

/// A key file is some hundred bytes; anything longer is something else.
const MAX_KEY_FILE_BYTES: u64 = 64 * 1024;

/// SHA-256 of a public key (its SubjectPublicKeyInfo in DER): how the nodes of a pair know each
/// other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of a public key given as SubjectPublicKeyInfo in DER.
    pub fn of_spki(der: &[u8]) -> Fingerprint {
        Fingerprint(Sha256::digest(der).into())
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// A fingerprint is 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key fingerprint is 64 hexadecimal digits")]
pub struct NotAFingerprint;

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Fingerprint, NotAFingerprint> {
        let bytes = HEXLOWER.decode(text.to_ascii_lowercase().as_bytes());
        let bytes = bytes.map_err(|_| NotAFingerprint)?;
        Ok(Fingerprint(bytes.try_into().map_err(|_| NotAFingerprint)?))
    }
}

/// Why a node has no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The key could not be read or written.
    #[error("cannot {action} the node's key {}: {error}", path.display())]
    Io {
        /// What was tried: `read`, `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Others on the host may read the key.
    #[error(
        "the node's key {} can be read by others on this host (mode {mode:04o}): run `chmod 600 {}`; \
         if somebody may have copied it, delete it instead and join the pair anew", path.display(), path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode bits.
        mode: u32,
    },
    /// The file holds no key.
    #[error(
        "{} is not a private key ({error}): restore it from a backup, or delete it and join the pair anew",
        path.display()
    )]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: rcgen::Error,
    },
    /// The system could not make a key.
    #[error("cannot make a key: {0}")]
    NotMade(rcgen::Error),
}

/// A node's key and what the partner is shown of it.
pub struct Identity {
    key: KeyPair,
    certificate: CertificateDer<'static>,
    fingerprint: Fingerprint,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl Identity {
    /// The key in `data_dir/identity/key.pem`; makes one when there is none.
    pub fn load_or_create(data_dir: &Path) -> Result<Identity, IdentityError> {
        let folder = data_dir.join("identity");
        let path = folder.join("key.pem");
        match read_private(&path)? {
            Some(pem) => {
                let key = KeyPair::from_pem(&pem);
                Identity::from_key(
                    key.map_err(|error| IdentityError::NotAKey { path: path.clone(), error })?,
                )
            }
            None => {
                let key = KeyPair::generate_for(&rcgen::PKCS_ED25519);
                let key = key.map_err(IdentityError::NotMade)?;
                write_private(&folder, &path, &key.serialize_pem())
                    .map_err(|error| IdentityError::Io { action: "write", path, error })?;
                Identity::from_key(key)
            }
        }
    }

    fn from_key(key: KeyPair) -> Result<Identity, IdentityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "Lanward node");
        let certificate = params.self_signed(&key).map_err(IdentityError::NotMade)?;
        let fingerprint = Fingerprint::of_spki(&key.subject_public_key_info());
        Ok(Identity { key, certificate: certificate.into(), fingerprint })
    }

    /// What the partner knows this node by.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// A self-signed certificate around the key, for TLS.
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    /// The private key, for TLS.
    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }
}

/// The text of a key file that nobody else may read; `None` when there is no such file.
fn read_private(path: &Path) -> Result<Option<String>, IdentityError> {
    let failed = |error| IdentityError::Io { action: "read", path: path.to_owned(), error };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.take(MAX_KEY_FILE_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}

/// Writes a file that is there whole, durable and for its owner alone, or not at all.
pub(crate) fn write_private(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let unfinished = path.with_extension("new");
    if let Err(error) = fs::remove_file(&unfinished)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(folder)?.sync_all()
}
