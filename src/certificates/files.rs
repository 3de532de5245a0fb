//! A certificate and its key in files of the user's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use lanward_dns::{Certificate, CertificateError};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// More than any chain or key.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Where they are.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Files {
    /// The certificate, and those that lead from it to an authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why they cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// One cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is no PEM, or has nothing of what it should hold.
    #[error("{} holds no {what} (PEM)", path.display())]
    Nothing {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
    },
    /// They do not belong together.
    #[error("the key in {} is not that of the certificate in {}", key.display(), certificate.display())]
    OtherKey {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's.
        key: PathBuf,
    },
    /// Anything else.
    #[error("{} cannot be used: {error}", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        error: CertificateError,
    },
}

/// What tells that files have changed.
pub type Stamp = [Option<(SystemTime, u64)>; 2];

impl Files {
    /// Reads and checks them.
    pub fn read(&self) -> Result<Certificate, FileError> {
        let nothing = |path: &Path, what| FileError::Nothing { path: path.to_owned(), what };
        let chain: Result<Vec<CertificateDer<'static>>, pem::Error> =
            CertificateDer::pem_slice_iter(&read(&self.certificate)?).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| nothing(&self.certificate, "certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?);
        let key = key.map_err(|_| nothing(&self.key, "private key"))?;
        Certificate::new(chain, key).map_err(|error| match error {
            CertificateError::OtherKey => {
                FileError::OtherKey { certificate: self.certificate.clone(), key: self.key.clone() }
            }
            error => FileError::Unusable { path: self.certificate.clone(), error },
        })
    }

    /// Differs once one of them has changed.
    pub fn stamp(&self) -> Stamp {
        [&self.certificate, &self.key].map(|path| {
            let meta = fs::metadata(path).ok()?;
            Some((meta.modified().ok()?, meta.len()))
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let failed = |error| FileError::Io { path: path.to_owned(), error };
    let large = fs::metadata(path).map_err(failed)?.len() > MAX_FILE_BYTES;
    if large {
        return Err(failed(io::Error::other("it is larger than a certificate can be")));
    }
    fs::read(path).map_err(failed)
}

#[cfg(test)]
mod tests;
