//! Sessions of logged-in browsers: in memory, by the hash of an opaque id.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

use crate::flash::Flash;

/// A session ends when it was not used for so long.
pub(crate) const IDLE: Duration = Duration::from_secs(12 * 3600);
/// A session ends after so long in any case.
pub(crate) const ABSOLUTE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Sessions at once; the one unused for longest makes room. Logging in is never refused for it.
const MOST: usize = 1000;

/// The SHA-256 of the id in the cookie: what this process remembers cannot be used to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionId([u8; 32]);

#[derive(Default)]
pub(crate) struct Sessions {
    all: Mutex<HashMap<SessionId, Session>>,
}

struct Session {
    began: Instant,
    used: Instant,
    flash: Option<Flash>,
}

impl Session {
    fn alive(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) < IDLE
            && now.saturating_duration_since(self.began) < ABSOLUTE
    }
}

impl Sessions {
    /// Begins a session; the text is for the cookie, and known to nobody else.
    pub(crate) fn begin(&self, now: Instant) -> String {
        let mut id = [0; 32];
        random(&mut id);
        let text = BASE64URL_NOPAD.encode(&id);
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, s| s.alive(now));
        if all.len() >= MOST
            && let Some(oldest) = oldest(&all)
        {
            all.remove(&oldest);
        }
        all.insert(hash(&text), Session { began: now, used: now, flash: None });
        text
    }

    /// The living session of a cookie's text; with `touch` this counts as a use of it.
    pub(crate) fn find(&self, now: Instant, text: &str, touch: bool) -> Option<SessionId> {
        let id = hash(text);
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let session = all.get_mut(&id)?;
        if !session.alive(now) {
            all.remove(&id);
            return None;
        }
        if touch {
            session.used = now;
        }
        Some(id)
    }

    /// Ends a session.
    pub(crate) fn end(&self, id: SessionId) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// Leaves a message for the next page of the session.
    pub(crate) fn leave(&self, id: SessionId, flash: Flash) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = all.get_mut(&id) {
            session.flash = Some(flash);
        }
    }

    /// Shows the message, once; what can be undone stays until the next message.
    pub(crate) fn flash<T>(
        &self,
        id: SessionId,
        look: impl FnOnce(&mut Option<Flash>) -> T,
    ) -> Option<T> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        Some(look(&mut all.get_mut(&id)?.flash))
    }
}

fn hash(text: &str) -> SessionId {
    SessionId(Sha256::digest(text.as_bytes()).into())
}

#[allow(clippy::disallowed_methods, reason = "the order does not matter: the oldest is unique")]
fn oldest(all: &HashMap<SessionId, Session>) -> Option<SessionId> {
    all.iter().min_by_key(|(_, s)| s.used).map(|(id, _)| *id)
}

#[allow(clippy::disallowed_methods, reason = "a shell: ids are drawn from the system")]
pub(crate) fn random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system has random bytes");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "tests start from some instant")]

    use super::*;

    #[test]
    fn a_session_ends_idle_absolutely_and_when_told() {
        let sessions = Sessions::default();
        let t0 = Instant::now();
        let idle = sessions.begin(t0);
        let used = sessions.begin(t0);
        let mut now = t0;
        while now < t0 + ABSOLUTE - Duration::from_secs(3600) {
            now += Duration::from_secs(3600 * 11);
            if now < t0 + ABSOLUTE {
                assert!(sessions.find(now, &used, true).is_some(), "in use");
            }
        }
        assert!(sessions.find(now, &idle, true).is_none(), "idle");
        assert!(sessions.find(t0 + ABSOLUTE, &used, true).is_none(), "absolute");

        let told = sessions.begin(t0);
        let id = sessions.find(t0, &told, true).unwrap();
        sessions.end(id);
        assert!(sessions.find(t0, &told, true).is_none());
        assert!(sessions.find(t0, "something else", true).is_none());

        let tab = sessions.begin(t0);
        assert!(sessions.find(t0 + IDLE / 2, &tab, false).is_some());
        assert!(sessions.find(t0 + IDLE, &tab, false).is_none(), "an open tab is no use");
    }

    #[test]
    fn the_thousand_and_first_login_works_and_ids_are_long() {
        let sessions = Sessions::default();
        let t0 = Instant::now();
        let first = sessions.begin(t0);
        assert_eq!(first.len(), 43, "256 bits");
        for i in 0..MOST {
            sessions.begin(t0 + Duration::from_secs(1 + i as u64));
        }
        let now = t0 + Duration::from_secs(2000);
        assert!(sessions.find(now, &first, true).is_none(), "the one unused for longest made room");
        assert_eq!(sessions.all.lock().unwrap().len(), MOST);
    }
}
