//! The login sessions of browsers, known to both nodes.
//!
//! A session begins on one node and is good on the other: both keep the same small table, and tell
//! each other what changes in it. It is no part of the settings document, whose history is kept
//! for good: a session leaves no trace once it is over.
//!
//! What is kept of a session is the hash of the id in the browser's cookie, so nothing that is
//! stored here or sent to the partner can be used to log in. Each session carries a **stamp** of
//! the owner's record as it was at the login; when the owner's password changes, no session of
//! before has the right stamp, on either node, in whatever order the news arrive.
//!
//! Two nodes' words are joined by rules that do not depend on order: once ended is ended for good,
//! and the latest use counts. Times travel as durations, so clocks are never compared. Nothing
//! waits for the disk: a power cut may cost a login, and no more.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use lanward_dhcp::Time;
use prost::Message;

use crate::{BadMessage, Restored, Write};

/// A session ends when it was not used for so long.
const IDLE: Duration = Duration::from_secs(12 * 3600);
/// A session ends after so long in any case.
const ABSOLUTE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Sessions kept; the one unused for longest makes room. Logging in is never refused for it.
const MOST: usize = 1000;
/// A use is written down and told when the last one told is so old: a page that is looked at all
/// day is not a write a second.
const TELL_EVERY: Duration = Duration::from_secs(10 * 60);
/// Sessions in one message.
const A_MESSAGE: usize = 256;

const PREFIX: &str = "session/";

/// The hash of the id that a browser has: 256 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(pub [u8; 32]);

/// Names the owner's record as it is, by a hash of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(pub [u8; 32]);

/// What the table wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionsOutput {
    /// A message for the partner's table.
    Send(Vec<u8>),
    /// To be written, some time.
    Store(Vec<Write>),
}

/// The sessions one node knows.
#[derive(Debug, Default)]
pub struct Sessions {
    all: BTreeMap<SessionKey, Session>,
    linked: bool,
    out: VecDeque<SessionsOutput>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Session {
    stamp: Stamp,
    began: Time,
    used: Time,
    /// The use that was written down and told last.
    told: Time,
    /// Kept for as long as the other node may still take it for alive.
    ended: bool,
}

impl Session {
    fn is_over(&self, now: Time) -> bool {
        let idle = !self.ended && now.since(self.used) >= IDLE;
        idle || now.since(self.began) >= ABSOLUTE
    }
}

impl Sessions {
    /// The sessions a store held.
    pub fn new(restored: &Restored) -> Sessions {
        let mut sessions = Sessions::default();
        let mut writes = Vec::new();
        for (key, value) in restored.entries.iter().filter(|(key, _)| key.starts_with(PREFIX)) {
            match Stored::decode(value.as_slice()).ok().and_then(Stored::read) {
                Some((key, session)) => {
                    sessions.all.insert(key, session);
                }
                None => writes.push(Write { key: key.clone(), value: None }),
            }
        }
        let damaged = restored.damaged.iter().filter(|key| key.starts_with(PREFIX));
        writes.extend(damaged.map(|key| Write { key: key.clone(), value: None }));
        sessions.store(writes);
        sessions
    }

    /// Begins a session. One of this key that was there before stays what it was.
    pub fn begin(&mut self, now: Time, key: SessionKey, stamp: Stamp) {
        self.tidy(now);
        if self.all.contains_key(&key) {
            return;
        }
        if self.all.len() >= MOST
            && let Some(oldest) = self.all.iter().min_by_key(|(_, s)| s.used).map(|(key, _)| *key)
        {
            self.all.remove(&oldest);
            self.store(vec![Write { key: store_key(&oldest), value: None }]);
        }
        let session = Session { stamp, began: now, used: now, told: now, ended: false };
        self.put(now, key, session);
    }

    /// Whether a session is alive under the owner's record of now; with `touch` this counts as a
    /// use of it.
    pub fn is_alive(&mut self, now: Time, key: SessionKey, stamp: Stamp, touch: bool) -> bool {
        let Some(session) = self.all.get_mut(&key) else { return false };
        if session.ended || session.stamp != stamp || session.is_over(now) {
            return false;
        }
        if touch {
            session.used = session.used.max(now);
            if now.since(session.told) >= TELL_EVERY {
                let session = *session;
                self.put(now, key, session);
            }
        }
        true
    }

    /// Ends a session.
    pub fn end(&mut self, now: Time, key: SessionKey) {
        if let Some(session) = self.all.get(&key).filter(|session| !session.ended) {
            let ended = Session { ended: true, ..*session };
            self.put(now, key, ended);
        }
    }

    /// How many are kept, ended ones included.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Messages may be exchanged from here on: the partner is told everything.
    pub fn handle_link_up(&mut self, now: Time) {
        self.linked = true;
        self.tidy(now);
        let all: Vec<_> = self.all.iter().map(|(key, session)| told(now, *key, session)).collect();
        for sessions in all.chunks(A_MESSAGE) {
            let message = Told { sessions: sessions.to_vec() }.encode_to_vec();
            self.out.push_back(SessionsOutput::Send(message));
        }
    }

    /// The link ended.
    pub fn handle_link_down(&mut self) {
        self.linked = false;
    }

    /// A message of the partner's table.
    pub fn handle_message(&mut self, now: Time, message: &[u8]) -> Result<(), BadMessage> {
        let bad = |what: &str| BadMessage(format!("sessions: {what}"));
        let told = Told::decode(message).map_err(|error| bad(&error.to_string()))?;
        let mut writes = Vec::new();
        for told in told.sessions {
            let (key, theirs) = told.read(now).ok_or_else(|| bad("a key of another length"))?;
            let session = match self.all.get(&key) {
                Some(mine) => Session {
                    stamp: mine.stamp,
                    began: mine.began.min(theirs.began),
                    used: mine.used.max(theirs.used),
                    told: mine.told.max(theirs.used),
                    ended: mine.ended || theirs.ended,
                },
                None if self.all.len() >= MOST || theirs.is_over(now) => continue,
                None => theirs,
            };
            if self.all.insert(key, session) != Some(session) {
                writes.push(write(key, &session));
            }
        }
        self.store(writes);
        self.tidy(now);
        Ok(())
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<SessionsOutput> {
        self.out.pop_front()
    }

    fn put(&mut self, now: Time, key: SessionKey, session: Session) {
        let session = Session { told: session.used, ..session };
        self.all.insert(key, session);
        self.store(vec![write(key, &session)]);
        if self.linked {
            let message = Told { sessions: vec![told(now, key, &session)] }.encode_to_vec();
            self.out.push_back(SessionsOutput::Send(message));
        }
    }

    /// Forgets what is over.
    fn tidy(&mut self, now: Time) {
        let mut writes = Vec::new();
        self.all.retain(|key, session| {
            let over = session.is_over(now);
            if over {
                writes.push(Write { key: store_key(key), value: None });
            }
            !over
        });
        self.store(writes);
    }

    fn store(&mut self, writes: Vec<Write>) {
        if !writes.is_empty() {
            self.out.push_back(SessionsOutput::Store(writes));
        }
    }
}

/// A session as it lies in the store: its times are those of this node.
#[derive(Clone, PartialEq, Message)]
struct Stored {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    stamp: Vec<u8>,
    #[prost(uint64, tag = "3")]
    began_ms: u64,
    #[prost(uint64, tag = "4")]
    used_ms: u64,
    #[prost(bool, tag = "5")]
    ended: bool,
}

/// Sessions as they travel.
#[derive(Clone, PartialEq, Message)]
struct Told {
    #[prost(message, repeated, tag = "1")]
    sessions: Vec<ToldSession>,
}

#[derive(Clone, PartialEq, Message)]
struct ToldSession {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    stamp: Vec<u8>,
    /// How long ago it began.
    #[prost(uint64, tag = "3")]
    age_ms: u64,
    /// How long ago it was used.
    #[prost(uint64, tag = "4")]
    idle_ms: u64,
    #[prost(bool, tag = "5")]
    ended: bool,
}

impl Stored {
    fn read(self) -> Option<(SessionKey, Session)> {
        let used = Time::from_millis(self.used_ms);
        let session = Session {
            stamp: Stamp(self.stamp.try_into().ok()?),
            began: Time::from_millis(self.began_ms),
            used,
            told: used,
            ended: self.ended,
        };
        Some((SessionKey(self.key.try_into().ok()?), session))
    }
}

impl ToldSession {
    fn read(self, now: Time) -> Option<(SessionKey, Session)> {
        let used = now - Duration::from_millis(self.idle_ms);
        let session = Session {
            stamp: Stamp(self.stamp.try_into().ok()?),
            began: now - Duration::from_millis(self.age_ms),
            used,
            told: used,
            ended: self.ended,
        };
        Some((SessionKey(self.key.try_into().ok()?), session))
    }
}

fn told(now: Time, key: SessionKey, session: &Session) -> ToldSession {
    ToldSession {
        key: key.0.to_vec(),
        stamp: session.stamp.0.to_vec(),
        age_ms: millis(now.since(session.began)),
        idle_ms: millis(now.since(session.used)),
        ended: session.ended,
    }
}

fn write(key: SessionKey, session: &Session) -> Write {
    let stored = Stored {
        key: key.0.to_vec(),
        stamp: session.stamp.0.to_vec(),
        began_ms: session.began.as_millis(),
        used_ms: session.used.as_millis(),
        ended: session.ended,
    };
    Write { key: store_key(&key), value: Some(stored.encode_to_vec()) }
}

fn store_key(key: &SessionKey) -> String {
    let hex: String = key.0.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{hex}")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
