//! Sessions of logged-in browsers. The cookie has an opaque id, known to the browser alone; the
//! daemon keeps its hash, on both hosts. What stays here is the message for the next page.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

use crate::flash::Flash;

/// A session ends after so long in any case, and the cookie with it. (The daemon keeps the time.)
pub(crate) const ABSOLUTE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Messages kept at once: one for each browser that is in the middle of an edit.
const MOST: usize = 1000;

/// The SHA-256 of the id in a session's cookie: whoever knows it cannot log in with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; 32]);

/// A new id: the text is for the cookie, and known to nobody else.
pub(crate) fn draw() -> (String, SessionId) {
    let mut id = [0; 32];
    random(&mut id);
    let text = BASE64URL_NOPAD.encode(&id);
    let hash = SessionId::of(&text);
    (text, hash)
}

impl SessionId {
    /// The session of a cookie's text.
    pub(crate) fn of(text: &str) -> SessionId {
        SessionId(Sha256::digest(text.as_bytes()).into())
    }
}

/// The messages that wait for the next page of a session on this host.
#[derive(Default)]
pub(crate) struct Flashes {
    all: Mutex<BTreeMap<SessionId, Option<Flash>>>,
}

impl Flashes {
    /// Leaves a message for the next page of the session.
    pub(crate) fn leave(&self, id: SessionId, flash: Flash) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            // A message that was not fetched long since makes room.
            all.pop_first();
        }
        all.insert(id, Some(flash));
    }

    /// Shows the message, once; what can be undone stays until the next message.
    pub(crate) fn look<T>(
        &self,
        id: SessionId,
        look: impl FnOnce(&mut Option<Flash>) -> T,
    ) -> Option<T> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let flash = all.get_mut(&id)?;
        let seen = look(flash);
        if flash.is_none() {
            all.remove(&id);
        }
        Some(seen)
    }

    /// Forgets the message of a session that ended.
    pub(crate) fn forget(&self, id: SessionId) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

#[allow(clippy::disallowed_methods, reason = "a shell: ids are drawn from the system")]
pub(crate) fn random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system has random bytes");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Severity;

    #[test]
    fn ids_are_long_and_their_hash_is_another_session() {
        let (text, id) = draw();
        assert_eq!(text.len(), 43, "256 bits");
        assert_eq!(SessionId::of(&text), id);
        assert_ne!(SessionId::of(&BASE64URL_NOPAD.encode(&id.0)), id);
    }

    #[test]
    fn messages_are_kept_for_a_bounded_number_of_browsers() {
        let flashes = Flashes::default();
        for _ in 0..MOST + 10 {
            flashes.leave(draw().1, Flash::new(Severity::Ok, "done"));
        }
        assert_eq!(flashes.all.lock().unwrap().len(), MOST);
    }
}
