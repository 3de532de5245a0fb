//! The owner's password: argon2id, off the async threads, at most two at once.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

/// KiB of memory for one hash: OWASP's minimum with two passes.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Hashes at once, so that a flood of logins cannot eat a small host's memory.
const AT_ONCE: usize = 2;

/// Shortest password taken.
pub(crate) const MIN_CHARS: usize = 10;
/// Longest one, in bytes: more is no password but an attack on the hash.
pub(crate) const MAX_BYTES: usize = 256;

pub(crate) struct Passwords {
    permits: Semaphore,
}

impl Default for Passwords {
    fn default() -> Passwords {
        Passwords { permits: Semaphore::new(AT_ONCE) }
    }
}

impl Passwords {
    /// A new hash of `password`, as a PHC string.
    pub(crate) async fn hash(&self, password: String) -> Option<String> {
        self.run(move || argon().hash_password(password.as_bytes()).ok().map(|h| h.to_string()))
            .await
    }

    /// Whether `password` is the one `phc` was made of.
    pub(crate) async fn verify(&self, password: String, phc: String) -> bool {
        if password.len() > MAX_BYTES {
            return false;
        }
        self.run(move || {
            let hash = PasswordHash::new(&phc).ok()?;
            argon().verify_password(password.as_bytes(), &hash).ok()
        })
        .await
        .is_some()
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Option<T> + Send + 'static,
    ) -> Option<T> {
        let _permit = self.permits.acquire().await.ok()?;
        tokio::task::spawn_blocking(work).await.ok().flatten()
    }
}

fn argon() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are valid");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Makes the hash to store for a password that was set outside the pages (`lanward passwd`).
/// Takes some 50 ms and 19 MiB. The error is one sentence for people.
pub fn hash_password(password: &str) -> Result<String, String> {
    check(password)?;
    let hash = argon().hash_password(password.as_bytes()).map_err(|e| e.to_string())?;
    Ok(hash.to_string())
}

/// Whether a password may be chosen; the error says what to do.
pub(crate) fn check(password: &str) -> Result<(), String> {
    if password.chars().count() < MIN_CHARS {
        return Err(format!("The password needs {MIN_CHARS} characters or more."));
    }
    if password.len() > MAX_BYTES {
        return Err(format!("The password may have {MAX_BYTES} bytes at most."));
    }
    let first = password.chars().next();
    if password.chars().all(|c| Some(c) == first) {
        return Err("Use more than one character.".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_carry_the_owasp_parameters_and_verify() {
        let phc = hash_password("correct horse battery").unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        let parsed = PasswordHash::new(&phc).unwrap();
        assert!(argon().verify_password(b"correct horse battery", &parsed).is_ok());
        assert!(argon().verify_password(b"correct horse batterz", &parsed).is_err());
    }

    #[test]
    fn weak_passwords_are_told_what_to_do() {
        assert!(check("short").unwrap_err().contains("10 characters"));
        assert!(check("aaaaaaaaaaaaaa").is_err());
        assert!(check(&"ab".repeat(200)).is_err());
        assert!(check("ünïcödé pässwörd").is_ok());
    }
}
